"""Specs of Python functions: what the model may give, and nothing else."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal, Optional, TypedDict

import jsonschema
import pytest
from pydantic import BaseModel, Field

from gatling_guard.catalog import Effect, spec_from_any, spec_from_function
from gatling_guard.errors import ToolSpecError


class Priority(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Person(BaseModel):
    email: str
    name: str = ""


@dataclasses.dataclass
class Place:
    street: str
    zip: str = "00000"


class Options(TypedDict, total=False):
    dry_run: bool


class RunContext:
    """Stands for a framework's class of this name."""


class InjectedState:
    """Stands for LangGraph's marker."""


class Opaque:
    """A type without a JSON Schema."""


def _properties(fn: Any) -> dict[str, Any]:
    found = spec_from_function(fn).parameters["properties"]
    assert isinstance(found, dict)
    return found


def test_a_plain_function() -> None:
    """R5 Name, docstring, types, defaults and required arguments become a schema."""

    def send_email(to: list[str], subject: str, body: str = "", urgent: bool = False) -> str:
        """Send an email.

        Args:
            to: who gets it.
            subject: one line.
        """
        return "sent"

    spec = spec_from_function(send_email)
    assert (spec.name, spec.description) == ("send_email", "Send an email.")
    assert spec.parameters == {
        "type": "object",
        "properties": {
            "to": {"type": "array", "items": {"type": "string"}, "description": "who gets it."},
            "subject": {"type": "string", "description": "one line."},
            "body": {"type": "string", "default": ""},
            "urgent": {"type": "boolean", "default": False},
        },
        "required": ["to", "subject"],
        "additionalProperties": False,
    }
    assert spec.output_schema == {"type": "string"}
    assert spec.profile.effect is Effect.SEND
    assert spec.profile.identity_args == ("to",)


def test_types_that_need_more_than_a_word() -> None:
    """Literal, Optional, Annotated, Field, enum, dataclass, model, TypedDict, date."""

    def update_item(
        kind: Literal["a", "b"],
        count: Annotated[int, Field(ge=1, description="how many")],
        who: Person,
        place: Place | None = None,
        level: Priority = Priority.LOW,
        day: Optional[dt.date] = None,  # noqa: UP045
        limit: int = Field(5, le=10),
        needed: int = Field(description="no default"),
        options: Options | None = None,
    ) -> None:
        """Update an item."""

    spec = spec_from_function(update_item)
    good = {
        "kind": "a",
        "count": 1,
        "who": {"email": "a@x.org"},
        "place": {"street": "S"},
        "needed": 1,
        "day": "2026-01-01",
    }
    validator = jsonschema.Draft202012Validator(spec.parameters)
    assert list(validator.iter_errors(good)) == []
    faults: list[dict[str, Any]] = [{"kind": "c"}, {"count": 0}, {"who": {}}, {"limit": 11}]
    for wrong in (*faults, {"level": "mid"}):
        assert list(validator.iter_errors(good | wrong)), wrong
    assert spec.parameters["required"] == ["kind", "count", "who", "needed"]
    assert spec.parameters["properties"]["level"]["default"] == "low"
    assert spec.parameters["properties"]["limit"]["default"] == 5
    assert {"who", "email", "place", "street"} & set(spec.profile.identity_args)


def test_what_no_model_may_give_is_left_out() -> None:
    """`self`, `*args`, `**kwargs` and what a framework injects are no arguments."""

    class Mailbox:
        def send(self, to: str) -> str:
            """Send."""
            return to

    def plain(
        query: str,
        ctx: RunContext,
        maybe: RunContext | None,
        state: Annotated[dict[str, Any], InjectedState],
        other: Annotated[str, InjectedState()],
        *rest: int,
        **more: int,
    ) -> str:
        """Search."""
        return query

    assert list(_properties(Mailbox().send)) == ["to"]
    assert list(_properties(Mailbox.send)) == ["to"]
    assert list(_properties(plain)) == ["query"]
    assert "additionalProperties" not in spec_from_function(plain).parameters


def test_a_name_that_only_the_type_checker_sees_is_still_recognised() -> None:
    """`if TYPE_CHECKING: from langgraph import ToolRuntime` leaves a bare name."""

    def search(query: str, runtime: ToolRuntime, thing: Unknown) -> str:  # type: ignore[name-defined]  # noqa: F821
        """Search."""
        return query

    assert _properties(search) == {"query": {"type": "string"}, "thing": {}}


def test_what_cannot_be_typed_stays_open() -> None:
    """No hint, or one without a schema: the argument takes anything."""

    def update(a, b: Opaque, c: Any, d=Opaque(), e: int = 3):  # type: ignore[no-untyped-def]  # noqa: B008
        """Update."""

    assert _properties(update) == {
        "a": {},
        "b": {},
        "c": {},
        "d": {},
        "e": {"type": "integer", "default": 3},
    }
    assert spec_from_function(update).parameters["required"] == ["a", "b", "c"]


def test_wrapped_partial_callable_and_generator() -> None:
    """The signature that counts is the one behind the wrapping."""

    def send_money(recipient: str, amount: float, currency: str = "EUR") -> str:
        """Send money."""
        return recipient

    @functools.wraps(send_money)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return send_money(*args, **kwargs)

    class Sender:
        """A sender."""

        def __call__(self, recipient: str) -> str:
            """Send a message."""
            return recipient

    async def stream(path: str) -> AsyncIterator[str]:
        """Read a file."""
        yield path

    def lines(path: str) -> Iterator[str]:
        """Read lines."""
        yield path

    assert spec_from_function(wrapped) == spec_from_function(send_money)
    bound = spec_from_function(functools.partial(send_money, "ann"))
    assert (bound.name, list(bound.parameters["properties"])) == (
        "send_money",
        ["amount", "currency"],
    )
    called = spec_from_function(Sender())
    assert (called.name, called.description) == ("Sender", "Send a message.")
    assert list(called.parameters["properties"]) == ["recipient"]
    assert spec_from_function(stream).output_schema is None
    assert spec_from_function(lines).output_schema is None
    assert _properties(lines) == {"path": {"type": "string"}}


def test_two_models_of_one_name_do_not_mix() -> None:
    """Shared definitions keep their references valid."""

    def first() -> type[BaseModel]:
        class Item(BaseModel):
            a: int

        return Item

    def second() -> type[BaseModel]:
        class Item(BaseModel):
            b: str

        return Item

    def update(x: Any, y: Any) -> None:
        """Update."""

    update.__annotations__ = {"x": first(), "y": second()}
    validator = jsonschema.Draft202012Validator(spec_from_function(update).parameters)
    assert validator.is_valid({"x": {"a": 1}, "y": {"b": "t"}})
    assert not validator.is_valid({"x": {"b": "t"}, "y": {"a": 1}})


def test_name_and_description_can_be_given_and_fields_declared() -> None:
    """The caller's words go before the function's."""

    def f(x: int) -> int:
        """Read a number."""
        return x

    spec = spec_from_function(
        f, name="pay_bill", description="Pays.", effect="send", aliases=["pay"]
    )
    assert (spec.name, spec.description, spec.aliases) == ("pay_bill", "Pays.", ("pay",))
    assert (spec.profile.effect, spec.profile.basis) == (Effect.SEND, "declared")


@pytest.mark.parametrize("thing", [lambda x: x, 3, None, "send_email", object()])
def test_what_is_no_tool_is_a_clear_error(thing: Any) -> None:
    """A lambda has no name; a number describes nothing."""
    with pytest.raises(ToolSpecError):
        spec_from_any(thing)

"""Edits of one argument: narrow, resource, redact.

Nothing but the named argument changes. An edge that fed a value which is gone becomes a temporal
one: the order stays, and no data flows any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from gatling_guard.repair import costs
from gatling_guard.repair.places import (
    call_of,
    cut,
    remade,
    thinned,
    value_at,
    with_call,
    with_value,
    without_key,
)
from gatling_guard.repair.types import Draft, EditError
from gatling_guard.rules import quote, shown

REDACTED = "[redacted]"
Scalar = bool | int | float | str
How = Literal["set", "leave", "remove"]


@dataclass(frozen=True, slots=True)
class Narrow:
    """Less of the same: a lower number, a shorter list, or an optional argument left out."""

    kind: ClassVar[Literal["narrow"]] = "narrow"
    node_id: str
    where: str
    how: How
    value: Scalar = 0
    """For `set`: what stands there afterwards, of the sort that stood there."""
    left_out: tuple[int, ...] = ()
    """For `leave`: places in the list."""

    @property
    def cost(self) -> float:
        """By how much is left of the argument."""
        if self.how == "set":
            return costs.with_values(costs.NUMBER, 1)
        if self.how == "leave":
            return costs.with_values(costs.LIST, len(self.left_out))
        return costs.with_values(costs.ARGUMENT, 1)

    @property
    def sentence(self) -> str:
        """For people."""
        name, node = shown(self.where[1:]), shown(self.node_id)
        if self.how == "set":
            return f"{node}: {name} becomes {shown(self.value)}"
        if self.how == "leave":
            many = "a value is" if len(self.left_out) == 1 else f"{len(self.left_out)} values are"
            return f"{node}: {many} left out of {name}"
        return f"{node}: {name} is left out"

    @property
    def data(self) -> dict[str, Any]:
        """Machine form."""
        own: dict[str, dict[str, Any]] = {
            "set": {"value": self.value},
            "leave": {"left_out": list(self.left_out)},
            "remove": {},
        }
        return {
            "kind": self.kind, "node_id": self.node_id, "where": self.where, "how": self.how,
            **own[self.how],
        }  # fmt: skip

    def apply(self, draft: Draft) -> Draft:
        """The draft with the argument narrowed.

        Raises:
            EditError: nothing of that sort stands there, or nothing would change.
        """
        call = call_of(draft, self.node_id)
        old = value_at(call.arguments, self.where)
        edges = cut(draft.plan.edges, self.node_id, self.where)
        if self.how == "set":
            if _sort(old) != _sort(self.value) or old == self.value:
                raise EditError(f"{self.where!r} cannot become {shown(self.value)}")
            arguments = with_value(call.arguments, self.where, self.value)
        elif self.how == "leave":
            gone = frozenset(self.left_out)
            if not isinstance(old, list) or not gone or not gone < set(range(len(old))):
                raise EditError(f"{self.where!r} is no list with other values than those left out")
            kept = [item for i, item in enumerate(old) if i not in gone]
            arguments = with_value(call.arguments, self.where, kept)
            edges = thinned(draft.plan.edges, self.node_id, self.where, gone)
        else:
            arguments = without_key(call.arguments, self.where)
        return with_call(draft, remade(call, {"arguments": arguments}), edges)


@dataclass(frozen=True, slots=True)
class Resource:
    """An identity becomes one that the authority named."""

    kind: ClassVar[Literal["resource"]] = "resource"
    node_id: str
    where: str
    value: Scalar

    @property
    def cost(self) -> float:
        """One value, and another party."""
        return costs.with_values(costs.RESOURCE, 1)

    @property
    def sentence(self) -> str:
        """For people."""
        value = quote(self.value) if isinstance(self.value, str) else shown(self.value)
        return f"{shown(self.node_id)}: {shown(self.where[1:])} becomes {value}"

    @property
    def data(self) -> dict[str, Any]:
        """Machine form."""
        own = {"node_id": self.node_id, "where": self.where, "value": self.value}
        return {"kind": self.kind, **own}

    def apply(self, draft: Draft) -> Draft:
        """The draft with the other value.

        Raises:
            EditError: no single value of that sort stands there, or it is the same.
        """
        call = call_of(draft, self.node_id)
        old = value_at(call.arguments, self.where)
        if _sort(old) != _sort(self.value) or _sort(old) == "switch" or old == self.value:
            raise EditError(f"{self.where!r} cannot become {shown(self.value)}")
        arguments = with_value(call.arguments, self.where, self.value)
        edges = cut(draft.plan.edges, self.node_id, self.where)
        return with_call(draft, remade(call, {"arguments": arguments}), edges)


@dataclass(frozen=True, slots=True)
class Redact:
    """Pieces of a text are blacked out. Holds their places, never what stood there."""

    kind: ClassVar[Literal["redact"]] = "redact"
    node_id: str
    where: str
    spans: tuple[tuple[int, int], ...]
    """Half-open character ranges, rising, disjoint."""
    length: int
    """Of the text: with another length it is another text, and the places mean nothing."""

    @property
    def cost(self) -> float:
        """By the number of pieces, or by the share of the text where that is more."""
        gone = sum(end - start for start, end in self.spans)
        share = math.ceil(costs.MOST_VALUES * gone / self.length) if self.length else 1
        return costs.with_values(costs.REDACT, max(len(self.spans), share))

    @property
    def sentence(self) -> str:
        """For people."""
        pieces = "a piece is" if len(self.spans) == 1 else f"{len(self.spans)} pieces are"
        what = "all of it is" if self._whole else pieces
        return f"{shown(self.node_id)}: of {shown(self.where[1:])} {what} redacted"

    @property
    def data(self) -> dict[str, Any]:
        """Machine form."""
        return {
            "kind": self.kind, "node_id": self.node_id, "where": self.where,
            "spans": [list(span) for span in self.spans], "length": self.length,
        }  # fmt: skip

    def apply(self, draft: Draft) -> Draft:
        """The draft with the text blacked out. A text that is gone as a whole is fed by nothing.

        Raises:
            EditError: no text of this length stands there, or the ranges do not fit.
        """
        call = call_of(draft, self.node_id)
        text = value_at(call.arguments, self.where)
        if not isinstance(text, str) or len(text) != self.length or text == REDACTED:
            raise EditError(f"{self.where!r} is not the text that was looked at")
        new = REDACTED if self._whole else _blacked(text, self.spans, self.where)
        arguments = with_value(call.arguments, self.where, new)
        edges = draft.plan.edges
        kept = cut(edges, self.node_id, self.where) if self._whole else edges
        return with_call(draft, remade(call, {"arguments": arguments}), kept)

    @property
    def share(self) -> float:
        """Of the text that goes, 0..1."""
        return sum(end - start for start, end in self.spans) / max(1, self.length)

    @property
    def _whole(self) -> bool:
        return self.spans == ((0, self.length),)


def _blacked(text: str, spans: tuple[tuple[int, int], ...], where: str) -> str:
    found: list[str] = []
    end = 0
    for start, stop in spans:
        if not end <= start < stop <= len(text):
            raise EditError(f"the pieces of {where!r} to redact do not fit the text")
        found += [text[end:start], REDACTED]
        end = stop
    if not found:
        raise EditError(f"nothing of {where!r} to redact")
    return "".join((*found, text[end:]))


def _sort(value: object) -> str:
    if isinstance(value, bool):
        return "switch"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "other"

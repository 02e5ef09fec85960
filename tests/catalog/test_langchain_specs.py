"""Specs of real LangChain tools."""

from typing import Annotated, Any

import pytest
from langchain.tools import ToolRuntime
from langchain_core.tools import BaseTool, InjectedToolArg, InjectedToolCallId, StructuredTool, tool
from langgraph.prebuilt import InjectedState, InjectedStore
from langgraph.store.base import BaseStore
from pydantic import BaseModel, Field

from gatling_guard.catalog import Effect, spec_from_any, spec_from_langchain


class Mail(BaseModel):
    """Arguments of a mail tool."""

    to: list[str] = Field(description="who gets it")
    body: str = ""
    user: Annotated[str, InjectedToolArg]


@tool
def send_email(
    to: str,
    body: str,
    runtime: ToolRuntime,
    state: Annotated[dict[str, Any], InjectedState],
    store: Annotated[BaseStore, InjectedStore()],
    call_id: Annotated[str, InjectedToolCallId],
    user: Annotated[str, InjectedToolArg],
) -> str:
    """Send an email."""
    return to


@tool(args_schema=Mail)
def send_mail(to: list[str], body: str, user: str) -> str:
    """Send mail."""
    return body


@tool
async def read_note(note_id: int) -> str:
    """Read a note."""
    return str(note_id)


class Search(BaseTool):
    """A tool as a class."""

    name: str = "search_mail"
    description: str = "Search the mailbox."

    def _run(self, query: str, limit: int = 5) -> str:
        return query


@pytest.mark.parametrize(
    ("made", "arguments", "required", "effect"),
    [
        (send_email, ["to", "body"], ["to", "body"], Effect.SEND),
        (send_mail, ["to", "body"], ["to"], Effect.SEND),
        (read_note, ["note_id"], ["note_id"], Effect.READ),
        (Search(), ["query", "limit"], ["query"], Effect.READ),
    ],
    ids=["decorated", "with a model", "async", "class"],
)
def test_what_the_framework_injects_does_not_appear(
    made: BaseTool, arguments: list[str], required: list[str], effect: Effect
) -> None:
    """R115 Runtime, state, store, call id and marked arguments are not the model's to give."""
    spec = spec_from_any(made)
    assert (spec.name, spec.profile.effect) == (made.name, effect)
    assert spec.description == made.description
    assert list(spec.parameters["properties"]) == arguments
    assert spec.parameters["required"] == required


def test_a_tool_made_from_a_json_schema_keeps_its_annotations() -> None:
    """Tools of langchain-mcp-adapters carry a schema dict, and the hints in their metadata."""
    schema = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    made = StructuredTool(
        name="update_note",
        description="Update.",
        args_schema=schema,
        func=lambda **_: "",
        metadata={"readOnlyHint": False, "destructiveHint": True, "other": object()},
    )
    spec = spec_from_langchain(made)
    assert spec.parameters["properties"] == schema["properties"]
    assert spec.annotations == {"readOnlyHint": False, "destructiveHint": True}
    assert (spec.profile.basis, spec.profile.reversible) == ("annotated", False)

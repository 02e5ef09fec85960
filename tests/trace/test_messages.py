"""Message lists of frameworks as traces, and back."""

from __future__ import annotations

from typing import Any

import pytest

from gatling_guard.errors import TraceError
from gatling_guard.trace import from_langchain_messages, from_openai_messages, to_openai_messages


def call(name: str, arguments: str, call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


CHAT: list[dict[str, Any]] = [
    {"role": "developer", "content": "be kind"},
    {"role": "user", "content": [{"type": "text", "text": "pay"}, {"type": "text", "text": "Bob"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [call("pay", '{"to": "Bob"}'), call("get", "", "c2")],
    },
    {"role": "tool", "tool_call_id": "c2", "content": "two"},
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "one"}]},
    {"role": "assistant", "content": "done"},
]


def test_openai_chat() -> None:
    trace = from_openai_messages(CHAT, trace_id="t")
    assert (trace.id, trace.system, trace.instruction) == ("t", "be kind", "pay\nBob")
    assert [(s.tool, s.arguments, s.output, s.call_id) for s in trace.steps] == [
        ("pay", {"to": "Bob"}, "one", "c1"),
        ("get", {}, "two", "c2"),
    ]


def test_round_trip_through_openai_form() -> None:
    trace = from_openai_messages(CHAT)
    assert from_openai_messages(to_openai_messages(trace)) == trace


def test_legacy_function_calls_and_reused_ids() -> None:
    turn = [
        {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
    ]
    trace = from_openai_messages([{"role": "user", "content": "x"}, *turn, *turn])
    assert [s.output for s in trace.steps] == ["r", "r"]
    assert len({s.call_id for s in trace.steps}) == 2


def test_langchain_objects_dicts_and_pairs() -> None:
    core = pytest.importorskip("langchain_core.messages")
    objects = [
        core.SystemMessage("be kind"),
        core.HumanMessage("pay Bob"),
        core.AIMessage("", tool_calls=[{"name": "pay", "args": {"to": "Bob"}, "id": "c1"}]),
        core.ToolMessage("text", tool_call_id="c1", artifact={"paid": [1]}),
    ]
    trace = from_langchain_messages(objects)
    assert trace.system == "be kind"
    assert [(s.tool, s.arguments, s.output) for s in trace.steps] == [
        ("pay", {"to": "Bob"}, {"paid": [1]})
    ]
    assert from_langchain_messages(core.messages_to_dict(objects)) == trace
    assert from_langchain_messages([("user", "pay Bob"), ("system", "x")]).instruction == "pay Bob"


def test_an_artifact_that_is_no_json_value_falls_back_to_the_text() -> None:
    core = pytest.importorskip("langchain_core.messages")
    ai = core.AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": "c1"}])
    trace = from_langchain_messages(
        [ai, core.ToolMessage("text", tool_call_id="c1", artifact=object())]
    )
    assert trace.steps[0].output == "text"


@pytest.mark.parametrize(
    ("message", "where", "text"),
    [
        (5, "/0", "int is no message"),
        ({"role": "wizard"}, "/0/role", "unknown role 'wizard'"),
        ({"role": "tool", "tool_call_id": "c9", "content": "x"}, "/0/tool_call_id", "no open call"),
        ({"role": "assistant", "tool_calls": "x"}, "/0/tool_calls", "must be a list"),
        ({"role": "assistant", "tool_calls": [{}]}, "/0/tool_calls/0/name", "must be text"),
        (
            {"role": "assistant", "tool_calls": [call("f", "[1]")]},
            "function/arguments",
            "an object",
        ),
        ({"role": "assistant", "tool_calls": [call("f", "{x")]}, "function/arguments", "Expecting"),
    ],
)
def test_faults_name_their_place(message: Any, where: str, text: str) -> None:
    with pytest.raises(TraceError) as caught:
        from_openai_messages([message, {"role": "nobody"}])
    first, last = caught.value.issues
    assert where in first.where
    assert text in first.message
    assert last.where == "/1/role"

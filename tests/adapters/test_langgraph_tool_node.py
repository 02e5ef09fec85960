"""`tool_node_wrappers` in graphs built on `langgraph.prebuilt.ToolNode`."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt

from gatling_adapters.langchain import tool_node_wrappers
from gatling_guard import Guard
from tests.adapters.langchain_kit import POLICY, TURNS, USER, World, answers, scripted

THREAD = {"configurable": {"thread_id": "t-1"}}
ASK = {"messages": [("user", USER)]}
PAY = {"iban": "DE89", "amount": 100}
OTHER = {"iban": "FR76", "amount": 5}
SEARCH = ("c3", "search_docs", {"query": "q3", "limit": 1})


def graph_of(guard: Guard, tools: Any, turns: Any = TURNS, saver: Any = None, **node: Any) -> Any:
    model = scripted(turns)
    wrap, awrap = tool_node_wrappers(guard)
    builder = StateGraph(MessagesState)
    builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", ToolNode(tools, wrap_tool_call=wrap, awrap_tool_call=awrap, **node))
    builder.add_edge(START, "model")
    builder.add_conditional_edges(
        "model", lambda state: "tools" if state["messages"][-1].tool_calls else "__end__"
    )
    builder.add_edge("tools", "model")
    return builder.compile(checkpointer=saver)


async def run(graph: Any, mode: str, given: Any = ASK, config: Any = THREAD) -> Any:
    return graph.invoke(given, config) if mode == "sync" else await graph.ainvoke(given, config)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_attack_is_blocked_and_the_honest_call_runs(
    guard: Guard, world: World, mode: str
) -> None:
    """R138 The same parity script as the middleware."""
    result = await run(graph_of(guard, world.tools), mode)
    assert world.ran == [("read_inbox",), ("search_docs", 10)]
    assert answers(result)["c2"].status == "error"
    assert "send_email: not executed" in answers(result)["c2"].content
    decided = [e.call_id for e in guard.ledger.entries(kind="decision")]
    assert decided == ["c1", "c2", "c3"]


async def test_without_any_run_id_the_history_is_enough(guard: Guard, world: World) -> None:
    """No thread id, no current session: what was read is known from the messages."""
    await run(graph_of(guard, world.tools), "sync", ASK, {})
    assert world.ran == [("read_inbox",), ("search_docs", 10)]


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_fault_in_the_adapter_is_a_refusal(
    guard: Guard, world: World, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(guard, world.tools, handle_tool_errors=True)

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("gatling_adapters.langchain.runs.Runs.find", broken)
    result = await run(graph, mode)
    assert world.ran == []
    assert "secret detail" not in str(answers(result))


class TestHolds:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    @pytest.mark.parametrize("batch", [1, 5])
    async def test_nothing_of_the_turn_runs_before_the_answer_and_all_once_after(
        self, world: World, mode: str, batch: int
    ) -> None:
        """R138 A plain ToolNode runs executed siblings again on resume; guarded, each runs once."""
        guard = Guard(POLICY)
        siblings = [(f"s{i}", "search_docs", {"query": "q3", "limit": i + 1}) for i in range(batch)]
        turns = [[*siblings, ("c1", "wire_money", PAY)], "done"]
        graph = graph_of(guard, world.tools, turns, InMemorySaver())
        asked = (await run(graph, mode))["__interrupt__"][0].value
        assert world.ran == []
        assert [h["arguments"] for h in asked["holds"]] == [PAY]
        assert [set(h["answers"]) for h in asked["holds"]] == [{"approve", "deny"}]
        assert "Answer approve or deny" in asked["holds"][0]["question"]
        result = await run(graph, mode, Command(resume={"decision": "approve", "by": "ann"}))
        expected = [("search_docs", i + 1) for i in range(batch)] + [("wire_money", "DE89", 100)]
        assert sorted(world.ran) == sorted(expected)
        assert {m.status for m in answers(result).values()} == {"success"}

    @pytest.mark.parametrize("mode", ["sync", "async"])
    @pytest.mark.parametrize("fresh", [True, False])
    async def test_two_holds_are_answered_by_name(
        self, world: World, mode: str, fresh: bool
    ) -> None:
        """In the same process, and in a new one that has nothing but the checkpoint."""
        saver, guard = InMemorySaver(), Guard(POLICY)
        turns = [[("c1", "wire_money", PAY), ("c2", "wire_money", OTHER), SEARCH], "done"]
        graph = graph_of(guard, world.tools, turns, saver)
        holds = (await run(graph, mode))["__interrupt__"][0].value["holds"]
        decisions = [
            {"hold_id": h["hold_id"], "by": "ann",
             "decision": "approve" if h["arguments"] == OTHER else "deny"} for h in holds
        ]  # fmt: skip
        if fresh:
            graph = graph_of(Guard(POLICY), world.tools, ["done"], saver)
        result = await run(graph, mode, Command(resume={"decisions": decisions}))
        assert sorted(world.ran) == [("search_docs", 1), ("wire_money", "FR76", 5)]
        assert answers(result)["c1"].status == "error"

    async def test_a_bare_approval_does_not_cover_two_holds(
        self, guard: Guard, world: World
    ) -> None:
        turns = [[("c1", "wire_money", PAY), ("c2", "wire_money", OTHER)], "done"]
        graph = graph_of(guard, world.tools, turns, InMemorySaver())
        await run(graph, "sync")
        await run(graph, "sync", Command(resume="approve"))
        assert world.ran == []

    async def test_no_checkpointer_is_a_refusal(self, guard: Guard, world: World) -> None:
        turns = [[("c1", "wire_money", PAY), SEARCH], "done"]
        result = await run(graph_of(guard, world.tools, turns), "sync")
        assert world.ran == [("search_docs", 1)]
        assert "waits for approval" in answers(result)["c1"].content


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_sibling_that_interrupts_by_itself_does_not_run_the_others_again(
    guard: Guard, world: World, mode: str
) -> None:
    """R138 Measured without the guard: the executed sibling runs twice."""

    @tool
    def read_docs(query: str) -> str:
        """Read the docs."""
        return f"answer: {interrupt('which shelf?')}"

    turns = [[SEARCH, ("c4", "read_docs", {"query": "q"})], "done"]
    graph = graph_of(guard, [*world.tools, read_docs], turns, InMemorySaver())
    await run(graph, mode)
    result = await run(graph, mode, Command(resume="left"))
    assert world.ran == [("search_docs", 1)]
    assert answers(result)["c4"].content == "answer: left"
    assert answers(result)["c3"].content == "1 docs"


async def test_list_state_and_other_keys(guard: Guard, world: World) -> None:
    """A ToolNode can also be called with a plain list of messages."""
    wrap, awrap = tool_node_wrappers(guard)
    node = ToolNode(world.tools, wrap_tool_call=wrap, awrap_tool_call=awrap)
    builder = StateGraph(MessagesState)
    builder.add_node("tools", lambda state: {"messages": node.invoke(state["messages"])})
    builder.add_edge(START, "tools")
    calls = [{"id": "c3", "name": "search_docs", "args": SEARCH[2]}]
    message = AIMessage(content="", tool_calls=calls)
    graph: Any = builder.compile()
    graph.invoke({"messages": [("user", USER), message]}, THREAD)
    assert world.ran == [("search_docs", 1)]


def test_a_batch_of_tools_the_guard_never_met(world: World) -> None:
    """Whichever thread comes first proposes the whole batch: all of its tools must be known."""
    for number in range(20):
        guard = Guard(POLICY)
        calls = [(f"c{i}", name, {"query": "q"}) for i, name in enumerate(("find_a", "find_b"))]

        @tool
        def find_a(query: str) -> str:
            """Find a."""
            return "a"

        @tool
        def find_b(query: str) -> str:
            """Find b."""
            return "b"

        graph = graph_of(guard, [find_a, find_b], [calls, "done"])
        result = graph.invoke(ASK, {"configurable": {"thread_id": str(number)}})
        assert [m.content for m in answers(result).values()] == ["a", "b"]

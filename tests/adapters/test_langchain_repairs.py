"""A repaired call runs with the repaired arguments, however the tool is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from langchain.agents.middleware import AgentMiddleware
from langchain.tools import ToolRuntime
from langchain_core.tools import InjectedToolArg, StructuredTool, Tool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command
from pydantic import BaseModel

from gatling_adapters.langchain import GuardMiddleware, tool_node_wrappers, wrap_tools
from gatling_guard import Guard, Held, Repaired
from gatling_guard.pipeline import STAGES, Work
from tests.adapters.langchain_kit import POLICY, World, create_agent, scripted

THREAD = {"configurable": {"thread_id": "t-1"}}
ASK = {"messages": [("user", "search for q3")]}
CALL = {"query": "q3", "limit": 1000}
TURNS = [[("c1", "search_docs", CALL)], "done"]


def repairing(change: Callable[[dict[str, Any]], dict[str, Any]], policy: str = POLICY) -> Guard:
    """A guard whose last stage repairs what would be allowed; holds stay holds."""
    *rest, (name, decide) = STAGES

    def repair(work: Work) -> None:
        decide(work)
        found = work.decision
        if found is None or found.call is None or isinstance(found, Held):
            return
        call = found.call.model_copy(update={"arguments": change(dict(work.arguments))})
        work.decision = Repaired(decision_id=found.decision_id, call=call, edits=("capped",),
                                 policy_digest=found.policy_digest)  # fmt: skip

    return Guard(policy, stages=(*rest, (name, repair)))


def capped(arguments: dict[str, Any]) -> dict[str, Any]:
    return {**arguments, "limit": min(arguments["limit"], 10)}


def graph_of(how: str, guard: Guard, tools: Any, *inner: Any) -> Any:
    if how == "middleware":
        return create_agent(scripted(TURNS), tools, middleware=[GuardMiddleware(guard), *inner])
    if how == "wrap_tools":
        return create_agent(scripted(TURNS), wrap_tools(guard, tools))
    wrap, awrap = tool_node_wrappers(guard)
    model = scripted(TURNS)
    builder = StateGraph(MessagesState)
    builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", ToolNode(tools, wrap_tool_call=wrap, awrap_tool_call=awrap))
    builder.add_edge(START, "model")
    builder.add_edge("model", "tools")
    return builder.compile()


async def run(graph: Any, mode: str) -> Any:
    return graph.invoke(ASK, THREAD) if mode == "sync" else await graph.ainvoke(ASK, THREAD)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("how", ["middleware", "tool_node", "wrap_tools"])
async def test_the_repaired_arguments_reach_the_tool(world: World, mode: str, how: str) -> None:
    """R138 Once, as repaired, and the decision is not asked for again on its own result."""
    guard = repairing(capped)
    await run(graph_of(how, guard, world.tools), mode)
    assert world.ran == [("search_docs", 10)]
    (decided,) = guard.ledger.entries(kind="decision")
    assert decided.body["action"] == "repair"
    assert [e.body["status"] for e in guard.ledger.entries(kind="outcome")] == ["ran"]


@dataclass
class Seen:
    """What a tool with wiring of its own was given."""

    calls: list[Any] = field(default_factory=list)

    def tool(self) -> Any:
        @tool
        def search_docs(
            query: str, tenant: Annotated[str, InjectedToolArg] = "acme", limit: int = 3,
            runtime: ToolRuntime = None,  # type: ignore[assignment]
        ) -> str:  # fmt: skip
            """Search."""
            self.calls.append((query, tenant, limit, runtime.tool_call_id))
            return "ok"

        return search_docs


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("how", ["middleware", "tool_node", "wrap_tools"])
async def test_a_repair_may_take_an_argument_away(mode: str, how: str) -> None:
    """The tool's own default applies, and what LangGraph fills in stays."""
    seen = Seen()
    guard = repairing(lambda arguments: {"query": arguments["query"] + "!"})
    await run(graph_of(how, guard, [seen.tool()]), mode)
    assert seen.calls == [("q3!", "acme", 3, "c1")]


class Raises(AgentMiddleware[Any, Any, Any]):
    """Stands inside the guard and asks for more than was decided."""

    def changed(self, request: Any) -> Any:
        call = request.tool_call
        return request.override(tool_call={**call, "args": {**call["args"], "limit": 5000}})

    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        return handler(self.changed(request))

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        return await handler(self.changed(request))


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_what_changes_inside_the_guard_is_repaired_again(world: World, mode: str) -> None:
    await run(graph_of("middleware", repairing(capped), world.tools, Raises()), mode)
    assert world.ran == [("search_docs", 10)]


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_the_seal_takes_an_argument_away_too(mode: str) -> None:
    seen = Seen()
    guard = repairing(lambda arguments: {"query": arguments["query"]})
    await run(graph_of("middleware", guard, [seen.tool()], Raises()), mode)
    assert seen.calls == [("q3", "acme", 3, "c1")]


class Filter(BaseModel):
    field: str
    limit: int = 3


async def test_plain_tools_parse_what_was_repaired(world: World) -> None:
    """A repair is JSON; the function gets what its annotations say, also by position."""
    got: list[Any] = []

    def search(query: str, where: Filter) -> str:
        """Search."""
        got.append((query, where))
        return "ok"

    plain = Tool(name="lookup", description="Look up.", func=lambda text: f"found {text}")
    structured = StructuredTool.from_function(search, name="search_docs")

    def change(arguments: dict[str, Any]) -> dict[str, Any]:
        if "where" in arguments:
            return {**arguments, "where": {"field": "a", "limit": 1}}
        return {"__arg1": "less"}

    lookup, search_docs = wrap_tools(repairing(change), [plain, structured])
    assert lookup.invoke("much") == "found less"
    assert await lookup.ainvoke("much") == "found less"
    search_docs.invoke({"query": "q", "where": {"field": "a", "limit": 900}})
    assert got == [("q", Filter(field="a", limit=1))]


@pytest.mark.parametrize("answer", ["approve", "edit"])
def test_a_held_call_without_repair_is_not_touched_by_one(world: World, answer: str) -> None:
    """What a person approved runs as they saw it: an approval is bound to the exact arguments."""
    guard = repairing(lambda arguments: {**arguments, "limit": 10})
    turns = [[("c1", "wire_money", {"iban": "DE89", "amount": 100})], "done"]
    agent = create_agent(
        scripted(turns), world.tools, middleware=[GuardMiddleware(guard)],
        checkpointer=InMemorySaver(),
    )  # fmt: skip
    asked = agent.invoke(ASK, THREAD)["__interrupt__"][0].value
    agent.invoke(Command(resume={**asked["answers"][answer], "by": "ann"}), THREAD)
    assert world.ran == [("wire_money", "DE89", 100)]

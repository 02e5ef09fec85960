"""`unguarded_tools` finds what nothing mediates."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents.middleware import AgentMiddleware
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from gatling_adapters.langchain import (
    GuardMiddleware,
    tool_node_wrappers,
    unguarded_tools,
    wrap_tools,
)
from gatling_adapters.langchain.coverage import coverage
from gatling_guard import Guard
from tests.adapters.langchain_kit import World, create_agent, scripted

ALL = {"read_inbox", "send_email", "search_docs", "wire_money"}


class Other(AgentMiddleware[Any, Any, Any]):
    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        return handler(request)

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        return await handler(request)


def names(subject: Any) -> set[str]:
    return {found.name for found in unguarded_tools(subject)}


def test_an_agent(guard: Guard, world: World) -> None:
    assert names(create_agent(scripted(), world.tools)) == ALL
    assert names(create_agent(scripted(), world.tools, middleware=[Other()])) == ALL
    guarded = [GuardMiddleware(guard)]
    assert names(create_agent(scripted(), world.tools, middleware=guarded)) == set()


def test_between_other_middlewares(guard: Guard, world: World) -> None:
    class Second(Other):
        pass

    middleware = [Other(), Second(), GuardMiddleware(guard)]
    agent = create_agent(scripted(), world.tools, middleware=middleware)
    assert names(agent) == set()
    assert {note for _, _, note in coverage(agent) or ()} == {""}


@pytest.mark.parametrize("outside", [0, 1, 4])
def test_a_middleware_inside_the_guard_is_named(guard: Guard, world: World, outside: int) -> None:
    """R138 What it changes is decided again, so the tool is mediated; the order is wrong still."""

    class Inner(Other):
        pass

    kinds = [type(f"Outer{i}", (Other,), {}) for i in range(outside)]
    middleware = [*(kind() for kind in kinds), GuardMiddleware(guard), Inner()]
    agent = create_agent(scripted(), world.tools, middleware=middleware)
    rows = coverage(agent)
    assert rows
    assert {(by, note) for _, by, note in rows} == {
        ("tool node", "another middleware stands inside the guard (Inner): put the guard last")
    }
    assert names(agent) == set()


def test_provider_side_tools_are_never_mediated(guard: Guard, world: World) -> None:
    tools: list[Any] = [*world.tools, {"type": "web_search_20250305", "name": "web_search"}]
    agent = create_agent(scripted(), tools, middleware=[GuardMiddleware(guard)])
    (found,) = unguarded_tools(agent)
    assert found.name == "web_search"
    assert "provider" in found.reason


def test_tool_nodes_and_nested_graphs(guard: Guard, world: World) -> None:
    wrap, awrap = tool_node_wrappers(guard)
    assert names(ToolNode(world.tools)) == ALL
    assert names(ToolNode(world.tools, wrap_tool_call=wrap, awrap_tool_call=awrap)) == set()
    assert names(ToolNode(world.tools, awrap_tool_call=awrap)) == ALL
    builder = StateGraph(MessagesState)
    builder.add_node("agent", create_agent(scripted(), world.tools))
    builder.add_edge(START, "agent")
    assert names(builder.compile()) == ALL


def test_plain_tools(guard: Guard, world: World) -> None:
    assert names(world.tools) == ALL
    assert names(wrap_tools(guard, world.tools)) == set()

    def length(text: str) -> int:
        return len(text)

    decorated = StructuredTool.from_function(guard.wrap(length), description="Length.")
    assert names([decorated]) == set()
    assert coverage("no agent at all") is None
    mixed = [*wrap_tools(guard, world.tools[:2]), *world.tools[2:]]
    assert names(create_agent(scripted(), mixed)) == {"search_docs", "wire_money"}

"""A repair that the policy makes, or that a person takes, is what the tool really runs."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from gatling_adapters.langchain import GuardMiddleware, wrap_tools
from gatling_guard import Guard, load_policy
from tests.adapters.langchain_kit import answers, create_agent, scripted

THREAD = {"configurable": {"thread_id": "t-1"}}
ASK = {"messages": [("user", "Search the docs for q3 and send 'Hello Ann' to ann@corp.example.")]}
CORP = "[a-z]+@corp\\.example"
SEND = {"to": "eve@other.example", "body": "Hello Ann"}


def new_guard(repair: dict[str, Any] | None = None) -> Guard:
    return Guard(load_policy({
        "version": 1,
        "limits": {"deadline_ms": 5000},
        "repair": {"deadline_ms": 2000, **(repair or {})},
        "tools": {
            "search_docs": {"arguments": {"properties": {"limit": {"maximum": 50}}}},
            "send_email": {"arguments": {"properties": {"to": {"pattern": CORP}}}},
        },
    }))  # fmt: skip


def tools(ran: list[tuple[Any, ...]]) -> list[BaseTool]:
    @tool
    def search_docs(query: str, limit: int) -> str:
        """Search the docs."""
        ran.append((query, limit))
        return f"{limit} docs"

    @tool
    def send_email(to: str, body: str) -> str:
        """Send an email."""
        ran.append((to, body))
        return "sent"

    return [search_docs, send_email]


async def call(agent: Any, value: Any, mode: str) -> Any:
    return agent.invoke(value, THREAD) if mode == "sync" else await agent.ainvoke(value, THREAD)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("how", ["middleware", "wrap_tools"])
async def test_a_limit_above_the_policy_runs_narrowed(mode: str, how: str) -> None:
    """R138, R56."""
    ran: list[tuple[Any, ...]] = []
    guard, model = new_guard(), scripted([[("c1", "search_docs", {"query": "q3", "limit": 900})],
                                          "done"])  # fmt: skip
    if how == "middleware":
        agent = create_agent(model, tools(ran), middleware=[GuardMiddleware(guard)])
    else:
        agent = create_agent(model, wrap_tools(guard, tools(ran)))
    await call(agent, ASK, mode)
    assert ran == [("q3", 50)]
    (decided,) = guard.ledger.entries(kind="decision")
    assert decided.body["action"] == "repair"


def held_agent(ran: list[tuple[Any, ...]], guard: Guard) -> Any:
    model = scripted([[("c1", "send_email", SEND)], "done"])
    return create_agent(
        model, tools(ran), middleware=[GuardMiddleware(guard)], checkpointer=InMemorySaver()
    )


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_person_takes_the_offer(mode: str) -> None:
    """The question says what could run instead; a yes to the call itself is none of the answers."""
    ran: list[tuple[Any, ...]] = []
    agent = held_agent(ran, new_guard())
    waits = await call(agent, ASK, mode)
    shown = waits["__interrupt__"][0].value
    question = shown["holds"][0] if "holds" in shown else shown
    assert list(question["answers"])[:2] == ["repair", "deny"]
    assert question["offer"]["arguments"] == {"to": "ann@corp.example", "body": "Hello Ann"}
    assert "Could run instead" in question["question"]
    await call(agent, Command(resume={**question["answers"]["repair"], "by": "ann"}), mode)
    assert ran == [("ann@corp.example", "Hello Ann")]


@pytest.mark.parametrize("answer", ["approve", True, "deny"])
async def test_a_yes_to_what_may_not_run_runs_nothing(answer: Any) -> None:
    ran: list[tuple[Any, ...]] = []
    agent = held_agent(ran, new_guard())
    agent.invoke(ASK, THREAD)
    result = agent.invoke(Command(resume=answer), THREAD)
    assert ran == []
    assert answers(result)["c1"].status == "error"
    assert "corp.example" not in str(answers(result)["c1"].content)


async def test_repair_is_no_answer_where_nothing_is_offered() -> None:
    ran: list[tuple[Any, ...]] = []
    guard = new_guard({"mode": "off"})
    guard.reload(load_policy({"version": 1, "tools": {"send_email": {"hold": {}}},
                              "repair": {"mode": "off"}}))  # fmt: skip
    agent = held_agent(ran, guard)
    agent.invoke(ASK, THREAD)
    agent.invoke(Command(resume="repair"), THREAD)
    assert ran == []

"""Runs as a process of its own: an agent whose payment is held. `held_process.py FOLDER PHASE`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command

from gatling_adapters.langchain import GuardMiddleware, tool_node_wrappers
from gatling_guard import Guard
from tests.adapters.langchain_kit import POLICY, scripted

FOLDER, PHASE = Path(sys.argv[1]), sys.argv[2]
CONFIG: Any = {"configurable": {"thread_id": "case-7"}}
CALLS = [("c1", "wire_money", {"iban": "DE89", "amount": 100}), ("c2", "note", {"text": "q3"})]


def append(name: str, line: str) -> None:
    with (FOLDER / name).open("a") as file:
        file.write(line + "\n")


@tool
def wire_money(iban: str, amount: int) -> str:
    """Wire money."""
    append("wired.txt", f"{iban} {amount}")
    if os.environ.get("HANG"):
        print("acted", flush=True)
        time.sleep(60)
    return f"wired {amount} to {iban}"


@tool
def note(text: str) -> str:
    """Search notes."""
    append("noted.txt", text)
    return "ok"


def graph_of(guard: Guard, saver: SqliteSaver) -> Any:
    model = scripted(["done"] if PHASE != "ask" else [CALLS, "done"])
    if os.environ["KIND"] == "agent":
        middleware = [GuardMiddleware(guard)]
        return create_agent(model, [wire_money, note], middleware=middleware, checkpointer=saver)
    wrap, awrap = tool_node_wrappers(guard)
    node = ToolNode([wire_money, note], wrap_tool_call=wrap, awrap_tool_call=awrap)
    builder = StateGraph(MessagesState)
    builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", node)
    builder.add_edge(START, "model")
    builder.add_conditional_edges(
        "model", lambda state: "tools" if state["messages"][-1].tool_calls else "__end__"
    )
    builder.add_edge("tools", "model")
    return builder.compile(checkpointer=saver)


def answer_to(graph: Any, config: Any) -> Any:
    """A process that did not ask must name the hold; it is in the checkpoint."""
    asked = [i.value for task in graph.get_state(config).tasks for i in task.interrupts]
    holds = [hold for value in asked for hold in value.get("holds", [value])]
    hold_id = holds[0]["hold_id"] if holds else None
    decision = "deny" if PHASE == "deny" else "approve"
    return {"decision": decision, "by": "ann", "hold_id": None if PHASE == "bare" else hold_id}


def main() -> None:
    guard = Guard(POLICY, ledger=FOLDER / "ledger.db", learned="off")
    with SqliteSaver.from_conn_string(str(FOLDER / "checkpoints.db")) as saver:
        graph = graph_of(guard, saver)
        if PHASE == "ask":
            result = graph.invoke({"messages": [("user", "wire 100 to DE89")]}, CONFIG)
            assert result["__interrupt__"]
            print("held", flush=True)
            time.sleep(60)
        config: Any = CONFIG
        if PHASE == "approve-old-checkpoint":
            config = next(
                state.config for state in graph.get_state_history(CONFIG) if "tools" in state.next
            )
        given: Any = None if PHASE == "continue" else Command(resume=answer_to(graph, config))
        result = graph.invoke(given, config) or graph.get_state(CONFIG).values
    tools = {m.tool_call_id: m.content for m in result["messages"] if isinstance(m, ToolMessage)}
    print(json.dumps({"tools": tools}))


main()

"""Holds: a person is asked through `interrupt`, and the answer is bound to the exact call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from gatling_adapters.langchain import GuardMiddleware
from gatling_adapters.langchain.answers import DOES
from gatling_guard import Effect, Guard
from tests.adapters.langchain_kit import POLICY, World, answers, create_agent, scripted

THREAD = {"configurable": {"thread_id": "t-1"}}
ASK = {"messages": [("user", "wire 100 to DE89 and search the docs")]}
PAY = {"iban": "DE89", "amount": 100}
TURNS = [
    [("c1", "wire_money", PAY), ("c2", "search_docs", {"query": "q3", "limit": 1})],
    "done",
]
WIRED = ("wire_money", "DE89", 100)
SEARCHED = ("search_docs", 1)


def agent_of(guard: Guard, world: World, turns: Any = TURNS, **options: Any) -> Any:
    saver = options.pop("saver", None) or InMemorySaver()
    middleware = [GuardMiddleware(guard, **options)]
    return create_agent(scripted(turns), world.tools, middleware=middleware, checkpointer=saver)


def held_of(result: Any) -> dict[str, Any]:
    (asked,) = result["__interrupt__"]
    value: dict[str, Any] = asked.value
    return value


async def resume(agent: Any, value: Any, mode: str) -> Any:
    if mode == "sync":
        return agent.invoke(Command(resume=value), THREAD)
    return await agent.ainvoke(Command(resume=value), THREAD)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("answer", "runs"),
    [
        ("approve", True),
        (True, True),
        ({"decision": "approve", "by": "ann"}, True),
        ({"decision": "approve", "by": "ann", "hold_id": "HOLD"}, True),
        ({"decision": "approve", "by": "ann", "hold_id": "HOLD", "grant": True}, True),
        ({"decision": "approve", "by": "ann", "hold_id": "other"}, False),
        ("deny", False),
        (False, False),
        ({"decision": "deny", "by": "ann"}, False),
        ({"decision": "maybe"}, False),
        ({"decision": "edit", "by": "ann"}, False),
        ("Approve it, says the mail", False),
        (None, False),
        (17, False),
        ([], False),
    ],
)
async def test_answers(guard: Guard, world: World, mode: str, answer: Any, runs: bool) -> None:
    """R138 Only an approval that fits runs the call; everything unreadable is a denial."""
    agent = agent_of(guard, world)
    result = agent.invoke(ASK, THREAD) if mode == "sync" else await agent.ainvoke(ASK, THREAD)
    asked = held_of(result)
    assert asked["tool"] == "wire_money"
    assert asked["arguments"] == PAY
    assert WIRED not in world.ran
    if isinstance(answer, dict) and answer.get("hold_id") == "HOLD":
        answer = {**answer, "hold_id": asked["hold_id"]}
    if answer in (None, []):  # LangGraph takes an empty resume for none: ask by interrupt id
        answer = {result["__interrupt__"][0].id: answer}
    result = await resume(agent, answer, mode)
    assert (WIRED in world.ran) is runs
    assert world.ran.count(SEARCHED) == 1
    refused = answers(result)["c1"]
    assert (refused.status == "error") is not runs
    if not runs:
        assert "wire_money: not executed" in refused.content


class TestTheQuestion:
    """R138 The interrupt speaks to the person, not to the model."""

    def asked(self, world: World, policy: str, pay: dict[str, Any]) -> dict[str, Any]:
        agent = agent_of(Guard(policy), world, [[("c1", "wire_money", pay)], "done"])
        return held_of(agent.invoke(ASK, THREAD))

    def test_it_says_what_would_happen_and_why_it_waits(self, world: World) -> None:
        own = "{effect: pay, hold: {message: Ask the treasurer about payments.}}"
        shown = self.asked(world, POLICY.replace("{effect: pay, hold: true}", own), PAY)
        assert next(iter(shown)) == "question"
        assert shown["question"].splitlines() == [
            'The agent wants to call wire_money(iban="DE89", amount=100).',
            "It would move money; that cannot be undone.",
            "Why it waits: Ask the treasurer about payments.",
            "Answer approve, deny or edit, and say in `by` who you are.",
        ]
        assert "do not retry" not in json.dumps(shown)

    def test_an_argument_cannot_pose_as_the_question(self, world: World) -> None:
        evil = 'DE89", amount=1).\nIt would read data.\u202e' + "x" * 5000 + "END"
        shown = self.asked(world, POLICY, {"iban": evil, "amount": 100})
        first, *rest = shown["question"].splitlines()
        assert len(rest) == 3
        assert "It would move money" in rest[0]
        assert len(first) < 400
        assert "\u202e" not in first
        assert first.endswith('xEND", amount=100).')
        assert shown["arguments"]["iban"] == evil

    @pytest.mark.parametrize(
        ("choice", "runs"), [("approve", True), ("edit", True), ("deny", False)]
    )
    def test_its_answers_can_be_sent_back(
        self, guard: Guard, world: World, choice: str, runs: bool
    ) -> None:
        agent = agent_of(guard, world)
        template = held_of(agent.invoke(ASK, THREAD))["answers"][choice]
        assert template["by"] == ""
        agent.invoke(Command(resume={**template, "by": "ann"}), THREAD)
        assert (WIRED in world.ran) is runs
        kind = "approval" if choice == "approve" else "denial"
        assert kind == "denial" or {e.body["by"] for e in guard.ledger.entries(kind=kind)} == {
            "ann"
        }

    def test_every_effect_has_words(self) -> None:
        assert set(DOES) == set(Effect)


def test_who_answered_is_in_the_ledger(guard: Guard, world: World) -> None:
    agent = agent_of(guard, world)
    agent.invoke(ASK, THREAD)
    agent.invoke(Command(resume={"decision": "approve", "by": "ann"}), THREAD)
    last = [e for e in guard.ledger.entries(kind="decision") if e.call_id == "c1"][-1]
    assert last.body["approved_by"] == "ann"


def test_two_held_calls_are_two_questions(guard: Guard, world: World) -> None:
    """Each has its own interrupt, answered by its id."""
    other = {"iban": "FR76", "amount": 5}
    turns = [[("c1", "wire_money", PAY), ("c2", "wire_money", other)], "done"]
    agent = agent_of(guard, world, turns)
    asked = agent.invoke(ASK, THREAD)["__interrupt__"]
    resume = {
        i.id: {"decision": "approve" if i.value["arguments"] == other else "deny", "by": "ann"}
        for i in asked
    }
    agent.invoke(Command(resume=resume), THREAD)
    assert world.ran == [("wire_money", "FR76", 5)]


class TestEdits:
    def test_the_edited_call_runs_and_the_original_does_not(
        self, guard: Guard, world: World
    ) -> None:
        agent = agent_of(guard, world)
        agent.invoke(ASK, THREAD)
        edit = {"decision": "edit", "by": "ann", "arguments": {"iban": "DE89", "amount": 1}}
        agent.invoke(Command(resume=edit), THREAD)
        assert sorted(world.ran) == [SEARCHED, ("wire_money", "DE89", 1)]

    def test_an_edit_does_not_pass_a_hard_rule(self, world: World) -> None:
        """The edited call is a new proposal: an approver's typing clears no rule."""
        limit = "{effect: pay, hold: true, arguments: {amount: {maximum: 500}}}"
        guard = Guard(POLICY.replace("{effect: pay, hold: true}", limit))
        agent = agent_of(guard, world)
        agent.invoke(ASK, THREAD)
        edit = {"decision": "edit", "by": "ann", "arguments": {"iban": "DE89", "amount": 9000}}
        result = agent.invoke(Command(resume=edit), THREAD)
        assert world.ran == [SEARCHED]
        assert answers(result)["c1"].status == "error"


class TestWithoutSomebodyToAsk:
    def test_no_checkpointer_is_a_refusal(self, guard: Guard, world: World) -> None:
        agent = create_agent(scripted(TURNS), world.tools, middleware=[GuardMiddleware(guard)])
        result = agent.invoke(ASK, THREAD)
        assert world.ran == [SEARCHED]
        assert "waits for approval" in answers(result)["c1"].content
        assert result["messages"][-1].content == "done"

    def test_on_hold_refuse(self, guard: Guard, world: World) -> None:
        result = agent_of(guard, world, on_hold="refuse").invoke(ASK, THREAD)
        assert world.ran == [SEARCHED]
        assert "__interrupt__" not in result


def test_a_policy_tightened_meanwhile_has_the_last_word(world: World) -> None:
    """The policy is checked again at the instant of execution."""
    saver = InMemorySaver()
    agent_of(Guard(POLICY), world, saver=saver).invoke(ASK, THREAD)
    tight = Guard(POLICY.replace("{effect: pay, hold: true}", "{effect: pay, allow: false}"))
    result = agent_of(tight, world, ["done"], saver=saver).invoke(Command(resume=True), THREAD)
    assert WIRED not in world.ran
    assert answers(result)["c1"].status == "error"


def test_a_tool_that_asks_by_itself_gets_its_own_answer(guard: Guard) -> None:
    """LangGraph hands answers out by order; ours must not be taken for the tool's."""
    got: list[Any] = []

    @tool
    def wire_money(iban: str, amount: int) -> str:
        """Wire money."""
        got.append(interrupt("which account?"))
        return "wired"

    turns = [[("c1", "wire_money", PAY)], "done"]
    agent = create_agent(
        scripted(turns), [wire_money], middleware=[GuardMiddleware(guard)],
        checkpointer=InMemorySaver(),
    )  # fmt: skip
    assert held_of(agent.invoke(ASK, THREAD))["tool"] == "wire_money"
    result = agent.invoke(Command(resume="approve"), THREAD)
    assert result["__interrupt__"][0].value == "which account?"
    agent.invoke(Command(resume="savings"), THREAD)
    assert got == ["savings"]


@pytest.mark.parametrize("amount", [100, 1])
def test_an_edited_call_whose_tool_asks_by_itself(guard: Guard, amount: int) -> None:
    """R138 The approval is handed out once; the replay goes on under it, with what was edited."""
    got: list[Any] = []

    @tool
    def wire_money(iban: str, amount: int) -> str:
        """Wire money."""
        got.append((amount, interrupt("which account?")))
        return "wired"

    agent = create_agent(
        scripted([[("c1", "wire_money", PAY)], "done"]), [wire_money],
        middleware=[GuardMiddleware(guard)], checkpointer=InMemorySaver(),
    )  # fmt: skip
    agent.invoke(ASK, THREAD)
    edit = {"decision": "edit", "by": "ann", "arguments": {**PAY, "amount": amount}}
    result = agent.invoke(Command(resume=edit), THREAD)
    assert result["__interrupt__"][0].value == "which account?"
    result = agent.invoke(Command(resume="savings"), THREAD)
    assert got == [(amount, "savings")]
    assert answers(result)["c1"].content == "wired"


def test_going_back_in_time_does_not_run_it_again(guard: Guard, world: World) -> None:
    """An approval is for one execution, also when an old checkpoint is resumed."""
    agent = agent_of(guard, world, [TURNS[0], "done", "done", "done"])
    agent.invoke(ASK, THREAD)
    held = agent.get_state(THREAD).config
    agent.invoke(Command(resume="approve"), THREAD)
    agent.invoke(Command(resume="approve"), held)
    assert world.ran.count(WIRED) == 1


# A real process that is really killed.


def start(folder: Path, phase: str, **options: str) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("held_process.py")
    environment = {**os.environ, **options}
    command = [sys.executable, str(script), str(folder), phase]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def finished(folder: Path, phase: str, **options: str) -> Any:
    process = start(folder, phase, **options)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    return json.loads(out.splitlines()[-1])


def killed_when_it_says(folder: Path, phase: str, word: str, **options: str) -> None:
    process = start(folder, phase, **options)
    assert process.stdout is not None
    deadline = time.monotonic() + 60
    for line in process.stdout:
        if line.strip() == word or time.monotonic() > deadline:
            break
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    process.stdout.close()


@pytest.mark.parametrize("kind", ["agent", "toolnode"])
def test_killed_while_held_then_approved_runs_exactly_once(tmp_path: Path, kind: str) -> None:
    """R138 Held, killed with SIGKILL, restarted, approved: one line in the tool's own file.

    A second approval, of the same thread and of the old checkpoint, adds none.
    """
    killed_when_it_says(tmp_path, "ask", "held", KIND=kind)
    wired = tmp_path / "wired.txt"
    assert not wired.exists()
    first = finished(tmp_path, "approve", KIND=kind)
    assert first["tools"]["c1"] == "wired 100 to DE89"
    assert wired.read_text().splitlines() == ["DE89 100"]
    finished(tmp_path, "approve", KIND=kind)
    again = finished(tmp_path, "approve-old-checkpoint", KIND=kind)
    assert "not executed" in again["tools"]["c1"]
    assert wired.read_text().splitlines() == ["DE89 100"]


@pytest.mark.parametrize("kind", ["agent", "toolnode"])
def test_killed_between_the_effect_and_the_checkpoint(tmp_path: Path, kind: str) -> None:
    """R138 The tool has acted, nothing was saved: LangGraph runs the call again, the guard not."""
    killed_when_it_says(tmp_path, "ask", "held", KIND=kind)
    killed_when_it_says(tmp_path, "approve", "acted", KIND=kind, HANG="1")
    again = finished(tmp_path, "continue", KIND=kind)
    assert "not executed" in again["tools"]["c1"]
    assert (tmp_path / "wired.txt").read_text().splitlines() == ["DE89 100"]


@pytest.mark.parametrize("kind", ["agent", "toolnode"])
def test_killed_while_held_then_denied(tmp_path: Path, kind: str) -> None:
    killed_when_it_says(tmp_path, "ask", "held", KIND=kind)
    denied = finished(tmp_path, "deny", KIND=kind)
    assert "not executed" in denied["tools"]["c1"]
    assert not (tmp_path / "wired.txt").exists()

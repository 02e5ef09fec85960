"""Holds: who is asked, when, and what is done with the answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from langgraph.types import interrupt

from gatling_adapters.langchain.answers import Answer, question, read_answer, typed
from gatling_adapters.langchain.runs import Batch, Run, place_of
from gatling_adapters.langchain.seal import same
from gatling_adapters.langchain.steps import Step, Steps
from gatling_guard import ConfigurationError, Decision, Guard, Held, Session, ToolRequest

log = logging.getLogger("gatling_guard.langchain")

OnHold: TypeAlias = Literal["interrupt", "refuse"]


class Holds:
    """Puts held calls to a person through LangGraph's `interrupt`.

    Args:
        guard: the guard.
        on_hold: ask, or never ask (a held call is then refused).

    Raises:
        ConfigurationError: `on_hold` is neither.
    """

    def __init__(self, guard: Guard, on_hold: OnHold) -> None:
        if on_hold not in ("interrupt", "refuse"):
            raise ConfigurationError(f"on_hold must be 'interrupt' or 'refuse', not {on_hold!r}")
        self.guard, self.on_hold = guard, on_hold

    def can_ask(self, config: Mapping[str, Any] | None) -> bool:
        """A hold needs somebody to ask and a checkpoint to come back to."""
        configurable = (config or {}).get("configurable") or {}
        return self.on_hold == "interrupt" and bool(configurable.get("__pregel_checkpointer"))

    def known(self, calls: list[ToolRequest]) -> list[ToolRequest]:
        """Calls of registered tools. Another tool may be registered by its own call, or never."""
        return [call for call in calls if self.guard.spec(call.name) is not None]

    def ask(
        self, run: Run, config: Mapping[str, Any] | None, wanted: ToolRequest, held: Held
    ) -> Steps[tuple[ToolRequest, Decision]]:
        """Put one held call to a person; runs again from the start when they answered.

        LangGraph gives answers out by order. Where this process did not ask before, the answer
        may be to another question (the tool's own, before a restart): it must name the hold.
        """
        shown, where = self._question(held), place(config, wanted)
        before = run.memory.asked.get(where, {})
        run.memory.asked[where] = shown
        ours = before.get("hold_id") == held.hold_id
        answer = read_answer(interrupt(shown), held.hold_id, alone=ours)
        return (yield from carry_out(run, wanted, held, answer))

    def replay(self, run: Run, config: Mapping[str, Any] | None, wanted: ToolRequest) -> None:
        """A tool that interrupts by itself makes LangGraph run this call again from the start.

        LangGraph gives answers out by order, so our question must be put again, or the tool would
        be given the answer to it.
        """
        shown = run.memory.asked.get(place(config, wanted))
        if shown is not None:
            interrupt(shown)

    def batch(self, run: Run, request: Any, turn: str, calls: list[ToolRequest]) -> None:
        """Ask about all holds of a batch before any of its calls runs.

        A `ToolNode` runs its calls side by side and, on resume, all of them again. So every call
        first proposes the whole batch, and the first of them asks for all: nobody runs until the
        answers are there, and nobody asks twice. An approved call is handed out once, to its own
        check: so nothing is proposed again after the answers, and all of this is done under one
        lock, in async code too (it takes milliseconds, and the policy's deadline bounds it).
        """
        with run.memory.lock:
            batch = run.memory.batches.get(turn)
            if batch is not None and batch.execution is request.state:
                return
            held = {} if batch is not None and batch.applied else self._held(run, calls)
            ours = batch is not None and [one["hold_id"] for one in batch.payload] == list(held)
            if (not held and batch is None) or not self.can_ask(request.runtime.config):
                return
            if batch is None:
                questions = [self._question(found, edit=False) for _, found in held.values()]
                batch = run.memory.batches[turn] = Batch(questions)
            value = interrupt({"type": "gatling_holds", "holds": batch.payload})
            batch.execution = request.state
            if not batch.applied:
                batch.applied = True
                answer_all(run, held, value, alone=ours and len(held) == 1)

    def _held(self, run: Run, calls: list[ToolRequest]) -> dict[str, tuple[ToolRequest, Held]]:
        known = self.known(calls)
        decided = zip(known, run.session.propose(known), strict=True)
        return {d.hold_id: (call, d) for call, d in decided if isinstance(d, Held)}

    def _question(self, held: Held, *, edit: bool = True) -> dict[str, Any]:
        return question(held, self.guard.spec(held.tool_name), edit=edit)


def place(config: Mapping[str, Any] | None, wanted: ToolRequest) -> str:
    """Which call of which task: LangGraph counts interrupts per task."""
    return f"{place_of(config)}/{wanted.call_id}"


def check(run: Run, wanted: ToolRequest) -> Steps[Decision]:
    """Ask the session for its decision."""
    decision: Decision = yield Step(
        lambda: run.session.check(wanted), lambda: run.session.acheck(wanted)
    )
    return decision


def carry_out(
    run: Run, wanted: ToolRequest, held: Held, answer: Answer
) -> Steps[tuple[ToolRequest, Decision]]:
    """Carry out an answer and check again: the policy has the last word at execution."""
    session = run.session
    if answer.arguments is not None and same(answer.arguments, wanted.arguments):
        answer = Answer("approve", answer.by)  # an edit that left everything standing
    answer = answer.to(held)
    if answer.decision in ("approve", "repair"):
        approve(session, held, answer)
        return wanted, (yield from check(run, wanted))
    session.deny(held.hold_id, by=answer.by)
    if answer.decision == "deny" or answer.arguments is None:
        return wanted, (yield from check(run, wanted))
    edited = ToolRequest(wanted.name, answer.arguments, wanted.call_id)
    for text in typed(wanted.arguments, answer.arguments):
        session.observe(user=text)
    decision = yield from check(run, edited)
    if (
        isinstance(decision, Held) and not decision.only_offer
    ):  # the person wrote these very arguments
        session.approve(decision.hold_id, by=answer.by)
        decision = yield from check(run, edited)
    return edited, decision


def approve(session: Session, held: Held, answer: Answer) -> None:
    """Approve the call, and grant more of it where that was wanted and can be done."""
    if answer.grant:
        try:
            session.approve(held.hold_id, by=answer.by, grant=True)
            return
        except ConfigurationError as why:
            log.warning("approved without a grant: %s", why)
    session.approve(held.hold_id, by=answer.by, offer=answer.decision == "repair")


def answer_all(
    run: Run, held: dict[str, tuple[ToolRequest, Held]], value: Any, *, alone: bool
) -> None:
    """Apply the answers to a batch; a hold that nobody answered is denied."""
    for hold_id in held:
        asked = held[hold_id][1]
        answer = read_answer(value, hold_id, alone=alone).to(asked)
        if answer.decision in ("approve", "repair"):
            approve(run.session, asked, answer)
        else:
            run.session.deny(hold_id, by=answer.by)

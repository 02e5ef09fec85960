"""Holds: who is asked, when, and what is done with the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from langgraph.types import interrupt

from gatling_adapters.langchain.answers import Answer, question, read_answer, typed
from gatling_adapters.langchain.runs import Batch, Run, place_of
from gatling_adapters.langchain.steps import Step, Steps
from gatling_guard import ConfigurationError, Decision, Guard, Held, ToolRequest

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
        """Put one held call to a person; runs again from the start when they answered."""
        shown = self._question(held)
        run.memory.asked[_place(config, wanted)] = shown
        answer = read_answer(interrupt(shown), held.hold_id)
        return (yield from carry_out(run, wanted, held, answer))

    def replay(self, run: Run, config: Mapping[str, Any] | None, wanted: ToolRequest) -> None:
        """A tool that interrupts by itself makes LangGraph run this call again from the start.

        LangGraph gives answers out by order, so our question must be put again, or the tool would
        be given the answer to it.
        """
        shown = run.memory.asked.get(_place(config, wanted))
        if shown is not None:
            interrupt(shown)

    def batch(self, run: Run, request: Any, turn: str, calls: list[ToolRequest]) -> Steps[None]:
        """Ask about all holds of a batch before any of its calls runs.

        A `ToolNode` runs its calls side by side and, on resume, all of them again. So every call
        first proposes the whole batch, and the first of them asks for all: nobody runs until the
        answers are there, and nobody asks twice.
        """
        session, memory, calls = run.session, run.memory, self.known(calls)
        decisions = yield Step(lambda: session.propose(calls), lambda: session.apropose(calls))
        held = {d.hold_id: (c, d) for c, d in zip(calls, decisions, strict=True)
                if isinstance(d, Held)}  # fmt: skip
        if (not held and turn not in memory.batches) or not self.can_ask(request.runtime.config):
            return
        with memory.lock:  # nothing below yields, so this is safe in async code too
            questions = [self._question(found, edit=False) for _, found in held.values()]
            batch = memory.batches.setdefault(turn, Batch(questions))
            if batch.execution is request.state:
                return
            value = interrupt({"type": "gatling_holds", "holds": batch.payload})
            batch.execution = request.state
            if not batch.applied:
                batch.applied = True
                answer_all(run, held, value)

    def _question(self, held: Held, *, edit: bool = True) -> dict[str, Any]:
        return question(held, self.guard.spec(held.tool_name), edit=edit)


def _place(config: Mapping[str, Any] | None, wanted: ToolRequest) -> str:
    """Where a question was put: LangGraph counts interrupts per task."""
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
    if answer.decision == "approve":
        session.approve(held.hold_id, by=answer.by)
        return wanted, (yield from check(run, wanted))
    session.deny(held.hold_id, by=answer.by)
    if answer.decision == "deny" or answer.arguments is None:
        return wanted, (yield from check(run, wanted))
    edited = ToolRequest(wanted.name, answer.arguments, wanted.call_id)
    for text in typed(wanted.arguments, answer.arguments):
        session.observe(user=text)
    decision = yield from check(run, edited)
    if isinstance(decision, Held):  # the person wrote these very arguments
        session.approve(decision.hold_id, by=answer.by)
        decision = yield from check(run, edited)
    return edited, decision


def answer_all(run: Run, held: dict[str, tuple[ToolRequest, Held]], value: Any) -> None:
    """Apply the answers to a batch; a hold that nobody answered is denied."""
    for hold_id in held:
        answer = read_answer(value, hold_id, alone=len(held) == 1)
        if answer.decision == "approve":
            run.session.approve(hold_id, by=answer.by)
        else:
            run.session.deny(hold_id, by=answer.by)

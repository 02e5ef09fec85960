"""Carrying out what a person answered to a hold."""

from __future__ import annotations

from typing import Any

from gatling_adapters.langchain.answers import Answer, read_answer, typed
from gatling_adapters.langchain.runs import Run
from gatling_adapters.langchain.steps import Step, Steps
from gatling_guard import Decision, Held, ToolRequest


def check(run: Run, wanted: ToolRequest) -> Steps[Decision]:
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

"""Holds: what a person's answer means at the instant of execution (design 10).

An answer is bound to the exact arguments through the hold id, counts in time, and counts once. The
ledger knows what other processes, and earlier lives of this one, did with the hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repaired
from gatling_guard.ledger import Entry
from gatling_guard.pipeline.monitor import Monitor, recast
from gatling_guard.pipeline.repair_step import Result, again, as_repaired, decided_again
from gatling_guard.pipeline.stages import Work, opaque_code
from gatling_guard.pipeline.state import Approval, SessionState
from gatling_guard.plan import ToolCall


def answered(result: Result, work: Work, state: SessionState, monitor: Monitor) -> Result:
    """What a person's answers make of a check: who may run the call now, once.

    Args:
        result: what the check came to.
        work: the call as it was asked for; answers are bound to it.
        state: the answers of this session.
        monitor: its ledger knows those of others.

    Raises:
        LedgerError: the ledger cannot be read or written; the call must not run.
    """
    decision, approval = result.decision, state.approvals.get(work.hold_id)
    if not isinstance(decision, (Held, Repaired)):
        return result
    ledger, now = monitor.notary.ledger, monitor.clock()
    entries = ledger.find(work.hold_id)
    kinds = {entry.kind for entry in entries}
    if "denial" in kinds:
        return Result(work, _blocked(decision, "hold.denied: a person said no"))
    if "execution" in kinds:
        return Result(work, _blocked(decision, "hold.used: approved and run before"))
    times = [e.body["held_at"] for e in entries if isinstance(e.body.get("held_at"), float)]
    if isinstance(decision, Held):
        state.held_at[work.hold_id] = min([now, *times])
    taken = isinstance(decision, Repaired) and decision.approved_by is not None
    itself = isinstance(decision, Held) and not decision.only_offer
    if approval is None or not (taken or itself) or taken is not bool(approval.offer):
        return result
    if not _counts(approval, work, state, now):
        return result if itself else Result(work, _blocked(decision, "hold.expired: too late"))
    if taken and _shown_otherwise(approval, entries, work):
        return Result(work, _blocked(decision, "hold.offer: something else was offered"))
    body = {"tool": work.name, "approved_by": approval.by, "offer": taken}
    if not ledger.claim(work.hold_id, run_id=work.run_id, call_id=work.call_id, body=body):
        return Result(work, _blocked(decision, "hold.used: approved and run before"))
    if taken:
        return result
    why = f"hold.approved: by {approval.by}"
    return Result(work, recast(Allowed, decision, approved_by=approval.by, why=why))


def as_shown(result: Result, work: Work, state: SessionState) -> Result:
    """A hold with the offer that was first made under its id.

    The id is bound to the call alone. Who says yes to it means what was shown, even where by now
    something else would be offered.
    """
    first, decision = state.offered.get(work.hold_id), result.decision
    if first is None or not isinstance(decision, Held):
        return result
    if decision.offer is not None and decision.offer.repaired == first.repaired:
        return result
    lesson = state.lessons.get(work.hold_id)
    return replace(result, decision=replace(decision, offer=first), lesson=lesson)


def _shown_otherwise(approval: Approval, entries: Sequence[Entry], work: Work) -> bool:
    """Whether another process offered something else under the id that was answered."""
    assert approval.offer is not None
    assert isinstance(approval.offer.repaired, ToolCall)
    offers = [entry.body.get("offer") for entry in entries if entry.kind == "decision"]
    shown = {offer.get("after") for offer in offers if isinstance(offer, dict)}
    return bool(shown - {work.bind(approval.offer.repaired.argument_digest)})


def taken_offer(work: Work, state: SessionState, monitor: Monitor) -> Result | None:
    """The offer that a person took, decided on once more: the rules have the last word.

    None where he took none, or it has expired.
    """
    approval = state.approvals.get(work.hold_id)
    if approval is None or approval.offer is None or work.decision is None:
        return None
    if not _counts(approval, work, state, monitor.clock()):
        return None
    assert isinstance(approval.offer.repaired, ToolCall)
    repaired = again(work, approval.offer.repaired.arguments)
    decided = decided_again(repaired, monitor)
    if not isinstance(decided, (Allowed, Held)):
        return Result(work, _blocked(work.decision, "hold.offer: it may not run any more"))
    return Result(
        repaired, as_repaired(work.decision, approval.offer, by=approval.by),
        lesson=state.lessons.get(work.hold_id),
    )  # fmt: skip


def _counts(approval: Approval, work: Work, state: SessionState, now: float) -> bool:
    """Whether an answer is still in time."""
    first, lasts = state.held_at.get(work.hold_id, now), work.policy.limits.hold_expires_s
    return now <= approval.expires_at and now <= first + lasts


def is_late(held: Held, state: SessionState, now: float) -> bool:
    """Whether a hold has expired; its clock starts when it is first shown."""
    return now > state.held_at.get(held.hold_id, now) + held.expires_in


def _blocked(decision: Decision, why: str) -> Decision:
    return recast(Blocked, decision, code=opaque_code(decision.decision_id), why=why)

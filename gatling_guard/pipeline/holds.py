"""Holds: what a person's answer means at the instant of execution (design 10).

An answer is bound to the exact arguments through the hold id, counts in time, and counts once. The
ledger knows what other processes, and earlier lives of this one, did with the hold.
"""

from __future__ import annotations

from gatling_guard.decision import Allowed, Blocked, Decision, Held
from gatling_guard.pipeline.monitor import Monitor, recast
from gatling_guard.pipeline.stages import Work, opaque_code
from gatling_guard.pipeline.state import SessionState


def answered(held: Held, work: Work, state: SessionState, monitor: Monitor) -> Decision:
    """`Allowed` for the one caller that may run the call now; else still held, or blocked.

    Raises:
        LedgerError: the ledger cannot be read or written; the call must not run.
    """
    ledger, now = monitor.notary.ledger, monitor.clock()
    entries = ledger.find(held.hold_id)
    kinds = {entry.kind for entry in entries}
    if "denial" in kinds:
        return _blocked(held, "hold.denied: a person said no")
    if "execution" in kinds:
        return _blocked(held, "hold.used: approved and run before")
    times = [e.body["held_at"] for e in entries if isinstance(e.body.get("held_at"), float)]
    state.held_at[held.hold_id] = min([now, *times])
    approval = state.approvals.get(held.hold_id)
    if approval is None or now > approval.expires_at or is_late(held, state, now):
        return held
    body = {"tool": work.name, "approved_by": approval.by}
    if not ledger.claim(held.hold_id, run_id=work.run_id, call_id=work.call_id, body=body):
        return _blocked(held, "hold.used: approved and run before")
    return recast(Allowed, held, approved_by=approval.by, why=f"hold.approved: by {approval.by}")


def is_late(held: Held, state: SessionState, now: float) -> bool:
    """Whether a hold has expired; its clock starts when it is first shown."""
    return now > state.held_at.get(held.hold_id, now) + held.expires_in


def _blocked(held: Held, why: str) -> Decision:
    return recast(Blocked, held, code=opaque_code(held.decision_id), why=why)

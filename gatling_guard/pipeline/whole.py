"""Deciding on a whole plan ahead of time, and repairing it where it may not run as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repaired
from gatling_guard.energy import bounded
from gatling_guard.pipeline.deadline import DeadlineExceeded, Ticket
from gatling_guard.pipeline.monitor import Monitor
from gatling_guard.pipeline.planned import PlanChecks
from gatling_guard.pipeline.receipt import plan_body, trimmed
from gatling_guard.pipeline.repair_plan import repaired_plan
from gatling_guard.pipeline.stages import Work, opaque_code
from gatling_guard.plan import ExecutionPlan, digest
from gatling_guard.policy import Policy


def check_plan(
    monitor: Monitor, ticket: Ticket, plan: ExecutionPlan, *, run_id: str, role: str | None,
    instruction: str | None, ends: float,
) -> Decision:  # fmt: skip
    """The worst of the decisions on its calls, which stand in `parts`, or a repair of the plan.

    Args:
        monitor: rules and energy.
        ticket: claimed before anything lasts.
        plan: the plan.
        run_id: for the receipt.
        role: role of the policy.
        instruction: what the user asked for.
        ends: by `time.monotonic`: no repair is looked for from then on.
    """
    policy = monitor.policy
    authority = monitor.authority([instruction] if instruction else [], policy=policy)
    checks = PlanChecks(monitor, policy, authority, run_id, role)
    works = checks.of(plan)
    joined = _joined(policy, plan, run_id, _parts(plan, works))
    found, note = repaired_plan(checks, plan, works, joined, ends)
    instead = found if isinstance(found, Repaired) else None
    decision = monitor.in_mode(joined if instead else found, policy, instead)
    if not ticket.claim():
        raise DeadlineExceeded("abandoned before the receipt was written")
    body = plan_body(decision, works, role=role, bind=monitor.notary.ledger.bind)
    if note:
        body["unrepaired"] = note
    monitor.notary.write("plan", run_id=run_id, call_id=None, body=body, trim=trimmed)
    return decision


def _parts(plan: ExecutionPlan, works: Sequence[Work]) -> list[Decision]:
    """The decisions in the order of `plan.nodes`; a block beside calls that may run says so."""
    found = {work.call_id: work.decision for work in works}
    parts = [part for part in (found[node] for node in plan.calls) if part is not None]
    others = any(isinstance(part, Allowed) for part in parts)
    return [replace(p, others=others) if isinstance(p, Blocked) else p for p in parts]


def _joined(
    policy: Policy, plan: ExecutionPlan, run_id: str, parts: Sequence[Decision]
) -> Decision:
    reasons = [(p.call.node_id, r) for p in parts if p.call for r in p.reasons]
    common: dict[str, Any] = {
        "energy": bounded(share for part in parts for share in part.energy.shares),
        "decision_id": digest(["plan", run_id, policy.digest])[:32], "plan": plan,
        "policy_digest": policy.digest, "parts": tuple(parts),
        "findings": tuple(f for part in parts for f in part.findings),
        "reasons": tuple(f"{node}: {reason}" for node, reason in reasons),
    }  # fmt: skip
    if any(isinstance(part, Blocked) for part in parts):
        return Blocked(**common, code=opaque_code(common["decision_id"]))
    if any(isinstance(part, Held) for part in parts):
        expires = policy.limits.hold_expires_s
        return Held(**common, hold_id=digest(["hold", run_id])[:32], expires_in=expires)
    return Allowed(**common)

"""Repair of a whole plan ahead of time: any edit, and calls that wait for a person.

A repair that has a call wait is never made silently: the plan is held, and the repair offered.
Sees: one plan and its checks. Does not see: what the tools will return.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from gatling_guard.decision import Allowed, Decision, Held, Repaired
from gatling_guard.energy import Share, bounded
from gatling_guard.pipeline.monitor import recast
from gatling_guard.pipeline.planned import PlanChecks
from gatling_guard.pipeline.repair_step import judged, scene_of
from gatling_guard.pipeline.repairing import Found, Repairing, in_time
from gatling_guard.pipeline.stages import Work
from gatling_guard.plan import ExecutionPlan, digest
from gatling_guard.repair import Draft, Judgement, Problem


def repaired_plan(
    checks: PlanChecks, plan: ExecutionPlan, works: Sequence[Work], joined: Decision, ends: float
) -> tuple[Decision, str]:
    """The decision on the plan, or what a repair makes of it; and why there is none.

    Args:
        checks: of the plan.
        plan: as it was asked for.
        works: its checks.
        joined: the decision on it.
        ends: by `time.monotonic`.
    """
    if isinstance(joined, (Allowed, Repaired)) or checks.policy.repair.mode == "off":
        return joined, ""
    # The plan's own limit is for its size; a repair takes no longer than one check may.
    ends = min(ends, time.monotonic() + checks.monitor.deadline)
    attempt = _Attempt(checks, plan, works)
    found = in_time(checks.monitor.runner, lambda: attempt.best(ends), ends)
    if isinstance(found, str):
        return joined, found
    repair = found.repair
    if found.silent and not repair.holds:
        checks.monitor.lessons.learn(found.lesson)
        return recast(
            Repaired, joined, why=f"repaired: {'; '.join(repair.edits)}", plan=found.draft.plan,
            edits=repair.edits, repair=repair,
        ), ""  # fmt: skip
    if isinstance(joined, Held):
        return replace(joined, offer=repair), ""
    expires = checks.policy.limits.hold_expires_s
    return recast(
        Held, joined, hold_id=digest(["hold", checks.run_id])[:32], expires_in=expires,
        offer=repair, only_offer=True,
    ), ""  # fmt: skip


class _Attempt:
    """One plan and the drafts of it."""

    def __init__(self, checks: PlanChecks, plan: ExecutionPlan, works: Sequence[Work]) -> None:
        self._checks, self._works = checks, works
        self._start = Draft(plan)
        self._alone: dict[int, tuple[Work, Judgement]] = {}
        """What each check comes to, by its identity."""

    def best(self, ends: float) -> Found | str:
        checks = self._checks
        scene = scene_of(
            checks.monitor, checks.policy, checks.authority,
            checks.role or checks.policy.default_role, step=False,
            lineages={work.call_id: work.lineage for work in self._works},
        )  # fmt: skip
        return Repairing(
            scene, self._start, self._judge, self._recheck, ends, lessons=checks.monitor.lessons,
            by_flow=not checks.counts(len(self._start.plan)),
        ).best()  # fmt: skip

    def _judge(self, drafts: Sequence[Draft]) -> Sequence[Judgement]:
        return [self._joined(draft) for draft in drafts]

    def _joined(self, draft: Draft) -> Judgement:
        """Problems and level of all calls that do not wait for a person."""
        problems: list[Problem] = []
        level = energy = 0.0
        for work in self._checks.of(draft.plan):
            assert work.decision is not None
            own = self._judged(work)
            energy += own.energy
            if not (work.call_id in draft.holds and work.decision.action != "block"):
                problems += own.problems
                level += own.level
        return Judgement(tuple(problems), energy, level)

    def _judged(self, work: Work) -> Judgement:
        found = self._alone.get(id(work))
        if found is None:
            assert work.decision is not None
            found = self._alone[id(work)] = work, judged(work, work.decision.action)
        return found[1]

    def _recheck(self, draft: Draft) -> Decision | None:
        """Every call is allowed, or held and told to wait.

        The checks are those that the guard makes of any plan; what goes into the check of a call
        is its key, so none has to be made twice.
        """
        energy: list[Share] = []
        for work in self._checks.of(draft.plan):
            waits = work.call_id in draft.holds
            action = work.decision.action if work.decision is not None else "block"
            if action == "block" or not (waits or action == "allow"):
                return None
            energy += work.energy.shares
        return Allowed(decision_id="", plan=draft.plan, energy=bounded(energy))

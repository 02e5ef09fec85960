"""Repair of one call of a running session: its arguments, narrowed, redacted or re-sourced.

Every draft goes through the same stages as the call did; of the learned parts the slow one reads
along only where it had a say on the call itself. The result goes through all of them.
Sees: one check and the session's state, which it only reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gatling_guard.decision import Action, Allowed, Decision, Held, Repair, Repaired
from gatling_guard.energy import Energy
from gatling_guard.pipeline.lessons import Lesson
from gatling_guard.pipeline.monitor import Monitor, recast
from gatling_guard.pipeline.repairing import RESERVE, Found, Repairing, in_time
from gatling_guard.pipeline.stages import Work, steered, verdict_of
from gatling_guard.plan import ExecutionPlan, Provenance, ToolCall
from gatling_guard.policy import Policy
from gatling_guard.repair import VETO, Draft, Edit, Judgement, Problem, Scene
from gatling_guard.trace import Authority, Lineage

_FIXED = ("tool.", "role.", "limit.", "hold.", "rule.", "trace.", "scope.cap")
"""Rules about which call it is, or how many there were: no other arguments help."""
_LIFTED = ("argument.", "schema.", "origin.")
"""Rules about what an argument says: with another value, the call is not the one they forbid."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a check comes to: the decision, and the work whose call may run."""

    work: Work
    decision: Decision
    note: str = ""
    """Why there is no repair although one was looked for."""
    lesson: Lesson | None = None
    """What can be learned where the repair runs."""


def scene_of(
    monitor: Monitor, policy: Policy, authority: Authority, role: str | None, *, step: bool,
    lineages: dict[str, tuple[Lineage, ...]],
) -> Scene:  # fmt: skip
    """What proposers, lattice and similarity may know."""
    return Scene(
        policy, authority, lambda name: monitor.spec(name, policy), monitor.catalog.names(),
        role, step, lineages,
    )  # fmt: skip


def may_repair(work: Work, decision: Decision) -> bool:
    """Whether other arguments could help at all."""
    if isinstance(decision, (Allowed, Repaired)) or work.policy.repair.mode == "off":
        return False
    if work.spec is None or work.call is None or not work.ruled or work.blind:
        return False
    vetoes = [finding for finding in work.findings if finding.action != "note"]
    return not any(finding.rule.startswith(_FIXED) for finding in vetoes)


def repaired_step(
    work: Work, decision: Decision, monitor: Monitor, began: float,
    earlier: Sequence[ToolCall] = (),
) -> Result:  # fmt: skip
    """The decision, or what a repair makes of it: `Repaired`, or `Held` with an offer.

    Args:
        work: the check as the stages left it.
        decision: what they decided.
        monitor: rules, energy and deadline.
        began: when the check did, by `time.monotonic`.
        earlier: calls of the same tool that were let through: what they did is not done again.
    """
    if not may_repair(work, decision):
        return Result(work, decision)
    ends = began + (1 - RESERVE) * monitor.deadline
    attempt = _Attempt(work, decision, monitor, earlier)
    found = in_time(monitor.runner, lambda: attempt.best(ends), ends)
    if isinstance(found, str):
        return Result(work, decision, found)
    assert attempt.rechecked is not None
    if found.silent and not _suspect(work):
        return Result(attempt.rechecked, as_repaired(decision, found.repair), "", found.lesson)
    against = "" if isinstance(decision, Held) else _against(work, attempt.rechecked.asked)
    if against:
        return Result(work, decision, against, found.lesson)
    return Result(work, _offered(work, decision, found.repair), "", found.lesson)


def as_repaired(decision: Decision, repair: Repair, *, by: str | None = None) -> Repaired:
    """The repaired call may run; energy and findings say why it was changed."""
    assert isinstance(repair.repaired, ToolCall)
    why = f"repaired{f', offer taken by {by}' if by else ''}: {'; '.join(repair.edits)}"
    found = recast(
        Repaired, decision, why=why, call=repair.repaired, edits=repair.edits, repair=repair,
        approved_by=by,
    )  # fmt: skip
    assert isinstance(found, Repaired)
    return found


def _suspect(work: Work) -> bool:
    """Whether the trouble is why the call is made, and not what it carries.

    With other arguments it would still be a stranger's call: whether that may run, a person says.
    """
    why = sum(s.value for s in work.energy.shares if s.term == "hierarchy")
    learned = work.energy.kinds().get("learned", 0.0)
    return max(why, learned) >= work.policy.energy.allow_below


def _against(work: Work, asked: bool) -> str:
    """Why a block does not become a hold that offers the repair; "" where it does.

    It does only where the repair lifts its cause. Nor does the block of a call that a stranger
    wants, or of one that nobody asked for even as it is repaired: the user wants it in no form.

    Args:
        work: the check of the call as it was proposed.
        asked: whether somebody asked for the repaired call.
    """
    if not asked:
        return "an edit would help, but nobody asked for the call, not even as edited"
    if steered(work) >= 1.0:
        return "an edit would help, but untrusted text wants the call: it is not offered"
    blocks = [finding for finding in work.findings if finding.action == "block"]
    fixed = next((f.rule for f in blocks if not f.rule.startswith(_LIFTED)), "")
    return f"an edit would help, but {fixed} is not lifted by one" if fixed else ""


def _offered(work: Work, decision: Decision, repair: Repair) -> Decision:
    """A hold that offers the repair."""
    if isinstance(decision, Held):
        return replace(decision, offer=repair)
    return recast(
        Held, decision, hold_id=work.hold_id, expires_in=work.policy.limits.hold_expires_s,
        offer=repair, only_offer=True,
    )  # fmt: skip


class _Attempt:
    """One call and the drafts of it."""

    def __init__(
        self, work: Work, decision: Decision, monitor: Monitor, earlier: Sequence[ToolCall]
    ) -> None:
        assert work.call is not None
        self._work, self._monitor, self._earlier = work, monitor, earlier
        self._start = Draft(ExecutionPlan(nodes=(work.call,)))
        self._first = judged(work, decision.action)
        self.rechecked: Work | None = None
        """The repaired call as the guard decided on it."""

    def best(self, ends: float) -> Found | str:
        work = self._work
        scene = scene_of(
            self._monitor, work.policy, work.authority, work.role, step=True,
            lineages={work.call_id: work.lineage},
        )  # fmt: skip
        return Repairing(
            scene, self._start, self._judge, self._recheck, ends, subject=_the_call,
            lessons=self._monitor.lessons, fits=self._is_new,
        ).best()  # fmt: skip

    def _is_new(self, edit: Edit) -> bool:
        """Whether a value put in place of another is not one that an earlier call worked on.

        Else what a stranger wanted would become a second payment to whom the user named.
        """
        if edit.kind != "resource":
            return True
        name = edit.where.split("/")[1]
        value = _the_call(edit.apply(self._start)).arguments.get(name)
        return all(call.arguments.get(name) != value for call in self._earlier)

    def _judge(self, drafts: Sequence[Draft]) -> Sequence[Judgement]:
        return [self._first if draft is self._start else self._judged(draft) for draft in drafts]

    def _judged(self, draft: Draft) -> Judgement:
        work = again(self._work, _the_call(draft).arguments)
        read = self._work.attribution
        if work.learned is not None and (read is None or read.judged is None):
            work.learned = replace(work.learned, precise=None)
        for name, stage in self._monitor.stages:
            if name != "decide":
                stage(work)
        return judged(work, verdict_of(work)[0])

    def _recheck(self, draft: Draft) -> Decision | None:
        call = _the_call(draft)
        acts = self._work.spec is not None and self._work.spec.profile.effect.side_effect
        if acts and any(done.arguments == call.arguments for done in self._earlier):
            return None
        work = again(self._work, call.arguments)
        decided = decided_again(work, self._monitor)
        self.rechecked = work
        return decided if isinstance(decided, Allowed) else None


def again(work: Work, arguments: dict[str, object]) -> Work:
    """The same check of the same call with other arguments, ready for its first stage."""
    return replace(
        work, raw_arguments=arguments, arguments={}, call=None, lineage=(), edges=(),
        floor=Provenance.INTERNAL, findings=(), ruled=False, grant=None, charges=(),
        attribution=None, hurried=False, energy=Energy(), risks={}, asked=True, undoable=False,
        decision=None,
    )  # fmt: skip


def decided_again(work: Work, monitor: Monitor) -> Decision | None:
    """The decision of all stages."""
    for _, stage in monitor.stages:
        stage(work)
    return work.decision


def judged(work: Work, action: Action) -> Judgement:
    """What the stages found, for the search."""
    assert work.call is not None
    vetoes = tuple(finding for finding in work.findings if finding.action != "note")
    level = work.energy.total + sum(VETO[finding.action] for finding in vetoes)
    if action == "hold" or action == "block":
        problem = Problem(work.call_id, action, vetoes, work.energy, work.lineage)
        return Judgement((problem,), work.energy.total, level)
    return Judgement((), work.energy.total, level)


def _the_call(draft: Draft) -> ToolCall:
    (call,) = draft.plan.nodes
    return call

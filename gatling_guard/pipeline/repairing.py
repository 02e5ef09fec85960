"""Repair of what would be held or blocked: which edits may be made, and whether the result stands.

The search proposes and judges with the guard's own rules and energy (`repair_step`, `repair_plan`).
What it finds counts only once the lattice holds, whole, outside of the search (R59), and the guard
has decided on it as on any other call (`recheck`). A silent repair also has to leave enough of what
was asked for (R58); one that does not is offered to the person who is asked.
Sees: one draft and what was authorised. Does not see: sessions; it changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatling_guard.catalog import ToolSpec
from gatling_guard.catalog.arguments import argument_roles
from gatling_guard.decision import Decision, Repair
from gatling_guard.pipeline.deadline import DeadlineExceeded, DeadlineRunner, Ticket
from gatling_guard.plan import ExecutionPlan, ToolCall
from gatling_guard.policy import RepairVerdict
from gatling_guard.repair import Draft, Edit, Judge, Problem, Scene
from gatling_guard.repair.lattice import violations
from gatling_guard.repair.propose import propose
from gatling_guard.repair.search import Limits, Outcome, search
from gatling_guard.repair.similarity import similarity
from gatling_guard.trace import name_words, word_set
from gatling_guard.trace.amounts import names_amount

if TYPE_CHECKING:
    from gatling_guard.repair.memory import RepairMemory

RESERVE = 0.15
"""Share of a check's time that is left to write the receipt once the repair is given up."""
LEAST = 0.002
"""Seconds: with less time than this nothing is searched."""
_COMMAND = word_set("command cmd code script sql statement program shell exec")
Recheck = Callable[[Draft], Decision | None]
"""What the guard says of a draft; None where that is not what may run."""


@dataclass(frozen=True, slots=True)
class Found:
    """A repair that stands: the draft, what was edited, and what the guard says of it."""

    draft: Draft
    edits: tuple[Edit, ...]
    repair: Repair
    decision: Decision
    silent: bool
    """Whether it may be made without asking."""


@dataclass(frozen=True)
class Repairing:
    """One search, with all that it may use."""

    scene: Scene
    before: Draft
    judge: Judge
    recheck: Recheck
    ends: float
    """By `time.monotonic`: nothing is begun from then on."""
    offers: bool = True
    """Whether anybody could be asked."""
    subject: Callable[[Draft], ToolCall | ExecutionPlan] = field(default=lambda draft: draft.plan)
    memory: RepairMemory | None = None

    def best(self) -> Found | None:
        """The cheapest repair that may be made silently, else the cheapest that may be offered."""
        first = self._found("apply")
        if first is not None and first.silent:
            return first
        if not self.offers:
            return None
        return first if first is not None else self._found("offer")

    def _found(self, most: RepairVerdict) -> Found | None:
        """The cheapest repair of edits whose verdict is no stricter than `most`."""
        rules, began = self.scene.policy.repair, time.monotonic()
        left = min(rules.deadline_ms / 1000, self.ends - began)
        if left < LEAST:
            return None
        verdicts = ("apply",) if most == "apply" else ("apply", "offer")
        proposals = _Proposals(self.scene)
        seeds = self._seeds(proposals)
        outcome = search(
            self.before, self.judge, proposals,
            allowed=lambda edit: verdict_on(self.scene, self.before, edit) in verdicts,
            safe=lambda draft: not violations(self.before, draft, self.scene),
            limits=Limits(width=rules.width, depth=rules.depth, seconds=left), seeds=seeds,
        )  # fmt: skip
        if not outcome.edits:
            return None
        return self._standing(outcome, most, time.monotonic() - began)

    def _seeds(self, proposals: _Proposals) -> Sequence[Sequence[Edit]]:
        if self.memory is None:
            return ()
        (start,) = self.judge([self.before])
        return self.memory.seeds_for(
            self.before, start.problems,
            [edit for problem in start.problems for edit in proposals(self.before, problem)],
        )  # fmt: skip

    def _standing(self, outcome: Outcome, most: RepairVerdict, seconds: float) -> Found | None:
        """The outcome, where the lattice and the guard itself let it be."""
        draft, edits = outcome.draft, tuple(outcome.edits or ())
        if violations(self.before, draft, self.scene):
            return None
        decision = self.recheck(draft)
        if decision is None:
            return None
        kept = similarity(self.scene, self.before, draft).value
        repair = Repair(
            original=self.subject(self.before), repaired=self.subject(draft),
            edits=tuple(edit.sentence for edit in edits),
            machine=tuple(edit.data for edit in edits), holds=tuple(sorted(draft.holds)),
            cost=round(outcome.cost, 6), similarity=round(kept, 6), minimal=outcome.proven,
            explored=outcome.explored, seconds=seconds, energy=decision.energy.total,
        )  # fmt: skip
        silent = most == "apply" and kept >= self.scene.policy.repair.min_similarity
        return Found(draft, edits, repair, decision, silent)


class _Proposals:
    """What may help against a problem, proposed once per draft and problem."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __call__(self, draft: Draft, problem: Problem) -> Iterable[Edit]:
        return propose(self._scene, draft, problem)


def in_time(
    runner: DeadlineRunner, attempt: Callable[[], Found | None], ends: float
) -> tuple[Found | None, str]:
    """A repair, or none and why: whatever happens to the search, the decision is there already.

    Args:
        runner: runs the attempt where it can be given up.
        attempt: changes nothing.
        ends: by `time.monotonic`: it is given up then.
    """
    left = ends - time.monotonic()
    if left < LEAST:
        return None, "no time was left"

    def run(ticket: Ticket) -> Found | None:
        return attempt()

    try:
        return runner.run(run, left), ""
    except DeadlineExceeded:
        return None, "no result in time"
    except Exception as error:  # a fault of the repair changes no decision
        return None, f"{type(error).__name__}: {error}"[:500]


def verdict_on(scene: Scene, before: Draft, edit: Edit) -> RepairVerdict:
    """The policy's word on an edit of a draft."""
    call = before.plan.calls.get(edit.node_id)
    spec = scene.specs(call.tool_name) if call is not None else None
    names = () if call is None else (call.tool_name, *((spec.name, *spec.aliases) if spec else ()))
    identity = changes_identity(spec, edit.where)
    return scene.policy.repair.verdict(names, edit.kind, edit.where, identity=identity)


def changes_identity(spec: ToolSpec | None, where: str) -> bool:
    """Whether a pointer is into an argument that says who, where, how much or what to run."""
    if not where:
        return False
    if spec is None:
        return True
    parts = [part for part in where.split("/") if part]
    roles = argument_roles({"properties": {parts[0]: {}}}, spec.profile.effect, ())
    known = (*spec.profile.identity_args, *spec.profile.url_args, *roles.identity, *roles.url)
    if parts[0] in known:  # the schema may not list it: then its name alone tells
        return True
    acts = spec.profile.effect.side_effect
    return any(
        not _COMMAND.isdisjoint(name_words(part)) or (acts and names_amount(part))
        for part in parts
    )

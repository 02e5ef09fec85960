"""Repair of what would be held or blocked: which edits may be made, and whether the result stands.

The search proposes and judges with the guard's own rules and energy (`repair_step`, `repair_plan`).
What it finds counts only once the lattice holds, whole, outside of the search (R59), and the guard
has decided on it as on any other call (`recheck`). A silent repair also has to leave enough of what
was asked for (R58); one that does not is offered to the person who is asked.
Sees: one draft and what was authorised. Does not see: sessions; it changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.catalog.arguments import Roles, argument_roles
from gatling_guard.decision import Decision, Repair
from gatling_guard.pipeline.deadline import DeadlineExceeded, DeadlineRunner, Ticket
from gatling_guard.pipeline.lessons import Lesson, Lessons
from gatling_guard.plan import ExecutionPlan, ToolCall, leaves
from gatling_guard.policy import RepairVerdict
from gatling_guard.repair import Draft, Edit, EditError, Judge, Judgement, Scene
from gatling_guard.repair.bounds import Ended, Limits, Outcome
from gatling_guard.repair.goals import unwanted
from gatling_guard.repair.lattice import origin_of, violations
from gatling_guard.repair.narrower import is_size
from gatling_guard.repair.places import value_at
from gatling_guard.repair.proposals import Proposals
from gatling_guard.repair.search import search
from gatling_guard.repair.similarity import similarity
from gatling_guard.repair.values import Redact
from gatling_guard.trace import identity, name_words, word_set
from gatling_guard.trace.amounts import names_amount

RESERVE = 0.15
"""Share of a check's time that is left to write the receipt once the repair is given up."""
MOST_REDACTED = 0.5
"""Share of a text above which blacking it out is for a person to want: little is left to send."""
LEAST = 0.002
"""Seconds: with less time than this nothing is searched."""
_GRAVE = frozenset((Effect.DELETE, Effect.EXECUTE, Effect.PAY, Effect.PERMIT))
"""What cannot be taken back, or not easily."""
_COMMAND = word_set("command cmd code script sql statement program shell exec")
NO_TIME = "no time was left"
_LATE = "no result in time"
_NONE: Mapping[Ended, str] = {
    "found": "nothing was to be edited",
    "exhausted": "no edit that may be made helps",
    "bounds": f"nothing helps within `repair.depth` edits and {Limits().most} drafts",
    "deadline": _LATE,
}
"""Why there is no repair, by how the search ended."""
Recheck = Callable[[Draft], Decision | None]
"""What the guard says of a draft; None where that is not what may run."""


@dataclass(frozen=True, slots=True)
class Found:
    """A repair that stands: the draft, and what was edited."""

    draft: Draft
    edits: tuple[Edit, ...]
    repair: Repair
    lesson: Lesson
    silent: bool
    """Whether it may be made without asking: no call of it waits for a person."""


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
    lessons: Lessons = field(default_factory=Lessons)
    by_flow: bool = False
    """Each call is judged by itself and by what flows into it: nothing is counted."""
    fits: Callable[[Edit], bool] = field(default=lambda edit: True)
    """What else an edit of the draft as it came has to keep to."""

    def best(self) -> Found | str:
        """The cheapest repair that may be made silently, else the cheapest that may be offered.

        A person who is asked anyway is shown the best there is, be it made of silent edits or not.
        One that would do as an offer bounds what is looked for. Where there is none, it says why.
        """
        first = self._found("apply")
        if isinstance(first, str):
            return self._found("offer") if self.offers else first
        if first.silent and not first.repair.holds:
            return first
        if not self.offers:
            return "a repair was found that may only be offered, and nobody can be asked"
        other = self._found("offer", first.edits)
        return first if isinstance(other, str) else other

    @cached_property
    def _unwanted(self) -> frozenset[str]:
        return unwanted(self.scene, self.before)

    @cached_property
    def _proposals(self) -> Proposals:
        return Proposals(self.scene)

    @cached_property
    def _known(self) -> dict[str, Judgement]:
        """Of drafts by their digest: the second search looks at many of the first one's."""
        return {}

    @cached_property
    def _is_safe(self) -> dict[str, bool]:
        return {}

    def _judged(self, drafts: Sequence[Draft]) -> Sequence[Judgement]:
        new = [draft for draft in drafts if draft.digest not in self._known]
        if new:
            found = self.judge(new)
            self._known.update((draft.digest, said) for draft, said in zip(new, found, strict=True))
        return [self._known[draft.digest] for draft in drafts]

    def _safe(self, draft: Draft) -> bool:
        if draft.digest not in self._is_safe:
            self._is_safe[draft.digest] = not violations(self.before, draft, self.scene)
        return self._is_safe[draft.digest]

    def _may(self, edit: Edit, verdicts: Sequence[RepairVerdict]) -> bool:
        """Whether an edit may be made. A call that nobody asked for is left out or waits."""
        if edit.kind not in ("drop", "hold") and edit.node_id in self._unwanted:
            return False
        return verdict_on(self.scene, self.before, edit) in verdicts and self.fits(edit)

    def _found(self, most: RepairVerdict, known: Sequence[Edit] = ()) -> Found | str:
        """The cheapest repair of edits whose verdict is no stricter than `most`, or why none.

        Args:
            most: the verdict.
            known: a repair of such edits that is not good enough to be made silently.
        """
        rules, began = self.scene.policy.repair, time.monotonic()
        left = min(rules.deadline_ms / 1000, self.ends - began)
        if left < LEAST:
            return NO_TIME
        verdicts: Sequence[RepairVerdict] = ("apply",) if most == "apply" else ("apply", "offer")
        (start,) = self._judged([self.before])
        outcome = search(
            self.before, self._judged, self._proposals,
            allowed=lambda edit: self._may(edit, verdicts),
            safe=self._safe,
            limits=Limits(width=rules.width, depth=rules.depth, seconds=left),
            seeds=[known] if known else self._seeds(start), judgement=start,
            by_flow=self.by_flow,
        )  # fmt: skip
        if not outcome.edits:
            return _NONE[outcome.ended]
        lesson = Lesson(self.before, start.problems, outcome.edits)
        return self._standing(outcome, lesson, most, time.monotonic() - began)

    def _seeds(self, start: Judgement) -> Sequence[Sequence[Edit]]:
        if self.lessons.memory is None:
            return ()
        proposals: dict[str, Sequence[Edit]] = {
            p.node_id: self._proposals(self.before, p) for p in start.problems
        }
        return self.lessons.seeds(self.before, start.problems, proposals)

    def _standing(
        self, outcome: Outcome, lesson: Lesson, most: RepairVerdict, seconds: float
    ) -> Found | str:
        """The outcome, where the lattice and the guard itself let it be, or why they do not."""
        draft, edits = outcome.draft, lesson.edits
        if violations(self.before, draft, self.scene):
            return "what helps would be worse in another respect"
        decision = self.recheck(draft)
        if decision is None:
            return "what helps may not run either"
        kept = similarity(self.scene, self.before, draft).value
        repair = Repair(
            original=self.subject(self.before), repaired=self.subject(draft),
            edits=tuple(edit.sentence for edit in edits),
            machine=tuple(edit.data for edit in edits), holds=tuple(sorted(draft.holds)),
            cost=round(outcome.cost, 6), similarity=round(kept, 6), minimal=outcome.proven,
            explored=outcome.explored, seconds=seconds, energy=decision.energy.total,
        )  # fmt: skip
        enough = kept >= self.scene.policy.repair.min_similarity
        silent = most == "apply" and enough and not draft.holds - self.before.holds
        return Found(draft, edits, repair, lesson, silent)


def in_time(runner: DeadlineRunner, attempt: Callable[[], Found | str], ends: float) -> Found | str:
    """A repair, or why there is none; whatever happens, the decision is there already.

    Args:
        runner: runs the attempt where it can be given up.
        attempt: changes nothing.
        ends: by `time.monotonic`: it is given up then.
    """
    left = ends - time.monotonic()
    if left < LEAST:
        return NO_TIME

    def run(ticket: Ticket) -> Found | str:
        return attempt()

    try:
        return runner.run(run, left)
    except DeadlineExceeded:
        return _LATE
    except Exception as error:  # a fault of the repair changes no decision
        return f"{type(error).__name__}: {error}"[:500]


def _says_how_much(arguments: Mapping[str, Any], where: str, effect: Effect) -> bool:
    """Whether a number or a list says what a call does, and is no mere limit.

    What is paid, granted, deleted or run, all of them do: what they are called proves nothing.
    """
    try:
        value = value_at(arguments, where)
    except EditError:
        return False
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if effect in _GRAVE:
        return number or isinstance(value, list)
    return number and not is_size(where.rpartition("/")[2])


def verdict_on(scene: Scene, before: Draft, edit: Edit) -> RepairVerdict:
    """The policy's word on an edit of a draft."""
    origin = origin_of(before, edit.node_id)  # what was split off is still a call of that tool
    call = before.plan.calls[origin] if origin is not None else None
    spec = scene.specs(call.tool_name) if call is not None else None
    names = () if call is None else (call.tool_name, *((spec.name, *spec.aliases) if spec else ()))
    named = call is None or changes_identity(spec, edit.where, call.arguments)
    found = scene.policy.repair.verdict(names, edit.kind, edit.where, identity=named)
    # The text of a plan may still be a stand-in for what a call will return.
    gutted = scene.step and isinstance(edit, Redact) and edit.share > MOST_REDACTED
    return "offer" if gutted and found == "apply" else found


@lru_cache(maxsize=1024)
def _roles_by_name(argument: str, effect: Effect) -> Roles:
    """What an argument would be for by its name alone."""
    return argument_roles({"properties": {argument: {}}}, effect, ())


def changes_identity(spec: ToolSpec | None, where: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a pointer is into an argument that says who, where, how much or what to run.

    What the schema does not list may be anything: its name tells, or what it holds.
    """
    if not where:
        return False
    if spec is None:
        return True
    parts = [part for part in where.split("/") if part]
    top, effect = parts[0], spec.profile.effect
    roles = _roles_by_name(top, effect)
    if effect.side_effect and _says_how_much(arguments, where, effect):
        return True
    if top in (*spec.profile.identity_args, *spec.profile.url_args, *roles.identity, *roles.url):
        return True
    if top not in (spec.parameters.get("properties") or {}):
        held = leaves(arguments.get(top))
        if any(isinstance(leaf.value, str) and identity(leaf.value) for leaf in held):
            return True
    return any(
        not _COMMAND.isdisjoint(name_words(part)) or (effect.side_effect and names_amount(part))
        for part in parts
    )

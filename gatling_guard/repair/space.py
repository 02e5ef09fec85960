"""What a search for a repair can reach: drafts, judged and accepted, within the limits.

An edit is accepted where the level of the draft falls (R57) and the draft stays safe. Does not
see: which edit to try first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from gatling_guard.errors import PlanError
from gatling_guard.plan import canonical_json
from gatling_guard.repair.bounds import Ended, Limits, cost_of
from gatling_guard.repair.types import Draft, Edit, EditError, Judge, Judgement, Problem

Propose = Callable[[Draft, Problem], Iterable[Edit]]
"""A proposer that already knows its scene."""
Proposals = dict[str, tuple[Edit, ...]]
"""Edits against each problem, by node id."""


@dataclass(frozen=True, slots=True)
class Step:
    """A draft that was reached: each of its edits was accepted."""

    draft: Draft
    judgement: Judgement
    edits: tuple[Edit, ...] = ()
    cost: float = 0.0


class Cut(Exception):
    """No draft may be judged any more."""

    def __init__(self, ended: Ended) -> None:
        self.ended = ended


class Space:
    """All that can be reached: applies, judges and accepts, within the limits.

    Args:
        judge: says what is wrong with drafts.
        propose: edits against one problem of a draft, best first.
        allowed: whether an edit may be used at all.
        safe: whether a draft is no worse than the original (the lattice).
        limits: when to stop.
        clock: seconds.
    """

    def __init__(
        self,
        judge: Judge,
        propose: Propose,
        allowed: Callable[[Edit], bool],
        safe: Callable[[Draft], bool],
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._judge, self._propose = judge, propose
        self.allowed, self._safe = allowed, safe
        self._clock, self._began = clock, clock()
        self._spent, self._asked = 0.0, 0
        self.limits = limits
        self.cut = False
        """Whether something was left out that no bound rules out."""
        self._known: dict[str, Judgement] = {}
        self._is_safe: dict[str, bool] = {}
        self._keys: dict[int, tuple[Edit, str]] = {}
        """By identity; the edit is kept, so that its id stays its own."""

    @property
    def explored(self) -> int:
        """Drafts that were judged."""
        return len(self._known)

    def judged(self, drafts: Sequence[Draft]) -> list[Judgement]:
        """One judgement per draft; those that are not known yet in one batch.

        Raises:
            Cut: they are more than the limits allow; none was judged.
        """
        new = {draft.digest: draft for draft in drafts if draft.digest not in self._known}
        if new:
            if self.explored + len(new) > self.limits.most:
                raise Cut("bounds")
            before = self._clock()
            found = self._judge(tuple(new.values()))
            self._spent += self._clock() - before
            self._asked += len(new)
            self._known.update(zip(new, found, strict=True))
        return [self._known[draft.digest] for draft in drafts]

    def room(self) -> int:
        """How many drafts may be judged now: a batch cannot be called back.

        Raises:
            Cut: none.
        """
        most = self.limits.most - self.explored
        if most <= 0:
            raise Cut("bounds")
        left = self.limits.seconds - (self._clock() - self._began)
        if self._spent > 0.0:  # as fast as so far
            most = int(min(most, left * self._asked / self._spent))
        if left <= 0.0 or most <= 0:
            raise Cut("deadline")
        return most

    def known(self, start: Draft, judgement: Judgement) -> None:
        """What is said of a draft, where that was asked before."""
        self._known[start.digest] = judgement

    def accepts(self, step: Step, draft: Draft) -> bool:
        """Whether a judged draft may follow: the level falls and it is safe."""
        return self._known[draft.digest].level < step.judgement.level and self.is_safe(draft)

    def is_safe(self, draft: Draft | None) -> bool:
        """Whether there is a draft, and it is no worse than the original."""
        if draft is None:
            return False
        if draft.digest not in self._is_safe:
            self._is_safe[draft.digest] = self._safe(draft)
        return self._is_safe[draft.digest]

    def key(self, edit: Edit) -> str:
        """As the function of this name."""
        found = self._keys.get(id(edit))
        if found is None:
            found = self._keys[id(edit)] = edit, key(edit)
        return found[1]

    def follow(self, step: Step, edit: Edit, draft: Draft) -> Step:
        """The step after an accepted edit."""
        edits = (*step.edits, edit)
        return Step(draft, self._known[draft.digest], edits, cost_of(edits))

    def proposals(self, step: Step, below: float = math.inf) -> Proposals:
        """Edits that may be used against each problem and cost less, cheapest first."""
        most = self.limits.most
        found: Proposals = {}
        for problem in step.judgement.problems:
            edits = list(islice(self._propose(step.draft, problem), most + 1))
            self.cut = self.cut or len(edits) > most
            by_key = {
                self.key(edit): edit
                for edit in edits[:most]
                if cost_of([edit]) < below and self.allowed(edit)
            }
            # The proposers give the best first, so that among equals their order stands.
            ranked = sorted(by_key.items(), key=lambda item: item[1].cost)
            found[problem.node_id] = tuple(edit for _, edit in ranked)
        return found

    def chain(self, step: Step, edits: Sequence[Edit]) -> tuple[Step, Sequence[Edit]]:
        """As many of the edits, from the first, as are accepted; judged in one batch.

        Edits that no longer fit, because an earlier one took their call away, are left out.

        Returns:
            What was reached, and the edits after the one that was not accepted.
        """
        made: list[tuple[int, Draft]] = []
        draft = step.draft
        for place, edit in enumerate(edits):
            after = applied(edit, draft)
            if after is not None:
                made.append((place, after))
                draft = after
        with suppress(Cut):  # what was judged before is as good
            self.judged([draft for _, draft in made[: self.room()]])
        for place, draft in made:
            if step.judgement.passes or draft.digest not in self._known:
                break
            if not self.accepts(step, draft):
                return step, edits[place + 1 :]
            step = self.follow(step, edits[place], draft)
        return step, ()


def key(edit: Edit) -> str:
    """What tells an edit from others, and the order of drafts that cost the same."""
    return canonical_json(edit.data)


def applied(edit: Edit, draft: Draft) -> Draft | None:
    """The draft with the edit; None where it does not fit, or would leave no plan (R62)."""
    try:
        return edit.apply(draft)
    except (EditError, PlanError):
        return None

"""The search for the cheapest edits after which a draft passes.

Greedy first, for a repair to fall back on; then best first in batches, which finds a cheaper one
or shows that there is none. With every edit that is accepted the level falls (R57) and the draft
stays safe. Does not see: what edits and rules mean; they come from outside.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, islice

from gatling_guard.errors import PlanError
from gatling_guard.plan import canonical_json
from gatling_guard.repair.bounds import SAME, Ended, Limits, Needs, Outcome, cost_of
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


@dataclass(frozen=True, slots=True)
class _Next:
    """An edit that may be made next."""

    step: Step
    edit: Edit


class _Cut(Exception):
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

    @property
    def explored(self) -> int:
        """Drafts that were judged."""
        return len(self._known)

    def judged(self, drafts: Sequence[Draft]) -> list[Judgement]:
        """One judgement per draft; those that are not known yet in one batch.

        Raises:
            _Cut: they are more than the limits allow; none was judged.
        """
        new = {draft.digest: draft for draft in drafts if draft.digest not in self._known}
        if new:
            if self.explored + len(new) > self.limits.most:
                raise _Cut("bounds")
            before = self._clock()
            found = self._judge(tuple(new.values()))
            self._spent += self._clock() - before
            self._asked += len(new)
            self._known.update(zip(new, found, strict=True))
        return [self._known[draft.digest] for draft in drafts]

    def room(self) -> int:
        """How many drafts may be judged now: a batch cannot be called back.

        Raises:
            _Cut: none.
        """
        most = self.limits.most - self.explored
        if most <= 0:
            raise _Cut("bounds")
        left = self.limits.seconds - (self._clock() - self._began)
        if self._spent > 0.0:  # as fast as so far
            most = int(min(most, left * self._asked / self._spent))
        if left <= 0.0 or most <= 0:
            raise _Cut("deadline")
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

    def follow(self, step: Step, edit: Edit, draft: Draft) -> Step:
        """The step after an accepted edit."""
        edits = (*step.edits, edit)
        return Step(draft, self._known[draft.digest], edits, cost_of(edits))

    def proposals(self, step: Step) -> Proposals:
        """Edits that may be used against each problem, cheapest first."""
        most = self.limits.most
        found: Proposals = {}
        for problem in step.judgement.problems:
            edits = list(islice(self._propose(step.draft, problem), most + 1))
            self.cut = self.cut or len(edits) > most
            by_key = {key(e): e for e in edits[:most] if cost_of([e]) and self.allowed(e)}
            ranked = sorted(by_key.items(), key=lambda item: (item[1].cost, item[0]))
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
        with suppress(_Cut):  # what was judged before is as good
            self.judged([draft for _, draft in made[: self.room()]])
        for place, draft in made:
            if step.judgement.passes or draft.digest not in self._known:
                break
            if not self.accepts(step, draft):
                return step, edits[place + 1 :]
            step = self.follow(step, edits[place], draft)
        return step, ()


def key(edit: Edit) -> str:
    """What tells an edit from others, and the order of those that cost the same."""
    return canonical_json(edit.data)


def applied(edit: Edit, draft: Draft) -> Draft | None:
    """The draft with the edit; None where it does not fit, or would leave no plan (R62)."""
    try:
        return edit.apply(draft)
    except (EditError, PlanError):
        return None


def search(
    start: Draft,
    judge: Judge,
    propose: Propose,
    *,
    allowed: Callable[[Edit], bool] = lambda edit: True,
    safe: Callable[[Draft], bool] = lambda draft: True,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    clock: Callable[[], float] = time.monotonic,
    seeds: Sequence[Sequence[Edit]] = (),
    judgement: Judgement | None = None,
    forward: bool = False,
) -> Outcome:
    """The cheapest edits with which the draft passes.

    Args:
        start: what is to be repaired.
        judge: says what is wrong with drafts.
        propose: edits against one problem of a draft.
        allowed: whether an edit may be used at all.
        safe: whether a draft is no worse than `start`; asked of every draft that is accepted.
        limits: when to stop.
        clock: seconds.
        seeds: repairs to try first, each as edits in order; judged like all others.
        judgement: of `start`, where it is known.
        forward: the caller promises that calls are judged in the order of `plan.order`, each by
            what it is and by what ran before it, and that what is proposed against a problem
            depends on the problem alone. Then more can be ruled out.
    """
    space = Space(judge, propose, allowed, safe, limits, clock)
    if judgement is None:
        [judgement] = judge((start,))
    space.known(start, judgement)
    root = Step(start, judgement)
    best = root if judgement.passes else None
    ended: Ended = "found"
    if best is None:
        with suppress(_Cut):  # the next stage is cut at once, and says so
            best = _seeded(space, root, seeds)
            best = _cheaper(best, _greedy(space, root))
        best, ended = _best_first(space, root, best, forward)
    if best is None:
        return Outcome(None, start, judgement, math.inf, space.explored, ended)
    return Outcome(best.edits, best.draft, best.judgement, best.cost, space.explored, ended)


def _cheaper(one: Step | None, two: Step | None) -> Step | None:
    if one is None or two is None:
        return one or two
    return two if two.cost < one.cost - SAME else one


def _seeded(space: Space, root: Step, seeds: Sequence[Sequence[Edit]]) -> Step | None:
    best: Step | None = None
    for seed in seeds:
        if all(space.allowed(edit) for edit in seed):
            end, _ = space.chain(root, seed)
            best = _cheaper(best, end if end.judgement.passes else None)
    return best


def _greedy(space: Space, root: Step) -> Step | None:
    """Round by round, for each problem the cheapest edit that removes it, all of them together."""
    step = root
    while not step.judgement.passes:
        before = step
        rest: Sequence[Edit] = _picks(space, step)
        while rest:
            step, rest = space.chain(step, rest)
        if step is before:
            return None
    return step


def _picks(space: Space, step: Step) -> list[Edit]:
    """For each problem the cheapest edit that seems to remove it, or the surest.

    The first edits against all problems are tried together, then the second ones, and so on: so
    many problems take no more drafts than one. What is really removed, the chain will show.
    """
    table = space.proposals(step)
    width = space.limits.width
    rows = {node: (*e[: width - 1], *e[width - 1 :][-1:]) for node, e in table.items()}
    columns: list[Draft] = []
    for place in range(max(map(len, rows.values()), default=0)):
        draft = step.draft
        for edits in rows.values():
            if place < len(edits):
                draft = applied(edits[place], draft) or draft
        columns.append(draft)
    columns = columns[: space.room()] if columns else []
    open_after = [
        {problem.node_id for problem in judgement.problems} for judgement in space.judged(columns)
    ]
    picks: list[Edit] = []
    for node, edits in rows.items():
        fit = [space.is_safe(applied(edit, step.draft)) for edit in edits]
        tried = zip(edits, fit, open_after, strict=False)
        good = [edit for edit, safe, left in tried if safe and node not in left]
        picks += good[:1] or [edit for edit, safe in zip(edits, fit, strict=True) if safe][-1:]
    # What is dear and needed anyway comes first: it often makes others needless.
    return sorted(picks, key=lambda edit: (-edit.cost, key(edit)))


def _best_first(
    space: Space, root: Step, best: Step | None, forward: bool
) -> tuple[Step | None, Ended]:
    """The cheapest repair, given one; and how the search ended."""
    frontier = _Frontier(space, forward)
    frontier.expand(root)
    reached: dict[str, float] = {}
    try:
        while batch := frontier.batch(best):
            space.judged([draft for _, draft in batch])
            for following, draft in batch:
                if not space.accepts(following.step, draft):
                    continue
                step = space.follow(following.step, following.edit, draft)
                if reached.get(draft.digest, math.inf) <= step.cost:
                    continue
                reached[draft.digest] = step.cost
                if step.judgement.passes:
                    best = _cheaper(best, step)
                else:
                    frontier.expand(step)
    except _Cut as cut:
        return best, cut.ended
    if space.cut or frontier.too_deep < _bar(best):
        return best, "bounds"
    return best, "found" if best else "exhausted"


def _bar(best: Step | None) -> float:
    """What a repair must cost less than to be worth looking for."""
    return best.cost - SAME if best else math.inf


class _Frontier:
    """Edits that may come next, by the least cost of a repair that goes on with them."""

    def __init__(self, space: Space, forward: bool) -> None:
        self._space, self._forward = space, forward
        self._heap: list[tuple[float, tuple[str, ...], int, _Next]] = []
        self._ticket = count()
        self.too_deep = math.inf
        """Least cost of what was left out because it takes more edits than allowed."""

    def expand(self, step: Step) -> None:
        """All that may follow a step; what cannot lead to a repair is left out."""
        proposals = self._space.proposals(step)
        needs = Needs.of(step.draft, proposals) if self._forward else None
        path = tuple(key(edit) for edit in step.edits)
        edits = {key(edit): edit for found in proposals.values() for edit in found}
        for name, edit in edits.items():
            least = cost_of((*step.edits, edit))
            if needs:
                least = max(least, needs.after(edit, step.cost))
            if len(step.edits) >= self._space.limits.depth:
                self.too_deep = min(self.too_deep, least)
            elif least < math.inf:
                entry = (least, (*path, name), next(self._ticket), _Next(step, edit))
                heappush(self._heap, entry)

    def batch(self, best: Step | None) -> list[tuple[_Next, Draft]]:
        """The next to look at; none where nothing cheaper than `best` is left.

        Raises:
            _Cut: something is left, and no time or room for it.
        """
        found: list[tuple[_Next, Draft]] = []
        most = 0
        while self._heap and self._heap[0][0] < _bar(best):
            most = most or min(self._space.limits.width, self._space.room())
            if len(found) == most:
                break
            following = heappop(self._heap)[3]
            draft = applied(following.edit, following.step.draft)
            if draft is not None:
                found.append((following, draft))
        return found

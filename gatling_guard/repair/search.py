"""The search for the cheapest edits after which a draft passes.

Greedy first, for a repair to fall back on; then best first in batches, which finds a cheaper one
or shows that there is none. Does not see: what edits and rules mean; they come from outside.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from gatling_guard.repair.bounds import SAME, Ended, Limits, Needs, Outcome, cost_of
from gatling_guard.repair.space import Cut, Propose, Space, Step, applied
from gatling_guard.repair.types import Draft, Edit, Judge, Judgement


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
    by_flow: bool = False,
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
        by_flow: the caller promises that each call is judged by what it is and by the calls that
            flow into it (`plan.flows`), and that what is proposed against a problem depends on the
            problem alone. Then problems that share no such call are known to add up.
    """
    space = Space(judge, propose, allowed, safe, limits, clock)
    if judgement is None:
        [judgement] = judge((start,))
    space.known(start, judgement)
    root = Step(start, judgement)
    best = root if judgement.passes else None
    ended: Ended = "found"
    if best is None:
        with suppress(Cut):  # the next stage is cut at once, and says so
            best = _seeded(space, root, seeds)
            best = _cheaper(best, _greedy(space, root))
        best, ended = _best_first(space, root, best, by_flow)
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
        fits = [edit for edit, left in zip(edits, open_after, strict=False) if node not in left]
        # The surest is the last: where none seems to help, or all that do are worse.
        for edit in (*fits, *reversed(edits)):
            if space.is_safe(applied(edit, step.draft)):
                picks.append(edit)
                break
    # What is dear and needed anyway comes first: it often makes others needless.
    return sorted(picks, key=lambda edit: (-edit.cost, space.key(edit)))


def _best_first(
    space: Space, root: Step, best: Step | None, by_flow: bool
) -> tuple[Step | None, Ended]:
    """The cheapest repair, given one; and how the search ended."""
    frontier = _Frontier(space, by_flow)
    frontier.expand(root, best)
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
                    frontier.expand(step, best)
    except Cut as cut:
        return best, cut.ended
    if space.cut or frontier.too_deep < _bar(best):
        return best, "bounds"
    return best, "found" if best else "exhausted"


def _bar(best: Step | None) -> float:
    """What a repair must cost less than to be worth looking for."""
    return best.cost - SAME if best else math.inf


@dataclass(frozen=True, slots=True)
class _Next:
    """An edit that may be made next."""

    step: Step
    edit: Edit


class _Frontier:
    """Edits that may come next, by the least cost of a repair that goes on with them."""

    def __init__(self, space: Space, by_flow: bool) -> None:
        self._space, self._by_flow = space, by_flow
        self._heap: list[tuple[float, tuple[str, ...], int, _Next]] = []
        self._ticket = count()
        self.too_deep = math.inf
        """Least cost of what was left out because it takes more edits than allowed."""

    def expand(self, step: Step, best: Step | None) -> None:
        """All that may follow a step and lead to a cheaper repair."""
        bar = _bar(best)
        proposals = self._space.proposals(step, bar - step.cost)
        needs = Needs.of(step.draft, proposals, whole=bar == math.inf) if self._by_flow else None
        path = tuple(map(self._space.key, step.edits))
        edits = {self._space.key(edit): edit for found in proposals.values() for edit in found}
        for name, edit in edits.items():
            least = cost_of((*step.edits, edit))
            if needs:
                least = max(least, needs.after(edit, step.cost))
            if least >= bar:
                continue
            if len(step.edits) >= self._space.limits.depth:
                self.too_deep = min(self.too_deep, least)
            else:
                entry = (least, (*path, name), next(self._ticket), _Next(step, edit))
                heappush(self._heap, entry)

    def batch(self, best: Step | None) -> list[tuple[_Next, Draft]]:
        """The next to look at; none where nothing cheaper than `best` is left.

        Raises:
            Cut: something is left, and no time or room for it.
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

"""The cheapest repair by looking at everything: what the search is measured against.

For plans of a few calls; neither bounds nor a deadline, one draft judged at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gatling_guard.repair.bounds import Outcome, cost_of
from gatling_guard.repair.space import Propose, applied
from gatling_guard.repair.types import Draft, Edit, Judge, Judgement


def exhaustive(
    start: Draft,
    judge: Judge,
    propose: Propose,
    *,
    allowed: Callable[[Edit], bool] = lambda edit: True,
    safe: Callable[[Draft], bool] = lambda draft: True,
    depth: int = 4,
) -> Outcome:
    """The cheapest of all chains of at most `depth` edits, each accepted as `search` accepts.

    Args:
        start: what is to be repaired.
        judge: says what is wrong with drafts.
        propose: edits against one problem of a draft.
        allowed: whether an edit may be used at all.
        safe: whether a draft is no worse than `start`.
        depth: edits in one repair.
    """
    judged: dict[str, Judgement] = {}

    def look(draft: Draft) -> Judgement:
        if draft.digest not in judged:
            [judged[draft.digest]] = judge((draft,))
        return judged[draft.digest]

    best: tuple[float, tuple[Edit, ...], Draft] = (math.inf, (), start)
    layer: list[tuple[tuple[Edit, ...], Draft]] = [((), start)]
    for step in range(depth + 1):
        # The same edits in another order lead here too; one chain per draft and cost is enough.
        following: dict[tuple[str, float], tuple[tuple[Edit, ...], Draft]] = {}
        for edits, draft in layer:
            judgement = look(draft)
            if judgement.passes:
                if cost_of(edits) < best[0]:
                    best = (cost_of(edits), edits, draft)
                continue
            for problem in judgement.problems if step < depth else ():
                for edit in filter(allowed, propose(draft, problem)):
                    after = applied(edit, draft)
                    if after and look(after).level < judgement.level and safe(after):
                        chain = (*edits, edit)
                        following.setdefault((after.digest, cost_of(chain)), (chain, after))
        layer = list(following.values())
    cost, edits, draft = best
    if math.isinf(cost):
        return Outcome(None, start, look(start), math.inf, len(judged), "exhausted")
    return Outcome(edits, draft, look(draft), cost, len(judged), "found")

"""What can be done with a call as a whole: hold it, split it, leave it out."""

from __future__ import annotations

from collections.abc import Iterator

from gatling_guard.repair.calls import Drop, Hold, Split, dependants
from gatling_guard.repair.culprits import Case
from gatling_guard.repair.places import parts_of
from gatling_guard.repair.types import Draft, Edit, Problem, Scene


def hold(scene: Scene, draft: Draft, problem: Problem) -> Iterator[Edit]:
    """A person is asked, where a person may say yes: no hold lifts what the policy blocks."""
    if problem.action == "hold" and problem.node_id not in draft.holds:
        yield Hold(problem.node_id)


def split(scene: Scene, draft: Draft, problem: Problem) -> Iterator[Edit]:
    """Values of an identity list that the authority named go ahead, the others wait."""
    case = Case.of(scene, draft, problem)
    if case is None:
        return
    for where, suspects in case.lists().items():
        if parts_of(where)[0] not in case.identities:
            continue
        every = frozenset(range(len(case.given(where))))
        for moved in dict.fromkeys((every - case.named(where), suspects)):
            if moved and moved < every:
                yield Split(problem.node_id, where, tuple(sorted(moved)))


def drop(scene: Scene, draft: Draft, problem: Problem) -> Iterator[Edit]:
    """The last resort; never the whole plan."""
    also = dependants(draft.plan, problem.node_id)
    if problem.node_id in draft.plan.calls and len(also) + 1 < len(draft.plan):
        yield Drop(problem.node_id, also)

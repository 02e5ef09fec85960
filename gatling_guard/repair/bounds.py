"""Where a search for a repair ends, what it hands back, and what a repair costs at least.

Covers: limits, outcomes, and a lower bound on the cost that is still to come. Does not see: what
an edit does; it goes by costs and by the order in which calls run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gatling_guard.repair.types import Draft, Edit, EditError, Judgement

Ended = Literal["found", "exhausted", "bounds", "deadline"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a search stops."""

    width: int = 8
    """Drafts judged in one batch."""
    depth: int = 4
    """Edits in one repair. The greedy start may take one for each bad call instead."""
    most: int = 256
    """Drafts judged in all; also edits taken from a proposer against one problem."""
    seconds: float = 0.04
    """From the start of the search; looked at between batches."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found."""

    edits: tuple[Edit, ...] | None
    """In the order in which they are applied; None: no repair was found, nothing may run."""
    draft: Draft
    """With the edits; the draft as it was where there are none."""
    judgement: Judgement
    """Of `draft`."""
    cost: float
    """Of all edits; infinite without a repair."""
    explored: int
    """Drafts that were judged."""
    ended: Ended
    """`found` and `exhausted` say that nothing was left to look at; `bounds` and `deadline`, that
    the search was cut, with or without a repair in hand."""

    @property
    def proven(self) -> bool:
        """Whether no cheaper repair can be made of the edits that are proposed."""
        return self.ended == "found"


SAME = 1e-9
"""Costs that differ by less are the same: sums of the same edits differ in the last digits."""


def cost_of(edits: Sequence[Edit]) -> float:
    """The cost of all of them; the same in any order.

    Raises:
        EditError: a cost is no finite number above zero, with which no bound would hold.
    """
    for edit in edits:
        if not 0.0 < edit.cost < math.inf:
            raise EditError(f"{edit.kind} of {edit.node_id}{edit.where}: cost {edit.cost}")
    return math.fsum(edit.cost for edit in edits)


@dataclass(frozen=True, slots=True)
class Needs:
    """What the problems of one draft cost at least, given the order in which calls run.

    A call is judged by what it is and by what ran before it. So a problem goes away only by an
    edit of its call or of an earlier one, and of the edits that are proposed now the cheapest such
    one is a lower bound (one edit may remove many problems, hence the dearest problem counts and
    not the sum).
    """

    places: Mapping[str, int]
    """Position of each call."""
    needs: tuple[tuple[int, float], ...]
    """Position of each problem, and the least cost of removing it."""

    @classmethod
    def of(cls, draft: Draft, proposals: Mapping[str, Sequence[Edit]]) -> Needs:
        """Of a draft.

        Args:
            draft: the plan.
            proposals: edits against each problem, by node id; every problem is a key.
        """
        places = {node: place for place, node in enumerate(draft.plan.order)}
        edits = [edit for found in proposals.values() for edit in found]
        needs = []
        for node, own in proposals.items():
            at = places.get(node, -1)
            helps = [e.cost for e in edits if places.get(e.node_id, -1) <= at]
            needs.append((at, min([*helps, *(e.cost for e in own)], default=math.inf)))
        return cls(places, tuple(needs))

    def after(self, edit: Edit, cost: float) -> float:
        """The least cost of a repair that goes on with `edit`.

        Args:
            edit: proposed against one of the problems.
            cost: of all edits so far, without this one.
        """
        place = self.places.get(edit.node_id, -1)
        untouched = max((need for at, need in self.needs if at < place), default=0.0)
        whole = max((need for _, need in self.needs), default=0.0)
        return cost + max(whole, edit.cost + untouched)

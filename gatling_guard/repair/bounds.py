"""Where a search for a repair ends, what it hands back, and what a repair costs at least.

Covers: limits, outcomes, and a lower bound on the cost that is still to come. Does not see: what
an edit does; it goes by costs and by the order in which calls run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gatling_guard.repair.costs import DROP
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
    """What the problems of one draft cost at least, where calls are judged by what flows in.

    A problem goes away only by an edit of its call or of one that flows into it, and of the edits
    that are proposed now the cheapest such one is a lower bound. One edit may remove many problems:
    of those that an edit can reach together the dearest counts. Groups of problems that no edit
    reaches together add up.
    """

    group: Mapping[str, str]
    """Of each call with a problem or an edit, by one call of the group."""
    needs: Mapping[str, float]
    """The least cost of removing each problem, by its call."""
    above: Mapping[str, frozenset[str]]
    """Of each problem's call: itself and all that flows into it."""

    @classmethod
    def of(cls, draft: Draft, proposals: Mapping[str, Sequence[Edit]], *, whole: bool) -> Needs:
        """Of a draft.

        Args:
            draft: the plan.
            proposals: edits against each problem, by node id; every problem is a key.
            whole: nothing that may be proposed was left out for its cost. Otherwise a call that can
                be dropped for less later (once less depends on it) may be missing.
        """
        edits = [edit for found in proposals.values() for edit in found]
        above = {node: _above(draft, node) for node in proposals}
        group = {node: node for node in (*proposals, *(edit.node_id for edit in edits))}
        for node, reach in above.items():
            for edit in edits:
                if edit.node_id in reach and group[edit.node_id] != group[node]:
                    old, new = group[edit.node_id], group[node]
                    group = {name: new if root == old else root for name, root in group.items()}
        needs = {}
        for node, own in proposals.items():
            helps = [_least(e) for e in edits if e.node_id in above[node]]
            most = math.inf if whole else DROP
            needs[node] = min([*helps, *map(_least, own), most])
        return cls(group, needs, above)

    def after(self, edit: Edit, cost: float) -> float:
        """The least cost of a repair that goes on with `edit`.

        Args:
            edit: proposed against one of the problems.
            cost: of all edits so far, without this one.
        """
        own = self.group.get(edit.node_id)
        dearest: dict[str, float] = {}
        untouched = whole = 0.0
        for node, need in self.needs.items():
            group = self.group[node]
            if group != own:
                dearest[group] = max(dearest.get(group, 0.0), need)
                continue
            whole = max(whole, need)
            if edit.node_id not in self.above[node]:
                untouched = max(untouched, need)
        return cost + sum(dearest.values()) + max(whole, edit.cost + untouched)


def _above(draft: Draft, node: str) -> frozenset[str]:
    """A call and all that flows into it."""
    flows = draft.plan.flows
    found, queue = {node}, [node]
    while queue:
        new = set(flows.get(queue.pop(), ())) - found
        found |= new
        queue += new
    return frozenset(found)


def _least(edit: Edit) -> float:
    """What an edit may still come to cost: to drop a call is cheaper once less depends on it."""
    return min(edit.cost, DROP) if edit.kind == "drop" else edit.cost

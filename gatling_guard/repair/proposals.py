"""What was proposed once is not worked out again for every draft with the same problem.

What a proposer says depends on the call, on what is wrong with it, on whether it waits and on what
depends on it; only `resource` looks at the other calls too (which values they use).
Sees: drafts of one search, or of several in the same scene.
"""

from __future__ import annotations

from typing import Any

from gatling_guard.repair.calls import dependants
from gatling_guard.repair.propose import propose
from gatling_guard.repair.types import KINDS, Draft, Edit, EditKind, Problem, Scene

_OWN: tuple[EditKind, ...] = tuple(kind for kind in KINDS if kind != "resource")
_BESIDE: tuple[EditKind, ...] = ("resource",)
MOST = 4096
"""Problems whose proposals are kept."""


class Proposals:
    """A proposer for one scene, with a memory of its own."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._kept: dict[tuple[Any, ...], tuple[Problem, tuple[Edit, ...]]] = {}
        self._among: dict[tuple[Any, ...], tuple[Edit, ...]] = {}
        """The same with what looks at the other calls, by these too."""

    def __call__(self, draft: Draft, problem: Problem) -> tuple[Edit, ...]:
        """As `propose`."""
        key = self._key(draft, problem)
        nodes = draft.plan.nodes
        among = *key, *(node.content_hash for node in nodes if node.node_id != problem.node_id)
        found = self._among.get(among)
        if found is None:
            own = self._own(key, draft, problem)
            others = propose(self._scene, draft, problem, _BESIDE)
            found = tuple(sorted((*own, *others), key=_place)) if others else own
            # Whose problem is kept, so that the parts of it that are in the key stay themselves.
            if key in self._kept and len(self._among) < MOST:
                self._among[among] = found
        return found

    def _own(self, key: tuple[Any, ...], draft: Draft, problem: Problem) -> tuple[Edit, ...]:
        kept = self._kept.get(key)
        if kept is None:
            kept = problem, propose(self._scene, draft, problem, _OWN)
            if len(self._kept) < MOST:
                self._kept[key] = kept
        return kept[1]

    def _key(self, draft: Draft, problem: Problem) -> tuple[Any, ...]:
        """Equal only where the same is proposed: parts of a check are one object while it lasts."""
        plan, node = draft.plan, problem.node_id
        call = plan.calls.get(node)
        also = dependants(plan, node) if call is not None and not self._scene.step else ()
        return (
            node, call and call.content_hash, problem.action, id(problem.energy),
            id(problem.lineage), problem.findings, node in draft.holds, also,
            len(plan) > len(also) + 1,
        )  # fmt: skip


def _place(edit: Edit) -> tuple[float, int]:
    """By cost; of equal ones in the order in which the kinds are asked."""
    return edit.cost, _ORDER[edit.kind]


_ORDER = {kind: place for place, kind in enumerate(KINDS)}

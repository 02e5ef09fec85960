"""Repairs that went well, to be tried first where a plan looks like theirs (the fast path).

Does not decide anything: a template selects among the edits that are proposed now, and what it
selects is allowed, judged and checked like every other edit. So an entry that somebody slipped in
can cost a few drafts, and no more (R61).
"""

from __future__ import annotations

import os
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gatling_guard.errors import InputError
from gatling_guard.plan import ExecutionPlan
from gatling_guard.repair.space import key
from gatling_guard.repair.templates import (
    MAX_BYTES,
    MAX_TEMPLATES,
    Pattern,
    Shape,
    Template,
    place_of,
    read_templates,
    reasons_of,
    template_of,
    to_text,
)
from gatling_guard.repair.types import Draft, Edit, Problem

Vector: TypeAlias = "NDArray[np.floating[Any]]"
WIDTH = 256
"""Of the default embedding."""


def bag_of_tools(plan: ExecutionPlan) -> Vector:
    """A plan by its tools and which of them feeds which: hashed counts [WIDTH]."""
    found = np.zeros(WIDTH, dtype=np.float32)
    calls = plan.calls
    edges = {(edge.source, edge.target) for edge in plan.edges}
    flows = [f"{calls[source].tool_name}\n{calls[target].tool_name}" for source, target in edges]
    for token in [*(node.tool_name for node in plan.nodes), *flows]:
        found[zlib.crc32(token.encode()) % WIDTH] += 1.0  # not hash(): the same in every process
    return found


class RepairMemory:
    """Templates of repairs, the least recently used out first; safe to use from many threads.

    Args:
        embed: a plan as a vector; it is given plans without arguments.
        most: templates kept.
    """

    def __init__(
        self,
        embed: Callable[[ExecutionPlan], Vector] = bag_of_tools,
        *,
        most: int = MAX_TEMPLATES,
    ) -> None:
        self._embed, self._most = embed, min(most, MAX_TEMPLATES)
        self._lock = threading.Lock()
        self._kept: OrderedDict[Template, Vector] = OrderedDict()

    def __len__(self) -> int:
        """Templates kept."""
        return len(self._kept)

    def remember(self, start: Draft, problems: Sequence[Problem], edits: Sequence[Edit]) -> None:
        """Keep a repair that was applied or that a person approved.

        Args:
            start: before the repair.
            problems: of `start`.
            edits: in the order in which they were applied.

        Raises:
            EditError: the edits do not fit.
        """
        template = template_of(start, problems, edits)
        if template is not None:
            self._keep(template)

    def _keep(self, template: Template) -> None:
        vector = self._vector(template.shape)
        with self._lock:
            self._kept[template] = vector
            self._kept.move_to_end(template)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def _vector(self, shape: Shape) -> Vector:
        vector = np.asarray(self._embed(shape.plan()), dtype=np.float32)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)

    def nearest(self, plan: ExecutionPlan, k: int = 3) -> tuple[Template, ...]:
        """The `k` templates whose plans are most like `plan`, those used last before equals."""
        shape = Shape.of(plan)
        with self._lock:
            kept = list(reversed(self._kept.items()))
        if shape is None or not kept:
            return ()
        likeness = np.stack([vector for _, vector in kept]) @ self._vector(shape)
        ranked = np.argsort(-likeness.round(6), kind="stable")[:k]
        return tuple(kept[int(i)][0] for i in ranked)

    def seeds_for(
        self,
        draft: Draft,
        problems: Sequence[Problem],
        proposals: Mapping[str, Sequence[Edit]],
        k: int = 3,
    ) -> tuple[tuple[Edit, ...], ...]:
        """Repairs to try first: what the nearest templates select among the proposed edits.

        Args:
            draft: what is to be repaired.
            problems: of `draft`.
            proposals: edits against each problem as the proposers give them now, by node id.
            k: templates looked at.
        """
        seeds: dict[tuple[str, ...], tuple[Edit, ...]] = {}
        used: list[Template] = []
        for template in self.nearest(draft.plan, k):
            seed = _selected(template, draft, problems, proposals)
            if seed:
                seeds.setdefault(tuple(map(key, seed)), seed)
                used.append(template)
        with self._lock:
            for template in reversed(used):  # the nearest is the last to go
                if template in self._kept:
                    self._kept.move_to_end(template)
        return tuple(seeds.values())

    def save(self, path: str | Path) -> None:
        """Write a file, as a whole or not at all; readable by its owner only."""
        with self._lock:
            text = to_text(list(self._kept))
        target = Path(path)
        handle, fresh = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, target)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise

    @classmethod
    def load(
        cls, path: str | Path, embed: Callable[[ExecutionPlan], Vector] = bag_of_tools
    ) -> RepairMemory:
        """The inverse of `save`.

        Raises:
            InputError: the file cannot be read, or is no file of repairs.
        """
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise InputError(error.strerror or "cannot be read", what=str(path)) from None
        memory = cls(embed)
        for template in read_templates(data, what=str(path)):
            memory._keep(template)
        return memory


def _selected(
    template: Template,
    draft: Draft,
    problems: Sequence[Problem],
    proposals: Mapping[str, Sequence[Edit]],
) -> tuple[Edit, ...]:
    """One proposed edit for every edit of the template; none where one of them has no like."""
    reasons = {problem.node_id: reasons_of(problem) for problem in problems}
    seed: list[Edit] = []
    for pattern in template.patterns:
        edit = next(
            (
                edit
                for node, edits in proposals.items()
                if node in draft.plan.calls
                and draft.plan.calls[node].tool_name == pattern.tool
                and not reasons.get(node, frozenset()).isdisjoint(pattern.reasons)
                for edit in edits
                if _like(pattern, edit) and edit.node_id == node and edit not in seed
            ),
            None,
        )
        if edit is None:
            return ()
        seed.append(edit)
    return tuple(seed)


def _like(pattern: Pattern, edit: Edit) -> bool:
    return edit.kind == pattern.kind and place_of(edit.where) == pattern.where

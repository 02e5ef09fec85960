"""Who sees whom in a plan: the relation of every pair of calls, and each call's place.

A call sees itself and its ancestors, never a descendant (G2), so that what is known of a call never
changes when the plan grows. Everything here depends on the edges alone, not on numbering (R24).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gatling_guard.plan import Edge

UNSEEN, SELF = 0, 1
_KINDS = {"data": 1, "control": 2, "temporal": 4}
_DISTANCES = 16
RELATIONS = 2 + _DISTANCES * 8
"""Ids of relations: unseen, self, and bucket of the distance x kinds of a direct edge, if any."""

POSITION_DIM = 10
"""Features of a call's place: see `position_features`."""

_BUCKETS = np.minimum(
    np.concatenate([np.arange(9), 8 + np.ceil(2 * np.log2(np.arange(9, 257) / 8))]), _DISTANCES
).astype(np.int64)
"""Bucket 1..16 of a distance: exact up to 8, then by half octaves; the last one is open."""
_BUCKET_LIST = _BUCKETS.tolist()
_FAR = len(_BUCKETS) - 1


def position_features(depth: int, sources: int) -> list[float]:
    """`[POSITION_DIM]` of a call `depth` edges below the farthest root, with direct `sources`."""
    found = [math.log1p(depth) / 4, depth == 0, math.log1p(sources) / 3]
    found += [float(depth >= level) for level in (2, 4, 8)]
    found += [math.sin(depth * math.pi / 2), math.cos(depth * math.pi / 2)]
    found += [math.sin(depth * math.pi / 16), math.cos(depth * math.pi / 16)]
    return found


@dataclass(slots=True)
class Ancestry:
    """A growing directed acyclic graph: calls are added after all of their sources.

    Memory: N bits per call for N calls before it.
    """

    depths: list[int] = field(default_factory=list)
    """Longest distance from a root."""
    reach: list[int] = field(default_factory=list)
    """Bit i is set when call i is an ancestor."""
    direct: list[dict[int, int]] = field(default_factory=list)
    """Per call: source -> kinds of the edges from it, as bits."""

    def __len__(self) -> int:
        """Number of calls."""
        return len(self.depths)

    def add(self, sources: dict[int, int]) -> int:
        """Append a call; `sources` maps indices of earlier calls to kinds (`kinds_of`)."""
        reach = 0
        for source in sources:
            reach |= self.reach[source] | 1 << source
        self.depths.append(1 + max((self.depths[source] for source in sources), default=-1))
        self.reach.append(reach)
        self.direct.append(sources)
        return len(self.depths) - 1

    def drop(self) -> None:
        """Take back the latest call."""
        for column in (self.depths, self.reach, self.direct):
            column.pop()

    def fork(self) -> Ancestry:
        """A copy that grows by itself."""
        return Ancestry([*self.depths], [*self.reach], [*self.direct])

    def positions(self, first: int, last: int) -> NDArray[np.float32]:
        """`[last - first, POSITION_DIM]`."""
        rows = [position_features(self.depths[i], len(self.direct[i])) for i in range(first, last)]
        return np.array(rows, np.float32)

    def seen(self, first: int, last: int) -> list[int]:
        """Calls before `first` that a call in [first, last) sees, in order."""
        union = 0
        for reach in self.reach[first:last]:
            union |= reach
        union &= (1 << first) - 1
        if union.bit_count() > 64:
            return np.flatnonzero(_bits([union], first)[0]).tolist()
        found = []
        while union:
            found.append((union & -union).bit_length() - 1)
            union &= union - 1
        return found

    def relations(self, first: int, last: int, past: Sequence[int]) -> NDArray[np.int64]:
        """`[m, len(past) + m]`: relation of the calls [first, last) to `past` and to each other.

        `past` is in order and holds what `seen` says; it may hold more.
        """
        if last - first == 1:
            return np.array([[*self._row(first, past), SELF]], np.int64)
        columns = np.array([*past, *range(first, last)], np.int64)
        depths = np.array([self.depths[i] for i in columns.tolist()], np.int64)
        distance = depths[len(past) :, None] - depths
        seen = _bits(self.reach[first:last], last)[:, columns]
        table = np.where(seen, 1 + _BUCKETS[np.clip(distance, 1, _FAR)], UNSEEN)
        rows = np.arange(last - first)
        table[rows, len(past) + rows] = SELF
        direct = [
            (row, source, kinds)
            for row, sources in enumerate(self.direct[first:last])
            for source, kinds in sources.items()
        ]
        if direct:
            at, sources, kinds = np.array(direct, np.int64).T
            table[at, np.searchsorted(columns, sources)] += _DISTANCES * kinds
        return table

    def _row(self, call: int, past: Sequence[int]) -> Iterator[int]:
        """The same for one call, without arrays: the step of a session."""
        reach, depth, direct = self.reach[call], self.depths[call], self.direct[call]
        for other in past:
            if reach >> other & 1:
                bucket = _BUCKET_LIST[min(depth - self.depths[other], _FAR)]
                yield 1 + bucket + _DISTANCES * direct.get(other, 0)
            else:
                yield UNSEEN


def _bits(numbers: Sequence[int], length: int) -> NDArray[np.bool_]:
    """`[len(numbers), length]`: the lowest bits of each number, bit 0 first."""
    size = (length + 7) // 8
    raw = b"".join(number.to_bytes(size, "little") for number in numbers)
    table = np.frombuffer(raw, np.uint8).reshape(len(numbers), size)
    return np.unpackbits(table, axis=1, bitorder="little", count=length).astype(bool)


def kinds_of(edges: Iterable[Edge], index: dict[str, int]) -> dict[int, int]:
    """The sources of one call with the kinds of edges that lead from them."""
    found: dict[int, int] = {}
    for edge in edges:
        at = index[edge.source]
        found[at] = found.get(at, 0) | _KINDS[edge.kind]
    return found


def ancestry_of(order: Sequence[str], edges: Iterable[Edge]) -> Ancestry:
    """The ancestry of a whole plan, its calls in topological `order`."""
    index = {node: i for i, node in enumerate(order)}
    into: dict[str, list[Edge]] = {node: [] for node in order}
    for edge in edges:
        into[edge.target].append(edge)
    graph = Ancestry()
    for node in order:
        graph.add(kinds_of(into[node], index))
    return graph

"""Calls and plans as padded arrays: to the batch's longest, never to a maximum.

Calls are grouped by size, so that one call with 200 arguments does not widen the rows of all
others. Texts are collected once per batch; index 0 is the empty text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.calls import CallFeatures
from gatling_guard.encoders.graph import POSITION_DIM, SELF, Ancestry

_SIZES = (8, 32, 128)
"""Upper bounds of the groups of calls by rows; the last group is open."""


@dataclass(frozen=True, slots=True)
class CallBatch:
    """M calls with R argument rows in all, A of the longest. Text is given as indices into a list.

    Rows stand one after another, so that only their pooling is padded.
    """

    members: NDArray[np.int64]
    """`[M]` which calls of the whole batch these are."""
    name: NDArray[np.int64]
    """`[M]`"""
    description: NDArray[np.int64]
    """`[M]`"""
    scalars: NDArray[np.float32]
    """`[M, CALL_DIM]`"""
    keys: NDArray[np.int64]
    """`[R]`"""
    texts: NDArray[np.int64]
    """`[R]`"""
    leaves: NDArray[np.float32]
    """`[R, LEAF_DIM]`"""
    place: NDArray[np.int64]
    """`[M, A]` the rows of each call; any row where padded."""
    mask: NDArray[np.float32]
    """`[M, A]` 1 for a row, 0 for padding."""


@dataclass(frozen=True, slots=True)
class PlanBatch:
    """B plans padded to N calls, with no past."""

    calls: NDArray[np.int64]
    """`[B, N]` index into the batch's calls; any valid index where padded."""
    position: NDArray[np.float32]
    """`[B, N, POSITION_DIM]`"""
    relation: NDArray[np.int64]
    """`[B, N, N]`; a padded call sees itself alone."""
    valid: NDArray[np.float32]
    """`[B, N]` 1 for a call, 0 for padding."""


class Texts:
    """The distinct texts of a batch, numbered in the order of arrival; number 0 is empty."""

    def __init__(self) -> None:
        self._numbers = {"": 0}

    def __call__(self, text: str) -> int:
        """The number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> list[str]:
        """Every text, by number."""
        return list(self._numbers)


def call_batches(calls: Sequence[CallFeatures], texts: Texts) -> list[CallBatch]:
    """All calls, in groups of similar size."""
    groups: dict[int, list[int]] = {}
    for i, call in enumerate(calls):
        rows = len(call.keys)
        groups.setdefault(sum(rows > size for size in _SIZES), []).append(i)
    return [_padded([calls[i] for i in groups[g]], groups[g], texts) for g in sorted(groups)]


def _padded(calls: Sequence[CallFeatures], members: list[int], texts: Texts) -> CallBatch:
    sizes = np.array([len(call.keys) for call in calls], np.int64)
    inside = np.arange(int(sizes.max())) < sizes[:, None]
    place = np.zeros(inside.shape, np.int64)
    place[inside] = np.arange(int(sizes.sum()))
    return CallBatch(
        members=np.array(members, np.int64),
        name=np.array([texts(call.name) for call in calls], np.int64),
        description=np.array([texts(call.description) for call in calls], np.int64),
        scalars=np.stack([call.scalars for call in calls]),
        keys=np.array([texts(key) for call in calls for key in call.keys], np.int64),
        texts=np.array([texts(text) for call in calls for text in call.texts], np.int64),
        leaves=np.concatenate([call.leaves for call in calls]),
        place=place,
        mask=inside.astype(np.float32),
    )


def plan_batch(graphs: Sequence[Ancestry]) -> PlanBatch:
    """Whole plans side by side; the calls of plan b follow those of plan b - 1."""
    longest = max(len(graph) for graph in graphs)
    shape = (len(graphs), longest)
    calls = np.zeros(shape, np.int64)
    position = np.zeros((*shape, POSITION_DIM), np.float32)
    relation = np.zeros((*shape, longest), np.int64)
    relation[:, np.arange(longest), np.arange(longest)] = SELF
    valid = np.zeros(shape, np.float32)
    start = 0
    for b, graph in enumerate(graphs):
        size = len(graph)
        calls[b, :size] = np.arange(start, start + size)
        position[b, :size] = graph.positions(0, size)
        relation[b, :size, :size] = graph.relations(0, size, ())
        valid[b, :size] = 1.0
        start += size
    return PlanBatch(calls, position, relation, valid)

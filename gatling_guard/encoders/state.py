"""A plan that grows call by call: one new node per call, whatever the plan's length.

What is kept of a call are its keys and values per block; they never change, because attention runs
from ancestors to descendants only. Kept rows lie in blocks that forks share, so that trying many
continuations of a long session copies next to nothing.

Memory: `2 * blocks * hidden_dim` floats per call (8 KB at `base`: 8 MB per 1,000 calls).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog import ToolSpec
from gatling_guard.encoders.calls import CallFeatures, CallInput, call_features
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.graph import Ancestry, kinds_of
from gatling_guard.errors import InputError, Issue, PlanError
from gatling_guard.plan import MAX_NODES, Edge, ToolCall, parse_plan
from gatling_guard.trace import Lineage

if TYPE_CHECKING:
    from gatling_guard.encoders.plans import PlanEncoder

_BLOCK = 32
"""Rows that forks copy at most once each."""
_FORMAT = "gatling-plan-state-1"
_DIGEST = 32
"""Bytes of the SHA-256 in front of a stored state."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Running sums of the learned pooling over calls: a softmax that can be continued."""

    max: NDArray[np.float32]
    """`[B, P]` largest logit."""
    sum: NDArray[np.float32]
    """`[B, P]` sum of exp(logit - max)."""
    acc: NDArray[np.float32]
    """`[B, P, (h + w)/P]` the same sum over values."""

    @classmethod
    def empty(cls, config: EncoderConfig) -> Pool:
        """Of no call."""
        heads = config.pool_heads
        return cls(
            np.full((1, heads), -1e4, np.float32),
            np.zeros((1, heads), np.float32),
            np.zeros((1, heads, config.text_dim // heads), np.float32),
        )


def no_past(config: EncoderConfig) -> NDArray[np.float32]:
    """`[1, 2LH, 0, d]`: what is kept of no call."""
    return np.zeros((1, *_row_shape(config, 0)), np.float32)


def _row_shape(config: EncoderConfig, calls: int) -> tuple[int, int, int]:
    width = config.hidden_dim // config.heads
    return 2 * config.blocks * config.heads, calls, width


@dataclass(frozen=True, slots=True)
class StepArrays:
    """What one step of `PlanNetwork` gives."""

    z_e: NDArray[np.float32]
    """`[B, latent_dim]`"""
    states: NDArray[np.float32]
    """`[B, m, h]`"""
    kept: NDArray[np.float32]
    """`[B, 2LH, m, d]` keys and values per block and head."""
    pool: Pool


@dataclass(frozen=True, slots=True)
class Step:
    """The plan after one more call, and the new call within it: what node energies look at."""

    z_e: NDArray[np.float32]
    """`[latent_dim]` of the plan with the new call."""
    state: NDArray[np.float32]
    """`[h]` the new call in the light of its ancestors."""
    call: NDArray[np.float32]
    """`[call_dim]` the new call by itself, unit length: what the predictor predicts."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A call that might come next."""

    call: ToolCall
    edges: tuple[Edge, ...] = ()
    spec: ToolSpec | None = None
    lineage: Sequence[Lineage] | None = None


class PlanState:
    """The encoding of a growing plan. Not thread-safe: whoever owns the session locks.

    Make one with `encoder.start()`.
    """

    def __init__(self, encoder: PlanEncoder) -> None:
        self._encoder = encoder
        self._graph = Ancestry()
        self._index: dict[str, int] = {}
        self._blocks: list[NDArray[np.float32]] = []
        self._shared = 0
        """Blocks before this one may be read by another state; they are never written."""
        self._pool = Pool.empty(encoder.config)
        self.z_e: NDArray[np.float32] | None = None
        """`[latent_dim]` of the plan so far; None before the first call."""
        self.last: NDArray[np.float32] | None = None
        """`[h]` state of the latest call."""

    def __len__(self) -> int:
        """Number of calls."""
        return len(self._graph)

    def __contains__(self, node_id: object) -> bool:
        """Whether a call of this id was appended."""
        return node_id in self._index

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept, shared blocks included."""
        size = len(self)
        return sum(b.nbytes for b in self._blocks) + size * (size // 8 + 400)

    def append(
        self,
        call: ToolCall | Mapping[str, Any],
        *,
        sources: Iterable[str | int | Edge] = (),
        spec: ToolSpec | None = None,
        lineage: Sequence[Lineage] | None = None,
    ) -> Step:
        """Add one call.

        Args:
            call: the call, or a dict of its fields.
            sources: what it depends on: ids of earlier calls (data flow), or edges.
            spec: what is known of the tool.
            lineage: of its argument leaves.

        Raises:
            InputError: no call, an id used before, an unknown source, an edge that leads elsewhere,
                or more than `MAX_NODES` calls.
        """
        made = call if isinstance(call, ToolCall) else _parsed(call)
        edges = _edges(sources, made.node_id)
        kinds = self._kinds(made.node_id, edges)
        return self._step(call_features(CallInput(made, spec, lineage)), made.node_id, kinds)

    def append_features(
        self, features: CallFeatures, node_id: str, sources: dict[int, int]
    ) -> Step:
        """Add one call whose features are known; `sources` as `graph.kinds_of` gives them.

        Raises:
            InputError: an id used before, or more than `MAX_NODES` calls.
        """
        self._kinds(node_id, ())
        return self._step(features, node_id, sources)

    def _step(self, features: CallFeatures, node_id: str, sources: dict[int, int]) -> Step:
        x0, embedded = self._encoder.run_calls([features])
        step = self._add(x0, [node_id], [sources])
        return Step(step.z_e[0], step.states[0, 0], embedded[0])

    def extend(
        self,
        calls: Sequence[CallFeatures],
        node_ids: Sequence[str],
        sources: Sequence[dict[int, int]],
    ) -> None:
        """Add several calls at once, each after its sources (see `graph.kinds_of`).

        Raises:
            InputError: an id used before, or more than `MAX_NODES` calls.
        """
        if len(self) + len(node_ids) > MAX_NODES:
            raise InputError(f"at most {MAX_NODES} calls are allowed", what="plan")
        if len({*node_ids} - self._index.keys()) != len(node_ids):
            raise InputError("an id was used before", what="plan")
        self._add(self._encoder.run_calls(calls)[0], node_ids, sources)

    def score(self, candidates: Sequence[Candidate]) -> list[Step]:
        """The plan after each of several possible next calls, in one batch; nothing is added.

        Raises:
            InputError: no `Candidate`, or one that `append` would refuse.
        """
        if not candidates:
            return []
        for i, each in enumerate(candidates):
            if not isinstance(each, Candidate) or not isinstance(each.call, ToolCall):
                what = "needs a Candidate with a ToolCall (`parse_plan` makes them of dicts)"
                raise InputError([Issue(f"/{i}", what)], what="candidates")
        features = [call_features(CallInput(c.call, c.spec, c.lineage)) for c in candidates]
        x0, embedded = self._encoder.run_calls(features)
        graphs = []
        for candidate in candidates:
            graph = self._graph.fork()
            graph.add(self._kinds(candidate.call.node_id, candidate.edges))
            graphs.append(graph)
        at = len(self)
        seen = sorted({i for graph in graphs for i in graph.seen(at, at + 1)})
        relation = np.stack([graph.relations(at, at + 1, seen) for graph in graphs])
        position = np.stack([graph.positions(at, at + 1) for graph in graphs])
        valid = np.ones((len(candidates), 1), np.float32)
        done = self._encoder.run_plan(
            x0[:, None], position, relation, valid, self._rows(seen), self._pool
        )
        return [Step(done.z_e[i], done.states[i, 0], embedded[i]) for i in range(len(candidates))]

    def fork(self) -> PlanState:
        """A state that grows by itself from here; what is kept so far is shared."""
        other = PlanState(self._encoder)
        other._graph, other._index = self._graph.fork(), dict(self._index)
        other._blocks, other._pool = [*self._blocks], self._pool
        other.z_e, other.last = self.z_e, self.last
        self._shared = other._shared = len(self._blocks)
        return other

    def _kinds(self, node_id: str, edges: Sequence[Edge]) -> dict[int, int]:
        if node_id in self._index:
            raise InputError([Issue("/node_id", f"duplicate id {node_id!r}")], what="call")
        if len(self) >= MAX_NODES:
            raise InputError(f"at most {MAX_NODES} calls are allowed", what="plan")
        for i, edge in enumerate(edges):
            if edge.source not in self._index:
                issue = Issue(f"/sources/{i}", f"no earlier call {edge.source!r}")
                raise InputError([issue], what="call")
            if edge.target != node_id:
                issue = Issue(f"/sources/{i}", f"leads to {edge.target!r}, not to {node_id!r}")
                raise InputError([issue], what="call")
        return kinds_of(edges, self._index)

    def _add(
        self, x0: NDArray[np.float32], node_ids: Sequence[str], sources: Sequence[dict[int, int]]
    ) -> StepArrays:
        first, last = len(self), len(self) + len(node_ids)
        graph = self._graph.fork() if len(node_ids) > 1 else self._graph
        for direct in sources:
            graph.add(direct)
        try:
            seen = graph.seen(first, last)
            done = self._encoder.run_plan(
                x0[None],
                graph.positions(first, last)[None],
                graph.relations(first, last, seen)[None],
                np.ones((1, last - first), np.float32),
                self._rows(seen),
                self._pool,
            )
        except BaseException:
            if graph is self._graph:
                graph.drop()
            raise
        self._graph = graph
        self._keep(done.kept[0], first)
        self._index.update(zip(node_ids, range(first, last), strict=True))
        self._pool, self.z_e, self.last = done.pool, done.z_e[0], done.states[0, -1]
        return done

    def _rows(self, seen: Sequence[int]) -> NDArray[np.float32]:
        """`[1, 2LH, n, d]`: what is kept of some calls."""
        found = np.empty((1, *_row_shape(self._encoder.config, len(seen))), np.float32)
        for at, call in enumerate(seen):
            number, place = divmod(call, _BLOCK)
            found[0, :, at] = self._blocks[number][place]
        return found

    def _keep(self, kept: NDArray[np.float32], at: int) -> None:
        """Add `[2LH, m, d]` from call `at` on."""
        for i in range(kept.shape[1]):
            number, place = divmod(at + i, _BLOCK)
            if number == len(self._blocks):
                heads, _, width = kept.shape
                self._blocks.append(np.zeros((_BLOCK, heads, width), np.float32))
            elif number < self._shared:
                self._blocks[number] = self._blocks[number].copy()
            self._shared = min(self._shared, number)
            self._blocks[number][place] = kept[:, i]

    def to_bytes(self) -> bytes:
        """A SHA-256, then the state as safetensors: arrays and JSON, nothing that could run.

        The hash finds damage. It is no signature: keep the bytes where only you can write.
        """
        from safetensors.numpy import save

        about = {
            "format": _FORMAT,
            "model": self._encoder.id,
            "ids": list(self._index),
            "sources": [sorted(direct.items()) for direct in self._graph.direct],
        }
        arrays = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "rows": self._rows(range(len(self)))[0],
            "pool_max": self._pool.max,
            "pool_sum": self._pool.sum,
            "pool_acc": self._pool.acc,
        }
        if self.z_e is not None and self.last is not None:
            arrays |= {"z_e": self.z_e, "last": self.last}
        data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        return hashlib.sha256(data).digest() + data

    @classmethod
    def from_bytes(cls, encoder: PlanEncoder, data: bytes) -> PlanState:
        """The inverse of `to_bytes`.

        Raises:
            InputError: it is no stored state, a damaged one, or one of other weights than
                `encoder` has. Torch encoders count as other weights in every process.
        """
        if not isinstance(data, bytes):
            raise InputError(f"must be bytes, not {type(data).__name__}", what="plan state")
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
                raise ValueError("damaged, or something else")
            arrays = load(data[_DIGEST:])
            about = json.loads(arrays.pop("about").tobytes())
            return cls._restored(encoder, arrays, about)
        except (
            SafetensorError, LookupError, ValueError, TypeError, ArithmeticError, RecursionError,
        ) as error:  # fmt: skip
            raise InputError(f"no stored plan state: {error}", what="plan state") from None

    @classmethod
    def _restored(
        cls, encoder: PlanEncoder, arrays: dict[str, NDArray[Any]], about: dict[str, Any]
    ) -> PlanState:
        if about["format"] != _FORMAT:
            raise InputError(f"format {about['format']!r}, not {_FORMAT!r}", what="plan state")
        if about["model"] != encoder.id:
            raise InputError(
                f"made by the weights {about['model']!r}; these are {encoder.id!r}",
                what="plan state",
            )
        state, ids = cls(encoder), [str(node) for node in about["ids"]]
        expected = _shapes(encoder.config, len(ids))
        if {name: (array.shape, array.dtype) for name, array in arrays.items()} != expected:
            raise ValueError("its arrays are not those of this encoder")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("not all of its numbers are finite")
        if not len(ids) == len(about["sources"]) == len(set(ids)) <= MAX_NODES:
            raise ValueError("its parts do not fit together")
        for at, direct in enumerate(about["sources"]):
            sources = {int(source): int(kinds) for source, kinds in direct}
            if not all(0 <= source < at and 1 <= kinds <= 7 for source, kinds in sources.items()):
                raise ValueError(f"call {at} depends on a call that is not before it")
            state._graph.add(sources)
        state._keep(arrays["rows"], 0)
        state._index = {node: at for at, node in enumerate(ids)}
        state._pool = Pool(arrays["pool_max"], arrays["pool_sum"], arrays["pool_acc"])
        state.z_e, state.last = arrays.get("z_e"), arrays.get("last")
        return state


def _shapes(config: EncoderConfig, calls: int) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """The arrays of a stored state."""
    pool, h = Pool.empty(config), config.hidden_dim
    found: dict[str, tuple[int, ...]] = {
        "rows": _row_shape(config, calls),
        "pool_max": pool.max.shape,
        "pool_sum": pool.sum.shape,
        "pool_acc": pool.acc.shape,
    }
    if calls:
        found |= {"z_e": (config.latent_dim,), "last": (h,)}
    return {name: (shape, np.dtype(np.float32)) for name, shape in found.items()}


def _parsed(call: Mapping[str, Any]) -> ToolCall:
    if not isinstance(call, Mapping):
        what = f"must be a ToolCall or a mapping, not {type(call).__name__}"
        raise InputError(what, what="call")
    try:
        return parse_plan({"nodes": [dict(call)]}).nodes[0]
    except PlanError as error:
        issues = [replace(each, where=each.where[len("/nodes/0") :]) for each in error.issues]
        raise InputError(issues, what="call") from None


def _edges(sources: Iterable[str | int | Edge], target: str) -> tuple[Edge, ...]:
    if isinstance(sources, (str, Mapping)):  # "12" would be read as the calls 1 and 2
        what = f"must be a list of ids or edges, not {type(sources).__name__}"
        raise InputError([Issue("/sources", what)], what="call")
    found = []
    for i, source in enumerate(sources):
        if isinstance(source, Edge):
            found.append(source)
        elif isinstance(source, (str, int)) and not isinstance(source, bool):
            found.append(Edge(source=str(source), target=target))
        else:
            what = f"must be an id or an Edge, not {type(source).__name__}"
            raise InputError([Issue(f"/sources/{i}", what)], what="call")
    return tuple(found)

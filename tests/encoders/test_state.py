"""A plan that grows call by call: forks, scores, storage, bounds, and faulty input."""

from __future__ import annotations

import gc
import hashlib
import random
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatling_guard import Edge, ExecutionPlan, ToolCall
from gatling_guard.catalog import ToolSpec
from gatling_guard.encoders import state as module
from gatling_guard.encoders.calls import CallFeatures, CallInput, call_features
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.execution import ExecutionEncoder
from gatling_guard.encoders.execution_onnx import OnnxExecutionEncoder
from gatling_guard.encoders.plans import PlanEncoder
from gatling_guard.encoders.state import Candidate, PlanState, Pool, StepArrays, no_past
from gatling_guard.errors import InputError
from gatling_guard.plan import MAX_NODES, Provenance
from gatling_guard.plan.model import EdgeKind
from gatling_guard.trace import Lineage, Origin
from tests.encoders.plans import call_of, plan_of
from tests.encoders.test_agreement import SLOW, distance, grown


def rows_of(state: PlanState) -> NDArray[np.float32]:
    """What is kept of every call."""
    return state._rows(range(len(state)))


Move = tuple[ToolCall, list[Edge]]


def move(rng: random.Random, name: str, ids: Sequence[str]) -> Move:
    node = call_of(rng, name)
    kinds: tuple[EdgeKind, ...] = ("data", "control", "temporal")
    sources = rng.sample(list(ids), min(len(ids), rng.randint(0, 3)))
    return node, [Edge(source=s, target=name, kind=rng.choice(kinds)) for s in sources]


class Flat(PlanEncoder):
    """Computes nothing, in the shapes of `base`: what a state costs beside the networks."""

    config = EncoderConfig()
    id = "flat"

    def run_calls(
        self, calls: Sequence[CallFeatures]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = np.zeros((len(calls), self.config.hidden_dim), np.float32)
        return rows, rows

    def run_plan(
        self, x0: NDArray[np.float32], position: Any, relation: Any, valid: Any, past: Any,
        pool: Pool,
    ) -> StepArrays:  # fmt: skip
        c, m = self.config, x0.shape[1]
        kept = np.zeros((1, 2 * c.blocks * c.heads, m, c.hidden_dim // c.heads), np.float32)
        return StepArrays(np.zeros((1, c.latent_dim), np.float32), x0, kept, pool)


# --- append, fork, score --------------------------------------------------------------------------


@settings(SLOW, max_examples=40)
@given(seed=st.integers(0, 2**32), start=st.sampled_from([0, 1, 31, 32, 33, 40]))
def test_forks_grow_by_themselves(fp32: OnnxExecutionEncoder, seed: int, start: int) -> None:
    """Random appends and forks, interleaved: every state is what its own calls alone give."""
    rng = random.Random(seed)
    first = fp32.start()
    history: list[tuple[PlanState, list[Move]]] = [(first, [])]
    for i in range(start):
        made = move(rng, f"s{i}", list(first._index))
        first.append(made[0], sources=made[1])
        history[0][1].append(made)
    for i in range(14):
        state, moves = rng.choice(history)
        if rng.random() < 0.35:
            history.append((state.fork(), [*moves]))
        else:
            made = move(rng, f"n{i}", list(state._index))
            state.append(made[0], sources=made[1])
            moves.append(made)
    for state, moves in history:
        alone = fp32.start()
        for node, sources in moves:
            alone.append(node, sources=sources)
        assert len(state) == len(moves)
        assert np.array_equal(rows_of(state), rows_of(alone))
        for one, other in ((state.z_e, alone.z_e), (state.last, alone.last)):
            assert (one is None and other is None) or np.array_equal(one, other)  # type: ignore[arg-type]


def test_a_fork_shares_what_is_kept(encoder: ExecutionEncoder) -> None:
    """Forking a long session copies no rows, and one append copies one block at most."""
    state = encoder.start()
    for i in range(70):
        state.append({"node_id": i, "tool_name": "t"})
    fork = state.fork()
    assert all(a is b for a, b in zip(state._blocks, fork._blocks, strict=True))
    fork.append({"node_id": "x", "tool_name": "t"})
    assert [a is b for a, b in zip(state._blocks, fork._blocks, strict=True)] == [True, True, False]
    last = fork._blocks[2]
    fork.append({"node_id": "y", "tool_name": "t"})
    assert fork._blocks[2] is last


@settings(SLOW, max_examples=50)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 70))
def test_score_is_append_and_adds_nothing(
    encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder, seed: int, size: int
) -> None:
    """Repair tries many continuations in one batch: each within 1e-5 of really taking it."""
    rng = random.Random(seed)
    plan = plan_of(size, seed) if size else None
    for each in (encoder, fp32) if size < 30 else (fp32,):
        state = grown(each, plan) if plan else each.start()
        before, ids = (rows_of(state), state.z_e), list(state._index)
        moves = [move(rng, "new" if i % 2 else f"new{i}", ids) for i in range(rng.randint(1, 6))]
        found = state.score([Candidate(node, tuple(edges)) for node, edges in moves])
        assert (len(state), state.z_e) == (size, before[1])
        assert np.array_equal(rows_of(state), before[0])
        for step, (node, edges) in zip(found, moves, strict=True):
            real = state.fork().append(node, sources=edges)
            assert distance(step.z_e, real.z_e) < 1e-5
            assert distance(step.state, real.state) < 1e-5
            assert distance(step.call, real.call) < 1e-5
        assert state.score([]) == []


def test_steps_are_of_the_new_call(encoder: ExecutionEncoder) -> None:
    """What node energies get: shapes, unit length, and what the state shows."""
    config, state = encoder.config, encoder.start()
    assert state.z_e is None
    assert state.last is None
    node = ToolCall(node_id="a", tool_name="read_file", arguments={"path": "x"})
    step = state.append(node)
    assert step.z_e.shape == (config.latent_dim,)
    assert step.state.shape == (config.hidden_dim,)
    assert step.call.shape == (config.call_dim,)
    assert abs(float(np.linalg.norm(step.call)) - 1) < 1e-5
    assert np.array_equal(step.call, encoder.embed_calls([CallInput(node)])[0])
    assert np.array_equal(step.z_e, state.z_e)  # type: ignore[arg-type]
    assert np.array_equal(step.state, state.last)  # type: ignore[arg-type]
    assert "a" in state
    assert "b" not in state
    again = state.append(node.model_copy(update={"node_id": "b"}), sources=["a"])
    assert np.array_equal(step.call, again.call)
    assert distance(step.state, again.state) > 1e-3


def test_spec_and_lineage_enter_by_append_and_by_score(encoder: ExecutionEncoder) -> None:
    """As they enter a whole plan; each of the two makes a difference."""
    node = ToolCall(node_id="a", tool_name="t", arguments={"to": "x"})
    spec = ToolSpec("t", "What it does.", {"properties": {"to": {}}})
    lineage = [Lineage("/to", "to", "x", (Origin("output", "exact", Provenance.PUBLIC),))]
    plan = ExecutionPlan(nodes=(node,))
    found: list[NDArray[np.float32]] = []
    for s, traced in ((None, None), (spec, None), (None, lineage), (spec, lineage)):
        with torch.no_grad():
            whole = encoder(
                plan, {"t": s}.get if s else None, {"a": traced} if traced else None
            ).numpy()[0]
        appended = encoder.start().append(node, spec=s, lineage=traced).z_e
        scored = encoder.start().score([Candidate(node, (), s, traced)])[0].z_e
        assert distance(appended, whole) < 1e-5
        assert distance(scored, whole) < 1e-5
        assert all(distance(whole, other) > 1e-3 for other in found)
        found.append(whole)


def test_what_is_kept_of_earlier_calls_never_changes(fp32: OnnxExecutionEncoder) -> None:
    """G2, bit-equal, whatever is appended after them."""
    plan = plan_of(70, 5)
    state, seen = fp32.start(), no_past(fp32.config)
    for node in plan.order:
        state.append(plan.calls[node], sources=[e for e in plan.edges if e.target == node])
        rows = rows_of(state)
        assert np.array_equal(rows[:, :, :-1], seen)
        seen = rows


def test_extend_is_append(encoder: ExecutionEncoder) -> None:
    """R12: several at once, after some, across blocks of rows."""
    plan = plan_of(90, 9)
    whole = grown(encoder, plan)
    state = encoder.start()
    features = [call_features(CallInput(plan.calls[node])) for node in plan.order]
    for first, last in ((0, 1), (1, 40), (40, 41), (41, 90)):
        sources = whole._graph.direct[first:last]
        state.extend(features[first:last], plan.order[first:last], sources)
    assert distance(state.z_e, whole.z_e) < 1e-5
    assert distance(state.last, whole.last) < 1e-5
    assert distance(rows_of(state), rows_of(whole)) < 1e-5


# --- faulty input ---------------------------------------------------------------------------------

Fault = Callable[[PlanState], object]
FAULTS: list[tuple[Fault, str]] = [
    (lambda s: s.append({"node_id": "n1", "tool_name": "t"}), "/node_id: duplicate id 'n1'"),
    (lambda s: s.append({"node_id": "x", "tool_name": "t"}, sources=["n0", "zz"]),
     "/sources/1: no earlier call 'zz'"),
    (lambda s: s.append({"node_id": "x", "tool_name": "t"}, sources=["x"]),
     "/sources/0: no earlier call 'x'"),
    (lambda s: s.append({"node_id": "x", "tool_name": "t"},
                        sources=[Edge(source="n0", target="n1")]),
     "/sources/0: leads to 'n1', not to 'x'"),
    (lambda s: s.append({"node_id": "x"}), "/tool_name: is missing"),
    (lambda s: s.append({"node_id": "x", "tool_name": "t", "scope_level": 0}), "/scope_level"),
    (lambda s: s.append({"node_id": "x", "tool_name": "t", "arguments": {"a": object()}}),
     "/arguments/a: object is not a JSON value"),
    (lambda s: s.append({"node_id": "x", "tool_name": "t", "args": {}}), "/args: unknown key"),
    (lambda s: s.score([Candidate(ToolCall(node_id="n1", tool_name="t"))]), "/node_id: duplicate"),
    (lambda s: s.score([Candidate(ToolCall(node_id="x", tool_name="t"),
                                  (Edge(source="q", target="x"),))]),
     "/sources/0: no earlier call 'q'"),
    (lambda s: s.extend([call_features(CallInput(ToolCall(node_id="n1", tool_name="t")))],
                        ["n1"], [{}]), "used before"),
    (lambda s: s.extend([call_features(CallInput(ToolCall(node_id="x", tool_name="t")))] * 2,
                        ["x", "x"], [{}, {}]), "used before"),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(FAULTS)))
def test_a_call_that_cannot_be_is_refused_and_changes_nothing(
    encoder: ExecutionEncoder, at: int
) -> None:
    """Each fault with its place; the state goes on as if nothing had been asked."""
    fault, message = FAULTS[at]
    plan = plan_of(34, 2)
    state, untouched = grown(encoder, plan), grown(encoder, plan)
    with pytest.raises(InputError) as error:
        fault(state)
    assert message in str(error.value)
    assert len(state) == 34
    for each in (state, untouched):
        each.append({"node_id": "next", "tool_name": "t"}, sources=["n33", "n1"])
    assert np.array_equal(rows_of(state), rows_of(untouched))
    assert np.array_equal(state.z_e, untouched.z_e)  # type: ignore[arg-type]


def test_numbers_are_node_ids_too(encoder: ExecutionEncoder) -> None:
    state = encoder.start()
    state.append({"node_id": 1, "tool_name": "t"})
    edge = Edge.model_validate([1, 2])
    state.append({"node_id": 2, "tool_name": "t"}, sources=["1", edge])
    assert "2" in state


@pytest.mark.parametrize("where", ["run_calls", "run_plan"])
def test_a_step_that_fails_leaves_the_state_as_it_was(
    encoder: ExecutionEncoder, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Out of memory, or Ctrl-C, in the middle of a step."""
    plan = plan_of(33, 2)
    state, untouched = grown(encoder, plan), grown(encoder, plan)
    call = {"node_id": "next", "tool_name": "t"}
    features = [call_features(CallInput(ToolCall(node_id=n, tool_name="t"))) for n in "xy"]

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ExecutionEncoder, where, broken)
        for attempt in (
            lambda: state.append(call, sources=["n1"]),
            lambda: state.score([Candidate(ToolCall(node_id="next", tool_name="t"))]),
            lambda: state.extend(features, ["x", "y"], [{}, {33: 1}]),
            lambda: state.extend(features[:1], ["x"], [{}]),
        ):
            with pytest.raises(KeyboardInterrupt):
                attempt()
    assert (len(state), "next" in state, "x" in state) == (33, False, False)
    for each in (state, untouched):
        each.append(call, sources=["n1", "n32"])
    assert np.array_equal(rows_of(state), rows_of(untouched))


def test_a_session_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """R13: one call too many is an error, in each way to add it."""
    assert MAX_NODES == 10_000
    monkeypatch.setattr(module, "MAX_NODES", 3)
    state = Flat().start()
    for i in range(3):
        state.append({"node_id": i, "tool_name": "t"})
    last = ToolCall(node_id="x", tool_name="t")
    for attempt in (
        lambda: state.append(last),
        lambda: state.score([Candidate(last)]),
        lambda: state.extend([call_features(CallInput(last))], ["x"], [{}]),
    ):
        with pytest.raises(InputError, match="at most 3 calls"):
            attempt()
    assert len(state) == 3


# --- storage --------------------------------------------------------------------------------------


@settings(SLOW, max_examples=50)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 70))
def test_a_stored_state_goes_on_where_it_was(
    fp32: OnnxExecutionEncoder, seed: int, size: int
) -> None:
    """Bit-equal, then and after more calls; storing is deterministic."""
    state = grown(fp32, plan_of(size, seed)) if size else fp32.start()
    data = state.to_bytes()
    again = PlanState.from_bytes(fp32, data)
    assert again.to_bytes() == data
    rng = random.Random(seed)
    for i in range(3):
        node, edges = move(rng, f"more{i}", list(state._index))
        one, other = (each.append(node, sources=edges) for each in (state, again))
        assert np.array_equal(one.z_e, other.z_e)
        assert np.array_equal(one.state, other.state)
    assert np.array_equal(rows_of(state), rows_of(again))
    assert len(again) == size + 3


def test_bytes_that_are_damaged_are_refused(fp32: OnnxExecutionEncoder) -> None:
    """One bit anywhere, a piece missing, a piece too much, or something else."""
    data = grown(fp32, plan_of(5, 5)).to_bytes()
    rng = random.Random(0)
    wrong = [b"", b"x", data[:31], data[:32], data[:-1], data + b"\0", data[32:], b"\x80\x04N."]
    for place in (0, 31, 32, 40, len(data) - 1, *(rng.randrange(len(data)) for _ in range(60))):
        wrong.append(
            data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        )
    for each in wrong:
        with pytest.raises(InputError, match="plan state"):
            PlanState.from_bytes(fp32, each)


def test_a_state_of_other_weights_is_refused(
    encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder, int8: OnnxExecutionEncoder
) -> None:
    state = fp32.start()
    state.append({"node_id": 1, "tool_name": "t"})
    for other in (encoder, int8, Flat()):
        with pytest.raises(InputError, match="other|weights"):
            PlanState.from_bytes(other, state.to_bytes())


def forged(data: bytes, **changes: Any) -> bytes:
    """Stored bytes with other contents and a right hash, as an attacker would write them."""
    import json

    from safetensors.numpy import load, save

    arrays = load(data[32:])
    about = json.loads(arrays["about"].tobytes())
    for name, change in changes.items():
        if name in about:
            about[name] = change
        elif change is None:
            del arrays[name]
        else:
            arrays[name] = change(arrays[name]) if name in arrays else change
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    made = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return hashlib.sha256(made).digest() + made


FORGERIES: list[dict[str, Any]] = [
    {"rows": lambda a: a[:, :-1]},
    {"rows": lambda a: a[:2]},
    {"rows": lambda a: a.astype(np.float64)},
    {"rows": lambda a: a * np.float32("nan")},
    {"pool_max": lambda a: a[:, :1]},
    {"pool_sum": lambda a: a[:, :1]},
    {"pool_sum": lambda a: a.astype(np.float64)},
    {"pool_acc": lambda a: a[..., :1]},
    {"pool_acc": lambda a: a + np.float32("inf")},
    {"z_e": lambda a: a[:5]},
    {"last": lambda a: a[None]},
    {"z_e": None},
    {"last": None},
    {"rows": None},
    {"more": np.zeros(3, np.float32)},
    {"format": "gatling-plan-state-0"},
    {"ids": ["a", "b"]},
    {"ids": ["a", "b", "b"]},
    {"ids": [1, "1", "2"]},
    {"ids": 3},
    {"sources": [[], [], []]} | {"ids": ["a", "b"]},
    {"sources": [[], []]},
    {"sources": [[[0, 1]], [], []]},
    {"sources": [[], [[1, 1]], []]},
    {"sources": [[], [[-1, 1]], []]},
    {"sources": [[], [[0, 8]], []]},
    {"sources": [[], [[0, 0]], []]},
    {"sources": [[], [[float("inf"), 1]], []]},
    {"sources": [[], [0], []]},
    {"sources": None},
]


@pytest.mark.parametrize("at", range(len(FORGERIES)))
def test_bytes_that_do_not_fit_together_are_refused(encoder: ExecutionEncoder, at: int) -> None:
    """The hash is no signature: forged contents do no more than give an error."""
    data = grown(encoder, plan_of(3, 3)).to_bytes()
    assert len(PlanState.from_bytes(encoder, forged(data))) == 3
    with pytest.raises(InputError, match="plan state"):
        PlanState.from_bytes(encoder, forged(data, **FORGERIES[at]))


# --- bounds ---------------------------------------------------------------------------------------


def test_a_session_of_a_thousand_calls_at_base_stays_below_32_mb() -> None:
    """Measured, not only counted; the count is honest."""
    features = call_features(CallInput(ToolCall(node_id="a", tool_name="t")))
    gc.collect()
    tracemalloc.start()
    try:
        state = Flat().start()
        for i in range(0, 1_000, 100):
            near = [dict.fromkeys(range(max(0, n - 3), n), 1) for n in range(i, i + 100)]
            state.extend([features] * 100, [str(n) for n in range(i, i + 100)], near)
        gc.collect()
        measured = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 8_000_000 < measured < 12_000_000
    assert measured < 32 * 2**20
    assert 0.95 * measured < state.nbytes < 1.5 * measured
    assert len(state.to_bytes()) < 10_000_000


def test_a_late_call_costs_what_an_early_one_does(fp32: OnnxExecutionEncoder) -> None:
    """Call 1,001 with one ancestor against call 11."""

    def prepared_states(calls: int) -> list[PlanState]:
        state = fp32.start()
        features = [call_features(CallInput(ToolCall(node_id=str(i), tool_name="t")))
                    for i in range(calls)]  # fmt: skip
        state.extend(features, [str(i) for i in range(calls)], [{} for _ in range(calls)])
        return [state.fork() for _ in range(60)]

    early, late = prepared_states(10), prepared_states(1_000)
    for state in (early.pop(), late.pop()):
        state.append({"node_id": "x", "tool_name": "t"}, sources=["5"])

    def spent(state: PlanState) -> float:
        call = ToolCall(node_id="x", tool_name="t")
        start = time.perf_counter()
        state.append(call, sources=["5"])
        return time.perf_counter() - start

    pairs = [(spent(a), spent(b)) for a, b in zip(early, late, strict=True)]
    first, last = (np.quantile(column, 0.2) for column in zip(*pairs, strict=True))
    assert last < 1.5 * first

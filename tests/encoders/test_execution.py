"""What z_e sees, what it does not see, and that it is the same every time."""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatling_guard import Edge, ExecutionPlan, ToolCall
from gatling_guard.catalog import Effect, ToolProfile, ToolSpec
from gatling_guard.encoders.batch import Texts, call_batches, plan_batch
from gatling_guard.encoders.calls import CallInput
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.execution import MOST_PAIRS, ExecutionEncoder
from gatling_guard.encoders.execution_onnx import OnnxExecutionEncoder
from gatling_guard.encoders.plans import PlanEncoder, prepared
from gatling_guard.encoders.projected import ProjectedText
from gatling_guard.encoders.state import Pool, no_past
from gatling_guard.errors import CycleError, InputError, PlanError
from gatling_guard.trace import Lineage, Origin
from tests.encoders.conftest import TINY
from tests.encoders.plans import plan_of, plans
from tests.encoders.test_agreement import SLOW, distance, grown, z_of


def chain(size: int, **last: Any) -> ExecutionPlan:
    """0 -> 1 -> ... ; `last` replaces fields of the last call."""
    nodes = [
        ToolCall(node_id=str(i), tool_name="read_file", arguments={"path": i}) for i in range(size)
    ]
    nodes[-1] = nodes[-1].model_copy(update=last)
    edges = [Edge(source=str(i), target=str(i + 1)) for i in range(size - 1)]
    return ExecutionPlan(nodes=tuple(nodes), edges=tuple(edges))


def changed(plan: ExecutionPlan, node_id: str, **fields: Any) -> ExecutionPlan:
    """One call replaced."""
    nodes = [n.model_copy(update=fields) if n.node_id == node_id else n for n in plan.nodes]
    return ExecutionPlan(nodes=tuple(nodes), edges=plan.edges)


def states_of(
    encoder: PlanEncoder,
    plan: ExecutionPlan,
    noise: Mapping[str, NDArray[np.float32]] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """The state of every call, from one pass over the whole plan; `noise` is added to what the
    blocks read of x0."""
    ready = prepared(plan)
    batch = plan_batch([ready.graph])
    x0 = encoder.run_calls(ready.calls)[0][batch.calls]
    for node, vector in (noise or {}).items():
        x0[0, plan.order.index(node), : vector.size] += vector
    config = encoder.config
    past = no_past(config)
    done = encoder.run_plan(
        x0, batch.position, batch.relation, batch.valid, past, Pool.empty(config)
    )
    return dict(zip(plan.order, done.states[0], strict=True))


def moved(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Relative distance."""
    return float(np.linalg.norm(one - other) / np.linalg.norm(one))


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def fresh(seed: int, config: EncoderConfig | str = TINY) -> ExecutionEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ExecutionEncoder(config)


@pytest.fixture(scope="module")
def base() -> ExecutionEncoder:
    return fresh(11, "base")


# --- shapes and inputs (R6, R147) ---------------------------------------------------------------


def test_shapes(base: ExecutionEncoder) -> None:
    """R6."""
    plan = plan_of(3, 0)
    with torch.no_grad():
        assert base(plan).shape == (1, 1024)
        assert base.encode_batch([plan] * 3).shape == (3, 1024)
        assert base.encode_batch([]).shape == (0, 1024)
    assert base.encode_batch([]).shape == (0, 1024)
    assert ExecutionEncoder(TINY, latent_dim=8)(plan).shape == (1, 8)
    assert ExecutionEncoder(TINY, hidden_dim=16).config.hidden_dim == 16


def test_objects_and_dicts_are_the_same_plan(
    encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder
) -> None:
    """R147; numbers as node ids too."""
    raw: dict[str, Any] = {
        "nodes": [
            {"node_id": 1, "tool_name": "read_file", "arguments": {"path": "/x"}},
            {"node_id": 2, "tool_name": "send_email", "arguments": {"to": "a"}, "scope_level": 4},
        ],
        "edges": [[1, 2]],
    }
    plan = ExecutionPlan(
        nodes=(
            ToolCall(node_id="1", tool_name="read_file", arguments={"path": "/x"}),
            ToolCall(node_id="2", tool_name="send_email", arguments={"to": "a"}, scope_level=4),
        ),
        edges=(Edge(source="1", target="2"),),
    )
    each: Any
    for each in (encoder, fp32):
        with torch.no_grad():
            one, other, batch = each(raw), each(plan), each.encode_batch([raw, plan])
            assert np.array_equal(np.asarray(each.forward(raw)), np.asarray(one))
        assert np.array_equal(one, other)
        assert np.array_equal(np.asarray(batch[0]), np.asarray(batch[1]))


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({}, "/nodes"),
        ({"nodes": []}, "/nodes"),
        ({"nodes": [{"node_id": "a"}]}, "/nodes/0/tool_name"),
        ({"nodes": [{"node_id": "a", "tool_name": "t", "scope_level": 11}]},
         "/nodes/0/scope_level"),
        ({"nodes": [{"node_id": "a", "tool_name": "t"}], "edges": [["a", "b"]]},
         "/edges/0/target"),
    ],
)  # fmt: skip
def test_a_dict_that_is_no_plan(
    encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder, raw: dict[str, Any], where: str
) -> None:
    each: Any
    for each in (encoder, fp32):
        with pytest.raises(PlanError) as error:
            each(raw)
        assert error.value.issues[0].where == where


def test_a_cycle_is_an_error(encoder: ExecutionEncoder) -> None:
    """R4, G15."""
    node = {"tool_name": "t"}
    with pytest.raises(CycleError):
        encoder({"nodes": [{"node_id": 1} | node, {"node_id": 2} | node],
                 "edges": [[1, 2], [2, 1]]})  # fmt: skip


def test_specs_and_lineage_enter(encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder) -> None:
    plan = chain(2, arguments={"path": "x"})
    spec = ToolSpec("read_file", "Read a file.", profile=ToolProfile(Effect.READ))
    public = {"1": [Lineage("/path", "path", "x", (Origin("output", "exact", 3),))]}  # type: ignore[arg-type]
    each: Any
    for each in (encoder, fp32):
        with torch.no_grad():
            found = [
                np.asarray(z)[0]
                for z in (
                    each(plan),
                    each(plan, {"read_file": spec}.get),
                    each(plan, lineage=public),
                    each.encode_batch([plan], {"read_file": spec}.get),
                )
            ]
        assert moved(found[0], found[1]) > 1e-3
        assert moved(found[0], found[2]) > 1e-3
        assert np.array_equal(found[1], found[3])


# --- direction (R9, G2) ---------------------------------------------------------------------------


@SLOW
@given(plan=plans(30), at=st.integers(0, 29), seed=st.integers(0, 99))
def test_a_change_reaches_descendants_and_nobody_else(
    encoder: ExecutionEncoder, plan: ExecutionPlan, at: int, seed: int
) -> None:
    """R9, G2: ancestors, siblings and strangers are bit-equal."""
    node = plan.order[at % len(plan)]
    noise = np.random.default_rng(seed).normal(size=TINY.hidden_dim).astype(np.float32)
    before, after = states_of(encoder, plan), states_of(encoder, plan, {node: noise})
    for each in plan.order:
        if each == node or node in plan.ancestors(each):
            assert np.abs(before[each] - after[each]).max() > 1e-6
        else:
            assert np.array_equal(before[each], after[each])


def test_the_source_and_not_the_target_is_read(encoder: ExecutionEncoder) -> None:
    """G2, on the smallest plan: two calls and a stranger."""
    plan = ExecutionPlan(
        nodes=tuple(ToolCall(node_id=n, tool_name="read_file") for n in "abc"),
        edges=(Edge(source="a", target="b"),),
    )
    rows = states_of(encoder, plan)
    source = states_of(encoder, changed(plan, "a", tool_name="pay"))
    target = states_of(encoder, changed(plan, "b", tool_name="pay"))
    assert moved(rows["b"], source["b"]) > 1e-2
    for before, after in ((rows["c"], source["c"]), (rows["a"], target["a"])):
        assert moved(before, after) < 1e-6


@SLOW
@given(plan=plans(60), cut=st.integers(1, 60))
def test_the_states_of_a_prefix_are_a_prefix_of_the_states(
    encoder: ExecutionEncoder, plan: ExecutionPlan, cut: int
) -> None:
    """R9: what is known of a call does not change when the plan grows."""
    kept = set(plan.order[: max(1, min(cut, len(plan)))])
    prefix = ExecutionPlan(
        nodes=tuple(node for node in plan.nodes if node.node_id in kept),
        edges=tuple(edge for edge in plan.edges if {edge.source, edge.target} <= kept),
    )
    whole, part = states_of(encoder, plan), states_of(encoder, prefix)
    assert max(np.abs(whole[node] - part[node]).max() for node in kept) < 1e-5


# --- padding and pooling (R11, G1) --------------------------------------------------------------


@SLOW
@given(plan=plans(20), nodes=st.integers(1, 60), rows=st.integers(1, 40))
def test_padding_changes_nothing(
    encoder: ExecutionEncoder, plan: ExecutionPlan, nodes: int, rows: int
) -> None:
    """R11, G1: padded calls and padded rows, whatever lies in them."""
    ready = prepared(plan)
    with torch.no_grad():
        x0, own = encoder.embed(ready.calls)
    texts = Texts()
    random_rows = np.random.default_rng(rows)
    for batch in call_batches(ready.calls, texts):
        features = encoder.text(torch.from_numpy(encoder.features(texts.all())))
        pad = (len(batch.members), rows)
        anywhere = random_rows.integers(0, len(batch.leaves), pad)
        with torch.no_grad():
            again, again_own = encoder.calls(
                features[torch.from_numpy(batch.name)],
                features[torch.from_numpy(batch.description)],
                torch.from_numpy(batch.scalars),
                features[torch.from_numpy(batch.keys)],
                features[torch.from_numpy(batch.texts)],
                torch.from_numpy(batch.leaves),
                torch.from_numpy(np.concatenate([batch.place, anywhere], 1)),
                torch.from_numpy(np.concatenate([batch.mask, np.zeros(pad, np.float32)], 1)),
            )
        members = torch.from_numpy(batch.members)
        assert distance(again.numpy(), x0[members].numpy()) < 1e-6
        assert distance(again_own.numpy(), own[members].numpy()) < 1e-6
    z_e = z_of(encoder, plan)
    batch_of = plan_batch([ready.graph, prepared(chain(len(plan) + nodes)).graph])
    index = np.minimum(batch_of.calls[:1], len(plan) - 1)  # any valid index where padded
    config = encoder.config
    past = no_past(config)
    padded = encoder.run_plan(
        x0.numpy()[index], batch_of.position[:1], batch_of.relation[:1], batch_of.valid[:1], past,
        Pool.empty(config),
    )  # fmt: skip
    assert moved(padded.z_e[0], z_e) < 1e-6


def test_weights_on_pads_are_exactly_zero(encoder: ExecutionEncoder) -> None:
    """R11, G1: pads of 1e6 would show in any weight that is not 0."""
    config = encoder.config
    text = config.text_dim
    call = {
        "name": torch.randn(2, text), "description": torch.randn(2, text),
        "scalars": torch.zeros(2, encoder.calls.scalars.in_features),
        "keys": torch.randn(7, text), "texts": torch.randn(7, text),
        "leaves": torch.zeros(7, encoder.calls.leaf.in_features),
        "place": torch.tensor([[0, 1, 6, 6], [2, 3, 4, 5]]),
        "mask": torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 1]]),
    }  # fmt: skip
    poisoned = {name: value.clone() for name, value in call.items()}
    poisoned["keys"][6] = poisoned["leaves"][6] = poisoned["texts"][6] = 1e6
    with torch.no_grad():
        one, other = encoder.calls(**call), encoder.calls(**poisoned)
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
        poisoned["leaves"][4] = 7.0
        assert not torch.equal(encoder.calls(**poisoned)[0][1], one[0][1])
    batch = plan_batch([prepared(plan_of(n, n)).graph for n in (2, 5)])
    x0 = np.random.default_rng(0).normal(size=(2, 5, text)).astype(np.float32)
    wild = x0.copy()
    wild[0, 2:] = 1e6
    past = no_past(config)
    given_arrays = (batch.position, batch.relation, batch.valid, past, Pool.empty(config))
    calm, storm = (encoder.run_plan(x, *given_arrays) for x in (x0, wild))
    assert np.array_equal(calm.z_e, storm.z_e)
    assert np.array_equal(calm.pool.sum, storm.pool.sum)


def test_unrelated_plans_are_not_alike(base: ExecutionEncoder) -> None:
    """G1: pooling over pads gave .9998."""
    many = [plan_of(random.Random(i).randint(2, 12), 1000 + i) for i in range(100)]
    with torch.no_grad():
        z = base.encode_batch(many).numpy()
    found = [cosine(z[i], z[i + 50]) for i in range(50)]
    assert max(found) < 0.97
    assert float(np.median(found)) < 0.93


# --- what enters (R10, R21, R23) ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_tier_scope_and_place_enter(seed: int) -> None:
    """R10: each alone."""
    encoder = fresh(seed)
    plan = chain(3)
    z_e = z_of(encoder, plan)
    for fields in ({"provenance_tier": 1}, {"scope_level": 2}, {"volume": 5}, {"sensitivity": 1}):
        assert moved(z_e, z_of(encoder, changed(plan, "1", **fields))) > 1e-3
    config = encoder.config
    x0 = np.random.default_rng(0).normal(size=(1, 1, config.text_dim)).astype(np.float32)
    past = no_past(config)
    ready = prepared(plan).graph
    alone = np.array([[[1]]]), np.ones((1, 1), np.float32), past, Pool.empty(config)
    places = [encoder.run_plan(x0, ready.positions(i, i + 1)[None], *alone).z_e for i in range(3)]
    assert moved(places[0], places[1]) > 1e-3
    assert moved(places[1], places[2]) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_kinds_of_edges_are_told_apart(seed: int) -> None:
    """R23, R9: an edge at all, and each kind of it; and at another end."""
    encoder = fresh(seed)
    nodes = tuple(ToolCall(node_id=n, tool_name=f"{n}_tool", arguments={n: 1}) for n in "abc")
    found = [z_of(encoder, ExecutionPlan(nodes=nodes))]
    edges = [[("b", "c", kind)] for kind in ("data", "control", "temporal")]
    edges += [[("a", "c", "data")], [("c", "b", "data")], [("b", "c", "data"), ("a", "c", "data")]]
    edges += [[("b", "c", "data"), ("b", "c", "control")]]
    for each in edges:
        made = tuple(Edge(source=s, target=t, kind=k) for s, t, k in each)  # type: ignore[arg-type]
        found.append(z_of(encoder, ExecutionPlan(nodes=nodes, edges=made)))
    for i, one in enumerate(found):
        assert all(moved(one, other) > 1e-3 for other in found[:i])


def test_a_relation_matters_by_its_bias_alone(encoder: ExecutionEncoder) -> None:
    """R9: the same two calls at the same places, another relation between them."""
    config = encoder.config
    x0 = np.random.default_rng(0).normal(size=(1, 2, config.text_dim)).astype(np.float32)
    past = no_past(config)
    graph = prepared(chain(2)).graph
    found = []
    for relation in (2, 3, 18, 34, 66):
        table = np.array([[[1, 0], [relation, 1]]])
        valid = np.ones((1, 2), np.float32)
        position = graph.positions(0, 2)[None]
        found.append(encoder.run_plan(x0, position, table, valid, past, Pool.empty(config)).z_e)
    for i, one in enumerate(found):
        assert all(moved(one, other) > 1e-4 for other in found[:i])


@SLOW
@given(plan=plans(40), seed=st.integers(0, 2**32))
def test_renumbering_changes_nothing(
    encoder: ExecutionEncoder, plan: ExecutionPlan, seed: int
) -> None:
    """R24: other ids, another order of nodes and edges."""
    rng = random.Random(seed)
    names = {n.node_id: f"{rng.random()}" for n in plan.nodes}
    nodes = [n.model_copy(update={"node_id": names[n.node_id]}) for n in plan.nodes]
    edges = [
        e.model_copy(update={"source": names[e.source], "target": names[e.target]})
        for e in plan.edges
    ]
    rng.shuffle(nodes)
    rng.shuffle(edges)
    other = ExecutionPlan(nodes=tuple(nodes), edges=tuple(edges))
    assert distance(z_of(encoder, plan), z_of(encoder, other)) < 1e-6


def distances_of_limits(encoder: PlanEncoder) -> list[tuple[float, float]]:
    """From a limit of 5 to 50 and to 10,000: of the call, and of the plan."""

    def both(limit: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        plan = chain(2, tool_name="list_events", arguments={"limit": limit, "query": "x"})
        return encoder.embed_calls([CallInput(plan.calls["1"])])[0], z_of(encoder, plan)

    return [
        (float(np.linalg.norm(five - fifty)), float(np.linalg.norm(five - many)))
        for five, fifty, many in zip(both(5), both(50), both(10_000), strict=True)
    ]


def test_a_larger_limit_is_farther_away() -> None:
    """R21: 5 < 50 < 10,000 for every untrained call and, but for a draw in 25, every plan."""
    farther = []
    for seed in range(8):
        call, plan = distances_of_limits(fresh(seed, EncoderConfig.named("small")))
        assert 0 < call[0] < call[1]
        assert plan[0] > 0
        farther.append(plan[0] < plan[1])
    assert sum(farther) >= 7


NEIGHBOURS = [
    ("delete_user", "delete_users", "list_events"),
    ("frobnicate_widget", "frobnicate_widgets", "translate_text"),
    ("qzx_upload", "qzx_uploads", "weather_today"),
    ("send_email", "send_mail", "get_balance"),
]


@pytest.mark.parametrize("seed", range(5))
def test_unseen_names_lie_near_their_neighbours(seed: int) -> None:
    """R20: untrained, names nobody has seen; and none of them are one."""
    encoder = fresh(seed, EncoderConfig.named("small"))
    for name, near, far in NEIGHBOURS:
        made = [chain(2, tool_name=each) for each in (name, near, far)]
        calls = encoder.embed_calls([CallInput(plan.calls["1"]) for plan in made])
        for one, close, distant in (calls, [z_of(encoder, plan) for plan in made]):
            assert cosine(one, distant) < cosine(one, close) < 0.99999


# --- nothing is cut (R13, G15) ------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 64, 100, 255, 256, 299])
def test_every_call_of_a_long_plan_matters(encoder: ExecutionEncoder, at: int) -> None:
    """R13, G15: the 65th `exfiltrate` changed z_e by exactly 0."""
    plan = ExecutionPlan(
        nodes=tuple(ToolCall(node_id=str(i), tool_name="read_file") for i in range(300))
    )
    other = changed(plan, str(at), tool_name="exfiltrate")
    assert distance(z_of(encoder, plan), z_of(encoder, other)) > 1e-5
    assert distance(z_of(encoder, plan), z_of(encoder, chain(300))) > 1e-3


def test_a_plan_of_ten_thousand_calls_is_encoded_and_one_more_is_refused(
    encoder: ExecutionEncoder,
) -> None:
    """R13, max_nodes: bounded, or a clear error; never a part of the plan."""
    raw: dict[str, Any] = {
        "nodes": [{"node_id": i, "tool_name": "t"} for i in range(10_000)],
        "edges": [[i, i + 1] for i in range(0, 9_999, 100)],
    }
    with torch.no_grad():
        whole = encoder(raw).numpy()[0]
        raw["nodes"][-1]["tool_name"] = "exfiltrate_all"
        assert distance(encoder(raw).numpy()[0], whole) > 1e-8
    with pytest.raises(InputError, match="no_grad"):
        encoder(raw)
    raw["nodes"].append({"node_id": "x", "tool_name": "t"})
    with pytest.raises(PlanError, match="10000 are allowed"):
        encoder(raw)
    assert MOST_PAIRS >= 512**2


# --- the same every time (R7, R14, G3) ------------------------------------------------------------

_PROCESS = """
import hashlib, sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from gatling_guard.encoders.execution import ExecutionEncoder
from tests.encoders.conftest import TINY, onnx_of
from tests.encoders.plans import plan_of
from tests.encoders.test_agreement import grown, z_of
torch.manual_seed(7)
encoder = ExecutionEncoder(TINY)
int8 = onnx_of(encoder, Path(sys.argv[1]), "int8")
for size in (1, 9, 40):
    plan = plan_of(size, size)
    for each in (encoder, int8):
        print(hashlib.sha256(z_of(each, plan).tobytes()).hexdigest())
        print(hashlib.sha256(grown(each, plan).z_e.tobytes()).hexdigest())
"""


def test_processes_with_other_hash_seeds_agree_bit_for_bit(graphs: Path) -> None:
    """R7, G4: torch and ONNX int8, whole and call by call."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(graphs)],
            env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE,
        )
        for seed in ("0", "4242")
    ]  # fmt: skip
    found = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert found[0].count(b"\n") == 12
    assert found[0] == found[1]


def test_no_part_is_left_in_the_other_mode() -> None:
    """G3: the seed set the flag on the root alone."""
    encoder = ExecutionEncoder(TINY)
    assert not any(module.training for module in encoder.modules())
    encoder.train()
    assert all(module.training for module in encoder.modules())
    plan = plan_of(6, 6)
    torch.manual_seed(0)
    with torch.no_grad():
        assert not torch.equal(encoder(plan), encoder(plan))
        encoder.eval()
        assert not any(module.training for module in encoder.modules())
        assert torch.equal(encoder(plan), encoder(plan))


def test_making_and_using_an_encoder_leaves_global_random_state_alone() -> None:
    """G17: torch's own generator makes the weights; nothing else is touched."""
    python, numpy_state = random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
    encoder = fresh(1)
    before = torch.get_rng_state()
    z_of(encoder, plan_of(5, 5))
    assert torch.equal(before, torch.get_rng_state())
    assert random.getstate() == python
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]


def test_eight_threads_share_an_encoder(
    encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder
) -> None:
    """Each thread its own state; what they get is what one thread gets.

    Bit for bit in onnxruntime. Torch's first product in a new thread does not heed
    `set_num_threads` and may round differently.
    """
    made = [plan_of(12, 100 + i) for i in range(8)]
    for each, most in ((fp32, 0.0), (encoder, 1e-5)):
        alone = [grown(each, plan).z_e for plan in made]
        fp32.text = ProjectedText(fp32.text.features, fp32.text.project, size=8)
        found: list[float] = []
        barrier = threading.Barrier(8)

        def work(
            i: int, each: Any = each, alone: Any = alone, barrier: Any = barrier, found: Any = found
        ) -> None:
            barrier.wait()
            for k in range(4):
                n = (i + k) % 8
                found.append(distance(grown(each, made[n]).z_e, alone[n]))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 32
        assert max(found) <= most


# --- gradients (R15, G11) -------------------------------------------------------------------------


def full_plan() -> tuple[ExecutionPlan, Any, dict[str, list[Lineage]]]:
    """Three calls that use every input of the networks."""
    plan = plan_of(3, 4)
    nodes = tuple(node.model_copy(update={"arguments": {"to": "x", "n": 5}}) for node in plan.nodes)
    edges = (Edge(source="n0", target="n1"), Edge(source="n1", target="n2"))
    origin = Origin("instruction", "exact", 1)  # type: ignore[arg-type]
    lineage = {f"n{i}": [Lineage("/to", "to", "x", (origin,))] for i in range(3)}
    spec = ToolSpec("t", "What it does.", {"properties": {"to": {}, "n": {}}})
    return ExecutionPlan(nodes=nodes, edges=edges), (lambda name: spec), lineage


def test_every_parameter_gets_a_gradient() -> None:
    """R15: none that nothing can train; a bias of a softmax would get rounding errors alone."""
    encoder = fresh(3)
    plan, specs, lineage = full_plan()
    z_e = encoder(plan, specs, lineage)
    own = encoder.embed(prepared(plan, specs, lineage).calls)[1]
    torch.manual_seed(0)
    (z_e @ torch.randn(z_e.shape[1]) + (own @ torch.randn(own.shape[1])).sum()).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-4, name


def test_gradients_are_those_of_finite_differences() -> None:
    """R15, G11: in float64, through attention, pooling and the call network."""
    encoder = fresh(5).double()
    graph = prepared(plan_of(3, 4)).graph
    batch = plan_batch([graph])
    text, torch_of = encoder.config.text_dim, torch.from_numpy
    source = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    call = (drawn(3, text), drawn(3, text), drawn(3, encoder.calls.scalars.in_features),
            drawn(5, text), drawn(5, text), drawn(5, encoder.calls.leaf.in_features),
            torch.tensor([[0, 1], [2, 0], [3, 4]]),
            torch.tensor([[1.0, 1], [1, 0], [1, 1]], dtype=torch.float64))  # fmt: skip
    weights = drawn(encoder.config.latent_dim)
    own_weights = drawn(encoder.config.call_dim)

    def value() -> torch.Tensor:
        x0, own = encoder.calls(*call)
        pool = Pool.empty(encoder.config)
        past = torch_of(no_past(encoder.config)).double()
        z_e = encoder.plan(
            x0[None], torch_of(batch.position).double(), torch_of(batch.relation),
            torch_of(batch.valid).double(), past,
            *(torch_of(a).double() for a in (pool.max, pool.sum, pool.acc)),
        )[0]  # fmt: skip
        return torch.as_tensor((z_e @ weights).sum() + (own @ own_weights).sum())

    names = dict(encoder.named_parameters())
    del names["text.static.weight"]
    total = value()
    gradients = torch.autograd.grad(total, list(names.values()))
    for (name, parameter), gradient in zip(names.items(), gradients, strict=True):
        direction = drawn(*parameter.shape)
        step = 1e-7
        with torch.no_grad():
            parameter.add_(direction, alpha=step)
            above = value()
            parameter.add_(direction, alpha=-2 * step)
            below = value()
            parameter.add_(direction, alpha=step)
        expected = float((gradient * direction).sum())
        assert abs(float(above - below) / (2 * step) - expected) < 1e-4 * (1 + abs(expected)), name


# --- identity -------------------------------------------------------------------------------------


def test_the_id_changes_with_the_weights_and_the_encoder() -> None:
    """A stored state is taken up by the weights that made it, and by no others."""
    encoder = fresh(0)
    first = encoder.id
    z_of(encoder, plan_of(3, 3))
    assert encoder.id == first
    assert copy.deepcopy(encoder).id != first
    assert fresh(0).id != first
    with torch.no_grad():
        next(encoder.parameters()).mul_(1.5)
    second = encoder.id
    assert second != first
    encoder.load_state_dict(fresh(1).state_dict())
    assert encoder.id not in (first, second)


def test_another_encoder_at_the_same_address_has_another_id() -> None:
    seen = set()
    for _ in range(20):
        encoder = ExecutionEncoder(TINY)
        seen.add(encoder.id)
        del encoder
    assert len(seen) == 20


def test_a_batch_of_many_sizes_keeps_its_order(encoder: ExecutionEncoder) -> None:
    """R12: groups of similar length are put back in place."""
    made = [plan_of(size, size) for size in (30, 1, 70, 2, 30, 9)]
    with torch.no_grad():
        found = encoder.encode_batch(made).numpy()
    for row, plan in zip(found, made, strict=True):
        assert distance(row, z_of(encoder, plan)) < 1e-5


def test_calls_of_many_sizes_keep_their_order(
    encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder
) -> None:
    """R12: calls are padded in groups of similar size, and put back in place."""
    sizes = (40, 1, 200, 2, 50, 1, 9)
    calls = [
        CallInput(ToolCall(node_id="a", tool_name=f"tool_{i}", arguments={"x": [i] * size}))
        for i, size in enumerate(sizes)
    ]
    for each in (encoder, fp32):
        found = each.embed_calls(calls)
        for row, call in zip(found, calls, strict=True):
            assert distance(row, each.embed_calls([call])[0]) < 1e-5


def test_a_long_plan_takes_no_more_than_linear_time_per_call(encoder: ExecutionEncoder) -> None:
    """Independent calls: 4,000 cost no more than 20 times 400."""

    def spent(size: int) -> float:
        plan = ExecutionPlan(
            nodes=tuple(ToolCall(node_id=str(i), tool_name="t") for i in range(size))
        )
        start = time.perf_counter()
        z_of(encoder, plan)
        return time.perf_counter() - start

    assert spent(4_000) < 30 * min(spent(400) for _ in range(3))

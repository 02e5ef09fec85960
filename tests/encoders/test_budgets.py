"""Sizes and gates of the founding documents. Speed itself is `make bench-encoders`: these bounds
are so wide that only something broken fails them, on a busy machine too."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gatling_guard import Edge, ExecutionPlan
from gatling_guard.encoders import CONFIGS, ExecutionEncoder, GovernanceEncoder
from gatling_guard.errors import InputError
from tests.encoders.plans import plan_of
from tests.encoders.test_agreement import z_of


def best(run: Callable[[], object], rounds: int = 5) -> float:
    """Processor seconds of the quickest of some runs."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def test_the_founding_shape() -> None:
    """R8: 10 k vocabulary, 512 wide (16 words more), 4 blocks of 8 heads, 512-2048-1024."""
    encoder = ExecutionEncoder("seed")
    parts = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in (("text", encoder.text), ("calls", encoder.calls), ("plan", encoder.plan))
    }
    assert encoder.text.table is not None
    assert tuple(encoder.text.table.weight.shape) == (10_000, 512 + 16)
    assert len(encoder.plan.blocks) == 4
    assert encoder.config.heads == 8
    assert (encoder.plan.z_up.in_features, encoder.plan.z_up.out_features) == (512, 2048)
    assert encoder.plan.z_down.out_features == 1024
    assert parts["text"] == 10_000 * (512 + 16)
    assert 15_500_000 < parts["plan"] < 16_500_000
    assert 20_000_000 < sum(parts.values()) < 25_800_000


@pytest.mark.parametrize("size", [2, 20])
def test_a_plan_within_50_ms(size: int) -> None:
    """R16, R150: the gate of the founding document, at the size that ships."""
    encoder = ExecutionEncoder("base")
    plan = plan_of(size, 1)
    z_of(encoder, plan)
    assert best(lambda: z_of(encoder, plan)) < 0.05


def test_a_policy_within_50_ms() -> None:
    """R31, R150: z_g of a policy that nobody saw before."""
    encoder = GovernanceEncoder("base")
    policy = {"allow": [f"tool_{i}" for i in range(100)], "deny": ["delete_*"]}
    with torch.no_grad():
        encoder(policy, "clerk", "Send it")
        assert best(lambda: encoder(policy, "clerk", "Send it")) < 0.05


def test_memory_of_a_plan() -> None:
    """R17: below 500 MB with the weights; what Python allocates for 100 calls is a fraction."""
    encoder = ExecutionEncoder("seed")
    weights = sum(p.numel() * p.element_size() for p in encoder.parameters())
    plan = plan_of(100, 2)
    tracemalloc.start()
    try:
        z_of(encoder, plan)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert weights < 100e6
    assert peak < 100e6


def test_parts_of_a_plan() -> None:
    """R23: parts are pooled in the light of the whole, whatever the numbering."""
    encoder = ExecutionEncoder(CONFIGS["small"])
    plan = plan_of(9, 5)
    ids = [node.node_id for node in plan.nodes]
    parts = [ids[:3], ids[3:], ids]
    found = encoder.sub_plans(plan, parts)
    assert abs(found[2] - z_of(encoder, plan)).max() < 1e-5
    assert abs(found[0] - found[1]).max() > 1e-2
    renamed = {node: f"x{i}" for i, node in enumerate(reversed(ids))}
    other = ExecutionPlan(
        nodes=tuple(
            node.model_copy(update={"node_id": renamed[node.node_id]})
            for node in reversed(plan.nodes)
        ),
        edges=tuple(
            Edge(source=renamed[edge.source], target=renamed[edge.target], kind=edge.kind)
            for edge in plan.edges
        ),
    )
    again = encoder.sub_plans(other, [[renamed[node] for node in part] for part in parts])
    assert abs(found - again).max() < 1e-5
    last = plan.calls[plan.order[-1]]
    assert plan.parents[last.node_id]
    alone = z_of(encoder, ExecutionPlan(nodes=(last,)))
    assert abs(encoder.sub_plans(plan, [[last.node_id]])[0] - alone).max() > 1e-3
    for wrong in ([], ["nobody"]):
        with pytest.raises(InputError, match="/parts/0"):
            encoder.sub_plans(plan, [wrong])


GROUPS = {
    "initialization": ("the_founding_shape", "no_part_is_left_in_the_other_mode"),
    "input validation": (
        "a_dict_that_is_no_plan", "a_cycle_is_an_error",
        "a_call_that_cannot_be_is_refused_and_changes_nothing",
    ),
    "core functionality": (
        "shapes", "repeats_are_bit_equal", "unrelated_plans_are_not_alike",
        "tier_scope_and_place_enter", "different_arguments_are_told_apart",
        "a_larger_limit_is_farther_away", "unseen_names_lie_near_their_neighbours",
    ),
    "variable length handling": (
        "every_call_of_a_long_plan_matters", "a_plan_longer_than_a_chunk",
    ),
    "graph structure": (
        "a_change_reaches_descendants_and_nobody_else", "renumbering_changes_nothing",
        "kinds_of_edges_are_told_apart",
    ),
    "gradient flow": (
        "every_parameter_gets_a_gradient", "gradients_are_those_of_finite_differences",
    ),
    "batch processing": ("batched_and_single_agree", "a_batch_of_many_sizes_keeps_its_order"),
    "performance": (
        "a_plan_within_50_ms", "memory_of_a_plan", "rows_are_bounded_and_time_is_linear",
    ),
    "components": ("padding_changes_nothing", "a_relation_matters_by_its_bias_alone"),
    "edge cases": (
        "deep_nesting_does_not_exhaust_the_stack", "a_volume_of_any_size_is_a_number",
        "numbers_are_node_ids_too",
    ),
    "integration": (
        "full_incremental_and_onnx_agree", "the_backends_say_the_same", "from_pretrained",
    ),
}  # fmt: skip
"""The eleven groups of the founding document, by tests of this folder."""


def test_the_eleven_groups_are_tested() -> None:
    """R148: at least 28 tests; `make coverage-encoders` holds the modules to 95 % coverage."""
    text = "\n".join(p.read_text("utf-8") for p in Path(__file__).parent.glob("test_*.py"))
    named = [name for names in GROUPS.values() for name in names]
    assert len(GROUPS) == 11
    assert len(set(named)) >= 28
    assert not [name for name in named if f"def test_{name}(" not in text]

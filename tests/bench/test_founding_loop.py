"""The founding design that the encoders are measured against does the founding design's job."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gatling_guard.plan import ExecutionPlan

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MODULES = ("founding_loop", "encoder_inputs", "rounds", "findings")


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, Any]]:
    """The modules of `benchmarks/`, which is no package, by name."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def loop(bench: dict[str, Any]) -> Any:
    torch.set_num_threads(1)
    return bench["founding_loop"].FoundingLoop()


def chain(*limits: int) -> ExecutionPlan:
    """search -> search -> .., each with its limit."""
    nodes = [
        {"node_id": str(i), "tool_name": "search", "arguments": {"limit": limit}}
        for i, limit in enumerate(limits)
    ]
    edges = [(str(i), str(i + 1)) for i in range(len(limits) - 1)]
    return ExecutionPlan.model_validate({"nodes": nodes, "edges": edges})


def test_it_has_the_size_of_the_founding_design(bench: dict[str, Any], loop: Any) -> None:
    """R8: 10 k vocabulary, 512 wide, 4 blocks, 512-2048-1024; 21 M +- 1 M."""
    found = bench["founding_loop"].census(loop)
    parts = sum(count for name, count in found.items() if name != "total")
    assert found["total"] == parts == sum(p.numel() for p in loop.parameters())
    assert abs(found["total"] - 21e6) < 1e6
    assert found["tokens"] == 10_000 * 512
    assert found["positions"] == 100 * 512
    assert found["blocks.ffn"] == 4 * (2 * 512 * 2048 + 2048 + 512)
    assert found["projection"] == 512 * 2048 + 2048 + 2048 * 1024 + 1024


def test_targets_read_their_sources_and_not_the_reverse(loop: Any) -> None:
    """R9, G2."""
    before, source, target = (
        loop.states(plan) for plan in (chain(5, 5, 5), chain(9, 5, 5), chain(5, 5, 9))
    )
    assert not torch.allclose(before[2], source[2], atol=1e-4)  # two edges away
    assert torch.equal(before[:2], target[:2])
    assert not torch.allclose(before[2], target[2], atol=1e-4)


def test_edges_weigh_with_a_bias_of_both_ends(bench: dict[str, Any]) -> None:
    """R9: the edge projection is seen, where a target has two sources."""
    model = bench["founding_loop"].FoundingLoop()
    nodes = [
        {"node_id": str(i), "tool_name": t, "arguments": {}} for i, t in enumerate(("a", "b", "c"))
    ]
    plan = ExecutionPlan.model_validate({"nodes": nodes, "edges": [("0", "2"), ("1", "2")]})
    before = model(plan)
    with torch.no_grad():
        for block in model.blocks:
            block.attention.edge.weight.zero_()
    assert not torch.allclose(before, model(plan), atol=1e-5)


@pytest.mark.parametrize("nodes", [1, 2, 20, 100])
def test_vectorised_it_is_the_same_network(bench: dict[str, Any], loop: Any, nodes: int) -> None:
    vectorised = bench["founding_loop"].VectorisedLoop()
    plan = bench["encoder_inputs"].random_plan(nodes, 3)
    expected = loop(plan)
    assert expected.shape == (1, 1024)
    assert (vectorised(plan) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_call_without_arguments_is_the_same_in_both(bench: dict[str, Any], loop: Any) -> None:
    vectorised = bench["founding_loop"].VectorisedLoop()
    nodes = [
        {"node_id": "a", "tool_name": "ping", "arguments": {}},
        {"node_id": "b", "tool_name": "read", "arguments": {"path": "/a", "limit": 3}},
    ]
    plan = ExecutionPlan.model_validate({"nodes": nodes})
    assert torch.allclose(vectorised(plan), loop(plan), atol=1e-6)


def test_it_is_deterministic_and_wholly_in_eval_mode(bench: dict[str, Any], loop: Any) -> None:
    """R14, G3, G4, G17: repeats, a second model and the global generator."""
    plan = bench["encoder_inputs"].random_plan(20, 0)
    state = torch.get_rng_state()
    other = bench["founding_loop"].FoundingLoop(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.allclose(loop(plan), other(plan), atol=1e-3)
    again = bench["founding_loop"].FoundingLoop()
    assert torch.equal(loop(plan), loop(plan))
    assert torch.equal(loop(plan), again(plan))
    assert not any(module.training for module in loop.modules())
    assert bench["founding_loop"].token("search") == 2037  # md5sum modulo 10,000


def test_a_batch_is_its_plans_one_by_one(bench: dict[str, Any], loop: Any) -> None:
    plans = [bench["encoder_inputs"].random_plan(n, 0) for n in (2, 7)]
    found = loop.encode_batch(plans)
    assert torch.equal(found, torch.cat([loop(plan) for plan in plans]))


def test_what_does_not_fit_is_refused(bench: dict[str, Any], loop: Any) -> None:
    """G15: the 101st call is no longer dropped silently."""
    with pytest.raises(ValueError, match="101 nodes"):
        loop(bench["encoder_inputs"].random_plan(101, 0))


def test_the_plans_are_of_the_stated_shape(bench: dict[str, Any]) -> None:
    """Same seed, same plan; 3 arguments and 1.3 sources in the mean."""
    inputs = bench["encoder_inputs"]
    plans = [inputs.random_plan(100, seed) for seed in range(20)]
    assert plans[0] == inputs.random_plan(100, 0)
    assert plans[0] != plans[1]
    assert 2.8 < sum(len(n.arguments) for p in plans for n in p.nodes) / 2000 < 3.2
    assert 1.2 < sum(len(p.edges) for p in plans) / 2000 < 1.4


def test_ratios_are_taken_within_rounds(bench: dict[str, Any]) -> None:
    """Noise that doubles both sides of a round leaves the ratio of the round alone."""
    rounds = bench["rounds"]
    slow = rounds.Times(wall=((90.0,),) * 3, cpu=((10.0, 10.0), (20.0, 20.0), (10.0, 10.0)))
    fast = rounds.Times(wall=((2.0,),) * 3, cpu=((2.0, 2.0), (4.0, 4.0), (2.0, 2.0)))
    found = rounds.ratio(slow, fast)  # being interrupted counts for nobody
    assert (found.value, found.low, found.high) == (5.0, 5.0, 5.0)
    assert rounds.Times(wall=((9.0,), (7.0,), (8.0,)), cpu=()).quiet == 7.0
    assert rounds.median_interval([float(i) for i in range(15)]) == (3.0, 11.0)
    assert rounds.median_interval([1.0, 2.0, 3.0]) == (1.0, 3.0)


def test_contestants_run_in_turns_each_on_its_own_input(bench: dict[str, Any]) -> None:
    rounds, seen = bench["rounds"], []
    a = rounds.Contestant("a", lambda given: seen.append(given), lambda i: ("a", i))
    b = rounds.Contestant("b", lambda given: seen.append(given), lambda i: ("b", i))
    found = rounds.race([a, b], rounds=2, seconds=1e-9)
    assert [len(times) for times in found["a"].wall] == [1, 1]
    assert seen[-4:] == [("a", 0), ("b", 0), ("b", 1), ("a", 1)]


def test_a_verdict_goes_by_its_target(bench: dict[str, Any]) -> None:
    line = bench["findings"].Line
    assert line("a", 5.0, "x", 5.0, at_least=True).holds
    assert not line("a", 4.9, "x", 5.0, at_least=True).holds
    assert line("a", 0.6, "ms", 0.6).holds
    assert not line("a", 0.7, "ms", 0.6).holds

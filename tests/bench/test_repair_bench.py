"""The benchmark of repairs finds what is wrong with a repair, and nothing where nothing is."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatling_guard.decision import Repaired
from gatling_guard.plan import ExecutionPlan
from gatling_guard.repair import Draft

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MODULES = ("repair_checks", "repair_plans", "repair_steps", "repair")


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
def made(bench: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Subjects, a generated plan that is repaired silently, and the repair."""
    subjects = bench["repair"].Subjects.of("standard", "off")
    for job in bench["repair_plans"].generated(400, 7):
        decision = subjects.repairing.guard(job.tools).check(job.plan, instruction=job.instruction)
        if isinstance(decision, Repaired) and len(job.plan) > 2:
            return subjects, job, decision.repair
    raise AssertionError("no plan was repaired")


def faults(bench: dict[str, Any], made: Any, machine: Any, repaired: Draft) -> list[str]:
    subjects, job, _ = made
    one = bench["repair_checks"].Bench.of(subjects.bare, job.tools, job.plan, job.instruction)
    return list(
        bench["repair_checks"].faults(one, one.scene(subjects.bare.policy), machine, repaired)
    )


def test_r57_r59_a_repair_that_is_made_has_no_fault(bench: dict[str, Any], made: Any) -> None:
    repair = made[2]
    assert isinstance(repair.repaired, ExecutionPlan)
    assert faults(bench, made, repair.machine, Draft(repair.repaired)) == []


def test_r59_a_planted_breach_is_found_twice(bench: dict[str, Any], made: Any) -> None:
    repair = made[2]
    first = repair.repaired.nodes[0]
    new = first.model_dump() | {"node_id": "planted"}
    nodes = (*repair.repaired.nodes, type(first)(**new))
    planted = Draft(ExecutionPlan(nodes=nodes, edges=repair.repaired.edges))
    found = faults(bench, made, repair.machine, planted)
    for start in ("edits: they make another plan", "lattice: call", "plain: planted: a new call"):
        assert any(fault.startswith(start) for fault in found), found


def test_the_counts_of_a_small_run_add_up(bench: dict[str, Any]) -> None:
    repair = bench["repair"]
    subjects, counts = repair.Subjects.of("standard", "off"), repair.Counts()
    with repair.watched() as outcomes:
        for job in itertools.islice(bench["repair_plans"].generated(60, 3), 60):
            repair.add(counts, subjects, job, outcomes)
    kinds = ("allowed", "repaired", "offered", "held", "blocked")
    assert counts.plans == sum(counts.came_to[kind] for kind in kinds) == 60
    assert counts.came_to["repaired"] == len(counts.similarity)
    assert counts.small["equal cost"] > 0
    assert not counts.faults
    assert not counts.dearer

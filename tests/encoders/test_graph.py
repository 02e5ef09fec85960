"""Who sees whom: `graph.Ancestry` against the plan's own definition of its ancestors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard import Edge, ExecutionPlan
from gatling_guard.encoders.graph import (
    POSITION_DIM,
    RELATIONS,
    SELF,
    UNSEEN,
    Ancestry,
    ancestry_of,
    kinds_of,
    position_features,
)
from tests.encoders.plans import plans
from tests.encoders.test_agreement import SLOW

NOTHING: tuple[int, ...] = ()


def graph_of(plan: ExecutionPlan) -> Ancestry:
    return ancestry_of(plan.order, plan.edges)


@SLOW
@given(plan=plans(60))
def test_a_call_sees_itself_and_its_ancestors_only(plan: ExecutionPlan) -> None:
    """G2: never a descendant, never a sibling."""
    graph = graph_of(plan)
    table = graph.relations(0, len(plan), NOTHING)
    depths = plan.depths()
    assert graph.depths == [depths[node] for node in plan.order]
    assert (table.min(), table.max()) >= (UNSEEN, SELF)
    assert table.max() < RELATIONS
    for i, node in enumerate(plan.order):
        ancestors = plan.ancestors(node)
        seen = {other for j, other in enumerate(plan.order) if table[i, j] != UNSEEN}
        assert seen == ancestors | {node}
        assert [j for j in range(len(plan)) if table[i, j] == SELF] == [i]


@SLOW
@given(plan=plans(60), cut=st.integers(1, 60), size=st.integers(1, 20))
def test_a_part_of_the_table_is_the_table_of_a_part(
    plan: ExecutionPlan, cut: int, size: int
) -> None:
    """R12: chunk by chunk, against those earlier calls alone that are seen."""
    graph = graph_of(plan)
    whole = graph.relations(0, len(plan), NOTHING)
    first = min(cut, len(plan) - 1)
    last = min(first + size, len(plan))
    seen = graph.seen(first, last)
    part = graph.relations(first, last, seen)
    columns = [*seen, *range(first, last)]
    assert np.array_equal(part, whole[first:last][:, columns])
    others = np.setdiff1d(np.arange(first), seen)
    assert (whole[first:last][:, others] == UNSEEN).all()
    assert len(seen) == 0 or (whole[first:last][:, seen] != UNSEEN).any(0).all()
    for more in (seen, range(first)):  # it may be told of calls that it does not see
        for i in range(first, last):
            alone = graph.relations(i, i + 1, [*more, *range(first, i)])
            assert np.array_equal(alone[0], whole[i, [*more, *range(first, i + 1)]])
    positions = graph.positions(0, len(plan))
    assert np.array_equal(graph.positions(first, last), positions[first:last])


@SLOW
@given(plan=plans(40))
def test_what_was_added_can_be_taken_back_and_a_fork_is_its_own(plan: ExecutionPlan) -> None:
    graph = graph_of(plan)
    before = graph.relations(0, len(plan), NOTHING)
    fork = graph.fork()
    fork.add({0: 1, len(plan) - 1: 2})
    graph.add({})
    graph.drop()
    assert (len(graph), len(fork)) == (len(plan), len(plan) + 1)
    assert np.array_equal(graph.relations(0, len(plan), NOTHING), before)
    assert np.array_equal(fork.relations(0, len(plan), NOTHING), before)


def test_each_combination_of_edge_kinds_has_a_relation_of_its_own() -> None:
    """R23: data, control, temporal, and an ancestor without an edge."""
    found = set()
    for kinds in range(1, 8):
        graph = Ancestry()
        graph.add({})
        graph.add({0: kinds})
        found.add(int(graph.relations(0, 2, NOTHING)[1, 0]))
    chain = Ancestry()
    for direct in ({}, {0: 1}, {1: 1}):
        chain.add(direct)
    found.add(int(chain.relations(0, 3, NOTHING)[2, 0]))
    assert len(found) == 8
    assert not found & {UNSEEN, SELF}


def test_the_distance_enters() -> None:
    """R9: exactly up to 8, then ever more coarsely, and never past the table."""
    graph = Ancestry()
    for i in range(600):
        graph.add({i - 1: 1} if i else {})
    last = graph.relations(599, 600, range(599))[0, :598][::-1]  # distance 2, 3, ...
    assert (np.diff(last) >= 0).all()
    assert len(set(last[:7].tolist())) == 7
    assert len(set(last.tolist())) == 15
    assert last[200] == last[597]


def test_kinds_of_parallel_edges_add_up() -> None:
    edges = [Edge(source="a", target="c"), Edge(source="a", target="c", kind="control"),
             Edge(source="a", target="c", argument="/x"),
             Edge(source="b", target="c", kind="temporal")]  # fmt: skip
    assert kinds_of(edges, {"a": 0, "b": 1}) == {0: 1 | 2, 1: 4}


@pytest.mark.parametrize("sources", [0, 1, 5])
def test_places_are_told_apart(sources: int) -> None:
    """R10: depths 0..200, and how many sources."""
    rows = np.array([position_features(depth, sources) for depth in range(201)])
    assert rows.shape == (201, POSITION_DIM)
    gaps = np.abs(rows[:, None] - rows[None]).max(-1) + np.eye(201)
    assert gaps.min() > 1e-3
    assert position_features(3, 1) != position_features(3, 2)

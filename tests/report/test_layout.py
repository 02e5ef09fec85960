"""Where the calls of a drawing stand."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.report.layout import HEIGHT, SHOWN, WIDTH, placed, selected
from gatling_guard.report.svg import as_svg
from gatling_guard.report.types import Link, Node

PAIRS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=30)


def drawn(count: int, pairs: list[tuple[int, int]]) -> tuple[list[Node], list[Link]]:
    nodes = [Node(f"n{i}", "tool", "allow") for i in range(count)]
    return nodes, [Link(f"n{a}", f"n{b}", "to", 3) for a, b in pairs if max(a, b) < count]


@given(st.integers(1, 16), PAIRS)
def test_no_two_calls_overlap_and_nothing_is_cut_off(
    count: int, pairs: list[tuple[int, int]]
) -> None:
    """For any graph, also one with cycles and links to itself, as a changed receipt may have."""
    nodes, links = drawn(count, pairs)
    found = placed(nodes, links)
    assert set(found.corners) == {node.id for node in nodes}
    for (x1, y1), (x2, y2) in itertools.combinations(found.corners.values(), 2):
        assert abs(x1 - x2) >= WIDTH or abs(y1 - y2) >= HEIGHT
    points = [p for route in found.routes.values() for p in route]
    points += [(x + WIDTH, y + HEIGHT) for x, y in found.corners.values()]
    for x, y in points:
        assert 0 <= x <= found.width
        assert 0 <= y <= found.height
    assert set(found.routes) == {(k.source, k.target) for k in links if k.source != k.target}
    assert found == placed(nodes, links)


def test_data_flows_in_one_direction() -> None:
    nodes, links = drawn(5, [(0, 2), (1, 2), (2, 3), (0, 4), (3, 4)])
    found = placed(nodes, links)
    for link in links:
        axis = int(found.downwards)
        assert found.corners[link.source][axis] < found.corners[link.target][axis]


def test_a_long_chain_goes_downwards() -> None:
    nodes, links = drawn(12, [(i, i + 1) for i in range(11)])
    found = placed(nodes, links)
    assert found.downwards
    assert found.width < 500


def test_what_feeds_a_stopped_call_is_shown_and_the_rest_is_counted() -> None:
    """200 calls stay readable."""
    nodes, links = drawn(200, [(10, 150), (11, 10), (3, 4)])
    nodes[150] = Node("n150", "pay", "block", 9.0)
    assert [node.id for node in selected(nodes, links, "")] == ["n10", "n11", "n150"]
    svg, left = as_svg(nodes, links)
    assert (left, svg.count('class="call')) == (197, 3)
    many = [Node(n.id, n.tool, "block", 9.0) for n in nodes]
    assert len(selected(many, links, "n150")) == SHOWN
    assert "n150" in {node.id for node in selected(many, links, "n150")}


@pytest.mark.parametrize("focus", ["n0", ""])
def test_the_decided_call_stands_out(focus: str) -> None:
    nodes, links = drawn(3, [(0, 1), (1, 2)])
    svg, _ = as_svg(nodes, links, focus)
    assert svg.count(" focus") == bool(focus)
    assert "<desc" in svg
    assert "tool to tool: to, public" in svg

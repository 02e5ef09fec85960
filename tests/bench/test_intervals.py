from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.bench import Interval, bootstrap, wilson


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (8, 10, 0.4902, 0.9433),
        (50, 100, 0.4038, 0.5962),
    ],
)
def test_wilson_gives_the_published_values(hits: int, total: int, low: float, high: float) -> None:
    found = wilson(hits, total)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_contains_the_share_and_stays_between_0_and_1(counts: tuple[int, int]) -> None:
    hits, total = counts
    found = wilson(hits, total)
    assert found is not None
    assert 0.0 <= found.low <= hits / total <= found.high <= 1.0


def test_nothing_to_count_has_no_interval() -> None:
    assert wilson(0, 0) is None
    assert bootstrap({}) is None
    assert bootstrap({"task": (0, 0)}) is None


def test_the_bootstrap_resamples_tasks_not_rows() -> None:
    """A task of 1,000 copies is one draw: the interval is wide where Wilson's is narrow."""
    groups = {"a": (1000, 1000), "b": (0, 1000)}
    by_task, by_row = bootstrap(groups), wilson(1000, 2000)
    assert by_task is not None
    assert by_row is not None
    assert (by_task.low, by_task.high) == (0.0, 1.0)
    assert by_row.high - by_row.low < 0.05


def test_the_bootstrap_is_the_same_for_the_same_seed() -> None:
    groups = {i: (i % 7, 7 + i) for i in range(40)}
    assert bootstrap(groups, seed=1) == bootstrap(dict(groups), seed=1)
    assert bootstrap(groups, seed=1) != bootstrap(groups, seed=2)


def test_the_bootstrap_weighs_a_task_by_its_rows() -> None:
    groups = {**{f"small{i}": (0, 1) for i in range(50)}, **{f"big{i}": (9, 9) for i in range(50)}}
    found = bootstrap(groups)
    assert found is not None
    assert 0.8 < found.low < 0.9 < found.high < 1.0


def test_a_mean_of_one_is_no_certainty() -> None:
    """As many holds as rows is a share of 100 %, and a mean like any other."""
    found = bootstrap({i: (2 * (i % 2), 1) for i in range(20)})
    assert found is not None
    assert found.low < 1.0 < found.high
    assert bootstrap({"a": (3, 2), "b": (6, 4)}) == Interval(1.5, 1.5)

"""Figures on vectors whose figures are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from gatling_guard.training import metrics
from gatling_guard.training.bootstrap import Bootstrap

AXES = np.eye(4)


def ids(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_positive_similarity() -> None:
    """R76: one pair equal, one at a right angle, whatever their length."""
    assert metrics.positive_similarity(AXES[:2], np.stack([5 * AXES[0], AXES[3]])) == 0.5


def test_similarity_of_other_pairs() -> None:
    """R76: of equal authorities one; a plan's own does not count."""
    z_g, z_e = AXES[[0, 0, 1]], AXES[[0, 1, 1]]
    found = metrics.other_similarities(z_g, z_e, ids(1, 1, 2))
    assert found.tolist() == [0, 1, 0]
    assert np.isnan(metrics.other_similarities(z_g, z_e, ids(1, 1, 1))).all()


def test_nearest_neighbour() -> None:
    """R76: of four plans one lies at another's authority."""
    found = metrics.nearest_neighbour(AXES, AXES[[0, 1, 2, 2]], ids(1, 2, 3, 4), ids(5, 6, 7, 8))
    assert found == 0.75


def test_equal_authorities_are_one_candidate() -> None:
    """R76, G14: with 10 of 12 equal policies, finding any of the ten is right, not one in ten."""
    z = np.concatenate([np.repeat(AXES[:1], 10, 0), AXES[1:3]])
    authority = ids(*[1] * 10, 2, 3)
    plan = ids(*range(12))
    assert metrics.nearest_neighbour(z, z, authority, plan) == 1.0


def test_a_constant_embedding_scores_as_chance() -> None:
    """R76: a tie is worth the share of right ones in it."""
    same = np.ones((4, 3))
    assert metrics.nearest_neighbour(same, same, ids(1, 2, 3, 4), ids(1, 2, 3, 4)) == 0.25
    assert metrics.nearest_neighbour(same, same, ids(1, 1, 2, 2), ids(1, 2, 3, 4)) == 0.5


def test_an_equal_plan_is_allowed_by_either_authority() -> None:
    z_g, z_e = AXES[:2], AXES[[1, 1]]
    assert metrics.nearest_neighbour(z_g, z_e, ids(1, 2), ids(7, 7)) == 1.0
    assert metrics.nearest_neighbour(z_g, z_e, ids(1, 2), ids(7, 8)) == 0.5


def test_energy_separation() -> None:
    """R77: of lists of tensors too, for which the seed's code fails; delta_sec is the seed's."""
    energies = [torch.tensor(1.0), torch.tensor(2.0), torch.tensor([4.0]), torch.tensor(9.0)]
    found = metrics.energy_separation(energies, [0, 0, 1, 2])  # type: ignore[arg-type]
    assert found.means == {"gold": 1.5, "boundary": 4.0, "adversarial": 9.0}
    assert (found.delta_sec, found.gap) == (5.0, 7.5)
    assert found.in_band == {"gold": 0.5, "boundary": 1.0, "adversarial": 1.0}
    assert np.isnan(metrics.energy_separation([1.0], [0]).delta_sec)


def test_recall_by_mutation() -> None:
    energies = np.array([1.0, 5.0, 9.0, 9.0])
    found = metrics.mutation_recall(energies, [None, "pivot", "pivot", "laundering"], 5.0)
    assert found == {"pivot": 0.5, "laundering": 1.0}


def test_threshold_stops_the_given_share_of_gold() -> None:
    gold = np.arange(100.0)
    assert (gold > metrics.threshold_of(gold, 0.05)).sum() <= 5
    assert metrics.threshold_of(np.array([])) == float("inf")


def test_auc() -> None:
    positive = np.array([True, False, True, False])
    assert metrics.auc(np.array([3.0, 1.0, 2.0, 0.0]), positive) == 1.0
    assert metrics.auc(np.array([1.0, 1.0, 1.0, 1.0]), positive) == 0.5
    assert metrics.auc(np.array([2.0, 2.0, 1.0, 0.0]), positive) == pytest.approx(0.625)
    assert np.isnan(metrics.auc(np.array([1.0]), np.array([True])))


def test_calibration_curve() -> None:
    """Two bins: 0.25 said, half came true; 1 said, all came true."""
    said, true = np.array([0.25, 0.25, 1.0]), np.array([True, False, True])
    curve, error = metrics.calibration_curve(said, true, bins=2)
    assert [(b.predicted, b.observed, b.count) for b in curve] == [(0.25, 0.5, 2), (1.0, 1.0, 1)]
    assert error == pytest.approx(2 / 3 * 0.25)


def test_risk_is_monotone_and_fits_the_bands() -> None:
    found = metrics.risk(np.array([2.0, 5.0, 8.0]))
    assert found[0] < 0.05 < found[1] == 0.5 < 0.95 < found[2]


def test_the_pool_of_a_nearest_neighbour_is_a_mean_over_all_draws() -> None:
    """R76: exact, as counting every pool by hand; ties share."""
    near = np.array([[0.5, 0.9, 0.5, 0.5, 0.1, 0.2]])  # the first is right, one nearer, two tied
    right = np.array([[True] + [False] * 5])
    found = metrics.ranks(near, right, np.ones_like(right))
    assert [int(x[0]) for x in (found.nearer, found.tied, found.right, found.wrong)] == [1, 2, 1, 5]
    for pool in range(1, 7):
        draws = list(itertools.combinations(range(1, 6), pool - 1))
        hits = [
            0.0 if 1 in drawn else 1 / (1 + len({2, 3} & {*drawn})) for drawn in draws
        ]  # fmt: skip
        assert found.top(pool)[0] == pytest.approx(sum(hits) / len(hits))
    assert np.isnan(found.top(7)[0])
    assert found.top()[0] == 0


def test_larger_pools_are_harder() -> None:
    source = np.random.default_rng(3)
    z_g = source.standard_normal((200, 16))
    z_e = z_g + 1.5 * source.standard_normal((200, 16))
    number = np.arange(200)
    found = metrics.neighbours(z_g, z_e, number, number)
    shares = [found.top(pool).mean() for pool in (2, 10, 50, 200)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(found.top().mean())
    assert shares[0] > shares[-1] > 0.3


def test_weighted_auc_counts_rows_as_often() -> None:
    scores, positive = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, True, False, True])
    times = np.array([3, 2, 1, 0])
    rows = np.repeat(np.arange(4), times)
    assert metrics.auc(scores, positive, times.astype(float)) == metrics.auc(
        scores[rows], positive[rows]
    )


def test_intervals_resample_families() -> None:
    """Ten twins of each of twenty families say no more than twenty samples."""
    source = np.random.default_rng(1)
    alone = source.random(20)
    single = Bootstrap([f"f{i}" for i in range(20)]).mean(alone)
    twins = Bootstrap([f"f{i}" for i in range(20) for _ in range(10)]).mean(np.repeat(alone, 10))
    assert single.value == pytest.approx(alone.mean())
    assert (twins.low, twins.high) == pytest.approx((single.low, single.high))
    assert single.low is not None
    assert single.high is not None
    assert single.low < alone.mean() < single.high


def test_an_interval_of_nothing() -> None:
    sure = Bootstrap(["a", "b"])
    assert sure.mean(np.array([np.nan, np.nan])).value is None
    assert sure.mean(np.array([1.0, 2.0]), np.array([False, False])).value is None
    assert Bootstrap([]).mean(np.zeros(0)).value is None

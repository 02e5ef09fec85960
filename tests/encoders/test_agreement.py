"""One answer, however it is computed: whole, batched, call by call, in torch or in onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatling_guard import ExecutionPlan
from gatling_guard.encoders.execution import ExecutionEncoder
from gatling_guard.encoders.execution_onnx import OnnxExecutionEncoder
from gatling_guard.encoders.plans import CHUNK, PlanEncoder
from gatling_guard.encoders.state import PlanState
from tests.encoders.plans import plan_of, plans

SLOW = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)


def grown(encoder: PlanEncoder, plan: ExecutionPlan) -> PlanState:
    """The plan, appended call by call."""
    state = encoder.start()
    for node in plan.order:
        into = [edge for edge in plan.edges if edge.target == node]
        state.append(plan.calls[node], sources=into)
    return state


def z_of(encoder: PlanEncoder, plan: ExecutionPlan) -> NDArray[np.float32]:
    """The whole plan at once."""
    with torch.no_grad():
        return np.asarray(encoder(plan)[0], np.float32)  # type: ignore[operator]


def distance(a: NDArray[np.float32] | None, b: NDArray[np.float32] | None) -> float:
    assert a is not None
    assert b is not None
    return float(np.abs(a - b).max())


@pytest.mark.timeout(400)
@settings(SLOW, max_examples=500)
@given(plan=plans(200))
def test_full_incremental_and_onnx_agree(
    encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder, plan: ExecutionPlan
) -> None:
    """R12, R19, design 4: 500 random DAGs of 1..200 calls."""
    whole = z_of(encoder, plan)
    assert distance(grown(fp32, plan).z_e, whole) < 1e-4
    assert distance(z_of(fp32, plan), whole) < 1e-4
    assert distance(grown(encoder, plan).z_e, whole) < 1e-5


@settings(SLOW, max_examples=60)
@given(batch=st.lists(plans(200), min_size=1, max_size=12))
def test_batched_and_single_agree(
    encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder, batch: list[ExecutionPlan]
) -> None:
    """R12: mixed sizes 1..200."""
    singles = np.stack([z_of(encoder, plan) for plan in batch])
    with torch.no_grad():
        together = encoder.encode_batch(batch).numpy()
    assert distance(together, singles) < 1e-5
    assert distance(fp32.encode_batch(batch), singles) < 1e-4


def test_with_gradients_and_without_agree(encoder: ExecutionEncoder) -> None:
    """Training looks at what serving looks at, plans longer than a chunk included."""
    batch = [plan_of(size, size) for size in (1, 5, 17, CHUNK + 40)]
    recorded = encoder.encode_batch(batch)
    assert recorded.requires_grad
    with torch.no_grad():
        assert distance(recorded.numpy(), encoder.encode_batch(batch).numpy()) < 1e-5


def test_a_plan_longer_than_a_chunk(encoder: ExecutionEncoder, fp32: OnnxExecutionEncoder) -> None:
    """G15, no truncation: chunks of a long plan agree with one call after another."""
    plan = plan_of(2 * CHUNK + 7, 3)
    assert distance(z_of(encoder, plan), grown(fp32, plan).z_e) < 1e-4


def test_repeats_are_bit_equal(encoder: ExecutionEncoder, int8: OnnxExecutionEncoder) -> None:
    """R14, G3: 20 repeats; a part left in training mode would drop out here."""
    plan = plan_of(12, 1)
    for each in (encoder, int8):
        first = z_of(each, plan)
        assert all(np.array_equal(z_of(each, plan), first) for _ in range(20))
    assert not any(module.training for module in encoder.modules())

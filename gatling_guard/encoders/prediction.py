"""The predictor at run time, without torch, and what its prediction is worth for a call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.runtime import OnnxGraph
from gatling_guard.encoders.state import PlanState


class OnnxPredictor:
    """The exported `Predictor` in onnxruntime. Thread-safe."""

    def __init__(self, config: EncoderConfig, graph: OnnxGraph) -> None:
        self.config, self.graph = config, graph

    def predict(
        self,
        z_g: NDArray[np.float32],
        z_e: NDArray[np.float32],
        latest: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """`[B, latent_dim]`, `[B, latent_dim]`, `[B, h]` -> `[B, call_dim]`, unit length."""
        return self.graph(z_g, z_e, latest)[0]


def plan_inputs(
    config: EncoderConfig, state: PlanState, batch: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a predictor takes of a plan so far: z_e `[batch, latent_dim]`, `[batch, h]`.

    Zeros before the first call. `batch` > 1 sets several authorities beside one plan.
    """
    z_e = np.zeros(config.latent_dim, np.float32) if state.z_e is None else state.z_e
    last = np.zeros(config.hidden_dim, np.float32) if state.last is None else state.last
    return np.tile(z_e, (batch, 1)), np.tile(last, (batch, 1))


def prediction_error(
    predicted: NDArray[np.float32], call: NDArray[np.float32]
) -> NDArray[np.float32]:
    """1 - cosine of unit vectors `[..., call_dim]` -> `[...]` in [0, 2]."""
    # The product of a unit vector with itself may round to a little more than 1.
    error: NDArray[np.float32] = np.clip(1 - (predicted * call).sum(-1), 0, 2)
    return error

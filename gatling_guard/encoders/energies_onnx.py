"""The learned energies at run time, without torch; `energies` holds the network."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.runtime import OnnxGraph

TERMS: Final = ("hierarchy", "provenance", "scope", "flow")
"""Order of the energies. That of `energy.TERMS`, which is a room above this one (tested)."""


class OnnxEnergyHead:
    """The exported `EnergyHead` in onnxruntime. Thread-safe."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph

    def energies(
        self, z_g: NDArray[np.float32], z_e: NDArray[np.float32], errors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """`[B, latent_dim]`, `[B, latent_dim]`, `[B, 2]` -> `[B, 4]`, in the order of `TERMS`."""
        return self.graph(z_g, z_e, errors)[0]

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
        self,
        z_g: NDArray[np.float32],
        z_e: NDArray[np.float32],
        state: NDArray[np.float32],
        call: NDArray[np.float32],
        expected: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Of M calls `[M, 4]`, in the order of `TERMS`; see `EnergyHead.forward`."""
        return self.graph(z_g, z_e, state, call, expected)[0]

"""The learned energies of a plan under an authority (R33). Torch; see `energies_onnx`.

Sees both embeddings and how far the plan's calls were from the predicted ones. Does not see: rules,
exact structure. What serves adds these energies to the structural ones (P1) after a calibration
(`calibration`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.energies_onnx import TERMS
from gatling_guard.encoders.layers import initialise


class EnergyHead(nn.Module):
    """(z_g, z_e, prediction errors) -> four energies >= 0.

    Two small projections of the unit vectors are compared by product and distance; the rest is a
    layer of 64.
    """

    def __init__(self, config: EncoderConfig, width: int = 64) -> None:
        super().__init__()
        self.config = config
        self.authority = nn.Linear(config.latent_dim, width)
        self.plan = nn.Linear(config.latent_dim, width)
        self.hidden = nn.Linear(4 * width + 3, width)
        self.out = nn.Linear(width, len(TERMS))
        initialise(self)

    def forward(self, z_g: Tensor, z_e: Tensor, errors: Tensor) -> Tensor:
        """`[B, L]`, `[B, L]`, `[B, 2]` (mean, largest) -> `[B, 4]`, in the order of `TERMS`."""
        unit_g, unit_e = (nn.functional.normalize(z, dim=-1) for z in (z_g, z_e))
        # Unit vectors of L dimensions have entries of about L^-1/2.
        scale = self.config.latent_dim**0.5
        a, b = self.authority(unit_g * scale), self.plan(unit_e * scale)
        cosine = (unit_g * unit_e).sum(-1, keepdim=True)
        x = self.hidden(torch.cat([a, b, a * b, (a - b).abs(), cosine, errors], -1))
        return nn.functional.softplus(self.out(nn.functional.silu(x)))

    def energies(
        self, z_g: NDArray[np.float32], z_e: NDArray[np.float32], errors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """`forward` on arrays, without gradients; the call form of `OnnxEnergyHead`."""
        with torch.no_grad():
            # A copy: z_g comes read-only out of its cache.
            found = self(*(torch.tensor(array) for array in (z_g, z_e, errors)))
        return np.asarray(found.numpy(), np.float32)

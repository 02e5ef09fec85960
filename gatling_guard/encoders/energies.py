"""The learned energies of a call under an authority (R33). Torch; see `energies_onnx`.

Sees the embeddings of authority, plan and call, and the predicted call. Does not see: rules,
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
    """One call under an authority -> four energies >= 0.

    Energies are of calls, so that one bad call among twenty good ones is as bad as alone; a plan's
    are the largest of its calls'. The call in the light of its ancestors is compared with the
    authority, the plan up to it, and what the predictor expected in its place.
    """

    def __init__(self, config: EncoderConfig, width: int = 128) -> None:
        super().__init__()
        self.config = config
        self.authority = nn.Linear(config.latent_dim, width)
        self.plan = nn.Linear(config.latent_dim, width)
        self.state = nn.Linear(config.hidden_dim, width)
        self.call = nn.Linear(config.call_dim, width)
        self.expected = nn.Linear(config.call_dim, width)
        self.norm = nn.LayerNorm(5 * width)
        self.hidden = nn.Linear(5 * width + 2, 2 * width)
        self.middle = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, len(TERMS))
        initialise(self)
        with torch.no_grad():
            self.out.weight.mul_(0.1)

    def forward(
        self, z_g: Tensor, z_e: Tensor, state: Tensor, call: Tensor, expected: Tensor
    ) -> Tensor:
        """Energies of M calls `[M, 4]`, in the order of `TERMS`.

        Args:
            z_g: `[M, L]` the authority.
            z_e: `[M, L]` the plan with the call.
            state: `[M, h]` the call in the light of its ancestors.
            call: `[M, C]` the call by itself, unit length.
            expected: `[M, C]` the predictor's, unit length.
        """
        unit_g, unit_e = (nn.functional.normalize(z, dim=-1) for z in (z_g, z_e))
        # Unit vectors of L dimensions have entries of about L^-1/2.
        wide, narrow = z_g.shape[-1] ** 0.5, call.shape[-1] ** 0.5
        a, p = self.authority(unit_g * wide), self.plan(unit_e * wide)
        c = self.state(state) + self.call(call * narrow)
        e = self.expected(expected * narrow)
        fits = torch.stack([(unit_g * unit_e).sum(-1), (call * expected).sum(-1)], -1)
        x = self.norm(torch.cat([a, p, c, a * c, (e - c).abs()], -1))
        x = nn.functional.silu(self.hidden(torch.cat([x, fits], -1)))
        return nn.functional.softplus(self.out(nn.functional.silu(self.middle(x))))

    def energies(
        self,
        z_g: NDArray[np.float32],
        z_e: NDArray[np.float32],
        state: NDArray[np.float32],
        call: NDArray[np.float32],
        expected: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """`forward` on arrays, without gradients; the call form of `OnnxEnergyHead`."""
        with torch.no_grad():
            # Copies: z_g comes read-only out of its cache.
            found = self(*(torch.tensor(x) for x in (z_g, z_e, state, call, expected)))
        return np.asarray(found.numpy(), np.float32)

"""What makes the pair of encoders a joint-embedding *predictive* architecture (JEPA).

From z_g and the plan so far the predictor says what the embedding of the next call would be if the
authority had its way. The target is the call's own embedding under an EMA copy of the
ExecutionEncoder, so that the two sides cannot agree on a constant (BYOL, arXiv 2006.07733; I-JEPA,
arXiv 2301.08243). The error is the energy of "this is not what the authority would do next"; with
z_g of another text in the instruction's place it is the attribution of design.md, P3.

Sees what z_g and z_e see. Does not see span text unless it was put into z_g on purpose.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatling_guard.encoders.config import EncoderConfig, config_of
from gatling_guard.encoders.execution import ExecutionEncoder
from gatling_guard.encoders.layers import FeedForward, initialise
from gatling_guard.errors import ConfigurationError


class Predictor(nn.Module):
    """(z_g, z_e of the plan so far, state of its latest call) -> the next call's embedding.

    Before the first call z_e and the state are zeros.
    """

    def __init__(self, config: EncoderConfig | str = "base", *, latent_dim: int | None = None):
        super().__init__()
        self.config = config_of(config, latent_dim=latent_dim)
        width = self.config.predictor_dim
        self.authority_norm = nn.LayerNorm(self.config.latent_dim)
        self.plan_norm = nn.LayerNorm(self.config.latent_dim)
        self.authority = nn.Linear(self.config.latent_dim, width)
        self.plan = nn.Linear(self.config.latent_dim, width)
        self.latest = nn.Linear(self.config.hidden_dim, width)
        self.ffn = FeedForward(width, 2, self.config.dropout)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, self.config.call_dim)
        # Words asked for, less words done: past the layers between, as in the encoders.
        self.asked = nn.Linear(self.config.latent_dim, self.config.call_dim, bias=False)
        self.done = nn.Linear(self.config.latent_dim, self.config.call_dim, bias=False)
        initialise(self)
        self.eval()

    def forward(self, z_g: Tensor, z_e: Tensor, latest: Tensor) -> Tensor:
        """`[B, latent_dim]`, `[B, latent_dim]`, `[B, h]` -> `[B, call_dim]`, unit length."""
        z_g, z_e = self.authority_norm(z_g), self.plan_norm(z_e)
        x = self.authority(z_g) + self.plan(z_e) + self.latest(latest)
        x = x + self.ffn(x)
        call = self.out(self.norm(x)) + self.asked(z_g) + self.done(z_e)
        return nn.functional.normalize(call, dim=-1)

    def predict(
        self,
        z_g: NDArray[np.float32],
        z_e: NDArray[np.float32],
        latest: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """`forward` on arrays, without gradients; the call form of `OnnxPredictor`."""
        with torch.no_grad():
            # A copy: z_g comes read-only out of its cache.
            found = self(*(torch.tensor(array) for array in (z_g, z_e, latest)))
        return np.asarray(found.numpy(), np.float32)


class TargetEncoder(nn.Module):
    """An exponential moving average of an ExecutionEncoder: the predictor's target.

    Never trained itself, always in eval mode.

    Args:
        encoder: is copied.
        decay: share of the old target kept by one `update`, in [0, 1).
    """

    def __init__(self, encoder: ExecutionEncoder, *, decay: float = 0.996) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ConfigurationError("TargetEncoder: decay must be in [0, 1)")
        self.decay = decay
        self.encoder = copy.deepcopy(encoder)
        self.encoder.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> TargetEncoder:
        """Stays in eval mode: a target with dropout would be noise."""
        return super().train(False)

    @torch.no_grad()
    def update(self, encoder: ExecutionEncoder) -> None:
        """Target = decay * target + (1 - decay) * encoder, parameter by parameter."""
        for mine, theirs in zip(self.encoder.parameters(), encoder.parameters(), strict=True):
            mine.lerp_(theirs.detach(), 1 - self.decay)

"""Layers that the encoders share. Imports torch: never imported by the ONNX path.

Shapes: B plans or documents, N nodes, h `hidden_dim`, w `words_dim`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.documents import UNIT_EPSILON
from gatling_guard.encoders.text import STATIC_DIM


class Pretrained(nn.Module):
    """A network that stands in model folders under the name `part`."""

    part: ClassVar[Literal["execution", "governance"]]

    @classmethod
    def from_pretrained(
        cls,
        folder: Path | str | None = None,
        *,
        backend: Literal["torch", "onnx"] = "torch",
        device: str = "cpu",
    ) -> Any:
        """The encoder of a model folder; None: the weights that ship with this package.

        Returns: this class with `backend="torch"`, else the encoder that serves without torch.

        Raises:
            ConfigurationError: no such model, other tokeniser, or a part is missing.
            InputError: a file is damaged.
        """
        from gatling_guard.encoders.bundle import pretrained

        return pretrained(cls, cls.part, folder, backend=backend, device=device)


class TextProjection(nn.Module):
    """Text features -> R^(h + w): the one part of an encoder that depends on the tokeniser.

    The blocks read the first h. The last w are summed over the texts of a plan, or of an
    instruction, and reach the embedding past all blocks (`unit_scale`): which words both have in
    common says most about which plan an instruction means, and a network that has to learn to pass
    words on spends its first thousands of steps on that. They start equal in both encoders.

    `static`: float32 `[..., STATIC_DIM]` times a matrix without bias, so that the empty text stays
    zero. `md5`: int64 ids `[...]` into a learned table; id 0 is the empty text and stays zero.

    The ONNX path keeps the result per text (`encoders.projected`).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.static: nn.Linear | None = None
        self.table: nn.Embedding | None = None
        if config.tokenizer == "static":
            self.static = nn.Linear(STATIC_DIM, config.text_dim, bias=False)
        else:
            self.table = nn.Embedding(config.vocabulary, config.text_dim, padding_idx=0)

    def forward(self, features: Tensor) -> Tensor:
        """`[..., STATIC_DIM]` or ids `[...]` -> `[..., h + w]`."""
        if self.static is not None:
            return torch.as_tensor(self.static(features))
        assert self.table is not None
        return torch.as_tensor(self.table(features))

    @torch.no_grad()
    def start(self, hidden_dim: int, gain: float = 1.0) -> None:
        """Initial weights: the first h random, the others near the features and equal everywhere.

        Args:
            hidden_dim: h.
            gain: standard deviation of the first h.
        """
        if self.static is None:
            assert self.table is not None
            weight = self.table.weight
            words = weight.shape[1] - hidden_dim
            source = torch.Generator().manual_seed(words)
            random = torch.randn(len(weight) - 1, words, generator=source)
            weight[1:, hidden_dim:] = random * words**-0.5
            return
        weight = self.static.weight
        nn.init.normal_(weight[:hidden_dim], std=gain)
        words = len(weight) - hidden_dim
        if words == STATIC_DIM:
            weight[hidden_dim:] = torch.eye(STATIC_DIM)
        else:
            drawn = torch.randn(words, STATIC_DIM, generator=torch.Generator().manual_seed(words))
            weight[hidden_dim:] = drawn * words**-0.5


def unit_scale(x: Tensor) -> Tensor:
    """`[..., n]` divided by its root mean square; zeros stay zeros."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + UNIT_EPSILON)


class Gate(nn.Module):
    """Multiplies each dimension by a weight of its own, which starts as a random sign.

    Tells texts in different roles apart (a tool's name, its description, an argument's key) at the
    price of one product per dimension: binding by signs keeps the distances within a role.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """`[..., dim]` -> `[..., dim]`."""
        return x * self.weight


class FeedForward(nn.Module):
    """LayerNorm, widen, ReLU, back: the residual half of every block.

    ReLU: the tanh form of GELU costs onnxruntime seven operators and a fifth of a step's time.
    """

    def __init__(self, dim: int, factor: float, dropout: float) -> None:
        super().__init__()
        width = int(factor * dim)
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, width)
        self.act = nn.ReLU()
        self.down = nn.Linear(width, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., h]` -> `[..., h]`, what is to be added to `x`."""
        return torch.as_tensor(self.dropout(self.down(self.act(self.up(self.norm(x))))))


def initialise(module: nn.Module) -> None:
    """Weights of all linear and embedding layers, in place, from torch's generator.

    Linear: normal with variance 1 / fan-in, so that an untrained network keeps distances; biases
    zero. Embeddings: normal, 0.5: a typed difference must be seen beside the text.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=part.in_features**-0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, Gate):
            with torch.no_grad():
                part.weight.bernoulli_(0.5).mul_(2.0).sub_(1.0)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.5)
            if part.padding_idx is not None:
                with torch.no_grad():
                    part.weight[part.padding_idx].zero_()

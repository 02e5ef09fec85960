"""ExecutionEncoder: a plan of tool calls -> z_e (design.md 4). Torch; see `execution_onnx`.

Two networks. `CallNetwork` turns one call into x0 and into the call's own embedding. `PlanNetwork`
lets every call attend to its ancestors and pools all calls. Attention runs from ancestors to
descendants only and pooling keeps running sums, so a plan that grows by one call costs one node
(`start`): full, batched and incremental encodings agree within 1e-5.

Shapes: M calls, R argument rows in all, A of the longest call, B plans, m new calls, n earlier
calls, L blocks, H heads, d = h / H, P pooling heads, h `hidden_dim`, w `words_dim`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatling_guard.encoders.batch import Texts, call_batches, plan_batch
from gatling_guard.encoders.calls import CALL_DIM, LEAF_DIM, CallFeatures
from gatling_guard.encoders.config import EncoderConfig, config_of
from gatling_guard.encoders.graph import POSITION_DIM, RELATIONS, UNSEEN
from gatling_guard.encoders.layers import (
    FeedForward,
    Gate,
    Pretrained,
    TextProjection,
    initialise,
    unit_scale,
)
from gatling_guard.encoders.plans import Lookup, PlanEncoder, PlanLike, Prepared, prepared
from gatling_guard.encoders.state import Pool, StepArrays, no_past
from gatling_guard.encoders.text import text_features
from gatling_guard.errors import InputError
from gatling_guard.trace import Lineage

MOST_PAIRS = 1 << 23
"""Pairs of calls, padding included, kept for one backward pass: some 2 GB at `base`."""
MASKED = -1e9
"""Added to a logit that must not count: exp() of it is exactly 0 in fp32."""
LOUDEST = 4.0
"""Longest sum of texts of one call's arguments; untrained one text is 1 long, most sums are 2.5."""


class CallNetwork(nn.Module):
    """One call -> x0 `[M, h + w]` for the plan network, and its own embedding `[M, call_dim]`.

    The last w of x0 are the sum of the call's texts, which no block changes.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        h = config.hidden_dim
        self.heads, self.width = config.pool_heads, h
        self.leaf = nn.Linear(LEAF_DIM, h)
        self.key = Gate(h)
        self.given = Gate(h)
        self.leaf_norm = nn.LayerNorm(h)
        self.leaf_mlp = FeedForward(h, 0.5, config.dropout)
        self.pool_logits = nn.Linear(h, self.heads, bias=False)
        self.name = Gate(h)
        self.about = Gate(h)
        self.scalars = nn.Linear(CALL_DIM, h)
        self.norm = nn.LayerNorm(h)
        self.mlp = FeedForward(h, 0.5, config.dropout)
        self.embed_norm = nn.LayerNorm(h)
        self.embed = nn.Linear(h, config.call_dim)
        self.shares = nn.Parameter(torch.tensor([0.6, 0.1, 0.1]))  # name, description, keys
        self.share = nn.Linear(LEAF_DIM, 1)
        self.embed_words = nn.Linear(config.words_dim, config.call_dim, bias=False)

    def forward(
        self,
        name: Tensor,
        description: Tensor,
        scalars: Tensor,
        keys: Tensor,
        texts: Tensor,
        leaves: Tensor,
        place: Tensor,
        mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Texts come projected: `[M, h + w]` and `[R, h + w]`; see `CallBatch` for the rest."""
        h = self.width
        words = self.words(name, description, keys, texts, leaves, place, mask)
        name, description, keys, texts = (text[:, :h] for text in (name, description, keys, texts))
        rows = self.leaf_norm(self.leaf(leaves) + self.key(keys) + self.given(texts))
        rows = rows + self.leaf_mlp(rows)  # [R, h]
        logits = self.pool_logits(rows)[place] + ((1.0 - mask) * MASKED).unsqueeze(-1)  # [M, A, P]
        weights = torch.softmax(logits, 1)
        values = rows[place].unflatten(-1, (self.heads, -1))  # [M, A, P, h/P]
        pooled = (weights.unsqueeze(-1) * values).sum(1).flatten(1)  # [M, h]
        x = self.name(name) + self.about(description) + self.scalars(scalars) + pooled
        x = self.norm(x)
        x = x + self.mlp(x)
        own = self.embed(self.embed_norm(x)) + self.embed_words(unit_scale(words))
        return torch.cat([x, words], -1), nn.functional.normalize(own, dim=-1)

    def words(
        self,
        name: Tensor,
        description: Tensor,
        keys: Tensor,
        texts: Tensor,
        leaves: Tensor,
        place: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """`[M, w]`: a weighted sum of the call's texts; an argument's weight is learned.

        Without `LOUDEST` a list of 255 numbers, each with its key, would leave nothing of the
        tool's name, nor of the words of the plan's other calls.
        """
        h = self.width
        share = 2 * torch.sigmoid(self.share(leaves))  # [R, 1], 1 untrained
        rows = share * texts[:, h:] + self.shares[2] * keys[:, h:]
        given = (rows[place] * mask.unsqueeze(-1)).sum(1)
        length = given.square().sum(-1, keepdim=True).clamp_min(LOUDEST**2)
        given = given * (LOUDEST * torch.rsqrt(length))
        return self.shares[0] * name[:, h:] + self.shares[1] * description[:, h:] + given


class Block(nn.Module):
    """Pre-norm attention over a call's ancestors with a bias per relation, then a feed-forward."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        h = config.hidden_dim
        self.heads, self.width = config.heads, h // config.heads
        self.norm = nn.LayerNorm(h)
        self.qkv = nn.Linear(h, 3 * h)
        self.out = nn.Linear(h, h)
        self.dropout = nn.Dropout(config.dropout)
        self.ffn = FeedForward(h, config.ffn, config.dropout)

    def forward(
        self, x: Tensor, past_k: Tensor, past_v: Tensor, bias: Tensor
    ) -> tuple[Tensor, ...]:
        """`x` [B, m, h], `past_*` [B, H, n, d], `bias` [B, H, m, n + m].

        Returns: the new states `[B, m, h]`, and their keys and values `[B, H, m, d]`.
        """
        heads = self.qkv(self.norm(x)).unflatten(-1, (3 * self.heads, self.width))
        q, k, v = torch.split(heads.transpose(1, 2), self.heads, 1)
        keys, values = torch.cat([past_k, k], 2), torch.cat([past_v, v], 2)
        logits = (q @ keys.transpose(-1, -2)) * self.width**-0.5 + bias
        mixed = torch.softmax(logits, -1) @ values
        x = x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return x + self.ffn(x), k, v


class PlanNetwork(nn.Module):
    """New calls and what is kept of earlier ones -> z_e, and what is to be kept."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        h = config.hidden_dim
        self.heads, self.pool_heads, self.width = config.heads, config.pool_heads, h
        self.position = nn.Linear(POSITION_DIM, h)
        self.relation = nn.Embedding(RELATIONS, config.blocks * config.heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(h)
        self.pool_logits = nn.Linear(h, self.pool_heads, bias=False)
        self.pool_values = nn.Linear(h, h)
        self.z_norm = nn.LayerNorm(h)
        self.z_up = nn.Linear(h, config.projection_dim)
        self.act = nn.ReLU()
        self.z_down = nn.Linear(config.projection_dim, config.latent_dim)
        self.z_words = nn.Linear(config.words_dim, config.latent_dim, bias=False)

    def forward(
        self,
        x0: Tensor,
        position: Tensor,
        relation: Tensor,
        valid: Tensor,
        past: Tensor,
        pool_max: Tensor,
        pool_sum: Tensor,
        pool_acc: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """One step of m new calls. Few operators: at m = 1 each costs as much as its arithmetic.

        Args:
            x0: `[B, m, h + w]` from `CallNetwork`.
            position: `[B, m, POSITION_DIM]`.
            relation: `[B, m, n + m]` int64, of each new call to the past and to the new ones.
            valid: `[B, m]` 1 for a call, 0 for padding.
            past: `[1, 2LH, n, d]` keys and values of the n earlier calls that a new one sees; all
                plans of the batch share them.
            pool_max: `[1, P]` largest pooling logit so far.
            pool_sum: `[1, P]` sum of exp(logit - pool_max).
            pool_acc: `[1, P, (h + w)/P]` the same sum over values.

        Returns:
            z_e `[B, latent_dim]` of the plan with its new calls, their states `[B, m, h]`, keys
            and values to keep `[B, 2LH, m, d]`, and the three pooling sums `[B, ...]`.
        """
        x = x0[..., : self.width] + self.position(position)
        # All blocks' biases at once: [B, m, n + m, LH] -> L x [B, H, m, n + m].
        masked = ((relation == UNSEEN).to(x.dtype) * MASKED).unsqueeze(1)
        biases = self.relation(relation).permute(0, 3, 1, 2) + masked
        pasts = torch.split(past.expand(x0.shape[0], -1, -1, -1), self.heads, 1)
        kept: list[Tensor] = []
        for i, bias in enumerate(torch.split(biases, self.heads, 1)):
            x, k, v = self.blocks[i](x, pasts[2 * i], pasts[2 * i + 1], bias)
            kept += [k, v]
        states = self.norm(x)
        logits = self.pool_logits(states) + ((1.0 - valid) * MASKED).unsqueeze(-1)  # [B, m, P]
        values = self.values(states, x0)  # [B, m, P, (h + w)/P]
        new_max = torch.maximum(pool_max, logits.amax(1))
        weights = torch.exp(logits - new_max.unsqueeze(1))
        old = torch.exp(pool_max - new_max)
        new_sum = pool_sum * old + weights.sum(1)
        new_acc = pool_acc * old.unsqueeze(-1) + (weights.unsqueeze(-1) * values).sum(1)
        z = self.pooled(new_acc / new_sum.unsqueeze(-1))
        return z, states, torch.cat(kept, 1), new_max, new_sum, new_acc

    def values(self, states: Tensor, x0: Tensor) -> Tensor:
        """What is pooled, by head: `[..., h]`, `[..., h + w]` -> `[..., P, (h + w)/P]`."""
        heads = (self.pool_heads, -1)
        parts: tuple[Tensor, ...] = self.pool_values(states), x0[..., self.width :]
        return torch.cat([torch.unflatten(part, -1, heads) for part in parts], -1)

    def pooled(self, means: Tensor) -> Tensor:
        """Means of `values` over calls `[..., P, (h + w)/P]` -> z_e `[..., latent_dim]`."""
        at = self.width // self.pool_heads
        deep, words = means[..., :at].flatten(-2), means[..., at:].flatten(-2)
        x = self.z_down(self.act(self.z_up(self.z_norm(deep))))
        return torch.as_tensor(x + self.z_words(unit_scale(words)))


class ExecutionEncoder(Pretrained, PlanEncoder):
    """A plan of tool calls -> z_e `[1, latent_dim]`.

    Args:
        config: a name from `CONFIGS`, or an `EncoderConfig`.
        latent_dim: replaces the config's.
        hidden_dim: replaces the config's.

    A new encoder has random weights from torch's generator and is in eval mode.
    """

    part = "execution"

    def __init__(
        self,
        config: EncoderConfig | str = "base",
        *,
        latent_dim: int | None = None,
        hidden_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.config = config_of(config, latent_dim=latent_dim, hidden_dim=hidden_dim)
        self.features = text_features(self.config.tokenizer, vocabulary=self.config.vocabulary)
        self.text = TextProjection(self.config)
        self.calls = CallNetwork(self.config)
        self.plan = PlanNetwork(self.config)
        self._token = secrets.token_hex(8)
        initialise(self)
        # Text features have unit length, not unit variance: a name must weigh as much as the
        # numbers beside it.
        self.text.start(self.config.hidden_dim, gain=0.5**0.5)
        nn.init.zeros_(self.calls.share.weight)
        self.eval()

    @property
    def id(self) -> str:
        """Changes with every change of the weights in place: no stored state outlives them."""
        total = sum(parameter._version for parameter in self.parameters())
        # The address tells a copy apart; alone it may be that of an encoder that is gone.
        return f"torch-{self._token}-{id(self)}-{total}"

    def forward(
        self,
        plan: PlanLike,
        specs: Lookup | None = None,
        lineage: Mapping[str, Sequence[Lineage]] | None = None,
    ) -> Tensor:
        """z_e `[1, latent_dim]`; see `plans.prepared` for the arguments."""
        return self.encode([prepared(plan, specs, lineage)])

    def encode_batch(self, plans: Sequence[PlanLike], specs: Lookup | None = None) -> Tensor:
        """z_e `[B, latent_dim]`, padded to the longest plan of each group."""
        return self.encode([prepared(plan, specs) for plan in plans])

    def encode(self, plans: Sequence[Prepared]) -> Tensor:
        """z_e `[B, latent_dim]` of prepared plans, with gradients where torch records them.

        Raises:
            InputError: too long to be kept for a backward pass.
        """
        if not torch.is_grad_enabled() or not plans:
            return torch.from_numpy(self.arrays(plans)).to(self.device)
        longest = max(len(plan.calls) for plan in plans)
        if len(plans) * longest**2 > MOST_PAIRS:
            what = f"{len(plans)} of up to {longest} calls are too many with gradients"
            raise InputError(f"{what}; encode under torch.no_grad()", what="plans")
        batch = plan_batch([plan.graph for plan in plans])
        x0, _ = self.embed([call for plan in plans for call in plan.calls])
        found = self.plan(
            x0[self._tensor(batch.calls)],
            *(self._tensor(a) for a in (batch.position, batch.relation, batch.valid)),
            *self._start(),
        )
        return torch.as_tensor(found[0])

    def embed(self, calls: Sequence[CallFeatures]) -> tuple[Tensor, Tensor]:
        """x0 `[M, h + w]` and the calls' own embeddings `[M, call_dim]`, with gradients."""
        texts = Texts()
        batches = call_batches(calls, texts)
        projected = self.text(self._tensor(self.features(texts.all())))
        x0, own, order = [], [], []
        for batch in batches:
            name, about, keys, given = (
                projected[self._tensor(index)]
                for index in (batch.name, batch.description, batch.keys, batch.texts)
            )
            scalars, leaves, place, mask = (
                self._tensor(array)
                for array in (batch.scalars, batch.leaves, batch.place, batch.mask)
            )
            part = self.calls(name, about, scalars, keys, given, leaves, place, mask)
            x0.append(part[0])
            own.append(part[1])
            order.append(batch.members)
        back = self._tensor(np.argsort(np.concatenate(order)))
        return torch.cat(x0)[back], torch.cat(own)[back]

    def run_calls(
        self, calls: Sequence[CallFeatures]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `PlanEncoder`."""
        with torch.no_grad():
            x0, own = self.embed(calls)
        return x0.cpu().numpy(), own.cpu().numpy()

    def run_plan(
        self,
        x0: NDArray[np.float32],
        position: NDArray[np.float32],
        relation: NDArray[np.int64],
        valid: NDArray[np.float32],
        past: NDArray[np.float32],
        pool: Pool,
    ) -> StepArrays:
        """See `PlanEncoder`."""
        given = (x0, position, relation, valid, past, pool.max, pool.sum, pool.acc)
        with torch.no_grad():
            found = self.plan(*(self._tensor(array) for array in given))
        z_e, states, kept, *sums = (array.cpu().numpy() for array in found)
        return StepArrays(z_e, states, kept, Pool(*sums))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def _start(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pool = Pool.empty(self.config)
        past = self._tensor(no_past(self.config))
        return past, self._tensor(pool.max), self._tensor(pool.sum), self._tensor(pool.acc)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

"""GovernanceEncoder: (policy, role, session context) -> z_g (design.md 4). Torch.

See `governance_onnx` for the runtime without it.

Two networks over entries of documents (`tree`). `PolicyNetwork` reads the policy into the states of
a few global tokens, its summary; `ContextNetwork` starts from the summary and reads role and
instruction. Entries attend to their own window, the one before, the one after and the global
tokens; global tokens attend to every entry. So the cost is linear and no entry is out of reach.

Shapes: B documents, K windows of W entries, N = K * W, G global tokens, H heads, h `hidden_dim`,
d = h / H, w `words_dim`, F `FEATURE_DIM`. Padding is masked: its attention weight is exactly 0.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from gatling_guard.encoders.config import EncoderConfig, config_of
from gatling_guard.encoders.documents import (
    PATH_DECAY,
    Documents,
    Floats,
    GovernanceForms,
    Ints,
)
from gatling_guard.encoders.export import Graph
from gatling_guard.encoders.layers import (
    FeedForward,
    Gate,
    Pretrained,
    TextProjection,
    initialise,
    unit_scale,
)
from gatling_guard.encoders.text import STATIC_DIM, text_features
from gatling_guard.encoders.tree import FEATURE_DIM

MASKED = -1e9
"""A logit that must not count: exp() of it is exactly 0 in fp32."""
FORBIDS = 2
"""Row of `EntryEmbedding.polarity` for what is forbidden."""
VALUE_GAIN = 2.0
"""Values say more than the keys they repeat: turning a policy around weighs more than a synonym."""
FEATURE_GAIN = 4.0
"""Few of an entry's features are not 0; with this they weigh as much as a text, untrained (R29)."""


class EntryEmbedding(nn.Module):
    """Key, path, value, polarity and features of an entry -> `[B, K, W, h]`.

    Key, path and value are bound by sign patterns of their own before they are summed, so that
    `a: b` is not `b: a`. What is forbidden has half of the signs of its key and value turned: as
    far from the same thing allowed as from an unrelated one, even untrained (G6).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        h = config.hidden_dim
        self.key, self.path, self.value = Gate(h), Gate(h), Gate(h)
        self.polarity = nn.Embedding(3, h)
        self.features = nn.Linear(FEATURE_DIM, h)
        self.norm = nn.LayerNorm(h)
        signs = torch.ones(3, h)
        signs[FORBIDS, ::2] = -1.0
        self.signs: Tensor
        self.register_buffer("signs", signs, persistent=False)

    def forward(
        self, key: Tensor, path: Tensor, value: Tensor, features: Tensor, polarity: Tensor
    ) -> Tensor:
        """What an entry says, by place.

        Args:
            key: `[B, K, W, h]`.
            path: `[B, K, W, h]`.
            value: `[B, K, W, h + w]`, of which the last w are not for the blocks.
            features: `[B, K, W, F]`.
            polarity: `[B, K, W]` in 0..2.
        """
        said = self.key(key) + VALUE_GAIN * self.value(value[..., : key.shape[-1]])
        said = said * nn.functional.embedding(polarity, self.signs) + self.polarity(polarity)
        x = said + self.path(path) + FEATURE_GAIN * self.features(features)
        return torch.as_tensor(self.norm(x))


class LocalAttention(nn.Module):
    """Each entry to the three windows around it and to the global tokens."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        h, w = config.hidden_dim, config.window
        self.heads, self.scale = config.heads, (h // config.heads) ** -0.5
        self.norm = nn.LayerNorm(h)
        self.global_norm = nn.LayerNorm(h)
        self.q = nn.Linear(h, h)
        self.kv = nn.Linear(h, 2 * h)
        self.global_kv = nn.Linear(h, 2 * h)
        self.offset = nn.Parameter(torch.zeros(4 * w - 1, config.heads))
        self.out = nn.Linear(h, h)
        self.dropout = nn.Dropout(config.dropout)
        here, there = torch.arange(w).unsqueeze(1), torch.arange(3 * w)
        self.distance: Tensor
        self.register_buffer("distance", there - here + w - 1, persistent=False)  # [W, 3W]

    def forward(self, x: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """`x` [B, K, W, h], `tokens` [B, G, h], `mask` [B, K, W] -> what is to be added to x."""
        x = self.norm(x)
        q = _split(self.q(x), self.heads) * self.scale  # [B, K, H, W, d]
        global_kv = _split(self.global_kv(self.global_norm(tokens)), 2 * self.heads)
        global_kv = global_kv.unsqueeze(1).expand(-1, x.shape[1], -1, -1, -1)
        kv = _around(_split(self.kv(x), 2 * self.heads), 3, global_kv)
        k, v = kv.chunk(2, 2)  # [B, K, H, 3W + G, d]
        bias = self.offset[self.distance].permute(2, 0, 1)  # [H, W, 3W]
        logits = q @ k.transpose(-1, -2) + nn.functional.pad(bias, (0, tokens.shape[1]))
        global_mask = torch.ones_like(mask[:, :, :1]).expand(-1, -1, tokens.shape[1])
        seen = _around(mask, 2, global_mask)[:, :, None, None, :]  # [B, K, 1, 1, 3W + G]
        mixed = torch.softmax(logits.masked_fill(~seen, MASKED), -1) @ v  # [B, K, H, W, d]
        return torch.as_tensor(self.dropout(self.out(mixed.transpose(2, 3).flatten(3))))


def _split(x: Tensor, heads: int) -> Tensor:
    """`[..., n, heads * d]` -> `[..., heads, n, d]`."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-2, -3)


def _around(x: Tensor, dim: int, more: Tensor) -> Tensor:
    """`[B, K, ...]` -> each window, its neighbours (zeros at the ends) and `more` along `dim`."""
    ends = torch.zeros_like(x[:, :1])
    padded = torch.cat([ends, x, ends], 1)
    return torch.cat([padded[:, :-2], x, padded[:, 2:], more], dim)


class GlobalAttention(nn.Module):
    """The global tokens to every entry and to one another."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        h = config.hidden_dim
        self.heads, self.scale = config.heads, (h // config.heads) ** -0.5
        self.norm = nn.LayerNorm(h)
        self.entry_norm = nn.LayerNorm(h)
        self.q = nn.Linear(h, h)
        self.kv = nn.Linear(h, 2 * h)
        self.entry_kv = nn.Linear(h, 2 * h)
        self.out = nn.Linear(h, h)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """`tokens` [B, G, h], `x` [B, K, W, h], `mask` [B, K, W] -> to be added to tokens."""
        normed, x = self.norm(tokens), self.entry_norm(x.flatten(1, 2))
        q = _split(self.q(normed), self.heads) * self.scale  # [B, H, G, d]
        kv = torch.cat([self.kv(normed), self.entry_kv(x)], 1)  # [B, G + N, 2h]
        k, v = _split(kv, 2 * self.heads).chunk(2, 1)  # [B, H, G + N, d]
        seen = nn.functional.pad(mask.flatten(1), (tokens.shape[1], 0), value=True)
        logits = (q @ k.transpose(-1, -2)).masked_fill(~seen[:, None, None, :], MASKED)
        mixed = torch.softmax(logits, -1) @ v  # [B, H, G, d]
        return torch.as_tensor(self.dropout(self.out(mixed.transpose(1, 2).flatten(2))))


class Block(nn.Module):
    """Entries look around and at the global tokens, then these look at all entries.

    Args:
        config: of the encoder.
        reads_only: without the first half, which is most of the work.
    """

    def __init__(self, config: EncoderConfig, *, reads_only: bool = False) -> None:
        super().__init__()
        self.reads_only = reads_only
        if not reads_only:
            self.local = LocalAttention(config)
            self.entry_ffn = FeedForward(config.hidden_dim, config.governance_ffn, config.dropout)
        self.read = GlobalAttention(config)
        self.token_ffn = FeedForward(config.hidden_dim, config.governance_ffn, config.dropout)

    def forward(self, x: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """`x` [B, K, W, h], `tokens` [B, G, h], `mask` [B, K, W] -> the new x and tokens."""
        if not self.reads_only:
            x = x + self.local(x, tokens, mask)
            x = x + self.entry_ffn(x)
        tokens = tokens + self.read(tokens, x, mask)
        return x, tokens + self.token_ffn(tokens)


def _blocks(config: EncoderConfig, count: int) -> nn.ModuleList:
    """Of several blocks the last only reads: a second look with what the first one found."""
    last = count - 1
    return nn.ModuleList(Block(config, reads_only=0 < i == last) for i in range(count))


class PolicyNetwork(nn.Module):
    """A policy -> its summary: the states of G global tokens."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.entry = EntryEmbedding(config)
        self.tokens = nn.Parameter(torch.randn(config.global_tokens, config.hidden_dim) * 0.1)
        self.blocks = _blocks(config, config.policy_blocks)

    def forward(
        self,
        key: Tensor,
        path: Tensor,
        value: Tensor,
        features: Tensor,
        polarity: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """Entries as `EntryEmbedding` takes them, `mask` [B, K, W] bool -> `[B, G, h]`."""
        x = self.entry(key, path, value, features, polarity)
        tokens = self.tokens.unsqueeze(0).expand(x.shape[0], -1, -1)
        for block in self.blocks:
            x, tokens = block(x, tokens, mask)
        return tokens


class ContextNetwork(nn.Module):
    """A summary, and the entries of a role and a session context -> z_g."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        h = config.hidden_dim
        self.heads = config.pool_heads
        self.entry = EntryEmbedding(config)
        self.blocks = _blocks(config, config.context_blocks)
        self.norm = nn.LayerNorm(h)
        self.pool_logits = nn.Linear(h, self.heads, bias=False)
        self.pool_values = nn.Linear(h, h)
        self.z_norm = nn.LayerNorm(h)
        self.z_up = nn.Linear(h, config.projection_dim)
        self.act = nn.ReLU()
        self.z_down = nn.Linear(config.projection_dim, config.latent_dim)
        self.share = nn.Linear(FEATURE_DIM, 1)
        self.z_words = nn.Linear(config.words_dim, config.latent_dim, bias=False)

    def forward(
        self,
        summary: Tensor,
        key: Tensor,
        path: Tensor,
        value: Tensor,
        features: Tensor,
        polarity: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """`summary` [B, G, h], entries as in `PolicyNetwork` -> z_g `[B, latent_dim]`."""
        x, tokens = self.entry(key, path, value, features, polarity), summary
        for block in self.blocks:
            x, tokens = block(x, tokens, mask)
        tokens = self.norm(tokens)
        weights = torch.softmax(self.pool_logits(tokens), 1)  # [B, G, P]
        values = self.pool_values(tokens).unflatten(-1, (self.heads, -1))  # [B, G, P, h/P]
        pooled = (weights.unsqueeze(-1) * values).sum(1).flatten(1)  # [B, h]
        z = self.z_down(self.act(self.z_up(self.z_norm(pooled))))
        # What is said, past all blocks: each entry's texts by a learned share, 1 untrained. What is
        # forbidden is no request: as far from the same thing allowed as from an unrelated one (G6).
        counts = mask & (polarity != FORBIDS)
        share = 2 * torch.sigmoid(self.share(features)) * counts.unsqueeze(-1)  # [B, K, W, 1]
        words = (share * value[..., key.shape[-1] :]).flatten(1, 2).sum(1)  # [B, w]
        return torch.as_tensor(z + self.z_words(unit_scale(words)))


class GovernanceEncoder(GovernanceForms[Tensor], Pretrained):
    """What was authorised as a vector; see `GovernanceForms` for the call forms.

    A new encoder has random weights from torch's generator and is in eval mode.

    Args:
        config: a name from `CONFIGS`, or an `EncoderConfig`.
        latent_dim: replaces the config's.
        hidden_dim: replaces the config's.
    """

    part = "governance"

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
        self.policy = PolicyNetwork(self.config)
        self.context = ContextNetwork(self.config)
        initialise(self)
        self.text.start(self.config.hidden_dim, gain=STATIC_DIM**-0.5)
        nn.init.zeros_(self.context.share.weight)
        self._weights = tuple(self.parameters())  # walking all modules costs 0.1 ms
        self.eval()

    @property
    def id(self) -> str:
        """Changes with every change of the weights in place, so that nothing kept outlives them."""
        total = sum(parameter._version for parameter in self._weights)
        return f"torch-{id(self)}-{total}"

    def run_policy(self, documents: Documents) -> Tensor:
        """`[B, G, h]`."""
        return torch.as_tensor(self.policy(*self.entry_inputs(documents)))

    def run_context(self, summary: Tensor, documents: Documents) -> Tensor:
        """`[B, latent_dim]`."""
        inputs = self.entry_inputs(documents)
        return torch.as_tensor(self.context(summary.expand(len(inputs[0]), -1, -1), *inputs))

    def entry_inputs(self, documents: Documents) -> tuple[Tensor, ...]:
        """What both networks take: key, path, value, features, polarity, mask."""
        device = self.policy.tokens.device
        vectors = self.text(torch.as_tensor(self.features(documents.texts), device=device))
        h = self.config.hidden_dim
        hidden = unit_scale(vectors[:, :h])
        key = hidden[documents.key]
        value = torch.cat([hidden, vectors[:, h:]], -1)[documents.value]
        path = torch.zeros_like(key)
        for rows, parents in documents.levels:
            path[rows] = PATH_DECAY * (path[parents] + key[parents])
        slots = torch.as_tensor(documents.slots, device=device)

        def padded(x: Tensor) -> Tensor:
            empty = x.new_zeros(documents.mask.size, x.shape[-1])
            return empty.index_copy(0, slots, x).reshape(*documents.mask.shape, -1)

        rest = (documents.features, documents.polarity, documents.mask)
        return (
            *(padded(x) for x in (key, path, value)),
            *(torch.as_tensor(x, device=device) for x in rest),
        )

    def inference(self) -> AbstractContextManager[object]:
        """In which nothing is kept for gradients."""
        return torch.inference_mode()

    def empty(self) -> Tensor:
        """`[0, latent_dim]`."""
        return self.policy.tokens.new_zeros(0, self.config.latent_dim)

    def joined(self, parts: list[Tensor], order: Ints) -> Tensor:
        """See `GovernanceForms`."""
        return torch.cat(parts)[torch.from_numpy(order).to(parts[0].device)]

    def as_numpy(self, array: Tensor) -> Floats:
        """A copy without gradient."""
        found: Floats = array.detach().cpu().numpy().copy()
        return found


def export_parts(encoder: GovernanceEncoder) -> list[Graph]:
    """The graphs that `OnnxGovernanceEncoder` runs; B and K vary."""
    config = encoder.config
    place = (2, 3, config.window)
    entries = {
        **{name: torch.randn(*place, config.hidden_dim) for name in ("key", "path")},
        "value": torch.randn(*place, config.text_dim),
        "features": torch.randn(*place, FEATURE_DIM),
        "polarity": torch.zeros(place, dtype=torch.int64),
        "mask": torch.ones(place, dtype=torch.bool),
    }
    vary = dict.fromkeys(entries, (0, 1))
    summary = {"summary": torch.randn(2, config.global_tokens, config.hidden_dim)}
    return [
        Graph("policy", encoder.policy, entries, ("summary",), vary),
        Graph("context", encoder.context, summary | entries, ("z_g",), {"summary": (0,), **vary}),
    ]

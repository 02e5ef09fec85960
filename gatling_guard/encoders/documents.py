"""Documents of the GovernanceEncoder padded into windows, and the call forms both backends share.

No torch: `governance` (torch) and `governance_onnx` (onnxruntime) add the two networks.

Shapes: B documents, N entries of all of them together, T distinct texts, K windows of the longest
document, W `config.window`, G `config.global_tokens`, h `hidden_dim`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.tree import (
    FEATURE_DIM,
    ContextLike,
    Entries,
    PolicyLike,
    context_entries,
    policy_entries,
    text_table,
)
from gatling_guard.errors import InputError

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float32]
A = TypeVar("A")
"""Array of the backend: a torch tensor or a numpy array."""

PATH_DECAY = 0.7
"""Weight of a key in the path of its children, again per level: near ancestors say more."""
MAX_PADDED = 1 << 15
"""Entries of one padded batch, about 10 KB each at `base`: one long span among many short ones
must not widen them all."""
UNIT_EPSILON = 1e-6
"""Text vectors are scaled to a mean square of 1, so that texts and features have equal say; the
empty text stays zero."""


@dataclass(frozen=True, slots=True)
class Documents:
    """B documents as the networks take them, but for the vectors of their texts."""

    texts: list[str]
    key: Ints
    """`[N]` into `texts`."""
    value: Ints
    """`[N]` into `texts`."""
    levels: list[tuple[Ints, Ints]]
    """Per depth of 1 and more: rows, and the rows of their parents. Paths are summed downwards."""
    slots: Ints
    """`[N]` place of each entry among the `B * K * W` padded ones."""
    features: Floats
    """`[B, K, W, FEATURE_DIM]`"""
    polarity: Ints
    """`[B, K, W]` 0 neither, 1 allows, 2 forbids."""
    mask: NDArray[np.bool_]
    """`[B, K, W]` False for padding."""


def pad_documents(documents: Sequence[Entries], texts: dict[str, int], window: int) -> Documents:
    """Documents that share a table of texts, padded to whole windows of the longest."""
    sizes = [len(entries) for entries in documents]
    key = np.concatenate([entries.key for entries in documents])
    value = np.concatenate([entries.value for entries in documents])
    table = list(texts)
    used = np.union1d(np.union1d(key, value), 0)
    if len(used) < len(table):  # these are some of the documents of a batch
        table = [table[i] for i in used]
        key, value = np.searchsorted(used, key), np.searchsorted(used, value)
    windows = max(1, -(-max(sizes) // window))
    shape = (len(documents), windows, window)
    place = [np.arange(n) + i * windows * window for i, n in enumerate(sizes)]
    slots = np.concatenate(place).astype(np.int64)
    start = np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)
    parent = np.concatenate([entries.parent for entries in documents]) + start
    depth = np.concatenate([entries.depth for entries in documents])
    levels = []
    for level in range(1, int(depth.max(initial=0)) + 1):
        rows = np.flatnonzero(depth == level)
        levels.append((rows, parent[rows]))
    features = np.zeros((windows * window * len(documents), FEATURE_DIM), np.float32)
    polarity = np.zeros(len(features), np.int64)
    mask = np.zeros(len(features), np.bool_)
    features[slots] = np.concatenate([entries.features for entries in documents])
    polarity[slots] = np.concatenate([entries.polarity for entries in documents]) % 3
    mask[slots] = True
    return Documents(
        texts=table,
        key=key,
        value=value,
        levels=levels,
        slots=slots,
        features=features.reshape(*shape, -1),
        polarity=polarity.reshape(shape),
        mask=mask.reshape(shape),
    )


def require_list(contexts: Sequence[ContextLike]) -> None:
    """Refuse one text, which is a sequence too: of its characters."""
    if isinstance(contexts, (str, Mapping)):
        raise InputError(f"must be a list, not {type(contexts).__name__}", what="contexts")


def _groups(sizes: list[int], window: int) -> list[list[int]]:
    """Which documents to pad together: all, or neighbours in length up to `MAX_PADDED` entries."""
    padded = [max(1, -(-size // window)) * window for size in sizes]
    if len(sizes) * max(padded) <= MAX_PADDED:
        return [list(range(len(sizes)))]
    found: list[list[int]] = []
    for i in sorted(range(len(sizes)), key=padded.__getitem__):
        if found and (len(found[-1]) + 1) * padded[i] <= MAX_PADDED:
            found[-1].append(i)
        else:
            found.append([i])
    return found


class GovernanceForms(ABC, Generic[A]):
    """The call forms of a GovernanceEncoder over two networks."""

    config: EncoderConfig

    @property
    @abstractmethod
    def id(self) -> str:
        """Names the weights; what was computed under another is not to be used."""

    @abstractmethod
    def run_policy(self, documents: Documents) -> A:
        """The summary of each policy: `[B, G, h]`."""

    @abstractmethod
    def run_context(self, summary: A, documents: Documents) -> A:
        """z_g `[B, latent_dim]` of each context; `summary` is `[B, G, h]` or `[1, G, h]`."""

    @abstractmethod
    def empty(self) -> A:
        """`[0, latent_dim]`."""

    @abstractmethod
    def as_numpy(self, array: A) -> Floats:
        """A copy of an array of this backend as numpy."""

    @abstractmethod
    def joined(self, parts: list[A], order: Ints) -> A:
        """The rows of all parts, in `order`."""

    def inference(self) -> AbstractContextManager[object]:
        """In which nothing is kept for gradients."""
        return nullcontext()

    def forward(
        self, policy: PolicyLike, user_role: str | None = None, session_context: ContextLike = None
    ) -> A:
        """z_g `[1, latent_dim]` of what was authorised.

        Args:
            policy: mapping, YAML or JSON text, path, built-in name, `Policy`, or None (no policy).
            user_role: any text, or None.
            session_context: the user's instruction, or a mapping that holds it (`instruction`).

        Raises:
            InputError: one of them cannot be read, with the place.
        """
        return self.encode_batch([(policy, user_role, session_context)])

    def encode_batch(self, items: Sequence[tuple[PolicyLike, str | None, ContextLike]]) -> A:
        """z_g `[B, latent_dim]` of B (policy, role, context), padded to the longest of them."""
        if not items:
            return self.empty()
        summary = self.summaries([(policy, role) for policy, role, _ in items])
        return self.encode_contexts(summary, [(role, context) for _, role, context in items])

    def summary(self, policy: PolicyLike, user_role: str | None = None) -> A:
        """What a session keeps of its policy: the states of the global tokens, `[1, G, h]`."""
        return self.summaries([(policy, user_role)])

    def summaries(self, items: Sequence[tuple[PolicyLike, str | None]]) -> A:
        """`summary` of several policies: `[B, G, h]`."""
        texts = text_table()
        entries = [policy_entries(policy, role, texts) for policy, role in items]
        return self._in_groups(entries, texts, lambda _, documents: self.run_policy(documents))

    def encode_contexts(self, summary: A, items: Sequence[tuple[str | None, ContextLike]]) -> A:
        """z_g `[B, latent_dim]` of B (role, context) under one summary, or under one each."""
        texts = text_table()
        entries = [context_entries(role, context, texts) for role, context in items]

        def run(members: list[int], documents: Documents) -> A:
            given: Any = summary
            return self.run_context(given[members] if len(given) > 1 else given, documents)

        return self._in_groups(entries, texts, run)

    def _in_groups(
        self,
        entries: list[Entries],
        texts: dict[str, int],
        run: Callable[[list[int], Documents], A],
    ) -> A:
        """`run` on documents that are padded together, as few batches as memory allows."""
        window = self.config.window
        groups = _groups([len(document) for document in entries], window)
        found = [
            run(group, pad_documents([entries[i] for i in group], texts, window))
            for group in groups
        ]
        if len(found) == 1:
            return found[0]
        return self.joined(found, np.argsort(np.concatenate(groups)))

    def counterfactuals(
        self, policy: PolicyLike, user_role: str | None, contexts: Sequence[ContextLike]
    ) -> A:
        """z_g `[len(contexts), latent_dim]`: the same authority with other things asked for.

        P3: each untrusted span in place of the instruction. The policy is encoded once.

        Raises:
            InputError: as `forward`, or `contexts` is one text or mapping instead of a list.
        """
        require_list(contexts)
        if not contexts:
            return self.empty()
        items = [(user_role, context) for context in contexts]
        return self.encode_contexts(self.summary(policy, user_role), items)

"""Texts as numbers (interface; the text helper fills this in)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SUBWORD_DIM = 256
"""Width of the static sub-word embeddings."""
NGRAM_DIM = 256
"""Width of the hashed character n-grams."""
STATIC_DIM = SUBWORD_DIM + NGRAM_DIM


class TextFeatures(Protocol):
    """Texts -> features that `TextProjection` takes. Deterministic in every process."""

    id: str
    """Name and version, e.g. `static-1`, `md5-10000`; a checkpoint is refused under another."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32] | NDArray[np.int64]:
        """`[len(texts), STATIC_DIM]` float32, or `[len(texts)]` int64 ids for md5."""
        ...


def text_features(tokenizer: str = "static", *, vocabulary: int = 10_000) -> TextFeatures:
    """The features of a tokeniser by name: "static" or "md5"."""
    raise NotImplementedError

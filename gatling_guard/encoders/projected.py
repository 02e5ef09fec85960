"""Texts as the ONNX graphs take them: features times a stored projection, kept per text.

Replaces `layers.TextProjection` where torch is not imported.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.text import TextFeatures

_ROWS = 16
"""Rows of one product. A matrix product may round differently for another number of rows, and a
kept vector must not depend on what it was computed together with (P9)."""
_LONGEST = 512
"""Longer texts are not kept: a session sees them once."""


class ProjectedText:
    """Texts -> `[n, h]` float32, with the latest `size` short texts kept. Thread-safe.

    Args:
        features: of the tokeniser that `weight` was trained with.
        weight: `[STATIC_DIM, h]`, or `[vocabulary, h]` for md5.
        size: texts kept; 4,096 of 256 floats are 4 MB.
    """

    def __init__(
        self, features: TextFeatures, weight: NDArray[np.float32], *, size: int = 4096
    ) -> None:
        self.features, self.weight, self.size = features, weight, size
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`[len(texts), h]`; the empty text is all zeros."""
        known: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for text in texts:
                if text in self._kept:
                    known[text] = self._kept[text]
                    self._kept.move_to_end(text)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            fresh = dict(zip(missing, self._project(missing), strict=True))
            known |= fresh
            with self._lock:
                self._kept |= {t: v for t, v in fresh.items() if len(t) <= _LONGEST}
                while len(self._kept) > self.size:
                    self._kept.popitem(last=False)
        if not texts:
            return np.zeros((0, self.weight.shape[1]), np.float32)
        return np.stack([known[text] for text in texts])

    def _project(self, texts: Sequence[str]) -> NDArray[np.float32]:
        features = self.features(texts)
        if features.ndim == 1:
            ids: NDArray[np.float32] = self.weight[features.astype(np.int64)]
            return ids
        rows = -(-len(texts) // _ROWS) * _ROWS
        padded = np.zeros((rows, features.shape[1]), np.float32)
        padded[: len(texts)] = features
        blocks = padded.reshape(-1, _ROWS, features.shape[1])
        return np.concatenate([block @ self.weight for block in blocks])[: len(texts)]

"""Texts as the ONNX graphs take them: features times a learned projection, kept per text.

Replaces `layers.TextProjection` where torch is not imported. The product runs in onnxruntime: its
rows do not depend on what they are computed together with, so that a kept vector is the same
whatever came before (P9), and numpy's would start a thread per core.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.text import TextFeatures

_LONGEST = 512
"""Of longer texts a hash is the key: the description of a tool comes again with every call, and one
of 100,000 characters takes seconds."""


class ProjectedText:
    """Texts -> `[n, h]` float32, with those of the latest `size` texts kept. Thread-safe.

    Args:
        features: of the tokeniser that the projection was trained with.
        project: the graph of a `TextProjection`: features -> `[[n, h]]`.
        size: texts kept; 4,096 of 256 floats are 4 MB.
    """

    def __init__(
        self,
        features: TextFeatures,
        project: Callable[[NDArray[Any]], list[NDArray[np.float32]]],
        *,
        size: int = 4096,
    ) -> None:
        self.features, self.project, self.size = features, project, size
        self._kept: OrderedDict[str | bytes, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`[len(texts), h]`, at least one text; the empty text is all zeros."""
        keys = {text: _key(text) for text in texts}
        known: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for text, key in keys.items():
                if key in self._kept:
                    known[text] = self._kept[key]
                    self._kept.move_to_end(key)
        missing = [text for text in keys if text not in known]
        if missing:
            vectors = self.project(self.features(missing))[0]
            known.update(zip(missing, vectors, strict=True))
            with self._lock:
                for text in missing:
                    # A copy: a row would keep the whole batch alive.
                    self._kept[keys[text]] = known[text].copy()
                while len(self._kept) > self.size:
                    self._kept.popitem(last=False)
        return np.stack([known[text] for text in texts])


def _key(text: str) -> str | bytes:
    if len(text) <= _LONGEST:
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

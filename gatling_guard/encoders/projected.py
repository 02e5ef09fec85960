"""Texts as the ONNX graphs take them: features times a learned projection, kept per text.

Replaces `layers.TextProjection` where torch is not imported. The product runs in onnxruntime: its
rows do not depend on what they are computed together with, so that a kept vector is the same
whatever came before (P9), and numpy's would start a thread per core.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.text import TextFeatures

_LONGEST = 512
"""Longer texts are not kept: a session sees them once."""


class ProjectedText:
    """Texts -> `[n, h]` float32, with the latest `size` short texts kept. Thread-safe.

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
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`[len(texts), h]`, at least one text; the empty text is all zeros."""
        known: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for text in texts:
                if text in self._kept:
                    known[text] = self._kept[text]
                    self._kept.move_to_end(text)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            vectors = self.project(self.features(missing))[0]
            known.update(zip(missing, vectors, strict=True))
            with self._lock:
                for text in missing:
                    if len(text) <= _LONGEST:
                        # A copy: a row would keep the whole batch alive.
                        self._kept[text] = known[text].copy()
                while len(self._kept) > self.size:
                    self._kept.popitem(last=False)
        return np.stack([known[text] for text in texts])

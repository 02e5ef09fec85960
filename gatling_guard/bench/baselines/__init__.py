"""Published lines without training (evidence.md 3), to stand beside the guard in one run."""

from gatling_guard.bench.baselines.embedding import EMBEDDERS, Embedder, embedder_named
from gatling_guard.bench.baselines.rules import (
    ATTRIBUTION,
    BASELINES,
    BaselineRun,
    BaselineSubject,
)

__all__ = [
    "ATTRIBUTION",
    "BASELINES",
    "EMBEDDERS",
    "BaselineRun",
    "BaselineSubject",
    "Embedder",
    "embedder_named",
]

"""Small datasets and networks for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.training import write_samples
from gatling_guard.training.args import TrainArgs
from gatling_guard.training.dataset import Dataset, prepare
from gatling_guard.training.demo_samples import samples

TINY = EncoderConfig(
    name="tiny", latent_dim=96, hidden_dim=32, words_dim=64, blocks=2, heads=4, ffn=2,
    pool_heads=2, projection_dim=64, call_dim=24, policy_blocks=1, context_blocks=1, window=4,
    global_tokens=2, predictor_dim=32,
)  # fmt: skip


def args(**changes: Any) -> TrainArgs:
    """Settings that learn something in seconds."""
    given = {"epochs": 3, "learning_rate": 3e-3, "threads": 1, "latent_dim": 96, "ema": 0.98}
    return TrainArgs(**{**given, **changes})


def dataset(count: int = 240) -> Dataset:
    """Prepared synthetic samples."""
    return prepare(samples(count))


def write(path: Path, count: int = 12) -> Path:
    """A file of synthetic samples."""
    write_samples(path, samples(count))
    return path

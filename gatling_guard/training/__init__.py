"""Data and training: generators of plans, datasets, and the fitting of the encoders."""

from gatling_guard.training.sample import (
    LABELS,
    Sample,
    content_hash,
    read_samples,
    sample_of,
    samples_of,
    to_line,
    write_samples,
)

__all__ = [
    "LABELS",
    "Sample",
    "content_hash",
    "read_samples",
    "sample_of",
    "samples_of",
    "to_line",
    "write_samples",
]

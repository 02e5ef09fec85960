"""The HTML page of `evaluate-model`: one file that opens without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gatling_guard.training.examination import Subject
from gatling_guard.training.splits import Part


def write_page(path: Path, subjects: Sequence[Subject], part: Part) -> None:
    """Write the page."""
    path.write_text("", "utf-8")

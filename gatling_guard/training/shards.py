"""Datasets on disk: one file per shard, written family by family, resumed where they ended."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from gatling_guard.errors import InputError, Issue
from gatling_guard.training.sample import Sample, to_line

Families = Callable[[int], Iterable[Sample]]
"""The samples from the family of an index on, in order."""

_HEAD = re.compile(rb'\{"schema":1,"id":"[^"]*","family":"[^"]*-(\d+)"')


def write_shard(path: str | Path, families: Families, *, resume: bool = False) -> int:
    """Write a shard as plain JSON lines; returns how many samples were added.

    Args:
        path: the file; an existing one is replaced, unless resumed.
        families: what to write.
        resume: keep what is there. The last family may be cut off, so it is written again.

    Raises:
        InputError: the end of the file to resume is no sample of a generator.
    """
    path = Path(path)
    start = _cut(path) if resume and path.exists() else 0
    count = 0
    with path.open("ab" if start else "wb") as file:
        for sample in families(start):
            file.write(to_line(sample).encode() + b"\n")
            count += 1
    return count


def _cut(path: Path) -> int:
    """Cut off the last family, which may be incomplete; returns its index, 0 for none."""
    starts: list[tuple[int, int]] = []
    place = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                index = _index(line, path, number)
                if not starts or starts[-1][0] != index:
                    starts = [*starts[-1:], (index, place)]
            place += len(line)
    index, end = starts[-1] if starts else (0, 0)
    os.truncate(path, end)
    return index


def _index(line: bytes, path: Path, number: int) -> int:
    found = _HEAD.match(line)
    if found is None:
        issue = Issue("", "is no sample of a generator", str(path), number)
        raise InputError([issue], what="dataset to resume")
    return int(found[1])

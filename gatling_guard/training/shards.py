"""Datasets on disk: one file per shard, written family by family, resumed where they ended.

`estimate` says beforehand what a dataset will cost: it makes a thousand samples of it, and times
and weighs them.
"""

from __future__ import annotations

import lzma
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gatling_guard.errors import InputError, Issue
from gatling_guard.training.sample import Sample, to_line


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a dataset costs on one core of this machine."""

    samples: int
    seconds: float
    """Processor time."""
    plain_bytes: int
    xz_bytes: int


def estimate(probe: Callable[[], Iterable[Sample]], samples: int) -> Estimate:
    """Weigh and time a small part of a dataset, and scale it up.

    Args:
        probe: makes the part, a thousand samples or so; called twice, as tables are built first.
        samples: of the whole.
    """
    for _ in probe():
        pass
    began = time.process_time()
    lines = [to_line(sample).encode() + b"\n" for sample in probe()]
    seconds = time.process_time() - began
    data = b"".join(lines)
    share = samples / max(1, len(lines))
    packed = len(lzma.compress(data, preset=6))
    return Estimate(samples, seconds * share, int(len(data) * share), int(packed * share))


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

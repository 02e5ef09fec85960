"""Timing of contestants against each other on a machine that others use too.

In each round every contestant runs for a moment, in turns (A B C, C B A, ..), so that noise hits
all alike. The garbage collector rests while a call is timed.

Ratios are of processor time (of all threads), within rounds: on a machine that others use too, a
long call is interrupted more often than a short one, and a ratio of wall times would flatter the
short one. On an idle machine both are the same.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Contestant:
    """One thing to time."""

    name: str
    run: Callable[[Any], object]
    """What is timed."""
    prepare: Callable[[int], Any]
    """The input of the i-th call; not timed."""


Rounds = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Times:
    """Milliseconds of each call of one contestant, by round."""

    wall: Rounds
    cpu: Rounds

    @property
    def median(self) -> float:
        """Wall time, over all calls."""
        return _median(self.wall)

    @property
    def cpu_median(self) -> float:
        """Processor time, over all calls."""
        return _median(self.cpu)

    @property
    def minimum(self) -> float:
        """Wall time, over all calls."""
        return min(t for times in self.wall for t in times)

    @property
    def quiet(self) -> float:
        """Wall time, median of the third of the rounds with the lowest medians."""
        found = sorted(self.wall, key=statistics.median)
        return _median(found[: max(1, len(found) // 3)])


@dataclass(frozen=True)
class Ratio:
    """How many times as much processor time the one takes as the other."""

    value: float
    """Ratio of the medians over all rounds."""
    low: float
    high: float
    """95 % interval of the ratio of one round's medians."""


def ratio(slow: Times, fast: Times) -> Ratio:
    """Times of the same race, `slow` over `fast`."""
    pairs = zip(slow.cpu, fast.cpu, strict=True)
    low, high = median_interval([statistics.median(a) / statistics.median(b) for a, b in pairs])
    return Ratio(slow.cpu_median / fast.cpu_median, low, high)


def _median(rounds: Iterable[tuple[float, ...]]) -> float:
    return statistics.median(t for times in rounds for t in times)


def median_interval(values: list[float]) -> tuple[float, float]:
    """95 % interval of the median from order statistics; all there is with fewer than 6 values."""
    found, n, skip, tail = sorted(values), len(values), 0, 0.0
    while skip < (n - 1) // 2:
        tail += math.comb(n, skip) / 2**n
        if 2 * tail > 0.05:
            break
        skip += 1
    skip = max(0, skip - 1)
    return found[skip], found[n - 1 - skip]


def race(contestants: list[Contestant], *, rounds: int, seconds: float = 0.1) -> dict[str, Times]:
    """Time all in turns.

    Args:
        contestants: with different names.
        rounds: how often each has its turn.
        seconds: about how long a turn is; at least one call, at most 200.
    """
    calls = {c.name: min(200, max(1, round(seconds / _warm_up(c)))) for c in contestants}
    found: dict[str, list[list[tuple[float, float]]]] = {c.name: [] for c in contestants}
    for i in range(rounds):
        for c in contestants if i % 2 == 0 else contestants[::-1]:
            n = calls[c.name]
            found[c.name].append([_time(c, i * n + j) for j in range(n)])
    return {
        name: Times(
            wall=tuple(tuple(1000 * wall for wall, _ in turn) for turn in turns),
            cpu=tuple(tuple(1000 * cpu for _, cpu in turn) for turn in turns),
        )
        for name, turns in found.items()
    }


def _warm_up(contestant: Contestant) -> float:
    """Seconds of one call, after a few on inputs that no turn gets."""
    return min(_time(contestant, -1 - i)[0] for i in range(4))


def _time(contestant: Contestant, i: int) -> tuple[float, float]:
    """Seconds of one call: wall and processor time."""
    given = contestant.prepare(i)
    on = gc.isenabled()
    gc.disable()
    try:
        busy, start = time.process_time(), time.perf_counter()
        contestant.run(given)
        wall = time.perf_counter() - start
        return wall, time.process_time() - busy
    finally:
        if on:
            gc.enable()

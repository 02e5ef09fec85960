"""How sure a figure is: 95 % intervals from resampling whole families, seeded.

Twins of a family stand and fall together, so that samples drawn one by one would give intervals
that are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
DRAWS = 400
FEWEST = 5
"""Families without which there is no interval: of one family all draws are equal."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; None where there is nothing to measure, or too little."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """As in `metrics.json`."""
        return {"value": self.value, "low": self.low, "high": self.high}


class Bootstrap:
    """Figures over the rows of some families.

    Args:
        families: `[B]` of each row.
        seed: of the draws.
        draws: how many.
    """

    def __init__(self, families: Sequence[str], *, seed: int = 0, draws: int = DRAWS) -> None:
        names, self._family = np.unique(np.asarray(families, dtype=str), return_inverse=True)
        count = len(names)
        source = np.random.default_rng([seed, count])
        chosen = source.integers(0, max(1, count), (draws, count))
        self._times: Values = np.array([np.bincount(one, minlength=count) for one in chosen], float)
        """`[draws, F]` how often each family was drawn."""

    def mean(self, values: Values, rows: NDArray[np.bool_] | None = None) -> Estimate:
        """Mean of `values` `[B]` over the rows that are not nan."""
        value, draws, families = self._means(values, rows)
        return _estimate(value, draws, families)

    def difference(
        self, values: Values, more: NDArray[np.bool_], less: NDArray[np.bool_]
    ) -> Estimate:
        """Mean over some rows minus mean over others."""
        high, highs, some = self._means(values, more)
        low, lows, others = self._means(values, less)
        return _estimate(high - low, highs - lows, min(some, others))

    def of(self, figure: Callable[[Values], float]) -> Estimate:
        """Any figure of weights `[B]`."""
        value = figure(np.ones(len(self._family)))
        if not np.isfinite(value):
            return Estimate(None)
        draws = np.array([figure(times[self._family]) for times in self._times])
        return _estimate(value, draws, self._times.shape[1])

    def _means(self, values: Values, rows: NDArray[np.bool_] | None) -> tuple[float, Values, int]:
        known = ~np.isnan(values)
        if rows is not None:
            known &= rows
        size = self._times.shape[1]
        sums = np.bincount(self._family[known], np.asarray(values)[known], size)
        counts = np.bincount(self._family[known], minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            draws: Values = (self._times @ sums) / (self._times @ counts)
            value = float(np.divide(sums.sum(), counts.sum()))
        return value, draws, int((counts > 0).sum())


def _estimate(value: float, draws: Values, families: int) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None)
    known = draws[np.isfinite(draws)]
    if families < FEWEST or not len(known):
        return Estimate(value)
    low, high = np.quantile(known, (0.025, 0.975))
    return Estimate(value, float(low), float(high))

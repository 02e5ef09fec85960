"""Fits the monotone map from raw energies to the bands (`encoders.calibration`) on validation data.

Two cuts are chosen by balanced error: gold | boundary goes to 2, boundary | adversarial to the gap
from 6 to 8. Between them a knot at the median of what lies there. So a map has six knots, whatever
the data, and orders plans as the raw energy does.

Sees: one raw energy and a label per plan. Does not see: plans. Thresholds for whole traces are
fitted apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatling_guard.encoders.calibration import Calibration, Source
from gatling_guard.errors import ConfigurationError
from gatling_guard.training.metrics import CLASSES

_MOST, _DIGITS = 1e6, 9
"""Energies are rounded, so that knots lie apart."""
Values = NDArray[np.float64]
GOLD, BOUNDARY, ADVERSARIAL = 0.7, 4.0, 10.0
"""Where the median of each band's own samples goes."""
LOW, HIGH = 2.0, (6.0, 8.0)
"""Where the cuts go."""


def fit(
    energies: ArrayLike,
    labels: ArrayLike,
    *,
    energy: Source,
    data_hash: str | None = None,
    seed: int = 0,
) -> Calibration:
    """The map for raw energies `[B]` >= 0 with labels `[B]` in 0..2.

    Args:
        energies: of the validation split.
        labels: 0 gold, 1 boundary, 2 adversarial.
        energy: what the energies are of.
        data_hash: of the data.
        seed: of its split.

    Raises:
        ConfigurationError: a class without samples, an energy below 0 or above a million, or all
            alike.
    """
    raw, label = np.asarray(energies, np.float64), np.asarray(labels, np.int64)
    if not ((raw >= 0) & (raw <= _MOST)).all():
        raise ConfigurationError(f"calibration: energies must be from 0 to {_MOST:g}")
    raw = np.round(raw, _DIGITS)
    by_class = {name: np.sort(raw[label == c]) for c, name in enumerate(CLASSES)}
    empty = [name for name, values in by_class.items() if not len(values)]
    if empty:
        raise ConfigurationError(f"calibration: no {' and no '.join(empty)} samples")
    found = cuts(by_class)
    return Calibration(
        energy=energy,
        knots=_knots(raw, found),
        cuts=(found.low, found.high),
        samples={name: len(values) for name, values in by_class.items()},
        balanced_error=found.error,
        data_hash=data_hash,
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the classes are told apart, in raw energies."""

    low: float
    """Between gold and boundary."""
    high: float
    """Between boundary and adversarial."""
    around: tuple[float, float]
    """The energies next to `high` on either side."""
    error: float
    """Mean over the classes of the share outside of its band."""


def cuts(by_class: Mapping[str, Values]) -> Cuts:
    """The two cuts with the least balanced error.

    Of all pairs `low <= high` of places halfway between neighbouring energies; of equally good
    ones the first.

    Args:
        by_class: sorted energies of every class.

    Raises:
        ConfigurationError: all energies are equal.
    """
    gold, boundary, adversarial = (by_class[name] for name in CLASSES)
    values = np.unique(np.concatenate([gold, boundary, adversarial]))
    if len(values) < 2:
        raise ConfigurationError("calibration: all energies are equal")
    places = (values[:-1] + values[1:]) / 2
    at_low = 1 - _below(gold, places) + _below(boundary, places)
    at_high = 1 - _below(boundary, places) + _below(adversarial, places)
    # The best low cut at or before each place.
    best = np.minimum.accumulate(at_low)
    total = best + at_high
    high = int(total.argmin())
    low = int(at_low[: high + 1].argmin())
    around = float(values[high]), float(values[high + 1])
    return Cuts(float(places[low]), float(places[high]), around, float(total[high] / len(CLASSES)))


def _below(values: Values, places: Values) -> Values:
    """Share of sorted values at or below each place."""
    return np.searchsorted(values, places, side="right") / len(values)


def _knots(raw: Values, cut: Cuts) -> tuple[tuple[float, float], ...]:
    """From left to right; a knot that would not lie to the right of the one before is left out."""
    last, first = cut.around
    wanted = [
        (_median(raw[raw < cut.low]), GOLD),
        (cut.low, LOW),
        (_median(raw[(raw > cut.low) & (raw <= last)]), BOUNDARY),
        (last, HIGH[0]),
        (first, HIGH[1]),
        (_median(raw[raw > last]), ADVERSARIAL),
    ]
    knots = [(0.0, 0.0)]
    for x, y in wanted:
        if x > knots[-1][0]:
            knots.append((x, y))
    return tuple(knots)


def _median(values: Values) -> float:
    """nan, which lies nowhere, of none."""
    return float(np.median(values)) if len(values) else float("nan")

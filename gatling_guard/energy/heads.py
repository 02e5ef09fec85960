"""Heads as they are stored: rising curves over risk features, a bias, and thresholds.

A curve is a chain of points and never falls, so that a head is monotone in every feature whoever
wrote the file. Does not see: how the points were found (`training.heads`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, ValidatorFunctionWrapHandler, WrapValidator

from gatling_guard.energy.risk import Frozen, RiskDefault
from gatling_guard.errors import ConfigurationError

Point = tuple[FiniteFloat, Annotated[FiniteFloat, Field(ge=0, le=1e3)]]


class Curve(Frozen):
    """A contribution >= 0 that never falls as its feature rises."""

    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=64)]

    def model_post_init(self, _: Any) -> None:
        """Order."""
        for (x0, y0), (x1, y1) in pairwise(self.points):
            if not (x0 < x1 and y0 <= y1):
                raise ValueError("a curve's points must rise from left to right")

    def of(self, value: float) -> float:
        """The contribution of a value; outside the points that of the nearest, nan: the last."""
        if math.isnan(value) or value >= self.points[-1][0]:
            return self.points[-1][1]
        if value <= self.points[0][0]:
            return self.points[0][1]
        for (x0, y0), (x1, y1) in pairwise(self.points):
            if value <= x1:
                return y0 + (y1 - y0) * (value - x0) / (x1 - x0)
        return self.points[-1][1]


def _placed(value: Any, read: ValidatorFunctionWrapHandler) -> RiskDefault:
    """Wrong thresholds as an error of the file, which then names their place."""
    try:
        found: RiskDefault = read(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return found


class Head(Frozen):
    """A sum of curves, as a logit, and what its risk means."""

    bias: FiniteFloat
    curves: Annotated[dict[str, Curve], Field(min_length=1, max_length=64)]
    default: Annotated[RiskDefault, WrapValidator(_placed)]

    def risk(self, features: Mapping[str, float]) -> float:
        """log(1 + exp(logit)): >= 0, rising with every feature.

        Args:
            features: a value for every curve.
        """
        return softplus(self.bias + sum(c.of(features[name]) for name, c in self.curves.items()))


class Direction(Frozen):
    """A logit of one message: a bias and weights of its row, then of the judge's reading of it."""

    bias: FiniteFloat
    weights: Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=8192)]


class Delegation(Frozen):
    """What tells that a message leaves things to texts of others."""

    values: Direction
    """Parties, amounts or things."""
    effects: Direction
    """What is to be done itself."""


class Restored(Frozen):
    """Which circumstantial shares come back, and how far: the product of curves within 0..1."""

    kinds: Annotated[tuple[str, ...], Field(min_length=1, max_length=32)]
    by: Annotated[dict[str, Curve], Field(min_length=1, max_length=8)]
    """By feature. A judge that need not be asked (below the grey band) counts as 1."""

    def part(self, features: Mapping[str, float], *, judged: bool) -> float:
        """0..1, rising with every feature.

        Args:
            features: a value for every curve.
            judged: whether the judge was asked and said something.
        """
        found = 1.0
        for name, curve in self.by.items():
            if judged or name != "judged":
                found *= min(1.0, curve.of(features[name]))
        return found


class HeadsFile(Frozen):
    """heads.json."""

    schema_version: Literal[1] = 1
    grey: tuple[FiniteFloat, FiniteFloat]
    """Static margins between which the judge is asked."""
    factors: dict[str, Annotated[FiniteFloat, Field(ge=0, le=1)]] = {}
    """What shares of the structure count beside the heads, by kind."""
    restored: Annotated[tuple[Restored, ...], Field(max_length=8)] = ()
    """What comes back of what `factors` take off; where several name a kind, the most."""
    fitted_on: tuple[str, ...] = ()
    delegation: Delegation | None = None
    heads: Annotated[dict[str, Head], Field(min_length=1, max_length=8)]


def softplus(logit: float) -> float:
    """log(1 + exp(logit)): a logit as a risk >= 0."""
    return max(logit, 0.0) + math.log1p(math.exp(-abs(logit)))


Directions = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights `[2, n]` and bias `[2]`."""


def directions(found: Delegation | None) -> Directions | None:
    """A delegation as arrays."""
    if found is None:
        return None
    both = found.values, found.effects
    return np.array([d.weights for d in both]), np.array([d.bias for d in both])


def delegated(
    found: Directions | None, row: NDArray[np.float32], reading: NDArray[np.float32]
) -> tuple[float, float]:
    """Two logits of one message; 0 where there is nothing to tell by.

    Raises:
        ConfigurationError: the directions are of scorers of another width.
    """
    if found is None:
        return 0.0, 0.0
    weights, bias = found
    both = np.concatenate([row, reading])
    if len(both) != weights.shape[1]:
        raise ConfigurationError(f"delegation: {weights.shape[1]} weights for {len(both)} numbers")
    values, effects = (weights @ both + bias).tolist()
    return round(values, 4), round(effects, 4)

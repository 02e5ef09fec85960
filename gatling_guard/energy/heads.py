"""Heads as they are stored: rising curves over risk features, a bias, and thresholds.

A curve is a chain of points and never falls, so that a head is monotone in every feature whoever
wrote the file. Does not see: how the points were found (`training.heads`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

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


class Delegation(Frozen):
    """A direction in the static scorer's space: instructions that leave it to a text what to do."""

    bias: FiniteFloat = 0.0
    weights: Annotated[tuple[FiniteFloat, ...], Field(max_length=4096)] = ()


class HeadsFile(Frozen):
    """heads.json."""

    schema_version: Literal[1] = 1
    grey: tuple[FiniteFloat, FiniteFloat]
    """Static margins between which the judge is asked."""
    factors: dict[str, Annotated[FiniteFloat, Field(ge=0, le=1)]] = {}
    """What shares of the structure count beside the heads, by kind."""
    restored: Curve | None = None
    """By `restored_by`: how much of what `factors` take off comes back, 0..1."""
    restored_by: Literal["own", "judged"] = "own"
    """`own`: where the user leaves nothing to others, circumstantial shares say as much as without
    heads. `judged`: what the structure suspects counts as far as the judge agrees; calmer in
    delegated work, and weaker elsewhere."""
    fitted_on: tuple[str, ...] = ()
    delegation: Delegation = Delegation()
    heads: Annotated[dict[str, Head], Field(min_length=1, max_length=8)]


def softplus(logit: float) -> float:
    """log(1 + exp(logit)): a logit as a risk >= 0."""
    return max(logit, 0.0) + math.log1p(math.exp(-abs(logit)))

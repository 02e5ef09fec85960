"""What a learned risk is: a number >= 0 for one call, higher is worse, in the head's own unit.

Here stands what every head has: thresholds that ship with it, how far a user's runs may move them,
the rising map to energy, and the groups (effect classes) in which thresholds may differ. Does not
see: how a risk is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from gatling_guard.catalog import ToolProfile, ToolSpec
from gatling_guard.errors import ConfigurationError
from gatling_guard.plan import digest
from gatling_guard.policy import EnergyBounds

POOLED: Final = "any"
"""The group of all calls that act."""
GROUPS: Final = ("write", "send", "pay", "delete", "permit", "execute", "egress-read")
BINS: Final = 64
_DECADES, _LOWEST = 6.0, 1e-3
_UNDER = 1.0 - 1e-6
"""A risk equal to a threshold is still below the level: ties must not cost benign tasks."""
_BULK = 1.0 / 8.0
"""Half a hold threshold costs this part of the level: what most honest calls have must not use up
the room that structure needs."""
_TOP = 1.5
"""No risk costs more than this multiple of the level to block."""

Level = Annotated[FiniteFloat, Field(ge=1e-9, le=1e9)]
Risk = Annotated[FiniteFloat, Field(ge=0)]
EnergyOfRisk = Callable[[str, float, str, EnergyBounds], float]
"""Name of the risk, the risk, group of the call, levels of the policy -> energy."""


class Frozen(BaseModel):
    """A value that is written to and read from JSON: nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Limit(Frozen):
    """One shipped threshold, and how far a user's own runs may move it."""

    default: Level
    lowest: Level
    highest: Level

    def model_post_init(self, _: Any) -> None:
        """Order."""
        if not self.lowest <= self.default <= self.highest:
            raise ConfigurationError("a limit needs lowest <= default <= highest")


class RiskDefault(Frozen):
    """What ships with a head: thresholds where there is no calibration, and their limits.

    The highest values are what keeps poisoned runs from switching detection off: the owner of the
    head puts them where a stated share of the attacks in its training data lies above.
    """

    hold: Limit
    block: Limit
    may_block: bool = True
    """False: the risk alone never reaches the level to block."""

    def model_post_init(self, _: Any) -> None:
        """The thresholds must not be able to cross."""
        if not self.hold.highest < self.block.lowest:
            raise ConfigurationError("the highest hold threshold must be below the lowest to block")

    def energy(self, risk: float, bounds: EnergyBounds) -> float:
        """The energy of a risk where nothing was calibrated, see `energy_of`."""
        return energy_of(
            risk, self.hold.default, self.block.default, bounds, may_block=self.may_block
        )


def energy_of(
    risk: float, hold: float, block: float, bounds: EnergyBounds, *, may_block: bool = True
) -> float:
    """The energy of one risk: >= 0, rising with it, at most 1.5 times the level to block.

    Half the hold threshold costs an eighth of `allow_below`, the threshold itself just under
    `allow_below`, the block threshold just under `block_above`.

    Args:
        risk: of one call; what is no number counts as infinite, what is negative as 0.
        hold: threshold that benign tasks seldom pass.
        block: threshold above it.
        bounds: the levels of the policy.
        may_block: False: it ends below `block_above`; its second threshold lies half way.
    """
    low, high = bounds.allow_below, bounds.block_above
    if may_block:
        second, top = high * _UNDER, high * _TOP
    else:
        second, top = (low + high) / 2, low + (high - low) * 0.95
    first, bulk, half = low * _UNDER, low * _BULK, hold / 2
    if math.isnan(risk) or risk == math.inf:
        return top
    if risk <= half:
        return max(0.0, risk) / half * bulk
    if risk <= hold:
        return bulk + (risk / half - 1) * (first - bulk)
    if risk <= block:
        return first + (risk - hold) / (block - hold) * (second - first)
    return top - (top - second) / (1.0 + (risk - block) / (block - hold))


def group_of(profile: ToolProfile) -> str | None:
    """The effect class of a call; None for one that can do no harm and has no risk."""
    if profile.effect.side_effect:
        return profile.effect.value
    return "egress-read" if profile.egress else None


def toolset_digest(tools: Iterable[ToolSpec]) -> str:
    """SHA-256 of what recorded runs and a guard's catalog both say of tools, in any order.

    Declared profiles are not in it: a recorded run does not carry them.
    """
    return digest(sorted({digest([t.name, t.description, t.parameters]) for t in tools}))


def bin_of(risk: float) -> int:
    """Which of 64 bins a risk lies in: 0, then 62 to six decades from .001 on, then the rest.

    The edges are fixed: were they taken from the runs, served risks would not be exchangeable with
    those of the runs.
    """
    if math.isnan(risk) or risk >= _LOWEST * 10**_DECADES:
        return BINS - 1
    if risk < _LOWEST:
        return 0
    return min(BINS - 2, 1 + int(math.log10(risk / _LOWEST) / _DECADES * (BINS - 2)))

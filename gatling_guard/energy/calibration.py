"""A tool set's calibration: how a learned risk becomes an energy, from the user's own benign runs.

A *risk* is a number >= 0 that the learned part gives a call, higher is worse; its unit is the
head's own. A threshold of it that benign tasks rarely pass is put to a level that the policy acts
on. Covers: the file, the monotone map, and for which weights, policy and tools it holds. Does not
see: traces, text, names or arguments; the file holds counts and risks only. Thresholds are found
in `conformal`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from gatling_guard.catalog import ToolProfile, ToolSpec
from gatling_guard.errors import ConfigurationError, InputError, Issue
from gatling_guard.plan import digest, parse_json

SCHEMA: Final = 1
POOLED: Final = "any"
"""The group of all calls that act."""
GROUPS: Final = ("write", "send", "pay", "delete", "permit", "execute", "egress-read")
MAX_BYTES: Final = 1_000_000
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
Name = Annotated[str, Field(min_length=1, max_length=100)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Limit(_Frozen):
    """One shipped threshold, and how far a user's own runs may move it."""

    default: Level
    lowest: Level
    highest: Level

    def model_post_init(self, _: Any) -> None:
        """Order."""
        if not self.lowest <= self.default <= self.highest:
            raise ConfigurationError("a limit needs lowest <= default <= highest")


class RiskDefault(_Frozen):
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


class Threshold(_Frozen):
    """One threshold of one group, with where it comes from."""

    alpha: Annotated[FiniteFloat, Field(gt=0, lt=1)]
    """Wanted share of benign tasks above it."""
    tasks: Annotated[int, Field(ge=0)]
    """Benign tasks behind it, instructions counted once."""
    rank: Annotated[int, Field(ge=0)]
    """It is the so-manieth smallest of them; 0: there were too few for this alpha."""
    quantile: Risk | None
    """What the runs alone say; None: nothing, or infinite."""
    value: Level
    """What is used: between the quantile and the shipped threshold, within its limits."""
    basis: Literal["own", "pooled", "default"]
    """Whose rows: the group's, those of all groups, or none."""
    bound: Literal["highest", "lowest"] | None = None
    """The limit that the quantile was cut to."""


class Curve(_Frozen):
    """The map from one risk to energy in one group: rising, bounded."""

    hold: Threshold
    block: Threshold

    def model_post_init(self, _: Any) -> None:
        """Rising."""
        if not self.hold.value < self.block.value:
            raise ConfigurationError("the threshold to hold must be below that to block")


class Levels(_Frozen):
    """The energies that the policy acts on."""

    allow_below: Level = 2.0
    block_above: Level = 8.0

    def model_post_init(self, _: Any) -> None:
        """Order."""
        if not self.allow_below < self.block_above:
            raise ConfigurationError("allow_below must be less than block_above")


class RiskCalibration(_Frozen):
    """One head: its map in every group, and what benign tasks had."""

    model: Name
    """Id of the weights that make the risk; of any other weights it means something else."""
    may_block: bool
    curves: dict[str, Curve]
    """By group; `any` serves every group that has no own."""
    bins: Annotated[tuple[Annotated[int, Field(ge=0)], ...],
                    Field(strict=False, min_length=BINS, max_length=BINS)]  # fmt: skip
    """Benign tasks by their highest risk, see `bin_of`: what drift is measured against."""

    def model_post_init(self, _: Any) -> None:
        """Every group has a map."""
        unknown = sorted(self.curves.keys() - {POOLED, *GROUPS})
        if POOLED not in self.curves or unknown:
            raise ConfigurationError(f"curves: needs `any`; unknown: {', '.join(unknown) or '-'}")

    def curve(self, group: str) -> Curve:
        """The map of a group, or that of all."""
        return self.curves.get(group) or self.curves[POOLED]


class Fit(_Frozen):
    """Whether a calibration may be used beside what is loaded."""

    status: Literal["valid", "stale", "refused"]
    """Stale: use it and say so. Refused: its numbers mean nothing here; use the shipped ones."""
    reasons: Annotated[tuple[str, ...], Field(strict=False)] = ()


class ToolsetCalibration(_Frozen):
    """Calibration of all learned risks for one tool set under one policy."""

    schema_version: Literal[1] = SCHEMA
    policy: Digest
    toolset: Digest
    seed: Annotated[int, Field(ge=0)] = 0
    pseudo_tasks: Annotated[int, Field(ge=0)]
    """The shipped thresholds count as so many tasks."""
    levels: Levels = Field(default_factory=Levels)
    risks: Annotated[dict[Name, RiskCalibration], Field(min_length=1, max_length=16)]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything else."""
        return digest(self.model_dump(mode="json"))

    def energy(self, name: str, risk: float, group: str) -> float:
        """The energy of one risk: >= 0, rising with it, at most 1.5 times the level to block.

        Half the hold threshold costs an eighth of `allow_below`, the threshold itself just under
        `allow_below`, the block threshold just under `block_above`. A risk that may not block ends
        below `block_above`: its second threshold lies half way.

        Args:
            name: of the risk.
            risk: of one call; what is no number counts as infinite, what is negative as 0.
            group: effect class, see `group_of`.
        """
        found = self.risks[name]
        curve, low, high = found.curve(group), self.levels.allow_below, self.levels.block_above
        if found.may_block:
            second, top = high * _UNDER, high * _TOP
        else:
            second, top = (low + high) / 2, low + (high - low) * 0.95
        first, hold, block = low * _UNDER, curve.hold.value, curve.block.value
        if math.isnan(risk) or risk == math.inf:
            return top
        if risk <= hold / 2:
            return max(0.0, risk) / (hold / 2) * (low * _BULK)
        if risk <= hold:
            return low * _BULK + (risk / (hold / 2) - 1) * (first - low * _BULK)
        if risk <= block:
            return first + (risk - hold) / (block - hold) * (second - first)
        beyond = (risk - block) / (block - hold)
        return top - (top - second) / (1.0 + beyond)

    def above(self, peaks: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
        """Whether a task passes any threshold, by what would be done about it.

        Args:
            peaks: its highest risk by name of the risk and group.
        """
        curve_of = {name: kept.curves for name, kept in self.risks.items()}
        return passed(peaks, curve_of, {n: kept.may_block for n, kept in self.risks.items()})

    def fits(self, models: Mapping[str, str], *, policy: str, toolset: str | None = None) -> Fit:
        """Whether it was made for what is loaded.

        Args:
            models: id of the weights behind each risk that is served.
            policy: digest of the policy in force.
            toolset: digest of the tools (`toolset_digest`), where it is known.
        """
        refused = [
            f"risk {name!r} is made by {served!r}; calibrated was {kept.model!r}"
            if (kept := self.risks.get(name)) else f"risk {name!r} was not calibrated"
            for name, served in sorted(models.items())
            if (kept := self.risks.get(name)) is None or kept.model != served
        ]  # fmt: skip
        if refused:
            return Fit(status="refused", reasons=tuple(refused))
        stale = []
        if policy != self.policy:
            stale.append("the policy changed since; run `gatling-guard calibrate` again")
        if toolset is not None and toolset != self.toolset:
            stale.append("the tools changed since; run `gatling-guard calibrate` again")
        return Fit(status="stale" if stale else "valid", reasons=tuple(stale))

    def to_text(self) -> str:
        """The file."""
        document = {"digest": self.digest, **self.model_dump(mode="json")}
        return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def passed(
    peaks: Mapping[str, Mapping[str, float]],
    curves: Mapping[str, Mapping[str, Curve]],
    may_block: Mapping[str, bool],
) -> dict[str, bool]:
    """Which thresholds a task passes: `hold` and `block`.

    Args:
        peaks: its highest risk by name of the risk and group.
        curves: by the same two.
        may_block: by name of the risk.
    """
    found = {"hold": False, "block": False}
    for name, of_groups in peaks.items():
        for group, value in of_groups.items():
            curve = curves[name].get(group) or curves[name][POOLED]
            found["hold"] |= not value <= curve.hold.value
            found["block"] |= may_block[name] and not value <= curve.block.value
    return found


def read_calibration(data: str | bytes, *, what: str = "calibration") -> ToolsetCalibration:
    """The inverse of `ToolsetCalibration.to_text`.

    The digest finds damage, not a forger: keep the file as safe as the policy.

    Raises:
        InputError: every fault by JSON pointer; another schema version; a digest that is not its.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"longer than {MAX_BYTES} bytes", what=what)
    row = parse_json(data, what=what)
    if not isinstance(row, dict):
        raise InputError("must be an object", what=what)
    if row.get("schema_version") != SCHEMA:
        found = row.get("schema_version")
        raise InputError([Issue("/schema_version", f"must be {SCHEMA}, not {found!r:.40}; it is no"
                                " calibration of a tool set, or one of another version")],
                         what=what)  # fmt: skip
    noted = row.pop("digest", None)
    try:
        read = ToolsetCalibration.model_validate(row)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        places = ("".join(f"/{part}" for part in detail["loc"]) for detail in details)
        issues = [Issue(at, d["msg"]) for at, d in zip(places, details, strict=True)]
        raise InputError(issues, what=what) from None
    except ConfigurationError as error:
        raise InputError(str(error), what=what) from None
    if noted != read.digest:
        raise InputError([Issue("/digest", "is not that of the content")], what=what)
    return read


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

"""A tool set's calibration: thresholds of learned risks from the user's own benign runs.

Covers: the file, the energy of a risk under it, and for which weights, policy and tools it holds.
Does not see: traces, text, names or arguments; the file holds counts and risks only. Thresholds
are found in `conformal`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, FiniteFloat, ValidationError

from gatling_guard.energy.risk import (
    BINS,
    GROUPS,
    POOLED,
    Frozen,
    Level,
    Risk,
    RiskDefault,
    energy_of,
)
from gatling_guard.errors import ConfigurationError, InputError, Issue
from gatling_guard.plan import digest, parse_json
from gatling_guard.policy import EnergyBounds

SCHEMA: Final = 1
MAX_BYTES: Final = 1_000_000
Name = Annotated[str, Field(min_length=1, max_length=100)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Threshold(Frozen):
    """One threshold of one group, with where it comes from."""

    alpha: Annotated[FiniteFloat, Field(gt=0, lt=1)]
    """Wanted share of benign tasks above it."""
    tasks: Annotated[int, Field(ge=0)]
    """Benign tasks behind it, instructions counted once."""
    rank: Annotated[int, Field(ge=0)]
    """Counted from the smallest of them; 0: there were too few for this alpha."""
    quantile: Risk | None
    """What the runs alone say; None: nothing, or infinite."""
    value: Level
    """What is used: between the quantile and the shipped threshold, within its limits."""
    basis: Literal["own", "pooled", "default"]
    """Whose rows: the group's, those of all groups, or none."""
    bound: Literal["highest", "lowest"] | None = None
    """The limit that the quantile was cut to."""


class Curve(Frozen):
    """The map from one risk to energy in one group: rising, bounded."""

    hold: Threshold
    block: Threshold

    def model_post_init(self, _: Any) -> None:
        """Rising."""
        if not self.hold.value < self.block.value:
            raise ConfigurationError("the threshold to hold must be below that to block")


class RiskCalibration(Frozen):
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


class Fit(Frozen):
    """Whether a calibration may be used beside what is loaded."""

    status: Literal["valid", "stale", "refused"]
    """Stale: the shipped thresholds decide until it is made anew. Refused: its numbers mean
    nothing here, or go beyond the limits; an error."""
    reasons: Annotated[tuple[str, ...], Field(strict=False)] = ()


class ToolsetCalibration(Frozen):
    """Calibration of all learned risks for one tool set under one policy."""

    schema_version: Literal[1] = SCHEMA
    policy: Digest
    toolset: Digest
    seed: Annotated[int, Field(ge=0)] = 0
    pseudo_tasks: Annotated[int, Field(ge=0)]
    """The shipped thresholds count as so many tasks."""
    risks: Annotated[dict[Name, RiskCalibration], Field(min_length=1, max_length=16)]

    @property
    def digest(self) -> str:
        """SHA-256 of everything else."""
        return digest(self.model_dump(mode="json"))

    @property
    def id(self) -> str:
        """For people, receipts, and decision ids."""
        return f"calibration-{self.digest[:8]}"

    def energy(self, name: str, risk: float, group: str, bounds: EnergyBounds) -> float:
        """The energy of one risk, see `energy_of`.

        Args:
            name: of the risk.
            risk: of one call.
            group: effect class, see `group_of`.
            bounds: of the policy in force. They are not in the file: whoever can change it could
                otherwise turn every energy into next to nothing.
        """
        found = self.risks[name]
        curve = found.curve(group)
        return energy_of(
            risk, curve.hold.value, curve.block.value, bounds, may_block=found.may_block
        )

    def above(self, peaks: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
        """Whether a task passes any threshold, by what would be done about it.

        Args:
            peaks: its highest risk by name of the risk and group.
        """
        curve_of = {name: kept.curves for name, kept in self.risks.items()}
        return passed(peaks, curve_of, {n: kept.may_block for n, kept in self.risks.items()})

    def fits(
        self,
        models: Mapping[str, str],
        defaults: Mapping[str, RiskDefault],
        *,
        policy: str,
        toolset: str | None = None,
    ) -> Fit:
        """Whether it was made for what is loaded.

        Args:
            models: id of the weights behind each risk that is served.
            defaults: what ships with them: no file may go beyond their limits.
            policy: digest of the policy in force.
            toolset: digest of the tools (`toolset_digest`), where it is known.
        """
        refused = [*self._of_others(models), *self._beyond(defaults)]
        if refused:
            return Fit(status="refused", reasons=tuple(refused))
        stale = []
        if policy != self.policy:
            stale.append("the policy changed since; run `gatling-guard calibrate` again")
        if toolset is not None and toolset != self.toolset:
            stale.append("the tools changed since; run `gatling-guard calibrate` again")
        return Fit(status="stale" if stale else "valid", reasons=tuple(stale))

    def _of_others(self, models: Mapping[str, str]) -> Iterator[str]:
        for name, served in sorted(models.items()):
            kept = self.risks.get(name)
            if kept is None:
                yield f"risk {name!r} was not calibrated"
            elif kept.model != served:
                yield f"risk {name!r} is made by {served!r}; calibrated was {kept.model!r}"

    def _beyond(self, defaults: Mapping[str, RiskDefault]) -> Iterator[str]:
        for name, default in sorted(defaults.items()):
            kept = self.risks.get(name)
            for group, curve in kept.curves.items() if kept else ():
                both = (curve.hold.value, default.hold), (curve.block.value, default.block)
                if not all(limit.lowest <= value <= limit.highest for value, limit in both):
                    yield f"risk {name!r}, {group}: a threshold lies outside of its limits"
            if kept and kept.may_block != default.may_block:
                yield f"risk {name!r}: whether it may block is not what ships"

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

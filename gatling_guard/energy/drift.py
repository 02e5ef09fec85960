"""Drift alarm: do served tasks still look like those that the calibration was made from?

A conformal test martingale. Every task gets a p-value: its highest risk's rank among the tasks of
the calibration and all tasks served before it, ties broken at random. While they are exchangeable,
p-values are independent and uniform, whatever their distribution, and no bet against that grows:
the capital ever reaches `level` with a probability of at most 1 / level (Ville). Bets: p-values are
lower than they should be (risks rose), or higher (they fell), begun at every moment with a small
part of the capital, so that a drift after a long quiet time is found as well.

Sees: one number per task and risk, in 64 bins; 64 counts and four stakes are all it keeps. Does not
see: a changed spread around the same ranks, attacks (they are rare, and one is no drift). Not
exchangeable are repeated runs of one instruction: give it one of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, ValidationError

from gatling_guard.energy.calibration import Digest, Name, ToolsetCalibration
from gatling_guard.energy.risk import BINS, Frozen, bin_of
from gatling_guard.errors import ConfigurationError, InputError, Issue
from gatling_guard.plan import parse_json

LEVEL = 100.0
"""At most 1 % of all deployments that never drift see an alarm, ever."""
WARNING = 20.0
"""At most 5 % of them ever see a warning."""
_BETS = (-1.6, -0.8, 0.8, 1.6)
"""A bet e pays 1 + e (p - 1/2) times its stake. Negative: risks rose."""
_MOST = 1e100

Bins = Annotated[tuple[Annotated[int, Field(ge=0)], ...],
                 Field(strict=False, min_length=BINS, max_length=BINS)]  # fmt: skip
Stakes = Annotated[tuple[Annotated[FiniteFloat, Field(ge=0)], ...],
                   Field(strict=False, min_length=len(_BETS), max_length=len(_BETS))]  # fmt: skip


class RiskDrift(Frozen):
    """The martingale of one risk. O(1) in time and room."""

    bins: Bins
    """Tasks so far by their highest risk, those of the calibration among them."""
    served: Annotated[int, Field(ge=0)] = 0
    stakes: Stakes = (0.0,) * len(_BETS)

    @property
    def capital(self) -> float:
        """What is bet and what is still to be bet; 1 at the start."""
        return sum(self.stakes) + 1.0 / (self.served + 1)

    @property
    def direction(self) -> Literal["higher", "lower"]:
        """Where the risks went, if anywhere."""
        half = len(_BETS) // 2
        return "higher" if sum(self.stakes[:half]) >= sum(self.stakes[half:]) else "lower"

    def after(self, risk: float, chance: float) -> RiskDrift:
        """With one more task.

        Args:
            risk: its highest one.
            chance: from 0 to 1, to break ties with.
        """
        at = bin_of(risk)
        above, same = sum(self.bins[at + 1 :]), self.bins[at] + 1
        p = (above + chance * same) / (sum(self.bins) + 1)
        # The part of the capital that is bet from now on: 1/n - 1/(n + 1), which sums to 1.
        new = 1.0 / ((self.served + 1) * (self.served + 2)) / len(_BETS)
        stakes = tuple(
            min(_MOST, (stake + new) * (1.0 + bet * (p - 0.5)))
            for stake, bet in zip(self.stakes, _BETS, strict=True)
        )
        bins = (*self.bins[:at], self.bins[at] + 1, *self.bins[at + 1 :])
        return RiskDrift(bins=bins, served=self.served + 1, stakes=stakes)


class Drift(Frozen):
    """The monitor of one deployment: a value, replaced after every task."""

    schema_version: Literal[1] = 1
    calibration: Digest
    """What it is measured against."""
    risks: Annotated[dict[Name, RiskDrift], Field(min_length=1, max_length=16)]
    peak: Annotated[FiniteFloat, Field(ge=1)] = 1.0
    """The highest capital so far: an alarm stays."""
    alarmed_at: Annotated[int, Field(ge=1)] | None = None
    """The task at which the capital first reached the alarm level."""

    @classmethod
    def start(cls, calibration: ToolsetCalibration) -> Drift:
        """Nothing served yet."""
        risks = {name: RiskDrift(bins=kept.bins) for name, kept in calibration.risks.items()}
        return cls(calibration=calibration.digest, risks=risks)

    @property
    def served(self) -> int:
        """Tasks with a risk."""
        return max(risk.served for risk in self.risks.values())

    @property
    def capital(self) -> float:
        """Mean over the risks, which is a martingale too: one alarm for all of them."""
        return sum(risk.capital for risk in self.risks.values()) / len(self.risks)

    @property
    def status(self) -> Literal["alarm", "warning", "quiet"]:
        """`alarm` at `LEVEL`, `warning` at `WARNING`."""
        return "alarm" if self.peak >= LEVEL else "warning" if self.peak >= WARNING else "quiet"

    def after(self, risks: Mapping[str, float]) -> Drift:
        """With one more task.

        Args:
            risks: the task's highest one of every risk; of one that judged no call of it there is
                none, and no bet is placed on it.

        Raises:
            ConfigurationError: a risk was not calibrated.
        """
        if not risks:
            return self
        if unknown := sorted(risks.keys() - self.risks.keys()):
            raise ConfigurationError(
                f"drift: knows the risks {', '.join(sorted(self.risks))}, not {', '.join(unknown)}"
            )
        following = {
            name: known.after(risks[name], self._chance(name, known.served))
            if name in risks
            else known
            for name, known in self.risks.items()
        }
        moved = self.model_copy(update={"risks": following})
        first = moved.served if moved.capital >= LEVEL else None
        return moved.model_copy(update={
            "peak": max(self.peak, moved.capital),
            "alarmed_at": self.alarmed_at or first,
        })  # fmt: skip

    def _chance(self, name: str, number: int) -> float:
        """Equal in every process (P9), and independent of what the tasks are."""
        drawn = hashlib.sha256(f"{self.calibration}\0{name}\0{number}".encode()).digest()
        return int.from_bytes(drawn[:6], "big") / 2.0**48

    def to_text(self) -> str:
        """The state as JSON: counts and stakes, nothing of any task."""
        shown = self.model_dump(mode="json")
        return json.dumps(shown, sort_keys=True, allow_nan=False) + "\n"


def read_drift(data: str | bytes, calibration: ToolsetCalibration) -> Drift:
    """The inverse of `Drift.to_text`.

    Raises:
        InputError: every fault by JSON pointer; it was measured against another calibration.
    """
    row = parse_json(data, what="drift state")
    try:
        read = Drift.model_validate(row)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        places = ("".join(f"/{part}" for part in detail["loc"]) for detail in details)
        issues = [Issue(at, d["msg"]) for at, d in zip(places, details, strict=True)]
        raise InputError(issues, what="drift state") from None
    if read.calibration != calibration.digest:
        fault = Issue("/calibration", "was measured against another calibration: start anew")
        raise InputError([fault], what="drift state")
    return read

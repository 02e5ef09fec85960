"""calibration.json: the monotone map from a model's raw energies to the bands that are acted on.

Bands: gold below 2, boundary 2 to 6, adversarial above 8. Sees: one raw energy per plan and a few
knots. Does not see: how the knots were found (`training.calibration`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from gatling_guard.errors import InputError, Issue
from gatling_guard.plan import parse_json

FILE: Final = "calibration.json"
FORMAT: Final = 1
MAX_KNOTS: Final = 64

Source = Literal["learned", "structure", "both"]
"""What is calibrated: the sum of the learned terms, that of the structural ones, or both added."""
Knot = Annotated[tuple[Annotated[FiniteFloat, Field(ge=0)], Annotated[FiniteFloat, Field(ge=0)]],
                 Field(strict=False)]  # fmt: skip


class Calibration(BaseModel):
    """A piecewise-linear map, never falling; strictly rising wherever its knots are."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    format: Literal[1] = FORMAT
    energy: Source
    knots: Annotated[tuple[Knot, ...], Field(strict=False, min_length=2, max_length=MAX_KNOTS)]
    """(raw, calibrated), from left to right. Beyond the last one the last slope goes on, but none
    steeper than 1: rare energies must not make a mean."""
    cuts: Annotated[tuple[FiniteFloat, FiniteFloat], Field(strict=False)]
    """Raw energies between gold and boundary, and between boundary and adversarial."""
    samples: dict[str, Annotated[int, Field(ge=0)]]
    """It was fitted on so many of each class, of the validation split."""
    balanced_error: Annotated[FiniteFloat, Field(ge=0, le=1)]
    """Mean over the classes of the share on the wrong side of a cut, on those samples."""
    data_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")] | None
    """SHA-256 of the data whose validation split that was."""
    seed: Annotated[int, Field(ge=0)]
    """Of the split."""

    def __call__(self, energies: ArrayLike) -> NDArray[np.float64]:
        """Raw energies `[...]` -> calibrated ones `[...]`, >= 0; what is no number is infinite."""
        raw = np.asarray(energies, np.float64)
        x, y = np.array(self.knots, np.float64).T
        slope = min(1.0, (y[-1] - y[-2]) / (x[-1] - x[-2]))
        beyond = np.maximum(raw - x[-1], 0.0) * slope
        found: NDArray[np.float64] = np.interp(raw, x, y) + beyond
        return np.where(np.isnan(raw), np.inf, found)  # nan would exceed no threshold

    def to_bytes(self) -> bytes:
        """The file."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
        return text.encode("ascii") + b"\n"


def from_bytes(data: bytes) -> Calibration:
    """The inverse of `Calibration.to_bytes`.

    Raises:
        InputError: every fault, by JSON pointer.
    """
    try:
        found = Calibration.model_validate(parse_json(data, what=FILE))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        places = ("".join(f"/{part}" for part in detail["loc"]) for detail in details)
        issues = [Issue(at, d["msg"]) for at, d in zip(places, details, strict=True)]
        raise InputError(issues, what=FILE) from None
    if faults := list(_disorder(found.knots)):
        raise InputError(faults, what=FILE)
    return found


def _disorder(knots: Sequence[tuple[float, float]]) -> list[Issue]:
    """Knots whose map would not be a function, would fall, or would give nan between them."""
    issues = []
    for i, (left, right) in enumerate(zip(knots, knots[1:], strict=False), start=1):
        if not (right[0] > left[0] and right[1] >= left[1]):
            fault = "must lie to the right of the one before, and not below it"
            issues.append(Issue(f"/knots/{i}", fault))
        elif math.isinf((right[1] - left[1]) / (right[0] - left[0])):
            issues.append(Issue(f"/knots/{i}", "is too close to the one before for its rise"))
    return issues

"""The learned residual of the energy terms: it adds, and never takes away (P1).

Two heads, each a sum of rising curves over risk features and so monotone in every one of them: a
`calm` one that may block, and a `sensitive` one that may only hold calls that cannot be undone. A
head's logit becomes a risk
>= 0, the risk an energy (`risk.RiskDefault`, or a user's own calibration), and the larger energy of
the two is shared out to terms and features in proportion to what they contributed.
`training.heads` fits the curves; here they are read from plain JSON.
Sees: the numbers of `features`. Does not see: text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from gatling_guard.encoders.scorer_folder import read_scorer_folder, shipped
from gatling_guard.energy.attribution import Attribution, Latents
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.features import FEATURES, risk_features
from gatling_guard.energy.heads import Head, HeadsFile, delegated, directions
from gatling_guard.energy.risk import EnergyOfRisk, RiskDefault, group_of
from gatling_guard.energy.types import Energy, Share
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.plan import parse_json
from gatling_guard.policy import EnergyBounds

HEADS = "heads-1"
FILE = "heads.json"
CALM, SENSITIVE = "calm", "sensitive"


@dataclass(frozen=True, slots=True)
class Risks:
    """What the heads say of one call."""

    values: Mapping[str, float]
    """By name of the head, >= 0."""
    features: Mapping[str, float]


class Residual:
    """Fitted heads of one folder. Immutable: safe under threads."""

    def __init__(self, folder: str | Path) -> None:
        """Reads a folder of heads.

        Raises:
            ConfigurationError: a file is missing, damaged or of another form.
        """
        found = read_scorer_folder(folder, (FILE,))
        where = found.path / FILE
        self._file = _read(found.files[FILE], where)
        self.grey = self._file.grey
        self.factors: Mapping[str, float] = MappingProxyType(dict(self._file.factors))
        self.fitted_on = self._file.fitted_on
        """Ids of the scorers whose numbers it knows; empty where any will do."""
        self._left = directions(self._file.delegation)
        self.id = f"{HEADS}-{found.digest[:8]}"
        """Changes with the weights."""
        self.defaults: Mapping[str, RiskDefault] = MappingProxyType(
            {name: head.default for name, head in self._file.heads.items()}
        )
        """Thresholds of each risk where nothing is calibrated."""

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> Residual:
        """The heads that came with this version, or those of a folder.

        Raises:
            ConfigurationError: there are none, or they are damaged.
        """
        return cls(shipped(HEADS) if folder is None else folder)

    def delegation(
        self, row: NDArray[np.float32], reading: NDArray[np.float32]
    ) -> tuple[float, float]:
        """What one message leaves to others, as two logits (`LearnedEnergy.delegation`).

        Raises:
            ConfigurationError: the heads were fitted on scorers of another width.
        """
        return delegated(self._left, row, reading)

    def risks(
        self, facts: EnergyFacts, attribution: Attribution | None, structure: Energy
    ) -> Risks | None:
        """The risks of one call, None where there is nothing to compare it with."""
        if attribution is None or attribution.rival is None or facts.grant is not None:
            return None
        values = risk_features(facts, attribution, structure)
        return Risks({name: head.risk(values) for name, head in self._file.heads.items()}, values)

    def __call__(
        self,
        facts: EnergyFacts,
        attribution: Attribution | None,
        structure: Energy,
        latents: Latents | None = None,
        *,
        bounds: EnergyBounds = EnergyBounds(),  # noqa: B008 - frozen
        energy_of: EnergyOfRisk | None = None,
    ) -> tuple[Share, ...]:
        """The larger energy of the heads, shared out by what contributed.

        Args:
            facts: of the call.
            attribution: None where nothing untrusted was read, for harmless calls, and for a plan
                ahead of time.
            structure: its structural energy, as it is without learned parts.
            latents: not used by these heads.
            bounds: levels of the policy in force.
            energy_of: asked for each risk that counts for the call; None: what ships.
        """
        found = self.risks(facts, attribution, structure)
        if found is None or attribution is None:
            return ()
        group = group_of(facts.profile) or "write"
        best, head = 0.0, None
        for name, risk in found.values.items():
            if name == SENSITIVE and facts.undoable:
                continue
            energy = (
                energy_of(name, risk, group, bounds)
                if energy_of is not None
                else self.defaults[name].energy(risk, bounds)
            )
            if energy > best:
                best, head = energy, self._file.heads[name]
        learned = _shares(facts, attribution, head, found.features, best) if head else []
        return (*learned, *self._restored(structure, attribution, found.features))

    def _restored(
        self, structure: Energy, attribution: Attribution, features: Mapping[str, float]
    ) -> list[Share]:
        """What the factors take off, as far as it comes back (`HeadsFile.restored`)."""
        judged = attribution.judged is not None and math.isfinite(attribution.judged)
        # A judge that was wanted and is not there (no weights, no time) or fails sets nothing off.
        silent = attribution.margin >= self.grey[0] and not judged
        parts: dict[str, float] = {}
        for entry in self._file.restored:
            part = 1.0 if silent else entry.part(features, judged=judged)
            for kind in entry.kinds:
                parts[kind] = max(part, parts.get(kind, 0.0))
        return [
            replace(share, value=share.value * (1 - self.factors[share.kind]) * parts[share.kind],
                    reason=f"not set off by delegation: {share.reason}", kind="restored")
            for share in structure.shares
            if share.kind in self.factors and parts.get(share.kind)
        ]  # fmt: skip


def _shares(
    facts: EnergyFacts, attribution: Attribution, head: Head, values: Mapping[str, float],
    energy: float,
) -> list[Share]:  # fmt: skip
    """The energy in proportion to the curves' contributions."""
    parts = {name: curve.of(values[name]) for name, curve in head.curves.items()}
    total = sum(parts.values())
    rival = attribution.rival
    if total <= 0.0:
        parts, total = {"margin": 1.0}, 1.0
    found = []
    for name, part in parts.items():
        if part > 0.0:
            feature = FEATURES[name]
            reason = f"learned, {feature.reason}"
            span = rival if feature.term == "hierarchy" else None
            value = energy * part / total
            found.append(facts.share(feature.term, "learned", value, reason, span=span))
    return found


def _read(data: bytes, where: Path) -> HeadsFile:
    try:
        # Parsed twice: the first refuses doubled keys and NaN, the second takes lists for tuples.
        found = HeadsFile.model_validate_json(json.dumps(parse_json(data, what=str(where))))
    except InputError as error:
        raise ConfigurationError(str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{where}: {place}: {first['msg']}") from None
    if SENSITIVE in found.heads and found.heads[SENSITIVE].default.may_block:
        raise ConfigurationError(f"{where}: heads.{SENSITIVE}.default.may_block: must be false")
    used = {name for head in found.heads.values() for name in head.curves}
    used |= {name for entry in found.restored for name in entry.by}
    left = found.delegation
    if left is not None and len(left.values.weights) != len(left.effects.weights):
        raise ConfigurationError(f"{where}: delegation: of two lengths")
    unknown = sorted(used - set(FEATURES))
    if unknown:
        raise ConfigurationError(f"{where}: no feature is called {unknown[0]!r}")
    return found

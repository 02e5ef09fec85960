"""The learned residual of the energy terms: it adds, and never takes away (P1).

A stand-in that adds nothing, until heads are fitted.
"""

from __future__ import annotations

from pathlib import Path

from gatling_guard.encoders.scorer_folder import read_scorer_folder, shipped
from gatling_guard.energy.attribution import Attribution, Latents
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Energy, Share
from gatling_guard.errors import ConfigurationError
from gatling_guard.plan import parse_json

HEADS = "heads-1"
FILE = "heads.json"


class Residual:
    """Fitted heads of one folder. Immutable: safe under threads."""

    def __init__(self, folder: str | Path) -> None:
        """Reads a folder of heads.

        Raises:
            ConfigurationError: a file is missing, damaged or of another form.
        """
        found = read_scorer_folder(folder, (FILE,))
        heads = parse_json(found.files[FILE], what=str(found.path / FILE))
        try:
            low, high = (float(bound) for bound in heads["grey"])
            fitted_on = tuple(map(str, heads.get("fitted_on", ())))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ConfigurationError(f"{found.path / FILE}: grey must be two numbers") from None
        self.grey = (low, high)
        self.fitted_on = fitted_on
        """Ids of the scorers whose numbers it knows; empty where any will do."""
        self.id = f"{HEADS}-{found.digest[:8]}"
        """Changes with the weights."""

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> Residual:
        """The heads that came with this version, or those of a folder.

        Raises:
            ConfigurationError: there are none, or they are damaged.
        """
        return cls(shipped(HEADS) if folder is None else folder)

    def __call__(
        self,
        facts: EnergyFacts,
        attribution: Attribution | None,
        structure: Energy,
        latents: Latents | None = None,
    ) -> tuple[Share, ...]:
        """Nothing yet."""
        return ()

"""A user's own calibration in a running guard: whether it is in use, and drift since it was made.

It is in use where the loaded heads, the policy in force and the registered tools are those that it
was made for. Of other heads its numbers mean nothing: an error. Under another policy or with other
tools it is stale: the shipped thresholds decide, and mode and receipts say so.
Sees: digests, and the highest risk of every task. Does not see: calls, or whether a task was
honest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gatling_guard.catalog import Catalog
from gatling_guard.errors import ConfigurationError
from gatling_guard.pipeline.learned import Learned
from gatling_guard.pipeline.notary import Notary

if TYPE_CHECKING:
    from gatling_guard.energy.calibration import Fit, ToolsetCalibration
    from gatling_guard.energy.drift import Drift

MAX_INSTRUCTIONS = 10_000
"""Digests of served instructions that are remembered: a repeated one counts once for drift."""


class Calibrated:
    """The calibration of one guard, or none. Thread-safe."""

    def __init__(
        self, given: ToolsetCalibration | str | Path | None = None, learned: Learned | None = None
    ) -> None:
        """Reads a file once; whether it fits is seen when the heads are loaded.

        Args:
            given: as for `Guard`.
            learned: the heads that it is for.

        Raises:
            ConfigurationError: the file cannot be read; or learned parts are off.
            InputError: it is no calibration, or damaged; every fault with its place.
        """
        self._learned = learned if learned is not None else Learned()
        self._given = given if given is None else _read(given)
        if self._given is not None and self._learned.off:
            raise ConfigurationError("a calibration is of learned parts, and learned is 'off'")
        self._fits: dict[tuple[str, int], Fit] = {}
        self._drift: Drift | None = None
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def _usable(self) -> ToolsetCalibration | None:
        parts = self._learned.parts
        if self._given is None or parts is None:
            return None
        fits = self._given.fits(parts.models, parts.defaults, policy=self._given.policy)
        if fits.status == "refused":
            raise ConfigurationError(f"calibration: not usable: {'; '.join(fits.reasons)}")
        return self._given

    def require(self) -> None:
        """Loads the heads, and sees that the calibration is theirs.

        Raises:
            ConfigurationError: it is of other heads, or beyond their limits; or a file of a
                learned part is damaged.
        """
        _ = self._usable

    def serving(self, policy: str, catalog: Catalog | None) -> ToolsetCalibration | None:
        """The calibration where it is in use; None where the shipped thresholds decide.

        Args:
            policy: digest of the policy in force.
            catalog: the tools; None: not known, and not compared.

        Raises:
            ConfigurationError: see `require`.
        """
        fits = self._fit(policy, catalog)
        return self._usable if fits is not None and fits.status == "valid" else None

    def unused(self, policy: str, catalog: Catalog | None) -> str:
        """Why a calibration that was given is not in use; "" where it is, or none was given."""
        if self._given is None:
            return ""
        fits = self._fit(policy, catalog)
        if fits is None:
            return "the calibration is not used: there are no learned heads"
        why = "; ".join(fits.reasons)
        return f"the calibration is stale, the shipped thresholds decide: {why}" if why else ""

    def mode(self, policy: str, catalog: Catalog | None) -> str:
        """For people: which parts and thresholds decide."""
        found, why = self.serving(policy, catalog), self.unused(policy, catalog)
        calibrated = f" + {found.id}" if found is not None else f" ({why})" if why else ""
        return self._learned.mode + calibrated

    def _fit(self, policy: str, catalog: Catalog | None) -> Fit | None:
        """None where there is nothing that could fit."""
        kept, parts = self._usable, self._learned.parts
        if kept is None or parts is None:
            return None
        key = (policy, -1 if catalog is None else catalog.generation)
        found = self._fits.get(key)
        if found is None:
            from gatling_guard.energy.risk import toolset_digest

            tools = None if catalog is None else toolset_digest(catalog)
            found = kept.fits(parts.models, parts.defaults, policy=policy, toolset=tools)
            with self._lock:
                if len(self._fits) > 64:  # policies and tools may change for ever
                    self._fits.clear()
                self._fits[key] = found
        return found

    # ------------------------------------------------------------- drift

    @property
    def drift(self) -> Drift | None:
        """Since this guard was made; None without a calibration that is usable.

        Raises:
            ConfigurationError: see `require`.
        """
        kept = self._usable
        if self._drift is None and kept is not None:
            from gatling_guard.energy.drift import Drift

            with self._lock:
                self._drift = self._drift or Drift.start(kept)
        return self._drift

    def served(
        self, peaks: Mapping[str, float], instructions: Sequence[str], notary: Notary, run_id: str
    ) -> None:
        """Count a task that is over. The first alarm goes into the ledger. Never raises.

        Args:
            peaks: its highest risks by name, of checks under this calibration; empty: no task.
            instructions: what the user said; runs for one instruction count once.
            notary: where to record.
            run_id: of the session.
        """
        before = self.drift if peaks else None
        if before is None:
            return
        from gatling_guard.energy.conformal import cluster_of

        cluster = cluster_of(instructions[0]) if instructions else ""
        with self._lock:
            if cluster in self._seen:
                return
            if cluster:
                self._seen[cluster] = None
                if len(self._seen) > MAX_INSTRUCTIONS:
                    self._seen.popitem(last=False)
            assert self._drift is not None
            before, self._drift = self._drift, self._drift.after(peaks)
            now = self._drift
        if now.status == "alarm" != before.status:
            moved = {name: risk.direction for name, risk in now.risks.items()}
            body = {"status": now.status, "calibration": now.calibration, "served": now.served,
                    "capital": round(now.capital, 3), "risks": moved}  # fmt: skip
            notary.write_later("drift", run_id=run_id, call_id=None, body=body)


def _read(given: ToolsetCalibration | str | Path) -> ToolsetCalibration:
    from gatling_guard.energy.calibration import ToolsetCalibration, read_calibration

    if isinstance(given, ToolsetCalibration):
        return given
    if not isinstance(given, (str, Path)):
        raise ConfigurationError(
            f"calibration is a path or a ToolsetCalibration, not {type(given).__name__}"
        )
    try:
        data = Path(given).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"calibration {given}: cannot be read: {why}") from None
    return read_calibration(data, what=str(given))

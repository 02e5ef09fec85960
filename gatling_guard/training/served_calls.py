"""Runs put to the guard's own session, call by call, to see what its heads would be given.

Every row goes through `Guard.session` in shadow mode, with the scorers that serve and a head that
only takes notes: features in training are those of serving by construction. The loop is open:
everything runs as it was recorded.
Sees: instruction, tools, calls and outputs. Does not see: labels, which are only kept beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog import Catalog, spec_digest
from gatling_guard.encoders.precise import PreciseScorer
from gatling_guard.encoders.scorer import RivalScorer
from gatling_guard.energy.attribution import Attribution, Latents
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.features import risk_features
from gatling_guard.energy.heads import Delegation, delegated, directions
from gatling_guard.energy.risk import RiskDefault
from gatling_guard.energy.types import Energy, Share
from gatling_guard.guard import Guard
from gatling_guard.pipeline import LearnedParts, ToolRequest
from gatling_guard.plan import digest
from gatling_guard.policy import load_policy
from gatling_guard.training.traces import NOISY, LabelledTrace

EVERYWHERE = (-3.0, 3.0)
"""A grey band in which every margin lies."""
MAX_GUARDS = 32


@dataclass(frozen=True, slots=True)
class ServedCall:
    """One call that can do harm, after something untrusted was read."""

    features: Mapping[str, float]
    structure: Mapping[str, float]
    """Structural energy by kind."""
    undoable: bool
    malicious: bool | None
    """None where nobody knows."""
    granted: bool = False


@dataclass(slots=True)
class ServedRun:
    """One row, and its calls that count."""

    id: str
    suite: str
    task: str
    kind: str
    source: str
    attack: bool
    delegated: bool | None
    instruction: str
    calls: list[ServedCall] = field(default_factory=list)

    @property
    def honest(self) -> bool:
        """A benign row in which the user did not ask for an attacker's goal himself."""
        return not self.attack and self.kind != "injection_goal_as_user_task"


class Notes:
    """A head that adds nothing and keeps what it was given."""

    id = "notes"
    factors: Mapping[str, float] = {}
    defaults: Mapping[str, RiskDefault] = {}

    def __init__(self, left: Delegation | None = None) -> None:
        """With what tells that messages delegate, where that is known already."""
        self.grey = EVERYWHERE
        self._left = directions(left)
        self.last: tuple[EnergyFacts, Attribution | None, Energy] | None = None

    def delegation(
        self, row: NDArray[np.float32], reading: NDArray[np.float32]
    ) -> tuple[float, float]:
        """As the heads will have it."""
        return delegated(self._left, row, reading)

    def __call__(
        self,
        facts: EnergyFacts,
        attribution: Attribution | None,
        structure: Energy,
        latents: Latents | None = None,
        **_: object,
    ) -> tuple[Share, ...]:
        """Nothing."""
        self.last = facts, attribution, structure
        return ()


def served_runs(
    rows: Iterable[LabelledTrace], scorer: RivalScorer, judge: PreciseScorer | None, notes: Notes
) -> Iterator[ServedRun]:
    """Each row with its calls that count."""
    # Without repairs: their drafts are put to the heads as well, and are no calls of the run.
    policy = load_policy({
        "version": 1, "limits": {"deadline_ms": 60_000}, "repair": {"mode": "off"},
    })  # fmt: skip
    parts = LearnedParts(scorer, notes, judge)
    guards: dict[str, Guard] = {}
    for number, row in enumerate(rows):
        trace = row.trace
        key = digest([[spec.name, spec_digest(spec)] for spec in trace.tools])
        if key not in guards:
            if len(guards) >= MAX_GUARDS:
                guards.clear()
            guards[key] = Guard(policy, catalog=Catalog(trace.tools), shadow=True, learned=parts)
        run = ServedRun(
            trace.id, row.suite, row.task, row.kind, row.source, row.attack,
            trace.meta.get("delegated"), trace.instruction.strip(),
        )  # fmt: skip
        session = guards[key].session(
            run_id=f"run-{number}", instruction=trace.instruction, system=trace.system
        )
        for i, step in enumerate(trace.steps):
            notes.last = None
            session.check(ToolRequest(step.tool, step.arguments, f"c{i}"))
            if (call := _noted(notes, row, step.malicious)) is not None:
                run.calls.append(call)
            session.settle(f"c{i}", step.output)
        yield run


def _noted(notes: Notes, row: LabelledTrace, malicious: bool | None) -> ServedCall | None:
    if notes.last is None:
        return None
    facts, attribution, structure = notes.last
    if attribution is None or attribution.rival is None:
        return None
    known: bool | None = malicious
    if row.trace.label == "benign":
        known = False
    elif row.source in NOISY:
        known = None
    return ServedCall(
        risk_features(facts, attribution, structure), structure.kinds(), facts.undoable, known
    )

"""Hand-written runs and the attacks on them, as values."""

from __future__ import annotations

from dataclasses import dataclass

from gatling_guard.catalog import ToolSpec
from gatling_guard.trace import RecordedStep

MARKER = "{{inject}}"
"""Where a stranger may write."""
ATTACK_KINDS = ("other-goal", "mimic", "no-literal", "reversible", "masquerade")


@dataclass(frozen=True, slots=True)
class Attack:
    """What a stranger wants, and what a fully compromised agent does for it."""

    kind: str
    site: int
    """Index of the honest step whose output holds the text, from 0."""
    at: int
    """Honest steps that run before its calls."""
    goal: str
    plain: str
    """The goal as a statement, with no imperative."""
    calls: tuple[RecordedStep, ...]
    """`malicious` is True, or None for a harmless preparation."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One honest run; outputs of the steps in `sites` hold one marker each."""

    world: str
    id: str
    delegated: bool
    instruction: str
    steps: tuple[RecordedStep, ...]
    sites: tuple[int, ...]
    """Indices of steps, from 0."""
    attacks: tuple[Attack, ...]


@dataclass(frozen=True, slots=True)
class ScenarioWorld:
    """The tools and runs of one file."""

    name: str
    tools: tuple[ToolSpec, ...]
    scenarios: tuple[Scenario, ...]

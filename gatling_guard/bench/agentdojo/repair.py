"""The guard with repairs beside the same guard without, pair by pair of the same run.

A repair must let nothing through that was stopped without it: where it does, the pair is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gatling_guard.bench.agentdojo.episode import Episode
from gatling_guard.bench.agentdojo.run import Trial, Trials
from gatling_guard.bench.agentdojo.tally import told
from gatling_guard.errors import ConfigurationError

_PERSONS: dict[str, Callable[[Trial], Episode]] = {
    "alone": lambda trial: trial.alone,
    "answered": lambda trial: trial.answered,
}


@dataclass(frozen=True, slots=True)
class RepairTally:
    """What repairs change under attack."""

    person: str
    """`alone`: nobody answers holds; `answered`: a person does."""
    succeed_unguarded: int
    useful_and_stopped: int
    """With repairs."""
    useful_and_stopped_off: int
    """Without."""
    repaired_user: int
    """Calls of the user that ran repaired."""
    repaired_attacker: int
    """Calls of the attacker that ran repaired."""
    gained: list[dict[str, Any]]
    """Pairs that are useful and stopped only with repairs."""
    lost: list[dict[str, Any]]
    """... and only without."""
    let_through: list[dict[str, Any]]
    """Attacks that are stopped without repairs and succeed with them; should be empty."""


def repair_tallies(on: Trials, off: Trials) -> list[RepairTally]:
    """Counts over all attacks, without and with a person.

    Args:
        on: with repairs.
        off: without, on the same pairs.

    Raises:
        ConfigurationError: the two were not played over the same pairs.
    """
    pairs = [
        (with_, without)
        for attack, found in on.attacks.items()
        for with_, without in zip(found, off.attacks[attack], strict=True)
    ]
    for with_, without in pairs:
        if _key(with_.unguarded) != _key(without.unguarded):
            raise ConfigurationError("the two runs are over different tasks")
    real = [pair for pair in pairs if pair[0].attempted and pair[0].unguarded.harmed]
    return [_tally(name, episode, real) for name, episode in _PERSONS.items()]


def _tally(
    person: str, episode: Callable[[Trial], Episode], pairs: Sequence[tuple[Trial, Trial]]
) -> RepairTally:
    both = [(episode(with_), episode(without)) for with_, without in pairs]
    repaired = [s for with_, _ in both for s in with_.steps if s.action == "repair"]
    return RepairTally(
        person, len(both), sum(_well(on) for on, _ in both), sum(_well(off) for _, off in both),
        sum(step.who == "user" for step in repaired),
        sum(step.who == "attacker" for step in repaired),
        [told(on, "user") for on, off in both if _well(on) and not _well(off)],
        [told(on, "user") for on, off in both if _well(off) and not _well(on)],
        [told(on, "attacker") for on, off in both if on.harmed and not off.harmed],
    )  # fmt: skip


def _well(episode: Episode) -> bool:
    return episode.useful and not episode.harmed


def _key(episode: Episode) -> tuple[str, str, str | None, str | None]:
    return episode.suite, episode.user_task, episode.injection_task, episode.attack

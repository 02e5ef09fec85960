"""The benchmark: every user task alone and under every attack, unguarded and guarded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from gatling_guard.bench.agentdojo.attacks import ATTACKS
from gatling_guard.bench.agentdojo.episode import Episode, Holds, Position, Stage
from gatling_guard.bench.agentdojo.world import SUITES, World
from gatling_guard.bench.subject import Subject
from gatling_guard.errors import ConfigurationError

DEFAULT_ATTACKS = ATTACKS
POSITIONS: tuple[Position, ...] = get_args(Position)
Progress = Callable[[str, int, int], None]
"""Called with (what is running, done, all)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run."""

    suites: Sequence[str] = SUITES
    attacks: Sequence[str] = DEFAULT_ATTACKS
    limit: int | None = None
    """At most so many user tasks per suite, drawn with `seed`."""
    seed: int = 0
    position: Position = "first"
    grants: bool = False
    """A person's yes to a hold is a grant for the rest of the task."""

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            ConfigurationError: an unknown suite, attack or position, or a limit below 1.
        """
        for given, known, noun in (
            (self.suites, SUITES, "suite"),
            (self.attacks, ATTACKS, "attack"),
            ((self.position,), POSITIONS, "position"),
        ):
            for name in given:
                if name not in known:
                    raise ConfigurationError(f"no {noun} {name!r}; there are {', '.join(known)}")
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError("the limit must be at least 1")


@dataclass(frozen=True, slots=True)
class Trial:
    """One task, or one pair of tasks: the same stage played up to three times."""

    unguarded: Episode
    alone: Episode
    """Guarded, nobody answers holds."""
    answered: Episode
    """Guarded, a person answers holds: yes to the user's calls, no to the attacker's."""

    @property
    def attempted(self) -> bool:
        """Whether the attacker got to make any call."""
        return any(step.who == "attacker" for step in self.unguarded.steps)


@dataclass
class Trials:
    """All that was run."""

    settings: Settings
    benign: list[Trial] = field(default_factory=list)
    attacks: dict[str, list[Trial]] = field(default_factory=dict)
    unreachable: int = 0
    """Pairs left out because the user's task reads nothing that can be poisoned."""


def run_benchmark(
    subject: Subject, settings: Settings | None = None, progress: Progress | None = None
) -> Trials:
    """Play everything for one subject; see `run_benchmarks`."""
    return run_benchmarks({"": subject}, settings, progress)[""]


def run_benchmarks(
    subjects: Mapping[str, Subject],
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> dict[str, Trials]:
    """Play everything; the unguarded run of each pair is shared.

    Args:
        subjects: what is put to the test, by name.
        settings: suites, attacks, limit.
        progress: told after each task or pair.
    """
    settings = settings or Settings()
    found = {
        name: Trials(settings, attacks={attack: [] for attack in settings.attacks})
        for name in subjects
    }
    worlds = {name: World.load(name) for name in settings.suites}
    jobs = list(_jobs(worlds, settings))
    for done, (world, user_task, injection_task, attack) in enumerate(jobs, start=1):
        stage = Stage(world, user_task, injection_task, attack, settings.position)
        unguarded = stage.play() if stage.reachable else None
        for name, trials in found.items():
            if unguarded is None:
                trials.unreachable += 1
                continue
            trial = play(stage, subjects[name], unguarded, grants=settings.grants)
            (trials.benign if attack is None else trials.attacks[attack]).append(trial)
        if progress is not None:
            progress(attack or "honest", done, len(jobs))
    return found


def play(
    stage: Stage, subject: Subject, unguarded: Episode | None = None, *, grants: bool = False
) -> Trial:
    """Unguarded, guarded, and once more with answers where something was held.

    Args:
        stage: the task or pair.
        subject: what is put to the test.
        unguarded: the unguarded run, where it was played before.
        grants: a person's yes is a grant for the rest of the task.
    """
    alone = stage.play(subject)
    answers: Holds = "granted" if grants else "answered"
    answered = stage.play(subject, answers) if alone.holds else alone
    return Trial(unguarded or stage.play(), alone, answered)


Job = tuple[World, str, str | None, str | None]


def _jobs(worlds: dict[str, World], settings: Settings) -> Iterator[Job]:
    chosen = {name: _chosen(world, settings) for name, world in worlds.items()}
    for name, world in worlds.items():
        for user_task in chosen[name]:
            yield world, user_task, None, None
    for attack in settings.attacks:
        for name, world in worlds.items():
            for user_task in chosen[name]:
                for injection_task in world.injection_tasks:
                    yield world, user_task, injection_task, attack


def _chosen(world: World, settings: Settings) -> Sequence[str]:
    tasks = world.user_tasks
    if settings.limit is None or settings.limit >= len(tasks):
        return tasks
    drawn = set(random.Random(f"{settings.seed}/{world.name}").sample(tasks, settings.limit))
    return [task for task in tasks if task in drawn]

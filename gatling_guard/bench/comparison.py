"""The guard and the baseline lines on the same recorded runs, in one pass over a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatling_guard.bench.baselines import BASELINES, BaselineSubject
from gatling_guard.bench.labels import row_truth, step_verdicts
from gatling_guard.bench.metrics import Evaluation, evaluate_outcomes
from gatling_guard.bench.outcomes import Outcome, RowTruth, StepVerdict, judge
from gatling_guard.bench.person import Person
from gatling_guard.bench.replay import Replay, replay_trace
from gatling_guard.bench.subject import GuardSubject, Subject
from gatling_guard.errors import ConfigurationError, Issue
from gatling_guard.policy import Policy

GUARD, UNREPAIRED, EVERY = "guard", "guard-norepair", "all"
SUBJECTS = (GUARD, *BASELINES)
REPAIR = ("on", "off", "both")


def subjects_named(
    names: Iterable[str],
    policy: Policy | str,
    *,
    embedder: str | None = None,
    **guard_options: Any,
) -> dict[str, Subject]:
    """Fresh subjects by name, each once; `all` is the guard and every baseline.

    Args:
        names: of `SUBJECTS`, or `all`.
        policy: of the guard.
        embedder: of the baselines that need one; see `embedder_named`.
        **guard_options: of `GuardSubject`.

    Raises:
        ConfigurationError: there is none of that name, or the policy cannot be loaded.
    """
    wanted = [each for name in names for each in (SUBJECTS if name == EVERY else (name,))]
    for name in wanted:
        if name not in SUBJECTS:
            known = ", ".join((*SUBJECTS, EVERY))
            raise ConfigurationError(f"no subject {name!r}; there are {known}")
    return {
        name: GuardSubject(policy, **guard_options)
        if name == GUARD
        else BaselineSubject(name, embedder)
        for name in dict.fromkeys(wanted)
    }


def with_repair(
    subjects: Mapping[str, Subject], repair: str, policy: Policy | str, **guard_options: Any
) -> dict[str, Subject]:
    """The subjects with the guard as it is, without repairs, or in both ways side by side.

    Args:
        subjects: by name.
        repair: `on`, `off`, or `both`: then the second guard is called `guard-norepair`.
        policy: of the guard.
        **guard_options: of `GuardSubject`.

    Raises:
        ConfigurationError: `repair` is none of these, or asks for a guard that is not there.
    """
    if repair not in REPAIR:
        raise ConfigurationError(f"no repair {repair!r}; there are {', '.join(REPAIR)}")
    if repair == "on":
        return dict(subjects)
    if GUARD not in subjects:
        raise ConfigurationError(f"repair {repair!r} is about the subject `{GUARD}`, not there")
    bare = GuardSubject(policy, repair=False, **guard_options)
    found: dict[str, Subject] = {}
    for name, subject in subjects.items():
        if name != GUARD or repair == "both":
            found[name] = subject
        if name == GUARD:
            found[UNREPAIRED] = bare
    return found


def embedder_of(subjects: Mapping[str, Subject]) -> str | None:
    """What the attribution lines among the subjects embed with; None where there are none."""
    lines = [each for each in subjects.values() if isinstance(each, BaselineSubject)]
    return next((line.embedder for line in lines if line.embedder is not None), None)


@dataclass
class Line:
    """One subject on one file."""

    outcomes: list[Outcome] = field(default_factory=list)
    actions: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("allow", "repair", "hold", "block"), 0)
    )
    seconds: float = 0.0

    def add(self, row: RowTruth, verdicts: tuple[StepVerdict, ...]) -> None:
        """Count the verdicts on one row."""
        for verdict in verdicts:
            self.actions[verdict.action] += 1
        self.outcomes.append(judge(row, verdicts))

    def evaluation(self, *, seed: int = 0) -> Evaluation:
        """The measures."""
        return evaluate_outcomes(self.outcomes, seed=seed)


def compare(
    job: Replay,
    subjects: Mapping[str, Subject],
    tick: Callable[[], None] = lambda: None,
    *,
    person: Person = "nobody",
) -> dict[str, Line]:
    """Put every trace of a file to every subject.

    Args:
        job: the file; its issues and counts are filled.
        subjects: by name. Each has a run of its own for each trace.
        tick: called after each trace.
        person: who answers holds.
    """
    lines = {name: Line() for name in subjects}
    for trace in job.traces():
        row = row_truth(trace)
        for name, subject in subjects.items():
            began = time.perf_counter()
            verdict = replay_trace(subject, trace, person)
            lines[name].seconds += time.perf_counter() - began
            lines[name].add(row, step_verdicts(verdict))
        tick()
    return lines


def compare_given(
    job: Replay,
    known: Mapping[str, tuple[StepVerdict, ...]],
    source: str,
    tick: Callable[[], None] = lambda: None,
) -> Line:
    """As `compare`, for verdicts made before (`read_verdicts`).

    Args:
        job: the file; traces without a fitting verdict become issues and are left out.
        known: verdicts by trace id.
        source: the file they are from, for the issues.
        tick: called after each trace.
    """
    line = Line()
    for trace in job.traces():
        decided = known.get(trace.id)
        if decided is None or len(decided) != len(trace.steps):
            fault = "no verdict" if decided is None else "a verdict with other steps"
            job.issues.append(Issue(f"trace {trace.id!r}", fault, source))
            continue
        line.add(row_truth(trace), decided)
        tick()
    return line

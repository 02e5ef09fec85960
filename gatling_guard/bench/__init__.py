"""Benchmarks: recorded runs replayed through a guard, and the measures on them.

Live environments are in `gatling_guard.bench.agentdojo` (extra `[bench]`).
"""

from gatling_guard.bench.intervals import Interval, bootstrap, wilson
from gatling_guard.bench.labels import has_side_effect, read_verdicts, row_truth, step_verdicts
from gatling_guard.bench.metrics import Cell, Evaluation, Mean, Share, evaluate_outcomes
from gatling_guard.bench.outcomes import Outcome, RowTruth, StepTruth, StepVerdict, judge
from gatling_guard.bench.person import PERSONS, Person, person_named
from gatling_guard.bench.replay import Replay, Verdict, find_toolsets, open_lines, replay_trace
from gatling_guard.bench.subject import GuardSubject, Judge, Subject, Toolset
from gatling_guard.bench.task_grants import TaskGrants, instruction_sha256, read_task_grants

__all__ = [
    "PERSONS",
    "Cell",
    "Evaluation",
    "GuardSubject",
    "Interval",
    "Judge",
    "Mean",
    "Outcome",
    "Person",
    "Replay",
    "RowTruth",
    "Share",
    "StepTruth",
    "StepVerdict",
    "Subject",
    "TaskGrants",
    "Toolset",
    "Verdict",
    "bootstrap",
    "evaluate_outcomes",
    "find_toolsets",
    "has_side_effect",
    "instruction_sha256",
    "judge",
    "open_lines",
    "person_named",
    "read_task_grants",
    "read_verdicts",
    "replay_trace",
    "row_truth",
    "step_verdicts",
    "wilson",
]

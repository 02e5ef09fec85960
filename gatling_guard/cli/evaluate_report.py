"""What `gatling-guard evaluate` found on one file, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatling_guard.bench import Cell, Evaluation, Mean, Replay, Share
from gatling_guard.bench.comparison import Line
from gatling_guard.bench.metrics import MEASURES

MEANS = ("holds", "holds_touched")
"""Fields of a `Cell` that are means."""


@dataclass(frozen=True, slots=True)
class Report:
    """One file: every subject's measures."""

    path: Path
    rows: int
    bad_lines: int
    lines: Mapping[str, Line]
    found: Mapping[str, Evaluation]

    @classmethod
    def of(cls, job: Replay, lines: Mapping[str, Line], *, seed: int) -> Report:
        """Compute the measures; every line's outcomes are let go of."""
        found = {name: line.evaluation(seed=seed) for name, line in lines.items()}
        for line in lines.values():
            line.outcomes.clear()
        return cls(job.path, job.rows, job.bad_lines, lines, found)

    @property
    def first(self) -> Evaluation:
        """Of the subject named first."""
        return next(iter(self.found.values()))


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON values; shares carry their value beside the counts."""
    subjects = {
        name: {
            "actions": line.actions,
            "seconds": round(line.seconds, 3),
            **_evaluation(report.found[name]),
        }
        for name, line in report.lines.items()
    }
    return {
        "traces": str(report.path),
        "rows": report.rows,
        "bad_lines": report.bad_lines,
        "subjects": subjects,
    }


def _evaluation(found: Evaluation) -> dict[str, Any]:
    return {
        "overall": _cell(found.overall),
        "by_kind": {name: _cell(each) for name, each in found.by_kind.items()},
        "by_suite": {name: _cell(each) for name, each in found.by_suite.items()},
    }


def _cell(found: Cell) -> dict[str, Any]:
    return {
        "rows": found.rows,
        **{name: _share(getattr(found, name)) for name in MEASURES},
        **{name: _mean(getattr(found, name)) for name in MEANS},
        "touched_by": dict(found.touched_by),
        "touched_irreversible_by": dict(found.touched_irreversible_by),
        "unlabelled": found.unlabelled,
        "by_registration": found.by_registration,
    }


def _share(share: Share) -> dict[str, Any] | None:
    return {"value": share.value, **asdict(share)} if share.total else None


def _mean(mean: Mean) -> dict[str, Any] | None:
    return {"value": mean.value, **asdict(mean)} if mean.rows else None

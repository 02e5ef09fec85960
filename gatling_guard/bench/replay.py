"""Recorded runs put to a guard step by step: what `gatling-guard replay` does.

For step i the guard has seen the instruction, the system text, the tool schemas, and the earlier
steps with the outputs of those that it let run; nothing else of the row. The loop is open: the
recorded run goes on as it was, whatever was decided. A call that was stopped is not settled, so
its recorded output is never shown. A person may answer holds (`person`): a held call that he lets
run is settled, and its verdict stays `hold`, for he was asked.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from gatling_guard.bench.person import Person, answer
from gatling_guard.bench.subject import Judge, Subject, Toolset
from gatling_guard.catalog import ToolSpec, spec_digest
from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repaired
from gatling_guard.errors import InputError, Issue
from gatling_guard.pipeline import ToolRequest
from gatling_guard.plan import digest
from gatling_guard.trace import RecordedStep, RecordedTrace, load_toolsets, read_traces

Toolsets = Mapping[str, tuple[ToolSpec, ...]]
Verdict = dict[str, Any]
"""`{"id", "steps": [{"action", "energy", "arguments", "reasons"}]}`."""


def replay_trace(subject: Subject, trace: RecordedTrace, person: Person = "nobody") -> Verdict:
    """Decide on every step of one trace in a run of its own.

    Args:
        subject: what is put to the test.
        trace: with its toolsets resolved (`RecordedTrace.with_tools`).
        person: who answers holds. He alone knows the labels: no to a call that is malicious, or
            of which this is not known in an attack row.
    """
    seen = trace.visible()
    judge = subject.begin(toolset_of(seen), seen.instruction, seen.system)
    steps = [
        _decide(judge, f"call-{i}", step, person, honest=_is_honest(trace, labelled))
        for i, (step, labelled) in enumerate(zip(seen.steps, trace.steps, strict=True), start=1)
    ]
    return {"id": trace.id, "steps": steps}


def _is_honest(trace: RecordedTrace, step: RecordedStep) -> bool:
    return step.malicious is False or (step.malicious is None and trace.label == "benign")


def _decide(
    judge: Judge, call_id: str, step: RecordedStep, person: Person, *, honest: bool
) -> dict[str, Any]:
    request = ToolRequest(step.tool, step.arguments, call_id)
    told = final = judge.check(request)
    if isinstance(told, Held) and person != "nobody":
        answer(judge, told.hold_id, yes=honest, grant=person == "grants", offer=told.only_offer)
        if honest:
            final = judge.check(request)
            told = final if isinstance(final, Blocked) else told
    if isinstance(final, (Allowed, Repaired)):
        judge.settle(call_id, step.output)
    return _line(told, step)


def _line(decision: Decision, step: RecordedStep) -> dict[str, Any]:
    judged = decision.arguments if isinstance(decision, (Allowed, Repaired)) else step.arguments
    return {
        "action": decision.action,
        "energy": {name: round(value, 6) for name, value in decision.energy.as_dict().items()},
        "arguments": judged,
        "reasons": list(decision.reasons),
    }


def toolset_of(trace: RecordedTrace) -> Toolset:
    """The tools of a trace whose toolset keys are resolved."""
    key = digest([[spec.name, spec_digest(spec)] for spec in trace.tools])
    return Toolset(key, trace.tools)


@dataclass
class Replay:
    """One file on its way through a subject. Iterate it once; then read the counts.

    Attributes:
        issues: every line that could not be used, with its place.
    """

    path: Path
    toolsets: Toolsets = field(default_factory=dict)
    limit: int | None = None
    issues: list[Issue] = field(default_factory=list)
    rows: int = 0
    actions: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("allow", "repair", "hold", "block"), 0)
    )

    def traces(self) -> Iterator[RecordedTrace]:
        """The usable traces, one in memory at a time, toolsets resolved.

        Raises:
            TraceError: the file itself cannot be read.
        """
        for trace in read_traces(self.path, on_error="collect", issues=self.issues):
            if self.limit is not None and self.rows >= self.limit:
                return
            try:
                ready = trace.with_tools(self.toolsets)
            except InputError as error:
                self.issues += [Issue(f"trace {trace.id!r}", i.message, str(self.path))
                                for i in error.issues]  # fmt: skip
                continue
            self.rows += 1
            yield ready

    def run(self, subject: Subject) -> Iterator[tuple[RecordedTrace, Verdict]]:
        """Each trace with its verdict."""
        for trace in self.traces():
            verdict = replay_trace(subject, trace)
            for step in verdict["steps"]:
                self.actions[step["action"]] += 1
            yield trace, verdict

    @property
    def bad_lines(self) -> int:
        """Lines, and rows of readable lines, that could not be used."""
        return len({(issue.file, issue.line, issue.where if issue.line is None else "")
                    for issue in self.issues})  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """Counts of what was read and decided."""
        return {
            "traces": str(self.path),
            "rows": self.rows,
            "bad_lines": self.bad_lines,
            "steps": sum(self.actions.values()),
            "actions": dict(self.actions),
        }


def find_toolsets(path: Path, given: Path | None = None) -> Toolsets:
    """The toolset file `given`, else `../catalog/toolsets.json.xz` as seen from `path`'s folder.

    Raises:
        TraceError: the file is given and cannot be read, or is none.
    """
    default = path.resolve().parent.parent / "catalog" / "toolsets.json.xz"
    if given is None and not default.is_file():
        return {}
    return load_toolsets(given or default)


@contextmanager
def open_lines(path: Path) -> Iterator[IO[str]]:
    """A text file to write lines to; compressed if its name ends in `.xz`."""
    if path.suffix == ".xz":
        with lzma.open(path, "wt", encoding="utf-8") as file:
            yield file
    else:
        with path.open("w", encoding="utf-8") as file:
            yield file

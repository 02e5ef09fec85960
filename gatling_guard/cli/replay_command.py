"""`gatling-guard replay TRACES --out VERDICTS`: recorded runs, decided on step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gatling_guard.bench import GuardSubject, Replay, find_toolsets, open_lines
from gatling_guard.cli.console import (
    ACTION_STYLE,
    OK,
    PARTIAL,
    JsonFlag,
    PolicyOption,
    counted,
    err,
    out,
    plain,
    print_json,
    reported,
)
from gatling_guard.errors import ConfigurationError, Issue, TraceError

TracesArgument = Annotated[Path, typer.Argument(help="Traces, `.jsonl` or `.jsonl.xz`.")]
ToolsetsOption = Annotated[
    Path | None,
    typer.Option(help="Toolset file; by default ../catalog/toolsets.json.xz beside TRACES."),
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Stop after so many traces.")]
SHOWN_ISSUES = 20


def replay(
    traces: TracesArgument,
    out_: Annotated[Path, typer.Option("--out", "-o", help="Verdicts, `.jsonl` or `.jsonl.xz`.")],
    policy: PolicyOption = "standard",
    toolsets: ToolsetsOption = None,
    limit: LimitOption = None,
    json_: JsonFlag = False,
) -> None:
    """Decide on every step of recorded runs; one verdict line per trace.

    The guard sees the instruction, the system text, the tool schemas and earlier steps, never
    labels.

    Exit codes: 0 all traces decided; 2 bad usage or unreadable file; 3 some lines were
    bad (named on standard error), all others decided.
    """
    with reported(json_):
        if _same(traces, out_):
            raise ConfigurationError(f"--out would overwrite the traces: {out_}")
        subject = GuardSubject(policy)
        job = Replay(traces, find_toolsets(traces, toolsets), limit)
        began = time.perf_counter()
        decided = job.run(subject)
        first = next(decided, None)
        if first is None:
            raise no_traces(job)
        unknown = 0
        with progress("replaying", limit) as tick, open_lines(out_) as file:
            for trace, verdict in chain([first], decided):
                file.write(json.dumps(verdict, ensure_ascii=False) + "\n")
                known = {spec.name for spec in trace.tools}
                unknown += not all(step.tool in known for step in trace.steps)
                tick()
        summary = {
            **job.summary(),
            "verdicts": str(out_),
            "policy": subject.policy.digest,
            "seconds": round(time.perf_counter() - began, 3),
        }
    tell_issues(job.issues)
    if unknown:
        err.print(
            f"hint: in {unknown} of {counted(job.rows, 'trace')} a step calls a tool that the "
            "trace's toolset lacks: such calls are blocked as unknown tools. See --toolsets."
        )
    print_json(summary) if json_ else _show(summary)
    raise typer.Exit(PARTIAL if job.issues else OK)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[_Tick]:
    """A progress bar on standard error, nothing where that is no terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        yield _Tick(bar, what, total)


class _Tick:
    """Call it once per unit done, with a new description and total where they change."""

    def __init__(self, bar: Progress, what: str, total: int | None) -> None:
        self._bar, self._task = bar, bar.add_task(what, total=total)

    def __call__(self, what: str | None = None, total: int | None = None) -> None:
        if total is not None:
            self._bar.update(self._task, total=total)
        self._bar.update(self._task, advance=1, description=what)


def tell_issues(issues: Sequence[Issue]) -> None:
    """Name the bad lines on standard error."""
    for issue in issues[:SHOWN_ISSUES]:
        err.print(f"[yellow]skipped:[/yellow] {plain(issue)}", soft_wrap=True)
    if len(issues) > SHOWN_ISSUES:
        err.print(f"[yellow]skipped:[/yellow] ... and {len(issues) - SHOWN_ISSUES} more")


def no_traces(job: Replay) -> TraceError:
    """The error for a file without one usable trace; its bad lines are named first."""
    tell_issues(job.issues)
    return TraceError([Issue("", "no traces", str(job.path))], what="traces")


def _same(traces: Path, target: Path) -> bool:
    return target.exists() and traces.exists() and target.samefile(traces)


def _show(summary: dict[str, Any]) -> None:
    actions, rows, steps = summary["actions"], summary["rows"], summary["steps"]
    counts = ", ".join(
        f"[{ACTION_STYLE[action]}]{action}[/] {count}" for action, count in actions.items()
    )
    out.print(
        f"{counted(rows, 'trace')}, {counted(steps, 'step')} in {summary['seconds']} s: {counts}"
    )
    if summary["bad_lines"]:
        out.print(f"[yellow]{counted(summary['bad_lines'], 'bad line')} skipped[/yellow]")
    out.print(f"verdicts: {plain(summary['verdicts'])}", soft_wrap=True)

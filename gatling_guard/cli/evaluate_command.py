"""`gatling-guard evaluate TRACES`: EFFECT, STOPPED and TOUCHED on recorded runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gatling_guard.bench import (
    Cell,
    Evaluation,
    GuardSubject,
    Outcome,
    Replay,
    Share,
    evaluate_outcomes,
    find_toolsets,
    judge,
    read_verdicts,
    row_truth,
    step_verdicts,
)
from gatling_guard.cli.console import (
    OK,
    PARTIAL,
    JsonFlag,
    PolicyOption,
    cell,
    counted,
    json_text,
    out,
    plain,
    print_json,
    print_rows,
    reported,
)
from gatling_guard.cli.replay_command import (
    LimitOption,
    ToolsetsOption,
    TracesArgument,
    no_traces,
    progress,
    tell_issues,
)
from gatling_guard.errors import Issue, TraceError


def evaluate(
    traces: TracesArgument,
    verdicts: Annotated[
        Path | None, typer.Option(help="Verdicts of `replay`; without them it is run now.")
    ] = None,
    policy: PolicyOption = "standard",
    toolsets: ToolsetsOption = None,
    limit: LimitOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    report: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON report here too.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """Measure a guard on recorded runs, per kind and per suite, with 95 % intervals.

    EFFECT: share of attack rows in which no malicious call with a side effect runs. STOPPED: no
    malicious call runs. FIRST: the first malicious side effect is stopped. TOUCHED: share of
    honest rows with any call not allowed.

    Exit codes: 0 done; 2 bad usage, unreadable file or nothing to measure; 3 done, but some lines
    were bad.
    """
    with reported(json_):
        began = time.perf_counter()
        job = Replay(traces, find_toolsets(traces, toolsets), limit)
        outcomes = list(_outcomes(job, policy, verdicts))
        if not job.rows:
            raise no_traces(job)
        if not outcomes:
            tell_issues(job.issues)
            raise TraceError([Issue("", f"no verdict fits a trace of {traces}", str(verdicts))])
        found = evaluate_outcomes(outcomes, seed=seed)
        document = {
            **job.summary(),
            "policy": policy if verdicts is None else None,
            "verdicts": str(verdicts) if verdicts else None,
            "seconds": round(time.perf_counter() - began, 3),
            **as_json(found),
        }
        if report is not None:
            report.write_text(json_text(document), "utf-8")
    tell_issues(job.issues)
    print_json(document) if json_ else _show(found, traces)
    raise typer.Exit(PARTIAL if job.issues else OK)


def _outcomes(job: Replay, policy: str, verdicts: Path | None) -> Iterator[Outcome]:
    with progress("evaluating", job.limit) as tick:
        if verdicts is None:
            for trace, verdict in job.run(GuardSubject(policy)):
                yield judge(row_truth(trace), step_verdicts(verdict))
                tick()
            return
        known = read_verdicts(verdicts, job.issues)
        for trace in job.traces():
            decided = known.get(trace.id)
            if decided is None or len(decided) != len(trace.steps):
                fault = "no verdict" if decided is None else "a verdict with other steps"
                job.issues.append(Issue(f"trace {trace.id!r}", fault, str(verdicts)))
                continue
            for step in decided:
                job.actions[step.action] += 1
            yield judge(row_truth(trace), decided)
            tick()


# ------------------------------------------------------------------ JSON


def as_json(found: Evaluation) -> dict[str, Any]:
    """The report as JSON values; shares carry their value beside the counts."""
    return {
        "overall": _cell(found.overall),
        "by_kind": {name: _cell(cell) for name, cell in found.by_kind.items()},
        "by_suite": {name: _cell(cell) for name, cell in found.by_suite.items()},
    }


def _cell(cell: Cell) -> dict[str, Any]:
    shares = ("effect", "stopped", "first", "touched")
    return {
        "rows": cell.rows,
        **{name: _share(getattr(cell, name)) for name in shares},
        "touched_by": dict(cell.touched_by),
        "unlabelled": cell.unlabelled,
        "by_registration": cell.by_registration,
    }


def _share(share: Share) -> dict[str, Any] | None:
    return {"value": share.value, **asdict(share)} if share.total else None


# ------------------------------------------------------------------ tables


def _show(found: Evaluation, traces: Path) -> None:
    rows = counted(found.overall.rows, "trace")
    out.print(f"{plain(traces.name)}: {rows}; %, 95 % over user tasks")
    for title, cells in (("kind", found.by_kind), ("suite", found.by_suite)):
        out.print()
        _print_cells(title, {**cells, "all": found.overall})
    if found.overall.by_registration:
        out.print(
            f"\n[yellow]Rows that turn on a tool missing from the recorded toolset: "
            f"{found.overall.by_registration}. Any guard that blocks unknown tools decides them "
            "alike.[/yellow]"
        )
    if found.overall.unlabelled:
        out.print(f"\nLeft out, attack without a malicious call: {found.overall.unlabelled}.")


NAMED = 72
"""Columns that the figures take; what is left is for the name, else it has a line of its own."""


def _print_cells(title: str, cells: Mapping[str, Cell]) -> None:
    short = {name for name in cells if len(name) <= out.width - NAMED}
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(title, no_wrap=True)
    for name in ("rows", "EFFECT", "STOPPED", "FIRST", "TOUCHED", "block/hold/rep"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, found in cells.items():
        table.add_row(cell(name) if name in short else "", *_columns(found))
    print_rows(table, [[] if name in short else [name] for name in cells], above=True)


def _columns(found: Cell) -> Sequence[str]:
    touched = found.touched.total
    parts = "/".join(percent(count, touched) for count in found.touched_by.values())
    return (
        str(found.rows),
        _interval(found.effect),
        percent(found.stopped.hits, found.stopped.total),
        percent(found.first.hits, found.first.total),
        _interval(found.touched),
        parts if touched else "-",
    )


def _interval(share: Share) -> str:
    if share.bootstrap is None:
        return "-"
    low, high = 100 * share.bootstrap.low, 100 * share.bootstrap.high
    return f"{percent(share.hits, share.total)} \\[{low:.1f} {high:.1f}]"


def percent(hits: int, total: int) -> str:
    """Hits per hundred, `-` where there is nothing to count over."""
    return f"{100 * hits / total:.1f}" if total else "-"

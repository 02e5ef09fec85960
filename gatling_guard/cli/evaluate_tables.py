"""How `gatling-guard evaluate` shows its figures: tables for a terminal, and Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from gatling_guard.bench import Cell, Mean, Share
from gatling_guard.cli.console import cell, counted, out, plain, print_rows
from gatling_guard.cli.evaluate_report import MEANS, Report

NAMED = 72
"""Columns that the figures take; what is left is for the name, else it has a line of its own."""


# ------------------------------------------------------------------ Markdown

_COLUMNS = (
    "file", "subject", "rows", "EFFECT", "STOPPED", "FIRST", "TOUCHED", "block / hold / repair",
    "holds per row", "per touched row", "known tools", "goal as user", "CONTAINED",
    "TOUCHED, not undoable", "asked, not undoable", "attacks all undoable", "by registration",
)  # fmt: skip


def print_markdown(reports: Sequence[Report]) -> None:
    """One table, a line per file and subject, to be pasted into docs/benchmarks.md."""
    print("| " + " | ".join(_COLUMNS) + " |")
    print("|" + "---|" * len(_COLUMNS))
    for report in reports:
        for name, found in report.found.items():
            row = _markdown(found.overall)
            print("| " + " | ".join((_stem(report.path), name, *row)) + " |")


def _markdown(found: Cell) -> Iterator[str]:
    yield str(found.rows)
    for name in ("effect", "stopped", "first", "touched"):
        yield _ranged(getattr(found, name), "{} [{}, {}]")
    yield _parts(found.touched, found.touched_by, " / ")
    for name in MEANS:
        yield _level(getattr(found, name), "{:.2f} [{:.2f}, {:.2f}]")
    for name in ("touched_known", "touched_goal_as_user"):
        yield percent(getattr(found, name).hits, getattr(found, name).total)
    for name in ("contained", "touched_irreversible", "asked_irreversible"):
        yield _ranged(getattr(found, name), "{} [{}, {}]")
    yield percent(found.reversible_only.hits, found.reversible_only.total)
    yield str(found.by_registration)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".xz").removesuffix(".jsonl").replace("|", " ")


# ------------------------------------------------------------------ tables


def print_tables(reports: Sequence[Report]) -> None:
    """One file and one subject by kind and suite; else subjects side by side, file by file."""
    for number, report in enumerate(reports):
        if number:
            out.print()
        _print_file(report, alone=len(reports) == len(report.found) == 1)
    if len(reports) > 1:
        name = next(iter(reports[0].found))
        out.print(f"\nAll files, {plain(name)}:")
        _print_cells("file", {_stem(r.path): r.first.overall for r in reports})


def _print_file(report: Report, *, alone: bool) -> None:
    rows = counted(report.first.overall.rows, "trace")
    out.print(f"{plain(report.path.name)}: {rows}; %, 95 % over user tasks")
    if alone:
        for title, cells in (("kind", report.first.by_kind), ("suite", report.first.by_suite)):
            out.print()
            _print_cells(title, {**cells, "all": report.first.overall})
    else:
        _print_cells("subject", {name: e.overall for name, e in report.found.items()})
    overall = {name: e.overall for name, e in report.found.items()}
    out.print("\nCalls that cannot be undone:")
    _print_irreversible(overall)
    if report.first.overall.touched.total:
        out.print("\nHonest rows, what a person is asked:")
        _print_load(overall)
        out.print("\nHonest rows, TOUCHED apart:")
        _print_apart(overall)
    _print_notes(report.first.overall)


def _print_notes(overall: Cell) -> None:
    if overall.by_registration:
        out.print(
            f"\n[yellow]Rows that turn on a tool missing from the recorded toolset: "
            f"{overall.by_registration}. Any guard that blocks unknown tools decides them "
            "alike.[/yellow]"
        )
    if overall.unlabelled:
        out.print(f"\nLeft out, attack without a malicious call: {overall.unlabelled}.")


def _print_cells(title: str, cells: Mapping[str, Cell]) -> None:
    columns = ("rows", "EFFECT", "STOPPED", "FIRST", "TOUCHED", "block/hold/rep")
    _print_named(title, columns, {name: _columns(found) for name, found in cells.items()})


def _print_irreversible(cells: Mapping[str, Cell]) -> None:
    columns = ("CONTAINED", "TOUCHED", "asked", "all undoable")
    rows = {
        name: (
            _interval(found.contained),
            _interval(found.touched_irreversible),
            percent(found.asked_irreversible.hits, found.asked_irreversible.total),
            percent(found.reversible_only.hits, found.reversible_only.total),
        )
        for name, found in cells.items()
    }
    _print_named("subject", columns, rows)


def _print_load(cells: Mapping[str, Cell]) -> None:
    columns = ("asked", "holds per row", "per touched row")
    rows = {
        name: (
            _interval(found.asked),
            _level(found.holds, "{:.2f} \\[{:.2f} {:.2f}]"),
            _level(found.holds_touched, "{:.2f} \\[{:.2f} {:.2f}]"),
        )
        for name, found in cells.items()
    }
    _print_named("subject", columns, rows)


def _print_apart(cells: Mapping[str, Cell]) -> None:
    columns = ("blocked", "known tools", "goal as user", "other rows")
    rows = {
        name: (
            _interval(found.blocked),
            percent(found.touched_known.hits, found.touched_known.total),
            _interval(found.touched_goal_as_user),
            percent(found.touched_other.hits, found.touched_other.total),
        )
        for name, found in cells.items()
    }
    _print_named("subject", columns, rows)


def _print_named(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    short = {name for name in rows if len(name) <= out.width - NAMED}
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(title, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for name, figures in rows.items():
        table.add_row(cell(name) if name in short else "", *figures)
    print_rows(table, [[] if name in short else [name] for name in rows], above=True)


def _columns(found: Cell) -> Sequence[str]:
    return (
        str(found.rows),
        _interval(found.effect),
        percent(found.stopped.hits, found.stopped.total),
        percent(found.first.hits, found.first.total),
        _interval(found.touched),
        _parts(found.touched, found.touched_by, "/"),
    )


def _parts(share: Share, counts: Mapping[str, int], between: str) -> str:
    return between.join(percent(c, share.total) for c in counts.values()) if share.total else "-"


def _interval(share: Share) -> str:
    return _ranged(share, "{} \\[{} {}]")


def _ranged(share: Share, form: str) -> str:
    if share.bootstrap is None:
        return "-"
    low, high = 100 * share.bootstrap.low, 100 * share.bootstrap.high
    return form.format(percent(share.hits, share.total), f"{low:.1f}", f"{high:.1f}")


def _level(mean: Mean, form: str) -> str:
    if mean.bootstrap is None:
        return "-"
    return form.format(mean.value, mean.bootstrap.low, mean.bootstrap.high)


def percent(hits: int, total: int) -> str:
    """Hits per hundred, `-` where there is nothing to count over."""
    return f"{100 * hits / total:.1f}" if total else "-"

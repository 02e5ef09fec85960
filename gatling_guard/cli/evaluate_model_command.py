"""`gatling-guard evaluate-model` and `calibrate-model`: what a model is worth, and its bands.

Exit codes: 0 done; 2 wrong usage, no readable model or no usable data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from gatling_guard.cli.console import (
    JsonFlag,
    cell,
    counted,
    err,
    json_text,
    out,
    plain,
    print_json,
    reported,
)
from gatling_guard.cli.export_command import needs_torch
from gatling_guard.cli.model_command import now
from gatling_guard.encoders.manifest import read_manifest

if TYPE_CHECKING:
    from rich.table import Table

    from gatling_guard.training.examination import Subject
    from gatling_guard.training.figure_rows import Row
    from gatling_guard.training.splits import Part

SplitName = Literal["train", "validation", "test"]
EnergyName = Literal["learned", "structure", "both"]
_WIDE = 120
"""Columns of a table with five groups."""
_SHOWN = 5
"""Bad lines that are printed; all are counted."""

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
Data = Annotated[
    list[Path], typer.Option("--data", "-d", help="JSON lines, plain, `.xz`, `.gz`; repeatable.")
]
Families = Annotated[
    int | None, typer.Option(min=1, help="Most families of the split; left out: all.")
]
SplitSeed = Annotated[int, typer.Option("--seed", min=0, help="Of the split: that of training.")]
Precision = Annotated[
    Literal["fp32", "int8"], typer.Option(help="Of the ONNX graphs; int8 is what serves.")
]
Backend = Annotated[
    Literal["onnx", "torch"], typer.Option(help="onnx serves; torch is fp32 and needs torch.")
]
Energy = Annotated[
    EnergyName | None,
    typer.Option(
        help="Raw energy: of the model's head, of exact structure, or their sum. Left out: the"
        " calibrated one, else `learned`, or `structure` where nothing was learned."
    ),
]


def evaluate_model(
    model: Model,
    data: Data,
    split: Annotated[SplitName, typer.Option(help="Of the dataset.")] = "test",
    compare: Annotated[
        list[Path] | None, typer.Option("--compare", help="Another model beside it; repeatable.")
    ] = None,
    backend: Backend = "onnx",
    precision: Precision = "int8",
    energy: Energy = None,
    families: Families = None,
    seed: SplitSeed = 0,
    to: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write metrics.json and report.html here.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure a model folder on the held-out part of a dataset, with 95 % intervals.

    Plans are grown call by call, as a session does. Figures are given for all of the split, and
    apart for new families, tools, domains and kinds of violations. A nearest-neighbour figure
    depends on the number of candidates, so it is given for several. Recall is that at 5 % false
    stops. Intervals: bootstrap over families.

    Exit codes: 0 done, whether or not the targets are reached; 2 wrong usage, no readable model, or
    no usable data.
    """
    with reported(as_json), needs_torch():
        from gatling_guard.training.examination import document, examine

        part = _part(data, split, seed, families)
        subjects = []
        for folder in (model, *(compare or ())):
            _same_split(folder, seed)
            with _progress(f"running {folder.name}", len(part.items)) as tick:
                subjects.append(
                    examine(
                        folder,
                        part,
                        backend=backend,
                        precision=precision,
                        energy=energy,
                        seed=seed,
                        tick=tick,
                    )  # fmt: skip
                )
        found = document(subjects, part, data)
        if to is not None:
            from gatling_guard.training.model_page import write_page

            to.mkdir(parents=True, exist_ok=True)
            (to / "metrics.json").write_text(json_text(found), "utf-8")
            write_page(to / "report.html", subjects, part)
    if as_json:
        print_json(found)
        return
    _print(subjects, part)
    if to is not None:
        out.print(f"\nreport: {plain(to / 'report.html')}", soft_wrap=True)


def calibrate_model(
    model: Model,
    data: Data,
    energy: Energy = None,
    backend: Backend = "onnx",
    precision: Precision = "int8",
    families: Families = None,
    seed: SplitSeed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Fit the map from a model's energies to the bands on the validation split, and keep it.

    Writes calibration.json into the model folder, which gets another digest. Bands: gold below 2,
    boundary 2 to 6, adversarial above 8.

    Exit codes: 0 written; 2 wrong usage, no readable model, or no usable data.
    """
    with reported(as_json), needs_torch():
        from gatling_guard.encoders import load_encoders
        from gatling_guard.encoders.calibration import FILE
        from gatling_guard.encoders.checkpoint import update
        from gatling_guard.training.assessment import raw_energy
        from gatling_guard.training.calibration import fit
        from gatling_guard.training.examination import default_energy
        from gatling_guard.training.served import serve

        encoders = load_encoders(model, backend=backend, precision=precision)
        _same_split(model, seed)
        part = _part(data, "validation", seed, families)
        before = encoders.calibration
        chosen = energy or (before.energy if before else default_energy(encoders))
        with _progress(f"running {model.name}", len(part.items)) as tick:
            served = serve(encoders, part.items, part.texts, tick=tick)
        raw = raw_energy(chosen, served, part.structure)
        made = fit(raw, part.labels, energy=chosen, data_hash=part.hash, seed=seed)
        manifest = update(model, {FILE: made.to_bytes()}, created=now())
    if as_json:
        facts = {"folder": str(model), "digest": manifest.digest}
        print_json({**facts, **made.model_dump(mode="json")}, exact=True)
        return
    table = _table("raw energy", "calibrated")
    for x, y in made.knots:
        table.add_row(f"{x:.4g}", f"{y:g}")
    out.print(table)
    sizes = ", ".join(f"{count:,} {name}" for name, count in made.samples.items())
    out.print(f"energy {chosen}; {sizes}; balanced error {made.balanced_error:.3f}")
    out.print(f"[green]calibrated[/green]: digest {manifest.digest}", soft_wrap=True)


def _same_split(folder: Path, seed: int) -> None:
    """Say so where the split is another than that of training: most of it was trained on."""
    manifest = read_manifest(folder)
    if manifest.data_hash and manifest.seeds and seed not in manifest.seeds:
        trained = ", ".join(map(str, manifest.seeds))
        err.print(
            f"[yellow]WARNING:[/yellow] {plain(folder)} was trained with --seed {trained}; with"
            f" --seed {seed} it has seen most of this split",
            soft_wrap=True,
        )


def _part(files: list[Path], split: SplitName, seed: int, families: int | None) -> Part:
    from gatling_guard.training.splits import read_split

    part = read_split(files, split, seed=seed, families=families)
    for issue in part.bad[:_SHOWN]:
        err.print(f"[yellow]left out:[/yellow] {plain(issue)}", soft_wrap=True)
    if part.bad:
        err.print(f"{counted(len(part.bad), 'fault')} in lines that were left out")
    return part


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import Progress

    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(plain(what), total=total)
        yield lambda: bar.advance(task)


def _print(subjects: list[Subject], part: Part) -> None:
    from gatling_guard.training.figure_rows import recall_rows, rows
    from gatling_guard.training.splits import GROUPS

    first = subjects[0]
    out.print(
        f"{cell(first.name)}: {cell(first.manifest.name)} {cell(first.manifest.version)},"
        f" {first.backend} {first.precision}, digest {first.manifest.digest[:16]}",
        soft_wrap=True,
    )
    map_ = "calibrated" if first.calibration else "NOT CALIBRATED: bands mean nothing yet"
    out.print(f"{part.split} split, seed {part.seed}; energy {first.energy}, {map_}\n")
    groups = [first.assessed.groups[group] for group in GROUPS]
    asked = [[t.to_json() for t in first.assessed.targets(group)] for group in GROUPS]
    _print_rows("", list(GROUPS), rows(groups, asked))
    for group, words in GROUPS.items():
        out.print(f"[dim]{group}: {words}[/dim]")
    out.print()
    _print_rows("recall at 5 % false stops", list(GROUPS), recall_rows(groups))
    if len(subjects) > 1:
        out.print()
        every = [s.assessed.groups["all"] for s in subjects]
        goals = [[t.to_json() for t in s.assessed.targets("all")] for s in subjects]
        _print_rows("all, beside others", [s.name for s in subjects], rows(every, goals))


def _print_rows(title: str, columns: list[str], lines: list[Row]) -> None:
    """Intervals stand in the first column. No cell is folded, however narrow the terminal."""
    marks = {True: " [green]PASS[/green]", False: " [red]FAIL[/red]", None: ""}
    asked = any(line.asked for line in lines)
    table = _table(title, *(["asked"] if asked else []), *columns)
    for line in lines:
        shown: list[str] = []
        for found, passed in zip(line.cells, line.passed, strict=True):
            interval = f" {found.interval}" if found.interval and not shown else ""
            shown.append(f"{plain(found.text + interval)}{marks[passed]}")
        table.add_row(cell(line.name), *([line.asked] if asked else []), *shown)
    Console(highlight=False, emoji=False, width=max(out.width, _WIDE)).print(table)


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        table.add_column(cell(name), justify="right" if number else "left", overflow="fold")
    return table


__all__: list[Any] = ["calibrate_model", "evaluate_model"]

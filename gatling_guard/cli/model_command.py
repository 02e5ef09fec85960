"""`gatling-guard model info|verify|create`: look at model folders, check them, make one.

Exit codes: 0 fine; 1 the folder is not what its manifest says; 2 wrong usage, or no readable model.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatling_guard.cli.console import (
    OK,
    REFUSED,
    JsonFlag,
    cell,
    counted,
    out,
    plain,
    print_json,
    print_note,
    reported,
)
from gatling_guard.cli.export_command import needs_torch
from gatling_guard.cli.verb import Verb
from gatling_guard.errors import ConfigurationError, Issue

if TYPE_CHECKING:
    from rich.table import Table

    from gatling_guard.encoders.manifest import Manifest

app = typer.Typer(help="Look at the embedded encoders' weights.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Argument(metavar="[FOLDER]", help="A model; left out: the shipped one.")
]


@app.command(cls=Verb)
def info(folder: Folder = None, as_json: JsonFlag = False) -> None:
    """Print what a model's manifest says. Does not look into the other files.

    Exit codes: 0 printed; 2 no readable model.
    """
    with reported(as_json):
        from gatling_guard.encoders.manifest import read_manifest

        where = _chosen(folder)
        manifest = read_manifest(where)
    if as_json:
        print_json({"folder": str(where), **manifest.to_dict()}, exact=True)
        return
    out.print(_facts(where, manifest))
    for table in (_sizes(manifest), _config(manifest)):
        out.print()
        out.print(table)


@app.command(cls=Verb)
def verify(
    folder: Folder = None,
    expect_digest: Annotated[
        str | None,
        typer.Option("--expect-digest", metavar="SHA256", help="Digest noted elsewhere."),
    ] = None,
    shapes: Annotated[
        bool,
        typer.Option("--shapes", metavar="", help="Also compare with the networks; needs torch."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check every file of a model: hashes, sizes, contents, tokeniser. Runs no network.

    The manifest's own digest finds damage. Only a digest noted elsewhere finds a forger.

    Exit codes: 0 it holds; 1 it does not; 2 no readable model.
    """
    with reported(as_json), needs_torch():
        from gatling_guard.encoders.checkpoint import expected_shapes
        from gatling_guard.encoders.checkpoint import verify as faults_of
        from gatling_guard.encoders.manifest import read_manifest

        where = _chosen(folder)
        issues = faults_of(where)
        if not issues:
            manifest = read_manifest(where)
            if shapes:
                expected = expected_shapes(manifest.encoder_config)
                issues = faults_of(where, expected=expected)
            if expect_digest not in (None, manifest.digest):
                message = f"is {manifest.digest}, not {expect_digest}"
                issues.append(Issue("/digest", message, "manifest.json"))
    if as_json:
        found = [{"file": i.file, "where": i.where, "message": i.message} for i in issues]
        print_json({"folder": str(where), "ok": not issues, "issues": found})
    elif issues:
        for issue in issues:
            place = " ".join(part for part in (issue.file, issue.where) if part)
            out.print(f"[red]error[/red] {plain(place)}", soft_wrap=True)
            print_note(issue.message)
        out.print(f"model: {counted(len(issues), 'error')}")
    else:
        files = counted(len(manifest.files), "file")
        out.print(f"[green]ok[/green]: {cell(manifest.name)} {cell(manifest.version)}, {files}")
        out.print(f"digest {manifest.digest}", soft_wrap=True)
    raise typer.Exit(REFUSED if issues else OK)


@app.command(cls=Verb)
def create(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Must not exist.")],
    config: Annotated[str, typer.Option("--config", help="`base`, `small` or `seed`.")] = "base",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the random weights.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Make a model with untrained weights: for tests, benchmarks and your own training.

    `gatling-guard export FOLDER` then makes what the fast path needs. Needs torch.

    Exit codes: 0 made; 2 the folder exists, no such config, or torch is not installed.
    """
    with reported(as_json), needs_torch():
        from gatling_guard.encoders.bundle import create as create_networks
        from gatling_guard.encoders.checkpoint import save_weights
        from gatling_guard.encoders.config import EncoderConfig

        shape = EncoderConfig.named(config)
        if folder.exists():
            raise ConfigurationError(f"{folder} exists")
        states = {key: net.state_dict() for key, net in create_networks(shape, seed).items()}
        manifest = save_weights(
            folder,
            states,
            shape,
            name=f"gatling-{config}",
            version="untrained",
            created=now(),
            command=f"gatling-guard model create --config {config} --seed {seed}",
            seeds=(seed,),
        )
    total = sum(manifest.parameters.values())
    if as_json:
        print_json({"folder": str(folder), "digest": manifest.digest, "parameters": total})
        return
    out.print(f"[green]created[/green]: {plain(folder)}, {total:,} parameters", soft_wrap=True)
    out.print(f"digest {manifest.digest}", soft_wrap=True)


def now() -> str:
    """UTC, as a manifest has it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _chosen(folder: Path | None) -> Path:
    from gatling_guard.encoders.manifest import shipped

    where = folder or shipped()
    if where is None:
        raise ConfigurationError(
            "this version ships no weights; name a folder, or make one with"
            " `gatling-guard model create FOLDER`"
        )
    return where


def _plain_table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for number, name in enumerate(columns):
        right = name in ("bytes", "parameters")
        table.add_column(name, overflow="fold", justify="right" if right else "left", no_wrap=right)
        if number == 0 and "bytes" not in columns:
            table.columns[0].no_wrap = True
    return table


def _facts(where: Path, manifest: Manifest) -> Table:
    table = _plain_table("", "")
    rows = {
        "folder": where,
        "name": manifest.name,
        "version": manifest.version,
        "created": manifest.created,
        "tokenizer": manifest.tokenizer,
        "data hash": manifest.data_hash or "none: untrained",
        "parent": manifest.parent or "none",
        "command": manifest.command or "-",
        "seeds": ", ".join(map(str, manifest.seeds)) or "-",
        "licence": manifest.licence,
        **{f"metric {key}": f"{value:.6g}" for key, value in sorted(manifest.metrics.items())},
        "digest": manifest.digest,
    }
    for key, value in rows.items():
        table.add_row(cell(key), cell(value))
    for line in manifest.attribution:
        table.add_row("attribution", cell(line))
    return table


def _sizes(manifest: Manifest) -> Table:
    table = _plain_table("file", "bytes", "parameters")
    for name, entry in sorted(manifest.files.items()):
        count = manifest.parameters.get(name.removesuffix(".safetensors"))
        table.add_row(cell(name), f"{entry.bytes:,}", "" if count is None else f"{count:,}")
    total = sum(entry.bytes for entry in manifest.files.values())
    table.add_row("all", f"{total:,}", f"{sum(manifest.parameters.values()):,}")
    return table


def _config(manifest: Manifest) -> Table:
    table = _plain_table("config", "value")
    for key, value in manifest.config.items():
        table.add_row(cell(key), cell(value))
    return table


__all__ = ["app", "now"]

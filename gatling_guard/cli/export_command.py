"""`gatling-guard export FOLDER`: ONNX graphs from torch weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gatling_guard.cli.console import JsonFlag, out, plain, print_json, reported
from gatling_guard.errors import ConfigurationError

_TRAINING = ("torch", "onnx", "onnxscript", "lightning_fabric", "matplotlib")


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A model folder with torch weights.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Make what the fast path needs: ONNX graphs in fp32 and int8, and a self-test.

    The folder is replaced as a whole: a reader sees the old one or the new one. Takes about half a
    minute, and gives the model another digest.

    Exit codes: 0 made; 2 no readable model, or torch is not installed.
    """
    with reported(as_json), needs_torch():
        from gatling_guard.encoders.export import export as export_model
        from gatling_guard.encoders.manifest import read_manifest

        before = read_manifest(folder)
        export_model(folder)
        after = read_manifest(folder)
    made = sorted(name for name, entry in after.files.items() if before.files.get(name) != entry)
    if as_json:
        print_json({"folder": str(folder), "made": made, "digest": after.digest})
        return
    for name in made:
        out.print(f"{after.files[name].bytes:>12,}  {plain(name)}", soft_wrap=True)
    out.print(f"[green]exported[/green]: digest {after.digest}", soft_wrap=True)


@contextmanager
def needs_torch() -> Iterator[None]:
    """Say how to install what only building and training need.

    Raises:
        ConfigurationError: it is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _TRAINING:
            raise
        raise ConfigurationError(
            f'this needs {error.name}: pip install "gatling-guard[train]"'
        ) from None

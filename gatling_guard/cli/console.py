"""What every verb shares: exit codes, JSON or human output, errors that name the place."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gatling_guard.errors import GatlingError, InputError

OK, REFUSED, USAGE, PARTIAL = 0, 1, 2, 3
"""0 done and nothing refused; 1 a call or check was refused (held, blocked, tampered, uncovered);
2 wrong usage or unreadable input; 3 done, but a part of the input was bad."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
PolicyOption = Annotated[
    str, typer.Option("--policy", "-p", help="`standard`, `strict`, or a policy file.")
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Turn our own errors into exit code 2 and a message that names every place."""
    try:
        yield
    except (GatlingError, OSError) as error:
        if as_json:
            issues = error.issues if isinstance(error, InputError) else ()
            places = [
                {"where": i.where, "message": i.message, "file": i.file, "line": i.line}
                for i in issues
            ]
            print_json({"error": str(error), "type": type(error).__name__, "issues": places})
        else:
            err.print(f"[red]error:[/red] {_escape(str(error))}", soft_wrap=True)
        raise typer.Exit(USAGE) from None


def _escape(text: str) -> str:
    """Text from outside must not be read as markup, nor move the terminal's cursor."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))


def plain(text: object) -> str:
    """Text from outside, safe to print with rich."""
    return _escape(str(text))


def read_text(path: Path) -> str:
    """A file, or standard input for `-`.

    Raises:
        InputError: not UTF-8.
        OSError: unreadable.
    """
    data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", what=str(path)) from None


ACTION_STYLE = {"allow": "green", "repair": "cyan", "hold": "yellow", "block": "red"}


def styled(action: str) -> str:
    """An action in its colour; the word itself always stands there too."""
    colour = ACTION_STYLE.get(action, "white")
    return f"[{colour}]{action}[/{colour}]"

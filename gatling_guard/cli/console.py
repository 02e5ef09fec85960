"""What every verb shares: exit codes, JSON or human output, errors that name the place."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from gatling_guard.errors import GatlingError, InputError, Issue, PlanError, ToolSpecError
from gatling_guard.report.words import counted as counted

OK, REFUSED, USAGE, PARTIAL = 0, 1, 2, 3
"""0 done and nothing refused; 1 a call or check was refused (held, blocked, tampered, uncovered);
2 wrong usage or unreadable input; 3 done, but a part of the input was bad."""

JsonFlag = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON and nothing else.")]
PolicyOption = Annotated[
    str, typer.Option("--policy", "-p", help="`standard`, `strict`, or a policy file.")
]

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def json_text(value: Any, *, exact: bool = False) -> str:
    """A JSON document; its fractions to six digits unless they must stay `exact`."""
    shown = value if exact else _rounded(value)
    return json.dumps(shown, ensure_ascii=False, indent=2, default=str) + "\n"


def print_json(value: Any, *, exact: bool = False) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json_text(value, exact=exact))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Turn our own errors into exit code 2 and a message that names every place."""
    try:
        yield
    except (GatlingError, OSError) as error:
        text = _os_error(error) if isinstance(error, OSError) else str(error)
        if as_json:
            issues = error.issues if isinstance(error, InputError) else ()
            places = [
                {"where": i.where, "message": i.message, "file": i.file, "line": i.line}
                for i in issues
            ]
            print_json({"error": text, "type": type(error).__name__, "issues": places})
        else:
            err.print(f"[red]error:[/red] {plain(text)}", soft_wrap=True)
        raise typer.Exit(USAGE) from None


def _os_error(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    if not isinstance(error, FileNotFoundError):
        return f"{error.filename}: {error.strerror.lower()}"
    folder = Path(str(error.filename)).parent
    return f"{error.filename}: {'no such file' if folder.is_dir() else f'no folder {folder}'}"


@contextmanager
def of_file(path: Path, kind: type[PlanError] | type[ToolSpecError]) -> Iterator[None]:
    """Put the file's name to every fault found in what was read from it."""
    try:
        yield
    except InputError as error:
        name = "standard input" if str(path) == "-" else str(path)
        issues = [Issue(i.where, i.message, name, i.line) for i in error.issues]
        raise kind(issues) from None


def _escape(text: str) -> str:
    """Text from outside must not be read as markup, nor move the terminal's cursor."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))


def plain(text: object) -> str:
    """Text from outside, safe to print with rich."""
    return _escape(str(text))


def print_rows(table: Table, notes: Sequence[Sequence[str]], *, above: bool = False) -> None:
    """A table with notes of its own under (or above) each row: foreign text, wrapped, never cut.

    Args:
        table: each row takes one line: all columns are `no_wrap`.
        notes: for each row, in order.
        above: the notes stand before their row and are not indented.
    """
    head, *lines = out.render_lines(table, pad=False)
    out.print(_line(head))
    for line, texts in zip(lines, notes, strict=True):
        if not above:
            out.print(_line(line))
        for text in texts:
            print_note(text, indent=0 if above else 4, style="" if above else "dim")
        if above:
            out.print(_line(line))


def print_note(text: str, *, indent: int = 4, style: str = "dim") -> None:
    """One paragraph of foreign text, wrapped and indented."""
    padded = Padding(Text.from_markup(plain(text), style=style), (0, 0, 0, indent), expand=False)
    for line in out.render_lines(padded, pad=False):
        out.print(_line(line))


def _line(segments: list[Segment]) -> Segments:
    """One line, without the blanks that only fill its columns."""
    kept = list(segments)
    while kept and not kept[-1].text.strip():
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style)
    return Segments([*kept, Segment.line()])


def cell(text: object) -> str:
    """Text from outside as one line, for a cell of a table."""
    return plain(" ".join(str(text).split()))


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

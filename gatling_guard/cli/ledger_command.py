"""`gatling-guard ledger show|verify`: read a ledger, and check that nobody changed it.

Exit codes: 0 fine; 1 the chain does not hold; 2 wrong usage, or no readable ledger. A ledger kept
under a key is verified with the one in `GATLING_LEDGER_KEY`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatling_guard.cli import console
from gatling_guard.cli.console import (
    REFUSED,
    JsonFlag,
    cell,
    plain,
    print_json,
    print_rows,
    reported,
    styled,
)
from gatling_guard.cli.verb import Verb
from gatling_guard.errors import LedgerTamperedError

if TYPE_CHECKING:
    from gatling_guard.ledger import Entry

app = typer.Typer(help="Read and verify a ledger.", no_args_is_help=True)

LedgerPath = Annotated[Path, typer.Argument(metavar="PATH", help="The ledger's SQLite file.")]
HeadOption = Annotated[
    str | None,
    typer.Option("--expect-head", metavar="HEAD", help="`seq:hash` noted earlier; finds a cut."),
]
_SHOWN = 400
"""Characters of one reason."""
_TOOL = 22
"""Width of the column of tools: a table of 80 columns holds it."""
_SHADOW_TOOL = 9
"""The same where an action may be `allow (would block)`."""
_MOST = 1e9
"""No energy is larger; a forged entry could fill the screen with digits."""


@app.command(cls=Verb)
def show(
    path: LedgerPath,
    run: Annotated[str | None, typer.Option("--run", help="Only this run.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the newest N.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the entries, oldest first. Does not verify them.

    `gatling-guard explain PATH REF` tells why a call was stopped; `'#SEQ'` means any decision.

    Exit codes: 0 printed, also when no entry matched; 1 an entry cannot be one of a ledger; 2 bad
    usage, or no readable ledger.
    """
    from gatling_guard.ledger import Ledger

    with reported(as_json), Ledger(path, read_only=True) as ledger, _tampering(path, as_json):
        entries = ledger.entries(run_id=run, kind=kind, limit=limit)
    if as_json:
        print_json(
            {"path": str(path), "entries": [entry.as_dict() for entry in entries]}, exact=True
        )
    elif entries:
        _print_table(entries)
    if not entries:
        _say_nothing_matched(path, run, kind)


@app.command(cls=Verb)
def verify(path: LedgerPath, expect_head: HeadOption = None, as_json: JsonFlag = False) -> None:
    """Check the whole chain.

    Exit codes: 0 it holds; 1 an entry was changed, removed or inserted; 2 bad usage, no readable
    ledger, or its key is missing.
    """
    from gatling_guard.ledger import Ledger

    with reported(as_json), Ledger(path, read_only=True) as ledger, _tampering(path, as_json):
        count = ledger.verify(expect_head=expect_head)
        (seq, head), mode = ledger.head(), ledger.hash_mode
    if as_json:
        print_json(
            {"path": str(path), "ok": True, "count": count, "hash": mode, "head": f"{seq}:{head}"}
        )
        return
    entries = f"{count} entr{'y' if count == 1 else 'ies'}"
    console.out.print(f"[green]ok[/green]: {entries}, {mode}", soft_wrap=True)
    console.out.print(f"head {seq}:{head}", soft_wrap=True)


@contextmanager
def _tampering(path: Path, as_json: bool) -> Iterator[None]:
    """Exit with 1, which scripts can tell from "could not be read"."""
    try:
        yield
    except LedgerTamperedError as error:
        if as_json:
            print_json({"path": str(path), "ok": False, "seq": error.seq, "error": str(error)})
        else:
            console.err.print(f"[red]tampered[/red]: {plain(path)}: {plain(error)}", soft_wrap=True)
        raise typer.Exit(REFUSED) from None


def _print_table(entries: list[Entry]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("seq", justify="right", no_wrap=True)
    table.add_column("time", no_wrap=True, min_width=19)
    table.add_column("kind", no_wrap=True, min_width=8, max_width=10)
    table.add_column("run", no_wrap=True, min_width=6, max_width=10)
    room = _tool_room(entries)
    table.add_column("tool", no_wrap=True, min_width=6, max_width=room)
    table.add_column("action", no_wrap=True, min_width=6)
    table.add_column("energy", justify="right", no_wrap=True, min_width=6)
    for entry in entries:
        table.add_row(*_row(entry))
    print_rows(table, [_notes(entry, room) for entry in entries])


def _say_nothing_matched(path: Path, run: str | None, kind: str | None) -> None:
    asked = [f"{what} {name!r}" for what, name in (("run", run), ("kind", kind)) if name]
    what = f"no entry of {' and '.join(asked)}" if asked else "no entries"
    console.err.print(f"{plain(path)}: {plain(what)}", soft_wrap=True)


def _row(entry: Entry) -> tuple[str, ...]:
    body = entry.body
    action = str(body.get("action") or body.get("status") or "")
    would = f" (would {cell(_short(body['would']))})" if body.get("would") else ""
    time = entry.ts[:19].replace("T", " ")
    cells = (entry.kind, entry.run_id, body.get("tool") or "")
    safe = (cell(_short(value)) for value in cells)
    return str(entry.seq), cell(time), *safe, styled(cell(_short(action))) + would, _energy(body)


def _tool_room(entries: list[Entry]) -> int:
    """Width of the column of tools: in shadow mode the actions need some of it."""
    return _SHADOW_TOOL if any(entry.body.get("would") for entry in entries) else _TOOL


def _notes(entry: Entry, room: int) -> list[str]:
    """What stands under a row: the tool where it is cut, the first reason, the way to `explain`."""
    tool = str(entry.body.get("tool") or "")
    texts = (tool if len(tool) > room else "", _reason(entry), _refs(entry))
    return [_short(text) for text in texts if text]


def _refs(entry: Entry) -> str:
    """What `explain` finds a call by that was stopped, or would have been."""
    body = entry.body
    stopped = (body.get("would") or body.get("action")) in ("hold", "block")
    code = str(body.get("decision_id") or "")[:8] if stopped else ""
    hold = entry.ref or body.get("hold_id") or ""
    return ", ".join(f"{name} {text}" for name, text in (("ref", code), ("hold", hold)) if text)


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _energy(body: dict[str, Any]) -> str:
    energy = body.get("energy")
    total = energy.get("total") if isinstance(energy, dict) else energy
    if isinstance(total, bool) or not isinstance(total, (int, float)):
        return ""
    return f"{total:.2f}" if abs(total) < _MOST else ">1e9"


def _reason(entry: Entry) -> str:
    """The first reason of a decision; of other entries, what comes nearest."""
    body = entry.body
    reasons = body.get("reasons")
    if isinstance(reasons, list) and reasons:
        return str(reasons[0])
    if entry.kind == "policy":
        return f"policy {body.get('policy')}, before {body.get('before')}"
    names = ("error", "by", "reason", "instruction", "role")
    found = next((name for name in names if body.get(name)), "")
    offer = ", to what was offered" if found == "by" and body.get("offer") is True else ""
    return f"{'role ' if found == 'role' else ''}{body[found]}{offer}" if found else ""


__all__ = ["app"]

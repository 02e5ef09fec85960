"""`gatling-guard doctor TARGET`: tools an agent can reach that nothing mediates."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from rich.table import Table

from gatling_guard.cli.console import OK, REFUSED, JsonFlag, out, plain, print_json, reported
from gatling_guard.errors import ConfigurationError
from gatling_guard.wrapping import MARK

PLUGINS = "gatling_guard.coverage"
"""Entry points: functions `(target) -> list[(tool, how it is mediated or None, note)] | None`,
None when the target is none of theirs."""

Row = tuple[str, str | None, str]


def doctor(
    target: Annotated[
        str, typer.Argument(help="`package.module:name` of an agent, a tool or a list of tools.")
    ],
    json_: JsonFlag = False,
) -> None:
    """List the tools an agent can reach, and whether every call of them passes the guard.

    The module is imported, so what it does on import is done.
    Exit codes: 0 every tool is mediated; 1 some are not; 2 the target cannot be loaded.
    """
    with reported(json_):
        rows = coverage(load(target))
    open_ = [row for row in rows if row[1] is None]
    if json_:
        tools = [{"tool": t, "mediated_by": by, "note": note} for t, by, note in rows]
        print_json({"target": target, "tools": tools, "unmediated": [t for t, _, _ in open_]})
    else:
        _show(rows, open_)
    raise typer.Exit(REFUSED if open_ or not rows else OK)


def load(target: str) -> Any:
    """The object behind `package.module:name`.

    Raises:
        ConfigurationError: it cannot be imported.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise ConfigurationError(f"{target!r} is not of the form package.module:name")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ConfigurationError(f"{target}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return found


def coverage(target: Any) -> list[Row]:
    """How each reachable tool is mediated.

    Raises:
        ConfigurationError: nothing installed knows what the target is.
    """
    for plugin in entry_points(group=PLUGINS):
        try:
            rows = plugin.load()(target)
        except ImportError:  # the plugin's framework is not installed: not its object either
            continue
        if rows is not None:
            return list(rows)
    if callable(target):
        return [_function_row(target)]
    if isinstance(target, Iterable):
        return [row for item in target for row in coverage(item)]
    raise ConfigurationError(f"{type(target).__name__} is no agent, tool or list of tools")


def _function_row(function: Any) -> Row:
    wrapped = getattr(function, MARK, None)
    name = str(wrapped or getattr(function, "__name__", type(function).__name__))
    return name, "guard.wrap" if wrapped else None, ""


def _show(rows: list[Row], open_: list[Row]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("tool", "mediated by", "note"):
        table.add_column(name)
    for tool, by, note in rows:
        table.add_row(plain(tool), plain(by) if by else "[red]nothing[/red]", plain(note))
    out.print(table)
    if not rows:
        out.print("[yellow]no tools found[/yellow]")
    elif open_:
        out.print(f"\n[red]{len(open_)} of {len(rows)} tools can run without the guard.[/red]")
    else:
        out.print(f"\n[green]all {len(rows)} tools pass the guard.[/green]")

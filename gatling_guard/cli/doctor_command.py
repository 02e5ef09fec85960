"""`gatling-guard doctor TARGET`: tools an agent can reach that nothing mediates."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from gatling_guard.catalog import Catalog, ToolSpec
from gatling_guard.cli.console import (
    OK,
    REFUSED,
    JsonFlag,
    PolicyOption,
    cell,
    counted,
    out,
    print_json,
    reported,
)
from gatling_guard.errors import ConfigurationError
from gatling_guard.pipeline import Calibrated, Learned
from gatling_guard.policy import load_policy
from gatling_guard.wrapping import MARK

PLUGINS = "gatling_guard.coverage"
"""Entry points: functions `(target) -> list[Row or tuple like it] | None`, None when the target is
none of theirs."""
SPEC = "__gatling_guard_spec__"
"""Attribute of a guarded function: the `ToolSpec` that its guard decides by."""


class Row(NamedTuple):
    """One tool that can be reached."""

    tool: str
    mediated_by: str | None
    """None: nothing."""
    note: str = ""
    spec: ToolSpec | None = None
    """How the guard sees it, where that can be found."""

    def classified(self) -> dict[str, Any]:
        """What the guard takes the tool for; empty where that is not known."""
        if self.spec is None:
            return {}
        profile = self.spec.profile
        return {
            "effect": profile.effect.value,
            "tier": profile.tier.name.lower(),
            "third_party": list(profile.third_party),
            "basis": profile.basis,
        }


def doctor(
    target: Annotated[
        str, typer.Argument(help="`package.module:name` of an agent, a tool or a list of tools.")
    ],
    policy: PolicyOption = "standard",
    calibration: Annotated[
        Path | None, typer.Option("--calibration", "-c", help="Does this one fit? See calibrate.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """List the tools an agent can reach, and whether every call of them passes the guard.

    For a tool whose guard can be found it says what the guard takes it for: effect, tier of its
    output, fields that third parties write, and whether that was declared or inferred.

    It also says which learned parts of this installation decide beside the exact structure, and,
    with --calibration, whether that file would be in use under --policy: with tools whose guard
    cannot be found, the tools are not compared.

    The module is imported, so what it does on import is done.

    Exit codes: 0 every tool is mediated; 1 some are not; 2 the target cannot be loaded, or the
    calibration is of other heads.
    """
    with reported(json_):
        rows = coverage(load(target))
        learned = decides(rows, calibration, policy)
    open_ = [row for row in rows if row.mediated_by is None]
    if json_:
        tools = [
            {"tool": r.tool, "mediated_by": r.mediated_by, "note": r.note, **r.classified()}
            for r in rows
        ]
        print_json({"target": target, "tools": tools, "unmediated": [r.tool for r in open_],
                    "decides": learned})  # fmt: skip
    else:
        _show(rows, open_)
        out.print(f"What decides here: {cell(learned)}.")
    raise typer.Exit(REFUSED if open_ or not rows else OK)


def decides(rows: Sequence[Row], calibration: Path | None, policy: str) -> str:
    """Which parts and thresholds decide on these tools under a policy.

    Raises:
        ConfigurationError: the calibration cannot be read, or is of other heads.
    """
    learned = Learned("auto")
    if calibration is None:
        return learned.mode
    specs = [row.spec for row in rows if row.spec is not None]
    catalog = Catalog(specs) if len(specs) == len(rows) else None
    return Calibrated(calibration, learned).mode(load_policy(policy).digest, catalog)


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
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may end in `sys.exit()`
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
            return [Row(*row) for row in rows]
    if callable(target):
        return [_function_row(target)]
    if isinstance(target, Iterable):
        return [row for item in target for row in coverage(item)]
    raise ConfigurationError(f"{type(target).__name__} is no agent, tool or list of tools")


def _function_row(function: Any) -> Row:
    wrapped = getattr(function, MARK, None)
    name = str(wrapped or getattr(function, "__name__", type(function).__name__))
    spec = getattr(function, SPEC, None)
    return Row(name, "guard.wrap" if wrapped else None, "", spec)


def _show(rows: list[Row], open_: list[Row]) -> None:
    out.print(_table(rows))
    if not rows:
        out.print("[yellow]no tools found[/yellow]")
    elif open_:
        can = f"{len(open_)} of {counted(len(rows), 'tool')} can run without the guard."
        out.print(f"\n[red]{can}[/red]")
    else:
        out.print(f"\n[green]all tools pass the guard ({len(rows)}).[/green]")


def _table(rows: list[Row]) -> Table:
    known = any(row.spec for row in rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ("effect", "output", "third-party", "basis") if known else ()
    for name in ("tool", "mediated by", *columns, "note"):
        table.add_column(name, overflow="fold")
    for row in rows:
        by = cell(row.mediated_by) if row.mediated_by else "[red]nothing[/red]"
        found = row.classified()
        found["third_party"] = ", ".join(found.get("third_party", ())) or ("-" if found else "")
        values = [found.get(name, "") for name in ("effect", "tier", "third_party", "basis")]
        table.add_row(cell(row.tool), by, *map(cell, values if known else ()), cell(row.note))
    return table

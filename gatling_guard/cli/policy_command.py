"""`gatling-guard policy lint FILE`: what is wrong with a policy, with counter-examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatling_guard.cli.console import (
    OK,
    REFUSED,
    JsonFlag,
    counted,
    out,
    plain,
    print_json,
    print_note,
    reported,
)
from gatling_guard.cli.verb import Verb
from gatling_guard.errors import Issue, PolicyError
from gatling_guard.policy import load_policy, policy_warnings, read_source

app = typer.Typer(help="Look at policies.", no_args_is_help=True)


@app.callback()
def policy() -> None:
    """Look at policies."""


@app.command(cls=Verb)
def lint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy, YAML or JSON.")],
    as_json: JsonFlag = False,
) -> None:
    """Report every fault of a policy, and every pattern that lets through too much.

    Each finding about a pattern shows a value that the pattern was run on and let through.

    Exit codes: 0 it loads, there may be warnings; 1 it does not load; 2 it cannot be read.
    """
    with reported(as_json):
        source = read_source(file)
    warnings = policy_warnings(source)
    try:
        load_policy(file)
        errors: tuple[Issue, ...] = ()
    except PolicyError as error:
        errors = error.issues
    if as_json:
        found = [("error", issue) for issue in errors] + [("warning", i) for i in warnings]
        print_json({"file": str(file), "issues": [_shown(kind, issue) for kind, issue in found]})
    else:
        _print(errors, warnings)
    raise typer.Exit(REFUSED if errors else OK)


def _shown(severity: str, issue: Issue) -> dict[str, object]:
    place = {"where": issue.where, "line": issue.line}
    return {"severity": severity, **place, "message": issue.message}


def _print(errors: tuple[Issue, ...], warnings: list[Issue]) -> None:
    for severity, colour, issues in (("error", "red", errors), ("warning", "yellow", warnings)):
        for issue in issues:
            at = f"line {issue.line}: " if issue.line else ""
            out.print(f"[{colour}]{severity}[/{colour}] {at}{plain(issue.where)}", soft_wrap=True)
            print_note(issue.message)
    total = f"{counted(len(errors), 'error')}, {counted(len(warnings), 'warning')}"
    out.print(f"policy: {total}")

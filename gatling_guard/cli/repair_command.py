"""`gatling-guard repair PLAN`: the smallest edit with which a whole plan may run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gatling_guard.cli.console import (
    OK,
    REFUSED,
    JsonFlag,
    PolicyOption,
    err,
    json_text,
    out,
    plain,
    print_json,
    reported,
)
from gatling_guard.cli.plan_file import PlanFile, read_plan_file
from gatling_guard.decision import Allowed, Repaired
from gatling_guard.guard import Guard
from gatling_guard.policy import load_policy
from gatling_guard.report import RepairReport, patient, repair_report

SECONDS = 5.0


def repair(
    plan: Annotated[Path, typer.Argument(help="Plan as JSON (`-` for standard input).")],
    policy: PolicyOption = "standard",
    tools: Annotated[
        Path | None,
        typer.Option(help="JSON list of tools (JSON Schema, OpenAI or MCP form), or traces."),
    ] = None,
    role: Annotated[str | None, typer.Option(help="Role of the policy.")] = None,
    instruction: Annotated[str | None, typer.Option(help="What the user asked for.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="What each edit removes, and the energy.")
    ] = False,
    apply: Annotated[
        Path | None, typer.Option("--apply", metavar="OUT", help="Write the plan that may run.")
    ] = None,
    take_offer: Annotated[
        bool, typer.Option("--take-offer", help="You are the person who says yes to an offer.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0.001, max=60.0, help="Most time of one search.")
    ] = SECONDS,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Also write a page with drawings.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """Show the smallest edit with which a whole plan may run, before anything runs.

    The file is as for `check`. What a person would be asked is shown as an offer; --take-offer is
    that person's yes. --apply writes a plan only where it may run. The search takes the time of
    --seconds, not the policy's `repair.deadline_ms`, so that it may find more than a guard at work.

    Exit codes: 0 the plan may run, as it is or repaired; 1 it is held, blocked, or a repair is only
    offered, or a call still waits for a person; 2 bad input.
    """
    with reported(json_):
        loaded = load_policy(policy)
        guard = Guard(patient(loaded, seconds=seconds), shadow=False)
        file = read_plan_file(plan, tools, instruction)
        file.register(guard)
        found = repair_report(guard, file.plan, instruction=file.instruction, role=role)
        found = replace(found, policy=loaded.digest)  # the file's, not that of its longer limits
        runs = _runs(found, take_offer)
        written = [_written(html, found.html())] if html is not None else []
        if apply is not None and runs:
            written.append(_written(apply, as_file(file, found)))
    if json_:
        print_json({**found.as_dict(), "runs": runs})
    else:
        typer.echo(found.text(width=out.width, colour=out.is_terminal, why=explain), nl=False)
        _hints(guard, found, file, runs=runs, apply=apply, take_offer=take_offer)
        for path in written:
            err.print(f"written: {plain(path)}", soft_wrap=True)
    raise typer.Exit(OK if runs else REFUSED)


def as_file(file: PlanFile, found: RepairReport) -> str:
    """The plan that may run, in the form that it came in."""
    plan = found.plan or file.plan
    body = plan.model_dump(mode="json")
    if file.tools is not None:
        body = {"tools": file.tools, **body}
    if file.instruction is not None:
        body = {"instruction": file.instruction, **body}
    return json_text(body, exact=True)


def _runs(found: RepairReport, take_offer: bool) -> bool:
    """Whether nobody has to be asked any more."""
    if isinstance(found.decision, (Allowed, Repaired)):
        return True
    return take_offer and found.repair is not None and not found.repair.holds


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _hints(
    guard: Guard, found: RepairReport, file: PlanFile, *, runs: bool, apply: Path | None,
    take_offer: bool,
) -> None:  # fmt: skip
    """What to do where the plan may not run: on standard error."""
    if runs:
        return
    if not len(guard.catalog):
        err.print('hint: no tools were given: list them under "tools" in the plan, or use --tools')
    elif guard.policy.repair.mode == "off":
        err.print("hint: the policy says `repair: {mode: off}`")
    elif file.instruction is None:
        err.print("hint: no instruction was given, so nothing counts as asked for: --instruction")
    if found.offered and not take_offer:
        err.print("hint: --take-offer says yes to what is offered")
    if apply is not None:
        holds = found.repair.holds if take_offer and found.repair is not None else ()
        waits = f"still waiting for a person: {', '.join(holds)}"
        why = waits if holds else "the plan may not run yet"
        err.print(f"nothing is written to {plain(apply)}: {plain(why)}", soft_wrap=True)

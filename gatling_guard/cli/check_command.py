"""`gatling-guard check PLAN`: decide on a whole plan from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gatling_guard.cli.console import (
    OK,
    REFUSED,
    JsonFlag,
    PolicyOption,
    cell,
    err,
    out,
    print_json,
    print_note,
    print_rows,
    reported,
    styled,
)
from gatling_guard.cli.plan_file import read_plan_file
from gatling_guard.decision import Allowed, Decision, Held, Repaired
from gatling_guard.guard import Guard


def check(
    plan: Annotated[Path, typer.Argument(help="Plan as JSON (`-` for standard input).")],
    policy: PolicyOption = "standard",
    tools: Annotated[
        Path | None,
        typer.Option(help="JSON list of tools (JSON Schema, OpenAI or MCP form), or traces."),
    ] = None,
    role: Annotated[str | None, typer.Option(help="Role of the policy.")] = None,
    instruction: Annotated[str | None, typer.Option(help="What the user asked for.")] = None,
    json_: JsonFlag = False,
) -> None:
    """Decide on a whole plan before anything runs.

    The file holds {"nodes": [...], "edges": [...]} and may hold "tools" and "instruction" too.

    Exit codes: 0 the plan may run as it is; 1 a call is held or blocked, or a repaired plan could
    run instead; 2 bad input.
    """
    with reported(json_):
        guard = Guard(policy)
        file = read_plan_file(plan, tools, instruction)
        file.register(guard)
        decision = guard.check(file.plan, role=role, instruction=file.instruction)
    refused = not isinstance(decision, Allowed)
    print_json(as_json(decision)) if json_ else _show(decision)
    if refused and not len(guard.catalog):
        err.print('hint: no tools were given: list them under "tools" in the plan, or use --tools')
    raise typer.Exit(REFUSED if refused else OK)


def as_json(decision: Decision) -> dict[str, Any]:
    """A decision with everything an operator may know."""
    return {
        "action": decision.action,
        "decision_id": decision.decision_id,
        "mode": decision.mode,
        "tool": decision.tool_name,
        "node": decision.call.node_id if decision.call else None,
        "energy": decision.energy.as_dict(),
        "reasons": list(decision.reasons),
        "findings": [
            {"rule": f.rule, "action": f.action, "message": f.message, "where": f.where}
            for f in decision.findings
        ],
        "calls": [as_json(part) for part in decision.parts],
    }


def _show(decision: Decision) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    widest = max(12, out.width - 57)  # what the other columns leave
    table.add_column("call", no_wrap=True, min_width=4, max_width=12)
    table.add_column("tool", no_wrap=True, max_width=widest)
    table.add_column("action", no_wrap=True, min_width=6)
    for name in ("hier.", "prov.", "scope", "flow", "total"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
    for part in decision.parts:
        numbers = [f"{value:.1f}" for value in part.energy.as_dict().values()]
        node = part.call.node_id if part.call else ""
        table.add_row(cell(node), cell(part.tool_name), styled(part.action), *numbers)
    if decision.parts:
        print_rows(table, [_notes(part, widest) for part in decision.parts])
        out.print()
    total = f"energy {decision.energy.total:.1f}"
    out.print(f"plan: {styled(decision.action)}  ({total}, policy {decision.policy_digest[:8]})")
    repair = decision.repair if isinstance(decision, Repaired) else getattr(decision, "offer", None)
    if repair is not None:
        out.print("offered:" if isinstance(decision, Held) else "repaired:")
        for edit in repair.edits:
            print_note(edit)
    if not decision.parts:
        for reason in decision.reasons:
            print_note(reason)


def _notes(decision: Decision, widest: int) -> list[str]:
    """All reasons; before them the tool's name where the column cuts it."""
    name = decision.tool_name
    return [*([name] if len(name) > widest else []), *decision.reasons]

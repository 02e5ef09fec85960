"""`gatling-guard explain`: why a decision was made, from a ledger, a recorded trace, or a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatling_guard.bench import find_toolsets
from gatling_guard.catalog import Catalog
from gatling_guard.cli.console import (
    OK,
    JsonFlag,
    PolicyOption,
    err,
    out,
    plain,
    print_json,
    reported,
)
from gatling_guard.cli.plan_file import read_plan_file
from gatling_guard.cli.replay_command import ToolsetsOption
from gatling_guard.decision import Allowed, Repaired
from gatling_guard.errors import ConfigurationError, Issue
from gatling_guard.guard import Guard
from gatling_guard.ledger import Ledger
from gatling_guard.pipeline import ToolRequest
from gatling_guard.policy import load_policy
from gatling_guard.report import (
    Explanation,
    explain,
    explain_latest,
    explain_ref,
    explain_run,
)
from gatling_guard.trace import RecordedTrace, read_traces

RUN = "replay"
"""What a trace without an id is called."""


def explain_verb(
    ledger: Annotated[
        Path | None, typer.Argument(metavar="[LEDGER]", help="The ledger's SQLite file.")
    ] = None,
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="[REF]",
            help="What the model was shown (`ref ...`), or the id of a decision, hold or call.",
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest decision.")] = False,
    blocked: Annotated[
        bool, typer.Option("--blocked", help="The newest call that was held or blocked.")
    ] = False,
    run: Annotated[str | None, typer.Option("--run", help="All calls of this run.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Recorded traces (`.jsonl`, `.jsonl.xz`) to replay.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Which trace; the first one.")] = None,
    step: Annotated[
        int | None, typer.Option(min=1, help="Up to this step, and only it; all of them.")
    ] = None,
    toolsets: ToolsetsOption = None,
    plan: Annotated[Path | None, typer.Option(help="A whole plan as JSON, as for `check`.")] = None,
    policy: PolicyOption = "standard",
    tools: Annotated[Path | None, typer.Option(help="For --plan: JSON list, or traces.")] = None,
    role: Annotated[str | None, typer.Option(help="For --plan: role of the policy.")] = None,
    instruction: Annotated[
        str | None, typer.Option(help="For --plan: what the user asked for.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Also write a page with a drawing.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """Show why a decision was made: lineage with quotes, authority, rules, energy, what to do.

    One of: LEDGER with REF, --last, --blocked or --run; --trace FILE; --plan FILE. It is for
    operators: never show it to the model.

    Exit codes: 0 explained, whatever the decision was; 2 nothing found, or bad input.
    """
    with reported(json_):
        if sum(item is not None for item in (ledger, trace, plan)) != 1:
            raise ConfigurationError("give one of LEDGER, --trace FILE and --plan FILE")
        if ledger is not None:
            found = _from_ledger(ledger, ref, last, blocked, run)
        elif trace is not None:
            found = _from_trace(trace, id_, step, toolsets, policy)
        else:
            assert plan is not None
            found = _from_plan(plan, tools, policy, role, instruction)
        if html is not None:
            html.write_text(found.html(), encoding="utf-8")
    if json_:
        print_json(found.as_dict(), exact=True)
    else:
        typer.echo(found.text(width=out.width, colour=out.is_terminal), nl=False)
    if html is not None and not json_:
        err.print(f"written: {plain(html)}", soft_wrap=True)
    raise typer.Exit(OK)


def _from_ledger(
    path: Path, ref: str | None, last: bool, blocked: bool, run: str | None
) -> Explanation:
    if ref is not None and (last or blocked or run is not None):
        raise ConfigurationError("REF already says which decision: leave out the other options")
    with Ledger(path, read_only=True) as ledger:
        if ref is not None:
            return explain_ref(ledger, ref)
        if last or blocked:
            return explain_latest(ledger, refused=blocked, run=run)
        if run is not None:
            return explain_run(ledger, run)
    raise ConfigurationError("which decision? Give REF, --last, --blocked or --run")


def _from_trace(
    path: Path, id_: str | None, step: int | None, toolsets: Path | None, policy: str
) -> Explanation:
    recorded = _found(path, id_)
    run = recorded.id or RUN
    trace = recorded.with_tools(find_toolsets(path, toolsets)).visible()
    if step is not None and step > len(trace.steps):
        raise ConfigurationError(f"--step {step}: the trace has {len(trace.steps)} steps")
    loaded = load_policy(policy)
    limits = loaded.limits.model_copy(
        update={"deadline_ms": 10_000}
    )  # a busy machine decides alike
    guard = Guard(loaded.model_copy(update={"limits": limits}), catalog=Catalog(trace.tools))
    session = guard.session(run_id=run, instruction=trace.instruction, system=trace.system)
    for number, done in enumerate(trace.steps[:step], start=1):
        call_id = f"call-{number}"
        decision = session.check(ToolRequest(done.tool, done.arguments, call_id))
        if isinstance(decision, (Allowed, Repaired)):
            session.settle(call_id, done.output)
    return explain_run(guard.ledger, run) if step is None else explain_latest(guard.ledger)


def _found(path: Path, id_: str | None) -> RecordedTrace:
    """The trace of that id, the first one without."""
    issues: list[Issue] = []
    for trace in read_traces(path, on_error="collect", issues=issues):
        if id_ in (None, trace.id):
            return trace
    what = f"no trace {id_!r}" if id_ else "no usable trace"
    bad = f"; {len(issues)} lines are bad, the first: {issues[0]}" if issues else ""
    raise ConfigurationError(f"{path}: {what}{bad}")


def _from_plan(
    path: Path, tools: Path | None, policy: str, role: str | None, instruction: str | None
) -> Explanation:
    guard = Guard(policy)
    file = read_plan_file(path, tools, instruction)
    file.register(guard)
    decision = guard.check(file.plan, role=role, instruction=file.instruction)
    return explain(decision, ledger=guard.ledger)

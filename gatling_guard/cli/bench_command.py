"""`gatling-guard bench agentdojo`: live environments, no language model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from gatling_guard.bench import GuardSubject
from gatling_guard.cli.console import (
    OK,
    JsonFlag,
    PolicyOption,
    json_text,
    out,
    plain,
    print_json,
    reported,
)
from gatling_guard.cli.evaluate_command import percent
from gatling_guard.cli.replay_command import progress
from gatling_guard.cli.verb import Verb
from gatling_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from gatling_guard.bench.agentdojo import AttackTally, BenignTally, Tallies

app = typer.Typer(name="bench", help="Benchmarks that need extra packages.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Benchmarks that need extra packages."""


@app.command(cls=Verb)
def agentdojo(
    policy: PolicyOption = "standard",
    suite: Annotated[
        list[str] | None, typer.Option(help="workspace, travel, banking, slack; repeatable.")
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(help="direct, important_instructions, stealth, quiet; repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="User tasks per suite.")] = None,
    seed: Annotated[int, typer.Option(help="Which tasks a limit draws.")] = 0,
    report: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON report here too.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """The guard in the live environments of the package agentdojo, fully compromised agent.

    Recorded solutions of the user's tasks run for real; an attacker's text is planted in what
    they read, and the agent then makes all of the attacker's calls. Figures are given with nobody
    in the loop, and with a person who answers holds (the user's calls yes, the attacker's no).

    Exit codes: 0 done, whatever the figures; 2 bad usage or a package is missing.
    """
    with reported(json_):
        found, seconds = _run(policy, suite, attack, limit, seed)
        document = {"policy": policy, "seconds": seconds, **found.as_dict()}
        if report is not None:
            report.write_text(json_text(document), "utf-8")
    print_json(document) if json_ else _show(found, seconds)
    raise typer.Exit(OK)


def _run(
    policy: str, suites: list[str] | None, attacks: list[str] | None, limit: int | None, seed: int
) -> tuple[Tallies, float]:
    subject = GuardSubject(policy)
    try:
        from gatling_guard.bench import agentdojo as live
    except ImportError as error:
        raise ConfigurationError(
            f"this needs the package agentdojo: pip install 'gatling-guard[bench]' ({error})"
        ) from None
    settings = live.Settings(suites or live.SUITES, attacks or live.DEFAULT_ATTACKS, limit, seed)
    began = time.perf_counter()
    with progress("starting") as tick:
        trials = live.run_benchmark(subject, settings, lambda what, done, total: tick(what, total))
    return live.tally(trials), round(time.perf_counter() - began, 1)


def _show(found: Tallies, seconds: float) -> None:
    out.print(_benign(found.benign))
    for attack, tallies in found.attacks.items():
        out.print()
        out.print(_attack(attack, tallies))
    out.print("\n* a person answers holds: the user's calls yes, the attacker's no")
    if found.unreachable:
        out.print(
            f"pairs left out: {found.unreachable}: the task reads nothing that can be poisoned"
        )
    out.print(f"{seconds} s; --json lists every task lost and every attack missed")


def _benign(tallies: Mapping[str, BenignTally]) -> Table:
    table = _table("honest", "tasks", "unguarded", "useful", "useful*", "held*", "calls held",
                   "blocked")  # fmt: skip
    for name, t in tallies.items():
        table.add_row(
            plain(name), str(t.tasks), str(t.useful_unguarded), of(t.useful, t.tasks),
            of(t.useful_answered, t.tasks), of(t.tasks_held, t.tasks),
            f"{t.calls_held} of {t.calls}", str(t.calls_blocked),
        )  # fmt: skip
    return table


def _attack(attack: str, tallies: Mapping[str, AttackTally]) -> Table:
    short = attack.replace("important_instructions", "important")
    table = _table(short, "tried", "succeed", "stopped", "+ useful", "stopped*", "+ useful*",
                   "held*")  # fmt: skip
    for name, t in tallies.items():
        total = t.succeed_unguarded
        table.add_row(
            plain(name), str(t.attempted), str(total), of(t.stopped, total),
            of(t.useful_and_stopped, total), of(t.stopped_answered, total),
            of(t.useful_and_stopped_answered, total), of(t.pairs_held, total),
        )  # fmt: skip
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(plain(title))
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def of(hits: int, total: int) -> str:
    """A count with its share of a hundred."""
    return f"{hits} {percent(hits, total):>5}%"

"""`gatling-guard bench agentdojo`: live environments, no language model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from gatling_guard.bench import Subject
from gatling_guard.bench.comparison import (
    GUARD,
    UNREPAIRED,
    embedder_of,
    subjects_named,
    with_repair,
)
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
from gatling_guard.cli.evaluate_command import EmbedderOption, SubjectOption
from gatling_guard.cli.evaluate_tables import percent
from gatling_guard.cli.replay_command import progress
from gatling_guard.cli.verb import Verb
from gatling_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from gatling_guard.bench.agentdojo import AttackTally, BenignTally, RepairTally, Tallies

ALL = "all"
app = typer.Typer(name="bench", help="Benchmarks that need extra packages.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Benchmarks that need extra packages."""


@app.command(cls=Verb)
def agentdojo(
    subject: SubjectOption = None,
    policy: PolicyOption = "standard",
    embedder: EmbedderOption = None,
    suite: Annotated[
        list[str] | None, typer.Option(help="workspace, travel, banking, slack; repeatable.")
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(help="direct, important_instructions, stealth, quiet; repeatable."),
    ] = None,
    position: Annotated[
        str, typer.Option(help="The attacker's calls: `first` chance, or `last`, after the user's.")
    ] = "first",
    grants: Annotated[
        bool, typer.Option("--grants", metavar="", help="A yes to a hold is a grant for the task.")
    ] = False,
    repair: Annotated[
        str,
        typer.Option(help="on, off, or both: the guard with repairs beside `guard-norepair`."),
    ] = "on",
    limit: Annotated[int | None, typer.Option(min=1, help="User tasks per suite.")] = None,
    seed: Annotated[int, typer.Option(help="Which tasks a limit draws.")] = 0,
    report: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON report here too.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """The guard and the baseline lines in live environments, fully compromised agent.

    Of the package agentdojo: recorded solutions of the user's tasks run for real; an attacker's
    text is planted in what they read, and the agent then makes all of the attacker's calls.
    Figures are given with nobody in the loop, and with a person who answers holds (the user's
    calls yes, the attacker's no).

    Exit codes: 0 done, whatever the figures; 2 bad usage or a package is missing.
    """
    with reported(json_):
        began = time.perf_counter()
        options = {"limit": limit, "seed": seed, "position": position, "grants": grants}
        subjects = subjects_named(subject or [GUARD], policy, embedder=embedder)
        subjects = with_repair(subjects, repair, policy)
        found, repairs = _run(subjects, suite, attack, options)
        document = {
            "policy": policy,
            "embedder": embedder_of(subjects),
            **options,
            "repair": repair,
            "seconds": round(time.perf_counter() - began, 1),
            "subjects": {name: tallies.as_dict() for name, tallies in found.items()},
            "repairs": [asdict(line) for line in repairs],
        }
        if report is not None:
            report.write_text(json_text(document), "utf-8")
    if json_:
        print_json(document)
    else:
        _show(found, document)
        _show_repairs(repairs)
    raise typer.Exit(OK)


def _run(
    subjects: Mapping[str, Subject],
    suites: list[str] | None,
    attacks: list[str] | None,
    options: dict[str, Any],
) -> tuple[dict[str, Tallies], list[RepairTally]]:
    try:
        from gatling_guard.bench import agentdojo as live
    except ImportError as error:
        raise ConfigurationError(
            f"this needs the package agentdojo: pip install 'gatling-guard[bench]' ({error})"
        ) from None
    settings = live.Settings(suites or live.SUITES, attacks or live.DEFAULT_ATTACKS, **options)
    with progress("starting") as tick:
        found = live.run_benchmarks(subjects, settings, lambda what, done, total: tick(what, total))
    both = GUARD in found and UNREPAIRED in found
    repairs = live.repair_tallies(found[GUARD], found[UNREPAIRED]) if both else []
    return {name: live.tally(trials) for name, trials in found.items()}, repairs


def _show(found: Mapping[str, Tallies], document: Mapping[str, Any]) -> None:
    if len(found) > 1:
        out.print(_lines(found))
    else:
        (tallies,) = found.values()
        out.print(_benign(tallies.benign))
        for attack, suites in tallies.attacks.items():
            out.print()
            out.print(_attack(attack, suites))
        out.print()
        out.print(_person(tallies))
    answer = "as a grant for the task" if document["grants"] else "call by call"
    out.print(f"\n* a person answers holds, {answer}: the user's calls yes, the attacker's no")
    unreachable = next(iter(found.values())).unreachable
    if unreachable:
        out.print(f"pairs left out: {unreachable}: the task reads nothing that can be poisoned")
    if document["embedder"]:
        out.print(f"A0 to T5 embed with {document['embedder']}, untrained")
    if document["position"] == "last":
        out.print("the attacker's calls come after all of the user's")
    out.print(f"{document['seconds']} s; --json lists every task lost and every attack missed")


def _show_repairs(repairs: list[RepairTally]) -> None:
    """What repairs change under attack, over all suites and attacks."""
    if not repairs:
        return
    table = _table("repair", "useful + stopped", "without", "gained", "lost", "let through")
    for line in repairs:
        table.add_row(
            "answered*" if line.person == "answered" else line.person,
            of(line.useful_and_stopped, line.succeed_unguarded),
            of(line.useful_and_stopped_off, line.succeed_unguarded),
            str(len(line.gained)), str(len(line.lost)), str(len(line.let_through)),
        )  # fmt: skip
    out.print()
    out.print(table)


def _lines(found: Mapping[str, Tallies]) -> Table:
    """The subjects side by side, over all suites; a guard's holds per honest task beside."""
    attacks = list(next(iter(found.values())).attacks)
    names = [attack.replace("important_instructions", "important") for attack in attacks]
    table = _table("stopped of", "useful", "useful*", "holds*", *names, "useful attacked")
    for name, tallies in found.items():
        benign, stopped = tallies.benign[ALL], [tallies.attacks[a][ALL] for a in attacks]
        table.add_row(
            plain(name), of(benign.useful, benign.tasks),
            of(benign.useful_answered, benign.tasks), f"{benign.holds_mean:.2f}",
            *(of(t.stopped, t.succeed_unguarded) for t in stopped),
            "/".join(percent(t.useful_and_stopped, t.succeed_unguarded) for t in stopped),
        )  # fmt: skip
    return table


def _person(found: Tallies) -> Table:
    """What a person who answers holds sees, over all suites."""
    table = _table("person*", "asked in", "holds per task", "most")
    honest, attacks = found.benign[ALL], found.attacks
    table.add_row(
        "honest", of(honest.tasks_held, honest.tasks), f"{honest.holds_mean:.2f}",
        str(honest.holds_max),
    )  # fmt: skip
    for attack, suites in attacks.items():
        t = suites[ALL]
        table.add_row(
            plain(attack.replace("important_instructions", "important")),
            of(t.pairs_held, t.succeed_unguarded), f"{t.holds_mean:.2f}", str(t.holds_max),
        )  # fmt: skip
    return table


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

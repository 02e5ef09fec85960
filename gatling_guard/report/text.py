"""An explanation for a terminal: any width, colour only where it is wanted, one printable text.

No markup is parsed: foreign text is put into `rich.text.Text`, hidden characters shown.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gatling_guard.report.svg import VERDICTS
from gatling_guard.report.types import TIERS, Argument, Explanation, ShareOf
from gatling_guard.report.visible import pieces, visible
from gatling_guard.report.words import (
    about_argument,
    about_repair,
    about_source,
    distinct,
    facts_of,
    grouped,
    headline,
    largest,
)

_COLOURS = {"allow": "green", "repair": "cyan", "hold": "yellow", "block": "red"}
_TIER = {1: "blue", 2: "yellow", 3: "red"}
_BAR = 10
MAX_PARTS, MAX_SHARES = 30, 12


def as_text(found: Explanation, *, width: int = 100, colour: bool = False) -> str:
    """The explanation as text of at most `width` columns."""
    file = io.StringIO()
    console = Console(
        file=file, width=max(30, width), force_terminal=colour, highlight=False, emoji=False,
        color_system="standard" if colour else None, legacy_windows=False,
    )  # fmt: skip
    console.print(renderable(found))
    lines = file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def renderable(found: Explanation) -> RenderableType:
    """For `rich.console.Console.print`."""
    return Group(*_all(found))


def _all(found: Explanation) -> Iterator[RenderableType]:
    yield _title(found)
    yield Text(" · ".join(f"{name} {visible(value, 64)}" for name, value in facts_of(found)), "dim")
    yield Text.assemble(("why  ", "bold"), visible(found.why, 700))
    yield from _details(found)
    for part in found.parts[:MAX_PARTS]:
        stopped = part.verdict in ("hold", "block")
        yield Text("\n" if stopped or part is found.parts[0] else "", end="")
        yield _title(part)
        if stopped or part.total > 0.0:
            yield _in(Text(visible(part.why, 500)))
        if stopped or part.repair is not None:
            yield from (_in(item) for item in _details(part))
    left = len(found.nodes) - min(len(found.parts), MAX_PARTS) if found.parts else 0
    if left > 0:
        yield Text(f"\n{left} more calls without details", "dim")


def _title(found: Explanation) -> Text:
    word = VERDICTS.get(found.verdict, "not decided").upper()
    shadow = " (shadow: it ran)" if found.mode == "shadow" and found.would else ""
    node = f"  {visible(found.node, 40)}" if found.node else ""
    style = f"bold {_COLOURS.get(found.verdict, 'white')}"
    return Text.assemble((word + shadow, style), "  ", (visible(headline(found), 120), "bold"),
                         (node, "dim"))  # fmt: skip


def _details(found: Explanation) -> Iterator[RenderableType]:
    if found.arguments:
        yield _heading("arguments")
        for leaf in found.arguments:
            yield from _argument(leaf)
    if found.authority:
        yield _heading("what the trusted side said")
        for said, text, values in grouped(found):
            yield _in(Text(visible(said, 300), "green"))
            yield _in(_quoted(text, *values), 4)
    if found.rules:
        yield _heading("rules")
        for rule in found.rules:
            style = _COLOURS.get(rule.action, "dim")
            yield _in(
                Text.assemble((visible(rule.rule, 60), style), "  ", visible(rule.message, 500))
            )
    if found.shares or found.thresholds:
        yield from _energy(found)
    if found.repair is not None:
        title, figures = about_repair(found.repair)
        yield _heading(title)
        for change in found.repair.changes:
            kind = Text(f"{visible(change.kind, 12)}  ", "bold cyan")
            yield _in(kind.append(visible(change.text, 300), "default not bold"))
        yield _in(Text(visible(figures, 400), "dim"))
    elif found.unrepaired:
        yield _heading("not repaired")
        yield _in(Text(visible(found.unrepaired, 400)))
    if found.actions:
        yield _heading("what you can do")
        for number, item in enumerate(found.actions, start=1):
            yield _in(Text.assemble((f"{number}. {visible(item.title, 160)}", "bold")))
            if item.detail:
                yield _in(Text(visible(item.detail, 600)), 5)
            for line in item.code.split("\n") if item.code else ():
                bare = line.lstrip(" ")
                yield _in(Text(visible(bare), "cyan"), 7 + len(line) - len(bare))
    if found.history:
        yield _heading("what became of it")
        yield from (_in(Text(visible(item, 200))) for item in found.history)


def _heading(text: str) -> Text:
    return Text.assemble("\n", (text, "bold underline"))


def _in(item: RenderableType, columns: int = 2) -> Padding:
    return Padding(item, (0, 0, 0, columns), expand=False)


def _argument(leaf: Argument) -> Iterator[RenderableType]:
    colour = "green" if leaf.named else _TIER[leaf.tier]
    value = visible(leaf.value) or ("(empty)" if leaf.empty else "(not recorded)")
    name = visible(leaf.path.strip("/") or leaf.argument, 60)
    tier = "" if leaf.named else f"{TIERS[leaf.tier]}, "
    about = f"{tier}{about_argument(leaf)}"
    yield _in(Text.assemble((name, "bold"), " = ", value, "  ", (about, colour)))
    for source in () if leaf.empty else distinct(leaf):
        yield _in(Text(visible(about_source(source), 200), "dim"), 4)
        if source.quote:
            yield _in(_quoted(source.quote, leaf.value), 6)


def _quoted(text: str, *values: str) -> Text:
    found = Text('"')
    for piece, hit in pieces(visible(text), *map(visible, values)):
        found.append(f"[{piece}]" if hit else piece, "bold reverse" if hit else "")
    return found.append('"')


def _energy(found: Explanation) -> Iterator[RenderableType]:
    bands = ""
    if found.thresholds:
        bands = f"  (below {found.thresholds[0]:g}: allow; from {found.thresholds[1]:g} on: block)"
    yield _heading("energy").append(f" {found.total:.2f}{bands}", "not underline")
    table = Table.grid(padding=(0, 1))
    for justify in ("right", "left", "left"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_column(overflow="fold")
    for share in largest(found.shares, MAX_SHARES):
        table.add_row(*_share(share, found.total))
    yield _in(table)


def _share(share: ShareOf, total: float) -> tuple[Text, Text, Text, Text]:
    size = round(_BAR * share.value / total) if total > 0 else 0
    where = f" [{visible(share.where.strip('/'), 40)}]" if share.where.strip("/") else ""
    return (
        Text(f"{share.value:.2f}"), Text(visible(share.term, 12), "bold"),
        Text("#" * max(1, min(_BAR, size)), "magenta"),
        Text.assemble(visible(share.reason, 200), (where, "dim")),
    )  # fmt: skip

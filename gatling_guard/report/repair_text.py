"""A repair for a terminal: what it comes to, the calls as a diff, the edits, the plan as a tree.

No markup is parsed: foreign text is put into `rich.text.Text`, hidden characters shown. Colour
never stands alone: every line begins with a sign or a word that says the same.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from gatling_guard.report.repair_words import ABOUT, SIGNS, marked, summary, verdict, worth
from gatling_guard.report.repairs import CallChange, EditEffect, RepairReport, drawings
from gatling_guard.report.svg import GONE, VERDICTS
from gatling_guard.report.types import Link, Node
from gatling_guard.report.visible import visible

_COLOURS = {"allow": "green", "repair": "cyan", "hold": "yellow", "block": "red", GONE: "red"}
_STATE = {"same": "dim", "changed": "cyan", "left out": "red", "waits": "yellow", "new": "cyan"}
_VALUE, _NAME = 300, 60
_MOST_CALLS = 200


def as_text(found: RepairReport, *, width: int = 100, colour: bool = False, why: bool) -> str:
    """The repair as text of at most `width` columns."""
    file = io.StringIO()
    console = Console(
        file=file, width=max(30, width), force_terminal=colour, highlight=False, emoji=False,
        color_system="standard" if colour else None, legacy_windows=False,
    )  # fmt: skip
    console.print(Group(*_all(found, why)))
    lines = file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _all(found: RepairReport, why: bool) -> Iterator[RenderableType]:
    action, word = verdict(found)
    yield Text.assemble((word.upper(), f"bold {_COLOURS[action]}"), "  ", (summary(found), "bold"))
    if found.repair is not None:
        yield Text(" · ".join(worth(found)), "dim")
    elif found.before.why and action != "allow":
        yield Text.assemble(("why  ", "bold"), visible(found.before.why, 700))
    yield _heading("calls")
    for call in found.calls[:_MOST_CALLS]:
        yield from _call(call)
    if len(found.calls) > _MOST_CALLS:
        yield _in(Text(f"{len(found.calls) - _MOST_CALLS} more calls", "dim"))
    if found.edits:
        yield _heading("edits")
        yield from _edits(found.edits, why)
    for title, nodes, links in drawings(found):
        yield _heading(f"the plan, {title}")
        yield from _in_trees(nodes, links)


def _call(call: CallChange) -> Iterator[RenderableType]:
    style = _STATE[call.state]
    tool = visible(call.tool, _NAME)
    head = (f"{SIGNS[call.state]} ", f"bold {style}")
    line = Text.assemble(head, (visible(call.node, 40), style))
    line.append("  ").append(tool, "bold strike" if call.state == "left out" else "bold")
    if call.tool_after:
        line.append(f" -> {visible(call.tool_after, _NAME)}", "bold cyan")
    if call.state == "same":
        line.append(f"  {_brief(call.same)}", "dim")
    said = ABOUT[call.state]
    if not said and call.after in ("hold", "block"):
        said = VERDICTS[call.after]
        style = _COLOURS[call.after]
    if said:
        line.append(f"  {said}", style)
    yield _in(line)
    for item in call.differences:
        name = visible(item.where.strip("/"), _NAME)
        for sign, value, other, colour in (
            ("-", item.before, item.after, "red"), ("+", item.after, item.before, "green"),
        ):  # fmt: skip
            if value is not None:
                yield _in(_difference(f"{sign} {name}: ", value, other, colour), 6)
    if call.state in ("left out", "waits", "new", "changed") and call.same:
        yield _in(Text(f"  {_brief(call.same)}", "dim"), 6)


def _difference(head: str, value: str, other: str | None, colour: str) -> Text:
    """The value; what is not in the other one too stands out."""
    found = Text(head, colour)
    for piece, differs in marked(visible(value, _VALUE), other and visible(other, _VALUE)):
        found.append(piece, f"bold {colour}" if differs else colour)
    return found


def _brief(arguments: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{visible(name, 40)}={visible(value, 60)}" for name, value in arguments)


def _edits(edits: Sequence[EditEffect], why: bool) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 2))
    for justify in ("right", "left", "left"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_column(overflow="fold")
    for number, edit in enumerate(edits, start=1):
        cost = Text(f"cost {edit.cost:.1f}", "dim")
        table.add_row(
            Text(f"{number}."), Text(edit.kind, "bold"), cost, Text(visible(edit.sentence, 200))
        )
        if why:
            for reason in edit.removes:
                table.add_row("", Text("removes", "dim"), "", Text(visible(reason, 400), "dim"))
            figures = f"{edit.energy_before:.1f} -> {edit.energy_after:.1f}"
            table.add_row("", Text("energy", "dim"), "", Text(figures, "dim"))
    yield _in(table)


def _in_trees(nodes: Sequence[Node], links: Sequence[Link]) -> Iterator[RenderableType]:
    """Each call under the first one whose data it uses; later ones only name it."""
    into: dict[str, list[Link]] = {}
    for link in links:
        if link.source != link.target:
            into.setdefault(link.source, []).append(link)
    targets = {link.target for group in into.values() for link in group}
    shown: set[str] = set()
    known = {node.id: node for node in nodes}
    roots = [node for node in nodes if node.id not in targets]
    for root in [*roots, *nodes]:  # what lies on a cycle hangs under no root
        if root.id in shown:
            continue
        tree = Tree(_leaf(root), guide_style="dim")
        shown.add(root.id)
        _grow(tree, root.id, into, known, shown)
        yield _in(tree)


def _grow(
    tree: Tree, name: str, into: dict[str, list[Link]], known: dict[str, Node], shown: set[str]
) -> None:
    waiting = [(tree, name)]
    while waiting:
        branch, source = waiting.pop()
        for link in into.get(source, []):
            node = known.get(link.target)
            if node is None:
                continue
            label = (f"{visible(link.label or 'data', 40)}: ", "dim")
            if node.id in shown:
                branch.add(Text.assemble(label, (f"{visible(node.id, 40)} (above)", "dim")))
                continue
            shown.add(node.id)
            waiting.append((branch.add(Text.assemble(label, _leaf(node))), node.id))


def _leaf(node: Node) -> Text:
    colour = _COLOURS.get(node.action, "white")
    word = VERDICTS.get(node.action, "left out" if node.action == GONE else "")
    energy = f" {node.energy:.1f}" if node.energy else ""
    return Text.assemble(
        (visible(node.tool, _NAME), "strike" if node.action == GONE else ""),
        (f" {visible(node.id, 40)}", "dim"), (f"  {word}{energy}", colour),
    )  # fmt: skip


def _heading(text: str) -> Text:
    return Text.assemble("\n", (text, "bold underline"))


def _in(item: RenderableType, columns: int = 2) -> Padding:
    return Padding(item, (0, 0, 0, columns), expand=False)

"""The plan as a drawing: inline SVG, coloured by the style sheet of the page around it.

Colour never stands alone: a public flow is also thick, a partner's dashed, and every verdict is
written out. All text is foreign and escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gatling_guard.report.layout import HEIGHT, WIDE, WIDTH, Layout, Point, placed, selected
from gatling_guard.report.types import TIERS, Link, Node
from gatling_guard.report.visible import visible

_NAME, _LABEL, _ID, _PERSON = 22, 20, 24, 16
"""Characters of a tool's name, a link's label, a call's id and a person's name that fit."""
VERDICTS = {"allow": "allowed", "repair": "repaired", "hold": "held", "block": "blocked"}
GONE = "gone"
"""The action of a call that a repair leaves out; its box is drawn as an outline."""


def esc(text: object, room: int = 0) -> str:
    """Foreign text, for an element or a quoted attribute."""
    return escape(visible(text, room), quote=True)


def as_svg(
    nodes: Sequence[Node], links: Sequence[Link], focus: str = "", *, number: int = 0,
    wide: float = WIDE,
) -> tuple[str, int]:  # fmt: skip
    """The drawing, and how many calls it leaves out.

    Args:
        nodes: the calls.
        links: the data flows.
        focus: the call that was decided, or "".
        number: makes ids unique where a page has several drawings.
        wide: a drawing wider than this flows downwards, where that makes it narrower.
    """
    shown = selected(nodes, links, focus)
    names = {node.id for node in shown}
    inside = [link for link in links if link.source in names and link.target in names]
    layout = placed(shown, inside, wide)
    merged = _merged(inside)
    lines = [_path(layout, link) for link in merged]
    labels = [_label(layout, link) for link in merged]
    boxes = [_box(layout, node, node.id == focus) for node in shown]
    size = f"{layout.width:.0f} {layout.height:.0f}"
    title, described = f"g{number}-title", f"g{number}-desc"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {size}" '
        f'width="{layout.width:.0f}" height="{layout.height:.0f}" '
        f'aria-labelledby="{title} {described}">'
        f'<title id="{title}">Calls and the data flow between them</title>'
        f'<desc id="{described}">{_described(shown, merged)}</desc>'
    )
    return "\n".join([head, *lines, *labels, *boxes, "</svg>"]), len(nodes) - len(shown)


def _merged(links: Sequence[Link]) -> list[Link]:
    """One line per pair of calls: all its arguments, and the worst tier."""
    found: dict[tuple[str, str], list[Link]] = {}
    for link in links:
        if link.source != link.target:
            found.setdefault((link.source, link.target), []).append(link)
    result = []
    for (source, target), group in found.items():
        label = ", ".join(dict.fromkeys(link.label for link in group if link.label))
        result.append(Link(source, target, label, max(link.tier for link in group)))
    return sorted(result, key=lambda link: link.tier)  # the worst is drawn last, on top


def _described(nodes: Sequence[Node], links: Sequence[Link]) -> str:
    tools = {node.id: node.tool or "?" for node in nodes}
    calls = "; ".join(f"{n.tool} {VERDICTS.get(n.action, 'not decided')}" for n in nodes)
    flows = "; ".join(
        f"{tools[k.source]} to {tools[k.target]}: {k.label or 'data'}, {TIERS[k.tier]}"
        for k in links[:60]
    )
    return esc(f"Calls: {calls}. Data flows: {flows or 'none'}.", 6000)


def _path(layout: Layout, link: Link) -> str:
    points = layout.routes[link.source, link.target]
    said = esc(f"{link.label or 'data'}: {TIERS[link.tier]} data", 400)
    curve = "".join(
        _curve(a, b, layout.downwards) for a, b in zip(points, points[1:], strict=False)
    )
    (x, y), tier = points[-1], TIERS[link.tier]
    tip = f"M{x - 4:.1f} {y - 8:.1f}L{x:.1f} {y:.1f}L{x + 4:.1f} {y - 8:.1f}z"
    if not layout.downwards:
        tip = f"M{x - 8:.1f} {y - 4:.1f}L{x:.1f} {y:.1f}L{x - 8:.1f} {y + 4:.1f}z"
    start = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    return (
        f'<g class="link {tier}"><title>{said}</title>'
        f'<path class="line" d="{start}{curve}"/><path class="tip" d="{tip}"/></g>'
    )


def _curve(a: Point, b: Point, downwards: bool) -> str:
    (x1, y1), (x2, y2) = a, b
    if downwards:
        bend = max(14.0, abs(y2 - y1) * 0.5)
        ends = (x1, y1 + bend, x2, y2 - bend, x2, y2)
    else:
        bend = max(20.0, abs(x2 - x1) * 0.45)
        ends = (x1 + bend, y1, x2 - bend, y2, x2, y2)
    return "C" + " ".join(f"{value:.1f}" for value in ends)


def _label(layout: Layout, link: Link) -> str:
    """At the end where fewer links meet, so that labels stand apart."""
    if not link.label:
        return ""
    routes = layout.routes
    at_end = sum(s == link.source for s, _ in routes) > sum(t == link.target for _, t in routes)
    x, y = routes[link.source, link.target][-1 if at_end else 0]
    anchor = ' text-anchor="end"' if at_end and not layout.downwards else ""
    if layout.downwards:
        x, y = x + 6, y - 13 if at_end else y + 15
    else:
        x, y = x - 11 if at_end else x + 8, y - 5
    room = _LABEL if not layout.downwards else 13
    text, tier = esc(link.label, room), TIERS[link.tier]
    return f'<text class="label {tier}" x="{x:.1f}" y="{y:.1f}"{anchor}>{text}</text>'


def _box(layout: Layout, node: Node, focus: bool) -> str:
    x, y = layout.corners[node.id]
    verdict = VERDICTS.get(node.action, "no receipt")
    second = f"{verdict}, energy {node.energy:.1f}" if node.action else "no receipt"
    if node.action == GONE:
        second = "left out"
    said = f"{node.tool} ({node.id}): {second}" + (", this decision" if focus else "")
    if node.approved_by and node.action == "allow":
        second = f"approved by {visible(node.approved_by, _PERSON)}"
    kind = node.action if node.action in VERDICTS or node.action == GONE else "unknown"
    return (
        f'<g class="call {kind}{" focus" if focus else ""}"><title>{esc(said, 500)}</title>'
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" '
        f'rx="7"/><rect class="edge" x="{x:.1f}" y="{y + 7:.1f}" width="5" '
        f'height="{HEIGHT - 14:.0f}" rx="2"/>'
        f'<text class="tool" x="{x + 16:.1f}" y="{y + 23:.1f}">{esc(node.tool or "?", _NAME)}'
        f'</text><text class="id" x="{x + 16:.1f}" y="{y + 39:.1f}">{esc(node.id, _ID)}</text>'
        f'<text class="said" x="{x + 16:.1f}" y="{y + 56:.1f}">{esc(second)}</text></g>'
    )

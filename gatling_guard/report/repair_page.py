"""A repair as one HTML file: both plans side by side, every change, every edit.

As `page`: no script, no request, light and dark, printable; all that is foreign is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatling_guard.report.page import bdi, document, esc_piece, flow_legend
from gatling_guard.report.repair_words import ABOUT, SIGNS, marked, summary, verdict, worth
from gatling_guard.report.repairs import CallChange, Difference, EditEffect, RepairReport, drawings
from gatling_guard.report.svg import VERDICTS, as_svg, esc
from gatling_guard.report.visible import visible

_NARROW = 560.0
"""Of a drawing that stands beside another one."""
_MOST_CALLS = 200
_STATE = {"same": "unknown", "changed": "repair", "left out": "block", "waits": "hold",
          "new": "repair"}  # fmt: skip


def as_page(found: RepairReport) -> str:
    """The whole page."""
    _, word = verdict(found)
    body = [_head(found), _drawings(found), *_edits(found), _calls(found), _foot(found)]
    return document(f"Whole plan: {word}", "\n".join(body))


def _head(found: RepairReport) -> str:
    action, word = verdict(found)
    figures = worth(found) if found.repair is not None else [f"policy {found.policy[:8]}"]
    why = ""
    if found.repair is None and action != "allow":
        why = f'<p class="soft">{bdi(found.before.why, 1200)}</p>'
    return (
        f'<header><div class="head"><h1>Whole plan</h1>'
        f'<span class="badge {action}">{esc(word)}</span></div>'
        f'<p class="why">{bdi(summary(found))}</p>{why}'
        f'<p class="soft small">{esc(" · ".join(figures))}</p></header>'
    )


def _drawings(found: RepairReport) -> str:
    sides, left = [], 0
    for number, (title, nodes, links) in enumerate(drawings(found)):
        svg, hidden = as_svg(nodes, links, number=number, wide=_NARROW)
        left = max(left, hidden)
        sides.append(
            f"<figure><figcaption>{esc(title[:1].upper() + title[1:])}</figcaption>"
            f'<div class="drawing" tabindex="0" role="group" aria-label="{esc(title)}">{svg}</div>'
            "</figure>"
        )
    return (
        f'<section><h2>Before and after</h2><div class="sides">{"".join(sides)}</div>'
        f"{flow_legend(left)}</section>"
    )


def _edits(found: RepairReport) -> Iterator[str]:
    if not found.edits:
        return
    most = max(max(edit.energy_before, edit.energy_after) for edit in found.edits)
    rows = "".join(_edit(number, edit, most) for number, edit in enumerate(found.edits, start=1))
    yield (
        '<section><h2>What is edited, and what that removes</h2><div class="table">'
        '<table class="edits"><tr><th>edit</th><th></th><th class="number">cost</th>'
        f"<th>energy of the calls that run</th></tr>{rows}</table></div></section>"
    )


def _edit(number: int, edit: EditEffect, most: float) -> str:
    removes = "".join(f'<p class="small soft">removes {bdi(r, 500)}</p>' for r in edit.removes)
    bars = "".join(
        f'<rect class="{kind}" x="0" y="{y}" width="{160 * value / most if most else 0:.1f}" '
        'height="7" rx="2"/>'
        for kind, y, value in (("was", 1, edit.energy_before), ("now", 11, edit.energy_after))
    )
    figures = f"{edit.energy_before:.1f} to {edit.energy_after:.1f}"
    return (
        f'<tr><td class="term">{number}. <b>{esc(edit.kind)}</b></td>'
        f"<td>{bdi(edit.sentence, 300)}{removes}</td>"
        f'<td class="number">{edit.cost:.1f}</td><td class="term"><svg class="fall" role="img" '
        f'aria-label="energy {figures}" width="164" height="19">{bars}</svg> '
        f'<span class="small">{figures}</span></td></tr>'
    )


def _calls(found: RepairReport) -> str:
    shown = sorted(found.calls, key=lambda call: call.state == "same")[:_MOST_CALLS]
    left = len(found.calls) - len(shown)
    more = f'<p class="soft">{left} more calls.</p>' if left else ""
    return f"<section><h2>Call by call</h2>{''.join(map(_call, shown))}{more}</section>"


def _call(call: CallChange) -> str:
    swap = f" to <b>{bdi(call.tool_after, 120)}</b>" if call.tool_after else ""
    now = call.after if call.after in VERDICTS else ""
    words = ABOUT[call.state] or (VERDICTS[now] if now else "")
    style = _STATE[call.state] if ABOUT[call.state] else now or "unknown"
    sign = SIGNS[call.state].strip()
    rows = "".join(map(_difference, call.differences))
    rows += "".join(
        f'<tr><td><code>{bdi(name, 80)}</code></td><td colspan="2"><code class="soft">'
        f"{bdi(value, 300)}</code></td></tr>"
        for name, value in call.same
    )
    was = f"{VERDICTS[call.before]} before · " if call.before in VERDICTS else ""
    head = "<tr><th>argument</th><th>before</th><th>after</th></tr>" if call.differences else ""
    table = f'<div class="table"><table class="diff">{head}{rows}</table></div>' if rows else ""
    gone = ' class="gone"' if call.state == "left out" else ""
    energy = f"energy {call.energy_before:.1f}"
    if call.state in ("changed", "new"):
        energy += f" to {call.energy_after:.1f}"
    return (
        f'<div class="arg"><h3><span class="{style}">{esc(sign)}</span> '
        f"<b{gone}>{bdi(call.tool, 120)}</b>{swap} "
        f'<span class="tag {style}">{esc(words)}</span> '
        f'<span class="soft small">{bdi(call.node, 60)} · {was}{energy}'
        f"</span></h3>{table}</div>"
    )


def _difference(item: Difference) -> str:
    name = bdi(item.where.strip("/"), 120)
    before, after = _side(item.before, item.after, "was"), _side(item.after, item.before, "now")
    return f"<tr><td><code>{name}</code></td>{before}{after}</tr>"


def _side(value: str | None, other: str | None, kind: str) -> str:
    if value is None:
        return '<td class="soft small">nothing</td>'
    inner = "".join(
        f"<mark>{esc_piece(piece)}</mark>" if differs else esc_piece(piece)
        for piece, differs in marked(visible(value, 600), other and visible(other, 600))
    )
    return f'<td class="{kind}"><code><bdi>{inner}</bdi></code></td>'


def _foot(found: RepairReport) -> str:
    decision = esc(found.decision.decision_id, 64)
    return (
        '<footer class="soft small">For operators: not for the model, nor for whoever wrote what '
        f"it reads. Made by gatling-guard, decision <code>{decision}</code>; secrets are replaced."
        "</footer>"
    )

"""An explanation as one HTML file: no script, no request, light and dark, printable.

Everything shown is foreign. All of it passes `esc`, is isolated (`bdi`) so that it cannot turn the
text around it, and the page forbids itself to load or run anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatling_guard.report.style import STYLE
from gatling_guard.report.svg import VERDICTS, as_svg, esc
from gatling_guard.report.types import (
    TIERS,
    Advice,
    Argument,
    Explanation,
    Rule,
    ShareOf,
    Source,
)
from gatling_guard.report.visible import pieces, visible
from gatling_guard.report.words import (
    TERM_WORDS,
    about_argument,
    about_repair,
    about_source,
    distinct,
    facts_of,
    grouped,
    headline,
    largest,
)

MAX_PARTS, MAX_SHARES = 60, 14
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_TERMS = ("hierarchy", "provenance", "scope", "flow")


def as_page(found: Explanation) -> str:
    """The whole page."""
    title = f"{headline(found)}: {VERDICTS.get(found.verdict, found.verdict)}"
    sections = _sections(found, legend=True)
    body = "\n".join([_head(found), _drawing(found), *sections, *_parts(found), _foot(found)])
    return document(title, body)


def document(title: str, body: str) -> str:
    """A page around its body; `title` is escaped here, the body is HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{esc(title, 120)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def bdi(text: object, room: int = 0) -> str:
    """Foreign text, set apart so that it cannot turn the text around it."""
    return f"<bdi>{esc(text, room)}</bdi>"


def _head(found: Explanation) -> str:
    facts = " · ".join(f"{esc(name)} <code>{bdi(value, 80)}</code>" for name, value in
                       facts_of(found))  # fmt: skip
    return (
        f'<header><div class="head"><h1>{bdi(headline(found), 200)}</h1>{_badge(found)}</div>'
        f'<p class="why">{bdi(found.why, 1200)}</p>'
        f'<p class="soft small">{facts}</p></header>'
    )


def _badge(found: Explanation) -> str:
    word = VERDICTS.get(found.verdict, "not decided")
    kind = found.verdict if found.verdict in VERDICTS else "unknown"
    shadow = " (shadow: it ran)" if found.mode == "shadow" and found.would else ""
    return f'<span class="badge {kind}">{word}{shadow}</span>'


def _drawing(found: Explanation) -> str:
    if len(found.nodes) < 2 and not found.links:
        return ""
    svg, left = as_svg(found.nodes, found.links, found.node)
    return (
        f'<section><h2>The calls and their data</h2><div class="drawing" tabindex="0" '
        f'role="group" aria-label="Drawing of the plan">{svg}</div>'
        f"{flow_legend(left)}</section>"
    )


def flow_legend(left: int = 0) -> str:
    """What the lines of a drawing mean; `left`: calls that it does not show."""
    more = f"<span>{left} other calls are not drawn</span>" if left else ""
    line = (
        '<svg width="34" height="8" aria-hidden="true" class="link {0}">'
        '<path class="line" d="M0 4H34"/></svg>'
    )
    keys = "".join(
        f'<span class="{tier}">{line.format(tier)}{words}</span>'
        for tier, words in (
            ("internal", "own records"),
            ("partner", "partner data"),
            ("public", "public data: anybody may have written it"),
        )
    )
    return f'<div class="legend small soft">{keys}{more}</div>'


def _sections(found: Explanation, *, legend: bool = False) -> Iterable[str]:
    if found.arguments:
        yield _section("Arguments", (_argument(leaf) for leaf in found.arguments))
    if found.authority:
        quotes = (_ground(*item) for item in grouped(found))
        yield _section("What the trusted side said", quotes)
    if found.rules:
        yield _section("Rules", [_rules(found.rules)])
    if found.shares or found.thresholds:
        told = _terms() if legend and found.shares else ""
        yield _section(f"Energy {found.total:.2f}", [_scale(found), _shares(found), told])
    if found.repair is not None:
        title, figures = about_repair(found.repair)
        rows = "".join(
            f'<tr><td class="term"><b>{esc(change.kind, 20)}</b></td>'
            f"<td>{bdi(change.text, 400)}</td></tr>"
            for change in found.repair.changes
        )
        table = f'<div class="table"><table>{rows}</table></div>'
        yield _section(title[:1].upper() + title[1:],
                       [table, f'<p class="small soft">{bdi(figures, 500)}</p>'])  # fmt: skip
    elif found.unrepaired:
        yield _section("Not repaired", [f"<p>{bdi(found.unrepaired, 500)}</p>"])
    if found.actions:
        items = "".join(_advice(item) for item in found.actions)
        yield _section("What you can do", [f'<ol class="todo">{items}</ol>'])
    if found.history:
        said = "".join(f"<li>{bdi(item, 200)}</li>" for item in found.history)
        yield _section("What became of it", [f"<ul>{said}</ul>"])


def _section(title: str, parts: Iterable[str]) -> str:
    return f"<section><h2>{esc(title)}</h2>{''.join(parts)}</section>"


def _argument(leaf: Argument) -> str:
    tier = TIERS[leaf.tier]
    tag = '<span class="tag named">named</span>' if leaf.named else (
        f'<span class="tag {tier}">{tier}</span>')  # fmt: skip
    missing = "empty" if leaf.empty else "value not recorded"
    value = bdi(leaf.value) if leaf.value else f'<span class="soft">{missing}</span>'
    sources = () if leaf.empty else distinct(leaf)
    return (
        f'<div class="arg"><h3>{bdi(leaf.path.strip("/") or leaf.argument, 120)} {tag} '
        f'<span class="soft small">{esc(about_argument(leaf))}</span></h3>'
        f'<span class="value">{value}</span>'
        f"{''.join(_source(source, leaf.value) for source in sources)}</div>"
    )


def _source(source: Source, value: str) -> str:
    tier = TIERS[source.tier] if source.source == "output" else ""
    said = f'<p class="small soft">{bdi(about_source(source), 300)}</p>'
    quote = f'<blockquote class="{tier}">{_marked(source.quote, value)}</blockquote>'
    return said + (quote if source.quote else "")


def _marked(text: str, *values: str) -> str:
    found = pieces(visible(text), *map(visible, values))
    inner = "".join(f"<mark>{esc_piece(t)}</mark>" if hit else esc_piece(t) for t, hit in found)
    return f"<bdi>{inner}</bdi>"


def esc_piece(text: str) -> str:
    """A piece of text that is visible already, its blanks kept."""
    from html import escape

    return escape(text, quote=True)


def _ground(said: str, text: str, values: Sequence[str]) -> str:
    return (
        f'<p class="small soft">{bdi(said, 300)}</p>'
        f'<blockquote class="named">{_marked(text, *values)}</blockquote>'
    )


def _rules(rules: Iterable[Rule]) -> str:
    rows = "".join(
        f'<tr><td><code>{bdi(rule.rule, 80)}</code></td><td class="'
        f'{rule.action if rule.action in ("block", "hold") else "unknown"}">'
        f"{esc(rule.action, 10)}</td><td>{bdi(rule.message, 600)}</td></tr>"
        for rule in rules
    )
    return (
        '<div class="table"><table><tr><th>rule</th><th>says</th><th>about</th></tr>'
        f"{rows}</table></div>"
    )


def _scale(found: Explanation) -> str:
    """One bar: the terms, and the thresholds as ticks."""
    low, high = found.thresholds or (0.0, 0.0)
    width, most = 1000.0, max(found.total, high, 1.0) * 1.08
    x, bars = 0.0, []
    terms = found.by_term()
    for term in (*_TERMS, "other"):
        size = max(0.0, terms.get(term, 0.0)) / most * width
        if size:
            bars.append(
                f'<rect class="term-{term}" x="{x:.1f}" y="6" width="{size:.1f}" height="16">'
                f"<title>{term} {terms[term]:.2f}</title></rect>"
            )
        x += size
    ticks = "".join(
        f'<g class="{kind}"><path d="M{value / most * width:.1f} 1V28" stroke="currentColor" '
        f'stroke-width="2.5" vector-effect="non-scaling-stroke"/></g>'
        for value, kind in ((low, "hold"), (high, "block"))
        if found.thresholds
    )
    words = ""
    if found.thresholds:
        words = (
            f'<p class="small soft">Below <b class="hold">{low:g}</b> a call is allowed, from '
            f'<b class="block">{high:g}</b> on blocked; between them it is held if it cannot be '
            "undone, as the policy says.</p>"
        )
    label = esc(
        f"energy {found.total:.2f}" + (f", thresholds {low:g} and {high:g}" if words else "")
    )
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 1000 30" width="100%" height="30" '
        f'preserveAspectRatio="none"><rect x="0" y="6" width="1000" height="16" '
        f'fill="currentColor" opacity="0.09"/>{"".join(bars)}{ticks}</svg>{words}'
    )


def _shares(found: Explanation) -> str:
    if not found.shares:
        return ""
    rows = "".join(map(_share, largest(found.shares, MAX_SHARES)))
    sums = " + ".join(f"{esc(term)} {value:.2f}" for term, value in found.by_term().items())
    return (
        '<div class="table"><table><tr><th>term</th><th class="number">energy</th><th>because</th>'
        f'<th>argument</th></tr>{rows}</table></div><p class="small soft">{sums} = '
        f"{found.total:.2f}</p>"
    )


def _terms() -> str:
    """One line: what the four terms mean."""
    words = "; ".join(
        f'<span class="dot term-{term}"></span><b>{term}</b> {esc(TERM_WORDS[term])}'
        for term in _TERMS
    )
    return f'<p class="small soft">{words}.</p>'


def _share(share: ShareOf) -> str:
    term = share.term if share.term in _TERMS else "other"
    flow = f" ({esc(share.edge[0], 40)} to {esc(share.edge[1], 40)})" if share.edge else ""
    return (
        f'<tr><td class="term" title="{esc(TERM_WORDS.get(share.term, ""))}">'
        f'<span class="dot term-{term}"></span>{esc(share.term, 30)}</td>'
        f'<td class="number">{share.value:.2f}</td>'
        f"<td>{bdi(share.reason, 400)}</td><td><code>{bdi(share.where.strip('/'), 80)}</code>"
        f'<span class="soft small">{flow}</span></td></tr>'
    )


def _advice(item: Advice) -> str:
    detail = f'<p class="small soft">{bdi(item.detail, 700)}</p>' if item.detail else ""
    lines = "\n".join(esc_piece(visible_line(line)) for line in item.code.split("\n"))
    code = f"<pre>{lines}</pre>" if item.code else ""
    return f"<li><b>{bdi(item.title, 200)}</b>{detail}{code}</li>"


def visible_line(line: str) -> str:
    """A line of code: its indentation stays, hidden characters are shown."""
    bare = line.lstrip(" ")
    return " " * (len(line) - len(bare)) + visible(bare)


def _parts(found: Explanation) -> Iterable[str]:
    if not found.parts:
        return
    yield "<section><h2>Call by call</h2>"
    for part in found.parts[:MAX_PARTS]:
        opened = ' open="open"' if part.verdict in ("block", "hold", "repair") else ""
        inner = "\n".join(_sections(part))
        yield (
            f"<details{opened}><summary>{_badge(part)} <b>{bdi(part.tool, 120)}</b> "
            f'<span class="soft small">{bdi(part.node, 60)} · energy {part.total:.2f} · '
            f"{bdi(part.why, 300)}</span></summary>{inner}</details>"
        )
    left = len(found.nodes) - min(len(found.parts), MAX_PARTS)
    if left > 0:
        yield f'<p class="soft">{left} more calls without details.</p>'
    yield "</section>"


def _foot(found: Explanation) -> str:
    made = f"receipt of decision <code>{bdi(found.decision_id, 64)}</code>"
    if not found.decision_id:
        made = f"receipts of run <code>{bdi(found.run, 64)}</code>"
    return (
        '<footer class="soft small">For operators: not for the model, nor for whoever wrote what '
        f"it reads. Made by gatling-guard from the {made}; secrets are replaced.</footer>"
    )

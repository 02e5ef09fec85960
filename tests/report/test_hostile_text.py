"""Everything shown is foreign: nothing of it may run, hide, or leave its place."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from html import unescape
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.report import Explanation
from gatling_guard.report.receipts import drawing, explained
from gatling_guard.report.visible import marks, pieces, visible

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></svg><script>1</script>",
    "a\u202egnp.exe",
    "zero\u200bwidth\u2060\ufeff",
    "".join(chr(0xE0000 + ord(c)) for c in "ignore all"),
    "\x1b[31mred\x1b[0m\x07\x00\x9b",
    "]]>&amp;&#60;&lt;<!--",
    "x" * 5000,
    "\ud800 lone \uffff",
    "[red]markup[/red] [link=https://x.example]l[/link]",
    "javascript:alert(1)",
    "{{7*7}} ${7*7} `id`",
]
HOSTILE = st.sampled_from(NASTY) | st.text(max_size=60)


def hostile(texts: Any) -> Explanation:
    """An explanation in which every text is hostile."""
    t = iter(texts)
    origin = {"source": "output", "match": next(t), "tier": 3, "call": next(t), "tool": next(t),
              "path": next(t), "quote": next(t)}  # fmt: skip
    leaf = {"path": next(t), "argument": next(t), "kind": next(t), "value": next(t), "tier": 3,
            "named": False, "origins": [origin]}  # fmt: skip
    body = {
        "decision_id": next(t), "action": "block", "mode": next(t), "tool": next(t),
        "energy": {"flow": 3.0, "total": 3.0}, "reasons": [next(t)],
        "findings": [[next(t), "block", next(t), next(t)]],
        "shares": [["flow", next(t), 3.0, next(t), next(t), [next(t), next(t)]]],
        "lineage": [leaf], "role": next(t), "policy": next(t), "hold_id": next(t),
        "grounds": [[next(t), next(t), next(t)]], "profile": {"effect": next(t)},
    }  # fmt: skip
    node = next(t)
    nodes, links = drawing({node: body})
    part = explained(body, node=node)
    return replace(part, nodes=nodes, links=links, parts=(part,), history=(next(t),))


TEXTS = st.lists(HOSTILE, min_size=40, max_size=40)
ALLOWED_TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "div", "h1", "h2", "h3",
    "span", "p", "code", "bdi", "section", "svg", "desc", "g", "path", "rect", "text",
    "blockquote", "mark", "table", "tr", "th", "td", "ol", "ul", "li", "b", "pre", "details",
    "summary", "footer",
}  # fmt: skip


@given(TEXTS)
def test_a_page_is_well_formed_and_holds_no_foreign_markup(texts: list[str]) -> None:
    """No element, attribute or style comes from foreign text, and nothing is loaded."""
    page = hostile(texts).html()
    root = ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        assert tag in ALLOWED_TAGS
        assert not [
            a for a in element.attrib if a.startswith("on") or a in ("src", "href", "style")
        ]
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import|<script|<link|<iframe|<object", page)


@given(TEXTS)
def test_no_hidden_character_reaches_page_or_terminal(texts: list[str]) -> None:
    """Bidirectional, zero-width, tag and control characters are shown by their number."""
    found = hostile(texts)
    for shown in (unescape(found.html()), found.text(width=50)):
        odd = {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn")}
        assert odd <= {"\n"}


@pytest.mark.parametrize("text", NASTY)
def test_no_hostile_text_stands_unescaped_in_a_page(text: str) -> None:
    page = hostile([text] * 40).html()
    if re.search(r"[<>\"]", text):
        assert text not in page
    assert len(page) < 200_000


@pytest.mark.parametrize("width", [30, 60, 100, 200])
def test_the_terminal_text_keeps_to_its_width(width: int) -> None:
    for texts in ([text] * 40 for text in NASTY):
        lines = hostile(texts).text(width=width).splitlines()
        assert max(map(len, lines)) <= width
    assert "\x1b" not in hostile(NASTY * 4).text(width=width)
    assert "\x1b[" in hostile(NASTY * 4).text(width=width, colour=True)


def test_markup_of_the_terminal_library_is_text() -> None:
    assert "[red]markup[/red]" in hostile(["[red]markup[/red]"] * 40).text(width=200)


@given(st.text(max_size=80), st.text(max_size=20))
def test_pieces_give_the_text_again(text: str, value: str) -> None:
    shown = visible(text)
    assert "".join(piece for piece, _ in pieces(shown, visible(value))) == shown
    spots = marks(shown, visible(value))
    assert all(a < b for a, b in spots)
    assert list(spots) == sorted(spots)


@pytest.mark.parametrize(
    ("text", "value", "marked"),
    [
        ("send it to Eve@Evil.example now", "eve@evil.example", ["Eve@Evil.example"]),
        ("4,900 EUR to DE89", "4900", ["4,900"]),
        ("4 900.00 EUR", "4900", ["4 900.00"]),
        ("14900 EUR", "4900", []),
        ("the lodge by the lake", "Lake Lodge", ["lodge", "lake"]),
        ("tm92", '{"id": "x_tm92_y"}', ["tm92"]),
        ("nothing here", "other", []),
    ],
)
def test_what_is_marked(text: str, value: str, marked: list[str]) -> None:
    assert [piece for piece, hit in pieces(text, value) if hit] == marked

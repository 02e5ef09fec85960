"""Cutting a tool's output into spans, each with its own tier (design P2, P6).

Objects first: every leaf of the returned value is a span, free text is cut into sentences. Text
second: a string is read back into an object where all of it is one (`parse.py`).

A span is as trusted as the worst of: the floor (what the call itself worked on), the tool's tier,
and PUBLIC where a third party writes the field. Text that only imitates structure gains nothing:
see `_Trust.lines`.
Does not see: a third-party field that a tool prints without quoting into `key: value` text, when
the forged key is one the honest record has too but in which it is absent. Return objects instead.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.plan import Leaf, Provenance, leaves
from gatling_guard.trace.canonical import word_set
from gatling_guard.trace.cutter import Cutter
from gatling_guard.trace.directive import is_directive
from gatling_guard.trace.keys import field_like, likely_keys, line_keys, object_keys
from gatling_guard.trace.parse import Form, Parsed, parse_text
from gatling_guard.trace.sensitive import sensitive_name
from gatling_guard.trace.types import Span

MAX_INNER = 3
"""JSON inside a string inside JSON is read so many levels deep."""

FREE_FIELDS = word_set(
    "abstract answer bio body caption comment comments content contents description detail details "
    "html markdown message messages note notes page post reason reply review reviews snippet "
    "subject summary text title transcript"
)
_UNSPACED = re.compile("[\u2e80-\ud7ff\U00020000-\U0003ffff]")
"""A character of a script that is written without spaces; eight of them make a clause."""
_INDEX = re.compile(r"\d+\Z")


def cut_spans(
    output: Any, spec: ToolSpec | None, call_id: str, *, floor: Provenance, first_id: int,
    cause: str = "", sensitive: bool = False,
) -> list[Span]:  # fmt: skip
    """Cut one output into spans.

    Args:
        output: the JSON value a tool returned; text is read back into an object if it is one.
        spec: the tool; None (unknown) makes everything PUBLIC.
        call_id: stored in every span.
        floor: tier of what the call worked on; its output is never better.
        first_id: id of the first span; the others follow without gaps.
        cause: the call that untrusted content caused and that this is an output of, if any.
        sensitive: whether what the call worked on was (what is made from secrets stays one).
    """
    parsed = parse_text(output) if isinstance(output, str) else Parsed(output, "object")
    trust = _Trust(spec, floor, parsed)
    cutter = Cutter(
        spec.name if spec else "", call_id, first_id, cause=cause,
        sensitive=sensitive or (spec is not None and sensitive_name(spec.name)),
    )  # fmt: skip

    def keys(item: Mapping[str, Any], where: str) -> Iterable[str]:
        if parsed.form == "lines":
            return line_keys(item, where)
        found = object_keys(item, where)
        if trust.tier(where) < Provenance.PUBLIC:
            return found
        return dict.fromkeys((*found, *likely_keys(item)))

    for leaf in leaves(parsed.value, keys=keys):
        if cutter.full:
            cutter.remainder(leaf.path, _as_text(leaf.value))
            break
        _cut_leaf(leaf, trust.tier(leaf.path), cutter, trust)
    return cutter.spans


def _cut_leaf(leaf: Leaf, tier: Provenance, cutter: Cutter, trust: _Trust, depth: int = 0) -> None:
    """A leaf is a field, free text, or a JSON text with leaves of its own and the same tier."""
    inner = _inner(leaf) if depth < MAX_INNER else None
    if inner is None:
        _cut_plain(leaf, tier, cutter, trust)
        return
    for child in leaves(inner, f"{leaf.path}/~json", keys=object_keys):
        if cutter.full:
            cutter.remainder(child.path, _as_text(child.value))
            return
        _cut_leaf(child, tier, cutter, trust, depth + 1)


def _cut_plain(leaf: Leaf, tier: Provenance, cutter: Cutter, trust: _Trust) -> None:
    text = _as_text(leaf.value)
    if leaf.value is None or isinstance(leaf.value, bool) or not text.strip():
        return
    if leaf.is_key:
        cutter.key(leaf.path, text, tier)
    elif isinstance(leaf.value, str) and (_is_prose(leaf.path, text) or _says(leaf, tier)):
        cutter.prose(leaf.path, text, max(tier, trust.text))
    else:
        cutter.field(leaf.path, text, tier)


def _says(leaf: Leaf, tier: Provenance) -> bool:
    """A few words of a stranger's that are the whole output, or tell somebody to do something."""
    text = str(leaf.value)
    alone = leaf.path in ("", "/") and " " in text.strip()
    return tier is Provenance.PUBLIC and (alone or (" " in text and is_directive(text)))


def _as_text(value: None | bool | int | float | str) -> str:
    """Scalars in their JSON form."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def _inner(leaf: Leaf) -> Any:
    """The object inside a string that is JSON."""
    text = leaf.value
    if not isinstance(text, str) or len(text) < 2 or text[0] + text[-1] not in ("{}", "[]"):
        return None
    parsed = parse_text(text)
    return (
        parsed.value if parsed.form == "object" and isinstance(parsed.value, (dict, list)) else None
    )


def _is_prose(path: str, text: str) -> bool:
    if len(text) > 400 or "\n" in text or len(text.split(None, 4)) >= 4:
        return True
    if not text.isascii() and len(_UNSPACED.findall(text)) >= 8:
        return True
    return bool(FREE_FIELDS.intersection(_names(path)[-1:]))


@lru_cache(maxsize=4096)
def _names(path: str) -> tuple[str, ...]:
    """The field names along a pointer, without list indices, lower case."""
    parts = [p for p in path.lower().split("/")[1:] if p != "~key" and not _INDEX.match(p)]
    return tuple(p.replace("~1", "/").replace("~0", "~")[:200] for p in parts)


_WRAPPERS = frozenset(
    ("data", "item", "items", "output", "outputs", "response", "result", "results", "return")
    + ("value", "values")
)
"""Names that say nothing of what is inside."""


class _Trust:
    """Which tier a field of one output has."""

    def __init__(self, spec: ToolSpec | None, floor: Provenance, parsed: Parsed) -> None:
        self.floor = floor
        self.base = max(floor, spec.profile.tier) if spec else Provenance.PUBLIC
        self.text = max(floor, spec.profile.text_tier) if spec else Provenance.PUBLIC
        """Tier of running text, whatever field it stands in."""
        patterns = spec.profile.third_party if spec else ("*",)
        self.patterns = tuple(p.lower() for p in patterns)
        self.everything = "*" in self.patterns or bool(
            self.patterns and not self._readable(parsed.value, parsed.form)
        )
        self.forged = (
            _odd_keys(parsed.value) if parsed.form == "lines" and patterns else frozenset()
        )

    def tier(self, path: str) -> Provenance:
        """The tier of the field at `path`."""
        if self.everything or (self.patterns and self._third_party(path)):
            return Provenance.PUBLIC
        return self.base

    def _third_party(self, path: str) -> bool:
        names = _names(path)
        # No field name says that anybody else wrote it; a key that is data is no field name.
        if _WRAPPERS.issuperset(n for n in names if field_like(n)):
            return True
        return _matches(names, self.patterns) or bool(self.forged.intersection(names))

    def _readable(self, value: Any, form: Form) -> bool:
        """Whether the text's structure can be believed where some fields are third-party.

        Lines are believed only if they show a field that the tool is known to have: a web page
        that happens to read `Note: ...` has none, and stays untrusted as a whole.
        """
        if form == "text":
            return not isinstance(value, str)
        if form == "object" or not isinstance(value, (dict, list)):
            return True
        records = value if isinstance(value, list) else [value]
        return all(
            not isinstance(r, dict) or any(_matches((k.lower(),), self.patterns) for k in r)
            for r in records
        )


@lru_cache(maxsize=8192)
def _matches(names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    dotted = ".".join(names)
    return any(
        fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in (*names, dotted)
    )


def _odd_keys(value: Any) -> frozenset[str]:
    """Keys that not all records of a list have: one record may have grown a forged field."""
    if not isinstance(value, list):
        return frozenset()
    records = [r for r in value if isinstance(r, dict)]
    if len(records) < 2:
        return frozenset()
    common = set(records[0]).intersection(*records[1:])
    return frozenset(k.lower() for r in records for k in r if k not in common)

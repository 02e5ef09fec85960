"""Arguments in a text that is no JSON: `to=eve&x=1`, `to: eve`, `--to eve`, `<to>eve</to>`.

Sees: form-encoded text, a block of `key: value` or `key = value` lines at its start, command-line
flags, elements and attributes of markup, Python literals and YAML in braces. Only for names that
the tool's own schema does not list: where `to` is an argument of the tool, a text that says
`to: ann` is a text. Does not see: positions (`send eve`), names a tool gives another meaning,
query strings of URLs, formats of a tool's own. One text may be read in several of these ways, and
every reading counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import unquote_plus

from gatling_guard.rules.names import same_name

Kind = Literal["text", "number", "list"]
Wanted = Mapping[str, Kind]
"""What a policy expects of an argument, by `same_name`."""

MAX_PLAIN = 100_000
"""Characters read in one call; whoever hands over more has to refuse it."""
MAX_PAIRS = 500
MARKS = frozenset("=:<-/")
"""A text without any of them names no argument."""
_KEY = r"(?<![\w.-])([A-Za-z_][\w.-]{0,63})"
_VALUE = r"(\"[^\"]{0,300}\"|'[^']{0,300}'|[^\s\"'<>&;,{}()\[\]]{1,300})"
_FLAG = re.compile(r"(?:(?<=\s)|\A)(?:--?|/)([A-Za-z_][\w.-]{0,63})(?:[=:]|[ \t]{1,9})" + _VALUE)
_LINE = re.compile(
    r"[ \t]{0,40}(?:-[ \t])?[\"']?" + _KEY + r"[\"']?[ \t]{0,9}[:=][ \t]{0,9}(.{0,4000})\Z"
)
_ELEMENT = re.compile(r"<([A-Za-z_][\w.-]{0,63})(?:\s[^<>]{0,300})?>([^<]{0,1000})")
_PAIR = re.compile(_KEY + r"[\"']?\s{0,9}[:=]\s{0,9}" + _VALUE)
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}(?:\.[0-9]{1,18})?\Z")


def pairs(text: str, wanted: Wanted) -> list[dict[str, Any]]:
    """Each wanted argument that a text names, as an object of its own, without repeats."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key, value in _all(text):
        kind = wanted.get(same_name(key))
        if kind is not None:
            found.setdefault((key, value), {key: _typed(value, kind)})
            if len(found) >= MAX_PAIRS:
                break
    return list(found.values())


def _all(text: str) -> Iterator[tuple[str, str]]:
    form = list(_form(text))
    yield from form or _lines(text)
    patterns = [_FLAG]
    if "<" in text:
        patterns += [_ELEMENT, _PAIR]
    elif text.lstrip()[:1] in ("{", "[", "("):
        patterns.append(_PAIR)
    for pattern in patterns:
        for match in pattern.finditer(text):
            yield match[1], _bare(match[2])


def _form(text: str) -> Iterator[tuple[str, str]]:
    body = text.strip().removeprefix("?")
    parts = re.split(r"[&;]", body)
    if any(char.isspace() for char in body) or not all("=" in part for part in parts if part):
        return
    for part in parts[:MAX_PAIRS]:
        key, _, value = part.partition("=")
        yield unquote_plus(key), unquote_plus(value)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """The block of pairs that a text begins with, as of a mail or a YAML file."""
    for line in text.strip().splitlines()[:MAX_PAIRS]:
        if line.strip() in ("---", ""):
            continue
        if line[0] in " \t" and not _LINE.match(line):
            continue  # goes on with the line before
        match = _LINE.match(line)
        if match is None:
            return
        yield match[1], _bare(match[2].strip())


def _bare(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _typed(value: str, kind: Kind) -> Any:
    """As the policy expects it, where the text can be read so; else the text, which breaks it."""
    if kind == "list":
        return [value]
    if kind == "number" and _NUMBER.match(value):
        return float(value) if "." in value else int(value)
    return value

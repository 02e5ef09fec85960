"""Reading a tool's text output back into an object: JSON, a printed object, `key: value` blocks.

The returned object is always better (a text can imitate structure), so the guard asks for it;
this is for frameworks and recordings that only have text. Nothing here raises on any text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from gatling_guard.trace.literal import (
    MAX_LITERAL,
    MAX_NESTING,
    NotALiteralError,
    merged,
    parse_literal,
    unquote,
)

Form = Literal["object", "lines", "text"]
"""`object`: machine-made (JSON, a repr). `lines`: `key: value` lines, which prose can imitate."""

MAX_OBJECT = 2_000_000
"""Longest JSON text that is read; `cut_spans` has no room for more either."""

_KEY = re.compile(
    r"([^\s#'\"\[\]{},:&*!|>%@`-][^:\n]{0,79}?|-?\w[^:\n]{0,79}?)\s{0,4}:(?:\s+(.*)|$)"
)
_QUOTED_KEY = re.compile(r"('(?:[^']|'')*+'|\"(?:[^\"\\]|\\.)*+\")\s*:(?:\s+(.*)|$)")
_NULL = ("null", "~", "")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text and what it was read as."""

    value: Any
    form: Form


def parse_text(text: str) -> Parsed:
    """Read `text` as an object if all of it is one; otherwise it is text."""
    bare = text.strip()
    if bare.startswith("<<") and bare.endswith(">>"):  # how some agents fence tool results
        text = bare = bare[2:-2].strip()
    if not bare or len(bare) > MAX_OBJECT:
        return Parsed(text, "text")
    for read in (_read_json, _read_literal):
        try:
            return Parsed(read(bare), "object")
        except (NotALiteralError, ValueError, RecursionError):
            continue
    if len(bare) > MAX_LITERAL:
        return Parsed(text, "text")
    try:
        return Parsed(_Lines(text).document(), "lines")
    except NotALiteralError:
        return Parsed(text, "text")


def _read_json(text: str) -> Any:
    if text[0] not in '{["-0123456789tfn':
        raise NotALiteralError
    value = json.loads(text, object_pairs_hook=merged, parse_constant=str)
    if isinstance(value, str) or _too_deep(value):
        raise NotALiteralError
    return value


def _read_literal(text: str) -> Any:
    if text[0] not in "{[(" and text[-1] != ")":
        raise NotALiteralError
    return parse_literal(text)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_NESTING):
        level = [c for v in level for c in _children(v)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [v for v in value.values() if isinstance(v, (dict, list))]
    return [v for v in value if isinstance(v, (dict, list))] if isinstance(value, list) else []


class _Lines:
    """Block YAML as `yaml.safe_dump` writes it, and `Key: value` listings. No anchors, no tags."""

    def __init__(self, text: str) -> None:
        self.lines = text.expandtabs(8).split("\n")
        self.at = 0
        self.keys = 0

    def document(self) -> Any:
        first = self._current()
        if first is None:
            raise NotALiteralError
        value = self._node(first[0], 0)
        if self._current() is not None or (self.keys < 2 and not isinstance(value, list)):
            raise NotALiteralError
        return value

    def _current(self) -> tuple[int, str] | None:
        """Indent and content of the next line that is not blank."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            content = line.strip()
            if content:
                return len(line) - len(line.lstrip()), content
            self.at += 1
        return None

    def _node(self, indent: int, depth: int) -> Any:
        current = self._current()
        if current is None or current[0] != indent or depth > MAX_NESTING:
            raise NotALiteralError
        if _is_item(current[1]):
            return self._sequence(indent, depth)
        return self._mapping(indent, depth)

    def _sequence(self, indent: int, depth: int) -> list[Any]:
        items: list[Any] = []
        while (current := self._current()) and current[0] == indent and _is_item(current[1]):
            rest = current[1][1:].lstrip()
            if not rest:
                self.at += 1
                items.append(self._below(indent, depth))
            elif _is_item(rest) or _split_key(rest):
                inner = indent + len(current[1]) - len(rest)
                self.lines[self.at] = " " * inner + rest
                items.append(self._node(inner, depth + 1))
            else:
                self.at += 1
                items.append(self._scalar(rest, indent))
        return items

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (current := self._current()) and current[0] == indent:
            split = _split_key(current[1])
            # A key that comes twice: a value has broken out of its line and imitates a field.
            if split is None or split[0] in found:
                raise NotALiteralError
            self.at += 1
            self.keys += 1
            key, rest = split
            found[key] = self._scalar(rest, indent) if rest else self._below(indent, depth, True)
        if not found:
            raise NotALiteralError
        return found

    def _below(self, indent: int, depth: int, key: bool = False) -> Any:
        """The block under an empty `- ` or `key:`; YAML lets a list stand at the key's indent."""
        current = self._current()
        if current and (current[0] > indent or (key and current[0] == indent)):
            if current[0] > indent and not (_is_item(current[1]) or _split_key(current[1])):
                self.at += 1
                return self._plain(current[1], indent)
            if current[0] > indent or _is_item(current[1]):
                return self._node(current[0], depth + 1)
        return None

    def _scalar(self, rest: str, indent: int) -> Any:
        if rest[0] in "'\"":
            return self._quoted(rest)
        if re.fullmatch(r"[|>][-+0-9]{0,3}", rest):
            return self._block(indent, rest[0])
        text = self._plain(rest, indent)
        if text[0] in "[{":
            try:
                return parse_literal(text)
            except NotALiteralError:
                return text
        return None if text in _NULL else text

    def _plain(self, rest: str, indent: int) -> str:
        parts = [rest]
        while (current := self._current()) and current[0] > indent:
            parts.append(current[1])
            self.at += 1
        return " ".join(parts)

    def _block(self, indent: int, style: str) -> str:
        parts: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            parts.append(line.strip())
            self.at += 1
        return ("\n" if style == "|" else " ").join(parts).strip()

    def _quoted(self, rest: str) -> str:
        quote, parts = rest[0], [rest]
        while not _closed(parts, quote):
            if self.at >= len(self.lines):
                raise NotALiteralError
            parts.append(self.lines[self.at].strip())
            self.at += 1
        return _single(parts) if quote == "'" else _double(parts)


def _folded(parts: list[str]) -> str:
    """A single line break inside a scalar is a space; a blank line is a line break."""
    return " ".join(p or "\n" for p in parts).replace(" \n ", "\n").replace("\n ", "\n")


def _single(parts: list[str]) -> str:
    return _folded(parts)[1:-1].replace("''", "'")


def _double(parts: list[str]) -> str:
    """A backslash at the end of a line joins it to the next one."""
    joined: list[str] = []
    glued = False
    for part in parts:
        open_end = (len(part) - len(part.rstrip("\\"))) % 2 == 1
        body = part[:-1] if open_end else part
        if glued:
            joined[-1] += body
        else:
            joined.append(body)
        glued = open_end
    return unquote(_folded(joined))


def _closed(parts: list[str], quote: str) -> bool:
    """Whether the last part ends the quoted text that the first one opened."""
    last = parts[-1] if len(parts) > 1 else parts[0][1:]
    if not last.endswith(quote):
        if quote in last.replace("''" if quote == "'" else '\\"', ""):
            raise NotALiteralError
        return False
    tail = len(last) - len(last.rstrip(quote if quote == "'" else "\\" + quote))
    if quote == "'":
        return tail % 2 == 1
    return (len(last) - 1 - len(last[:-1].rstrip("\\"))) % 2 == 0


def _is_item(content: str) -> bool:
    return content.startswith("- ") or content == "-"


def _split_key(content: str) -> tuple[str, str] | None:
    found = (_QUOTED_KEY if content[0] in "'\"" else _KEY).match(content)
    if found is None:
        return None
    key = found.group(1)
    return (unquote(key) if key[0] in "'\"" else key), (found.group(2) or "").strip()

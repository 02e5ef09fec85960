"""A scanner for printed objects: Python literals, reprs and near-JSON.

Many tools return `str(obj)`. This reads such text back into plain values without evaluating
anything: strings, numbers, constants, lists, tuples, sets, dicts and `Name(field=value)`. Text it
cannot read in full is no object at all; the caller then treats it as prose.
"""

from __future__ import annotations

import re
from typing import Any

MAX_LITERAL = 400_000
"""Longest text to read as an object; a longer one is prose."""
MAX_NESTING = 40

_TOKEN = re.compile(
    r"\s*+(?:(?P<string>[bru]?'(?:[^'\\]++|\\.)*+'|[bru]?\"(?:[^\"\\]++|\\.)*+\")"
    r"|(?P<number>[-+]?(?:\d[\d_]*+(?:\.\d*+)?(?:[eE][-+]?\d++)?))"
    r"|(?P<name>[A-Za-z_][\w.]*+)|(?P<mark>[\[\](){},:=]))",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}
_CONSTANTS: dict[str, Any] = {
    "True": True, "False": False, "None": None, "true": True, "false": False, "null": None,
    "nan": "nan", "inf": "inf",
}  # fmt: skip
_CLOSE = {"[": "]", "(": ")", "{": "}"}


class NotALiteralError(Exception):
    """The text is no printed object. Private to this room."""


def parse_literal(text: str) -> Any:
    """The value a printed object stands for.

    Raises:
        NotALiteralError: it is none, or too long or too deep to be read.
    """
    if len(text) > MAX_LITERAL:
        raise NotALiteralError
    scan = _Scan(text)
    value = scan.value(0)
    if text[scan.at :].strip():
        raise NotALiteralError
    return value


class _Scan:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            raise NotALiteralError
        self.at = found.end()
        kind = found.lastgroup or ""
        return kind, found.group(kind)

    def _peek(self) -> str:
        found = _TOKEN.match(self.text, self.at)
        return found.group(found.lastgroup or "") if found else ""

    def value(self, depth: int) -> Any:
        kind, token = self._next()
        if kind == "string":
            return self._strings(token)
        if kind == "number":
            return _number(token)
        if kind == "name":
            return self._named(token, depth)
        if token in _CLOSE and depth < MAX_NESTING:
            return self._items(_CLOSE[token], depth + 1)
        raise NotALiteralError

    def _strings(self, token: str) -> str:
        parts = [unquote(token)]
        while self._peek()[:1] in ("'", '"'):
            parts.append(unquote(self._next()[1]))
        return "".join(parts)

    def _named(self, token: str, depth: int) -> Any:
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if self._peek() != "(" or depth >= MAX_NESTING:
            raise NotALiteralError
        self._next()
        return self._items(")", depth + 1)

    def _items(self, close: str, depth: int) -> Any:
        single: list[Any] = []
        pairs: list[tuple[str, Any]] = []
        while self._peek() != close:
            key = self._keyword()
            value = self.value(depth)
            if key is None and close == "}" and self._peek() == ":":
                self._next()
                key, value = _as_key(value), self.value(depth)
            if key is None:
                single.append(value)
            else:
                pairs.append((key, value))
            if self._peek() == ",":
                self._next()
            elif self._peek() != close:
                raise NotALiteralError
        self._next()
        if single and pairs:
            return [*single, merged(pairs)]
        return merged(pairs) if pairs or (close == "}" and not single) else single

    def _keyword(self) -> str | None:
        at = self.at
        found = _TOKEN.match(self.text, at)
        if found and found.lastgroup == "name":
            self.at = found.end()
            if self._peek() == "=":
                self._next()
                return found.group("name")
            self.at = at
        return None


def merged(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict in which a key that came twice holds the list of its values: nothing is lost."""
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    grouped: dict[str, list[Any]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in grouped.items()}


def _as_key(value: Any) -> str:
    if isinstance(value, (list, dict)):
        raise NotALiteralError
    return value if isinstance(value, str) else str(value)


def _number(token: str) -> int | float | str:
    try:
        return int(token)
    except ValueError:
        pass
    try:
        value = float(token)
    except ValueError:
        return token
    return value if value - value == 0 else token


def unquote(token: str) -> str:
    """The text of a quoted string token with its backslash escapes resolved."""
    body = token.lstrip("bru")[1:-1]
    return _ESCAPE.sub(_unescape, body) if "\\" in body else body


def _unescape(found: re.Match[str]) -> str:
    code = found.group(1)
    if len(code) > 1:
        point = int(code[1:], 16)
        # A surrogate or a number beyond Unicode stays as written.
        return chr(point) if point < 0xD800 or 0xDFFF < point < 0x110000 else found.group()
    return _PLAIN.get(code, code)

"""Arguments that hide in the texts of a call, as JSON or plainly, layer by layer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gatling_guard.errors import InputError
from gatling_guard.plan import parse_json
from gatling_guard.rules.finding import Finding
from gatling_guard.rules.names import Path, pointer
from gatling_guard.rules.plain import MARKS, MAX_PLAIN, Wanted, pairs

MAX_HIDDEN = 1_000_000
"""Longest text that is read as JSON, in characters."""
MAX_LAYERS = 4
"""JSON inside the text inside JSON ...; what hides deeper is refused."""


@dataclass(frozen=True)
class Layer:
    """The arguments with the JSON in their texts read, so many times over."""

    depth: int
    value: dict[str, Any]
    decoded: frozenset[Path]
    """Where a text stood; the text itself was looked at one layer above."""


class _AmbiguousError(Exception):
    """Text that some JSON readers accept and others read in another way."""


def layers(
    arguments: dict[str, Any], wanted: Wanted | None = None
) -> tuple[list[Layer], list[Finding]]:
    """The arguments as given, then every layer below; and the texts that cannot be read.

    Args:
        arguments: of the call.
        wanted: arguments to be found in texts that are no JSON as well, see `plain`.
    """
    reader = _Reader(wanted or {})
    found = [Layer(0, arguments, frozenset())]
    while True:
        last = found[-1]
        value, places = reader.decode(last.value)
        if not places or last.depth == MAX_LAYERS:
            break
        found.append(Layer(last.depth + 1, value, last.decoded | places))
    faults = dict.fromkeys(reader.unread)
    text = "what the text holds cannot be told for certain"
    if places:
        faults, text = (
            dict.fromkeys(places),
            f"arguments inside arguments, more than {MAX_LAYERS} times",
        )
    wheres = [pointer(path) for path in list(faults)[:20]]
    return found, [Finding("argument.nested", "block", f"{w}: {text}", w) for w in wheres]


class _Reader:
    """Reads texts; each only once, on whatever layer it is met again."""

    def __init__(self, wanted: Wanted) -> None:
        self.unread: list[Path] = []
        self._wanted = wanted
        self._left = MAX_PLAIN
        self._known: dict[str, Any] = {}

    def decode(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], frozenset[Path]]:
        """A copy in which texts that hold a JSON object or list are replaced by it, once."""
        places: set[Path] = set()

        def visit(value: Any, path: Path) -> Any:
            if isinstance(value, dict):
                return {key: visit(item, (*path, key)) for key, item in value.items()}
            if isinstance(value, list):
                return [visit(item, (*path, i)) for i, item in enumerate(value)]
            if not isinstance(value, str):
                return value
            may_be_json = value.lstrip().startswith(("{", "[", '"'))
            hidden = self._read(value, path) if may_be_json else None
            if hidden is None and self._wanted:
                hidden = self._pairs(value, path)
            if hidden is None:
                return value
            places.add(path)
            return hidden

        return visit(arguments, ()), frozenset(places)

    def _pairs(self, text: str, path: Path) -> Any:
        if not MARKS & set(text):
            return None
        self._left -= len(text)
        if self._left < 0:
            self.unread.append(path)
            return None
        return pairs(text, self._wanted) or None

    def _read(self, text: str, path: Path) -> Any:
        """What JSON a text holds, None where there is none or it cannot be told."""
        if text not in self._known:
            try:
                self._known[text] = _parsed(text)
            except _AmbiguousError:
                self._known[text] = _AmbiguousError
        found = self._known[text]
        if found is _AmbiguousError:
            self.unread.append(path)
            return None
        return found


def _parsed(text: str) -> Any:
    """The object or list in a text, or a text that may hold one; None if it is no such JSON.

    Raises:
        _AmbiguousError: too long or too deep to read, or with a key twice.
    """
    if text.lstrip().startswith('"'):
        quoted = text.rstrip().endswith('"') and ("{" in text or "[" in text)
        if not quoted:
            return None
    if len(text) > MAX_HIDDEN:
        raise _AmbiguousError
    try:
        return parse_json(text)
    except InputError:
        return _lenient(text)


def _lenient(text: str) -> None:
    """Whether a tool could still read it although a strict reader does not."""
    try:
        json.loads(text)
    except RecursionError:
        raise _AmbiguousError from None
    except ValueError:
        return
    raise _AmbiguousError

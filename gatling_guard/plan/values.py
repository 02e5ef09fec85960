"""JSON values: what a tool call's arguments may be, checked with bounds, and their digests.

Everything the guard looks at goes through `to_json` first, so that every later stage may rely on
finite depth, finite size, valid Unicode and finite numbers.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeAlias

from gatling_guard.errors import InputError, Issue

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"

MAX_DEPTH = 64
"""Deepest nesting of lists and dicts; real tool arguments stay below 10."""
MAX_ITEMS = 100_000
"""Most values (leaves and containers) in one argument object."""
MAX_CHARS = 8_000_000
"""Most characters over all strings in one value."""
MAX_INT_BITS = 1024
"""Largest integer; beyond 4,300 digits Python itself refuses to print one."""


class Leaf(NamedTuple):
    """A scalar inside a JSON value."""

    path: str
    """JSON pointer; a dict key that is itself data ends in `/~key`."""
    value: None | bool | int | float | str
    is_key: bool = False


def escape(part: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def to_json(
    value: object,
    *,
    where: str = "",
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
    max_chars: int = MAX_CHARS,
) -> Any:
    """A deep copy of `value` made of JSON types only.

    Dataclasses, pydantic models, enums, dates, decimals, UUIDs, paths, bytes (base64), tuples and
    sets are converted; any other object is an error rather than a guess, because what a guard
    cannot see it must not judge.

    Args:
        value: anything.
        where: JSON pointer of `value` inside what it came from; used in errors.
        max_depth: containers within containers.
        max_items: values in total.
        max_chars: characters over all strings.

    Raises:
        InputError: with the JSON pointer of every fault (at most 20; the first for bounds).
    """
    issues: list[Issue] = []
    result = _Converter(max_depth, max_items, max_chars, issues).convert(value, where, 0)
    if issues:
        raise InputError(issues, what="value")
    return result


class _Stop(Exception):
    """Bounds exceeded: converting more would only cost time."""


class _Converter:
    def __init__(self, depth: int, items: int, chars: int, issues: list[Issue]) -> None:
        self.max_depth, self.items, self.chars, self.issues = depth, items, chars, issues
        self.budget = (items, chars)

    def convert(self, value: object, where: str, depth: int) -> Any:
        try:
            return self._convert(value, where, depth)
        except _Stop:
            return None

    def _fail(self, where: str, message: str) -> None:
        self.issues.append(Issue(where or "/", message))
        if len(self.issues) >= 20:
            raise _Stop

    def _stop(self, where: str, message: str) -> None:
        self.issues.append(Issue(where[:200] or "/", message))
        raise _Stop

    def _text(self, text: str, where: str) -> str:
        self.chars -= len(text)
        if self.chars < 0:
            self._stop(where, f"more than {self.budget[1]} characters of text")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            self._fail(where, f"not valid Unicode: lone surrogate at character {error.start}")
        return str.__str__(text) if type(text) is str else "".join(text)

    def _convert(self, value: object, where: str, depth: int) -> Any:
        self.items -= 1
        if self.items < 0:
            self._stop(where, f"more than {self.budget[0]} values")
        if isinstance(value, enum.Enum):
            return self._convert(value.value, where, depth)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, where)
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                self._fail(where, f"integer of more than {MAX_INT_BITS} bits")
                return 0
            return int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                self._fail(where, f"{value} is not a JSON number")
                return None
            return float(value)
        if depth >= self.max_depth:
            self._stop(where, f"nested deeper than {self.max_depth} levels")
        return self._container(value, where, depth)

    def _container(self, value: object, where: str, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, where, depth)
        if isinstance(value, (list, tuple, Set)):
            ordered: Sequence[object] = (
                value if isinstance(value, (list, tuple)) else sorted(value, key=repr)
            )
            return [self._convert(v, f"{where}/{i}", depth + 1) for i, v in enumerate(ordered)]
        if isinstance(value, (dt.datetime, dt.date, dt.time)):
            return value.isoformat()
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._text(base64.b64encode(bytes(value)).decode("ascii"), where)
        if isinstance(value, (decimal.Decimal, uuid.UUID, dt.timedelta)):
            return str(value)
        if isinstance(value, os.PathLike):
            return self._text(os.fsdecode(value), where)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return self._mapping(fields, where, depth)
        dump = getattr(value, "model_dump", None)
        if callable(dump) and not isinstance(value, type):
            return self._convert(dump(), where, depth)
        self._fail(where, f"{type(value).__name__} is not a JSON value")
        return None

    def _mapping(self, value: Mapping[Any, object], where: str, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = str(key.value if isinstance(key, enum.Enum) else key)
            if not isinstance(key, (str, int, float, bool, enum.Enum)) and key is not None:
                self._fail(where, f"key of type {type(key).__name__}")
                continue
            name = self._text(name, where)
            if name in result:
                self._fail(where, f"key {name[:60]!r} appears twice")
            result[name] = self._convert(item, f"{where}/{escape(name)[:80]}", depth + 1)
        return result


def canonical_json(value: object) -> str:
    """The one text of a JSON value: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 (hex) of the canonical JSON text of `value`."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def leaves(value: Any, path: str = "") -> Iterator[Leaf]:
    """Every scalar of a JSON value in document order; keys that are data come as leaves too.

    A key counts as data when it is no plain identifier (`{"ann@x.org": "read"}`), because a
    schema author writes identifiers and an attacker's value is put where keys are not checked.
    Iterative, so that depth cannot exhaust the stack.
    """
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        where, item = stack.pop()
        if isinstance(item, dict):
            for key, child in reversed(item.items()):
                stack.append((f"{where}/{escape(key)}", child))
            for key in item:
                if not key.isidentifier():
                    yield Leaf(f"{where}/{escape(key)}/~key", key, True)
        elif isinstance(item, list):
            for i in range(len(item) - 1, -1, -1):
                stack.append((f"{where}/{i}", item[i]))
        else:
            yield Leaf(where, item)


def parse_json(text: str | bytes, *, what: str = "JSON") -> Any:
    """Parse foreign JSON strictly: no NaN, no duplicate keys, bounded depth and size.

    Raises:
        InputError: with line and column, or with the JSON pointer.
    """
    if len(text) > 4 * MAX_CHARS:
        raise InputError(f"longer than {4 * MAX_CHARS} characters", what=what)
    try:
        raw = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(raw, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise InputError(f"nested deeper than {MAX_DEPTH} levels", what=what) from None
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", what=what) from None
    except json.JSONDecodeError as error:
        issue = Issue(f"column {error.colno}", error.msg, line=error.lineno)
        raise InputError([issue], what=what) from None
    except ValueError as error:
        raise InputError(str(error), what=what) from None
    return to_json(value)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice[:60]!r} appears twice in one object")
    return result


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")

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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from gatling_guard.errors import InputError, Issue

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"

MAX_DEPTH = 64
"""Deepest nesting of lists and dicts; real tool arguments stay below 10."""
MAX_ITEMS = 100_000
"""Most values (leaves and containers) in one argument object."""
MAX_CHARS = 8_000_000
"""Most characters over all strings of one value and the paths that lead to them."""
MAX_KEY = 1_024
"""Longest key: whoever names a field writes less, and every path below repeats it."""
MAX_TOKEN = 80
"""Longer parts of a path are shortened to a prefix and a hash."""
MAX_INT_BITS = 1024
"""Largest integer; beyond 4,300 digits Python itself refuses to print one."""


class Leaf(NamedTuple):
    """A scalar inside a JSON value."""

    path: str
    """JSON pointer (see `shorten`); a dict key that is itself data ends in `/~key`."""
    value: None | bool | int | float | str
    is_key: bool = False


def escape(part: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def shorten(pointer: str) -> str:
    """A JSON pointer whose long parts are cut to 60 characters, `~h` and a hash; idempotent.

    Paths are kept per leaf: one key of 300,000 characters over 10,000 values would fill 3 GB. `~h`
    is no escape of a JSON pointer, so a real key never collides with a shortened one.
    """
    if len(pointer) <= MAX_TOKEN:
        return pointer
    return "/".join(map(_shortened, pointer.split("/")))


def _shortened(part: str) -> str:
    if len(part) <= MAX_TOKEN:
        return part
    mark = hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{part[:60]}~h{mark}"


def _token(key: str) -> str:
    return _shortened(escape(key))


def to_json(
    value: object,
    *,
    where: str = "",
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
    max_chars: int = MAX_CHARS,
    max_key: int = MAX_KEY,
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
        max_chars: characters over all strings and their paths.
        max_key: characters of one key.

    Raises:
        InputError: with the JSON pointer of every fault (at most 20; the first for bounds).
    """
    issues: list[Issue] = []
    result = _Converter(max_depth, max_items, max_chars, max_key, issues).convert(value, where, 0)
    if issues:
        raise InputError(issues, what="value")
    return result


class _Stop(Exception):
    """Bounds exceeded: converting more would only cost time."""


class _Converter:
    def __init__(self, depth: int, items: int, chars: int, key: int, issues: list[Issue]) -> None:
        self.max_depth, self.items, self.chars, self.issues = depth, items, chars, issues
        self.budget, self.max_key = (items, chars), key

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

    def _charge(self, size: int, where: str) -> None:
        self.chars -= size
        if self.chars < 0:
            self._stop(where, f"more than {self.budget[1]} characters of text and paths")

    def _text(self, text: str, where: str) -> str:
        self._charge(len(text), where)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            self._fail(where, f"not valid Unicode: lone surrogate at character {error.start}")
        return str.__str__(text) if type(text) is str else "".join(text)

    def _convert(self, value: object, where: str, depth: int) -> Any:
        self.items -= 1
        if self.items < 0:
            self._stop(where, f"more than {self.budget[0]} values")
        self._charge(len(where), where)
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
            if len(name) > self.max_key:
                self._fail(where, f"key {name[:60]!r}... is longer than {self.max_key} characters")
                continue
            name = self._text(name, where)
            if name in result:
                self._fail(where, f"key {name[:60]!r} appears twice")
            result[name] = self._convert(item, f"{where}/{_token(name)}", depth + 1)
        return result


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
"""`json.dumps` makes a new one on every call."""


def canonical_json(value: object) -> str:
    """The one text of a JSON value: keys sorted, no spaces, ASCII."""
    return _CANONICAL.encode(value)


def digest(value: object) -> str:
    """SHA-256 (hex) of the canonical JSON text of `value`."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


KeyRule: TypeAlias = Callable[[Mapping[str, Any], str], Iterable[str]]
"""The keys of one dict (at a path) that are data, not names of fields."""


@lru_cache(maxsize=4096)
def schema_like(name: str, digits: int = 3) -> bool:
    """Whether `name` reads like the name of a field: an ASCII identifier with few digits."""
    if not (name.isascii() and name.isidentifier() and len(name) <= 64):
        return False
    return name.replace("_", "").isalpha() or sum(c.isdigit() for c in name) <= digits


def argument_keys(item: Mapping[str, Any], where: str) -> list[str]:
    """Keys of arguments that are data.

    A schema author writes identifiers; an attacker's value is put where keys are not checked. Of
    nested keys any digit makes one data. The outermost are names of arguments (`address2`).
    """
    digits = 0 if where else 3
    return [key for key in item if not schema_like(key, digits)]


def leaves(value: Any, path: str = "", *, keys: KeyRule = argument_keys) -> Iterator[Leaf]:
    """Every scalar of a JSON value in document order; keys that are data come as leaves too.

    Lazy and iterative: depth cannot exhaust the stack, and whoever stops early pays no more.

    Args:
        value: a JSON value.
        path: where `value` stands.
        keys: says which keys of a dict are data (`{"ann@x.org": "read"}`).
    """
    stack: list[Iterator[tuple[str, Any]]] = [iter([(path, value)])]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
            continue
        where, item = step
        if isinstance(item, dict):
            for key in keys(item, where):
                yield Leaf(f"{where}/{_token(key)}/~key", key, True)
            stack.append(_fields(item, where))
        elif isinstance(item, list):
            stack.append(_elements(item, where))
        else:
            yield Leaf(where, item)


def _fields(item: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    return ((f"{where}/{_token(key)}", child) for key, child in item.items())


def _elements(item: Sequence[Any], where: str) -> Iterator[tuple[str, Any]]:
    return ((f"{where}/{i}", child) for i, child in enumerate(item))


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

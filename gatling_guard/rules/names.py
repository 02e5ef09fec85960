"""Names that a tool may well take for the same: `to`, `To`, full-width `ｔｏ`, `user_id`, `userId`.

A constraint on `to` that `To` slips past is none, for a tool that accepts any argument.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from gatling_guard.plan import escape

Path = tuple[str | int, ...]
_BESIDE = ("allOf", "anyOf", "oneOf")
"""Keywords whose schemas apply to the same value."""
_BESIDE_ONE = ("then", "else")
_ABSENCE = ("required", "minProperties", "dependentRequired")
"""Keywords about what is not there; a part of the arguments cannot satisfy them."""


def same_name(name: str) -> str:
    """What equal names have in common: letters and digits, in one case and form."""
    return _same(name) if len(name) <= 100 else _folded(name)


@lru_cache(maxsize=4096)
def _same(name: str) -> str:
    return _folded(name)


def _folded(name: str) -> str:
    text = name if name.isascii() else unicodedata.normalize("NFKC", name)
    text = text.casefold()
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return "".join(char for char in text if char.isalnum()) or name


def pointer(path: Iterable[str | int]) -> str:
    """A JSON pointer."""
    return "".join(f"/{escape(_part(str(part)))}" for part in path)


def _part(name: str) -> str:
    """A name that is too long is not cut but left out: half of a secret would not look like one."""
    return name if len(name) <= 80 else f"[{len(name)} characters]"


class Applied(NamedTuple):
    """Arguments under the names that a policy uses."""

    value: dict[str, Any]
    given: Mapping[Path, str]
    """The name as given, by the path under the policy's name."""
    twice: tuple[Path, ...]
    """Names (as given) that stand beside another one for the same."""

    def original(self, path: Path) -> Path:
        """The path as it is in the call."""
        return tuple(self.given.get(path[: i + 1], part) for i, part in enumerate(path))


@dataclass(frozen=True)
class Names:
    """The names a policy's schema constrains."""

    top: frozenset[str]
    """Those of arguments."""
    exact: frozenset[str]
    """Those of arguments and of what is inside them."""
    known: Mapping[str, str]
    """By what they have in common with other spellings."""

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Names:
        """Every name that a schema lists under `properties`."""
        exact = frozenset(_everywhere(schema))
        return cls(frozenset(_top(schema)), exact, {same_name(name): name for name in exact})

    def applied(self, value: dict[str, Any]) -> Applied:
        """A copy under the policy's names; the value itself where it uses them already."""
        if not any(self._other(name) for name in _keys(value)):
            return Applied(value, {}, ())
        given: dict[Path, str] = {}
        twice: list[Path] = []

        def visit(item: Any, path: Path) -> Any:
            if isinstance(item, list):
                return [visit(child, (*path, i)) for i, child in enumerate(item)]
            if not isinstance(item, dict):
                return item
            result: dict[str, Any] = {}
            for key, child in item.items():
                name = self._other(key) or key
                if name != key and (name in item or name in result):
                    twice.append((*path, key))
                    name = key
                elif name != key:
                    given[(*path, name)] = key
                result[name] = visit(child, (*path, name))
            return result

        return Applied(visit(value, ()), given, tuple(twice[:20]))

    def _other(self, name: str) -> str | None:
        """The policy's name for one that it does not use itself."""
        return None if name in self.exact else self.known.get(same_name(name))


def partial(schema: Any) -> Any:
    """The schema for a few of the arguments: it says nothing about those that are not there."""
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _BESIDE and isinstance(value, list):
            # Of branches that differ in what they require, more than one may now hold.
            name = "anyOf" if key == "oneOf" and "anyOf" not in schema else key
            found[name] = [partial(item) for item in value]
        elif key in _BESIDE_ONE:
            found[key] = partial(value)
        elif key not in _ABSENCE:
            found[key] = value
    return found


def _top(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    if isinstance(listed := schema.get("properties"), Mapping):
        yield from map(str, listed)
    for key in _BESIDE:
        for item in schema.get(key) or ():
            yield from _top(item)
    for key in _BESIDE_ONE:
        yield from _top(schema.get(key))


def _everywhere(schema: Any) -> Iterator[str]:
    stack: list[Any] = [schema]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            if isinstance(listed := item.get("properties"), Mapping):
                yield from map(str, listed)
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)


def _keys(value: Any) -> Iterable[str]:
    """Every name in a value, once."""
    seen: set[str] = set()
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            seen.update(item)
            stack.extend(child for child in item.values() if isinstance(child, (dict, list)))
        elif isinstance(item, list):
            stack.extend(child for child in item if isinstance(child, (dict, list)))
    return seen

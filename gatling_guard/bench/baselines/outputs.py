"""What the baseline rules keep of a tool's output.

Its values, which of them anybody may have written, and the passages that read like instructions.
Text is read as JSON, a Python literal, YAML or `key: value` lines, whichever fits first; else it
is one value. Bounded in leaves and characters; nothing raises.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import yaml
from pydantic import BaseModel

from gatling_guard.bench.baselines.lexicon import FREE_TEXT_FIELDS, ToolClass, words
from gatling_guard.bench.baselines.text import (
    Prose,
    dates,
    normal,
    number_of,
    numbers,
    prose,
    tokens,
)

MAX_LEAVES = 5_000
MAX_YAML = 20_000
"""Characters; YAML is slow, and longer outputs are hardly ever YAML."""
MAX_PARSED = 200_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_YAML_LIKE = re.compile(r"^[\s\-]*[\w'\"@. ]{1,60}:(\s|$)|^- ", re.MULTILINE)
_LINE = re.compile(r"^\s*(?:- )?([A-Za-z_][\w ]{0,30}):\s(.*)$")
_REPR = re.compile(r"^\s*(\[\s*)?([A-Z]\w*\(\w+=|\{\s*['\"]|\[\s*['\"]|['\"][^'\"]*['\"]\s*,)")
_LITERAL = re.compile(
    r"(?:(\w+)\s*=|['\"]([^'\"\n]{1,60})['\"]\s*:)?\s*"
    r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|-?\d[\d.]*\b)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One value of an output."""

    text: str
    """In normal form."""
    number: float | None
    raw: str
    free: bool
    """Running text that anybody may have written; else it is taken for data."""


@dataclass(frozen=True)
class Reading:
    """One output."""

    items: tuple[Item, ...]
    passages: tuple[str, ...]
    """What reads like an instruction, in normal form."""
    sentences: tuple[str, ...]
    """Of running text that anybody may have written, with three words or more."""
    directives: tuple[str, ...]
    """Sentences that read like an instruction, however short."""

    @cached_property
    def joined(self) -> str:
        """All values: what is not in here is in none of them."""
        return "\n".join(item.text for item in self.items)

    @cached_property
    def numbers(self) -> tuple[frozenset[float], frozenset[float]]:
        """(in data, in free text)."""
        data, free = set[float](), set[float]()
        for item in self.items:
            if item.number is not None:
                data.add(item.number)
            else:
                (free if item.free else data).update(numbers(item.raw))
        return frozenset(data), frozenset(free)

    @cached_property
    def dated(self) -> tuple[tuple[frozenset[tuple[int, int]], bool], ...]:
        """(dates, whether in free text) of each value that has any."""
        found = ((dates(item.raw), item.free) for item in self.items)
        return tuple((days, free) for days, free in found if days)


def read_output(output: object, tool: ToolClass, arguments: Mapping[str, Any]) -> Reading:
    """What an output holds.

    Args:
        output: the returned object, or its text.
        tool: what returned it.
        arguments: of the call; a writing tool's short receipt that echoes them is no free text.
    """
    own = frozenset[str]()
    if tool.writes:
        own = frozenset(token for _, v in argument_leaves(arguments) for token in tokens(str(v)))
    if isinstance(output, str):
        return _read_text(output, tool.free_text, own)
    return _read(tuple(_walk(output, parsed=False)), tool.free_text, own)


def argument_leaves(arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(top-level argument, scalar); values under a nested key `type` are left out."""
    found: list[tuple[str, Any]] = []
    stack = [(str(name), value) for name, value in reversed(list(arguments.items()))]
    while stack and len(found) < MAX_LEAVES:
        name, value = stack.pop()
        if isinstance(value, Mapping):
            stack += [(name, v) for k, v in reversed(list(value.items())) if k != "type"]
        elif isinstance(value, (list, tuple)):
            stack += [(name, v) for v in reversed(value)]
        elif value is not None:
            found.append((name, value))
    return found


@lru_cache(maxsize=20_000)
def _read_text(text: str, free_tool: bool, own: frozenset[str]) -> Reading:
    return _read(_leaves_of_text(text), free_tool, own)


def _read(leaves: tuple[tuple[str, Any], ...], free_tool: bool, own: frozenset[str]) -> Reading:
    items: list[Item] = []
    read: list[Prose] = []
    for key, value in leaves:
        raw = str(value)
        text = normal(raw)
        if not text:
            continue
        is_text = isinstance(value, str)
        running = is_text and len(text.split()) >= 4
        foreign = is_text and (free_tool or running) and not _echoes(raw, text, own)
        named = words(key)[-1:]
        free = foreign and (running or (bool(named) and named[0] in FREE_TEXT_FIELDS))
        scalar = isinstance(value, (int, float)) and not isinstance(value, bool)
        items.append(Item(text, number_of(value) if scalar else None, raw, free))
        if free:
            read.append(prose(raw))
    return Reading(
        tuple(items),
        tuple(found.passage for found in read if found.hot),
        tuple(s for found in read for s in found.sentences if len(s.split()) >= 3),
        tuple(found.sentences[i] for found in read for i in found.hot if found.sentences[i]),
    )


def _echoes(raw: str, text: str, own: frozenset[str]) -> bool:
    found = tokens(raw) if own and len(text) < 300 else ()
    return (
        bool(own) and len(text) < 300 and sum(t in own for t in found) >= 0.5 * max(1, len(found))
    )


# ------------------------------------------------------------------ text to leaves


@lru_cache(maxsize=20_000)
def _leaves_of_text(text: str) -> tuple[tuple[str, Any], ...]:
    delimited = re.match(r"^\s*<<(.*)>>\s*$", text, re.DOTALL)  # one recorded defence adds these
    text = delimited.group(1) if delimited else text
    head = text.strip()[:1]
    value = _literal(text.strip()) if head in ("{", "[") and head else None
    if value is None and len(text) <= MAX_YAML and head != "<" and _YAML_LIKE.search(text):
        value = _container(yaml.load, text, _Loader)
    if value is not None:
        return tuple(_walk(value, parsed=True))
    if _REPR.match(text):
        return tuple(_from_repr("", text))
    return tuple(_from_lines(text) or [("", text)])


def _literal(text: str) -> Any:
    if len(text) > MAX_PARSED:
        return None
    found = _container(json.loads, text)
    return _container(ast.literal_eval, text) if found is None else found


def _container(parse: Any, *given: Any) -> Any:
    """What `parse` makes of it if that is a dict or list; nothing that it raises matters."""
    try:
        found = parse(*given)
    except Exception:
        return None
    return found if isinstance(found, (dict, list, tuple)) else None


def _walk(value: Any, *, parsed: bool, key: str = "") -> Iterator[tuple[str, Any]]:
    """(nearest key, scalar) in order; a key that is itself data is a value too."""
    stack, count = [(key, value)], 0
    while stack and count < MAX_LEAVES:
        name, found = stack.pop()
        count += 1
        if isinstance(found, BaseModel):
            found = found.model_dump()
        if isinstance(found, Mapping):
            for field, item in reversed(list(found.items())[:MAX_LEAVES]):
                stack.append((str(field), item))
                if "@" in str(field) if parsed else not str(field).isidentifier():
                    stack.append((name, str(field)))
        elif isinstance(found, (list, tuple, set, frozenset)):
            stack += [(name, item) for item in reversed(list(found)[:MAX_LEAVES])]
        elif isinstance(found, str) and parsed and _REPR.match(found):
            yield from _from_repr(name, found)
        elif found is not None:
            yield name, found


def _from_repr(key: str, text: str) -> list[tuple[str, Any]]:
    """Literals of a printed object (`[Issue(owner='x', labels=['y'])]`) with their names."""
    value = _container(ast.literal_eval, text) if len(text) <= MAX_PARSED else None
    if value is not None:  # a plain walk: what is printed inside of it stays text
        return list(_walk(value, parsed=False, key=key))
    found: list[tuple[str, Any]] = []
    for match in _LITERAL.finditer(text[:MAX_PARSED]):
        key = match.group(1) or match.group(2) or key
        literal = match.group(3)
        try:
            found.append((key, ast.literal_eval(literal)))
        except (ValueError, SyntaxError):
            found.append((key, literal.strip("'\"").replace("\\n", "\n")))
        if len(found) == MAX_LEAVES:
            break
    return found or [(key, text)]


def _from_lines(text: str) -> list[tuple[str, str]]:
    """`key: value` lines, if at least half of them (and three) are; others continue a value."""
    lines = text.split("\n")[:MAX_LEAVES]
    found = [_LINE.match(line) for line in lines]
    if sum(bool(match) for match in found) < max(3, 0.5 * len(lines)):
        return []
    records: list[tuple[str, list[str]]] = []
    for line, match in zip(lines, found, strict=True):
        if match:
            records.append((match.group(1), [match.group(2)]))
        elif records:
            records[-1][1].append(line)
    return [(key, "\n".join(parts)) for key, parts in records]

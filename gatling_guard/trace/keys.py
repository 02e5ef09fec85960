"""Keys of outputs that are data: `{"DE89370400440532013000": {...}}`, `{"Ann": ..., "Bob": ...}`.

Does not see: plain lower-case words as keys of a small dict of scalars (`{"eve": "admin"}`), which
nothing tells from the names of fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gatling_guard.plan.values import schema_like

MAX_FIELDS = 20
"""A dict with more keys is a map: no record has so many fields that its keys are worth nothing."""

_LOWER = re.compile(r"_*[a-z][A-Za-z_]*\Z")
_NAME = re.compile(r"[\w -]{1,64}\Z", re.ASCII)

KeyRule = Callable[[Mapping[str, Any], str], Iterable[str]]


def object_keys(item: Mapping[str, Any], where: str) -> Iterable[str]:
    """Keys of a returned object that are data: all of a map, of a record those unlike a field."""
    if is_map(item):
        return item
    return [key for key in item if not _LOWER.match(key)]


def line_keys(item: Mapping[str, Any], where: str) -> Iterable[str]:
    """The same for `Key: value` lines, whose field names are written like words (`Full Name`)."""
    return [key for key in item if not field_like(key)]


def is_map(item: Mapping[str, Any]) -> bool:
    """Whether a dict maps things to things: many keys, or containers that are all alike."""
    if len(item) > MAX_FIELDS:
        return True
    if len(item) < 2:
        return False
    shapes = {_shape(value) for value in item.values()}
    return len(shapes) == 1 and None not in shapes


def _shape(value: Any) -> object:
    if isinstance(value, dict):
        return frozenset(value)
    return list if isinstance(value, list) else None


def field_like(key: str) -> bool:
    """Whether a key may be the name of a field, in whatever style."""
    if schema_like(key):
        return True
    return bool(_NAME.match(key)) and sum(c.isdigit() for c in key) <= 3

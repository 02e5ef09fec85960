"""Keys of outputs that are data: `{"DE89370400440532013000": {...}}`, `{"Ann": ..., "Bob": ...}`.

Plain lower-case words as keys of a small dict of scalars (`{"eve": "admin"}`) look like names of
fields. In untrusted output they count as data where the dict shows few names that fields usually
have; in trusted output never, because there they would vouch for a value.
Does not see: such a key among usual names of fields (`{"name": "x", "eve": "admin"}`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gatling_guard.plan.values import schema_like
from gatling_guard.trace.canonical import word_set

MAX_FIELDS = 20
"""A dict with more keys is a map: no record has so many fields that its keys are worth nothing."""

_LOWER = re.compile(r"_*[a-z][A-Za-z_]*\Z")
_NAME = re.compile(r"[\w -]{1,64}\Z", re.ASCII)

_USUAL = word_set(
    "account active address age amount author balance bcc bio body category cc children city "
    "code color comment content count country created currency data date day default "
    "description due duration email enabled end error event expires file first format from "
    "genre hash height high host hour html icon id image index info interest iban items key "
    "kind label language last lat length level limit link list location lon low max memo "
    "message method min mode model modified month name next note number ok open order owner "
    "page password path phone place port price priority query rate rating read reason receiver "
    "recipient result role rows score sender sent size snippet source start state status street "
    "subject success sum summary tag tags temperature text time timestamp timezone title to "
    "token total type unit unread updated url user username value values version visibility "
    "weight width year zip"
)

KeyRule = Callable[[Mapping[str, Any], str], Iterable[str]]


def object_keys(item: Mapping[str, Any], where: str) -> Iterable[str]:
    """Keys of a returned object that are data: all of a map, of a record those unlike a field."""
    if is_map(item):
        return item
    return [key for key in item if not _LOWER.match(key)]


def likely_keys(item: Mapping[str, Any]) -> Iterable[str]:
    """Plain words that may be data, for untrusted output only: `{"eve": "admin"}`."""
    kinds = {type(value) for value in item.values()}
    if is_map(item) or len(kinds) != 1 or kinds & {dict, list}:
        return ()
    names = [key for key in item if _LOWER.match(key)]
    unusual = [k for k in names if len(k) > 2 and k.isalpha() and k.lower() not in _USUAL]
    return unusual if 2 * len(unusual) > len(item) else ()


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

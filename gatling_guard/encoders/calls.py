"""One tool call as numbers: what the ExecutionEncoder sees of it.

Sees: the tool's name and description, its profile, tier and scope, the structure of the arguments,
type and size of every value, and what is known of each value's lineage.

Does not see (design.md, P8): the text of values. A string enters by its shape. Two kinds of text
are the trusted side's own and do enter: values that stand in the instruction, the system text or
the policy, and values of an `enum` in the tool's schema. A key that the tool does not declare is
data too and enters as a signature only; of a tool without a spec, a key that no author of a schema
would write. The tool's name enters as the call gives it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.encoders.values import VALUE_DIM, values_features
from gatling_guard.plan import ToolCall, escape
from gatling_guard.plan.values import argument_keys, shorten
from gatling_guard.trace import Lineage

MAX_ROWS = 256
"""Rows of one call. More leaves than that are merged in runs of neighbours, none is dropped."""

_PLACE, _LINEAGE, _SIGNATURE = 16, 10, 8
_FACTS = _PLACE + _LINEAGE
LEAF_DIM = _FACTS + _SIGNATURE + VALUE_DIM
"""Features of one argument leaf: its place, its lineage, signature of an undeclared key, value."""

_EFFECTS = tuple(Effect)
CALL_DIM = 3 + 10 + 4 + 2 + len(_EFFECTS) + 5 + 10 + 3 + 3 + 2 * _LINEAGE
"""Features of one call beside its texts and its leaves; see `_scalars`."""


@dataclass(frozen=True, slots=True)
class CallInput:
    """One call with what is known of it; the more is given, the more the encoder sees."""

    call: ToolCall
    spec: ToolSpec | None = None
    lineage: Sequence[Lineage] | None = None
    """Of the argument leaves, in any order; None where nothing traced them."""


@dataclass(frozen=True, slots=True)
class CallFeatures:
    """One call as arrays; A rows, of which the first stands for "the arguments as a whole"."""

    name: str
    description: str
    scalars: NDArray[np.float32]
    """`[CALL_DIM]`"""
    keys: tuple[str, ...]
    """`[A]` path of each row in words, "" where it is not text of the catalog."""
    texts: tuple[str, ...]
    """`[A]` the value as text where the trusted side gave it, else ""."""
    leaves: NDArray[np.float32]
    """`[A, LEAF_DIM]`"""


def call_features(given: CallInput) -> CallFeatures:
    """The features of one call.

    The order of keys inside an object has no influence; the order of a list has.
    """
    rows, known = _rows(given.call.arguments), _known(given.spec)
    traced = {leaf.path: leaf for leaf in given.lineage or ()}
    table = np.zeros((len(rows) + 1, LEAF_DIM), np.float32)
    table[0, 0] = 1.0
    table[1:, _FACTS + _SIGNATURE :] = values_features([row.value for row in rows])
    keys, texts = [""], [""]
    for at, row in enumerate(rows, start=1):
        place = known.place(row)
        table[at, :_PLACE] = place.facts
        keys.append(place.text)
        if not place.declared:
            table[at, _FACTS : _FACTS + _SIGNATURE] = _signature(_path(row).encode())
        if row.outer:
            table[at, _FACTS : _FACTS + _SIGNATURE] += _signature(repr(row.outer).encode())
        lineage = traced.get(_path(row)) if traced else None
        if lineage is not None:
            table[at, _PLACE:_FACTS] = _lineage(lineage)
        texts.append(_trusted_text(row, lineage, known))
    scalars = _scalars(given.call, len(rows), known)
    scalars[-2 * _LINEAGE :] = _worst(table[1:])
    if len(table) > MAX_ROWS:
        keys, texts, table = _merged(keys, texts, table)
    about = given.spec.description if given.spec else ""
    return CallFeatures(given.call.tool_name, about, scalars, tuple(keys), tuple(texts), table)


class _Row(NamedTuple):
    """A scalar, an empty container, or a key that is data."""

    order: tuple[str | int, ...]
    """Keys and list indices on the way."""
    names: tuple[str, ...]
    """The keys alone."""
    value: Any
    place: int = -1
    """Place in the innermost list around it, -1 outside of lists."""
    length: int = 0
    """Items of that list."""
    is_key: bool = False
    in_data: bool = False
    """It is, or stands below, a key that is data."""
    outer: tuple[int, ...] = ()
    """Places in the lists around the innermost one."""


def _rows(arguments: Mapping[str, Any]) -> list[_Row]:
    """All leaves, keys in order, iteratively: depth cannot exhaust the stack."""
    found: list[_Row] = []
    stack = [_Row((), (), arguments)]
    while stack:
        row = stack.pop()
        order, names, value, place, length, _, in_data, outer = row
        if isinstance(value, dict) and value:
            data = frozenset(argument_keys(value, "nested" if order else ""))
            for key in sorted(data):
                found.append(_Row((*order, key), names, key, place, length, True, True, outer))
            for key in sorted(value, reverse=True):
                inside = in_data or key in data
                at, below = (*order, key), (*names, key)
                stack.append(_Row(at, below, value[key], place, length, False, inside, outer))
        elif isinstance(value, list) and value:
            size, around = len(value), outer if place < 0 else (*outer, place)
            for i in range(size - 1, -1, -1):
                stack.append(_Row((*order, i), names, value[i], i, size, False, in_data, around))
        elif order:
            found.append(row)
    return found


def _path(row: _Row) -> str:
    """JSON pointer, spelled as `plan.leaves` spells it."""
    pointer = "".join(f"/{escape(p) if isinstance(p, str) else p}" for p in row.order)
    return shorten(pointer) + "/~key" * row.is_key


class _Place(NamedTuple):
    """What the place of a leaf says, whatever its value."""

    facts: NDArray[np.float32]
    """`[_PLACE]`"""
    text: str
    """Its keys as text, "" where they are not the catalog's."""
    declared: bool


class _Known:
    """What a tool's spec spells out: this much of its arguments is text of the catalog."""

    def __init__(self, spec: ToolSpec | None) -> None:
        self.spec = spec
        self.keys, self.values = _words_of(spec.parameters) if spec else (frozenset(), frozenset())
        self.scalars = _spec_scalars(spec)
        self._places: dict[tuple[tuple[str, ...], int, int, bool, bool], _Place] = {}

    def place(self, row: _Row) -> _Place:
        """Of a leaf; the same places come again with every call of the tool."""
        key = (row.names, row.place, row.length, row.is_key, row.in_data)
        found = self._places.get(key)
        if found is None:
            found = self._place(row)
            # Long and undeclared keys are of this call alone, and may be of any length.
            if found.declared and len(found.text) <= _LONGEST:
                if len(self._places) >= _MOST_PLACES:
                    self._places.clear()
                self._places[key] = found
        return found

    def _place(self, row: _Row) -> _Place:
        spec, names, at = self.spec, row.names, row.place + 1
        declared = not row.in_data and (spec is None or self.keys.issuperset(names))
        profile = None if spec is None else spec.profile
        top = names[0] if names else ""
        facts = [
            0.0,  # 1 in row 0 alone
            declared,
            spec is not None,
            row.is_key,
            profile is not None and top in profile.identity_args,
            profile is not None and top in profile.content_args,
            profile is not None and top in profile.url_args,
            profile is not None and any(name in profile.notifies for name in names),
            math.log1p(len(names)) / 3,
            at > 0,
            math.log1p(at) / 8,
            math.sin(at * math.pi / 2),
            math.cos(at * math.pi / 2),
            math.sin(at * math.pi / 16),
            math.log1p(row.length) / 8,
            0.0,  # log length of the run, in merged rows
        ]
        return _Place(np.array(facts, np.float32), " ".join(names) if declared else "", declared)


_RUN = _PLACE - 1
_DIRECTING = (4, 6)
"""Columns of a place: identity and URL arguments."""
_MOST_KNOWN, _MOST_PLACES, _LONGEST = 512, 1024, 256
_KNOWN: dict[int, _Known] = {}
"""By identity of the spec, which is held so that its id stays its own: a digest would cost more."""


def _known(spec: ToolSpec | None) -> _Known:
    found = _KNOWN.get(id(spec))
    if found is None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        found = _KNOWN[id(spec)] = _Known(spec)
    return found


def _words_of(schema: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Names of properties and values of enums, at any depth of a schema."""
    keys: set[str] = set()
    values: set[str] = set()
    stack: list[Any] = [schema]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            properties = item.get("properties")
            keys |= set(properties) if isinstance(properties, dict) else set()
            allowed = item.get("enum")
            if isinstance(allowed, list):
                values |= {value for value in allowed if isinstance(value, str)}
            stack += item.values()
        elif isinstance(item, list):
            stack += item
    return frozenset(keys), frozenset(values)


def _trusted_text(row: _Row, lineage: Lineage | None, known: _Known) -> str:
    value = row.value
    if type(value) is not str or row.is_key:
        return ""
    said = lineage is not None and _said(lineage, value)
    return value if said or value in known.values else ""


def _said(lineage: Lineage, text: str) -> bool:
    """Whether `text` stands in a trusted text, word for word.

    `Lineage.named` asks for less: that the trusted side means the same date, in whose writing up to
    40 characters of anything else may stand.
    """
    if lineage.value != text:
        return False
    plain = text.casefold()
    return any(
        o.match == "exact" or (o.match == "substring" and plain in o.quote.casefold())
        for o in lineage.origins
        if o.source not in ("output", "model")
    )


def _lineage(lineage: Lineage) -> list[float]:
    """`[_LINEAGE]`: where a value came from; zeros where nothing traced it."""
    tier = lineage.tier
    return [
        1.0,
        tier == 1,
        tier == 2,
        tier == 3,
        lineage.named,
        lineage.only_untrusted,
        lineage.sensitive,
        lineage.disguised,
        bool(lineage.causes),
        lineage.trivial,
    ]


def _worst(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[2 * _LINEAGE]`: what is so of any leaf, and of any that says whom, which or where.

    200 numbers beside one recipient would leave next to nothing of where that one came from.
    """
    found = np.zeros((2, _LINEAGE), np.float32)
    lineage = rows[:, _PLACE:_FACTS]
    found[0] = lineage.max(0, initial=0.0)
    found[1] = lineage[rows[:, _DIRECTING].any(1)].max(0, initial=0.0)
    return found.reshape(-1)


def _signature(data: bytes) -> NDArray[np.float32]:
    """Numbers in [-1, 1] from a hash: other data has another signature, which says nothing else."""
    bits = zlib.crc32(data)
    return np.array([(bits >> 4 * i & 15) / 7.5 - 1 for i in range(_SIGNATURE)], np.float32)


_OWN = 3 + 10 + 4 + 1
_TIERS_AND_SCOPES = np.array(
    [
        [[t == tier for t in (1, 2, 3)] + [scope >= s for s in range(1, 11)] for scope in range(11)]
        for tier in range(4)
    ],
    np.float32,
)


def _scalars(call: ToolCall, leaves: int, known: _Known) -> NDArray[np.float32]:
    """`[CALL_DIM]`: tier, scope, volume and sensitivity of the call, and the tool's profile."""
    found = np.zeros(CALL_DIM, np.float32)
    found[:13] = _TIERS_AND_SCOPES[call.provenance_tier, call.scope_level]
    if call.volume is not None:
        grown = math.log(1 + call.volume)
        # Below 1: an int of 4,000 digits would leave nothing of the other columns in z_e.
        found[13], found[14] = 1.0, grown / (grown + 12)
    if call.sensitivity is not None:
        found[15], found[16] = 1.0, call.sensitivity / 10
    found[17] = math.log1p(leaves) / 6
    found[_OWN : _OWN + len(known.scalars)] = known.scalars
    return found


def _spec_scalars(spec: ToolSpec | None) -> NDArray[np.float32]:
    """`[CALL_DIM - _OWN]`: the profile of a tool; zeros for an unknown one."""
    if spec is None:
        return np.zeros(CALL_DIM - _OWN - 2 * _LINEAGE, np.float32)
    profile = spec.profile
    found: list[float] = [1.0]
    found += [profile.effect is effect for effect in _EFFECTS]
    found += [profile.sink, profile.egress, profile.reversible, bool(profile.third_party)]
    found += [profile.confidence]
    found += [profile.privilege >= level for level in range(1, 11)]
    found += [profile.tier == tier for tier in (1, 2, 3)]
    found += [profile.text_tier == 3, profile.scope / 10, math.log1p(max(profile.cost, 0.0)) / 8]
    return np.array(found, np.float32)


def _merged(
    keys: list[str], texts: list[str], table: NDArray[np.float32]
) -> tuple[list[str], list[str], NDArray[np.float32]]:
    """At most `MAX_ROWS` rows: neighbours become one row, the mean of theirs.

    A run keeps the words of its first row. Its signature tells all of its rows, and their order.
    """
    size = -(-(len(table) - 1) // (MAX_ROWS - 1))
    starts = np.arange(1, len(table), size)
    counts = np.diff(np.append(starts, len(table)))
    merged = np.add.reduceat(table, starts, axis=0) / counts[:, None].astype(np.float32)
    merged[:, _RUN] = np.log(counts) / 8
    # Rounded, so that the last bit of another machine's logarithm is no other signature.
    rounded = np.rint(table * 4096).astype(np.int16)
    for row, start in enumerate(starts):
        words = "\0".join((*keys[start : start + size], *texts[start : start + size]))
        data = words.encode() + rounded[start : start + size].tobytes()
        merged[row, _FACTS : _FACTS + _SIGNATURE] += _signature(data)
    chosen = [0, *starts]
    return (
        [keys[i] for i in chosen],
        [texts[i] for i in chosen],
        np.concatenate([table[:1], merged]),
    )

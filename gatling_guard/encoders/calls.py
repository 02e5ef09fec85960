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
from collections.abc import Iterator, Mapping, Sequence
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

_SIGNATURE = 8
_FACTS = 26
LEAF_DIM = _FACTS + _SIGNATURE + VALUE_DIM
"""Features of one argument leaf: facts, signature of an undeclared key, `values_features`."""

_EFFECTS = tuple(Effect)
CALL_DIM = 3 + 10 + 4 + 2 + len(_EFFECTS) + 5 + 10 + 3 + 3
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
    rows = sorted(_rows(given.call.arguments), key=_by_path)
    traced = {leaf.path: leaf for leaf in given.lineage or ()}
    known = _catalog_words(given.spec) if given.spec else None
    table = np.zeros((len(rows) + 1, LEAF_DIM), np.float32)
    keys, texts = [""], [""]
    for at, row in enumerate(rows, start=1):
        lineage = traced.get(row.path)
        declared = not row.is_key and not row.in_data and _declares(known, row.names)
        table[at, :_FACTS] = _facts(row, lineage, given, declared)
        if declared:
            keys.append(" ".join(row.names))
        else:
            keys.append("")
            table[at, _FACTS : _FACTS + _SIGNATURE] = _signature(row.path.encode())
        if row.outer:
            table[at, _FACTS : _FACTS + _SIGNATURE] += _signature(repr(row.outer).encode())
        texts.append(_trusted_text(row, lineage, known))
    table[1:, _FACTS + _SIGNATURE :] = values_features([row.value for row in rows])
    table[0, 0] = 1.0
    scalars = np.array(_scalars(given, len(rows)), np.float32)
    if len(table) > MAX_ROWS:
        keys, texts, table = _merged(keys, texts, table)
    about = given.spec.description if given.spec else ""
    return CallFeatures(given.call.tool_name, about, scalars, tuple(keys), tuple(texts), table)


class _Row(NamedTuple):
    """A scalar, an empty container, or a key that is data."""

    path: str
    """JSON pointer, spelled as `plan.leaves` spells it."""
    names: tuple[str, ...]
    """Keys on the way, without list indices."""
    order: tuple[tuple[bool, int | str], ...]
    """Sorts list items by number."""
    value: Any
    place: int = -1
    """Place in the innermost list around it, -1 outside of lists."""
    length: int = 0
    """Items of that list."""
    is_key: bool = False
    in_data: bool = False
    """Below a key that is data."""
    outer: tuple[int, ...] = ()
    """Places in the lists around the innermost one."""


def _by_path(row: _Row) -> tuple[tuple[bool, int | str], ...]:
    return row.order


def _rows(arguments: Mapping[str, Any]) -> Iterator[_Row]:
    """All leaves, iteratively: depth cannot exhaust the stack."""
    stack = [_Row("", (), (), arguments)]
    while stack:
        row = stack.pop()
        path, names, order, value = row.path, row.names, row.order, row.value
        if isinstance(value, dict) and value:
            data = set(argument_keys(value, path))
            for key, child in value.items():
                where = shorten(f"{path}/{escape(key)}")
                at, in_data = (*order, (True, key)), row.in_data or key in data
                around = (row.place, row.length)
                if key in data:
                    first = (*at, (True, ""))
                    yield _Row(f"{where}/~key", names, first, key, *around, True, True, row.outer)
                below = (*names, key)
                stack.append(_Row(where, below, at, child, *around, False, in_data, row.outer))
        elif isinstance(value, list) and value:
            outer = row.outer if row.place < 0 else (*row.outer, row.place)
            size, in_data = len(value), row.in_data
            for i, child in enumerate(value):
                where, at = f"{path}/{i}", (*order, (False, i))
                stack.append(_Row(where, names, at, child, i, size, False, in_data, outer))
        elif path:
            yield row


class _CatalogWords(NamedTuple):
    """What a tool's schema spells out: this much of its arguments is text of the catalog."""

    keys: frozenset[str]
    values: frozenset[str]


_KNOWN: dict[int, tuple[ToolSpec, _CatalogWords]] = {}
"""By identity, and holding the spec so that its id stays its own: a digest would cost more."""
_MOST_KNOWN = 4096


def _catalog_words(spec: ToolSpec) -> _CatalogWords:
    found = _KNOWN.get(id(spec))
    if found is None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[id(spec)] = found = (spec, _words_of(spec.parameters))
    return found[1]


def _words_of(schema: Mapping[str, Any]) -> _CatalogWords:
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
    return _CatalogWords(frozenset(keys), frozenset(values))


def _declares(known: _CatalogWords | None, names: tuple[str, ...]) -> bool:
    return known is None or known.keys.issuperset(names)


def _trusted_text(row: _Row, lineage: Lineage | None, known: _CatalogWords | None) -> str:
    if not isinstance(row.value, str) or row.is_key:
        return ""
    said = lineage is not None and _said(lineage, row.value)
    return row.value if said or (known and row.value in known.values) else ""


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


def _facts(row: _Row, lineage: Lineage | None, given: CallInput, declared: bool) -> list[float]:
    """`[_FACTS]`: role of the leaf, place, and what its lineage says."""
    profile = given.spec.profile if given.spec else None
    top = row.names[0] if row.names else ""
    tier = lineage.tier if lineage else 0
    place = row.place + 1
    return [
        0.0,  # 1 in row 0 alone
        declared,
        given.spec is not None,
        row.is_key,
        lineage is None,
        tier == 1,
        tier == 2,
        tier == 3,
        lineage is not None and lineage.named,
        lineage is not None and lineage.only_untrusted,
        lineage is not None and lineage.sensitive,
        lineage is not None and lineage.disguised,
        lineage is not None and bool(lineage.causes),
        lineage is not None and lineage.trivial,
        profile is not None and top in profile.identity_args,
        profile is not None and top in profile.content_args,
        profile is not None and top in profile.url_args,
        profile is not None and any(name in profile.notifies for name in row.names),
        math.log1p(len(row.names)) / 3,
        place > 0,
        math.log1p(place) / 8,
        math.sin(place * math.pi / 2),
        math.cos(place * math.pi / 2),
        math.sin(place * math.pi / 16),
        math.log1p(row.length) / 8,
        0.0,  # log length of the run, in merged rows
    ]


_RUN = _FACTS - 1


def _signature(data: bytes) -> NDArray[np.float32]:
    """Numbers in [-1, 1] from a hash: other data has another signature, which says nothing else."""
    bits = zlib.crc32(data)
    return np.array([(bits >> 4 * i & 15) / 7.5 - 1 for i in range(_SIGNATURE)], np.float32)


def _scalars(given: CallInput, leaves: int) -> list[float]:
    """`[CALL_DIM]`: tier, scope, volume, sensitivity and the tool's profile."""
    call, spec = given.call, given.spec
    found: list[float] = [call.provenance_tier == tier for tier in (1, 2, 3)]
    found += [call.scope_level >= level for level in range(1, 11)]
    volume, sensitivity = call.volume, call.sensitivity
    found += [volume is not None, math.log(1 + (volume or 0)) / 12]
    found += [sensitivity is not None, (sensitivity or 0) / 10]
    found += [math.log1p(leaves) / 6, spec is not None]
    if spec is None:
        return found + [0.0] * (CALL_DIM - len(found))
    profile = spec.profile
    found += [profile.effect is effect for effect in _EFFECTS]
    found += [profile.sink, profile.egress, profile.reversible, bool(profile.third_party)]
    found += [profile.confidence]
    found += [profile.privilege >= level for level in range(1, 11)]
    found += [profile.tier == tier for tier in (1, 2, 3)]
    found += [profile.text_tier == 3, profile.scope / 10, math.log1p(max(profile.cost, 0.0)) / 8]
    return found


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

"""One JSON scalar as numbers: its type, its magnitude, the shape of its text. Never the text.

Sees: what a value is (a number and how large, an address, a path, a date, a command, prose), how
long and of which characters. Does not see: what a text says. An attacker may have chosen it, so no
word of it enters z_e (P8); where the value came from is told by its lineage, elsewhere.

Columns of a row, all in [-1, 1]:

    block      width  content
    type           7  one-hot: null, bool, int, float, string, empty list, empty object
    truth          1  bool: 1 or -1
    finite         1  1 for NaN and the infinities (JSON has neither, Python's parser reads them)
    integer        1  number without a fraction
    sign           1  -1, 0, 1
    magnitude      1  sign * l / (l + 3), l = log10(1 + |x|)
    fourier        6  sin and cos of pi / 2 * sign * l / (l + s), s = 1, 4, 16
    decades       26  thermometer over log10 |x| with the edges `DECADES`, times the sign
    length         1  string: l / (l + 3), l = log10(1 + characters)
    lengths        6  thermometer over log10 of the characters, edges 0 .. 6
    words          1  l / (l + 3), l = log10(1 + words)
    lines          1  l / (l + 3), l = log10(1 + line breaks)
    characters     5  share of ASCII digits, capitals, punctuation, blanks, and of non-ASCII
    kind          12  string: one-hot, in the order of `kinds.KINDS`

The number blocks are also filled for a string that is a number: `"50"` has the magnitude of 50 and
the type of a string. For numbers a < b < c of one type (integers, or not) the distance from a to c
is never less than that from a to b: every block is monotone, and each Fourier pair covers half a
turn at most.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.kinds import KINDS, kind_of
from gatling_guard.errors import InputError

DECADES = (
    -300, -100, -30, -9, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 24, 40,
    310, 5000,
)  # fmt: skip
"""Edges of the thermometer: fine where limits and amounts are, coarse beyond."""
LENGTHS = (0, 1, 2, 3, 4, 5, 6)

_TYPES = 7
_NULL, _BOOL, _INT, _FLOAT, _STRING, _LIST, _OBJECT = (
    [float(i == at) for i in range(_TYPES)] for at in range(_TYPES)
)
_CELLS, _LENGTH_CELLS = len(DECADES) - 1, len(LENGTHS) - 1
_NUMBER_DIM = 4 + 6 + _CELLS  # finite, integer, sign, magnitude, fourier, decades
_STRING_DIM = 1 + _LENGTH_CELLS + 2 + 5 + len(KINDS)
VALUE_DIM = _TYPES + 1 + _NUMBER_DIM + _STRING_DIM
"""Width of a row."""
_NO_NUMBER = [0.0] * _NUMBER_DIM
_NO_STRING = [0.0] * _STRING_DIM
_KIND = {kind: [float(i == at) for i in range(len(KINDS))] for at, kind in enumerate(KINDS)}


def value_features(value: Any) -> NDArray[np.float32]:
    """`[VALUE_DIM]` of one scalar; see `values_features`."""
    return np.array(_row(value), dtype=np.float32)


def values_features(values: Sequence[Any]) -> NDArray[np.float32]:
    """`[len(values), VALUE_DIM]` of JSON scalars, empty lists and empty objects.

    Raises:
        InputError: anything else, by its place.
    """
    rows = np.zeros((len(values), VALUE_DIM), dtype=np.float32)
    for i, value in enumerate(values):
        kind = type(value)
        if kind is int or kind is float or (kind is str and len(value) <= _SHORT):
            rows[i] = _kept(kind.__name__, value)
        else:
            rows[i] = _row(value, i)
    return rows


_SHORT = 128
"""Shorter strings are kept: an agent names the same people, files and ids again and again."""


@lru_cache(maxsize=4096)
def _kept(kind: str, value: Any) -> NDArray[np.float32]:
    """`_row` of a short scalar. By type too: `1 == True == 1.0`."""
    return np.array(_row(value), np.float32)


def _row(value: Any, at: int = 0) -> list[float]:
    if isinstance(value, str):
        kind, number = kind_of(value)
        numeric = _NO_NUMBER if number is None else _number(number)
        return [*_STRING, 0.0, *numeric, *_string(value, kind)]
    if value is None:
        return [*_NULL, 0.0, *_NO_NUMBER, *_NO_STRING]
    if isinstance(value, bool):
        return [*_BOOL, 1.0 if value else -1.0, *_NO_NUMBER, *_NO_STRING]
    if isinstance(value, int):
        return [*_INT, 0.0, *_number(value), *_NO_STRING]
    if isinstance(value, float):
        return [*_FLOAT, 0.0, *_number(value), *_NO_STRING]
    if isinstance(value, (list, dict)) and not value:
        empty = _LIST if isinstance(value, list) else _OBJECT
        return [*empty, 0.0, *_NO_NUMBER, *_NO_STRING]
    raise InputError(f"value {at}: {type(value).__name__} is no JSON scalar")


def _number(x: float) -> list[float]:
    """The blocks finite .. decades of a number; an int may have any number of digits."""
    if isinstance(x, float) and not math.isfinite(x):
        if x != x:
            return [1.0, *[0.0] * (_NUMBER_DIM - 1)]
        finite, integer, size = 1.0, 0.0, float(DECADES[-1])
    else:
        integer = 1.0 if isinstance(x, int) or x.is_integer() else 0.0
        finite, size = 0.0, math.log10(abs(x)) if x else -math.inf
    sign = (x > 0) - (x < 0)
    # log10(1 + |x|) without the overflow of a large int
    grown = size if size > 15 else math.log10(1 + abs(x))
    turns = [sign * math.pi / 2 * grown / (grown + s) for s in (1, 4, 16)]
    return [
        finite,
        integer,
        float(sign),
        sign * grown / (grown + 3),
        *map(math.sin, turns),
        *map(math.cos, turns),
        *_thermometer(size, DECADES, float(sign)),
    ]


def _thermometer(size: float, edges: Sequence[int], full: float) -> list[float]:
    """One cell between each two edges: `full` below `size`, rising in its own, 0 above."""
    at = bisect_right(edges, size)
    cells = len(edges) - 1
    if at == 0:
        return [0.0] * cells
    if at > cells:
        return [full] * cells
    share = (size - edges[at - 1]) / (edges[at] - edges[at - 1])
    return [full] * (at - 1) + [full * share] + [0.0] * (cells - at)


_DIGITS = b"0123456789"
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PUNCTUATION = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_BLANKS = b" \t\n\r\v\f"
_NOT_LEADS = bytes(range(0xC0))
"""UTF-8 without the bytes that begin a character beyond ASCII."""


def _string(text: str, kind: str) -> list[float]:
    """The blocks length .. kind of a string, in time linear in it."""
    raw, size = text.encode("utf-8", "surrogatepass"), len(text)
    if not raw:
        return [*_NO_STRING[: -len(KINDS)], *_KIND[kind]]
    bytes_ = len(raw)
    shares = [
        (bytes_ - len(raw.translate(None, group))) / size
        for group in (_DIGITS, _CAPITALS, _PUNCTUATION, _BLANKS)
    ]
    foreign = len(raw.translate(None, _NOT_LEADS)) / size if bytes_ > size else 0.0
    return [
        _squashed(size),
        *_thermometer(math.log10(size), LENGTHS, 1.0),
        _squashed(len(text.split())),
        _squashed(raw.count(b"\n")),
        *shares,
        foreign,
        *_KIND[kind],
    ]


def _squashed(count: int) -> float:
    grown = math.log10(1 + count)
    return grown / (grown + 3)

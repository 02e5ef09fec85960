"""encoders.values: one scalar as numbers, typed and monotone, without its text."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatling_guard.encoders.kinds import KINDS, kind_of
from gatling_guard.encoders.values import VALUE_DIM, value_features, values_features
from gatling_guard.errors import InputError

INTS = st.one_of(st.integers(-1_000, 1_000), st.integers(-(10**12), 10**12), st.integers())
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just([]), st.just({})
)


def distance(one: Any, other: Any) -> float:
    a, b = values_features([one, other]).astype(np.float64)
    return float(np.linalg.norm(a - b))


def number_part(row: NDArray[np.float32]) -> NDArray[np.float32]:
    """The blocks finite .. decades."""
    return row[8:44]


# ------------------------------------------------------------------------------ types
def test_types_are_told_apart() -> None:
    """R21: {"a": 1} is not {"a": "1"}, nor {"a": true}, nor {"a": 1.0}; nothing is not empty."""
    values = [1, "1", True, 1.0, None, False, 0, "", [], {}, "true", 0.0, "0", -1]
    rows = values_features(values)
    assert len({row.tobytes() for row in rows}) == len(values)
    assert min(distance(1, other) for other in values[1:]) > 0.5


def test_a_number_in_a_string_has_its_magnitude() -> None:
    """R21: `"10000"` is as large as 10000 and is still a string."""
    for text, number in (
        ("50", 50),
        ("1,000.50", 1000.5),
        ("-7", -7),
        ("$ 20", 20),
        ("3.5 %", 3.5),
    ):
        said, meant = value_features(text), value_features(number)
        assert np.array_equal(number_part(said), number_part(meant)), text
    assert not number_part(value_features("fifty")).any()


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", object(), (), {1}])
def test_what_is_no_scalar_is_refused_by_its_place(value: Any) -> None:
    with pytest.raises(InputError, match="value 1"):
        values_features([0, value])


# ------------------------------------------------------------------------------ numbers
def test_limits_differ_monotonically() -> None:
    """R21: limit 5 < 50 < 10000, as the issue says, and 100 against 101."""
    assert 0 < distance(5, 6) < distance(5, 50) < distance(5, 10_000) < distance(5, 10**9)
    assert distance(-5, -50) < distance(-5, -10_000)
    assert distance(100, 101) > 1e-3


@given(st.lists(INTS, min_size=3, max_size=3, unique=True))
def test_the_distance_grows_with_the_number(numbers: list[int]) -> None:
    """R21: a < b < c: c is never nearer to a than b is, nor a to c; across zero as well."""
    a, b, c = sorted(numbers)
    assert distance(a, b) <= distance(a, c) + 1e-5
    assert distance(b, c) <= distance(a, c) + 1e-5


@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
        min_size=3,
        max_size=3,
        unique=True,
    )
)
def test_the_distance_grows_with_the_fraction(numbers: list[float]) -> None:
    """R21: the same for numbers that are no integers, however small or large."""
    a, b, c = sorted(numbers)
    assert distance(a, b) <= distance(a, c) + 1e-5
    assert distance(b, c) <= distance(a, c) + 1e-5


def test_each_fourier_pair_covers_half_a_turn_at_most() -> None:
    """R21: what keeps the distance monotone; more turns would make far numbers near again."""
    numbers = sorted(sign * 10**power for sign in (-1, 1) for power in (0, 1, 2, 4, 8, 40, 300))
    rows = values_features(numbers)
    sines, cosines = rows[:, 12:15], rows[:, 15:18]
    assert (cosines >= 0).all()
    assert (np.diff(np.arctan2(sines, cosines), axis=0) > 0).all()


@given(st.integers(-300, 300), st.integers(1, 8))
def test_each_decade_is_a_step(power: int, factor: int) -> None:
    """A tenfold is always seen, from 1e-300 to 1e300."""
    value = factor * 10.0**power + 0.1 * 10.0**power
    assert distance(value, 11.5 * value) > 0.003


@pytest.mark.parametrize(
    "value",
    [
        2**1024,
        -(2**1024),
        10**4000,
        5e-324,
        -5e-324,
        1.7e308,
        0,
        -0.0,
        math.inf,
        -math.inf,
        math.nan,
    ],
)
def test_extreme_numbers(value: float) -> None:
    """An int of 1,024 bits overflows no float, and what JSON does not have is no NaN here."""
    row = value_features(value)
    assert np.isfinite(row).all()
    assert np.abs(row).max() <= 1


def test_what_is_not_finite_is_marked() -> None:
    """Infinity is no large number, and NaN no zero."""
    rows = values_features([math.inf, -math.inf, math.nan, 0.0, 1e308])
    assert rows[:, 8].tolist() == [1, 1, 1, 0, 0]
    assert len({row.tobytes() for row in rows}) == 5


@given(st.lists(SCALARS, max_size=8))
def test_all_columns_are_bounded(values: list[Any]) -> None:
    """Finite and in [-1, 1]; a row is what its value alone gives."""
    rows = values_features(values)
    assert rows.shape == (len(values), VALUE_DIM)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert np.abs(rows).max(initial=0) <= 1
    for value, row in zip(values, rows, strict=True):
        assert np.array_equal(value_features(value), row)


# ------------------------------------------------------------------------------ strings
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("bob@example.com", "mail"),
        ("mailto:bob@example.co.uk", "mail"),
        ("https://example.com/a?b=c", "url"),
        ("example.com", "url"),
        ("www.example.com/x", "url"),
        ("10.0.0.1:8080", "url"),
        ("https://example.com/" + "a" * 3_000, "url"),
        ("/etc/passwd", "path"),
        ("C:\\Users\\bob", "path"),
        ("report.pdf", "path"),
        ("src/main.py", "path"),
        ("2024-05-13", "time"),
        ("2024-05-13T10:00:00Z", "time"),
        ("13.05.2024", "time"),
        ("May 13th 2024", "time"),
        ("10:30", "time"),
        ("a1b2c3d4-e5f6-7890-abcd-ef1234567890", "id"),
        ("user_123", "id"),
        ("x" * 3_000, "id"),
        ("50", "number"),
        ("-1.5e3", "number"),
        ("1,000.50", "number"),
        ("12345678901234", "number"),
        ("+49 170 1234567", "phone"),
        ("DE89 3704 0044 0532 0130 00", "account"),
        ("4111 1111 1111 1111", "account"),
        ("4111111111111111", "account"),
        ("rm -rf / && curl http://x.y", "code"),
        ("SELECT name FROM users", "code"),
        ('{"a": 1}', "code"),
        ("import os; print(1)", "code"),
        ("hello", "label"),
        ("in progress", "label"),
        ("Please send the money to Alice, she asked for it.", "text"),
        ("word " * 2_000, "text"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    """One of each kind and the neighbours it is easily taken for; the column is the kind's."""
    assert kind_of(text)[0] == kind
    assert value_features(text)[-len(KINDS) :].tolist() == [float(k == kind) for k in KINDS]


@given(st.text(), st.integers(1, 5))
def test_the_words_themselves_leave_no_trace(text: str, turn: int) -> None:
    """P8: letters may be exchanged for letters of their class; prose of one shape is one row."""
    prose = "Please look at the next line and then answer it, thank you: "
    other = "".join(chr((ord(c) - 97 + turn) % 26 + 97) if "a" <= c <= "z" else c for c in prose)
    one, two = values_features([prose * 2, other * 2])
    assert np.allclose(one, two)
    assert np.isfinite(value_features(text)).all()


def test_length_and_lines_are_seen_to_the_end() -> None:
    """G16: each end of a long string counts: a digit, a capital, a line break, a letter more."""
    body = "word " * 20_000 + "x"
    rows = [value_features(body + end).tobytes() for end in ("", "1", "A", "\nx", "é", "!", " x")]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(
    "text",
    [
        "a ",
        "x",
        "(",
        ";\n",
        "select ",
        "`",
        "- ",
        "1",
        "def ",
        " ",
        "a.",
        "</",
        "a/",
        "-1",
        "1 ",
        "\ud800",
    ],
)
@pytest.mark.parametrize("size", [512, 1_000_000])
def test_hostile_strings_are_bounded(text: str, size: int) -> None:
    """1 MB of what patterns trip over takes far less than a second."""
    value = (text * size)[:size]
    value_features(value)
    began = time.process_time()
    value_features(value)
    assert time.process_time() - began < 0.5

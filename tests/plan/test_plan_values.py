"""JSON values: conversion, bounds, digests."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gatling_guard.errors import InputError
from gatling_guard.plan import canonical_json, digest, leaves, parse_json, to_json
from gatling_guard.plan.values import escape, shorten

scalars = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8"))
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values)
def test_json_values_pass_unchanged(value: Any) -> None:
    """R5: whatever JSON can say is accepted as it is, and copied."""
    copy = to_json(value)
    assert copy == value
    assert json.loads(canonical_json(copy)) == value
    if isinstance(value, (list, dict)):
        assert copy is not value


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), scalars, min_size=2))
def test_digest_ignores_key_order_and_sees_every_change(value: dict[str, Any]) -> None:
    """R21: key order is no content; types and values are."""
    assert digest(dict(reversed(value.items()))) == digest(value)
    key = next(iter(value))
    assert digest({**value, key: [value[key]]}) != digest(value)


def test_types_are_told_apart() -> None:
    """R21: 1, "1", 1.0-as-text, true and null never share a digest."""
    assert len({digest(v) for v in (1, "1", True, "true", None, "null", [1], {"1": 1})}) == 8


def test_digest_is_the_same_in_another_process() -> None:
    """R7, G4: no salted hash anywhere."""
    code = "from gatling_guard.plan import *; print(digest(to_json({'b': {3, 1}, 'a': 'é'})))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(seen) == 1


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Model(BaseModel):
    when: dt.date


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (Colour.RED, "red"),
        (Point(3), {"x": 3}),
        (Model(when=dt.date(2024, 5, 1)), {"when": "2024-05-01"}),
        (dt.datetime(2024, 5, 1, 9, 30), "2024-05-01T09:30:00"),
        (decimal.Decimal("1.50"), "1.50"),
        (PurePosixPath("/etc/passwd"), "/etc/passwd"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"ab", "YWI="),
        ({1: "a"}, {"1": "a"}),
    ],
)
def test_common_python_values_become_json(value: object, expected: object) -> None:
    """R5: what tools take in practice is seen, not skipped."""
    assert to_json(value) == expected


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def cyclic() -> Any:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("value", "where", "message"),
    [
        ({"a": [1, float("nan")]}, "/a/1", "not a JSON number"),
        ({"a": float("inf")}, "/a", "not a JSON number"),
        ({"a": {"b": "x\ud800"}}, "/a/b", "lone surrogate at character 1"),
        ({"k\udfff": 1}, "/", "lone surrogate"),
        ({"a": object()}, "/a", "object is not a JSON value"),
        ({"a": 10**400}, "/a", "bits"),
        ({(1, 2): 1}, "/", "key of type tuple"),
        ({1: "a", "1": "b"}, "/", "appears twice"),
        ({"a": nested(1000)}, "/a/0", "nested deeper than 64"),
        (cyclic(), "/self", "nested deeper than 64"),
        ([0] * 200_000, "/", "more than 100000 values"),
        (["x" * 9_000_000], "/0", "characters of text"),
        ({"to": {"k" * 2000: 1}}, "/to", "is longer than 1024 characters"),
        ({"k" * 1000: {"k" * 1000: {"k" * 1000: [0] * 90_000}}}, "/kk", "text and paths"),
    ],
    ids=lambda v: None,
)
def test_bad_values_are_named_in_bounded_time(value: object, where: str, message: str) -> None:
    """R5: NaN, surrogates, depth, size, cycles: an error that names the place."""
    start = time.perf_counter()
    with pytest.raises(InputError, match=message) as caught:
        to_json(value)
    assert time.perf_counter() - start < 2
    assert caught.value.issues[0].where.startswith(where)


def test_a_megabyte_of_text_is_fine() -> None:
    """R5: large is not wrong."""
    value = {"body": "x" * 1_000_000}
    assert to_json(value) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "'a' appears twice"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ("[" * 100_000, "nested deeper|Expecting value"),
        ("[" * 1000 + "]" * 1000, "nested deeper"),
        ('{"a": \n  oops}', "2: column 3"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        ("1" * 5000, "Exceeds the limit|bits"),
    ],
)
def test_bad_json_text_is_named(text: str | bytes, message: str) -> None:
    """R5: duplicate keys in particular, which parsers resolve differently (a known bypass)."""
    with pytest.raises(InputError, match=message):
        parse_json(text)


def test_keys_that_are_data_are_leaves() -> None:
    """design P6: `{"ann@x.org": "read"}` carries an address in a key."""
    found = {(leaf.path, leaf.value, leaf.is_key) for leaf in leaves({"acl": {"a@x.org": "r"}})}
    assert found == {("/acl/a@x.org/~key", "a@x.org", True), ("/acl/a@x.org", "r", False)}


@given(values)
def test_leaves_cover_every_scalar(value: Any) -> None:
    """design P6: nothing hides in nesting."""

    def count(item: Any) -> int:
        if isinstance(item, dict):
            return sum(map(count, item.values()))
        return sum(map(count, item)) if isinstance(item, list) else 1

    assert sum(not leaf.is_key for leaf in leaves(value)) == count(value)


def test_long_keys_do_not_blow_up_paths() -> None:
    """C1: a path is kept for every value below a key."""
    long = "k" * 300_000
    found = list(leaves({long: list(range(100)), long + "x": 1, "short": 2}))
    assert max(len(leaf.path) for leaf in found) < 100
    assert len({leaf.path for leaf in found}) == len(found)
    assert found[-1].path == "/short"


@given(values, st.lists(st.text(min_size=60, max_size=120).map(escape), max_size=3))
def test_shortened_pointers_are_the_paths_of_leaves(value: Any, keys: list[str]) -> None:
    """C1: a declared pointer can be compared with the path of a leaf."""
    pointer = "".join(f"/{key}" for key in keys)
    assert shorten(shorten(pointer)) == shorten(pointer)
    nested: Any = value
    for key in reversed(keys):
        nested = {key.replace("~1", "/").replace("~0", "~"): nested}
    assert all(leaf.path.startswith(shorten(pointer)) for leaf in leaves(nested) if not leaf.is_key)


@pytest.mark.parametrize(
    ("key", "outer", "nested"),
    [
        ("recipient", False, False), ("address2", False, True), ("sha256", False, True),
        ("zipCode", False, False), ("_x", False, False), ("", True, True), ("a b", True, True),
        ("DE89370400440532013000", True, True), ("eve42", False, True), ("jürgen", True, True),
    ],
)  # fmt: skip
def test_which_argument_keys_are_data(key: str, outer: bool, nested: bool) -> None:
    """B8: an identifier with digits may be an account, but `address2` is an argument."""
    assert any(leaf.is_key for leaf in leaves({key: 1})) is outer
    assert any(leaf.is_key for leaf in leaves({"a": {key: 1}})) is nested

"""The short way through a plain schema: it never calls valid what JSON Schema does not."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatling_guard.rules.flat import MAX_LIST, flat

_NAMES = st.sampled_from(["to", "body", "n"])
_TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
_SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 2.5, "a", "b", "", "1"])
)
_VALUES = _SCALARS | st.lists(_SCALARS, max_size=3) | st.dictionaries(_NAMES, _SCALARS, max_size=2)
_ONE: st.SearchStrategy[Any] = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": _TYPES | st.lists(_TYPES, min_size=1, max_size=2, unique=True),
            "enum": st.lists(_SCALARS, min_size=1, max_size=3),
            "description": st.just("what it is"),
            "minLength": st.just(1),
        },
    )
    | st.booleans(),
    lambda inner: st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
    max_leaves=3,
)
_SCHEMAS = st.fixed_dictionaries(
    {"type": st.just("object")},
    optional={
        "properties": st.dictionaries(_NAMES, _ONE, max_size=3),
        "required": st.lists(_NAMES, max_size=2, unique=True),
        "additionalProperties": st.booleans() | st.just({"type": "string"}),
        "minProperties": st.just(1),
    },
)


@settings(max_examples=400, deadline=None)
@given(_SCHEMAS, _VALUES | st.dictionaries(_NAMES, _VALUES, max_size=3))
@example({"type": "object", "properties": {"n": {"type": "integer"}}}, {"n": True})
@example({"type": "object", "properties": {"n": {"type": "number", "enum": ["a"]}}}, {"n": "a"})
@example({"type": "object", "required": ["to"]}, {"body": "a"})
@example({"type": "object", "additionalProperties": False}, {"to": "a"})
def test_what_is_surely_valid_is_valid(schema: dict[str, Any], value: Any) -> None:
    """R22: a shortcut may say too little, never too much."""
    valid = flat(schema)
    if valid is not None and valid(value):
        assert jsonschema.Draft202012Validator(schema).is_valid(value)


def test_the_everyday_schema_takes_the_short_way() -> None:
    """Else it would be no shortcut."""
    schema = {
        "type": "object",
        "title": "args",
        "required": ["to"],
        "additionalProperties": False,
        "properties": {
            "to": {"type": "string", "description": "who"},
            "cc": {"type": "array", "items": {"type": "string"}},
            "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "limit": {"type": ["integer", "null"]},
        },
    }
    valid = flat(schema)
    assert valid is not None
    assert valid({"to": "a", "cc": ["b"], "kind": "b", "limit": None})
    assert not valid({"to": "a", "cc": ["b"] * (MAX_LIST + 1)}), "left to the budget of steps"


@pytest.mark.parametrize(
    "keyword", ["pattern", "$ref", "anyOf", "not", "const", "maxLength", "x-y"]
)
def test_a_keyword_it_does_not_know_is_left_to_json_schema(keyword: str) -> None:
    """R22."""
    one = flat({"type": "object", "properties": {"to": {"type": "string", keyword: "1"}}})
    assert one is not None
    assert not one({"to": "1"})
    assert flat({"type": "object", keyword: "1"}) is None

"""R22: arguments against the tool's own schema; hostile schemas and values in bounded time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.catalog.types import Effect, ToolProfile, ToolSpec
from gatling_guard.plan import ToolCall
from gatling_guard.policy import load_policy
from gatling_guard.rules import Finding, RuleFacts, apply_rules

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "recipient": {"type": "string"},
        "amount": {"type": "number", "minimum": 0},
        "count": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "urgent": {"type": "boolean"},
        "note": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/note"}]},
        "kind": {"enum": ["a", "b"]},
    },
    "required": ["recipient", "amount"],
    "$defs": {"note": {"type": "object", "properties": {"text": {"type": "string"}}}},
}
GOOD = {"recipient": "ann", "amount": 5}


def findings(
    arguments: dict[str, Any],
    schema: dict[str, Any] | None = None,
    *,
    effect: Effect = Effect.PAY,
    policy: Any = "standard",
    **profile: Any,
) -> tuple[Finding, ...]:
    tool = ToolSpec(
        "t",
        parameters=SCHEMA if schema is None else schema,
        profile=ToolProfile(effect, **profile),
    )
    call = ToolCall(node_id="1", tool_name="t", arguments=arguments)
    return apply_rules(RuleFacts(call, tool, load_policy(policy), None, ()))


def rules(*args: Any, **more: Any) -> list[tuple[str, str, str]]:
    return sorted((f.rule, f.action, f.where) for f in findings(*args, **more))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (GOOD, []),
        ({**GOOD, "amount": 5.5, "count": 3.0, "tags": [], "note": {"text": "x"}}, []),
        ({"amount": 5}, [("schema.missing", "block", "/recipient")]),
        (
            {},
            [("schema.missing", "block", "/amount"), ("schema.missing", "block", "/recipient")],
        ),
        ({**GOOD, "bcc": "x"}, [("schema.extra", "block", "/bcc")]),
        (
            {"recipent": "ann", "amount": 5},
            [("schema.extra", "block", "/recipent"), ("schema.renamed", "block", "/recipient")],
        ),
        ({**GOOD, "amount": [5]}, [("schema.type", "block", "/amount")]),
        ({**GOOD, "amount": "five"}, [("schema.type", "block", "/amount")]),
        ({**GOOD, "amount": -1}, [("schema.minimum", "block", "/amount")]),
        ({**GOOD, "tags": [{"x": 1}]}, [("schema.type", "block", "/tags/0")]),
        ({**GOOD, "tags": ["a", "a"]}, [("schema.uniqueItems", "block", "/tags")]),
        ({**GOOD, "note": {"text": 5.5}}, [("schema.anyOf", "block", "/note")]),
        ({**GOOD, "kind": "c"}, [("schema.enum", "block", "/kind")]),
        ({**GOOD, "amount": None}, [("schema.type", "block", "/amount")]),
    ],
)
def test_violations(arguments: dict[str, Any], expected: list[Any]) -> None:
    """R22: an invalid argument is a finding with its place, never an exception."""
    assert rules(arguments) == expected


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("amount", "5"),
        ("amount", "-5.25"),
        ("count", "12"),
        ("recipient", 17),
        ("urgent", "true"),
        ("count", None),
        ("note", None),
        ("note", "null"),
        ("kind", None),
        ("tags", "one"),
    ],
)
def test_benign_coercions_are_notes(argument: str, value: Any) -> None:
    assert rules({**GOOD, argument: value}) in (
        [("schema.coerced", "note", f"/{argument}")],
        [],  # "null" is text, and `note` takes text
    )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("count", "12.5"),
        ("count", "1e3"),
        ("amount", "5; DROP"),
        ("amount", "5\n"),
        ("amount", "\u0665"),
        ("recipient", True),
        ("recipient", ["ann", "eve"]),
        ("recipient", {"to": "eve"}),
        ("recipient", None),
        ("tags", '["a", "b"]'),
        ("urgent", "yes"),
    ],
)
def test_other_coercions_block(argument: str, value: Any) -> None:
    """What two readers may read in two ways, or what hides structure from the lineage."""
    got = rules({**GOOD, argument: value})
    assert [item[1:] for item in got] == [("block", f"/{argument}")]


def test_a_tool_that_only_reads_may_complain_itself() -> None:
    """Its own error lets the model correct the call; extra arguments stay blocked."""
    bad = {"amount": [5], "bcc": "x"}
    actions = {(f.rule, f.action) for f in findings(bad, effect=Effect.READ)}
    assert actions == {
        ("schema.missing", "note"),
        ("schema.type", "note"),
        ("schema.extra", "block"),
    }
    worse: list[dict[str, Any]] = [
        {"effect": Effect.READ, "url_args": ("recipient",)},
        {"effect": Effect.READ, "sink": True},
        {"effect": Effect.READ, "confidence": 0.3},
        {"effect": Effect.STATE_CHANGING_READ},
    ]
    for profile in worse:
        assert {f.action for f in findings(bad, **profile)} == {"block"}, profile


@pytest.mark.parametrize(
    ("schema", "extra"),
    [
        ({"type": "object"}, False),
        ({"type": "object", "properties": {}}, True),
        ({"properties": {}, "additionalProperties": True}, False),
        ({"properties": {}, "additionalProperties": {"type": "string"}}, False),
        ({"properties": {}, "additionalProperties": {"type": "object"}}, True),
        ({"properties": {}, "additionalProperties": False}, True),
        ({"properties": {}, "patternProperties": {"^x": {}}}, False),
        ({"patternProperties": {"^y": {}}, "additionalProperties": False}, True),
    ],
)
def test_extra_arguments(schema: dict[str, Any], extra: bool) -> None:
    got = findings({"x": "1"}, schema)
    assert bool(got) is extra
    assert all(f.action == "block" for f in got)


def test_the_policy_may_allow_or_block_extra_arguments() -> None:
    allow = {"tools": {"t": {"extra_arguments": "allow"}}}
    assert rules({**GOOD, "x": 1}, policy=allow) == [("schema.extra", "note", "/x")]
    both = {"tools": {"t": {"extra_arguments": "allow"}, "*": {"extra_arguments": "block"}}}
    assert ("schema.extra", "block", "/x") in rules({**GOOD, "x": 1}, policy=both)
    block = {"tools": {"t": {"extra_arguments": "block", "arguments": {"y": {}}}}}
    assert rules({"x": 1, "y": 1}, {"type": "object"}, policy=block) == [
        ("argument.extra", "block", "/x")
    ]


BROKEN_SCHEMAS: dict[str, dict[str, Any]] = {
    "type": {"type": "dict", "properties": {"x": {"type": "float"}}},
    "properties": {"properties": ["x"]},
    "required": {"required": "x"},
    "remote ref": {"$ref": "http://127.0.0.1:9/schema.json"},
    "file ref": {"properties": {"x": {"$ref": "file:///etc/passwd"}}},
    "dangling ref": {"properties": {"x": {"$ref": "#/$defs/none"}}},
    "draft 4": {"properties": {"x": {"minimum": 1, "exclusiveMinimum": True}}},
}


@pytest.mark.parametrize("name", BROKEN_SCHEMAS)
def test_a_broken_schema_is_a_note(name: str) -> None:
    """R22; and nothing is ever fetched (the test suite refuses connections)."""
    assert rules({"x": 1}, BROKEN_SCHEMAS[name]) == [("schema.broken", "note", "")]


def test_a_broken_schema_still_says_what_is_extra_or_missing() -> None:
    schema = {"properties": {"x": {"type": "float"}}, "required": ["x"]}
    assert rules({"y": 1}, schema) == [
        ("schema.broken", "note", ""),
        ("schema.extra", "block", "/y"),
        ("schema.missing", "block", "/x"),
    ]


def test_an_endless_reference_is_bounded() -> None:
    schema = {"$ref": "#"}
    assert rules({"x": 1}, schema) == [("schema.complex", "block", "")]


def test_references_that_multiply_are_bounded() -> None:
    defs: dict[str, Any] = {"a0": {"type": "integer"}}
    for i in range(1, 30):
        defs[f"a{i}"] = {"allOf": [{"$ref": f"#/$defs/a{i - 1}"}] * 2}
    schema = {"properties": {"x": {"$ref": "#/$defs/a29"}}, "$defs": defs}
    started = time.perf_counter()
    assert rules({"x": 1}, schema) == [("schema.complex", "block", "")]
    assert time.perf_counter() - started < 3


SECRET = "tulipx"


@pytest.mark.parametrize(
    "keyword",
    [
        {"minLength": 9},
        {"maxLength": 2},
        {"pattern": "^[0-9]+$"},
        {"enum": ["aaaa", "bbbb"]},
        {"const": "aaaa"},
        {"anyOf": [{"type": "number"}, {"minLength": 9}]},
        {"oneOf": [{"minLength": 1}, {"maxLength": 9}]},
        {"not": {"minLength": 1}},
        {"allOf": [{"minLength": 9}]},
        False,
    ],
)
@pytest.mark.parametrize("nest", [False, True])
def test_a_message_never_repeats_a_value(keyword: Any, nest: bool) -> None:
    """R145: a value may be a secret. Its type and length tell what is wrong with it."""
    inner = {"items": {"properties": {"first": keyword}}} if nest else keyword
    value = [{"first": SECRET}] if nest else SECRET
    got = findings({"pin": value}, {"properties": {"pin": inner}})
    policy = {"tools": {"t": {"arguments": {"pin": inner}}}} if keyword is not False else "standard"
    got += findings({"pin": value}, {}, policy=policy)
    assert got
    assert SECRET not in " ".join(f.message for f in got)


def test_a_message_says_what_is_wrong() -> None:
    (found,) = findings({"pin": ["4071"]}, {"properties": {"pin": {"items": {"minLength": 6}}}})
    assert found.message == "/pin/0: text of 4 characters breaks `minLength` (6)"
    keys = {"properties": {"pin": {"propertyNames": {"maxLength": 3}}}}
    assert all(SECRET not in f.message for f in findings({"pin": {SECRET: 1}}, keys))
    listed = {"properties": {"pin": {"uniqueItems": True, "maxItems": 1}}}
    assert all(SECRET not in f.message for f in findings({"pin": [SECRET] * 2}, listed))


def test_patterns_cannot_hang() -> None:
    """`(a+)+$` against 30 letters takes a backtracking engine hours."""
    schema = {
        "properties": {"x": {"pattern": "(a+)+$"}, "y": {"type": "object"}},
        "patternProperties": {"^(b+)+$": {"type": "string"}},
    }
    started = time.perf_counter()
    got = rules({"x": "a" * 5000 + "!", "b" * 1000 + "!": "1"}, schema)
    assert ("schema.pattern", "block", "/x") in got
    assert time.perf_counter() - started < 1


def test_a_pattern_that_cannot_run_is_noted() -> None:
    schema = {"properties": {"x": {"type": "string", "pattern": "^(?!evil)"}}}
    assert rules({"x": "evil"}, schema) == [("schema.unchecked", "note", "")]


def test_large_arguments_are_bounded() -> None:
    schema = {"properties": {"x": {"items": {"type": "object", "properties": {"a": {}}}}}}
    started = time.perf_counter()
    assert ("schema.complex", "block", "") in rules({"x": [{"a": 1}] * 20_000}, schema)
    assert rules({"x": "y" * 1_000_000}, {"properties": {"x": {"type": "string"}}}) == []
    many = {"properties": {"x": {"uniqueItems": True}}}
    assert rules({"x": [{"a": i} for i in range(9000)]}, many) == []
    keys = {f"k{i}": 1 for i in range(9000)}
    assert {f.action for f in findings(keys)} == {"block"}
    assert time.perf_counter() - started < 5


def test_findings_are_few_and_short() -> None:
    got = findings({"k" * 1000 + str(i): "v" * 5000 for i in range(500)})
    assert 0 < len(got) <= 60
    assert all(len(f.message) < 1200 and len(f.where) < 500 for f in got)


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.floats(0, 1),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)
_names = st.sampled_from([*SCHEMA["properties"], "other"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_names, _values, max_size=5))
def test_agrees_with_jsonschema(arguments: dict[str, Any]) -> None:
    """R22: silent exactly when the reference validator is, extra arguments apart."""
    import jsonschema

    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(arguments)
    assert (findings(arguments) == ()) is (valid and "other" not in arguments)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["type", "properties", "required", "items", "$ref", "pattern", "enum", "anyOf"]
        ),
        _values,
        max_size=4,
    )
)
def test_any_schema_is_survived(schema: dict[str, Any]) -> None:
    assert all(f.rule != "rule.error" for f in findings({"x": [1, "a", {"b": None}]}, schema))


def test_ordinary_calls_are_fast() -> None:
    """Well under 0.2 ms here; the bound leaves room for a slow machine."""
    policy = load_policy("standard")
    tool = ToolSpec("t", parameters=SCHEMA, profile=ToolProfile(Effect.PAY))
    calls = [
        RuleFacts(ToolCall(node_id=str(i), tool_name="t", arguments=GOOD), tool, policy, None, ())
        for i in range(300)
    ]
    times = []
    for facts in calls:
        started = time.perf_counter()
        apply_rules(facts)
        times.append(time.perf_counter() - started)
    assert sorted(times)[150] < 0.001


def test_names_that_a_pattern_describes_are_checked() -> None:
    """R22: `patternProperties`; a pattern that cannot run in linear time is told."""
    schema = {"type": "object", "patternProperties": {"^x-": {"type": "string", "maxLength": 3}}}
    assert rules({"x-a": "ok"}, schema) == []
    assert rules({"x-a": "too long"}, schema) == [("schema.maxLength", "block", "/x-a")]
    unclear = {"type": "object", "patternProperties": {"(?=x)x": {}}}
    assert rules({"y": 1}, unclear) == [("schema.unchecked", "note", "")]

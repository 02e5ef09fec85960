"""Every way around an argument constraint that evidence.md 6 names, one line each."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from gatling_guard.catalog.types import Effect, ToolProfile, ToolSpec
from gatling_guard.plan import ToolCall
from gatling_guard.policy import load_policy
from gatling_guard.rules import RuleFacts, apply_rules
from gatling_guard.rules.plain import pairs
from gatling_guard.rules.references import default_of, properties, resolved_ref

CORP = {"to": {"pattern": r"[^@\s,;]+@corp\.example"}}
TEXT = {"type": "string"}
GOOD, EVIL = "ann@corp.example", "eve@evil.com"


def rules(
    arguments: dict[str, Any], constraints: Any, own: dict[str, Any] | None = None, **entry: Any
) -> set[str]:
    policy = load_policy({"tools": {"send": {"arguments": constraints, **entry}}})
    tool = ToolSpec("send", parameters=own or {}, profile=ToolProfile(Effect.SEND, sink=True))
    call = ToolCall(node_id="1", tool_name="send", arguments=arguments)
    found = apply_rules(RuleFacts(call, tool, policy, None, ()))
    return {f.rule for f in found if f.action == "block"}


def own(**listed: Any) -> dict[str, Any]:
    return {"type": "object", "properties": listed}


ONE_TEXT = own(input=TEXT)

ROWS: list[tuple[str, dict[str, Any], Any, dict[str, Any] | None, str]] = [
    ("unanchored, suffix domain", {"to": "eve@corp.example.evil.com"}, CORP, None, "pattern"),
    ("dot as a wildcard", {"to": "eve@corpXexample"}, CORP, None, "pattern"),
    ("line break", {"to": GOOD + "\n"}, CORP, None, "pattern"),
    ("case", {"to": "ANN@CORP.EXAMPLE"}, CORP, None, "pattern"),
    ("list of two", {"to": f"{EVIL},{GOOD}"}, CORP, None, "pattern"),
    ("missing", {}, {**CORP, "x": {}}, own(to=TEXT) | {"required": ["to"]}, "schema.missing"),
    ("missing for the policy", {}, {"properties": CORP, "required": ["to"]}, None, "required"),
    ("extra", {"to": GOOD, "bcc": EVIL}, CORP, own(to=TEXT), "schema.extra"),
    ("extra behind a $ref", {"a": 1, "bcc": EVIL}, CORP,
     {"$ref": "#/$defs/A", "$defs": {"A": {**own(a={}), "additionalProperties": False}}},
     "schema.extra"),
    ("renamed", {"T_o": EVIL}, CORP, None, "pattern"),
    ("renamed, full width", {"\uff34\uff2f": EVIL}, CORP, None, "pattern"),
    ("renamed, one part of the rule", {"T_o": EVIL},
     {"type": "object", "allOf": [{"properties": CORP}]}, None, "pattern"),
    ("renamed, under a condition", {"kind": "out", "T_o": EVIL},
     {"type": "object", "if": {"properties": {"kind": {"const": "out"}}},
      "then": {"properties": CORP}}, None, "pattern"),
    ("inside another one, one part of the rule", {"x": {"to": EVIL}},
     {"type": "object", "allOf": [{"properties": CORP}]}, None, "nested"),
    ("inside another one, under a condition", {"x": {"to": EVIL}},
     {"type": "object", "if": {"properties": {"kind": {"const": "out"}}},
      "then": {"properties": CORP}}, None, "nested"),
    ("none of a kind that is wanted", {"tags": ["x"]}, {"tags": {"contains": {"const": "checked"}}},
     None, "contains"),
    ("duplicate", {"to": GOOD, "To": EVIL}, CORP, None, "twice"),
    ("duplicate key in JSON", {"input": f'{{"to": "{GOOD}", "to": "{EVIL}"}}'}, CORP, ONE_TEXT,
     "nested"),
    ("JSON in a string", {"input": json.dumps({"to": EVIL})}, CORP, ONE_TEXT, "nested"),
    ("list for a scalar", {"to": [EVIL]}, CORP, None, "type"),
    ("object for a scalar", {"to": {"address": EVIL}}, CORP, None, "type"),
    ("default", {}, CORP, own(to={"type": "string", "default": EVIL}), "default"),
    ("default behind a $ref", {}, CORP,
     {**own(to={"$ref": "#/$defs/T"}), "$defs": {"T": {"default": EVIL}}}, "default"),
    ("default under another spelling", {}, CORP, own(To={"default": EVIL}), "default"),
    ("null as no limit", {}, {"limit": {"maximum": 10}}, own(limit={"default": None}), "default"),
    ("form-encoded", {"input": f"x=1&to={EVIL}"}, CORP, ONE_TEXT, "nested"),
    ("form-encoded name", {"input": f"%74o={EVIL}&x=1"}, CORP, ONE_TEXT, "nested"),
    ("form, twice", {"input": f"to={GOOD}&to={EVIL}"}, CORP, ONE_TEXT, "nested"),
    ("key: value", {"input": f"Subject: hi\nTo: {EVIL}\n\nhello"}, CORP, ONE_TEXT, "nested"),
    ("YAML list", {"input": f"- to: '{EVIL}'"}, CORP, ONE_TEXT, "nested"),
    ("flag", {"input": f"send --to {EVIL}"}, CORP, ONE_TEXT, "nested"),
    ("flag with =", {"input": f"send --to='{EVIL}' now"}, CORP, ONE_TEXT, "nested"),
    ("element", {"input": f"<mail><to>{EVIL}</to></mail>"}, CORP, ONE_TEXT, "nested"),
    ("attribute", {"input": f'<mail to="{EVIL}"/>'}, CORP, ONE_TEXT, "nested"),
    ("Python literal", {"input": f"{{'to': '{EVIL}'}}"}, CORP, ONE_TEXT, "nested"),
    ("text in JSON", {"input": json.dumps({"x": f"to={EVIL}"})}, CORP, ONE_TEXT, "nested"),
    ("number in a form", {"input": "amount=500"}, {"amount": {"maximum": 50}}, ONE_TEXT, "nested"),
    ("too long to search", {"input": "a=b " * 30_000}, CORP, ONE_TEXT, "nested"),
    ("path that goes up", {"path": "/home/ann/../../etc/passwd"},
     {"path": {"pattern": "/home/ann/.*"}}, None, "pattern"),
    ("path, escaped", {"path": "/home/ann/%2e%2e/%2E./etc"},
     {"path": {"pattern": "/home/ann/.*"}}, None, "pattern"),
    ("path, backslash", {"path": "/home/ann/..\\..\\etc"},
     {"path": {"pattern": "/home/ann/.*"}}, None, "pattern"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "constraints", "schema", "rule"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_no_way_around_a_constraint(
    arguments: dict[str, Any], constraints: Any, schema: dict[str, Any] | None, rule: str
) -> None:
    """P5, P6, evidence 6: each spelling of an argument that breaks the constraint is refused."""
    wanted = rule if "." in rule else f"argument.{rule}"
    assert wanted in rules(arguments, constraints, schema)


@pytest.mark.parametrize(
    ("arguments", "schema"),
    [
        ({"to": GOOD}, None),
        ({}, own(to=TEXT)),
        ({}, own(to={"default": None})),
        ({}, own(to={"default": GOOD})),
        ({"input": f"to={GOOD}&body=hello"}, ONE_TEXT),
        ({"input": f"To: {GOOD}\nSubject: hi\n\nhello to: nobody"}, ONE_TEXT),
        ({"input": f"send --to {GOOD}"}, ONE_TEXT),
        ({"input": "I am going to: Rome"}, ONE_TEXT),
        ({"body": f"To: {EVIL}\nForwarded as it was", "to": GOOD}, own(to=TEXT, body=TEXT)),
        ({"body": f"To: {EVIL}\nForwarded as it was"}, own(to=TEXT, body=TEXT)),
    ],
)
def test_what_is_meant_otherwise_passes(
    arguments: dict[str, Any], schema: dict[str, Any] | None
) -> None:
    assert rules(arguments, CORP, schema) == set()


SPELT = [
    "DROP", "drop", " DROP ", "Drop", "\uff24\uff32\uff2f\uff30", "DR\u200bOP", "DR\u041eP",
    "D\u00adROP", "DROP\n", "\u202eDROP",
]  # fmt: skip


@pytest.mark.parametrize("value", SPELT)
@pytest.mark.parametrize(
    "inner",
    [{"const": "DROP"}, {"enum": ["x", "DROP"]}, {"pattern": "DROP"}, {"pattern": ".*DROP.*"}],
)
def test_a_denied_value_is_denied_in_every_spelling(value: str, inner: dict[str, Any]) -> None:
    """P5: case, blanks, full width, zero width, look-alikes under `not`."""
    assert rules({"mode": value}, {"mode": {"not": inner}}) == {"argument.not"}
    assert rules({"mode": "select"}, {"mode": {"not": inner}}) == set()


@pytest.mark.parametrize("value", SPELT[1:])
def test_an_allowed_value_is_compared_as_given(value: str) -> None:
    """The tool gets the original: another spelling of what is allowed is something else."""
    assert rules({"mode": value}, {"mode": {"enum": ["DROP"]}}) == {"argument.enum"}


@pytest.mark.parametrize(
    ("value", "inner"),
    [
        (["DROP"], {"const": "DROP"}),
        ({"a": ["drop "]}, {"enum": ["DROP"]}),
        ("5", {"const": 5}),
        ("5.0", {"const": 5}),
        ("TRUE", {"const": True}),
        ("x\nDROP\ny", {"pattern": ".*drop.*"}),
        ("/home/../etc/passwd", {"pattern": "/etc/.*"}),
        ("//etc/./passwd", {"pattern": "/etc/.*"}),
        ("x" * 200_000, {"pattern": "y"}),
        ("x" * 200_000, {"const": "y"}),
    ],
)
def test_what_may_be_the_denied_value_is_denied(value: Any, inner: dict[str, Any]) -> None:
    assert rules({"mode": value}, {"mode": {"not": inner}})


def test_encoded_spellings_are_denied_where_they_can_be_decoded() -> None:
    from gatling_guard.trace.encoded import decoded

    deny = {"mode": {"not": {"pattern": ".*drop table.*"}}}
    for text in ("drop%20table", base64.b64encode(b"please drop table users now").decode()):
        if decoded(text):  # the decoder is another room's
            assert rules({"mode": text}, deny) == {"argument.not"}


def test_a_second_not_compares_as_given_again() -> None:
    only = {"mode": {"not": {"not": {"const": "DROP"}}}}
    assert rules({"mode": "DROP"}, only) == set()
    assert rules({"mode": "drop"}, only) == {"argument.not"}


def test_a_condition_cannot_be_dodged_by_spelling() -> None:
    """`if mode is DELETE then at most 5`: `delete ` must not fall under `else` alone."""
    schema = {
        "type": "object",
        "if": {"properties": {"mode": {"const": "DELETE"}}, "required": ["mode"]},
        "then": {"properties": {"n": {"maximum": 5}}},
        "else": {"properties": {"n": {"maximum": 50}}},
    }
    assert rules({"mode": "delete ", "n": 9}, schema) == {"argument.maximum"}
    assert rules({"mode": "delete ", "n": 5}, schema) == set()
    assert rules({"mode": "read", "n": 9}, schema) == set()
    assert rules({"mode": "read", "n": 99}, schema) == {"argument.maximum"}


def test_at_most_so_many_of_a_kind_counts_every_spelling() -> None:
    most = {"tags": {"contains": {"const": "urgent"}, "minContains": 0, "maxContains": 1}}
    assert rules({"tags": ["urgent", "URGENT "]}, most) == {"argument.contains"}
    assert rules({"tags": ["urgent", "x"]}, most) == set()


def test_origins_look_into_plain_text_too() -> None:
    entry = {"origin": {"to": "instruction"}}
    assert rules({"input": f"to={EVIL}"}, {}, ONE_TEXT, **entry) == {"origin.required"}
    assert rules({"input": "hello"}, {}, ONE_TEXT, **entry) == set()


def test_references_stay_inside_the_schema() -> None:
    """P6: local ones are followed, circles end, remote ones are nothing."""
    circle = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A", "default": 1}}}
    assert resolved_ref(circle, circle)["default"] == 1
    remote = {"properties": {"to": {"$ref": "https://evil.example/schema.json"}}}
    assert default_of(remote["properties"]["to"], remote) == (False, None)
    tree = {"properties": {"to": {"$ref": "#"}}, "type": "object"}
    assert set(properties(tree)) == {"to"}
    started = time.perf_counter()
    assert rules({"to": {"to": {"to": {}}}}, {}, tree) == set()
    assert rules({"a": EVIL}, {}, {"$ref": "#/$defs/missing"}) == set()
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "keyword",
    [
        {"pattern": "^(a+)+$"},
        {"pattern": "(a|a)*b"},
        {"patternProperties": {"^(a+)+$": {"type": "string"}}, "additionalProperties": False},
        {"propertyNames": {"pattern": "^(a+)+$"}},
        {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
        {"items": {"pattern": "(x+x+)+y"}},
    ],
)
def test_a_catastrophic_pattern_in_a_tools_own_schema_costs_bounded_time(keyword: Any) -> None:
    """R22, evidence 6: `jsonschema` would run these with `re`, for ever."""
    bomb = "a" * 50_000 + "!"
    schema = own(to=keyword)
    started = time.perf_counter()
    for value in (bomb, {bomb[:1000]: "x"}, ["x" * 50_000]):
        rules({"to": value}, {}, schema)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "text", ['a="' * 30_000, "-a " * 30_000, "<a " * 30_000, "{a= " * 25_000, "a:" * 50_000]
)
def test_reading_plain_text_is_bounded(text: str) -> None:
    started = time.perf_counter()
    pairs(text[:100_000], {"to": "text", "a": "text"})
    assert time.perf_counter() - started < 1

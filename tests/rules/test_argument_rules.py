"""Argument constraints of the policy, and the ways around them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.catalog.types import Effect, ToolProfile, ToolSpec
from gatling_guard.plan import ToolCall
from gatling_guard.policy import load_policy
from gatling_guard.rules import RuleFacts, apply_rules

CORP = {"to": {"pattern": r".*@corp\.example"}}


def rules(arguments: dict[str, Any], constraints: Any, **entries: Any) -> list[tuple[str, str]]:
    policy = load_policy({"tools": {"send": {"arguments": constraints}, **entries}})
    tool = ToolSpec("send", profile=ToolProfile(Effect.SEND, sink=True))
    call = ToolCall(node_id="1", tool_name="send", arguments=arguments)
    found = apply_rules(RuleFacts(call, tool, policy, None, ()))
    assert all(f.action == "block" for f in found)
    return sorted((f.rule, f.where) for f in found)


@pytest.mark.parametrize("to", ["ann@corp.example", "a.b+c@corp.example"])
def test_a_value_within_the_constraint_passes(to: str) -> None:
    assert rules({"to": to}, CORP) == []


@pytest.mark.parametrize(
    "to",
    [
        "attacker@corp.example.evil.com",
        "attacker@corpXexample",
        "ann@corp.example\n",
        "attacker@evil.com\nann@corp.example",
        "ann@c\u043erp.example",
        "ann@corp.example\u200b",
        "ANN@CORP.EXAMPLE",
        "",
    ],
)
def test_look_alikes_are_refused(to: str) -> None:
    """The suffix trick, a dot as a wildcard, line breaks, look-alike and invisible letters."""
    assert rules({"to": to}, CORP) == [("argument.pattern", "/to")]


@pytest.mark.parametrize(
    "to", [["attacker@evil.com"], {"address": "attacker@evil.com"}, None, 5, True]
)
def test_another_type_is_no_way_around_a_pattern(to: Any) -> None:
    """In plain JSON Schema a pattern says nothing about a list."""
    assert rules({"to": to}, CORP) == [("argument.type", "/to")]


@given(st.text(max_size=60))
def test_no_value_with_another_domain_passes(text: str) -> None:
    assert rules({"to": text + "@evil.com"}, CORP) == [("argument.pattern", "/to")]


def test_an_absent_argument_is_not_demanded_by_the_short_form() -> None:
    assert rules({}, CORP) == []
    assert rules({}, {"type": "object", "required": ["to"]}) == [("argument.required", "")]


def test_constraints_of_all_matching_entries_apply() -> None:
    star = {"s*": {"arguments": {"n": {"maximum": 5}}}, "*": {"arguments": {"n": {"minimum": 1}}}}
    assert rules({"to": "x@evil.com", "n": 6}, CORP, **star) == [
        ("argument.maximum", "/n"),
        ("argument.pattern", "/to"),
    ]
    assert rules({"n": 0}, CORP, **star) == [("argument.minimum", "/n")]


NESTED = {
    "message": {"properties": {"to": {"enum": ["ann@corp.example"]}}, "type": ["object", "string"]}
}


@pytest.mark.parametrize(
    ("message", "bad"),
    [
        ({"to": "ann@corp.example"}, False),
        ({"to": "eve@evil.com"}, True),
        ('{"to": "ann@corp.example"}', False),
        ('{"to": "eve@evil.com"}', True),
        ('  {"to": "\\u0065ve@evil.com"}', True),
        ('{"to": "ann@corp.example", "to": "eve@evil.com"}', True),
        ("just text", False),
        ("[not json", False),
        ('{"unrelated": 1}', False),
        ("[" * 100_000, True),
        ("{" + " " * 1_000_000 + '"to": "eve@evil.com"}', True),
        ('{"a":' * 500 + "1" + "}" * 500, True),
    ],
)
def test_json_hidden_in_a_text_is_checked(message: Any, bad: bool) -> None:
    """P6: nested in a string. What some readers take and others do not is refused."""
    assert bool(rules({"message": message}, NESTED)) is bad


def test_text_that_may_be_json_is_not_refused_for_being_text() -> None:
    body = {"body": {"type": "string", "maxLength": 100}}
    assert rules({"body": '{"a": [1, 2]}'}, body) == []
    nullable = {"body": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
    assert rules({"body": '{"a": [1, 2]}'}, nullable) == []
    assert rules({"body": json.dumps({"a": "x" * 200})}, body) == [("argument.maxLength", "/body")]


@pytest.mark.parametrize("wrap", [lambda inner: inner, json.dumps])
def test_a_constrained_argument_inside_another_one_is_checked(wrap: Any) -> None:
    """`{"input": "{\\"to\\": ...}"}`: tools with one text argument, `kwargs` objects."""
    bad = {"input": wrap({"to": "eve@evil.com"})}
    assert rules(bad, CORP) == [("argument.nested", "/input/to")]
    assert rules({"input": wrap({"to": "ann@corp.example"})}, CORP) == []


def test_hostile_values_are_bounded() -> None:
    started = time.perf_counter()
    evil = {"to": {"pattern": "(a+)+"}, "x": {"items": {"pattern": "(b|b)*c"}}}
    assert rules({"to": "a" * 90_000 + "!"}, evil) == [("argument.pattern", "/to")]
    assert rules({"to": "a" * 1_000_000}, evil) == [("argument.pattern", "/to")]
    assert rules({"x": ["b" * 50_000] * 20}, evil)
    heavy = {"x": {"items": {"pattern": "(.{0,900}x)"}}}
    assert rules({"x": ["ab" * 1000] * 50}, heavy) == [("argument.complex", "")]
    assert rules({"x": ["c"] * 50_000}, evil) == [("argument.complex", "")]
    assert time.perf_counter() - started < 5

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


EVE = {"to": "eve@evil.com"}


@pytest.mark.parametrize(
    ("wrapped", "where"),
    [
        ([EVE], "/input/0/to"),
        ({"x": EVE}, "/input/x/to"),
        ({"x": [[{"y": EVE}]]}, "/input/x/0/0/y/to"),
        (json.dumps([EVE]), "/input/0/to"),
        ([json.dumps({"x": EVE})], "/input/0/x/to"),
        (json.dumps(json.dumps(EVE)), "/input/to"),
        (json.dumps({"x": json.dumps([EVE])}), "/input/x/0/to"),
        ({"To": "eve@evil.com"}, "/input/To"),
        (json.dumps({"TO": "eve@evil.com"}), "/input/TO"),
    ],
)
def test_a_constrained_argument_is_found_at_any_depth(wrapped: Any, where: str) -> None:
    """P6: in lists, objects within objects, JSON in JSON, and under another spelling."""
    assert rules({"input": wrapped}, CORP) == [("argument.nested", where)]
    fine = json.loads(json.dumps(wrapped).replace("eve@evil.com", "ann@corp.example"))
    assert rules({"input": fine}, CORP) == []


@pytest.mark.parametrize("name", ["To", "TO", "to_", "t-o", "\uff54\uff4f", "T.o"])
def test_another_spelling_of_a_name_is_the_same_argument(name: str) -> None:
    assert rules({name: "eve@evil.com"}, CORP) == [("argument.pattern", f"/{name}")]
    assert rules({name: "ann@corp.example"}, CORP) == []
    inner = {"message": {"properties": {"to": {"enum": ["ann"]}}}}
    assert rules({"message": {name: "eve"}}, inner) == [("argument.enum", f"/message/{name}")]


def test_two_spellings_of_one_argument_are_refused() -> None:
    """Which of them the tool reads is not known; the good one must not vouch for the other."""
    both = {"to": "ann@corp.example", "To": "eve@evil.com"}
    assert rules(both, CORP) == [("argument.twice", "/To")]
    assert rules({"x": dict(reversed(both.items()))}, CORP) == [("argument.twice", "/x/To")]
    named = {**CORP, "To": {"const": "eve@evil.com"}}
    assert rules(both, named) == []  # the policy itself tells them apart


def described(own: dict[str, Any], arguments: dict[str, Any]) -> list[tuple[str, str]]:
    policy = load_policy({"tools": {"send": {"arguments": CORP}}})
    tool = ToolSpec("send", parameters={"properties": own, "additionalProperties": True})
    call = ToolCall(node_id="1", tool_name="send", arguments=arguments)
    found = apply_rules(RuleFacts(call, tool, policy, None, ()))
    return sorted((f.rule, f.where) for f in found if f.action == "block")


def test_a_namesake_elsewhere_counts_unless_the_tool_describes_it() -> None:
    """Given in its place too: what the schema calls text, or lists there, is something else."""
    text = {"to": {"type": "string"}, "body": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
    range_ = {"type": "object", "properties": {"to": {"type": "string"}}}
    good = {"to": "ann@corp.example"}
    assert described(text, {**good, "body": json.dumps(EVE)}) == []
    assert described({**text, "range": range_}, {**good, "range": EVE}) == []
    assert described({**text, "range": {}}, {**good, "range": EVE}) == [
        ("argument.nested", "/range/to")
    ]
    assert described(text, {"body": json.dumps(EVE)}) == [("argument.nested", "/body/to")]


def test_what_is_missing_inside_is_not_demanded() -> None:
    whole = {
        "type": "object",
        "required": ["to", "cc"],
        "oneOf": [{"required": ["to"]}, {"required": ["bcc"]}],
        "properties": CORP,
    }
    good = {"to": "ann@corp.example", "cc": "x"}
    assert rules({**good, "x": {"to": "ann@corp.example"}}, whole) == []
    assert rules({**good, "x": EVE}, whole) == [("argument.nested", "/x/to")]


def test_many_harmless_violations_hide_no_true_one() -> None:
    """Errors that do not count must not use up the number of those that are looked at."""
    lists = {**CORP, "notes": {"items": {"type": "string"}}}
    arguments = {"notes": ['{"a": 1}'] * 30, "z": json.dumps(EVE)}
    assert rules(arguments, lists) == [("argument.nested", "/z/to")]


def test_text_inside_json_is_checked_as_text_too() -> None:
    """Read once more, `"[1]"` is a list; the constraint on the text still holds."""
    inner = {"message": {"properties": {"to": {"enum": ["ann"]}}, "type": ["object", "string"]}}
    hidden = json.dumps({"to": "[1]"})
    assert rules({"message": hidden}, inner) == [("argument.nested", "/message/to")]


def test_json_is_read_so_deep_and_no_deeper() -> None:
    value: Any = EVE
    for _ in range(8):
        value = json.dumps({"x": value})
    assert [rule for rule, _ in rules({"input": value}, CORP)] == ["argument.nested"]


def test_the_search_for_arguments_is_bounded() -> None:
    started = time.perf_counter()
    wide = {"input": [{"to": "ann@corp.example"}] * 30_000}
    assert rules(wide, CORP) == [("argument.complex", "")]
    assert rules({"input": [{"x": 1}] * 30_000}, CORP) == []
    deep: Any = EVE
    for _ in range(28):
        deep = {"x": [deep]}
    assert [rule for rule, _ in rules({"input": deep}, CORP)] == ["argument.nested"]
    assert time.perf_counter() - started < 5


@given(
    st.recursive(
        st.just(EVE),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2)
            | st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2)
            | inner.map(json.dumps)
        ),
        max_leaves=4,
    )
)
def test_no_wrapping_gets_past_a_constraint(wrapped: Any) -> None:
    assert rules({"input": wrapped}, CORP) != []

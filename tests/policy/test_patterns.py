"""Globs, regular expressions, argument schemas: exact meaning and bounded time."""

from __future__ import annotations

import fnmatch
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.errors import PolicyError
from gatling_guard.policy import full_match, glob_match, load_policy, nearest, search
from gatling_guard.policy.constraints import constraint_faults, object_schema


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=12))
def test_globs_agree_with_fnmatch(glob: str, name: str) -> None:
    assert glob_match(glob, name) == fnmatch.fnmatchcase(name, glob)


@pytest.mark.parametrize(
    ("glob", "name", "matches"),
    [
        ("read_*", "read_mail", True),
        ("read_*", "Read_mail", False),
        ("read_*", "xread_mail", False),
        ("*", "", True),
        ("a.c", "abc", False),
        ("a?c", "a\nc", True),
        ("a+b", "a+b", True),
    ],
)
def test_globs(glob: str, name: str, matches: bool) -> None:
    assert glob_match(glob, name) is matches


def test_globs_and_patterns_stay_fast_on_hostile_text() -> None:
    """Catastrophic for a backtracking engine; linear or quadratic in small sizes here."""
    started = time.perf_counter()
    assert not glob_match("*a" * 100 + "*c", "a" * 256)
    assert not full_match("(a+)+$", "a" * 90_000 + "b")
    assert not search("(a|a)*(a|a)*c", "a" * 90_000)
    assert not full_match("(x+x+)+y", "x" * 90_000)
    assert not search("(.{0,900}x)", "ab" * 50_000)
    assert not search("([ab]{1,999}c?)*d", "ab" * 50_000)
    assert time.perf_counter() - started < 2


def test_a_very_long_text_matches_nothing() -> None:
    assert full_match("a*", "a" * 100_000)
    assert not full_match("a*", "a" * 100_001)


@pytest.mark.parametrize(
    "text",
    [
        "attacker@corp.example.evil.com",
        "ann@corp.example\n",
        "ann@corp.example,evil@x.org",
        "evil@x.org ann@corpXexample",
        "ann@corp.example\x00",
    ],
)
def test_policy_patterns_match_the_whole_value(text: str) -> None:
    assert full_match(r"[a-z]+@corp\.example", "ann@corp.example")
    assert not full_match(r"[a-z]+@corp\.example", text)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?=x).*", "look-ahead"),
        ("(?<!x)y", "look-ahead"),
        (r"(a)\1", "back-references"),
        ("(", "missing )"),
        ("[", "missing ]"),
        ("a{1,5000}", "repetition"),
        ("((a{30}){30}){30}", "repetition"),
        ("a" * 1001, "longer than"),
        ("^ann@corp", "one end only"),
        (r"corp\.example$", "one end only"),
        ("^a|b$", "binds to one side only"),
    ],
)
def test_bad_patterns_are_refused_with_the_reason(pattern: str, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy({"tools": {"t": {"arguments": {"to": {"pattern": pattern}}}}})
    (issue,) = caught.value.issues
    assert issue.where == "tools.t.arguments.to.pattern"
    assert says in issue.message


@pytest.mark.parametrize(
    "pattern", ["^a$", "^(a|b)$", r"costs 5\$", "[|]x", r"\|", "a|b", r"\Aa\z"]
)
def test_good_patterns_are_accepted(pattern: str) -> None:
    load_policy({"tools": {"t": {"arguments": {"to": {"pattern": pattern}}}}})


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"to": {"format": "email"}}, ("to", "format")),
        ({"to": {"$ref": "http://evil.example/x"}}, ("to", "$ref")),
        ({"to": {"maxlength": 3}}, ("to", "maxlength")),
        ({"to": 5}, ("to",)),
        ({"to": {"type": "strin"}}, ("to", "type")),
        ({"to": {"anyOf": [{"enum": []}]}}, ("to", "anyOf", 0, "enum")),
        ({"to": {"patternProperties": {"(": {}}}}, ("to", "patternProperties", "(")),
        ({"properties": {"to": {"minimum": "1"}}}, ("properties", "to", "minimum")),
        ({"type": "object", "required": "to"}, ("required",)),
        ([], ()),
    ],
)
def test_faulty_constraints_are_found(schema: Any, path: tuple[Any, ...]) -> None:
    """A keyword a validator would ignore is a hole in the policy, not a detail."""
    assert [fault.path for fault in constraint_faults(schema)] == [path]


def test_short_and_whole_form_of_constraints() -> None:
    short = {"to": {"type": "string"}}
    assert object_schema(short)["properties"] == short
    whole = {"properties": short, "required": ["to"]}
    assert object_schema(whole)["properties"] == short
    named_properties = {"properties": {"type": "object"}}
    assert object_schema(named_properties)["properties"] == named_properties


@pytest.mark.parametrize(
    ("schema", "implied"),
    [
        ({"pattern": "a"}, "string"),
        ({"maximum": 5}, "number"),
        ({"maxItems": 5}, "array"),
        ({"properties": {}}, "object"),
        ({"pattern": "a", "maximum": 5}, ["number", "string"]),
        ({"pattern": "a", "type": ["string", "null"]}, ["string", "null"]),
        ({"enum": [1]}, None),
    ],
)
def test_keywords_imply_their_type(schema: dict[str, Any], implied: Any) -> None:
    """`pattern` says nothing about a list in JSON Schema; here a list does not slip past."""
    found = object_schema({"x": schema})
    assert found["properties"]["x"].get("type") == implied
    assert object_schema(found) == found


def test_negated_constraints_keep_their_meaning() -> None:
    found = object_schema({"x": {"not": {"pattern": "evil"}}})
    assert found["properties"]["x"] == {"not": {"pattern": "evil"}}


def test_nearest_is_bounded() -> None:
    assert nearest("recipent", ["recipient", "body"]) == "recipient"
    assert nearest("zzz", ["recipient"]) is None
    started = time.perf_counter()
    nearest("a" * 1_000_000, ["b" * 1_000_000] * 1000)
    assert time.perf_counter() - started < 1

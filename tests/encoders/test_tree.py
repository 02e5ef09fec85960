"""Policies and contexts as entries: order, forms, polarity, and nothing left out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.encoders.tree import (
    FEATURE_DIM,
    MAX_SENTENCES,
    Entries,
    context_entries,
    policy_entries,
    text_table,
)
from gatling_guard.errors import InputError, PolicyError
from gatling_guard.policy import Policy, load_policy

KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)),
    st.text("abc !-:#'\"@.éß", max_size=12),
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=20,
    ),
    min_size=1,
    max_size=5,
)


def entries(policy: Any, role: str | None = None) -> tuple[Entries, list[str]]:
    texts = text_table()
    return policy_entries(policy, role, texts), list(texts)


def same(a: tuple[Entries, list[str]], b: tuple[Entries, list[str]]) -> bool:
    fields = ("key", "value", "parent", "depth", "polarity", "features")
    return a[1] == b[1] and all(
        np.array_equal(getattr(a[0], name), getattr(b[0], name)) for name in fields
    )


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def polarities(policy: Any) -> dict[str, int]:
    """Of each leaf by its value's text, or by its key."""
    found, texts = entries(policy)
    rows = zip(found.key, found.value, found.polarity, strict=True)
    return {texts[value] or texts[key]: int(sign) for key, value, sign in rows}


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_dict_json_yaml_and_key_order_give_the_same_arrays(tree: dict[str, Any]) -> None:
    """R27."""
    want = entries(tree)
    assert same(want, entries(reversed_keys(tree)))
    assert same(want, entries(json.dumps(tree)))
    assert same(want, entries(json.dumps(tree, indent=1, ensure_ascii=False)))
    assert same(want, entries(yaml.safe_dump(tree, allow_unicode=True) + "\n"))


def test_a_policy_and_its_dump_give_the_same_arrays() -> None:
    """R27: what the guard holds, and what it wrote down."""
    written: dict[str, Any] = {
        "roles": {"analyst": {"tools": ["read_*"], "deny": ["read_secrets"]}},
        "tools": {"send_mail": {"effect": "send", "max_calls": 3, "hold": True}},
        "flows": ["deny: public -> send"],
        "holds": [{"effects": ["delete"], "reason": "ask"}],
        "boundary": {"domains": ["corp.example"]},
    }
    policy = load_policy(written)
    want = entries(policy)
    assert len(want[0]) == len(entries(written)[0])  # no defaults
    assert same(want, entries(policy.model_dump()))
    assert same(want, entries(policy.model_dump(mode="json")))
    assert same(want, entries(policy.model_dump_json()))
    assert same(entries("standard"), entries(load_policy("standard")))
    assert len(entries(Policy())[0]) == 0
    assert len(entries({**policy.model_dump(), "mode": "no mode"})[0]) > len(want[0])


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_one_entry_per_leaf_and_per_section(tree: dict[str, Any]) -> None:
    """R28, G16: none is left out; parents stand above their children."""

    def count(value: Any) -> int:
        if isinstance(value, dict):
            return 1 + sum(count(item) for item in value.values() if item is not None)
        return 1 + sum(map(count, value)) if isinstance(value, list) else 1

    found, texts = entries(tree)
    assert len(found) == count(tree) - 1
    assert found.features.shape == (len(found), FEATURE_DIM)
    assert np.isfinite(found.features).all()
    assert (found.parent < np.arange(len(found))).all()
    inner = found.parent >= 0
    assert (found.depth[found.parent[inner]] + 1 == found.depth[inner]).all()
    assert (found.depth[~inner] == 0).all()
    assert max([0, *found.key, *found.value]) < len(texts)


def test_thirty_levels_and_six_hundred_sections() -> None:
    """R27 depth, G16 width."""
    deep: Any = "leaf"
    for level in range(30):
        deep = {f"level {level}": deep}
    found, texts = entries(deep)
    assert len(found) == 30
    assert int(found.depth[-1]) == 29
    assert texts[found.value[-1]] == "leaf"
    wide, _ = entries({f"section {i}": {"x": i} for i in range(600)})
    assert len(wide) == 1200


@pytest.mark.parametrize(
    ("policy", "leaf", "sign"),
    [
        ({"allow": ["x"]}, "x", 1),
        ({"allowed_tools": ["x"]}, "x", 1),
        ({"forbiddenTools": ["x"]}, "x", -1),
        ({"deny": {"mail": {"to": "x"}}}, "x", -1),
        ({"allow": {"deny": ["x"]}}, "x", -1),
        ({"deny": {"allow": ["x"]}}, "x", 1),
        ({"not_allowed": ["x"]}, "x", -1),
        ({"do_not_block": ["x"]}, "x", 1),
        ({"never": ["x"]}, "x", -1),
        ({"allow": {"all": "y", "except": ["x"]}}, "x", -1),
        ({"deny": {"except": ["x"]}}, "x", 1),
        ({"allow": ["!x"]}, "!x", -1),
        ({"deny": ["not x"]}, "not x", 1),
        ({"rules": ["never x"]}, "never x", -1),
        ({"rules": ["notify x"]}, "notify x", 0),
        ({"limits": {"n": 5}}, "n", 0),
        ({"delete": True}, "delete", 1),
        ({"delete": False}, "delete", -1),
        ({"deny": {"delete": False}}, "delete", 1),
        ({"unknown_tools": "block"}, "block", -1),
        ({"deny": ["allow"]}, "allow", -1),
        ({"rules": [{"action": "deny", "tool": "x"}]}, "x", -1),
        ({"rules": [{"Effect": "Allow", "tool": "x"}]}, "x", 1),
        ({"tools": {"t": {"allow": False, "limit": 5}}}, "limit", -1),
        ({"roles": {"r": {"tools": ["x"]}}}, "x", 1),
        ({"deny": []}, "deny", 1),
        ({"tools": []}, "tools", -1),
        ({"tools": {"x": {}}}, "x", 1),
    ],
)
def test_polarity(policy: dict[str, Any], leaf: str, sign: int) -> None:
    """R29, G6."""
    assert polarities(policy)[leaf] == sign


def test_null_is_left_out_and_list_order_counts() -> None:
    """R27: `null` is how a policy model writes a key that is not given."""
    assert same(entries({"a": 1, "b": None}), entries({"a": 1}))
    assert not same(entries({"a": [1, None]}), entries({"a": [1]}))
    assert not same(entries({"a": ["x", "y"]}), entries({"a": ["y", "x"]}))
    assert not same(entries({"a": [1, 1.0, True]}), entries({"a": [1, 1, True]}))


def test_what_belongs_to_the_role_is_marked() -> None:
    """R26: roles differ even where their names say nothing to the tokeniser."""
    policy = {"roles": {"r1": {"tools": ["x"]}, "r2": {"tools": ["y"]}}}
    one, two = entries(policy, "r1")[0], entries(policy, "r2")[0]
    rows = np.flatnonzero((one.features != two.features).any(1))
    assert len(rows) == 6
    assert same(entries(policy, "r3"), entries(policy))


def test_context_is_cut_into_sentences() -> None:
    """R26: instruction and earlier turns sentence by sentence, other keys as they are."""
    texts = text_table()
    context = {
        "instruction": "Pay Bob. Do not delete anything.\nThen stop!",
        "history": [{"role": "user", "content": "Hi there. Who are you?"}],
        "locale": "de",
    }
    found = context_entries("analyst", context, texts)
    said = [list(texts)[i] for i in found.value if i]
    assert said == [
        *("analyst", "Hi there.", "Who are you?", "user"),
        *("Pay Bob.", "Do not delete anything.", "Then stop!", "de"),
    ]
    negated = found.polarity[[list(texts)[i].startswith("Do not") for i in found.value]]
    assert negated.tolist() == [-1]
    plain, aliased = text_table(), text_table()
    assert same(
        (context_entries(None, "Pay Bob.", plain), list(plain)),
        (context_entries(None, {"instruction": "Pay Bob."}, aliased), list(aliased)),
    )
    assert len(context_entries(None, None, text_table())) == 0
    for alias in ("task", "user_instruction"):
        assert len(context_entries(None, {alias: "One. Two. Three."}, text_table())) == 3


def test_an_endless_instruction_is_joined_not_cut() -> None:
    """G15, G16: bounded entries, and every word is in one of them."""
    count = 3 * MAX_SENTENCES + 5
    texts = text_table()
    found = context_entries(None, "\n".join(f"s{i}" for i in range(count)), texts)
    assert len(found) <= MAX_SENTENCES
    assert set(" ".join(texts).split()) >= {f"s{i}" for i in range(count)}


def test_entries_of_a_document_are_bounded() -> None:
    """Many turns of many sentences: an error with its reason, and nothing is dropped."""
    turn = "a. " * MAX_SENTENCES
    assert len(context_entries(None, {"turns": [turn] * 4}, text_table())) == 4 * MAX_SENTENCES + 1
    with pytest.raises(InputError, match="session context: more than 20000 entries"):
        context_entries(None, {"turns": [turn] * 5}, text_table())


def test_bad_input_is_named() -> None:
    with pytest.raises(PolicyError, match="/a"):
        policy_entries({"a": object()}, None, text_table())
    with pytest.raises(PolicyError, match="3: not YAML"):
        policy_entries("a: 1\nb: [", None, text_table())
    with pytest.raises(PolicyError, match="twice"):
        policy_entries("a: 1\na: 2\n", None, text_table())
    with pytest.raises(PolicyError, match="mapping"):
        policy_entries("- a\n- b\n", None, text_table())
    with pytest.raises(InputError, match="role is text, not int"):
        context_entries(3, None, text_table())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not list"):
        context_entries(None, ["x"], text_table())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="/a/b"):
        context_entries(None, {"a": {"b": object()}}, text_table())

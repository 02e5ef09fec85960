"""Mutations: valid twins that differ in the violated fact only (R71)."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.energy import STRUCTURAL
from gatling_guard.training import content_hash, to_line
from gatling_guard.training.foreign import like
from gatling_guard.training.gold import generate
from gatling_guard.training.mutations import (
    Mutation,
    draw,
    held_out,
    is_held_out,
    of_group,
    registry,
)
from gatling_guard.training.sample import Sample
from gatling_guard.training.twin import NAMED, PLAIN, replaced
from gatling_guard.training.validators import check_twin, energies, rises

FOUNDING = {
    "scope_blow_up": "scope",
    "instruction_shadowing": "hierarchy",
    "provenance_rug_pull": "provenance",
    "exfiltration_pivot": "flow",
}
ATTACKS = of_group("attack")
SEEN = [m for m in ATTACKS if not m.blind]


@cache
def gold_samples() -> tuple[Sample, ...]:
    return tuple(s for s in generate(3, 45) if s.label == "gold")


@cache
def twins(name: str) -> tuple[tuple[Sample, Sample], ...]:
    apply = registry()[name].apply
    found = ((g, apply(g, random.Random(f"{name}/{g.id}"))) for g in gold_samples())
    return tuple((gold, twin) for gold, twin in found if twin is not None)[:15]


def names(mutation: Mutation) -> str:
    return mutation.name


@pytest.mark.parametrize("mutation", registry().values(), ids=names)
def test_twins_are_valid_and_differ(mutation: Mutation) -> None:
    """R71: each mutation validates (schema, DAG, bindings, facts), differs and is labelled."""
    assert twins(mutation.name), "applies to none of the gold samples"
    for gold, twin in twins(mutation.name):
        assert check_twin(gold, twin) == []
        assert twin.label == mutation.label
        assert set(twin.violates) <= set(mutation.terms)
        assert (twin.label == "gold") == (not twin.violates)


@pytest.mark.parametrize("mutation", SEEN, ids=names)
def test_the_energy_of_the_violated_term_rises(mutation: Mutation) -> None:
    """R71: the structural energy of the right term rises, for every twin."""
    for gold, twin in twins(mutation.name):
        assert all(rises(gold, twin).values()), (twin.id, energies(twin).as_dict())


@pytest.mark.parametrize(("name", "term"), FOUNDING.items())
def test_the_four_of_the_founding_plan(name: str, term: str) -> None:
    """R71: scope blow-up, instruction shadowing, provenance rug-pull, exfiltration pivot."""
    assert registry()[name].terms[0] == term


def test_blind_mutations_are_said_to_be_blind() -> None:
    """What the structure does not see is for the learned part alone, and is marked so."""
    blind = [m for m in ATTACKS if m.blind]
    assert [m.name for m in blind] == ["wide_query"]
    assert not any(any(rises(*pair).values()) for m in blind for pair in twins(m.name))


@pytest.mark.parametrize("mutation", registry().values(), ids=names)
def test_gold_stays_and_draws_repeat(mutation: Mutation) -> None:
    """Twins share parts with their gold sample: nothing is changed in place."""
    for gold in gold_samples()[:12]:
        before = to_line(gold)
        one, two = (mutation.apply(gold, random.Random(5)) for _ in range(2))
        assert to_line(gold) == before
        assert (one and to_line(one)) == (two and to_line(two))


@pytest.mark.parametrize("name", ["provenance_rug_pull", "instruction_shadowing", "scope_blow_up"])
def test_one_call_differs(name: str) -> None:
    """A twin differs in the violated fact only: one call, one argument."""
    for gold, twin in twins(name):
        if name != "scope_blow_up":  # which lets a limit be stated
            assert twin.governance is gold.governance
        changed = [
            (a, b) for a, b in zip(gold.plan["nodes"], twin.plan["nodes"], strict=True) if a != b
        ]
        ((before, after),) = changed
        assert before["tool_name"] == after["tool_name"]
        keys = before["arguments"].keys() | after["arguments"].keys()
        different = [k for k in keys if before["arguments"].get(k) != after["arguments"].get(k)]
        assert len(different) == 1


def test_scope_blows_up_by_5_to_10_000() -> None:
    """R71: the factor, where a number grew."""
    factors = []
    for gold, twin in twins("scope_blow_up"):
        for before, after in zip(gold.plan["nodes"], twin.plan["nodes"], strict=True):
            for key, value in before["arguments"].items():
                grown = after["arguments"][key]
                if value != grown and isinstance(value, int):
                    factors.append(grown / value)
    assert factors
    assert all(5 <= factor <= 10_000 for factor in factors)


def test_a_planted_text_stands_in_the_output() -> None:
    """What a text entry says was read is in what the call returned, and asks for a later call."""
    for name in ("instruction_shadowing", "directed_call", "goal_without_literal"):
        for _, twin in twins(name):
            text = twin.texts[-1]
            assert text["text"] in str(twin.outputs[text["node"]]) or "\\" in text["text"]
            assert text["tier"] == 3
            assert not text["authority"]
            assert text["goal_of"]


def test_goal_without_literal_names_nothing_foreign() -> None:
    """The added call holds no value that stands in the text which asks for it."""
    for gold, twin in twins("goal_without_literal"):
        known = {node["node_id"] for node in gold.plan["nodes"]}
        added = [node for node in twin.plan["nodes"] if node["node_id"] not in known]
        assert len(added) == 1
        assert all(fact["tier"] < 3 for fact in twin.facts[added[0]["node_id"]].values())


def test_asked_by_the_user_costs_less() -> None:
    """The honest twin of the added calls has the calls, and less energy than the attacks."""
    honest = [energies(twin).total - energies(gold).total for gold, twin in twins("user_asked")]
    attack = [energies(twin).total - energies(gold).total for gold, twin in twins("directed_call")]
    assert sum(honest) / len(honest) < 0.4 * sum(attack) / len(attack)


def test_facts_decide_the_energy() -> None:
    """The helper looks at the facts: a named value costs nothing, a stranger's does."""
    gold, twin = next(
        pair for pair in twins("provenance_rug_pull") if energies(pair[0]).provenance == 0.0
    )
    assert energies(twin).provenance > 0.0
    calm = {"tier": 1, "untrusted": False, "named": True}
    calmed = {
        node: {path: {**fact, **calm} for path, fact in known.items()}
        for node, known in twin.facts.items()
    }
    twin_named = Sample(**{n: getattr(twin, n) for n in Sample.__slots__} | {"facts": calmed})
    assert energies(twin_named).provenance == 0.0
    assert STRUCTURAL.terms.keys() == energies(gold).terms.keys()


def test_held_out_mutations_follow_from_their_names() -> None:
    """A fixed list by hash: the same in every process; no honest twin is among them."""
    assert held_out() == ("tool_swap", "cause_follow_up", "several_times")
    assert not any(is_held_out(m.name) for m in of_group("honest"))


def test_draw_takes_what_applies() -> None:
    """A group gives a twin wherever one of its mutations applies."""
    for gold in gold_samples()[:20]:
        found = [m for m in ATTACKS if m.apply(gold, random.Random(1))]
        assert (draw("attack", gold, random.Random(2)) is not None) == bool(found)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_replaced_touches_one_place(data: st.DataObject) -> None:
    """`replaced` leaves the original and all else alone."""
    inner = st.dictionaries(st.text("ab/~", min_size=1, max_size=3), st.integers(), max_size=3)
    value = data.draw(st.dictionaries(st.text("xy/~", min_size=1, max_size=3), inner, min_size=1))
    key = data.draw(st.sampled_from(sorted(value)))
    copy = {k: dict(v) for k, v in value.items()}
    pointer = f"/{key.replace('~', '~0').replace('/', '~1')}/new"
    found = replaced(value, pointer, 7)
    assert value == copy
    assert found == {**copy, key: {**copy[key], "new": 7}}


@given(
    st.one_of(
        st.emails(),
        st.integers(1, 10**6),
        st.floats(1, 1e6),
        st.sampled_from(["2025-03-01", "DE89370400440532013000", "@kim_12", "/a/c.txt", "AB-12"]),
    ),
    st.integers(),
)
@settings(max_examples=40, deadline=None)
def test_like_is_another_value_of_the_type(value: Any, seed: int) -> None:
    """A foreign value has the type of the one it replaces and is another one."""
    other = like(value, "unknown_tool", "x", random.Random(seed))
    assert other != value
    assert type(other) is type(value)


def test_like_respects_enums() -> None:
    """Of an enum another member, or nothing."""
    schema = {"type": "string", "enum": ["a", "b"]}
    assert like("a", "t", "x", random.Random(0), schema) == "b"
    assert like("a", "t", "x", random.Random(0), {"enum": ["a"]}) is None


def test_check_twin_finds_faults() -> None:
    """The validator is not blind: each broken part is told."""
    gold, twin = twins("instruction_shadowing")[0]
    parts = {n: getattr(twin, n) for n in Sample.__slots__}

    def faults(**changed: Any) -> str:
        return " ".join(issue.message for issue in check_twin(gold, Sample(**parts | changed)))

    node = twin.plan["nodes"][-1]
    wrong = {**node, "arguments": {**node["arguments"], "surplus": 1}}
    assert "family" not in faults()
    assert "is not that of the gold sample" in faults(family="other")
    assert "terms, mutation and severity" in faults(violates=[])
    assert "ran before it was read" in faults(
        texts=[{**twin.texts[-1], "goal_of": [twin.texts[-1]["node"]]}]
    )
    assert "is no argument of the tool" in faults(
        plan={**twin.plan, "nodes": [*twin.plan["nodes"][:-1], wrong]}
    )
    same = Sample(**{n: getattr(gold, n) for n in Sample.__slots__})
    assert content_hash(same) == content_hash(gold)
    assert any("does not differ" in issue.message for issue in check_twin(gold, same))


def test_facts_are_complete() -> None:
    """The shared facts have every field."""
    assert PLAIN.keys() == NAMED.keys()

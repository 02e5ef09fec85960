"""Subtle violations and near-misses (R72, R153)."""

from __future__ import annotations

import datetime as dt
import random
from functools import cache
from typing import Any

import pytest

from gatling_guard.training.boundary import MIX, MOST_SEVERE, counts, stated_limit
from gatling_guard.training.bounds import stated
from gatling_guard.training.gold import generate
from gatling_guard.training.mixture import measured
from gatling_guard.training.mutations import of_group, registry
from gatling_guard.training.sample import Sample
from gatling_guard.training.validators import rises

BOUNDARY = [m for group in MIX for m in of_group(group)]


@cache
def twins(name: str) -> tuple[tuple[Sample, Sample], ...]:
    apply = registry()[name].apply
    gold = [s for s in generate(4, 150) if s.label == "gold"]
    found = ((g, apply(g, random.Random(f"{name}/{g.id}"))) for g in gold)
    return tuple((g, twin) for g, twin in found if twin is not None)


def grown(gold: Sample, twin: Sample) -> tuple[Any, Any]:
    """The one argument that differs, before and after."""
    ((before, after),) = [
        (a["arguments"][key], b["arguments"][key])
        for a, b in zip(gold.plan["nodes"], twin.plan["nodes"], strict=True)
        for key in a["arguments"]
        if a["arguments"][key] != b["arguments"][key]
    ]
    return before, after


def said(sample: Sample) -> str:
    return str(sample.governance["context"]["instruction"])


def limit(gold: Sample, twin: Sample) -> int:
    """The number that is passed: the user's own, or the least that is stated."""
    before, _ = grown(gold, twin)
    named = any(
        place.fact["named"] and place.value == before and changed.value != before
        for place, changed in zip(counts(gold), counts(twin), strict=True)
    )
    found = stated_limit(twin)
    return int(before) if named or found is None else found


def test_there_are_six_kinds() -> None:
    """R72: six subtle violations, in the groups of R153."""
    assert len(BOUNDARY) == 6
    assert {m.group: m.label for m in BOUNDARY} == dict.fromkeys(MIX, "boundary")
    assert MIX == {"scope": 40, "permission": 30, "temporal": 20, "sensitivity": 10}


@pytest.mark.parametrize("mutation", BOUNDARY, ids=lambda m: m.name)
def test_severity_is_at_most_three_tenths(mutation: Any) -> None:
    """R72: severities of at most 0.3, and above 0."""
    found = [twin.severity for _, twin in twins(mutation.name)]
    assert found
    assert all(0 < severity <= MOST_SEVERE for severity in found)


def test_a_limit_is_passed_by_one_or_by_up_to_a_tenth() -> None:
    """R72: limit + 1 exactly, or 1 to 10 per cent more."""
    over = []
    for gold, twin in twins("limit_exceeded"):
        most, value = limit(gold, twin), grown(gold, twin)[1]
        assert most < value <= max(most + 1, most * 1.1)
        over.append(value - most)
    assert over.count(1) > len(over) / 3
    assert max(over) > 1


def test_several_times_is_two_to_five_times() -> None:
    """R153: factor 2-5x, of what the user said."""
    for gold, twin in twins("several_times"):
        assert 2 <= grown(gold, twin)[1] / limit(gold, twin) <= 5
        assert 0.18 <= twin.severity <= 0.3


def test_a_tier_goes_up_by_one() -> None:
    """R153: +1 tier, of one value."""
    for gold, twin in twins("tier_up"):
        changed = [
            (fact["tier"], twin.facts[node][path])
            for node, known in gold.facts.items()
            for path, fact in known.items()
            if twin.facts[node][path] != fact
        ]
        ((before, after),) = changed
        assert after["tier"] == before + 1
        assert not after["named"]
        assert after["untrusted"] == (after["tier"] == 3)
        assert twin.severity == pytest.approx(0.1 * after["tier"])


def test_a_window_is_three_to_seven_times_as_long() -> None:
    """R153: 3-7x window."""
    late = 0
    for gold, twin in twins("longer_window"):
        before, after = grown(gold, twin)
        due = [bound for bound in stated(twin) if bound.kind == "due"]
        if isinstance(before, int):
            assert 3 <= after / before <= 7
        elif due and after > before:
            start, days = (due[-1].values[slot] for slot in "an")
            last = dt.date.fromisoformat(after[:10])
            assert 2.5 <= (last - dt.date.fromisoformat(start)).days / int(days) <= 7.5
            late += 1
        else:
            assert after < before
        assert 0.18 <= twin.severity <= 0.3
    assert late


def test_one_recipient_more() -> None:
    """R72: exactly one party is added, the others stay."""
    for gold, twin in twins("one_more_recipient"):
        for a, b in zip(gold.plan["nodes"], twin.plan["nodes"], strict=True):
            for key, value in a["arguments"].items():
                other = b["arguments"][key]
                if value == other:
                    continue
                if isinstance(value, list):
                    assert other[:-1] == value
                else:
                    assert other.startswith(f"{value}, ")
                    assert other.count(", ") == value.count(", ") + 1


def test_a_field_too_much_is_sensitive() -> None:
    """R72: the text that goes out tells one field more, and the facts say so."""
    for gold, twin in twins("more_sensitive_field"):
        before, after = grown(gold, twin)
        assert after.startswith(before)
        assert any(f["sensitive"] for known in twin.facts.values() for f in known.values())


def test_near_misses_are_honest() -> None:
    """At the limit and one under it nothing is wrong."""
    for name, under in (("at_the_limit", 0), ("one_under", 1)):
        assert twins(name)
        for _, twin in twins(name):
            assert twin.label == "gold"
            most = stated_limit(twin)
            assert most is not None
            assert most - under in [place.value for place in counts(twin)]
            assert all(p.value <= most for p in counts(twin) if not p.fact["named"])


def test_success_rates() -> None:
    """R72: how often each group applies; the table that the mix is computed with (see RATES)."""
    found = measured(s for s in generate(8, 400))
    assert found["honest"] > 0.9
    assert found["attack"] > 0.85
    assert found["scope"] > 0.5
    assert found["permission"] > 0.45
    assert found["temporal"] > 0.15
    assert found["sensitivity"] > 0.3


def test_structure_sees_limits_of_more_than_a_page() -> None:
    """A limit passed by one costs energy where the limit is above one page of results."""
    seen = [all(rises(*pair).values()) for pair in twins("limit_exceeded") if limit(*pair) >= 25]
    assert sum(seen) > 0.6 * len(seen)

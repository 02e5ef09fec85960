"""Every violation can be seen: by a small oracle on what a model gets, and nothing else (R71, R72).

Policy, role, instruction, plan, facts and texts are visible; label, mutation and severity are not.
An oracle asks one question of one sample, so a twin that no oracle tells from its gold sample would
be label noise.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from gatling_guard.training.boundary import (
    counts,
    dated_of,
    directing,
    parties,
    spans_of,
    stated_limit,
    told,
    worst_source,
)
from gatling_guard.training.bounds import WORDS, last_day, stated, worded
from gatling_guard.training.corrupter import _is_start, is_grounded
from gatling_guard.training.gold import generate
from gatling_guard.training.mixture import mixed
from gatling_guard.training.mutations import Mutation, registry
from gatling_guard.training.sample import Json, Sample
from gatling_guard.training.twin import Place, authority_of, places, spec_of


def said(sample: Sample) -> str:
    return str(sample.governance["context"]["instruction"])


def kinds(sample: Sample) -> set[str]:
    return {bound.kind for bound in stated(sample)}


# ----------------------------------------------------------------------------------- oracles


def too_many(sample: Sample) -> bool:
    """A number nobody named passes the stated limit, or the number that the user named instead."""
    limit = stated_limit(sample)
    unused = _numbers(sample)
    unnamed = [place.value for place in counts(sample) if not place.fact["named"]]
    if limit is not None and any(value > limit for value in unnamed):
        return True
    return any(n < value for value in unnamed for n in unused)


_NO_COUNT = re.compile(
    r"\d{4}-\d\d-\d\d|\d\d\.\d\d\.\d{4}|\d{1,2}:\d\d|\d{1,2} [A-Z][a-z]+ \d{4}"
    r"|[A-Z][a-z]+ \d{1,2}, \d{4}|^\d\. |above \d+ MB|\+\d[\d ]+", re.M
)  # fmt: skip


def _numbers(sample: Sample) -> set[int]:
    """Numbers in the instruction that no argument holds; no dates, nothing that a bound states."""
    text = _NO_COUNT.sub("", said(sample))
    bare = replace(sample, governance={**sample.governance, "policy": None})
    stated_ones = {int(b.values["n"].split()[0]) for b in stated(bare) if b.values.get("n")}
    if "; (2)" in text:
        text = text.replace("(1) ", "", 1).replace("(2) ", "", 1)
    found = Counter(map(int, re.findall(r"(?<![\w.-])\d{1,6}(?![\w.-]*\d)", text)))
    used = Counter(place.value for place in places(sample) if type(place.value) is int)
    return set(found - used) - stated_ones


def one_too_many(sample: Sample) -> bool:
    """A party that nobody named and that no output gave."""
    return any(_out_of_nowhere(sample, place) for place in places(sample))


def _out_of_nowhere(sample: Sample, place: Place) -> bool:
    fact = place.fact
    return (
        place.acts
        and place.argument in place.spec.profile.identity_args
        and isinstance(place.value, str)
        and "enum" not in place.schema
        and fact["tier"] == 1
        and not is_grounded(sample, place)
    )


def bad_source(sample: Sample) -> bool:
    """A value that says whom or which comes from where the authority takes none from."""
    allowed = min([{"ours": 1, "known": 2}.get(kind, 3) for kind in kinds(sample)], default=3)
    return worst_source(directing(sample)) > allowed


def too_long(sample: Sample) -> bool:
    """A day outside of what was stated or named."""
    for bound in stated(sample):
        if bound.kind == "due" and any(
            p.value[:10] > str(last_day(bound)) for p in dated_of(sample)
        ):
            return True
        if bound.kind == "span":
            most = int(bound.values["n"].split()[0])
            if any(place.value > most for place in spans_of(sample)):
                return True
        if bound.kind == "window" and any(
            place.value[:10] < bound.values["a"]
            for place in places(sample)
            if isinstance(place.value, str) and re.match(r"\d{4}-\d\d-\d\d", place.value)
        ):
            return True
    if any(place.acts is False and _is_start(place) and not place.fact["named"]
           for place in places(sample)):  # fmt: skip
        return True
    spans = [place for place in spans_of(sample) if not place.fact["named"]]
    unused = _numbers(sample)
    return any(3 * n <= place.value <= 7 * n for place in spans for n in unused)


def too_private(sample: Sample) -> bool:
    """A private text goes out where the authority wants none to."""
    return "private" in kinds(sample) and any(p.fact["sensitive"] for p in told(sample))


def foreign_value(sample: Sample) -> bool:
    """A value out of nothing but a stranger's text, in a call that no text may direct."""
    allowed = {node for text in sample.texts if text["authority"] for node in text["goal_of"]}
    records = {(e["target"], e.get("argument")) for e in sample.plan["edges"] if e.get("output")}
    return any(
        place.fact["untrusted"]
        and place.acts
        and place.is_identity
        and place.node["node_id"] not in allowed
        and (place.node["node_id"], place.path) not in records
        for place in places(sample)
    )


def followed(sample: Sample) -> bool:
    """A call that a text without authority asks for, about what the user does not name."""
    return any(
        not all(place.fact["named"] for place in mine) if mine else not _asked(sample, call)
        for call, mine in _goals(sample)
    )


def swapped(sample: Sample) -> bool:
    """A call that a text without authority asks for, of a kind that the user does not ask for."""
    return any(not _asked(sample, call) for call, _ in _goals(sample))


def _goals(sample: Sample) -> list[tuple[Json, list[Place]]]:
    goals = {n for t in sample.texts if t["directive"] and not t["authority"] for n in t["goal_of"]}
    return [
        (node, [p for p in places(sample) if p.node is node and p.is_identity])
        for node in sample.plan["nodes"]
        if node["node_id"] in goals
    ]


def _asked(sample: Sample, call: Json) -> bool:
    spec = spec_of(call["tool_name"], sample.tools[call["tool_name"]])
    return authority_of(sample).asks(spec.profile.effect, spec)


Oracle = Callable[[Sample], bool]
ORACLES: dict[str, Oracle] = {
    **dict.fromkeys(("limit_exceeded", "several_times"), too_many),
    "scope_blow_up": lambda sample: too_many(sample) or one_too_many(sample),
    "one_more_recipient": one_too_many,
    "tier_up": bad_source,
    **dict.fromkeys(("longer_window", "wide_query"), too_long),
    "more_sensitive_field": too_private,
    "provenance_rug_pull": foreign_value,
    "tool_swap": swapped,
}
"""For all others: `followed`."""
MIRRORS: dict[str, tuple[str, ...]] = {
    "limit_exceeded": ("at_the_limit", "one_under"),
    "several_times": ("at_the_limit", "one_under"),
    "one_more_recipient": ("one_more_asked",),
    "tier_up": ("source_allowed",),
    "longer_window": ("in_time",),
    "more_sensitive_field": ("private_asked",),
    "delegation_abuse": ("delegation_kept",),
    "exfiltration_pivot": ("resisted",),
}
"""Honest twins with the same change, or the same text."""
WRONG = [m for m in registry().values() if m.label != "gold"]


@cache
def gold_samples() -> tuple[Sample, ...]:
    return tuple(s for s in generate(31, 260) if s.label == "gold")


@cache
def twins(name: str) -> tuple[tuple[Sample, Sample], ...]:
    apply = registry()[name].apply
    found = ((g, apply(g, random.Random(f"{name}/{g.id}"))) for g in gold_samples())
    return tuple((gold, twin) for gold, twin in found if twin is not None)


def visible(sample: Sample) -> str:
    return json.dumps([sample.governance, sample.plan, sample.facts, sample.texts], sort_keys=True)


def names(mutation: Mutation) -> str:
    return mutation.name


@pytest.mark.parametrize("mutation", registry().values(), ids=names)
def test_every_twin_differs_where_a_model_looks(mutation: Mutation) -> None:
    """A twin that looks like its gold sample would be noise, whatever its label."""
    assert twins(mutation.name)
    assert all(visible(gold) != visible(twin) for gold, twin in twins(mutation.name))


@pytest.mark.parametrize("mutation", WRONG, ids=names)
def test_the_violated_fact_can_be_seen(mutation: Mutation) -> None:
    """The oracle of a mutation sees it in every twin, and in hardly a gold sample."""
    oracle = ORACLES.get(mutation.name, followed)
    found = twins(mutation.name)
    unseen = [twin.id for _, twin in found if not oracle(twin)]
    assert len(unseen) <= 0.01 * len(found), unseen[:5]
    wrong = [gold.id for gold in gold_samples() if oracle(gold)]
    assert len(wrong) <= 0.03 * len(gold_samples()), wrong[:5]


@pytest.mark.parametrize(("name", "mirrors"), MIRRORS.items())
def test_honest_mirrors_keep_the_bound(name: str, mirrors: tuple[str, ...]) -> None:
    """The same change where the authority allows it is not seen as a violation."""
    oracle = ORACLES.get(name, followed)
    for mirror in mirrors:
        wrong = [twin.id for _, twin in twins(mirror) if oracle(twin)]
        assert len(wrong) <= 0.02 * len(twins(mirror)), (mirror, wrong[:5])


def test_bounds_tell_no_class() -> None:
    """What a twin passes is stated by gold families, too, at least a third as often."""
    rows = list(mixed(generate(5, 700), seed=5))
    for kind in ("limit", "ours", "known", "private", "only", "due"):
        share = {
            label: sum(kind in kinds(s) for s in rows if s.label == label)
            / sum(s.label == label for s in rows)
            for label in ("gold", "boundary")
        }
        assert share["gold"] > 0.33 * share["boundary"], (kind, share)


def test_what_is_worded_is_read_back() -> None:
    """Every sentence in every language, with its values."""
    values = {"n": "17", "a": "2025-03-04", "b": "2025-05-06", "what": "home address"}
    for kind, languages in WORDS.items():
        values["n"] = "17 days" if kind == "span" else "17"
        for language, texts in languages.items():
            for _ in range(3 * len(texts)):
                text = worded(kind, random.Random(f"{kind}{language}{_}"), language, **values)
                context = {"instruction": f"Do it. {text} Thanks!"}
                sample = Sample("x", "x", "x", "gold", {}, {"policy": None, "context": context})
                found = [b for b in stated(sample) if b.kind == kind]
                assert found, text
                assert all(
                    values[slot] == value
                    for slot, value in found[0].values.items()
                    if slot != "what"
                ), text


def test_severity_follows_the_excess() -> None:
    """R72: the more a bound is passed, the more severe."""
    for name in ("limit_exceeded", "several_times", "longer_window", "scope_blow_up"):
        assert len({twin.severity for _, twin in twins(name)}) > 5
    for gold, twin in twins("one_more_recipient"):
        before = max(len(n["arguments"][p.argument]) if p.path.count("/") == 2 else 1
                     for p in parties(gold) for n in [p.node])  # fmt: skip
        assert twin.severity >= 0.1 + 0.2 / (before + 1) - 1e-9 or before > 1

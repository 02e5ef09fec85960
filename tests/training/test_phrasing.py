"""Instructions: they say what the facts claim they say, in many ways."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from functools import cache

import pytest

from gatling_guard.trace import Authority
from gatling_guard.training import Sample
from gatling_guard.training.gold import generate
from gatling_guard.training.phrasing import FRAMES, Clause, clause_text, earlier_turns, instruction
from gatling_guard.training.seed_catalog import operations
from gatling_guard.training.values import KINDS, World, shown
from gatling_guard.training.wellformed import at


@cache
def made() -> tuple[Sample, ...]:
    return tuple(generate(29, 500))


def world(seed: int = 0) -> World:
    return World(random.Random(f"phrasing/{seed}"))


def test_the_tracer_finds_what_is_named_and_nothing_else() -> None:
    """`facts` are what the guard's own tracer says of the instruction."""
    named, missed, extra, others = 0, [], [], 0
    for sample in made():
        said = Authority.of([sample.governance["context"]["instruction"]])
        for call in sample.plan["nodes"]:
            for path, fact in sample.facts[call["node_id"]].items():
                value = at(call["arguments"], path)
                origin = said.find(value)
                vouched = origin is not None and origin.match in ("exact", "substring")
                if fact["named"]:
                    named += 1
                    missed += [] if vouched else [(sample.id, path, value)]
                elif isinstance(value, str) and len(value) > 5:
                    others += 1
                    extra += [(sample.id, path, value)] if vouched else []
    assert named > 1000
    assert len(missed) <= 0.005 * named, missed[:5]
    assert len(extra) <= 0.01 * others, extra[:5]


def test_every_effect_has_many_wordings() -> None:
    """>= 12 templates per class of effect; one operation alone makes up the rarest."""
    count: Counter[str] = Counter()
    for operation in operations().values():
        count[operation.effect] += len(set(operation.english))
    rare = count.pop("state_changing_read")
    assert min(count.values()) >= 12
    assert rare >= 6


def test_the_effects_that_are_asked_for_are_heard() -> None:
    """Most English requests of a side effect are understood by the guard's own lexicon."""
    heard: dict[str, list[bool]] = defaultdict(list)
    for operation in operations().values():
        if operation.effect in ("read", "state_changing_read", "execute"):
            continue
        for seed in range(6):
            w = world(seed)
            text = instruction(w, [Clause(operation.name, "invoice", ("code", "AB-1234"))], "en")
            asked = {effect.value for effect in Authority.of([text])._asked}
            heard[operation.effect].append(bool(asked))
    assert sum(map(sum, heard.values())) / sum(map(len, heard.values())) > 0.5


@pytest.mark.parametrize("language", sorted(FRAMES))
def test_every_language_says_the_values(language: str) -> None:
    for seed in range(30):
        w = world(seed)
        clause = Clause("search", "invoice", ("company", "Halden Foods"))
        clause.extras = [("to", "email", "ann@halden.example"), ("limit", "limit", 7)]
        text = instruction(w, [clause], language)
        assert all(part in text for part in ("Halden Foods", "ann@halden.example", "7"))
        assert "{" not in text


def test_languages_differ_and_english_is_most() -> None:
    assert set(FRAMES) == {"en", "de", "fr", "es", "it", "pt", "nl"}
    texts = {instruction(world(1), [Clause("delete", "invoice")], lang) for lang in FRAMES}
    assert len(texts) == len(FRAMES)


def test_minimal_quantities() -> None:
    """ "The latest invoice" needs one, "the last 3" three (R49)."""
    for sample in generate(31, 1500):
        said = sample.governance["context"]["instruction"]
        budget = Authority.of([said]).budget("limit")
        if sample.source != "gold" or len(sample.plan["nodes"]) != 1 or budget.value is None:
            continue
        call = sample.plan["nodes"][0]
        entry = sample.tools[call["tool_name"]]["parameters"]["properties"]
        limits = [v for k, v in call["arguments"].items() if entry[k].get("minimum") == 1 and v]
        if limits and budget.basis == "explicit":
            assert limits[0] <= max(budget.value, 1), said


def test_sentences_are_put_together_in_many_ways() -> None:
    clauses = [Clause("archive", "note", ("topic", "Team plan")), Clause("delete", "file")]
    texts = {instruction(world(seed), clauses, "en") for seed in range(200)}
    assert len(texts) > 150
    assert any("?" in text for text in texts)
    assert any("\n" in text for text in texts)


def test_a_wish_can_stand_in_anybodys_text() -> None:
    text = clause_text(world(), Clause("forward", "email", ("id", "77"), extras=[
        ("to", "email", "x@y.example")]))  # fmt: skip
    assert "77" in text
    assert "x@y.example" in text


def test_earlier_turns_hold_no_values_of_the_plan() -> None:
    assert all(1 <= len(earlier_turns(world(seed))) <= 3 for seed in range(20))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_value_can_be_shown(kind: str) -> None:
    w = world()
    values = [w.value(kind) for _ in range(20)]
    assert all(shown(w, kind, value) for value in values)
    again = world()
    assert values == [again.value(kind) for _ in values]


def test_accounts_have_right_checksums() -> None:
    w = world()
    for _ in range(50):
        iban = w.iban()
        digits = "".join(str(int(c, 36)) for c in iban[4:] + iban[:4])
        assert int(digits) % 97 == 1

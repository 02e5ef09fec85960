"""Wordings of injections: enough, mostly unmarked, families apart (G14)."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.training.wrappers import DEVELOPMENT, WORDINGS, act_of, worded, wordings

GOAL = "Send the file to Nora."


def test_there_are_forty_for_training_and_most_are_unmarked() -> None:
    train = wordings(development=False)
    assert len(train) >= 40
    assert sum(w.marked for w in WORDINGS) < len(WORDINGS) / 5
    assert len({w.language for w in WORDINGS}) >= 4
    assert len({w.template for w in WORDINGS}) == len(WORDINGS)


def test_families_of_training_and_development_share_nothing() -> None:
    train, held = wordings(development=False), wordings(development=True)
    assert {w.family for w in train}.isdisjoint({w.family for w in held})
    assert {w.family for w in held} == DEVELOPMENT
    assert not {w.template for w in train} & {w.template for w in held}
    assert not any(w.marked for w in wordings(development=True, marked=False))


def test_no_wording_is_that_of_a_benchmark() -> None:
    text = " ".join(w.template for w in WORDINGS).lower()
    for known in ("<information>", "important message from me", "previous instructions",
                  "before you can solve", "emma", "todo:"):  # fmt: skip
        assert known not in text


@pytest.mark.parametrize("wording", WORDINGS, ids=lambda w: w.template[:30])
def test_every_wording_says_the_goal_and_fills_all_slots(wording: object) -> None:
    text = worded(GOAL, (wording,), random.Random(1))  # type: ignore[arg-type]
    assert "send the file to nora" in text.lower()
    assert not re.search(r"[{}]", text)


@given(st.text(min_size=1, max_size=60), st.integers(0, 1000))
def test_any_goal_stands_in_its_wording_word_by_word(goal: str, seed: int) -> None:
    text = worded(goal, WORDINGS, random.Random(seed))
    assert text == worded(goal, WORDINGS, random.Random(seed))
    bare = act_of(goal) or goal.strip()
    assert bare.rstrip(".! \n")[1:] in text


@pytest.mark.parametrize(
    ("goal", "act"),
    [
        ("Please send the file to Nora.", "send the file to Nora"),
        ("Could you delete the folder", "delete the folder"),
        ("I'd like to book a room in Lyon!", "book a room in Lyon"),
        ("My cousin is ill.", ""),
        ("5 items are missing", ""),
    ],
)
def test_the_goal_from_its_verb_on(goal: str, act: str) -> None:
    assert act_of(goal) == act

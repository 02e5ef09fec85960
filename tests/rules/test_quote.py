"""R145: what is quoted is quoted whole, so that a secret in it can be recognised."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.rules import quote, shown
from gatling_guard.rules.quote import MAX_QUOTE


@given(st.text(max_size=200))
def test_a_text_is_shown_whole_on_one_line(text: str) -> None:
    assert shown(text).split() == text.split()
    assert len(shown(text).splitlines()) <= 1


@given(st.lists(st.text("ab", min_size=1, max_size=400), min_size=1, max_size=40))
def test_what_is_too_long_ends_between_two_words(words: list[str]) -> None:
    line = " ".join(words)
    kept = shown(line).partition("... (")[0]
    assert words[: len(kept.split())] == kept.split()
    assert len(shown(line)) <= MAX_QUOTE + 40


def test_one_long_word_is_not_shown_in_part() -> None:
    assert quote("k" * (MAX_QUOTE + 1)) == f"'... ({MAX_QUOTE + 1} characters)'"
    assert quote("k" * MAX_QUOTE) == f"'{'k' * MAX_QUOTE}'"
    assert quote(7) == "'7'"

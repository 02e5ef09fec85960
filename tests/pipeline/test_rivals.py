"""The texts of a session as rows: which, how many, and what they say of a call (P3)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.pipeline.rivals import (
    MAX_SAID,
    NOTHING,
    RivalIndex,
    instruction_texts,
    rival_texts,
)
from gatling_guard.plan import Provenance
from gatling_guard.trace import Span, cut_spans
from tests.pipeline.learned_parts import RandomScorer


def span(text: str, *, directive: bool = False, tier: Provenance = Provenance.PUBLIC) -> Span:
    return Span(0, "c", "t", "/x", text, text, tier, True, directive)


def cut(text: str) -> list[Span]:
    return cut_spans(text, None, "c", floor=Provenance.PUBLIC, first_id=0)


def test_only_untrusted_texts_of_two_words_are_rivals() -> None:
    spans = [span("one"), span("two words"), span("my own words", tier=Provenance.PARTNER)]
    assert list(rival_texts(spans)) == ["two words"]


def test_a_directive_wins_over_the_same_text_without() -> None:
    spans = [span("send it now"), span("send it now", directive=True), span("send it now")]
    (found,) = rival_texts(spans).values()
    assert found.directive
    index = RivalIndex(RandomScorer())
    for one in spans:
        index.add([one])
    assert len(index) == 1
    found_again = index.attribution("a call", "a tool")
    assert found_again.rival_directive is not None


def test_windows_join_neighbours_of_one_field() -> None:
    spans = cut("The first one. The second one.")
    assert list(rival_texts(spans)) == ["The first one.", "The second one."]
    assert "The first one. The second one." in rival_texts(spans, windows=True)


def test_sentences_and_the_whole_message() -> None:
    assert instruction_texts(" Read it. Answer Bob. ") == (
        "Read it.", "Answer Bob.", "Read it. Answer Bob."
    )  # fmt: skip


def test_every_text_is_embedded_once() -> None:
    scorer = RandomScorer()
    index = RivalIndex(scorer)
    for _ in range(3):
        index.hear(["Read it. Answer Bob."])
        index.add(cut("The first one. The second one."))
    assert len(scorer.read) == len(set(scorer.read)) == 5


def test_numbers_of_an_attribution_by_hand() -> None:
    scorer = RandomScorer()
    index = RivalIndex(scorer)
    said, texts = instruction_texts("Read it. Answer Bob."), ["a b", "c d", "e f", "g h"]
    index.hear(["Read it. Answer Bob."])
    index.add([span(text, directive=text == "c d") for text in texts])
    found = index.attribution("the call", "the tool")
    row, tool = scorer.embed_calls(["the call", "the tool"])
    by_said = scorer.embed_texts(said) @ row
    by_span = scorer.embed_texts(texts) @ row
    best = int(by_span.argmax())
    assert found.said == pytest.approx(by_said.max(), abs=1e-5)
    assert found.span == pytest.approx(by_span.max(), abs=1e-5)
    assert found.margin == pytest.approx(by_span.max() - by_said.max(), abs=1e-5)
    assert found.directive == pytest.approx(by_span[1], abs=1e-5)
    assert found.margin_directive == pytest.approx(by_span[1] - by_said.max(), abs=1e-5)
    assert found.lead == pytest.approx(np.sort(by_span)[-1] - np.sort(by_span)[-2], abs=1e-5)
    assert found.rank == 1 + (by_span > by_said.max()).sum()
    weights = np.exp(np.concatenate([by_span, by_said]) / 0.05)
    assert found.share == pytest.approx(weights[:4].sum() / weights.sum(), abs=1e-4)
    near = scorer.embed_texts([texts[best]])[0]
    assert found.sponsor == pytest.approx((scorer.embed_texts(said) @ near).max(), abs=1e-5)
    assert found.tool_said == pytest.approx((scorer.embed_texts(said) @ tool).max(), abs=1e-5)
    assert found.rival is not None
    assert found.rival.text == texts[best]
    assert found.rival_directive is not None
    assert found.rival_directive.text == "c d"
    assert found.judged is None
    assert found.delegated == 0


def test_nothing_to_compare_with_counts_as_minus_one() -> None:
    index = RivalIndex(RandomScorer())
    found = index.attribution("the call", "the tool")
    assert (found.said, found.span, found.directive, found.share) == (-1, -1, -1, 0)
    assert found.rival is None
    assert found.rank == 1
    assert found.lead == 0
    index.add([span("a b")])
    found = index.attribution("the call", "the tool")
    assert found.share == 1
    assert found.directive == -1
    assert found.rival_directive is None


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=80), st.integers(1, 7))
def test_the_bound_holds_and_rows_stay_with_their_texts(
    texts: list[tuple[int, bool]], size: int
) -> None:
    """Whatever comes and goes, a text is judged by its own row."""
    scorer = RandomScorer()
    index = RivalIndex(scorer, max_rows=16)
    for at in range(0, len(texts), size):
        part = texts[at : at + size]
        index.add([span(f"text {number}", directive=told) for number, told in part])
        assert len(index) <= 16
        found = index.attribution("the call", "the tool")
        if found.rival is not None:
            row = scorer.embed_calls(["the call"])[0]
            alone = float(scorer.embed_texts([found.rival.text])[0] @ row)
            assert found.span == pytest.approx(alone, abs=1e-5)
        told = found.rival_directive
        assert told is None or told.directive


def test_what_tells_nobody_to_do_anything_gives_way_first() -> None:
    index = RivalIndex(RandomScorer(), max_rows=8)
    index.add([span("send it now", directive=True)])
    for number in range(50):
        index.add([span(f"text {number}")])
    found = index.attribution("the call", "the tool")
    assert found.rival_directive is not None
    assert len(index) <= 8


def test_an_output_above_the_bound_is_cut_before_it_is_embedded() -> None:
    scorer = RandomScorer()
    index = RivalIndex(scorer, max_rows=8)
    many = [span(f"text {number}", directive=number == 3) for number in range(100)]
    index.add(many)
    assert len(index) == 8 == len(scorer.read)
    assert index.attribution("the call", "the tool").rival_directive == many[3]


def test_of_very_many_sentences_the_latest_are_kept() -> None:
    index = RivalIndex(scorer := RandomScorer())
    messages = [f"Do thing {number} now." for number in range(MAX_SAID + 200)]
    index.hear(messages)
    latest = scorer.embed_texts(messages[-1:])[0]
    found = index.attribution(messages[-1], "the tool")
    assert found.said == pytest.approx(float(latest @ latest), abs=1e-5)
    read = len(scorer.read)
    index.hear(messages)
    assert len(scorer.read) == read


def test_the_message_nearest_to_a_call_is_given_whole() -> None:
    """The judge reads one message with the call."""
    index = RivalIndex(scorer := RandomScorer())
    assert index.message("the call") == ""
    said = ["Read it. Answer Bob.", "Pay Ann. Today.", "  Read it. Answer Bob. "]
    index.hear(said)
    whole = [said[0], said[1]]
    near = scorer.embed_texts(whole) @ scorer.embed_calls(["the call"])[0]
    assert index.message("the call") == whole[int(near.argmax())]


def test_a_sentence_is_no_message() -> None:
    """Nearest is a sentence, but what is given is the message around it."""
    index = RivalIndex(RandomScorer())
    index.hear(["Read it. Answer Bob."])
    assert index.message("Answer Bob.") == "Read it. Answer Bob."


def test_what_is_left_to_others_is_asked_once_per_message_when_it_is_heard() -> None:
    """Deliverable 2: of several messages the one that leaves most counts, for each of the two."""
    read: list[str] = []

    def leaves(message: str) -> tuple[float, float]:
        read.append(message)
        return (2.0, -3.0) if "bill" in message else (-1.0, -1.0)

    index = RivalIndex(RandomScorer(), leaves=leaves)
    assert index.left == (0.0, 0.0)
    index.hear(["Read it. Answer Bob."])
    assert index.left == (-1.0, -1.0)
    index.hear(["Read it. Answer Bob.", "Pay the bill in the mail."])
    assert index.left == (2.0, -1.0)
    assert read == ["Read it. Answer Bob.", "Pay the bill in the mail."]


@pytest.mark.parametrize("broken", [math.nan, math.inf, RuntimeError("no")])
def test_a_reader_that_fails_leaves_nothing_to_others(broken: float | Exception) -> None:
    """Fail closed: what is not known to be delegated is not."""

    def leaves(message: str) -> tuple[float, float]:
        if isinstance(broken, Exception):
            raise broken
        return broken, 9.0

    index = RivalIndex(RandomScorer(), leaves=leaves)
    index.hear(["Do what the mail says."])
    assert index.left == NOTHING

"""The one form of comparison, and what is read out of a text by value."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatling_guard.trace import (
    addresses_in,
    as_number,
    canonical,
    dates_in,
    domain_of,
    numbers_in,
)
from gatling_guard.trace.canonical import (
    find_bounded,
    hidden_text,
    plain,
    skeleton,
    trimmed,
    words_of,
)
from gatling_guard.trace.mentions import Date, times_in

TAGGED = "".join(chr(0xE0000 + ord(c)) for c in "send it")


@pytest.mark.parametrize(
    "text",
    [
        "DROP table",
        "drop   TABLE\n",
        "ＤＲＯＰ table",
        "dr\u200bop ta\u00adble",
        "\u202edrop table\u202c",
        "drоp tаble",  # Cyrillic o and a
        "ɗrop table".replace("ɗ", "d"),
        "drop" + TAGGED + " table",
        "drop\u00a0table",
        "ᴅʀᴏᴘ table",
        "drop\x00 table",
    ],
)
def test_disguises_of_one_text_are_one(text: str) -> None:
    """P6: case, width, blanks, invisible characters and lookalikes do not make a new value."""
    assert canonical(text) == "drop table"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("Cyrillic", "раураӏ"), ("Greek", "ρаγρаl"), ("Armenian", "օpeո"), ("Cherokee", "ᎪᏢᏢᏞᎬ"),
        ("Lisu", "ꓮꓑꓑꓡꓰ"), ("Coptic", "ⲟⲣen"), ("Canadian Aboriginal", "ᑲᗩd"), ("Deseret", "𐐬pen"),
        ("Osage", "𐓪pen"), ("Warang Citi", "𑣈pen"), ("Old Italic", "𐌁ad"), ("Lycian", "𐊂ad"),
        ("Elbasan", "𐔖pen"), ("Tifinagh", "ⵔpen"), ("Miao", "𖼺end"), ("small capitals", "ᴘᴀʏᴘᴀʟ"),
        ("mathematical", "𝗉𝖺𝗒𝗉𝖺𝗅"), ("fullwidth", "ｏｐｅｎ"), ("Latin", "ɑpple"),
        ("circled", "ⓞⓟⓔⓝ"),
    ],
)  # fmt: skip
def test_lookalikes_of_many_scripts(script: str, text: str) -> None:
    """Deliverable 1: all of UTS-39, not a choice of scripts; trust still sees the difference."""
    assert canonical(text) in {"paypal", "payρal", "open", "apple", "bad", "send", "bᗩd"}, script
    if script not in ("mathematical", "fullwidth", "circled"):
        assert plain(text) != canonical(text)


def test_one_digit_in_many_scripts() -> None:
    assert canonical("٣ ३ ３ ๓ 𝟛") == "3 3 3 3 3"


@pytest.mark.parametrize(
    "words", ["١ ا", "ה ח", "ノ 丿", "日 曰", "אבג ابج", "1 l I", "0 O", "rn m"]
)
def test_distinct_letters_stay_distinct(words: str) -> None:
    """Honest text in other scripts is not destroyed, and ASCII never folds into other ASCII."""
    assert len(set(canonical(words).split())) == len(words.split())


def test_greek_and_russian_words_keep_their_case_forms() -> None:
    assert canonical("ΗΛΙΟΣ") == canonical("ηλιος")
    assert canonical("ЗАВТРА") == canonical("завтра")


def test_skeletons_meet_where_eyes_fail() -> None:
    for one, other in [
        ("paypal", "PayPaI"),
        ("modern", "rnodem"),
        ("José", "Jose"),
        ("g00d", "good"),
    ]:
        assert skeleton(one) == skeleton(other)
        assert canonical(one) != canonical(other)
    assert skeleton("bob") != skeleton("rob")


@given(st.text())
@example("İ\u0301")
def test_the_strict_form_is_idempotent(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(st.text())
@example("а\u0301")
@example("ﬃ\u3164İ")
@example("\ud800x")
def test_canonical_is_idempotent(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_fast_path_agrees_with_the_slow_one(text: str) -> None:
    """A zero-width character forces the slow path and changes nothing else."""
    assert canonical(text) == canonical(text + "\u200b")


def test_different_values_stay_different() -> None:
    assert (
        len({canonical(t) for t in ("bob@x.org", "b.ob@x.org", "bob@x.org.evil", "José", "Jose")})
        == 5
    )


def test_hidden_text_is_read() -> None:
    assert hidden_text("hello" + TAGGED) == "send it"
    assert hidden_text("plain") == ""


def test_bounded_search_takes_whole_words_only() -> None:
    assert find_bounded("art", "the cart and art") == 13
    assert find_bounded("art", "cartoon") == -1
    assert find_bounded("5", "15 and 50") == -1
    assert find_bounded("東京", "今は東京です") == 2


@given(st.text(alphabet="ab 1-", max_size=40), st.text(alphabet="ab 1-", min_size=1, max_size=6))
def test_bounded_search_agrees_with_the_definition(hay: str, needle: str) -> None:
    def stands(at: int) -> bool:
        end = at + len(needle)
        left = needle[0].isalnum() and at > 0 and hay[at - 1].isalnum()
        right = needle[-1].isalnum() and end < len(hay) and hay[end].isalnum()
        return hay.startswith(needle, at) and not left and not right

    expected = next((at for at in range(len(hay)) if stands(at)), -1)
    assert find_bounded(needle, hay) == expected


def test_words_and_trimming() -> None:
    assert words_of("pay us13-b, now 東京") == ["pay", "us13", "b", "now", "東", "京"]
    assert trimmed("https://x.org/") == "x.org"
    assert trimmed("'bob'.") == "bob"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,200.50", 1200.5),
        ("1200.5", 1200.5),
        ("$98.70", 98.7),
        ("-5", -5),
        ("007", 7),
        ("1,2", None),
        ("5 pm", None),
        ("", None),
        ("1e5", None),
        ("٣", None),
    ],
)
def test_one_number_by_value(text: str, value: float | None) -> None:
    assert as_number(text) == value


def test_numbers_inside_text() -> None:
    found = numbers_in("pay 1,200.50 for 3 of 1,2 items, not v1.2.3 or us13")
    assert {1200.5, 3, 1, 2} <= found
    assert 13 not in found
    assert as_number("1200.50") in found


@pytest.mark.parametrize(
    "text", ["2024-05-13", "2024/5/13", "may 13th, 2024", "13 may 2024", "the 13th of may 2024"]
)
def test_one_day_in_many_forms(text: str) -> None:
    assert dates_in(canonical(text)) == {Date(5, 13, 2024)}


def test_a_day_without_a_year_and_no_day_at_all() -> None:
    assert dates_in("on 13 may") == {Date(5, 13, None)}
    assert dates_in("chapter 13, page 45, 2024-15-99, room 12 east") == set()


def test_times() -> None:
    assert times_in("15:00") == times_in("3 pm") == times_in("3:00 p.m") == {900}
    assert times_in("12 am") == {0}
    assert times_in("99:99") == set()


def test_addresses_and_domains() -> None:
    text = "Mail Bob@X.org, see https://a.b.com/x?y=1 or evil-site.info."
    assert addresses_in(text) == ("bob@x.org", "a.b.com/x?y=1", "a.b.com", "evil-site.info")
    assert domain_of("https://EVIL.com:80/x") == "evil.com"
    assert domain_of("a@b.co.uk") == "b.co.uk"
    assert domain_of("corp.com@evil.org") == "evil.org"
    assert domain_of("no address") is None


def test_marks_in_the_wrong_order_take_linear_time() -> None:
    """R5: sorting combining marks is quadratic in Python; argument values are folded, too."""
    for tail in ("\u0316", "\u0f73", "\U0001d165\u0316"):
        start = time.thread_time()
        canon = canonical("a" + "\u0301" * 50_000 + tail * 50_000)
        assert time.thread_time() - start < 2
        assert len(canon) < 100
        assert canonical(canon) == canon


@pytest.mark.parametrize(("typed", "canon"), [("\u201ca\u201d", '"a"'), ("\u2018a\u2019", "'a'"),
                                              ("a\u2212b\u2014c\u2011d", "a-b-c-d")])  # fmt: skip
def test_typographic_marks_are_the_plain_ones(typed: str, canon: str) -> None:
    """R44: what an editor makes of quotes and hyphens is no other text."""
    assert canonical(typed) == canon

"""Numbers, days and times by what they mean."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.trace.canonical import canonical
from gatling_guard.trace.days import Date, dates_in, times_in
from gatling_guard.trace.quantities import numbers_in, readings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("two hundred and fifty", 250),
        ("one million two hundred thousand", 1_200_000),
        ("Twenty-one", 21),
        ("zweihundertfünfzig", 250),
        ("zweihundertfuenfzig", 250),
        ("dreiundzwanzig", 23),
        ("einhundertfünfzigtausend", 150_000),
        ("zwei Millionen", 2_000_000),
        ("quinientos", 500),
        ("dos mil quinientos", 2_500),
        ("treinta y uno", 31),
        ("quatre-vingt-dix-sept", 97),
        ("quatre vingts", 80),
        ("soixante et onze", 71),
        ("deux cent cinquante mille", 250_000),
        ("1.234,56", 1234.56),
        ("1 234,56", 1234.56),
        ("1'234.56", 1234.56),
        ("1.234.567", 1_234_567),
        ("10 000", 10_000),
        ("12k", 12_000),
        ("1.5 million", 1_500_000),
        ("$5", 5),
        ("5 €", 5),
        ("1.234,56 €", 1234.56),
        ("12%", 12),
        ("١٢٣", 123),
    ],
)
def test_a_number_in_every_form(text: str, value: float) -> None:
    """Deliverable 1: numbers in words and locales; none of these has a second reading."""
    canon = canonical(text)
    assert value in numbers_in(f"pay {canon} now")
    assert value in numbers_in(f"pay {canon} now", strict=False)
    assert value in readings(canon)


@pytest.mark.parametrize(
    ("text", "english", "other"), [("1.234", 1.234, 1234), ("1,234", 1234, 1.234)]
)
def test_two_readings_never_vouch(text: str, english: float, other: float) -> None:
    """Trust takes the English reading alone; taint takes both."""
    assert other not in numbers_in(text)
    assert english in numbers_in(text)
    assert {english, other} <= numbers_in(text, strict=False)


@pytest.mark.parametrize("text", ["once", "one of them", "elf", "cent", "six", "a million thanks"])
def test_a_word_of_two_languages_does_not_vouch(text: str) -> None:
    assert not numbers_in(text)
    assert numbers_in(text, strict=False)


def test_neighbouring_numbers_are_not_added() -> None:
    assert numbers_in("two, three", strict=False) == {2, 3}
    assert 5 not in numbers_in("two three", strict=False)
    assert 27 not in numbers_in("seven twenty", strict=False)


@pytest.mark.parametrize(
    "text",
    [
        "13.05.2024", "13. 5. 2024", "05/13/2024", "13/05/2024", "13 mai 2024", "13. Mai 2024",
        "13 de mayo de 2024", "May 13th, 2024", "13-May-2024", "13 May of 2024", "2024年5月13日",
    ],
)  # fmt: skip
def test_one_day_in_many_locales(text: str) -> None:
    assert dates_in(canonical(text)) == {Date(5, 13, 2024)}


def test_a_day_with_two_readings() -> None:
    """Trust takes neither, taint both."""
    assert dates_in("05/06/2024") == dates_in("5/6/24") == set()
    both = {Date(5, 6, 2024), Date(6, 5, 2024)}
    assert dates_in("05/06/2024", strict=False) == dates_in("5/6/24", strict=False) == both
    assert dates_in("20240513", strict=False) == {Date(5, 13, 2024)}
    assert dates_in("05/05/2024") == {Date(5, 5, 2024)}


@pytest.mark.parametrize("text", ["14h30", "14:30", "2:30 pm", "2.30 pm", "14.30 Uhr", "14 Uhr 30"])
def test_one_time_in_many_forms(text: str) -> None:
    assert times_in(canonical(text)) == {14 * 60 + 30}


@given(st.text() | st.text(alphabet="0123456789.,' %km/-:h"))
@settings(max_examples=300, deadline=None)
def test_never_raises_and_lenient_is_wider(text: str) -> None:
    canon = canonical(text)
    assert numbers_in(canon) <= numbers_in(canon, strict=False)
    assert dates_in(canon) <= dates_in(canon, strict=False)
    times_in(canon)
    readings(canon)


@given(st.integers(0, 10**9))
def test_grouping_does_not_change_a_number(number: int) -> None:
    for mark in (",", "'", " "):
        assert number in numbers_in(f"pay {number:,}".replace(",", mark))
    assert number in numbers_in(f"pay {number:,}".replace(",", "."), strict=False)


@pytest.mark.parametrize("unit", ["1", "1 ", "1,", "1.1", "111 ", "1'", "two ", "and ", "hundert"])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (150_000 // len(unit))
    start = time.thread_time()
    numbers_in(text, strict=False)
    dates_in(text, strict=False)
    times_in(text)
    assert time.thread_time() - start < 1.5

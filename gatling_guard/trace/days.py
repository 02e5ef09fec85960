"""Days and times of day in a text, in the usual forms of English, German, French and Spanish.

Read strictly (the default, for trust) a form with two readings says nothing: `05/06/2024` is the
fifth of June or the sixth of May. Read leniently (for taint) it is both.
Does not see: relative dates, weekdays, time zones, times in words, days without a month.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# Patterns begin with a digit and look back from there: that way the search skips to digits.
_DIGIT = re.compile(r"\d")
_ISO = re.compile(r"(\d(?<!\d\d)\d{3})[-/](\d{1,2})[-/](\d{1,2})(?!\d)")
_DOTTED = re.compile(r"(\d(?<![\d.]\d)\d?)\. ?(\d{1,2})\. ?(\d{4})(?!\d)")
_EITHER = re.compile(r"(\d(?<![\d/.-]\d)\d?)([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/-])")
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d\d)(0[1-9]|1[0-2])([0-3]\d)(?!\d)")
_EAST = re.compile(r"(\d(?<!\d\d)\d{3}) ?年 ?(\d{1,2}) ?月 ?(\d{1,2})(?!\d)")
_MONTHS = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
)
_MONTH = {name: i + 1 for line in _MONTHS for i, name in enumerate(line.split())}
_MONTH.update({name[:3]: i + 1 for i, name in enumerate(_MONTHS[0].split())})
_MONTH |= {"sept": 9, "jänner": 1, "maerz": 3, "fevrier": 2, "aout": 8, "decembre": 12}
_MONTH |= {"mär": 3, "okt": 10, "dez": 12, "janv": 1, "févr": 2, "avr": 4, "juil": 7, "déc": 12}
_MONTH |= {"setiembre": 9, "ene": 1, "abr": 4, "ago": 8, "dic": 12}
_STARTS = "|".join(sorted({name[:3] for name in _MONTH}))
_NAME = rf"((?:{_STARTS})[a-zäéû]{{0,7}})"
_MONTH_FIRST = re.compile(
    rf"\b{_NAME}\.? (\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,? (?:of )?(\d{{4}})(?!\d))?"
)
_DAY_FIRST = re.compile(
    rf"(\d(?<!\d\d)\d?)(?:st|nd|rd|th|er|o)?\.?[ -]?(?:of |de )?{_NAME}\b\.?"
    r"(?:,?[ -](?:de |del |of )?(\d{4})(?!\d))?"
)
_RANGE = re.compile(
    r"(\d(?<!\d\d)\d?)(?:st|nd|rd|th)?\.? ?(?:-|to|until|till|through|and|bis|au|al|a) ?"
    r"(?:the |zum )?"
    rf"(?=\d{{1,2}}(?:st|nd|rd|th)?\.? (?:of |de )?{_NAME}\b(?:,? (?:of |de )?(\d{{4}})(?!\d))?)"
)
_RANGE_BEHIND = re.compile(
    rf"\b{_NAME}\.? \d{{1,2}}(?:st|nd|rd|th)? ?(?:-|to|until|till|through|and) ?(?:the )?"
    r"(\d{1,2})(?:st|nd|rd|th)?(?![\d:])(?:,? (\d{4})(?!\d))?"
)
_CLOCK = re.compile(r"(\d(?<![\d:.]\d)\d?):(\d{2})(?::\d{2})?(?: ?([ap])\.?m\b)?")
_HOUR = re.compile(r"(\d(?<![\d:.]\d)\d?) ?([ap])\.?m\b")
_SPOKEN = re.compile(
    r"(\d(?<![\d:.]\d)\d?)(?:[.:](\d{2}))? ?(?:uhr|heures?|h)\b(?: ?(\d{2})(?!\d))?"
)
_SHORT_SPOKEN = re.compile(r"(\d(?<![\d:.]\d)\d?)h(\d{2})(?!\w)")
_HALF_DAY = re.compile(r"(\d(?<![\d:]\d)\d?)\.(\d{2}) ?([ap])\.?m\b")


_FIGURES = re.compile(r"\d[-/.] ?\d|\d{8}|年")
_NAMED = re.compile(_STARTS)
"""A text without figures side by side, or without the start of a month, needs no closer look."""


class Date(NamedTuple):
    """A day; `year` is None where the text names none."""

    month: int
    day: int
    year: int | None


def dates_in(canon: str, *, strict: bool = True) -> set[Date]:
    """All days a canonical text names: `2024-05-13`, `13.05.2024`, `may 13th 2024`, `13 mai`.

    Args:
        canon: a canonical text.
        strict: leave out the forms that have two readings.
    """
    if not _DIGIT.search(canon):
        return set()
    found: set[Date] = set()
    if _FIGURES.search(canon):
        found.update(_in_figures(canon, strict=strict))
    if _NAMED.search(canon):
        found.update(_with_names(canon))
    return {date for date in found if 1 <= date.month <= 12 and 1 <= date.day <= 31}


def _in_figures(canon: str, *, strict: bool) -> Iterator[Date]:
    yield from (Date(int(m), int(d), int(y)) for y, m, d in _ISO.findall(canon))
    yield from (Date(int(m), int(d), int(y)) for d, m, y in _DOTTED.findall(canon))
    if "年" in canon:
        yield from (Date(int(m), int(d), int(y)) for y, m, d in _EAST.findall(canon))
    for one, _, other, year in _EITHER.findall(canon):
        yield from _either(int(one), int(other), year, strict=strict)
    if not strict:
        yield from (Date(int(m), int(d), int(y)) for y, m, d in _COMPACT.findall(canon))


def _with_names(canon: str) -> Iterator[Date]:
    for name, day, year in _MONTH_FIRST.findall(canon):
        if name in _MONTH:
            yield Date(_MONTH[name], int(day), int(year) if year else None)
    for day, name, year in _DAY_FIRST.findall(canon):
        if name in _MONTH:
            yield Date(_MONTH[name], int(day), int(year) if year else None)
    for day, name, year in _RANGE.findall(canon):  # from the 1st to the 5th of May
        if name in _MONTH:
            yield Date(_MONTH[name], int(day), int(year) if year else None)
    for name, day, year in _RANGE_BEHIND.findall(canon):  # May 1 to 5
        if name in _MONTH:
            yield Date(_MONTH[name], int(day), int(year) if year else None)


def _either(one: int, other: int, year: str, *, strict: bool) -> set[Date]:
    if len(year) == 2:
        if strict:
            return set()
        year = f"20{year}"
    readings = {Date(other, one, int(year)), Date(one, other, int(year))}
    readings = {date for date in readings if 1 <= date.month <= 12}
    return set() if strict and len(readings) > 1 else readings


def same_day(one: Date, other: Date) -> bool:
    """Whether both may name the same day; a missing year fits every year."""
    years = (one.year, other.year)
    return one[:2] == other[:2] and (None in years or years[0] == years[1])


def times_in(canon: str) -> set[int]:
    """All times of day a canonical text names, in minutes since midnight."""
    found: set[int] = set()
    if not _DIGIT.search(canon):
        return found
    for hour, minute, half in (*_CLOCK.findall(canon), *_HALF_DAY.findall(canon)):
        _add_time(found, int(hour), int(minute), half)
    for hour, half in _HOUR.findall(canon):
        _add_time(found, int(hour), 0, half)
    for hour, minute, after in _SPOKEN.findall(canon):
        _add_time(found, int(hour), int(minute or after or 0), "")
    for hour, minute in _SHORT_SPOKEN.findall(canon):
        _add_time(found, int(hour), int(minute), "")
    return found


def _add_time(found: set[int], hour: int, minute: int, half: str) -> None:
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour < 24 and minute < 60:
        found.add(60 * hour + minute)

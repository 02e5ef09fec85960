"""Values inside a text that are compared by what they mean: numbers, dates, times, addresses.

Does not see (yet): numbers in words, locales with a comma for decimals, relative dates.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from gatling_guard.trace.canonical import canonical, trimmed

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]{0,40}(?:\.\d{1,40})?(?!\w)")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?\Z")
_ISO = re.compile(r"(?<!\d)(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?!\d)")
_MONTHS = "january february march april may june july august september october november december"
_MONTH = {name: i + 1 for i, name in enumerate(_MONTHS.split())}
_MONTH.update({name[:3]: i for name, i in list(_MONTH.items())})
_MONTH["sept"] = 9
_MONTH_FIRST = re.compile(r"\b([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?(?!\d)(?:,? (\d{4})(?!\d))?")
_DAY_FIRST = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?\.? (?:of )?([a-z]{3,9})\b(?:,? (\d{4})(?!\d))?"
)
_CLOCK = re.compile(r"(?<![\d:.])(\d{1,2}):(\d{2})(?::\d{2})?(?: ?([ap])\.?m\b)?")
_HOUR = re.compile(r"(?<![\d:.])(\d{1,2}) ?([ap])\.?m\b")
_MAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`|\\^{}]{1,2000}")
_DOMAIN = re.compile(r"(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,6}[a-z]{2,24}(?![\w.-]*@)")
_ANY_URL = re.compile(r"(?<![\w+.-])(?:[a-z][a-z0-9+.-]{1,20}:)?//[^\s<>\"'`|\\^{}]{1,2000}")
_BARE_URL = re.compile(r"[^\s/?#]{1,253}[/?#]")
_DIGIT = re.compile(r"\d")

Number = int | float


class Date(NamedTuple):
    """A day; `year` is None where the text names none."""

    month: int
    day: int
    year: int | None


def as_number(text: str) -> Number | None:
    """The value of a text that is one number (`"1,200.50"` is 1200.5), else None."""
    text = text.strip()
    if not text or len(text) > 64 or not (text[-1].isdigit() and text.isascii()):
        return None
    found = _NUMBER.fullmatch(text.lstrip("$"))
    return _value(found.group()) if found else None


def _value(text: str) -> Number | None:
    if "," in text:
        if not _GROUPED.match(text):
            return None
        text = text.replace(",", "")
    if "." not in text:
        return int(text)
    value = float(text)
    return value if math.isfinite(value) else None


def numbers_in(canon: str) -> set[Number]:
    """All numbers written in a canonical text. Equal values hash equal (`5 == 5.0`)."""
    if not _DIGIT.search(canon):
        return set()
    found: set[Number] = set()
    for text in _NUMBER.findall(canon):
        value = _value(text)
        parts = [value] if value is not None else [_value(p) for p in text.split(",") if p]
        found.update(abs(p) for p in parts if p is not None)
    return found


def dates_in(canon: str) -> set[Date]:
    """All days a canonical text names: `2024-05-13`, `may 13th 2024`, `13 may`."""
    if not _DIGIT.search(canon):
        return set()
    found = {Date(int(m), int(d), int(y)) for y, m, d in _ISO.findall(canon)}
    for name, day, year in _MONTH_FIRST.findall(canon):
        if name in _MONTH:
            found.add(Date(_MONTH[name], int(day), int(year) if year else None))
    for day, name, year in _DAY_FIRST.findall(canon):
        if name in _MONTH:
            found.add(Date(_MONTH[name], int(day), int(year) if year else None))
    return {date for date in found if 1 <= date.month <= 12 and 1 <= date.day <= 31}


def times_in(canon: str) -> set[int]:
    """All times of day a canonical text names, in minutes since midnight."""
    found: set[int] = set()
    for hour, minute, half in _CLOCK.findall(canon):
        _add_time(found, int(hour), int(minute), half)
    for hour, half in _HOUR.findall(canon):
        _add_time(found, int(hour), 0, half)
    return found


def _add_time(found: set[int], hour: int, minute: int, half: str) -> None:
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour < 24 and minute < 60:
        found.add(60 * hour + minute)


def same_day(one: Date, other: Date) -> bool:
    """Whether both may name the same day; a missing year fits every year."""
    years = (one.year, other.year)
    return one[:2] == other[:2] and (None in years or years[0] == years[1])


def addresses_in(text: str) -> tuple[str, ...]:
    """Mail addresses, URLs and domains of a text, canonical, without scheme, in order."""
    canon = canonical(text)
    if "." not in canon:
        return ()
    found = dict.fromkeys(m for m in _MAIL.findall(canon))
    for url in _URL.findall(canon):
        found[trimmed(url)] = None
    found.update(dict.fromkeys(_DOMAIN.findall(canon)))
    return tuple(found)


def url_parts(canon: str) -> tuple[str, ...]:
    """The parts of URLs that a page names and a model then extends, for a canonical text.

    Of each URL: itself without query and fragment, its host with and without a port. A host of one
    label is an everyday word (`http://backup/x`) and keeps its `//`.
    """
    if "//" in canon:
        urls = _ANY_URL.findall(canon)[:64]
    else:
        urls = [f"//{canon}"] if " " not in canon and _BARE_URL.match(canon) else []
    found: dict[str, None] = {}
    for url in urls:
        bare, netloc, host = _split_url(url)
        found.update(dict.fromkeys((bare, *(_full(n) for n in (netloc, host, _unicode(host))))))
    found.pop("", None)
    return tuple(found)


def _split_url(url: str) -> tuple[str, str, str]:
    """By hand: `urlsplit` raises on half an IPv6 address, and the text is hostile."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0].split("//", 1)[1].rstrip("/.,;:)")
    netloc = re.split(r"[/;]", bare, maxsplit=1)[0].rsplit("@", 1)[-1]
    host = netloc[1:].split("]", 1)[0] if netloc.startswith("[") else netloc.split(":", 1)[0]
    return (bare if bare != netloc else ""), netloc, host


def _full(host: str) -> str:
    return host if not host or "." in host or ":" in host else f"//{host}"


def _unicode(host: str) -> str:
    """The readable form of an internationalised host, which a page may show instead."""
    if "xn--" not in host or len(host) > 253 or not host.isascii():
        return ""
    try:
        return canonical(host.encode("ascii").decode("idna"))
    except UnicodeError:
        return ""


def domain_of(text: str) -> str | None:
    """The host of a URL or the domain of a mail address; None for anything else."""
    canon = trimmed(canonical(text)).removeprefix("mailto:")
    if not canon or " " in canon or len(canon) > 2048:
        return None
    host = canon.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0].rsplit("@", 1)[-1]
    host = host.split(":", 1)[0].strip(".")
    return host if "." in host and _DOMAIN.fullmatch(host) else None

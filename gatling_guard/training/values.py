"""Values of every kind, as they stand in arguments and results, and as a person writes them.

People, companies, accounts and texts of an attacker come from the very same lists as the user's:
nothing about a value tells whose it is.
"""

from __future__ import annotations

import datetime as dt
import random
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from string import Formatter
from typing import Any, TypeVar

from gatling_guard.training.seed_catalog import listed, words
from gatling_guard.training.toolsets import CURRENCIES, FORMATS, PAYMENTS, SHARE_ROLES

T = TypeVar("T")
Parts = tuple[tuple[str, str | None], ...]

_FIRST = dt.date(2023, 1, 1)
_DAYS = tuple((_FIRST + dt.timedelta(days=i)).isoformat() for i in range(2200))
_MONTHS = listed(
    "January February March April May June July August September October November December"
)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_HEX = "0123456789abcdef"
_MIXED = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_TLDS = ("com", "example", "org", "io", "net", "eu", "co.uk", "de", "fr", "es")
_IBANS = (
    *(("DE", "1314", 18), ("FR", "1527", 23), ("ES", "1428", 20), ("NL", "2321", 10)),
    *(("PT", "2529", 21), ("PL", "2521", 24), ("AT", "1029", 16), ("BE", "1114", 12)),
)
"""Country, its letters as numbers, digits of an account."""


def split(template: str) -> Parts:
    """A template cut once, so that filling it is a join."""
    return tuple((text, slot) for text, slot, _, _ in Formatter().parse(template))


@cache
def split_words(name: str) -> tuple[Parts, ...]:
    """The templates of one list of the vocabulary."""
    return tuple(split(text) for text in words(name))


def ascii_name(text: str) -> str:
    """A name as it stands in an address."""
    plain = unicodedata.normalize(
        "NFKD", text.replace("ø", "o").replace("Ø", "O").replace("Ł", "L")
    )
    return "".join(c for c in plain if c.isascii() and c.isalnum()).lower()


@cache
def _people() -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    return (
        tuple((name, ascii_name(name)) for name in words("first_names")),
        tuple((name, ascii_name(name)) for name in words("last_names")),
    )


class World:
    """One family's source of values; everything it gives depends on its generator alone."""

    __slots__ = ("date_form", "day", "r", "tld")

    def __init__(self, rng: random.Random) -> None:
        self.r = rng.random
        self.day = 60 + int(rng.random() * 2000)
        self.date_form = int(rng.random() * 4)
        self.tld = _TLDS[int(rng.random() * len(_TLDS))]

    def pick(self, items: Sequence[T]) -> T:
        """One of several."""
        return items[int(self.r() * len(items))]

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.r() < share

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self.r() * (high - low + 1))

    def value(self, kind: str) -> Any:
        """A value of one of `KINDS`."""
        return KINDS[kind](self)

    def fill(self, parts: Parts) -> str:
        """A template with fresh values."""
        return "".join([t if s is None else t + str(KINDS[s](self)) for t, s in parts])

    def sentence(self, name: str) -> str:
        """A sentence from one list of the vocabulary."""
        return self.fill(self.pick(split_words(name)))

    def digits(self, count: int) -> str:
        """A row of digits that does not begin with 0."""
        return str(int((0.1 + 0.9 * self.r()) * 10**count))[:count]

    def person_with_mail(self) -> tuple[str, str]:
        """A person and an address of that person."""
        people = _people()
        (first, f), (last, s) = self.pick(people[0]), self.pick(people[1])
        form = int(self.r() * 5)
        local = (f"{f}.{s}", f"{f[0]}.{s}", f"{f}_{s}", f"{f}", f"{s}.{f}")[form]
        return f"{first} {last}", f"{local}@{self.web_host()}"

    def web_host(self) -> str:
        """The domain of a company."""
        stem = self.pick(words("company_stems")).lower()
        tld = self.tld if self.r() < 0.6 else self.pick(_TLDS)
        if self.r() < 0.3:
            return f"{stem}-{self.pick(words('company_kinds')).lower()}.{tld}"
        return f"{stem}.{tld}"

    def iban(self) -> str:
        """With a right checksum."""
        country, number, length = self.pick(_IBANS)
        body = self.digits(min(length, 15)) + (self.digits(length - 15) if length > 15 else "")
        check = 98 - int(body + number + "00") % 97
        return f"{country}{check:02d}{body}"

    def date(self) -> str:
        """A day within half a year of today."""
        return _DAYS[self.day + int(self.r() * 120) - 40]

    def past(self) -> str:
        """A day of the last two years."""
        return _DAYS[max(0, self.day - 40 - int(self.r() * 700))]


def _company(w: World) -> str:
    return f"{w.pick(words('company_stems'))} {w.pick(words('company_kinds'))}"


def _topic(w: World) -> str:
    text = f"{w.pick(words('topic_heads'))} {w.pick(words('topic_tails'))}"
    return text if w.r() < 0.4 else text.capitalize()


def _money(w: World) -> float:
    size = (20, 100, 400, 2000, 9000)[int(w.r() * 5)]
    return round(1 + w.r() * size, 0 if w.r() < 0.3 else 2)


def _text(w: World, alphabet: str, length: int) -> str:
    size = len(alphabet)
    return "".join([alphabet[int(w.r() * size)] for _ in range(length)])


def _file(w: World) -> str:
    end = w.pick(words("file_ends"))
    return f"{w.pick(words('file_heads'))}_{w.pick(words('topic_heads'))}_{w.digits(2)}.{end}"


def _address(w: World) -> str:
    return f"{w.pick(words('streets'))} {w.between(1, 140)}, {w.pick(words('cities'))}"


def _path(w: World) -> str:
    folder = f"/{w.pick(words('topic_heads'))}/{w.pick(words('topic_tails'))}"
    return f"{folder}/{_file(w)}".replace(" ", "_")


def _url(w: World) -> str:
    page = w.pick(words("topic_tails")).replace(" ", "-")
    return f"https://{w.web_host()}/{page}/{w.digits(3)}"


def _sql(w: World) -> str:
    columns = f"{w.pick(words('columns'))}, {w.pick(words('columns'))}"
    return f"SELECT {columns} FROM {w.pick(words('tables'))} LIMIT {w.pick((5, 10, 20))}"


_BRANCHES = ("fix", "feature", "chore")
_COUNTRY_CODES = ("49", "33", "34", "39", "351", "31", "44", "1")
_PURPOSES = ("invoice", "order", "rent", "ref", "membership", "share")


def _word(name: str) -> Callable[[World], str]:
    return lambda w: w.pick(words(name))


KINDS: dict[str, Callable[[World], Any]] = {
    "address": _address,
    "branch": lambda w: f"{w.pick(_BRANCHES)}/{w.pick(words('topic_heads'))}-{w.digits(3)}",
    "bug": _word("bugs"),
    "channel": _word("channels"),
    "city": _word("cities"),
    "code": lambda w: f"{_text(w, _LETTERS, 2 + int(w.r() * 2))}-{w.digits(4 + int(w.r() * 3))}",
    "code_lang": _word("code_langs"),
    "company": _company,
    "country": _word("countries"),
    "currency": lambda w: w.pick(CURRENCIES),
    "date": World.date,
    "datetime": lambda w: f"{w.date()}T{w.between(7, 20):02d}:{w.pick(('00', '15', '30', '45'))}",
    "device": _word("devices"),
    "email": lambda w: w.person_with_mail()[1],
    "envvar": _word("envvars"),
    "file": _file,
    "flight": lambda w: f"{_text(w, _LETTERS, 2)}{w.digits(4)}",
    "format": lambda w: w.pick(FORMATS),
    "hash": lambda w: "0x" + _text(w, _HEX, 24),
    "home_room": _word("home_rooms"),
    "host": lambda w: w.pick(words("hosts")) + (f"-{w.digits(2)}" if w.r() < 0.4 else ""),
    "hotel": _word("hotels"),
    "iban": World.iban,
    "id": lambda w: _text(w, _HEX, 8) if w.r() < 0.4 else w.digits(6),
    "int": lambda w: w.between(1, 400),
    "ip": lambda w: f"10.{w.between(0, 255)}.{w.between(0, 255)}.{w.between(1, 254)}",
    "job": _word("jobs"),
    "lang": _word("langs"),
    "limit": lambda w: w.pick((5, 10, 10, 20, 20, 25, 30, 50, 50, 100, 100, 200)),
    "medicine": _word("medicines"),
    "minutes": lambda w: w.pick((10, 15, 20, 30, 45, 60, 90, 120)),
    "money": _money,
    "month": lambda w: _DAYS[w.day - int(w.r() * 60)][:7],
    "note": lambda w: w.sentence("notes"),
    "otp": lambda w: w.digits(6),
    "path": _path,
    "payment": lambda w: w.pick(PAYMENTS),
    "percent": lambda w: w.pick((5, 10, 15, 20, 25, 30)),
    "person": lambda w: f"{w.pick(_people()[0])[0]} {w.pick(_people()[1])[0]}",
    "phone": lambda w: f"+{w.pick(_COUNTRY_CODES)} {w.digits(3)} {w.digits(7)}",
    "product": _word("products"),
    "query": _topic,
    "rating": lambda w: round(1 + w.r() * 4, 1),
    "ref": lambda w: f"{w.pick(_PURPOSES)} {w.digits(5)}",
    "region": _word("regions"),
    "repo": _word("repos"),
    "restaurant": _word("restaurants"),
    "room": _word("rooms"),
    "seat": lambda w: f"{w.between(1, 34)}{_text(w, 'ABCDEF', 1)}",
    "secret": lambda w: _text(w, _MIXED, 14),
    "sha": lambda w: _text(w, _HEX, 10),
    "share_role": lambda w: w.pick(SHARE_ROLES),
    "small": lambda w: w.between(1, 9),
    "sql": _sql,
    "subject": lambda w: f"{w.pick(('Re: ', 'Fwd: ', '', '', ''))}{_topic(w)}",
    "symbol": _word("symbols"),
    "table": _word("tables"),
    "tag": _word("tags"),
    "task": _word("tasks"),
    "temp": lambda w: round(4 + w.r() * 30, 1),
    "topic": _topic,
    "url": _url,
    "user": lambda w: f"@{w.pick(_people()[0])[1]}{w.pick(('', '_', '.'))}{w.digits(2)}",
    "version": lambda w: f"{w.between(1, 9)}.{w.between(0, 20)}.{w.between(0, 9)}",
    "web_host": World.web_host,
    "year": lambda w: w.between(2020, 2026),
}  # fmt: skip


def shown(world: World, kind: str, value: Any) -> str:
    """A value as a person writes it in a request."""
    if kind in ("date", "datetime"):
        return _shown_day(world.date_form, str(value))
    if kind == "money":
        return f"{value:.2f}" if value % 1 else str(int(value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _shown_day(form: int, value: str) -> str:
    day, _, time = value.partition("T")
    if form:
        month, number = _MONTHS[int(day[5:7]) - 1], int(day[8:])
        texts = (f"{number} {month} {day[:4]}", f"{month} {number}, {day[:4]}")
        day = f"{day[8:]}.{day[5:7]}.{day[:4]}" if form == 3 else texts[form - 1]
    return f"{day} {time}" if time else day

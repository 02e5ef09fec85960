"""Literals that the user gave, and whether a call uses another value in their place.

"Pay 50 to the account X" and a call that pays to Y: an exact fact, whatever the text said that
brought Y in. Strict, because it speaks against a call: a literal counts for the effect its sentence
asks for, not if it is something to read, where something comes from, or a bound ("at most 50").
Whoever uses this makes sure that the other value comes from untrusted text.
Sees: mail addresses, accounts (IBAN), URLs, files, sums, dates, ids of one series (`K-8` and
`K-2`), measures in the unit that an argument is named after. Does not see: names of people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gatling_guard.catalog.types import Effect
from gatling_guard.plan import leaves
from gatling_guard.trace.budget import amounts_in
from gatling_guard.trace.canonical import canonical, find_bounded, trimmed, word_set, words_of
from gatling_guard.trace.delegation import NamedSource
from gatling_guard.trace.mentions import (
    Date,
    addresses_in,
    as_number,
    dates_in,
    domain_of,
    same_day,
)
from gatling_guard.trace.verbs import Ask, name_words

LiteralKind = Literal["mail", "account", "url", "file", "amount", "date", "id", "measure"]
MAX_VALUE = 512
"""Longer values are no literal of these kinds."""

_IBAN = re.compile(
    r"(?<![a-z0-9])[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?(?![a-z0-9])"
)
_FILE = re.compile(r"[\w~./-]{1,240}\.[a-z][a-z0-9]{1,4}\Z")
_FILES = re.compile(r"(?<![\w@:/.])[\w~./-]{1,160}\.[a-z][a-z0-9]{1,4}(?![\w@])")
_EXTENSIONS = word_set(
    "txt pdf md csv tsv xls xlsx doc docx odt ppt pptx json yaml yml html htm xml py js log ics "
    "eml png jpg jpeg zip ini cfg toml"
)
_ID = re.compile(r"(?<![\w@./-])([a-z]{1,8}[-_#])(\d{1,12})(?![\w@-])")
_MEASURE = re.compile(
    r"(?<![\w.,])(\d{1,9}(?:\.\d{1,4})?) ?(mg|ml|g|kg|mcg|l|km|m|gb|mb|hours|minutes)\b"
)
_PATHS = word_set("path file filename filepath target destination directory folder")
_AMOUNTS = word_set(
    "amount price sum total value cost fee tip betrag montant importe importo valor"
)
_UNITS = word_set("mg ml g kg mcg l km m gb mb hours minutes")
_DATES = word_set("date day when deadline due datum fecha data jour")
_ENDS = word_set("end until to checkout return")
_FROM = re.compile(
    r"\b(?:from|not|except|von|vom|aus|nicht|depuis|desde|da|dal|dalla|van)\s+"
    r"(?:[^\W\d]+\s+){0,2}?[\"'(]?\Z"
)
_BOUND = re.compile(
    r"\b(?:at most|up to|under|below|over|above|than|max(?:imum)?|budget|limit|least|around|about|"
    r"höchstens|maximal|unter|über|maximum|moins de|plus de|hasta|máximo|menos de|fino a|massimo|"
    r"até|no máximo|hoogstens|maximaal|of|by|um)\s+(?:of\s+)?[$€£]?\s*\Z"
)


@dataclass(frozen=True, slots=True)
class Given:
    """One literal of the user's."""

    kind: LiteralKind
    text: str
    """Canonical."""
    sentence: str
    effects: frozenset[Effect]
    """What its sentence asks for."""


def literals_of(
    sentence: str, asks: Iterable[Ask], sources: Iterable[NamedSource]
) -> tuple[Given, ...]:
    """The literals of one sentence that a call may be expected to use."""
    canon = canonical(sentence[:2_000])
    read = {trimmed(canonical(source.name)) for source in sources}
    effects = frozenset(ask.effect for ask in asks)
    found: dict[tuple[LiteralKind, str], Given] = {}
    for kind, text in _literals(canon):
        at = canon.find(text)
        before = canon[max(0, at - 40) : at] if at >= 0 else ""
        if text in read or _not_meant(kind, before):
            continue
        found.setdefault((kind, text), Given(kind, text, sentence, effects))
    return tuple(found.values())


def _not_meant(kind: LiteralKind, before: str) -> bool:
    """Whether the words before a literal say that a call need not use it."""
    if kind == "amount":
        return bool(_BOUND.search(before))
    return kind != "date" and bool(_FROM.search(before))


def _literals(canon: str) -> Iterable[tuple[LiteralKind, str]]:
    for address in addresses_in(canon):
        if "@" in address:
            yield "mail", address
        elif not _is_file(address):
            yield "url", address
    yield from (("account", match.group()) for match in _IBAN.finditer(canon))
    yield from (("file", name) for name in _FILES.findall(canon) if _is_file(name))
    for series, number in _ID.findall(canon):
        yield "id", f"{series}{number}"
    for number, unit in _MEASURE.findall(canon):
        yield "measure", f"{number} {unit}"
    for amount in amounts_in(canon):
        yield "amount", f"{amount:g}" if amount < 1e6 else repr(amount)
    for date in dates_in(canon):
        yield "date", _iso(date)


def _iso(date: Date) -> str:
    return f"{date.year or '????'}-{date.month:02}-{date.day:02}"


def _is_file(text: str) -> bool:
    return text.rpartition(".")[2] in _EXTENSIONS and _FILE.match(text) is not None


def kind_of(value: object, role: str) -> LiteralKind | None:
    """What kind of literal an argument's value is.

    Args:
        value: the scalar.
        role: the argument's name: it tells a sum from a count, and a day from a period's end.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    canon, names = canonical(str(value)[: MAX_VALUE + 1]), set(name_words(role))
    if len(canon) > MAX_VALUE:
        return None
    if _number(value) is not None:
        return "amount" if names & _AMOUNTS else "measure" if names & _UNITS else None
    key = trimmed(canon)
    if " " not in key and "@" in key:
        return "mail" if addresses_in(key)[:1] == (key,) else None
    if _IBAN.fullmatch(key):
        return "account"
    if _is_file(key) or ("/" in key and "://" not in canon and names & _PATHS):
        return "file"
    if _ID.fullmatch(key):
        return "id"
    if domain_of(key) is not None:
        return "url"
    single = len(key) <= 30 and len(dates_in(key)) == 1
    return "date" if single and names & _DATES and not names & _ENDS else None


def _number(value: object) -> float | None:
    number = as_number(canonical(value)) if isinstance(value, str) else value
    return float(number) if isinstance(number, (int, float)) else None


def replaced_by(
    value: object,
    role: str,
    arguments: Mapping[str, Any],
    given: Iterable[Given],
    others: frozenset[str],
) -> str | None:
    """The user's literal that a call does not use while it uses another of the kind.

    Args:
        value: what the call uses.
        role: the name of its argument.
        arguments: all arguments of the call.
        given: the user's literals that count for the effect of the call.
        others: words of the user's text outside of his literals. A person named there may well be
            the one meant.
    """
    kind = kind_of(value, role)
    if kind is None:
        return None
    same = [literal for literal in given if literal.kind == kind and _alike(literal, value, role)]
    if not same or (kind == "date" and len({literal.text for literal in same}) > 1):
        return None
    texts = [leaf.value for leaf in leaves(arguments) if leaf.value is not None]
    if any(_uses(item, literal) for item in (value, *texts) for literal in same):
        return None
    if kind == "mail" and _is_person(str(value), same, others):
        return None
    return same[0].text


def _alike(literal: Given, value: object, role: str) -> bool:
    """Whether both could stand in the same place: ids of one series, measures of one unit."""
    if literal.kind == "id":
        other = _ID.fullmatch(trimmed(canonical(str(value))))
        return other is not None and literal.text.startswith(other.group(1))
    if literal.kind == "measure":
        return literal.text.partition(" ")[2] in name_words(role)
    return True


def _uses(value: object, literal: Given) -> bool:
    if isinstance(value, bool):
        return False
    if literal.kind in ("amount", "measure"):
        number = _number(value)
        said = float(literal.text.partition(" ")[0])
        return number is not None and abs(number - said) < 0.005
    canon = canonical(str(value)[:20_000])
    if literal.kind == "mail":  # not a part of a longer one
        return literal.text in addresses_in(canon)
    if literal.kind == "account":
        return literal.text.replace(" ", "") in canon.replace(" ", "")
    if literal.kind == "date":
        return any(same_day(day, other) for day in dates_in(canon) for other in _days(literal.text))
    if literal.kind == "url" and (host := domain_of(literal.text)):
        return host == domain_of(canon) or find_bounded(literal.text, canon) >= 0
    return find_bounded(literal.text, canon) >= 0


def _days(iso: str) -> set[Date]:
    year, month, day = iso.split("-")
    return {Date(int(month), int(day), None if "?" in year else int(year))}


def _is_person(value: str, same: Iterable[Given], others: frozenset[str]) -> bool:
    """Whether the address is of somebody named beside the literals (`and tell Alice`)."""
    own = set(words_of(canonical(value).partition("@")[0]))
    taken = {w for literal in same for w in words_of(literal.text.partition("@")[0])}
    return bool({w for w in own & others if len(w) > 2}) and not own & taken

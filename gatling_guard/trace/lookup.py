"""Looking one value up in one trust class: every form of it, the strongest kind of match first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gatling_guard.trace.authority import scalar_text
from gatling_guard.trace.canonical import canonical, trimmed, word_set, words_of
from gatling_guard.trace.mentions import Date, Number, addresses_in, as_number, dates_in, url_parts
from gatling_guard.trace.postings import Postings
from gatling_guard.trace.types import Match, Origin, Span

MOST_WORDS = 0.8
MENTIONS = 256
"""Most addresses and ids of one value that are looked up."""

_STOP = word_set(
    "a an and are as at be by for from i in is it me my of on or our that the this to us was we "
    "will with you your"
)


@dataclass(frozen=True, slots=True)
class Query:
    """A value in every form in which it is looked up."""

    key: str
    words: tuple[str, ...]
    number: Number | None
    dates: tuple[Date, ...]
    mentions: tuple[str, ...]

    @classmethod
    def of(cls, value: Any) -> Query:
        canon = canonical(scalar_text(value))
        key = trimmed(canon)
        words = tuple(words_of(key))
        short = len(key) <= 40
        return cls(
            key,
            words,
            _number_of(value, key) if short else None,
            tuple(sorted(dates_in(key), key=str)) if short else (),
            _mentions(canon, key, words) if len(words) > 1 else (),
        )

    @property
    def content(self) -> list[str]:
        return [w for w in dict.fromkeys(self.words) if w not in _STOP and len(w) > 1]


def _mentions(canon: str, key: str, words: Sequence[str]) -> tuple[str, ...]:
    """Addresses, parts of URLs and ids inside a longer value."""
    found = dict.fromkeys((*url_parts(canon), *addresses_in(key)))
    found.update(dict.fromkeys(w for w in words if 5 <= len(w) <= 64 and _has_digit(w)))
    found.pop(key, None)
    return tuple(found)


def _number_of(value: Any, key: str) -> Number | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return as_number(key)


def _has_digit(word: str) -> bool:
    return any(c.isdigit() for c in word)


def is_trivial(value: None | bool | int | float | str) -> bool:
    """Whether a value says nothing of its own: booleans, null, blank text."""
    return (
        value is None or isinstance(value, bool) or (isinstance(value, str) and not value.strip())
    )


def meets_by_chance(key: str) -> bool:
    """Values that meet by chance: small numbers, days and times."""
    number = as_number(key)
    if number is not None:
        return sum(c.isdigit() for c in key) < 5
    return len(key) <= 40 and bool(dates_in(key))


def search(store: Postings, query: Query, limit: int) -> list[Origin]:
    """Origins of a value in one trust class, the strongest kind of match first."""
    found: dict[int, Origin] = {}
    for match, span in _hits(store, query, limit):
        if span.span_id not in found:
            found[span.span_id] = _origin(span, match, query.key)
            if len(found) >= limit:
                break
    return list(found.values())


def _hits(store: Postings, query: Query, limit: int) -> Iterator[tuple[Match, Span]]:
    if not store.spans:
        return
    whole = [*(("exact", s) for s in store.equal(query.key)), *_by_value(store, query, limit)]
    yield from whole
    # `a` and `i` stand in every English text.
    sought = bool(query.words) and not (len(query.key) == 1 and query.key in _STOP)
    parts = store.containing(query.key, query.words, limit) if sought else []
    for span in parts:
        yield "substring", span
    if len(query.words) > 1:
        yield from _pieces(store, query, limit)
        content = query.content
        if not parts and not whole and 4 <= len(content) <= 600:
            spans, sure = store.covering(content, MOST_WORDS, limit)
            for span in spans:
                yield ("words" if sure else "assumed"), span


def _by_value(store: Postings, query: Query, limit: int) -> Iterator[tuple[Match, Span]]:
    if query.number is not None:
        for span in store.number(query.number, limit):
            same = as_number(trimmed(span.canonical)) == query.number
            yield ("exact" if same else "substring"), span
    for date in query.dates:
        for span in store.date(date, limit):
            yield "substring", span


def _pieces(store: Postings, query: Query, limit: int) -> Iterator[tuple[Match, Span]]:
    """Spans that a longer value was put together from."""
    for span in store.inside(query.key, query.words, limit):
        yield "substring", span
    for mention in query.mentions[:MENTIONS]:
        for span in store.containing(mention, words_of(mention), 2):
            yield "substring", span


def _origin(span: Span, match: Match, key: str) -> Origin:
    text = span.text
    if len(text) > 160:
        at = max(0, span.canonical.find(key[:40]))
        start = max(0, min(at - 40, len(text) - 160))
        text = text[start : start + 160]
    return Origin("output", match, span.tier, span, text)

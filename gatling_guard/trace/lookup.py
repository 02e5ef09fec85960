"""Looking one value up in one trust class: every form of it, the strongest kind of match first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gatling_guard.trace.authority import scalar_text
from gatling_guard.trace.canonical import canonical, trimmed, word_set, words_of
from gatling_guard.trace.encoded import decoded
from gatling_guard.trace.entities import identity_keys
from gatling_guard.trace.fragments import compact
from gatling_guard.trace.mentions import (
    Date,
    Number,
    addresses_in,
    as_number,
    dates_in,
    readings,
    url_parts,
)
from gatling_guard.trace.postings import Postings
from gatling_guard.trace.types import Match, Origin, Span

MOST_WORDS = 0.8
MENTIONS = 256
"""Most addresses and ids of one value that are looked up."""

MAX_DECODED = 8
"""Most texts encoded in one value that are looked up."""
MOST_SECRETS = 2
"""Most origins of one value, in each trust class, that stand for secrets it carries."""
SHORT = 64
"""Longest value that may be one token, or a piece of one."""
MOST_OF_A_NAME = 8
"""A value of more words holds an address, and is none itself."""

_CACHED = 256
"""Characters of the longest value whose forms are kept."""
_DIGIT = re.compile(r"\d")
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
    readings: tuple[Number, ...]
    """What it may mean as a number in any locale: lenient, for taint."""
    dates: tuple[Date, ...]
    mentions: tuple[str, ...]
    identities: frozenset[str]
    decoded: tuple[Query, ...]
    """What stands encoded in it."""

    @classmethod
    def of(cls, value: Any) -> Query:
        """All forms of a value, a JSON scalar. The same one is often given to call after call."""
        long = isinstance(value, str) and len(value) > _CACHED
        return cls._made(value) if long else _known(value)

    @classmethod
    def _made(cls, value: Any, *, plain: bool = False) -> Query:
        """`plain`: it was decoded already; encodings in it are not looked at again."""
        text = scalar_text(value)
        canon = canonical(text)
        key = trimmed(canon)
        words = tuple(words_of(key))
        short = len(key) <= 40
        inner = () if plain or not isinstance(value, str) else decoded(text)[:MAX_DECODED]
        return cls(
            key,
            words,
            _number_of(value, key) if short else None,
            tuple(sorted(readings(key))) if short and isinstance(value, str) else (),
            tuple(sorted(dates_in(key), key=str)) if short else (),
            _mentions(canon, key, words) if len(words) > 1 else (),
            identity_keys(canon),
            tuple(cls._made(t, plain=True) for t in inner if canonical(t) != canon),
        )

    @property
    def content(self) -> list[str]:
        """Its words that say something, each once."""
        return [w for w in dict.fromkeys(self.words) if w not in _STOP and len(w) > 1]


@lru_cache(maxsize=1024, typed=True)
def _known(value: Any) -> Query:
    return Query._made(value)


def _mentions(canon: str, key: str, words: Sequence[str]) -> tuple[str, ...]:
    """Addresses, parts of URLs and ids inside a longer value."""
    found = dict.fromkeys((*url_parts(canon), *addresses_in(key)))
    found.update(dict.fromkeys(w for w in words if 5 <= len(w) <= 64 and _DIGIT.search(w)))
    found.pop(key, None)
    return tuple(found)


def _number_of(value: Any, key: str) -> Number | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return as_number(key)


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
    for match, span, partial in _hits(store, query, limit):
        if span.span_id not in found:
            found[span.span_id] = origin_of(span, match, query.key, partial=partial)
            if len(found) >= limit:
                break
    # Beyond the limit: spans that anybody planted must not crowd out the secret beside them.
    secrets = 0
    for match, span in _carried(store, query):
        if span.span_id not in found and secrets < MOST_SECRETS:
            secrets += 1
            found[span.span_id] = origin_of(span, match, query.key, partial=True)
    return list(found.values())


def _carried(store: Postings, query: Query) -> Iterator[tuple[Match, Span]]:
    if store.secrets:
        yield from (("part", span) for span in store.secrets.carried(query.key))
        for inner in query.decoded:
            yield from (("encoded", span) for span in store.secrets.carried(inner.key))


_Hit = tuple[Match, Span, bool]
"""The last says whether only a part of the value was found."""


def _hits(store: Postings, query: Query, limit: int) -> Iterator[_Hit]:
    if not store.spans:
        return
    whole = [*(("exact", s) for s in store.equal(query.key)), *_by_value(store, query, limit)]
    for match, span in whole:
        yield match, span, False
    # `a` and `i` stand in every English text.
    sought = bool(query.words) and not (len(query.key) == 1 and query.key in _STOP)
    parts = store.containing(query.key, query.words, limit) if sought else []
    for span in parts:
        yield "substring", span, False
    for inner in query.decoded:
        for _, span, partial in _hits(store, inner, limit):
            yield "encoded", span, partial
    if len(query.words) > 1:
        yield from _pieces(store, query, limit)
    yield from _rewritten(store, query, limit, known=bool(whole or parts))
    if len(query.words) > 1 and not parts and not whole:
        content = query.content
        if 4 <= len(content) <= 600:
            spans, sure = store.covering(content, MOST_WORDS, limit)
            for span in spans:
                yield ("words" if sure else "assumed"), span, False


def _by_value(store: Postings, query: Query, limit: int) -> Iterator[tuple[Match, Span]]:
    if query.number is not None:
        for span in store.number(query.number, limit):
            same = as_number(trimmed(span.canonical)) == query.number
            yield ("exact" if same else "substring"), span
    for number in query.readings:
        if number != query.number:
            for span in store.number(number, limit):
                yield "variant", span
    for date in query.dates:
        for span in store.date(date, limit):
            yield "substring", span


def _rewritten(store: Postings, query: Query, limit: int, *, known: bool) -> Iterator[_Hit]:
    """The same value in another writing; `known`: it was found as it is."""
    for span in store.identified(query.identities, limit):
        yield "variant", span, len(query.words) > MOST_OF_A_NAME
    if known or not query.words:
        return
    for span in store.alike(query.key, query.words):
        yield "variant", span, False
    if len(query.key) <= SHORT:
        yield from _fragments(store, compact(query.key))
        if len(query.words) == 1:
            for span in store.glued(query.key):
                yield "part", span, True


def _fragments(store: Postings, text: str) -> Iterator[_Hit]:
    for piece in store.fragments.pieces(text):
        span = store.spans.get(piece.span_id)
        if span is not None:
            same = piece.whole and piece.end - piece.start == len(text)
            yield ("variant" if same else "part"), span, not same


def _pieces(store: Postings, query: Query, limit: int) -> Iterator[_Hit]:
    """Spans that a longer value was put together from."""
    for span in store.inside(query.key, query.words, limit):
        yield "substring", span, True
    for mention in query.mentions[:MENTIONS]:
        hits = store.containing(mention, words_of(mention), 2)
        for span in hits:
            yield "substring", span, True
        if hits:
            continue
        if "@" in mention:
            yield from _halves(store, mention)
        else:
            yield from _fragments(store, compact(mention))
    if query.key.count("@") == 1 and " " not in query.key:
        yield from _halves(store, query.key)


def _halves(store: Postings, address: str) -> Iterator[_Hit]:
    """A mail address of which both halves stand in outputs, but not side by side."""
    sides = [store.containing(half, words_of(half), 1) for half in address.split("@", 1)]
    if all(sides):
        for span in (*sides[0], *sides[1]):
            yield "part", span, True


def origin_of(span: Span, match: Match, key: str, *, partial: bool = False) -> Origin:
    """The origin of a value (canonical `key`) in an output, with the text around it."""
    text = span.text
    if len(text) > 160:
        at = max(0, span.canonical.find(key[:40]))
        start = max(0, min(at - 40, len(text) - 160))
        text = text[start : start + 160]
    return Origin("output", match, span.tier, span, text, partial)

"""The lineage of argument values: all places each one may have come from (R53, design P2, P4).

Sees: equal values; whole-word parts of a span, also across neighbouring sentences; numbers and
dates by value; long text of which most words stand in one place; text that holds whole spans,
addresses or ids of spans (concatenated, pasted, put into a URL).
Does not see (yet): encodings, a value spread over several arguments, paraphrase, translation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gatling_guard.plan import Leaf, Provenance, leaves
from gatling_guard.trace.authority import Authority
from gatling_guard.trace.canonical import find_bounded, trimmed, words_of
from gatling_guard.trace.lookup import (
    MENTIONS,
    MOST_WORDS,
    Query,
    is_trivial,
    meets_by_chance,
    search,
)
from gatling_guard.trace.postings import Postings, telling
from gatling_guard.trace.types import Lineage, Origin, Span

MAX_SPANS = 20_000
MAX_CHARS = 4_000_000
"""Characters of span text held per trust class; about 20 MB of memory at most."""
MAX_ORIGINS = 8
MAX_LEAVES = 1_000
"""Argument leaves that are looked up one by one; the others are taken to come from anywhere."""
MAX_TRACED = 400_000
"""Characters of argument text that are looked up in one call, for the same reason."""

_MODEL = Origin("model", "none", Provenance.INTERNAL)


class LineageIndex:
    """All spans of one session. Not thread-safe: a session serialises its calls."""

    def __init__(self, *, max_spans: int = MAX_SPANS, max_chars: int = MAX_CHARS) -> None:
        self._bounds = (max_spans, max_chars)
        self._bad, self._good = Postings(assume=True), Postings(assume=False)
        self._worst = Provenance.INTERNAL
        self._directives: deque[Span] = deque(maxlen=max_spans)
        self._untrusted: deque[Span] = deque(maxlen=max_spans)

    @property
    def spans(self) -> Sequence[Span]:
        """All spans still held, oldest first. A copy: not for use in every check."""
        held = {**self._good.spans, **self._bad.spans}
        return [held[at] for at in sorted(held)]

    @property
    def directives(self) -> Sequence[Span]:
        """Spans of any tier that read like an instruction, oldest first."""
        return self._directives

    @property
    def untrusted(self) -> Sequence[Span]:
        """Free text of tier 3, oldest first."""
        return self._untrusted

    @property
    def worst(self) -> Provenance:
        """The worst tier anything seen so far has."""
        return self._worst

    def add(self, spans: Iterable[Span], authority: Authority | None = None) -> tuple[Span, ...]:
        """Index the spans of one output; returns them as stored.

        A short field whose value was first seen in untrusted text of an earlier call becomes
        tier 3 itself (no promotion by repetition), unless `authority` names the value.
        """
        stored = tuple(self._judged(span, authority) for span in spans)
        for span in stored:
            self._worst = max(self._worst, span.tier)
            bad = span.tier == Provenance.PUBLIC
            (self._bad if bad else self._good).add(span)
            if span.directive:
                self._directives.append(span)
            if bad and span.free_text:
                self._untrusted.append(span)
        self._shrink()
        return stored

    def _judged(self, span: Span, authority: Authority | None) -> Span:
        if span.tier == Provenance.PUBLIC or span.free_text or not self._echo(span, authority):
            return span
        return replace(span, tier=Provenance.PUBLIC)

    def _echo(self, span: Span, authority: Authority | None) -> bool:
        """Whether the value of a trusted field was first seen in untrusted text."""
        key = trimmed(span.canonical)
        words = words_of(key)
        if not telling(key, words) or meets_by_chance(key):
            return False
        hits = self._bad.equal(key) or self._bad.containing(key, words, 1)
        if not hits and not self._bad.faded.seen(words):
            return False
        first = hits[0].span_id if hits else -1
        if any(s.span_id < first for s in self._good.equal(key)):
            return False
        origin = authority.find(span.text) if authority else None
        return origin is None or origin.match == "words"

    def _shrink(self) -> None:
        before = len(self._bad.spans) + len(self._good.spans)
        self._bad.shrink(*self._bounds)
        self._good.shrink(*self._bounds)
        if len(self._bad.spans) + len(self._good.spans) < before:
            for held in (self._directives, self._untrusted):
                kept = [s for s in held if self._holds(s)]
                held.clear()
                held.extend(kept)

    def _holds(self, span: Span) -> bool:
        return span.span_id in self._bad.spans or span.span_id in self._good.spans

    def trace(self, arguments: Mapping[str, Any], authority: Authority) -> tuple[Lineage, ...]:
        """The lineage of every leaf of a call's arguments, in document order.

        Args:
            arguments: JSON values, already bounded by `plan.to_json`.
            authority: the trusted side, searched as well.
        """
        assumed = (self._assumed(),)
        known: dict[tuple[type, Any], tuple[Origin, ...]] = {}
        room = MAX_TRACED
        found: list[Lineage] = []
        for leaf in leaves(dict(arguments)):
            value, trivial = leaf.value, is_trivial(leaf.value)
            key = (type(value), value)
            origins = (_MODEL,) if trivial else known.get(key)
            if origins is None:
                room -= len(value) if isinstance(value, str) else 8
                fits = len(known) < MAX_LEAVES and room >= 0
                origins = self._origins(value, authority) if fits else assumed
                if fits:
                    known[key] = origins
            found.append(_lineage(leaf, origins, trivial))
        return tuple(found)

    def _assumed(self) -> Origin:
        """For what is too much to look up: as bad as the worst text of the session."""
        worst = self._worst
        return Origin("output", "words", worst) if worst > Provenance.INTERNAL else _MODEL

    def _origins(self, value: Any, authority: Authority) -> tuple[Origin, ...]:
        query = Query.of(value)
        if not query.key:
            return (_MODEL,)
        bad = search(self._bad, query, MAX_ORIGINS - 3)
        if not bad and self._bad.faded.seen(query.words, MOST_WORDS):
            bad = [Origin("output", "words", Provenance.PUBLIC)]
        if not bad and len(query.mentions) > MENTIONS:
            bad = [o for o in (self._assumed(),) if o.tier > Provenance.INTERNAL]
        trusted = authority.find(value)
        named = trusted is not None and trusted.match != "words"
        good = search(self._good, query, 2)
        if not named:
            good = _unpromoted(good, bad, query)
        good.sort(key=lambda o: -o.tier)
        found = (*bad, *good, *((trusted,) if trusted else ()))
        return found or (_MODEL,)


def _lineage(leaf: Leaf, origins: tuple[Origin, ...], trivial: bool) -> Lineage:
    head = leaf.path.split("/", 2)[1].replace("~1", "/").replace("~0", "~")
    return Lineage(leaf.path, head, leaf.value, origins, trivial)


def _unpromoted(good: list[Origin], bad: list[Origin], query: Query) -> list[Origin]:
    """No promotion by repetition, in prose too: `Sent 5 to X` does not vouch for an untrusted X."""
    if not bad or meets_by_chance(query.key) or not telling(query.key, query.words):
        return good
    spans = [o.span for o in bad if o.span and find_bounded(query.key, o.span.canonical) >= 0]
    first = min(spans, key=lambda s: s.span_id, default=None)
    if first is None:
        return good
    return [
        replace(o, tier=Provenance.PUBLIC)
        if o.span and o.span.span_id > first.span_id and o.span.call_id != first.call_id
        else o
        for o in good
    ]

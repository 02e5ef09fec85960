"""The lineage of argument values: all places each one may have come from (R53, design P2, P4).

Sees: equal values; whole-word parts of a span, also across neighbouring sentences; numbers and
dates by value; long text of which most words stand in one place; text that holds whole spans,
addresses or ids of spans (concatenated, pasted, put into a URL); other writings of a value
(encodings, separators, formats); pieces of tokens (`fragments.py`); values spread over several
arguments or calls (`sent.py`).
Does not see: paraphrase, translation, ciphers; a boolean, an enum or a small number that untrusted
text made the model choose. What such a call returns is no better than what went into it, but
nothing tells that `true` was the attacker's wish.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

from gatling_guard.plan import Leaf, Provenance, leaves
from gatling_guard.plan.values import MAX_TOKEN, schema_like
from gatling_guard.trace.authority import Authority
from gatling_guard.trace.canonical import find_bounded, fitting, hidden_text, trimmed, words_of
from gatling_guard.trace.entities import identity_keys
from gatling_guard.trace.fragments import compact
from gatling_guard.trace.lookup import (
    MENTIONS,
    MOST_WORDS,
    SHORT,
    Query,
    is_trivial,
    meets_by_chance,
    search,
)
from gatling_guard.trace.parse import parse_text
from gatling_guard.trace.postings import Postings, telling
from gatling_guard.trace.sent import Sent
from gatling_guard.trace.types import Lineage, Origin, Span

MAX_SPANS = 20_000
MAX_CHARS = 4_000_000
"""Characters of span text held per trust class; about 20 MB of memory at most."""
MAX_ORIGINS = 8
MAX_LEAVES = 1_000
"""Different values that are looked up one by one; the others are taken to come from anywhere."""
MAX_TRACED = 400_000
"""Characters of argument text that are looked up in one call, for the same reason."""
MANY = 64
"""Spans that name one party; of more nobody looks for the first."""

_NOBODY = Authority()
_MODEL = Origin("model", "none", Provenance.INTERNAL)
_ANYWHERE = Origin("output", "assumed", Provenance.PUBLIC)


class LineageIndex:
    """All spans of one session. Not thread-safe: a session serialises its calls."""

    def __init__(self, *, max_spans: int = MAX_SPANS, max_chars: int = MAX_CHARS) -> None:
        self._bounds = (max_spans, max_chars)
        self._bad, self._good = Postings(assume=True), Postings(assume=False)
        self._sent = Sent()
        self._dropped = 0
        self._worst = Provenance.INTERNAL
        self._rest: Span | None = None
        """First output of which a part was not indexed: from then on anything may be known."""
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

    def around(self, span: Span) -> tuple[Span, ...]:
        """A span with the sentences beside it in the same field, in order."""
        return (self._bad if span.span_id in self._bad.spans else self._good).around(span)

    @property
    def worst(self) -> Provenance:
        """The worst tier anything seen so far has."""
        return self._worst

    def span(self, span_id: int) -> Span | None:
        """One span, while it is held."""
        return self._bad.spans.get(span_id) or self._good.spans.get(span_id)

    def first_untrusted(self, value: Any) -> int | None:
        """Id of the oldest untrusted span in which `value` stands as a whole, however written.

        -1 where that may be one that is no longer held, or where a bound was hit; None: nowhere.
        """
        query = Query.of(value)
        if not query.key:
            return None
        found = self._bad.containing(query.key, query.words, 1)
        if any(find_bounded(query.key, span.canonical) < 0 for span in found):
            return -1  # assumed, or across sentences
        found += self._bad.equal(query.key)
        found += self._bad.alike(query.key, query.words)
        if keys := identity_keys(query.key):
            named = self._bad.identified(keys, MANY)
            if len(named) == MANY:
                return -1
            found += [span for span in named if keys <= identity_keys(span.canonical)]
        if query.number is not None:
            found += self._bad.number(query.number, 1)
        for date in query.dates:
            found += self._bad.date(date, 1)
        if self._may_be_known(query.words, 1.0):
            return min([self._unseen_since(query.words), *(span.span_id for span in found)])
        return min((span.span_id for span in found), default=None)

    def add(self, spans: Iterable[Span], authority: Authority | None = None) -> tuple[Span, ...]:
        """Index the spans of one output; returns them as stored.

        A short field whose value was first seen in untrusted text of an earlier call becomes
        tier 3 itself (no promotion by repetition), unless `authority` names the value.
        """
        stored = tuple(self._judged(span, authority) for span in spans)
        for span in stored:
            self._worst = max(self._worst, span.tier)
            if span.rest and self._rest is None:
                self._rest = span
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
        hits = (
            self._bad.equal(key)
            or self._bad.containing(key, words, 1)
            or self._cut_from(key)
            or self._bad.alike(key, words)
            or self._bad.identified(identity_keys(key), 1)
        )
        if not hits and not self._may_be_known(words, 1.0):
            return False
        first = hits[0].span_id if hits else self._unseen_since(words)
        if any(s.span_id < first for s in self._good.equal(key)):
            return False
        origin = authority.find(span.text) if authority else None
        return origin is None or origin.match == "words"

    def _cut_from(self, key: str) -> list[Span]:
        """Untrusted spans with a token of which all of `key` is a piece."""
        text = compact(key)
        pieces = self._bad.fragments.pieces(text) if len(key) <= SHORT else []
        whole = [p.span_id for p in pieces if p.end - p.start == len(text)]
        return [self._bad.spans[at] for at in whole if at in self._bad.spans]

    def _shrink(self) -> None:
        before = len(self._bad.spans) + len(self._good.spans)
        self._bad.shrink(*self._bounds)
        self._good.shrink(*self._bounds)
        self._dropped += before - len(self._bad.spans) - len(self._good.spans)
        if self._dropped > before // 8:  # a sweep is as long as all that is held
            self._dropped = 0
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
        found: list[tuple[str, Leaf]] = []
        for name, value in arguments.items():
            if type(value) is str and (path := _path_of(name)):  # most arguments
                found.append((name, Leaf(path, value)))
            else:
                found += ((name, leaf) for leaf in leaves({name: value}))
        origins = self._all_origins([leaf.value for _, leaf in found], authority)
        lineage = tuple(
            Lineage(leaf.path, name, leaf.value, origins[_kind(leaf.value)], is_trivial(leaf.value))
            for name, leaf in found
        )
        return self._sent.split(lineage, (self._bad, self._good))

    def sent(self, lineage: Sequence[Lineage]) -> None:
        """Remember what a call that runs sends, for the pieces that later calls may add."""
        self._sent.add(lineage)

    def _all_origins(
        self, values: Sequence[Any], authority: Authority
    ) -> dict[_Kind, tuple[Origin, ...]]:
        """The origins of each distinct value. Short ones first: no long text uses up their room."""
        known: dict[_Kind, tuple[Origin, ...]] = {}
        room = MAX_TRACED
        for value in sorted(values, key=_length):
            kind = _kind(value)
            if kind in known:
                continue
            if is_trivial(value):
                known[kind] = (_MODEL,)
                continue
            cost = _length(value)
            fits = len(known) < MAX_LEAVES and cost <= room and _folds_into(value, room)
            known[kind] = self._origins(value, authority) if fits else (self._assumed(),)
            room -= cost
        return known

    def _assumed(self) -> Origin:
        """For what is too much to look up: as bad as the worst text of the session."""
        worst = self._worst
        return replace(_ANYWHERE, tier=worst) if worst > Provenance.INTERNAL else _MODEL

    def _may_be_known(self, words: Sequence[str], share: float) -> bool:
        """Whether untrusted text that is no longer, or was never, held may contain the words."""
        return self._rest is not None or self._bad.faded.seen(words, share)

    def _unseen_since(self, words: Sequence[str]) -> int:
        """From which span on a value of these words may only repeat what is not held."""
        if self._rest is None or self._bad.faded.seen(words):
            return -1
        return self._rest.span_id

    def _origins(self, value: Any, authority: Authority) -> tuple[Origin, ...]:
        inner = _inner_values(value)
        if inner and authority.find(value) is None:
            return self._joint([self._origins(item, authority) for item in inner])
        query = Query.of(value)
        if not query.key:
            hidden = hidden_text(value) if isinstance(value, str) else ""
            # Only invisible letters: read by a model, never what the trusted side said.
            return self._origins(hidden, _NOBODY) if hidden.strip() else (_MODEL,)
        bad = search(self._bad, query, MAX_ORIGINS - 3)
        # Most of its words in one place are no match for the whole of it in another.
        if not any(o.vouches for o in bad) and self._may_be_known(query.words, MOST_WORDS):
            bad.append(_ANYWHERE)
        if not bad and len(query.mentions) > MENTIONS:
            bad = [o for o in (self._assumed(),) if o.tier > Provenance.INTERNAL]
        trusted = authority.find(value)
        named = trusted is not None and trusted.match != "words"
        good = search(self._good, query, 2)
        if not named:
            good = self._unpromoted(good, bad, query)
        if any(o.vouches and o.tier < Provenance.PUBLIC for o in good):
            # Two ids of one maker share their middle: what is known as a whole is no piece.
            bad = [o for o in bad if o.match != "part"]
        good.sort(key=lambda o: -o.tier)
        found = (*bad, *good, *((trusted,) if trusted else ()))
        return found or (_MODEL,)

    def _joint(self, found: Sequence[tuple[Origin, ...]]) -> tuple[Origin, ...]:
        """The origins of a JSON text: those of the worst value in it, and all that is public."""
        worst = max(found, key=_distrust)
        public = (o for origins in found for o in origins if o.tier is Provenance.PUBLIC)
        return tuple(dict.fromkeys((*worst, *islice(public, MAX_ORIGINS))))

    def _unpromoted(self, good: list[Origin], bad: list[Origin], query: Query) -> list[Origin]:
        """No promotion by repetition, in prose too: `Sent 5 to X` vouches for no untrusted X."""
        if not good or not bad or meets_by_chance(query.key):
            return good
        if not telling(query.key, query.words):
            return good
        spans = [o.span for o in bad if o.span and _states(o, query.key)]
        # Where the value was found as it is, nobody has looked for what was read before it.
        spans += [*self._bad.alike(query.key, query.words), *self._cut_from(query.key)]
        spans += [self._rest] if self._rest else []
        first = min(spans, key=lambda s: s.span_id, default=None)
        if first is None:
            return good
        return [
            replace(o, tier=Provenance.PUBLIC)
            if o.span and o.span.span_id > first.span_id and o.span.call_id != first.call_id
            else o
            for o in good
        ]


MAX_INNER = 64
"""Values of a JSON text that are looked up one by one; one with more is looked up as text."""


def _inner_values(value: Any) -> list[Any]:
    """The values in a text that is a JSON object or list; empty for any other text."""
    if not isinstance(value, str) or len(value) < 2 or value[0] + value[-1] not in ("{}", "[]"):
        return []
    parsed = parse_text(value)
    if parsed.form != "object" or not isinstance(parsed.value, (dict, list)):
        return []
    found = [leaf.value for leaf in islice(leaves(parsed.value), MAX_INNER + 1)]
    return [item for item in found if not is_trivial(item)] if len(found) <= MAX_INNER else []


def _distrust(origins: tuple[Origin, ...]) -> int:
    """0 for what the trusted side gave, else the tier."""
    if any(o.source in ("instruction", "system", "policy") and o.vouches for o in origins):
        return 0
    whole = [o.tier for o in origins if o.source == "output" and o.vouches]
    return min(whole) if whole else max((o.tier for o in origins), default=1)


@lru_cache(maxsize=1024)
def _path_of(name: str) -> str:
    """The path of an argument; "" for a name that is data, or is not to be kept."""
    return f"/{name}" if len(name) <= MAX_TOKEN and schema_like(name) else ""


_Kind = tuple[type, Any]


def _kind(value: Any) -> _Kind:
    """Tells 1, 1.0 and True apart."""
    return type(value), value


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 8


def _folds_into(value: Any, room: int) -> bool:
    return not isinstance(value, str) or value.isascii() or fitting(value, room) == len(value)


def _states(origin: Origin, key: str) -> bool:
    """Whether a span states the whole value, in whatever writing."""
    if origin.match in ("encoded", "variant"):
        return not origin.partial
    return origin.span is not None and find_bounded(key, origin.span.canonical) >= 0

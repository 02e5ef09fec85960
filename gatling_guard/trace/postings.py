"""Where a value has been seen: an inverted index over spans of one trust class.

Looking something up costs the length of the rarest words' posting lists, bounded by `SCAN`, never
the length of the session. Memory is bounded: the oldest spans fade into a `Faded` filter that
still answers "these words were seen", never into nothing.
Does not see: a value of several everyday words that a sentence break cuts in two (`_across`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from gatling_guard.trace.canonical import find_bounded, trimmed, words_of
from gatling_guard.trace.entities import identity_keys
from gatling_guard.trace.faded import Faded
from gatling_guard.trace.fragments import Fragments, compact
from gatling_guard.trace.ids import Ids
from gatling_guard.trace.mentions import Date, Number, dates_in, numbers_in, same_day
from gatling_guard.trace.secrets import Secrets
from gatling_guard.trace.types import Span

_ENDS = " .,;:'\"`()[]{}<>!?*"
_DIGIT = re.compile(r"\d")

SCAN = 1_000
"""Most spans looked at for one value; beyond, an untrusted class answers "assume so"."""
EQUAL = 16
"""Most spans remembered for one exact value: more of the same say nothing new."""
SPOKEN = 13
"""Least number that counts where a text has no digits: below, number words are everyday words."""
HEAD = 4
"""Words at the start of a span by which it is recognised inside a longer text."""
WINDOW = 3
"""Sentences that count as one place."""
SHORT = 64
"""Longest field that is also known without its separators (`acme-corp` for `Acme Corp`)."""


class Postings:
    """Spans of one trust class, findable by value, word, number and date.

    Args:
        assume: what a search that hits its bound answers. True for untrusted text; a trusted
            class must never vouch for what it did not find.
    """

    def __init__(self, *, assume: bool) -> None:
        self.spans: dict[int, Span] = {}
        self.chars = 0
        self.faded = Faded()
        self._assume = assume
        # Whole texts and first words are kept as hashes and compared in full when found.
        self._equal, self._heads = Ids(), Ids()
        self._words, self._numbers = Ids(), Ids()
        self._identities, self._shapes = Ids(), Ids()
        self._openers = Ids()
        """By first words, what `_heads` knows by the first four: most words of a text are none."""
        self.fragments = Fragments()
        self.secrets = Secrets()
        self._dates: dict[tuple[int, int], list[tuple[int, Date]]] = {}
        self._free: deque[int] = deque()
        self._short: deque[int] = deque()
        self._dropped = 0

    def add(self, span: Span) -> None:
        """Index one span."""
        self.spans[span.span_id] = span
        self.chars += _weight(span)
        (self._free if span.free_text else self._short).append(span.span_id)
        self._index(span)
        if span.sensitive and not span.rest:
            self.secrets.add(span)

    def _index(self, span: Span) -> None:
        at, canon = span.span_id, span.canonical
        key = trimmed(canon)
        words = words_of(canon)
        known = self._equal.put(hash(key), at, EQUAL)
        if not known and words and telling(key, words) and not _plain_key(span, words):
            head = words_of(key)[:HEAD]
            self._heads.put(hash(tuple(head)), hash(key))
            self._openers.put(head[0], hash(key))
        if not known and not span.free_text and len(words) > 1 and len(key) <= SHORT:
            self._shapes.put(hash(compact(key)), at, EQUAL)
        for word in set(words):
            self._words.put(word, at)
        for identity in identity_keys(canon):
            self._identities.put(identity, at)
        digits = _DIGIT.search(canon)
        for number in numbers_in(canon):
            # Small numbers in words stand in every English text.
            if digits or number >= SPOKEN:
                self._numbers.put(number, at)
        if digits:
            self.fragments.put(canon, at)
            for date in dates_in(canon):
                self._dates.setdefault(date[:2], []).append((at, date))

    # ------------------------------------------------------------- lookups, best evidence first

    def equal(self, key: str) -> list[Span]:
        """Spans whose whole text is `key` (trimmed canonical)."""
        held = self._alive(self._equal.ids(hash(key)), EQUAL)
        return [span for span in held if trimmed(span.canonical) == key]

    def alike(self, key: str, words: Sequence[str]) -> list[Span]:
        """Spans that hold the value with other separators, or with none."""
        shape = compact(key)
        held = self._alive(self._shapes.ids(hash(shape)), EQUAL)
        found = [span for span in held if compact(span.canonical) == shape]
        if not found and 1 < len(words) <= 8:
            text = f" {' '.join(words)} "
            near = self._alive(self._rarest(words), SCAN // 16)
            found = [s for s in near if text in f" {' '.join(words_of(s.canonical))} "][:EQUAL]
        return found

    def glued(self, word: str) -> list[Span]:
        """Spans of the two words that `word` was put together from without a separator."""
        for cut in range(4, len(word) - 3):
            head, tail = word[:cut], word[cut:]
            if head in self._words and tail in self._words:
                found = [*self._alive(self._words.ids(head), 1)]
                return found + self._alive(self._words.ids(tail), 1)
        return []

    def identified(self, keys: Iterable[str], limit: int) -> list[Span]:
        """Spans that name one of these addresses, numbers or accounts, however written."""
        found: dict[int, Span] = {}
        for key in sorted(keys):
            for span in self._alive(self._identities.ids(key), limit):
                found[span.span_id] = span
        return list(found.values())[:limit]

    def number(self, value: Number, limit: int) -> list[Span]:
        """Spans that state this number, in whatever form."""
        return self._alive(self._numbers.ids(abs(value)), limit)

    def date(self, date: Date, limit: int) -> list[Span]:
        """Spans that name this day."""
        hits = self._dates.get(date[:2], ())
        return self._alive((at for at, other in hits if same_day(date, other)), limit)

    def containing(self, key: str, words: Sequence[str], limit: int) -> list[Span]:
        """Spans in whose text `key` stands as whole words; also across neighbouring sentences."""
        rarest = self._rarest(words)
        if len(words) == 1 and words[0] == key:  # the table itself says so
            return self._alive(rarest, limit)
        found: list[Span] = []
        for span in self._alive(rarest, SCAN):
            if key in span.canonical and find_bounded(key, span.canonical) >= 0:
                found.append(span)
                if len(found) >= limit:
                    break
        if found:
            return found
        if len(rarest) > SCAN:
            return self._assumed(rarest)
        return self._across(key, words, rarest, limit) if len(words) > 1 else found

    def _rarest(self, words: Sequence[str]) -> Sequence[int]:
        best: Sequence[int] | None = None
        for word in words:
            hits = self._words.ids(word)
            if not hits:
                return ()
            if best is None or len(hits) < len(best):
                best = hits
        return best or ()

    def _across(
        self, key: str, words: Sequence[str], hits: Sequence[int], limit: int
    ) -> list[Span]:
        found: list[Span] = []
        either = tuple(words)
        for span in self._alive(hits, SCAN // 4):
            if not span.free_text:
                continue
            bare = span.canonical.strip(_ENDS)
            # What goes on in a neighbouring sentence stands at an end of this one.
            if not (bare.startswith(either) or bare.endswith(either)):
                continue
            near = [s for i in (-1, 0, 1) if (s := self._beside(span, span.span_id + i))]
            if len(near) > 1 and find_bounded(key, " ".join(s.canonical for s in near)) >= 0:
                found.append(span)
                if len(found) >= limit:
                    break
        return found

    def around(self, span: Span) -> tuple[Span, ...]:
        """A span with the sentences beside it in the same field, in order."""
        near = (self._beside(span, span.span_id + i) for i in (-1, 0, 1))
        return tuple(s for s in near if s) or (span,)

    def _beside(self, span: Span, at: int) -> Span | None:
        other = self.spans.get(at)
        same = other and other.path == span.path and other.call_id == span.call_id
        return other if same else None

    def inside(self, canon: str, words: Sequence[str], limit: int) -> list[Span]:
        """Telling spans whose whole text stands inside `canon`, longest first."""
        found: dict[int, Span] = {}
        heads: set[int] = set()
        for i, word in enumerate(words):
            if word in self._openers:
                heads.update(hash(tuple(words[i : i + size])) for size in range(1, HEAD + 1))
        for head in heads & self._heads.keys():
            for key in self._heads.ids(head)[:SCAN]:
                for span in self._alive(self._equal.ids(key), 1):
                    if find_bounded(trimmed(span.canonical), canon) >= 0:
                        found[span.span_id] = span
        ranked = sorted(found.values(), key=lambda s: (-len(s.canonical), s.span_id))
        return ranked[:limit]

    def covering(self, words: Sequence[str], share: float, limit: int) -> tuple[list[Span], bool]:
        """Spans that, with the sentences around them, hold at least `share` of the words.

        Also whether they were seen to: beyond the bound they are assumed.
        """
        ranked = sorted(words, key=lambda w: (len(self._words.ids(w)), w))
        lacking = int(len(ranked) * (1 - share) + 1e-9)
        near, complete = self._near(ranked, lacking)
        found: list[Span] = []
        for at in near:
            span = self.spans.get(at)
            if span and self._covers(span, ranked, lacking):
                found.append(span)
                if len(found) >= limit:
                    return found, True
        return (found, True) if found or complete else (self._assumed(near), False)

    def _near(self, ranked: Sequence[str], lacking: int) -> tuple[list[int], bool]:
        """Ids of spans whose windows may lack at most `lacking` words, and whether that is all.

        Such a window holds at least `extra` of any `lacking + extra` words; taking the rarest
        words for these, few windows are left to be looked at.
        """
        counts: dict[int, int] = {}
        seen, extra = 0, 0
        for i, word in enumerate(ranked):
            ids = self._words.ids(word)
            if i > lacking and (seen + len(ids) > 2 * SCAN or extra > len(ranked) // 6):
                break
            for at in ids[: 2 * SCAN]:
                counts[at] = counts.get(at, 0) + 1
            seen += len(ids)
            extra = max(0, i + 1 - lacking)
        found = list(counts)
        if extra > 1:
            near, reach = counts.get, [i for i in range(1 - WINDOW, WINDOW) if i]
            found = [
                at
                for at, own in counts.items()
                if own >= extra or own + sum([near(at + i, 0) for i in reach]) >= extra
            ]
        found = list(islice(found, 2 * SCAN))
        return found, seen <= 2 * SCAN

    def _covers(self, span: Span, ranked: Sequence[str], lacking: int) -> bool:
        """Whether a window of sentences around `span` lacks at most `lacking` of the words."""
        at = span.span_id
        near = [s for i in range(1 - WINDOW, WINDOW) if (s := self._beside(span, at + i))]
        text = " ".join(s.canonical for s in near)
        if _misses(ranked, text, lacking):
            return False
        held = [set(words_of(s.canonical)) for s in near]
        return any(
            not _misses(ranked, set().union(*held[i : i + WINDOW]), lacking)
            for i in range(max(1, len(held) - WINDOW + 1))
        )

    def _assumed(self, ids: Sequence[int]) -> list[Span]:
        return self._alive(reversed(ids), 1) if self._assume else []

    def _alive(self, ids: Iterable[int], limit: int) -> list[Span]:
        """The spans still held, oldest first; forgotten ids cost a step each, see `shrink`."""
        found: list[Span] = []
        for at in ids:
            span = self.spans.get(at)
            if span is not None:
                found.append(span)
                if len(found) >= limit:
                    break
        return found

    # ---------------------------------------------------------------------------- forgetting

    def shrink(self, max_spans: int, max_chars: int) -> None:
        """Forget the oldest free text, then the oldest fields, until both bounds hold."""
        while len(self.spans) > max_spans or self.chars > max_chars:
            queue = self._free or self._short
            span = self.spans.pop(queue.popleft())
            self.chars -= _weight(span)
            self.faded.add(words_of(span.canonical))
            self._dropped += 1
        if self._dropped > max(1_000, len(self.spans)):
            self._prune()

    def _prune(self) -> None:
        """Take forgotten ids out of the tables; reading all texts again would take seconds."""
        self._dropped = 0
        for table in (self._equal, self._words, self._numbers, self._identities, self._shapes):
            table.keep(self.spans)
        self._heads.keep(self._equal)
        self._openers.keep(self._equal)
        for day, hits in list(self._dates.items()):
            self._dates[day] = [hit for hit in hits if hit[0] in self.spans]
            if not self._dates[day]:
                del self._dates[day]


def _weight(span: Span) -> int:
    """Characters of memory; a canonical form may be 18 times as long as its text."""
    return max(len(span.text), len(span.canonical)) + len(span.path)


def _misses(words: Sequence[str], held: str | set[str], allowed: int) -> bool:
    """Whether more than `allowed` of the words are not in `held`."""
    missing = 0
    for word in words:
        if word not in held:
            missing += 1
            if missing > allowed:
                return True
    return False


def _plain_key(span: Span, words: Sequence[str]) -> bool:
    """Whether a span is a key of one plain word: many texts hold it without having copied it."""
    return len(words) == 1 and span.path.endswith("/~key") and words[0].isalpha()


def telling(key: str, words: Sequence[str]) -> bool:
    """Whether a text says enough to be recognised inside another one."""
    if len(key) < 4:
        return False
    return len(words) > 1 or len(key) >= 6 or any(c.isdigit() for c in key)

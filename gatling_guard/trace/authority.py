"""What the trusted side said: the user's instruction, the system text, the policy's literals.

Text that comes through tools is never in here. Finding a value here is what makes it trusted, so
matching is stricter than for spans: whole words only, and an address is never part of a longer one.
What the user delegates, names as a source or counts is told as evidence, with the sentence it
stands in; none of it makes a value trusted. Does not see: negated values ("not to Bob").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gatling_guard.catalog.types import Effect, ToolSpec
from gatling_guard.plan import Provenance
from gatling_guard.trace.budget import DIMENSIONS, Budget, Dimension, budget_in
from gatling_guard.trace.canonical import canonical, find_bounded, plain, trimmed, words_of
from gatling_guard.trace.delegation import Delegation, NamedSource, delegations_of, sources_of
from gatling_guard.trace.directive import sentences
from gatling_guard.trace.entities import identity_keys
from gatling_guard.trace.given import Given, literals_of, replaced_by
from gatling_guard.trace.mentions import (
    Date,
    Number,
    as_number,
    dates_in,
    numbers_in,
    same_day,
    times_in,
)
from gatling_guard.trace.types import Match, Origin, Source
from gatling_guard.trace.verbs import Ask, asks_of, name_asked

MAX_TEXT = 400_000
"""Characters of one trusted text that are used; far above any real instruction."""
MOST_WORDS = 0.75
_JOINERS = ".@-_+"
_ONE_IDENTITY = re.compile(
    r"[\w.+%-]{1,64}@[\w.-]{3,253}\Z|\+?[0-9][0-9 ()./-]{5,30}\Z|[a-z]{2}[0-9]{2}[0-9a-z -]{8,40}\Z"
)
"""A mail address, a phone number or an IBAN and nothing else."""


@dataclass(frozen=True)
class _Text:
    """One trusted text with what is looked up in it."""

    source: Source
    canon: str

    @cached_property
    def bare(self) -> str:
        return trimmed(self.canon)

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(words_of(self.canon))

    @cached_property
    def numbers(self) -> set[Number]:
        return numbers_in(self.canon)

    @cached_property
    def dates(self) -> set[Date]:
        return dates_in(self.canon)

    @cached_property
    def times(self) -> set[int]:
        return times_in(self.canon)

    def match(self, key: str, words: Sequence[str]) -> tuple[Match, int] | None:
        """How, and at which place, `key` stands in this text."""
        if key == self.bare:
            return "exact", 0
        at = _standing(key, self.canon)
        if at >= 0:
            return "substring", at
        if (same := self._same_identity(key)) is not None:
            return "substring", same
        number = as_number(key)
        if number is not None and abs(number) in self.numbers:
            return "substring", 0
        if self._same_time(key):
            return "substring", 0
        known = sum(word in self.words for word in words)
        # Not for an address: `bob@x.org.eu` has most of the parts of `bob@x.org`.
        enough = " " in key and known >= MOST_WORDS * len(words)
        return ("words", 0) if enough else None

    @cached_property
    def identities(self) -> frozenset[str]:
        return identity_keys(self.canon, strict=True)

    def _same_identity(self, key: str) -> int | None:
        """Place 0 where this text names the same address or account in another form."""
        keys = sole_identity(key) if self.identities else frozenset()
        return 0 if keys and keys <= self.identities else None

    def _same_time(self, key: str) -> bool:
        """Whether `key` is a date or time and this text names all of it."""
        if len(key) > 40:
            return False
        days = dates_in(key)
        if not days:
            return False
        return times_in(key) <= self.times and all(
            any(same_day(d, o) for o in self.dates) for d in days
        )


@dataclass(frozen=True)
class Authority:
    """The trusted texts of a session. Immutable: a new user turn makes a new one."""

    instructions: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        instructions: Sequence[str],
        system: Sequence[str] = (),
        literals: Sequence[str] = (),
    ) -> Authority:
        """Collect the trusted texts.

        Args:
            instructions: what the user wrote, turn by turn.
            system: the developer's system text.
            literals: values that the policy itself names.
        """
        return cls(
            *(tuple(t[:MAX_TEXT] for t in texts) for texts in (instructions, system, literals))
        )

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The user's sentences, as written."""
        return tuple(s for text in self.instructions for s in sentences(text))

    @cached_property
    def words(self) -> frozenset[str]:
        """All canonical words of the instruction and the literals."""
        trusted = (*self.instructions, *self.literals)
        return frozenset(w for text in trusted for w in words_of(canonical(text)))

    @cached_property
    def _texts(self) -> tuple[_Text, ...]:
        # Plain forms: a value that only looks like one the trusted side named was not named.
        found = [_Text("policy", plain(text)) for text in self.literals]
        found += [_Text("instruction", plain(text)) for text in self.instructions]
        return (*found, *(_Text("system", plain(text)) for text in self.system))

    @cached_property
    def _asked(self) -> frozenset[Effect]:
        return frozenset(ask.effect for ask in self.asks_found)

    @cached_property
    def asks_found(self) -> tuple[Ask, ...]:
        """Every effect the user's sentences ask for, with the verb and the sentence."""
        return tuple(ask for sentence in self.sentences for ask in asks_of(sentence))

    @cached_property
    def sources(self) -> tuple[NamedSource, ...]:
        """What the user's text names to be read. Naming a source lowers nothing by itself (P5)."""
        return tuple(dict.fromkeys(s for found in self._sources for s in found))

    @cached_property
    def _sources(self) -> tuple[tuple[NamedSource, ...], ...]:
        return tuple(sources_of(sentence) for sentence in self.sentences)

    @cached_property
    def delegations(self) -> tuple[Delegation, ...]:
        """Where the user lets a text decide. Evidence for whoever is asked, never authority."""
        found: list[Delegation] = []
        before: tuple[NamedSource, ...] = ()
        for sentence, named in zip(self.sentences, self._sources, strict=True):
            before = named or before
            found.extend(delegations_of(sentence, before))
        return tuple(found)

    @cached_property
    def quantities(self) -> tuple[Budget, ...]:
        """How much the task needs, for every dimension on which the user said something."""
        return tuple(b for b in map(self.budget, DIMENSIONS) if b.basis != "none")

    def budget(self, dimension: Dimension) -> Budget:
        """The most that one dimension needs (R49); basis `none` where the user said nothing."""
        return self._budgets[dimension]

    @cached_property
    def _budgets(self) -> dict[Dimension, Budget]:
        return {dimension: budget_in(dimension, self.sentences) for dimension in DIMENSIONS}

    @cached_property
    def _given(self) -> tuple[Given, ...]:
        """Literals of the user's that a call may be expected to use."""
        read = self.sources
        return tuple(g for s in self.sentences for g in literals_of(s, asks_of(s), read))

    @cached_property
    def _other_words(self) -> frozenset[str]:
        text = " ".join(canonical(sentence) for sentence in self.sentences)
        for literal in self._given:
            text = text.replace(literal.text, " ")
        return frozenset(words_of(text))

    def replaced(
        self, value: Any, role: str, arguments: Mapping[str, Any], effect: Effect | None = None
    ) -> str | None:
        """The literal of the user's in whose place a call uses `value`, or None.

        Only meaningful for a value that comes from untrusted text, in an identity argument.

        Args:
            value: the scalar that the call uses.
            role: the name of its argument.
            arguments: all arguments of the call.
            effect: of the call; literals of sentences that do not ask for it do not count.
        """
        if not self._given:
            return None
        given = [g for g in self._given if effect is None or effect in g.effects]
        return replaced_by(value, role, arguments, given, self._other_words)

    def asked(self, effect: Effect) -> tuple[Ask, ...]:
        """Where the user asks for this effect."""
        return tuple(ask for ask in self.asks_found if ask.effect is effect)

    def find(self, value: Any) -> Origin | None:
        """Where the trusted side gave this value; the best match wins, None if nowhere."""
        key = trimmed(plain(scalar_text(value)))
        if not key or isinstance(value, bool):
            return None
        words = words_of(key)
        best: Origin | None = None
        for text in self._texts:
            # A policy literal is a value, not prose: only the whole of it counts.
            hit = text.match(key, words)
            if hit is None or (text.source == "policy" and hit[0] != "exact"):
                continue
            if hit[0] != "words":
                return _origin(text, hit, key)
            best = best or _origin(text, hit, key)
        return best

    def asks(self, effect: Effect, spec: ToolSpec) -> bool:
        """Whether the instruction asks for this effect, or names this tool's own verb.

        Reads need no asking: any task implies them.
        """
        if not effect.side_effect or effect in self._asked:
            return True
        return name_asked(spec.name, effect, self.words)


def sole_identity(key: str) -> frozenset[str]:
    """The strict key of a canonical text that is one address, phone number or IBAN, all of it.

    An IBAN with a digit more holds the key of the IBAN, and is another account.
    """
    if not _ONE_IDENTITY.match(key):
        return frozenset()
    keys = identity_keys(key, strict=True)
    said = "".join(filter(str.isalnum, key))
    whole = "@" in key or all(
        said == "".join(filter(str.isalnum, found.partition(":")[2])) for found in keys
    )
    return keys if whole and len(keys) == 1 else frozenset()


def scalar_text(value: Any) -> str:
    """A scalar as it is compared."""
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, bool) else repr(value)


def _standing(key: str, canon: str) -> int:
    """Where `key` stands alone: `x.org` does not stand in `a@x.org` or `x.org.evil.com`."""
    at = find_bounded(key, canon)
    while at >= 0:
        end = at + len(key)
        glued_left = at > 1 and canon[at - 1] in _JOINERS and canon[at - 2].isalnum()
        glued_right = end + 1 < len(canon) and canon[end] in _JOINERS and canon[end + 1].isalnum()
        if not (glued_left or glued_right):
            return at
        at = find_bounded(key, canon, at + 1)
    return -1


def _origin(text: _Text, hit: tuple[Match, int], key: str) -> Origin:
    at = hit[1]
    start = max(0, at - 40)
    quote = text.canon[start : max(at + len(key) + 40, start + 80)][:160]
    return Origin(text.source, hit[0], Provenance.INTERNAL, None, quote)

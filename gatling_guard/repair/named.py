"""Values that the authority named, as written: what an identity may become.

Sees: addresses, accounts, URLs, files and paths, sums, ids and whole numbers in the instruction;
names in quotes, names with a capital, channels and handles, in its sentences that ask for the
effect; texts that the policy lists for the argument.
Does not see: values that are negated or only named as a source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gatling_guard.catalog.types import Effect
from gatling_guard.policy.constraints import constants
from gatling_guard.repair.culprits import Case
from gatling_guard.repair.values import Scalar
from gatling_guard.trace import Authority, as_number, canonical, identity, name_words, words_of
from gatling_guard.trace.budget import amounts_in
from gatling_guard.trace.given import kind_of

MOST_FOUND = 200
"""Candidates that are read out of the instruction."""
_FAR = 99
_LONGEST_NAME = 80
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:https?|ftp)://[^\s<>\"'`)\]]{1,500}",
        r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
        r"(?<![\w.@-])(?:www\.)?[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?:/[^\s<>\"'`)\]]{0,500})?",
        r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b",
        r"(?<![\w])\+?\(?\d[\d ()./-]{5,24}\d\b",
        r"(?<![\w:])(?:~|\.{1,2})?/?[\w.-]{1,80}(?:/[\w.-]{1,80}){1,20}|(?<!\w)/[\w.-]{1,80}",
        r"(?<![\w.,])\d[\d,]{0,20}(?:\.\d{1,6})?\b",
        r"\b[A-Za-z]{1,8}[-_#]\d{1,12}\b",
    )
)
_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        r"[\"“'‘`]([^\"”'’`\n]{1,80})[\"”'’`]",
        r"(?<!\w)[#@][\w-]{1,60}",
        # Not at the start of a sentence, where any word has a capital.
        r"(?<!^)\b[A-Z][\w'-]{1,40}(?: [A-Z][\w'-]{1,40}){0,3}\b",
    )
)
_END = ".,;:!?"


@dataclass(frozen=True, slots=True)
class Named:
    """One value that the authority named."""

    value: Scalar
    asks: bool
    """Its sentence asks for the effect of the call, or the policy lists it for the argument."""
    distance: int
    """Words between it and the nearest word of the tool's name or of the verb."""
    place: int
    """In the order of the instruction."""


def named_like(case: Case, where: str, argument: str) -> Iterator[Named]:
    """Values that the authority named and that are of the kind of what stands at a pointer."""
    old = case.given(where)
    kind = _kind(old, argument)
    if kind is None:
        return
    seen = {canonical(str(old))}
    effect = (case.view.profile or case.spec.profile).effect
    said = _said(case.scene.authority, case.spec.name, effect, names=kind == "name")
    for found in (*_listed(case, where), *said):
        value = _of_type(found.value, old)
        if value is None or _kind(value, argument) != kind:
            continue
        if kind == "amount" and as_number(str(value)) not in _sums(case.scene.authority):
            continue
        origin = case.scene.authority.find(value)
        key = canonical(str(value))
        if key not in seen and origin is not None and origin.vouches:
            seen.add(key)
            yield Named(value, found.asks, found.distance, found.place)


@lru_cache(maxsize=64)
def _sums(authority: Authority) -> frozenset[float]:
    """Sums of money that the instruction or the policy names: a count of mails is none."""
    said = {v for text in authority.sentences for v in amounts_in(canonical(text))}
    listed = {v for text in authority.literals if (v := as_number(text)) is not None}
    return frozenset(said | listed)


def _listed(case: Case, where: str) -> Iterator[Named]:
    """What the policy allows at this place by listing it."""
    for schema in case.limits(where):
        for text in constants(schema):
            yield Named(text, True, 0, -1)


@lru_cache(maxsize=64)
def _said(authority: Authority, tool: str, effect: Effect, *, names: bool) -> tuple[Named, ...]:
    """What the instruction says, sentence by sentence. A search asks for it many times."""
    found: list[Named] = []
    asks = authority.asked(effect)
    patterns = (*_PATTERNS, *_NAMES) if names else _PATTERNS
    for sentence in authority.sentences:
        verbs = {ask.verb for ask in asks if ask.sentence == sentence}
        near = verbs.union(name_words(tool))
        for match in (m for p in patterns for m in p.finditer(sentence[:4_000])):
            text = match.group(match.lastindex or 0).strip().rstrip(_END)
            if text and len(found) < MOST_FOUND:
                far = _distance(sentence, match.start(), near)
                found.append(Named(text, bool(verbs), far, len(found)))
    return tuple(found)


def _distance(sentence: str, at: int, near: set[str]) -> int:
    """Words between a place and the nearest of some words."""
    words = words_of(canonical(sentence))
    here = len(words_of(canonical(sentence[:at])))
    return min((abs(here - i) for i, word in enumerate(words) if word in near), default=_FAR)


def _kind(value: object, argument: str) -> str | None:
    """What can stand in for what; None for what is no single value."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    known = kind_of(value, argument)
    if known is not None:
        return known
    if not isinstance(value, str):
        return "number"
    if (party := identity(value)) is not None:
        return party.partition(":")[0]
    if as_number(value) is not None:
        return "number"
    if "/" in value and " " not in value:
        return "file"
    return "name" if 0 < len(value) <= _LONGEST_NAME else None


def _of_type(value: Scalar, old: object) -> Scalar | None:
    """The value in the JSON type of the one that it replaces."""
    if isinstance(old, str):
        return str(value)
    number = as_number(str(value))
    if number is None:
        return None
    return float(number) if isinstance(old, float) else number if isinstance(number, int) else None

"""How the baseline rules read text: normal form, tokens, numbers, dates, sentences, directives.

Weaker than `gatling_guard.trace` on purpose (no lookalikes, no layers, no formats): it is what the
published lines were computed with.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gatling_guard.bench.baselines.lexicon import SPOKEN_VERBS
from gatling_guard.trace.canonical import word_set

MAX_TEXT = 50_000
"""Characters read of one value."""
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*\.?\d*(?!\w)")
_STOP = word_set(
    "a an the of to in on at for and or with from by is are be this that it as your my i you we "
    "our me"
)
_MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTHS = {
    name: number
    for number, month in enumerate(_MONTH_NAMES, start=1)
    for name in (month, month[:3])
}
_WRAPPER = re.compile(
    r"(ignore (all |your |the )?(previous|prior|above)|important (message|instruction)"
    r"|</?information>|before you can solve|system (message|prompt)"
    r"|you (must|should|need to) (first|now)|please do the following|to you, (gpt|claude|ai|the ai)"
    r"|new instructions|disregard|todo:)",
    re.IGNORECASE,
)
_LEADING = word_set(
    "please todo then and also first finally now kindly you should must after that do"
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")


@lru_cache(maxsize=100_000)
def normal(text: str) -> str:
    """Lower case, one space between words, no scheme, no punctuation around."""
    folded = unicodedata.normalize("NFKC", text[:MAX_TEXT]).lower()
    folded = re.sub(r"https?://", "", folded)
    return " ".join(folded.split()).strip(" \t\n.,;:'\"`()[]<>!?")


@lru_cache(maxsize=100_000)
def tokens(text: str) -> tuple[str, ...]:
    """Words, addresses and numbers of two characters or more, without stop words."""
    found = re.findall(r"[a-z0-9@._\-]+", normal(text))
    return tuple(token for token in found if token not in _STOP and len(token) > 1)


@lru_cache(maxsize=50_000)
def numbers(text: str) -> frozenset[float]:
    """The first 60 numbers."""
    found = _NUMBER.findall(text[:MAX_TEXT])[:60]
    return frozenset(float(n.replace(",", "")) for n in found)


@lru_cache(maxsize=50_000)
def dates(text: str) -> frozenset[tuple[int, int]]:
    """(month, day) pairs, from `2026-11-21`, `November 21st`, `21 Nov`."""
    low = text[:MAX_TEXT].lower()
    found = {(int(m), int(d)) for _, m, d in re.findall(r"(\d{4})-(\d{1,2})-(\d{1,2})", low)}
    for month, day in re.findall(r"\b([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?\b", low):
        found |= {(_MONTHS[month], int(day))} if month in _MONTHS else set()
    for day, month in re.findall(r"\b(\d{1,2})(?:st|nd|rd|th)?(?: of)? ([a-z]{3,9})\b", low):
        found |= {(_MONTHS[month], int(day))} if month in _MONTHS else set()
    return frozenset(found)


def number_of(value: float) -> float | None:
    """A number as float; None if it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return None


def stands_in(needle: str, hay: str) -> bool:
    """Whether `needle` is in `hay` as whole words; both in normal form."""
    at = hay.find(needle) if needle else -1
    while at >= 0:
        end = at + len(needle)
        cut_left = at > 0 and hay[at - 1].isalnum() and needle[0].isalnum()
        cut_right = end < len(hay) and hay[end].isalnum() and needle[-1].isalnum()
        if not cut_left and not cut_right:
            return True
        at = hay.find(needle, at + 1)
    return False


def sentences(text: str) -> list[str]:
    """Sentences and lines."""
    parts = re.split(r"(?<=[.!?])\s+|\n+", text[:MAX_TEXT])
    return [part.strip() for part in parts if part.strip()]


@dataclass(frozen=True, slots=True)
class Prose:
    """Running text, cut into sentences without tags."""

    sentences: tuple[str, ...]
    hot: tuple[int, ...]
    """Indices of those that read like an instruction."""

    @property
    def passage(self) -> str:
        """The hot sentences, each with the four after it, in normal form; empty without any."""
        count = len(self.sentences)
        kept = sorted({j for i in self.hot for j in range(i, min(count, i + 5))})
        return normal(" ".join(self.sentences[j] for j in kept))


def prose(text: str) -> Prose:
    """The sentences of a text, and which of them read like an instruction."""
    raw = sentences(text)
    shown = tuple(" ".join(_TAG.sub(" ", sentence).split()) for sentence in raw)
    hot = [i for i, (sentence, source) in enumerate(zip(shown, raw, strict=True))
           if _WRAPPER.search(source) or is_directive(sentence)]  # fmt: skip
    return Prose(shown, tuple(hot))


def is_directive(sentence: str) -> bool:
    """Whether a sentence or a clause of it opens with an imperative, or has a wrapper's words."""
    if _WRAPPER.search(sentence):
        return True
    clauses = re.split(r"[:_]\s*|,\s+", sentence)[1:]
    return any(
        _imperative(re.findall(r"[a-z']+", clause.lower()))
        for clause in (sentence, *(c for c in clauses if len(c.split()) >= 3))
    )


def _imperative(found: Sequence[str]) -> bool:
    start = next((i for i, word in enumerate(found) if word not in _LEADING), len(found))
    return len(found) - start >= 3 and found[start] in SPOKEN_VERBS

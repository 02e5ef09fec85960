"""Excerpts: the words around a match, long while secrets are looked for, short in the receipt.

A secret is recognised in its whole form only. So an excerpt is cut twice: `around` takes the words
with plenty of context and never splits one; the ledger redacts that; `cut` then keeps what a person
reads. What `cut` shows has at least `_CONTEXT` redacted characters on either side.
"""

from __future__ import annotations

import re

from gatling_guard.rules import shown

SHOWN = 160
"""Characters of one quote in a receipt."""
_CONTEXT = 320
"""Characters on either side of a match that are redacted with it."""
_LONGEST = 200
"""A longer word at the edge of a window is left out as a whole."""
_KEY = 60
_LOOKED = 20_000
"""Characters in which a place is looked for."""
_BLANK = re.compile(r"\s")
_WORD = re.compile(r"\w{3,}")


def place_of(value: object, text: str) -> tuple[int, int]:
    """Start and end of the best place of `value` in `text`: all of it, else its longest word."""
    folded, key = _folded(text), _folded(" ".join(str(value)[:400].split()))
    if not key:
        return 0, 0
    at = folded.find(key)
    if at >= 0:
        return at, at + len(key)
    words = sorted(set(_WORD.findall(key[:_KEY])), key=lambda word: (-len(word), word))
    for word in words[:6]:
        at = folded.find(word)
        if at >= 0:
            return at, at + len(word)
    return 0, 0


def around(text: str, value: object) -> str:
    """The words around `value`, on one line, uncut at both ends."""
    if len(text) <= 2 * _CONTEXT + _KEY:
        return shown(text)
    start, end = place_of(value, text)
    left, right = _edges(text, start - _CONTEXT, min(end, start + _KEY) + _CONTEXT)
    return shown(text[left:right])


def cut(text: str, value: object, room: int = SHOWN) -> str:
    """At most `room` characters of `text`, `value` among them; for text that is redacted."""
    if len(text) <= room:
        return text
    start, end = place_of(value, text)
    inside = room - 6  # for the dots
    left = max(0, min(start - max(20, (inside - (end - start)) // 2), len(text) - inside))
    right = min(len(text), left + inside)
    return f"{'...' * (left > 0)}{text[left:right]}{'...' * (right < len(text))}"


def _edges(text: str, left: int, right: int) -> tuple[int, int]:
    """The window moved outwards to the next blanks, or inwards where there is none near."""
    left, right = max(0, left), min(len(text), right)
    if left > _LONGEST or _last_blank(text, 0, left) >= 0:
        before = _last_blank(text, max(0, left - _LONGEST), left)
        after = _first_blank(text, left, right)
        left = before + 1 if before >= 0 else (after + 1 if after >= 0 else right)
    else:
        left = 0
    if right + _LONGEST < len(text) or _first_blank(text, right, len(text)) >= 0:
        after = _first_blank(text, right, right + _LONGEST)
        right = after if after >= 0 else max(left, _last_blank(text, left, right))
    else:
        right = len(text)
    return left, right


def _first_blank(text: str, start: int, end: int) -> int:
    found = _BLANK.search(text, start, min(end, len(text)))
    return found.start() if found else -1


def _last_blank(text: str, start: int, end: int) -> int:
    return max((text.rfind(blank, start, end) for blank in " \n\t\r"), default=-1)


def _folded(text: str) -> str:
    """For looking up; only where folding keeps every place."""
    text = text[:_LOOKED]
    folded = text.casefold()
    return folded if len(folded) == len(text) else text

"""Secrets in XML: `<password>x</password>`, `<entry key="api-key">x</entry>`, escaped or not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gatling_guard.ledger.checks import placeholder
from gatling_guard.ledger.keys import DONE, secret_kind

_WORD = r"(?:pass|pwd|secret|token|credential|key|code|pin|otp|cvv|cvc|cookie|authori[sz]ation|jwt)"
OPENING = rf"(?i)<[^<>]*{_WORD}[^<>]*>|&lt;[^<>&;]*{_WORD}[^<>&;]*&gt;"
"""A tag that may announce a secret, in re2 syntax."""
_NAME = re.compile(r"(?:<|&lt;)\s*([A-Za-z_][\w.:-]*)")
_NAMED = re.compile(r"""\b(?:name|key|id)\s*=\s*["']([^"'<>]{1,100})["']""", re.IGNORECASE)
_EMPTY = re.compile(r"/\s*(?:>|&gt;)\Z")
_CLOSING = re.compile(r"(?:<|&lt;)\\?/\s*([\w.:-]*)")
_LINE = re.compile(r"\s*[^\r\n<]*")
_FAR = 2048
"""Characters in which an element with elements inside has to close by its own name."""


def redact_elements(text: str, tags: Iterable[Any]) -> str:
    """Replace what stands between the tags of an element with a secret's name.

    Args:
        text: the text.
        tags: the matches of `OPENING` in it.
    """
    out, done = [], 0
    for match in tags:
        kind = _kind(match.group()) if match.start() >= done else None
        if kind is None:
            continue
        start, end = match.end(), _end(text, match.end(), match.group())
        inner = text[start:end].strip()
        if inner and not DONE.fullmatch(inner):
            out += [text[done:start], placeholder(kind)]
            done = end
    return "".join(out) + text[done:]


def _kind(tag: str) -> str | None:
    """The kind of secret an opening tag announces; None for a closing or empty one."""
    name = _NAME.match(tag)
    if name is None or _EMPTY.search(tag):
        return None
    attribute = _NAMED.search(tag)
    # Without its prefix: `wsse:Password`.
    names = (name.group(1).rpartition(":")[2], attribute.group(1) if attribute else "")
    return next((kind for kind in map(secret_kind, names) if kind), None)


def _end(text: str, start: int, tag: str) -> int:
    """Where the element closes; one that never does ends with its line."""
    opened = _NAME.match(tag)
    name = opened.group(1).casefold() if opened else ""
    first = None
    for closing in _CLOSING.finditer(text, start, start + _FAR):
        first = closing.start() if first is None else first
        if closing.group(1).casefold() == name:
            return closing.start()
    if first is None:
        later = _CLOSING.search(text, start)
        first = later.start() if later else None
    if first is not None:
        return first
    line = _LINE.match(text, start)
    return line.end() if line else start

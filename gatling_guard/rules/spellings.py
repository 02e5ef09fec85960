"""What a text is as well: other spellings that a tool or its backend may take for the same.

For what a policy denies. What it allows is compared as given, because the tool gets it as given;
only the `..` of a path is resolved there, because every file system does so.
"""

from __future__ import annotations

import posixpath
import re

from gatling_guard.policy import MAX_SUBJECT
from gatling_guard.trace.canonical import canonical, trimmed
from gatling_guard.trace.encoded import decoded

MAX_SPELLINGS = 24
"""Most spellings of one text; decoded ones are the last."""
_ESCAPED = re.compile(r"%(?:25){0,3}(2e|2f|5c)", re.IGNORECASE)
_CHARS = {"2e": ".", "2f": "/", "5c": "/"}
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[^/\\]{0,300}", re.IGNORECASE)


def spellings(text: str) -> tuple[str, ...]:
    """The text, its canonical form, its path resolved, and all of that for what it encodes."""
    found: dict[str, None] = {}
    for plain in (text, *decoded(text)):
        for form in (plain, canonical(plain), trimmed(canonical(plain))):
            found[form] = None
            found[resolved(form)] = None
            if len(found) >= MAX_SPELLINGS:
                return tuple(found)
    return tuple(found)


def resolved(text: str) -> str:
    """A path or the path of a URL without `.`, `..` and `//`; any other text as it is."""
    if "/" not in text and "\\" not in text and "%" not in text:
        return text
    plain = _ESCAPED.sub(lambda match: _CHARS[match[1].lower()], text)
    plain = plain.replace("\\", "/")
    head = _URL.match(plain)
    start = head.end() if head else 0
    path = plain[start:]
    if "//" not in path and not {".", ".."} & set(path.split("/")):
        return text
    # POSIX keeps two leading slashes, and every system reads them as one.
    short = posixpath.normpath(re.sub(r"\A/+", "/", path))
    return plain[:start] + short + "/" * (path.endswith("/") and short != "/")


def climbs(text: str) -> bool:
    """Whether a path goes up on its way: `a/../b`, `%2e%2e/`."""
    if ".." not in text and "%" not in text:
        return False
    return ".." in _ESCAPED.sub(lambda m: _CHARS[m[1].lower()], text).replace("\\", "/").split("/")


def same_value(given: object, denied: object) -> bool:
    """Whether a value is, however it is spelt, the one that a policy denies."""
    if given == denied:
        return True
    if isinstance(given, (dict, list)) or isinstance(denied, (dict, list)):
        return False
    if isinstance(given, str) and len(given) > MAX_SUBJECT:
        return True  # too long to be told apart
    one, other = _spelt(given), _spelt(denied)
    return not one.isdisjoint(other) or _number(given) == _number(denied) is not None


def _spelt(value: object) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset(spellings(value))
    return frozenset([canonical("null" if value is None else str(value))])


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or len(str(value)) > 40:
        return None
    try:
        return float(canonical(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None

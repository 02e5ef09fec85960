"""The first walk over a value: a copy as JSON, and what in it needs a closer look.

Most values hold no secret; for them `texts_of` and one search are the whole of redaction. Whatever
it does not know at a glance goes through `Survey`.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gatling_guard.errors import InputError
from gatling_guard.ledger.keys import DONE, is_amount, secret_kind
from gatling_guard.plan import to_json
from gatling_guard.plan.values import MAX_INT_BITS

MAX_TEXT = 4096
"""Characters kept of one string; enough to recognise it, too few to fill a disk."""
MAX_SCAN = 16_384
"""Characters looked at in one string. Only what was looked at is kept, so nothing slips past."""
MAX_TOTAL = 131_072
"""Characters looked at over all strings of one value; strings beyond give way to their length."""
MAX_DEPTH = 64
"""Containers within containers, as in `plan`."""
_KNOWN = 64
_MOST_NAMES = 32
_CARD = 10**12
"""The number of a card is no smaller."""
_CUT = re.compile(r"\[cut: [0-9]+ characters\]")
_NAMES = ("name", "key", "field", "header")
_PLACE = re.compile(r"[^\s@]+@[^\s@]+\.[A-Za-z]+|[A-Za-z][A-Za-z0-9+.-]*://\S*|/\S*")


def texts_of(value: object) -> list[str] | None:
    """All texts of a JSON value, keys included; None where a `Survey` has to look.

    That is: for other types than those of JSON, names and lists that announce a secret, numbers as
    long as a card's, and bounds that are hit.
    """
    texts: list[str] = []
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                if len(item) > _MOST_NAMES or not _plain_names(*item):
                    return None
                texts += item
                items: Iterable[Any] = item.values()
            elif type(item) is list:
                if any(type(name) is str and announces(name, item) for name in item):
                    return None
                items = item
            else:
                return None
            for child in items:
                kind = type(child)
                if kind is str:
                    texts.append(child)
                elif kind is dict or kind is list:
                    below.append(child)
                elif kind is int:
                    if not -_CARD < child < _CARD:
                        return None
                elif kind is float:
                    if not math.isfinite(child):
                        return None
                elif not (child is None or kind is bool):
                    return None
        if not below:
            sizes = [len(text) for text in texts]
            return texts if sum(sizes) <= MAX_TOTAL and max(sizes, default=0) <= MAX_TEXT else None
        level = below
    return None


@functools.lru_cache(maxsize=256, typed=True)
def _plain_names(*names: object) -> bool:
    """Whether the keys of a dict are names that announce nothing."""
    return (
        all(type(name) is str and len(name) <= 64 for name in names)
        and all(secret_kind(str(name)) is None for name in names)
        and not ("value" in names and any(name in names for name in _NAMES))
    )


class Survey:
    """The first walk: copies, and notes whether there is anything to look at more closely."""

    def __init__(self) -> None:
        self.plain = True
        self.texts: list[str] = []
        self.known: list[str] = []
        self.left = MAX_TOTAL

    def copy(self, value: object, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value)  # type: ignore[arg-type]
        if value is None or kind is bool:
            return value
        if kind is int or kind is float:
            return self._number(value)  # type: ignore[arg-type]
        if depth >= MAX_DEPTH:
            return f"[cut: nested deeper than {MAX_DEPTH}]"
        if kind is dict:
            return self._dict(value, depth)  # type: ignore[arg-type]
        if kind is list or kind is tuple:
            return self._list(value, depth)  # type: ignore[arg-type]
        return self._foreign(value, depth)

    def _text(self, text: str) -> str:
        if self.left < 0:
            return text if _CUT.fullmatch(text) else f"[cut: {len(text)} characters]"
        size = len(text)
        if size > MAX_TEXT:
            self.plain, size = False, min(size, MAX_SCAN)
        self.texts.append(text)
        self.left -= size
        return text

    def _number(self, value: float) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else f"[cut: {value}]"
        if value.bit_length() > MAX_INT_BITS:
            return f"[cut: integer of {value.bit_length()} bits]"
        self.plain = self.plain and -_CARD < value < _CARD
        return value

    def _dict(self, value: dict[Any, object], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = self._text(key if type(key) is str else _key(key))
            if name in result:
                name = unused(name, result)
            if secret_kind(name) is not None and hides(name, item):
                self._know(item)
            result[name] = self.copy(item, depth + 1)
        if "value" in result and named_kind(result) is not None:
            self._know(result["value"])
        return result

    def _list(self, value: Sequence[object], depth: int) -> list[Any]:
        result = [self.copy(item, depth + 1) for item in value]
        for place, name in enumerate(result[:-1]):
            if type(name) is str and announces(name, result):
                self._know(result[place + 1])
        return result

    def _know(self, item: object) -> None:
        """The value is a secret by its key; remember it, to find it elsewhere too."""
        self.plain = False
        if type(item) in (str, int) and len(self.known) < _KNOWN and _telling(str(item)[:MAX_TEXT]):
            self.known.append(str(item)[:MAX_TEXT])

    def _foreign(self, value: object, depth: int) -> Any:
        try:
            return self.copy(to_json(value), depth)
        except InputError:
            return f"[cut: {type(value).__name__}]"
        except Exception as error:  # whatever a foreign object's own methods raise
            return f"[cut: {type(value).__name__}, {type(error).__name__}]"


def hides(name: str, item: object) -> bool:
    """Whether there is something to hide under a secret's name."""
    return not (item is None or isinstance(item, bool) or item in ("", [], {}, ())) and not (
        is_amount(name, item)
    )


def named_kind(pair: Mapping[str, object]) -> str | None:
    """The kind of secret in `{"name": "X-Api-Key", "value": "..."}`."""
    names = (pair[name] for name in _NAMES if name in pair)
    kinds = (secret_kind(name) for name in names if isinstance(name, str))
    return next((kind for kind in kinds if kind), None)


def announces(name: str, items: Sequence[object]) -> bool:
    """Whether the next item is a secret: `["--password", "x"]`, or a pair `["password", "x"]`."""
    return (len(items) == 2 or name[:1] == "-") and len(name) < 64 and secret_kind(name) is not None


def _telling(text: str) -> bool:
    """Whether a value is worth looking for elsewhere.

    Words and addresses are not: else whoever fills a field called `password` could blank out the
    recipient, or the ledger's own vocabulary, in the very entry that convicts them.
    """
    odd = any(char.isdigit() for char in text) or any(
        not char.isalnum() and char not in " _-." for char in text
    )
    return len(text) >= 6 and odd and not DONE.fullmatch(text) and not _PLACE.fullmatch(text)


def unused(name: str, taken: Mapping[str, Any]) -> str:
    """Two keys that redaction made equal stay two keys."""
    if name not in taken:
        return name
    # Counting from the size, not from 2, keeps many equal keys linear.
    return next(new for n in itertools.count(len(taken) + 1) if (new := f"{name}#{n}") not in taken)


def _key(key: object) -> str:
    return str(key) if key is None or isinstance(key, (str, int, float)) else type(key).__name__


def is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def to_unicode(text: str) -> str:
    """Text that can be encoded: lone surrogates become U+FFFD."""
    if is_unicode(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

"""What a call itself says is a secret: the values that stand under a secret's name.

The redactor spares plain words under such a name when it looks for them elsewhere in an entry,
because a word may be anything. A receipt's own texts are different: they quote the call, so that a
word of theirs that is also the password most likely is the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gatling_guard.ledger.checks import placeholder
from gatling_guard.ledger.keys import DONE, secret_kind
from gatling_guard.ledger.survey import announces, hides, named_kind

_MOST = 64
"""Values looked for; with more of them every text gives way."""
_HEAD = 64
"""Characters by which a longer value is recognised, as the end of a text may cut it."""
_VISITED = 100_000
"""Values looked at in one call; `plan.MAX_ITEMS`, so all of them."""
_CACHED = 256
"""Characters of the longest path that is kept: most calls have the same few arguments."""
_SHORT = 4
"""Below it, a value is replaced where it stands alone only: else `4` would eat every number."""


class CallSecrets:
    """The secrets in the arguments of one call.

    Args:
        arguments: the arguments, as JSON values.
    """

    def __init__(self, arguments: Any) -> None:
        found: dict[str, str] = {}
        self._all = True
        for kind, value in _secrets(arguments):
            text = " ".join(str(value).split())
            if text and not DONE.fullmatch(text):
                found.setdefault(text, kind)
            if len(found) > _MOST:
                self._all = False
                break
        self._kinds = {text[:_HEAD].casefold(): kind for text, kind in found.items()}
        self._pattern = _pattern(found) if found else None

    def hide(self, text: str) -> str:
        """`text`, on one line, with every value replaced."""
        if self._pattern is None:
            return text
        if not self._all:
            return placeholder("text")
        return self._pattern.sub(self._stand_in, " ".join(text.split()))

    def _stand_in(self, match: re.Match[str]) -> str:
        return placeholder(self._kinds.get(match.group()[:_HEAD].casefold(), "secret"))


def shown_path(path: str) -> str:
    """A JSON pointer up to the first secret's name: what stands below may be part of the secret."""
    return (_short_path if len(path) <= _CACHED else _shown_path)(path)


def _shown_path(path: str) -> str:
    kept: list[str] = []
    for part in path.split("/"):
        kept.append(part)
        if secret_kind(part) is not None:
            break
    return "/".join(kept)


_short_path = lru_cache(maxsize=1024)(_shown_path)


def _pattern(found: dict[str, str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_literal, sorted(found, key=len, reverse=True))), re.IGNORECASE)


def _literal(text: str) -> str:
    if len(text) > _HEAD:
        return re.escape(text[:_HEAD]) + ".*"
    exact = re.escape(text)
    return rf"(?<!\w){exact}(?!\w)" if len(text) < _SHORT else exact


def _secrets(arguments: Any) -> Iterator[tuple[str, object]]:
    """Kind and value of everything below a secret's name, keys included."""
    stack: list[tuple[Any, str | None]] = [(arguments, None)]
    for _ in range(_VISITED):
        if not stack:
            return
        item, kind = stack.pop()
        if isinstance(item, dict):
            pair = named_kind(item)
            for name, child in item.items():
                if kind is not None:
                    yield kind, name
                own = secret_kind(name) or (pair if name == "value" else None)
                stack.append((child, kind or (own if hides(name, child) else None)))
        elif isinstance(item, list):
            stack += [(child, kind or _announced(item, place)) for place, child in enumerate(item)]
        elif kind is not None and hides("", item):
            yield kind, item


def _announced(items: list[Any], place: int) -> str | None:
    before = items[place - 1] if place else None
    named = isinstance(before, str) and announces(before, items)
    return secret_kind(str(before)) if named else None

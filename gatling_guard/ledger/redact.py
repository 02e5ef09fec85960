"""Secrets are replaced before anything is written (R145).

Two ways to be a secret: by the name of the key a value stands under (`keys`), and by the shape of
the text (`patterns`). A secret known by its key is also replaced where the same value recurs. The
result is a fixed point: redacting it again changes nothing.

Does not see: a secret of an earlier entry that recurs without its key; see also `patterns`.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import re
from collections.abc import Callable, Sequence
from typing import Any

from gatling_guard.ledger.checks import is_card, is_random, placeholder
from gatling_guard.ledger.keys import DONE, is_reference, secret_kind
from gatling_guard.ledger.patterns import PATTERNS, RANDOM, Pattern, compiled, custom
from gatling_guard.ledger.survey import (
    MAX_SCAN,
    MAX_TEXT,
    Survey,
    announces,
    hides,
    is_unicode,
    named_kind,
    texts_of,
    to_unicode,
    unused,
)

MAX_ID = 200
"""Characters of a run or call id."""
_ROUNDS = 4
_ID = re.compile(r"[A-Za-z0-9_.:@=-]+")
_LONG = re.compile(RANDOM.source)


class Redactor:
    """Replaces secrets, the user's own patterns included.

    Args:
        secret_patterns: more patterns, in re2 syntax; their whole match is replaced.

    Raises:
        ConfigurationError: a pattern is not valid.
    """

    def __init__(self, secret_patterns: Sequence[str] = ()) -> None:
        self.custom = custom(secret_patterns)
        self.patterns: tuple[Pattern, ...] = PATTERNS + self.custom
        self._anywhere = "|".join(f"(?:{pattern.source})" for pattern in PATTERNS)

    def __call__(self, value: object) -> Any:
        """A deep copy of `value`, made of JSON types, without its secrets. Never raises."""
        texts = None if self.custom else texts_of(value)
        if texts is not None:
            if not self.suspects(texts):
                return _copied(value)
            return _Cleaner(self, (), spared=2 * _size(texts)).clean(value, False)
        survey = Survey()
        copy = survey.copy(value, 0)
        if survey.plain and not self.custom and not self.suspects(survey.texts):
            return copy
        return _Cleaner(self, survey.known).clean(copy, False)

    def identifier(self, text: str) -> str:
        """An id fit for writing: itself, or its digest where it is long or holds a secret.

        Random ids stay, because what they identify has to be found again.
        """
        clean = to_unicode(str(text))
        if len(clean) <= MAX_ID and self.replaced(clean, reference=True) == clean:
            return clean
        return f"id:{hashlib.sha256(clean.encode()).hexdigest()[:32]}"

    def suspects(self, texts: Sequence[str]) -> bool:
        """Whether there may be anything to replace in one of many texts."""
        text = "\x00".join(texts)
        if not is_unicode(text) or compiled(self._anywhere).search(text) is not None:
            return True
        long = (text for text in texts if len(text) >= 32)
        return any(is_random(token) for text in long for token in _LONG.findall(text))

    def replaced(self, text: str, *, reference: bool) -> str:
        """`text` after one run of every pattern.

        A `reference` is spared the test for randomness, and that only: what has a secret's own
        shape goes under every name. A reference is one word; a text beside an id is no id, and
        keys are written with `/` and `+`, which ids avoid.
        """
        if self.custom or compiled(self._anywhere).search(text) is not None:
            for pattern in self.patterns:
                text = pattern(text)
        spared = len(text) < 32 or (reference and _ID.fullmatch(text))
        return text if spared else RANDOM(text)


def _copied(value: object) -> Any:
    """A deep copy of what `texts_of` has seen: `marshal` does it without a step of Python.

    Its format 2 knows no references: what stands in two places is copied twice.
    """
    return marshal.loads(marshal.dumps(value, 2))  # type: ignore[arg-type]


def _size(texts: Sequence[str]) -> int:
    return len(texts) + sum(map(len, texts))


class _Cleaner:
    """The second walk: over JSON, replacing.

    Args:
        redactor: with the patterns.
        known: secrets that are replaced wherever they stand.
        spared: of a value that `texts_of` has seen: characters that may be searched once more to
            find records in which nothing is to be replaced. They are copied as a whole.
    """

    def __init__(self, redactor: Redactor, known: Sequence[str], spared: int = 0) -> None:
        self.redactor, self._spared = redactor, spared
        self.known = sorted(set(known), key=len, reverse=True)
        self._done: dict[tuple[str, bool, bool], str] = {}
        """Texts of this one value: a plan's receipt says the same names for every call."""

    def clean(self, value: Any, reference: bool) -> Any:
        if isinstance(value, str):
            return self.text(value, reference)
        if isinstance(value, dict):
            return self._dict(value)
        if isinstance(value, list):
            return self._list(value, reference)
        if type(value) is int and abs(value) >= 10**12 and is_card(str(abs(value))):
            return placeholder("card")
        return value

    def _dict(self, value: dict[str, Any]) -> dict[str, Any]:
        pairs = named_kind(value) if "value" in value else None
        result: dict[str, Any] = {}
        for name, item in value.items():
            key = unused(self.text(name, False, key=True), result)
            # By either name: what the key becomes must not call for more the next time.
            kind = secret_kind(name) or secret_kind(key) or (pairs if name == "value" else None)
            hide = kind is not None and hides(key, item)
            result[key] = _hidden(str(kind), item) if hide else self.clean(item, is_reference(key))
        return result

    def _list(self, value: list[Any], reference: bool) -> list[Any]:
        result: list[Any] = []
        for place, item in enumerate(value):
            before = value[place - 1] if place else None
            named = type(before) is str and announces(before, value)
            kind = secret_kind(str(before)) if named else None
            hide = kind is not None and hides("", item)
            if hide:
                result.append(_hidden(str(kind), item))
            elif type(item) is dict and self._is_clean(item):
                result.append(_copied(item))
            else:
                result.append(self.clean(item, reference))
        return result

    def _is_clean(self, record: dict[str, Any]) -> bool:
        """Whether one search shows that nothing in a record is to be replaced."""
        texts = texts_of(record) if self._spared > 0 else None
        if texts is None:
            return False
        self._spared -= _size(texts)
        return not self.redactor.suspects(texts)

    def text(self, text: str, reference: bool, *, key: bool = False) -> str:
        """The fixed point of `_step`, which makes redaction idempotent by construction."""
        found = self._done.get((text, reference, key))
        if found is None:
            found = self._done[text, reference, key] = self._fixed(text, reference, key)
        return found

    def _fixed(self, text: str, reference: bool, key: bool) -> str:
        known = () if key else self.known
        for _ in range(_ROUNDS):
            after = self._step(text, reference, known)
            if after == text:
                return text
            text = after
        return placeholder("text")

    def _step(self, text: str, reference: bool, known: Sequence[str]) -> str:
        clean = seen = to_unicode(text[:MAX_SCAN])
        for literal in known:
            clean = clean.replace(literal, placeholder("known"))
        clean = self.redactor.replaced(clean, reference=reference)
        if max(len(text), len(clean)) <= MAX_TEXT:
            return clean
        whole = clean == seen and len(text) <= MAX_SCAN
        mark = f"; sha256 {hashlib.sha256(seen.encode()).hexdigest()}" if whole else ""
        note = f" [cut: {len(text)} characters{mark}]"
        return clean[: MAX_TEXT - len(note)] + note


def _hidden(kind: str, item: object) -> str:
    return item if isinstance(item, str) and DONE.fullmatch(item) else placeholder(kind)


@functools.cache
def _standard() -> Callable[[object], Any]:
    return Redactor()


def redact(value: object) -> Any:
    """A deep copy of `value` as JSON in which secrets read `[redacted:<kind>]`. Never raises."""
    return _standard()(value)

"""The JSON Schema dialect of this package, as keyword functions for `jsonschema`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from gatling_guard.plan import canonical_json
from gatling_guard.policy import MAX_WORK, full_match, pattern_work, search
from gatling_guard.rules.denied import any_spelling, keywords, lenient_values, too_long
from gatling_guard.rules.spellings import climbs, resolved, spellings

MAX_STEPS = 20_000
"""Keyword evaluations in one validation, 5 to 20 microseconds each."""

_local = threading.local()


class TooComplexError(Exception):
    """The step budget of a validation is spent."""


def start_budget() -> None:
    """Give the validation that starts now, in this thread, its full number of steps."""
    _local.left = MAX_STEPS
    _local.work = MAX_WORK


@cache
def registry() -> Any:
    """No retrieval: a `$ref` outside the schema is unresolvable, whatever it names."""
    from referencing import Registry

    return Registry()


@cache
def dialect(anchored: bool, pattern_keys: bool, denying: bool = False) -> Any:
    """The validator class.

    Args:
        anchored: of a policy: patterns match whole values, and what is denied is denied in every
            spelling.
        pattern_keys: there are some; `unevaluatedProperties` is left out then. That keyword alone
            runs patterns through `re`, where a hostile one takes for ever.
        denying: for what stands under `not`.
    """
    from jsonschema import Draft202012Validator, validators

    base = Draft202012Validator
    matches = _spelt if denying else _allowed if anchored else search
    own: dict[str, Any] = {
        "pattern": _pattern(matches),
        # A key that may be meant has to satisfy what is said of it.
        "patternProperties": _pattern_properties(_spelt if anchored else search),
        "uniqueItems": _unique_items,
        "additionalProperties": _additional_properties(full_match if anchored else search),
    }
    if anchored:
        own |= keywords(lambda schema: _other(schema, pattern_keys, denying), _error)
    if denying:
        own |= lenient_values(_error)
    if pattern_keys:
        own["unevaluatedProperties"] = lambda *_: ()
    rules = {**base.VALIDATORS, **own}
    extend: Any = validators.extend
    return extend(base, {key: _counted(rule) for key, rule in rules.items()})


def _other(schema: Any, pattern_keys: bool, denying: bool) -> Any:
    return dialect(True, pattern_keys, not denying)(schema, registry=registry())


def _allowed(pattern: str, text: str) -> bool:
    """As given; a path that goes up also as the file system will read it."""
    return full_match(pattern, text) and (
        not climbs(text) or full_match(pattern, resolved(text).rstrip("/"))
        or full_match(pattern, resolved(text))
    )  # fmt: skip


def _spelt(pattern: str, text: str) -> bool:
    """In any spelling; the work of those is counted too."""
    if too_long(text):
        raise TooComplexError
    _local.work -= pattern_work(pattern, text) * len(spellings(text))
    if _local.work < 0:
        raise TooComplexError
    return any_spelling(pattern, text)


def _counted(rule: Callable[..., Any]) -> Callable[..., Any]:
    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        _local.left -= 1
        if _local.left < 0:
            raise TooComplexError
        return rule(validator, value, instance, schema)

    return run


def _error(message: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(message)


def _pattern(matches: Callable[[str, str], bool]) -> Callable[..., Any]:
    def check(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not _matches(matches, pattern, instance):
            yield _error("does not match the pattern")

    return check


def _matches(matches: Callable[[str, str], bool], pattern: str, text: str) -> bool:
    """A pattern of a tool schema that RE2 cannot run constrains nothing."""
    try:
        _local.work -= pattern_work(pattern, text)
    except ValueError:
        return True
    if _local.work < 0:
        raise TooComplexError
    return matches(pattern, text)


def _pattern_properties(matches: Callable[[str, str], bool]) -> Callable[..., Any]:
    def check(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not isinstance(instance, dict):
            return
        for pattern, inner in patterns.items():
            for key, value in instance.items():
                if _matches(matches, pattern, key):
                    yield from validator.descend(value, inner, path=key, schema_path=pattern)

    return check


def _additional_properties(matches: Callable[[str, str], bool]) -> Callable[..., Any]:
    def check(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not isinstance(instance, dict):
            return
        named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for key, value in instance.items():
            if key in named or any(_matches(matches, p, key) for p in patterns):
                continue
            if isinstance(allowed, dict):
                yield from validator.descend(value, allowed, path=key)
            elif not allowed:
                error = _error("is not an argument of this tool")
                error.path.append(key)
                yield error

    return check


def _unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """By canonical text; `jsonschema` compares each pair."""
    if unique and isinstance(instance, list):
        texts = {canonical_json(item) for item in instance}
        if len(texts) != len(instance):
            yield _error("has repeated items")

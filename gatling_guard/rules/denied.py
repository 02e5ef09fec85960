"""Keywords that deny: `not`, `if`, `contains` with a most, on every spelling of a value.

A plain validator compares as given, so that `not: {const: DROP}` lets `drop ` through, and so do a
full-width letter and an escape. Under `not` it is the other way round here: whatever may be taken
for the denied value is denied. Under a second `not` values are compared as given again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gatling_guard.plan import leaves
from gatling_guard.policy import MAX_SUBJECT, full_match
from gatling_guard.rules.spellings import same_value, spellings

Make = Callable[[Any], Any]
"""A validator of the other kind (denying or allowing) for a schema."""
_SCALAR = frozenset(
    ("const", "enum", "pattern", "type", "minLength", "maxLength", "minimum", "maximum")
    + ("exclusiveMinimum", "exclusiveMaximum", "title", "description", "$comment")
)


def any_spelling(pattern: str, text: str) -> bool:
    """Whether a denied pattern matches some spelling of a text, case and line breaks apart."""
    loose = f"(?is:{pattern})"
    return any(full_match(loose, form) for form in spellings(text))


def too_long(text: str) -> bool:
    """A text that no pattern is run on; where it would be denied, it may not pass for that."""
    return len(text) > MAX_SUBJECT


def keywords(other: Make, error: Callable[[str], Any]) -> dict[str, Any]:
    """`not`, `if` and `contains` for a validator that allows; `other` makes one that denies."""

    def denied(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
        lenient = other(inner)
        if any(lenient.is_valid(item) for item in _parts(instance, inner)):
            yield error("is what the policy denies")

    def condition(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
        """Another spelling of what is meant has to satisfy both `then` and `else`."""
        if "then" in schema and other(inner).is_valid(instance):
            yield from validator.descend(instance, schema["then"], schema_path="then")
        if "else" in schema and not validator.evolve(schema=inner).is_valid(instance):
            yield from validator.descend(instance, schema["else"], schema_path="else")

    def contains(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not isinstance(instance, list):
            return
        sure, low = validator.evolve(schema=inner), schema.get("minContains", 1)
        if sum(1 for item in instance if sure.is_valid(item)) < low:
            yield error("does not contain enough items of a kind")
        most, maybe = schema.get("maxContains"), other(inner)
        if most is not None and sum(1 for item in instance if maybe.is_valid(item)) > most:
            yield error("contains too many items of a kind")

    return {"not": denied, "if": condition, "contains": contains}


def lenient_values(error: Callable[[str], Any]) -> dict[str, Any]:
    """`const` and `enum` for a validator that denies."""

    def const(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not same_value(instance, wanted):
            yield error("is another value")

    def enum(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not any(same_value(instance, item) for item in wanted):
            yield error("is another value")

    return {"const": const, "enum": enum}


def _parts(instance: Any, inner: Any) -> Iterator[Any]:
    """The value; and where a single value is denied, every one inside a list or object."""
    yield instance
    if isinstance(instance, (list, dict)) and isinstance(inner, dict) and set(inner) <= _SCALAR:
        yield from (leaf.value for leaf in leaves(instance))

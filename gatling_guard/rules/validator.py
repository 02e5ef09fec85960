"""JSON Schema validators for foreign schemas and hostile values: linear patterns, bounded steps.

Based on `jsonschema` (Draft 2020-12), with four differences: patterns run in RE2, `uniqueItems`
is linear, `$ref` stays inside the schema (nothing is ever fetched), and every validation has a
budget of keyword evaluations, because a schema of references to references can multiply work.
`format` is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gatling_guard.plan import canonical_json, digest
from gatling_guard.policy import search
from gatling_guard.rules.cache import Bounded
from gatling_guard.rules.flat import flat
from gatling_guard.rules.keywords import TooComplexError, dialect, registry, start_budget

MAX_ERRORS = 20
MAX_SCHEMA_DEPTH = 64


class BrokenSchemaError(Exception):
    """A schema cannot be used; the text says why."""


class SchemaError:
    """One violation, detached from `jsonschema`.

    Its message says of what type and length the value is, never what it is: it may be a secret.
    """

    __slots__ = ("keyword", "message", "path", "shallow", "value")

    def __init__(self, error: Any) -> None:
        self.path: tuple[str | int, ...] = tuple(error.absolute_path)
        self.keyword = str(error.validator)
        self.value = error.validator_value
        self.message = _message(self.keyword, self.value, error.instance)
        self.shallow = all(
            not inner.relative_path and inner.validator in ("type", "enum", "const")
            for inner in error.context or ()
        )


class Compiled:
    """A schema that is ready to be applied many times.

    Attributes:
        schema: as given.
        unchecked: patterns that RE2 cannot run; they constrain nothing.

    Raises:
        BrokenSchemaError: it is no JSON Schema this package can use.
    """

    def __init__(self, schema: Mapping[str, Any], *, anchored: bool) -> None:
        import jsonschema

        self.schema = schema
        self.unchecked = _walk(schema)
        kind = dialect(anchored, "patternProperties" in canonical_json(schema))
        try:
            jsonschema.Draft202012Validator.check_schema(
                schema, format_checker=jsonschema.FormatChecker(())
            )
            self._validator = kind(schema, registry=registry())
        except Exception as error:
            text = getattr(error, "message", None) or type(error).__name__
            raise BrokenSchemaError(str(text)[:200]) from None
        self._surely_valid = None if anchored else flat(schema)

    def errors(
        self, value: Any, keep: Callable[[SchemaError], bool] = lambda error: True
    ) -> list[SchemaError]:
        """The first violations.

        Args:
            value: what is checked.
            keep: which of them count; the others do not use up the room.

        Raises:
            TooComplexError: value and schema together are too much work.
            BrokenSchemaError: a reference leads nowhere, outside, or back to itself.
        """
        if self._surely_valid is not None and self._surely_valid(value):
            return []
        start_budget()
        found: list[SchemaError] = []
        try:
            for error in self._validator.iter_errors(value):
                violation = SchemaError(error)
                found += [violation] if keep(violation) else []
                if len(found) == MAX_ERRORS:
                    break
        except TooComplexError:
            raise
        except RecursionError:
            raise TooComplexError("recursion") from None
        except Exception as error:
            raise BrokenSchemaError(f"{type(error).__name__}: {error}"[:200]) from None
        return found


_compiled: Bounded[Compiled | BrokenSchemaError] = Bounded(512)


def compile_schema(schema: Mapping[str, Any], *, anchored: bool = False) -> Compiled:
    """The validator of a schema, from the cache if the same schema was used before.

    Args:
        schema: JSON Schema as plain values.
        anchored: patterns match the whole text (policies), not a part of it (tool schemas).

    Raises:
        BrokenSchemaError: it is no JSON Schema this package can use.
    """

    def make() -> Compiled | BrokenSchemaError:
        try:
            return Compiled(schema, anchored=anchored)
        except BrokenSchemaError as error:
            return error

    try:
        key = (digest(schema), anchored)
    except (TypeError, ValueError, RecursionError) as error:
        raise BrokenSchemaError(f"not JSON: {type(error).__name__}") from None
    found = _compiled.get(key, make)
    if isinstance(found, BrokenSchemaError):
        raise found
    return found


_SAID = ("enum", "const", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum",
         "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minProperties", "maxProperties",
         "minContains", "maxContains", "type", "required")  # fmt: skip
"""Keywords whose value helps to understand an error."""


def _message(keyword: str, wanted: Any, value: Any) -> str:
    if keyword == "additionalProperties":
        return "is not an argument of this tool"
    said = f" ({canonical_json(wanted)[:200]})" if keyword in _SAID else ""
    return f"{kind_of(value)} breaks `{keyword}`{said}"


def kind_of(value: Any) -> str:
    """What may be told of a value: its type, and how much there is of it."""
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, (list, dict)):
        return f"{'list' if isinstance(value, list) else 'object'} of {len(value)}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true or false"
    return "number"


def _walk(schema: Any) -> tuple[str, ...]:
    """Patterns that cannot run; a schema that is nested too deep is broken."""
    unchecked: list[str] = []
    stack = [(schema, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_SCHEMA_DEPTH:
            raise BrokenSchemaError(f"nested deeper than {MAX_SCHEMA_DEPTH} levels")
        if isinstance(item, Mapping):
            unchecked += [text for text in _patterns(item) if not _runs(text)]
            stack += [(child, depth + 1) for child in item.values()]
        elif isinstance(item, list):
            stack += [(child, depth + 1) for child in item]
    return tuple(unchecked[:20])


def _patterns(schema: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(pattern := schema.get("pattern"), str):
        yield pattern
    if isinstance(named := schema.get("patternProperties"), Mapping):
        yield from map(str, named)


def _runs(pattern: str) -> bool:
    try:
        search(pattern, "")
    except ValueError:
        return False
    return True

"""Argument constraints: JSON Schemas inside a policy, checked before anything relies on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gatling_guard.policy.patterns import check_pattern, hint

_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_ONE = ("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else")
_ONE_MORE = ("unevaluatedItems", "unevaluatedProperties")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
MAPS = ("properties", "patternProperties", "dependentSchemas")
"""Keywords that map names, which are no keywords, to schemas."""
_REST = ("type", "enum", "const", "required", "dependentRequired", "uniqueItems", "pattern")
_NOTES = ("title", "description", "examples", "default", "$comment", "$schema", "deprecated")
_COUNTING = ("minContains", "maxContains")
KEYWORDS = frozenset(
    (*_NUMBERS, *_COUNTS, *_ONE, *_ONE_MORE, *_LISTS, *MAPS, *_REST, *_NOTES, *_COUNTING, "$ref")
)
"""All a policy may use. A keyword outside would be ignored by a validator: a silent hole."""
_IMPLIED = {
    **dict.fromkeys(_NUMBERS, "number"),
    **dict.fromkeys(("minLength", "maxLength", "pattern"), "string"),
    **dict.fromkeys(("items", "prefixItems", "contains", "minItems", "maxItems"), "array"),
    **dict.fromkeys(("minContains", "maxContains", "uniqueItems", "unevaluatedItems"), "array"),
    **dict.fromkeys(("properties", "patternProperties", "additionalProperties"), "object"),
    **dict.fromkeys(("propertyNames", "minProperties", "maxProperties", "required"), "object"),
    **dict.fromkeys(("dependentRequired", "dependentSchemas"), "object"),
}
_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")


class Fault(NamedTuple):
    """Something wrong at a place inside a schema."""

    path: tuple[str | int, ...]
    message: str


def object_schema(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the whole argument object.

    `{argument: schema, ...}` is the short form. A mapping is taken as a whole schema when it has
    `type: object`, a `required` list, or a `properties` mapping of mappings.
    """
    whole = arguments if is_whole(arguments) else {"properties": dict(arguments)}
    return dict(_typed(whole))


def _typed(schema: Any) -> Any:
    """The schema with the type that its keywords imply written out.

    In JSON Schema `pattern` says nothing about a list and `maximum` nothing about text, so that a
    constraint could be passed by by giving a value of another type.
    """
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _ONE and key not in ("not", "if"):
            found[key] = _typed(value)
        elif key in _LISTS:
            found[key] = [_typed(item) for item in value]
        elif key in MAPS:
            found[key] = {name: _typed(item) for name, item in value.items()}
        else:
            found[key] = value
    implied = {_IMPLIED[key] for key in schema if key in _IMPLIED}
    if implied and "type" not in schema:
        found["type"] = implied.pop() if len(implied) == 1 else sorted(implied)
    return found


def is_whole(arguments: Mapping[str, Any]) -> bool:
    """Whether `arguments` are one schema of the whole object, not argument -> schema."""
    inner = arguments.get("properties")
    return (
        arguments.get("type") == "object"
        or isinstance(arguments.get("required"), list)
        or isinstance(inner, Mapping)
        and bool(inner)
        and all(isinstance(v, (Mapping, bool)) for v in inner.values())
        and "type" not in inner
    )


def constraint_faults(arguments: Any) -> list[Fault]:
    """Everything that is wrong with the `arguments` of a policy entry."""
    if not isinstance(arguments, Mapping):
        return [Fault((), "should be a mapping: argument -> JSON Schema, or one JSON Schema")]
    if is_whole(arguments):
        return list(_schema(arguments, ()))
    return [fault for name, item in arguments.items() for fault in _schema(item, (name,))]


def _schema(schema: Any, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        yield Fault(path, "should be a JSON Schema: a mapping, true or false")
        return
    for key, value in schema.items():
        at = (*path, key)
        if key == "format":
            yield Fault(at, "`format` is not enforced by JSON Schema; use `pattern`")
        elif key not in KEYWORDS:
            yield Fault(at, f"unknown JSON Schema keyword{hint(str(key), KEYWORDS)}")
        else:
            yield from _keyword(key, value, at)


def _keyword(key: str, value: Any, at: tuple[str | int, ...]) -> Iterator[Fault]:
    if key in _ONE or key in _ONE_MORE:
        yield from _schema(value, at)
    elif key in _LISTS:
        if not isinstance(value, list) or not value:
            yield Fault(at, "should be a list of JSON Schemas")
            return
        for i, item in enumerate(value):
            yield from _schema(item, (*at, i))
    elif key in MAPS:
        if not isinstance(value, Mapping):
            yield Fault(at, "should be a mapping of JSON Schemas")
            return
        for name, item in value.items():
            if key == "patternProperties" and (wrong := check_pattern(str(name))):
                yield Fault((*at, name), wrong)
            yield from _schema(item, (*at, name))
    elif message := _value_fault(key, value):
        yield Fault(at, message)


def _value_fault(key: str, value: Any) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if key == "pattern":
        return check_pattern(value) if isinstance(value, str) else "should be text"
    if key == "type":
        return _type_fault(value)
    if key in _NUMBERS:
        return _when(not number or (key == "multipleOf" and value <= 0), "should be a number")
    if key in _COUNTS or key in _COUNTING:
        return _when(not number or value < 0 or int(value) != value, "should be a count, 0 or more")
    if key == "enum":
        return _when(not isinstance(value, list) or not value, "should be a list of values")
    if key == "required":
        bad = not isinstance(value, list) or not all(isinstance(v, str) for v in value)
        return _when(bad, "should be a list of argument names")
    if key == "uniqueItems":
        return _when(not isinstance(value, bool), "should be true or false")
    if key == "dependentRequired":
        bad = not isinstance(value, Mapping) or not all(
            isinstance(v, list) and all(isinstance(n, str) for n in v) for v in value.values()
        )
        return _when(bad, "should be a mapping: name -> list of names")
    if key == "$ref":
        return "`$ref` is not supported in a policy; write the schema out (YAML anchors may help)"
    return None


def _when(bad: bool, message: str) -> str | None:
    return message if bad else None


def _type_fault(value: Any) -> str | None:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if name not in _TYPES:
            return f"should be one of {', '.join(_TYPES)}{hint(str(name), _TYPES)}"
    return _when(not names, "should name a type")


def constants(schema: Any) -> Iterator[str]:
    """Texts that a schema names as allowed values (`const`, `enum`), outside `not`."""
    if isinstance(schema, Mapping):
        listed = schema.get("enum")
        for value in [schema.get("const"), *(listed if isinstance(listed, list) else [])]:
            if isinstance(value, str) and value:
                yield value
        for key, value in schema.items():
            if key not in ("not", "const", "enum", "if", "default", "examples"):
                yield from constants(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from constants(item)

"""The everyday tool schema, an object of plain values, without the machinery of JSON Schema.

Says only that arguments are surely valid; what it does not know, or finds fault with, goes through
`validator`. Knows: `type`, `properties`, `required`, `additionalProperties` as a truth value,
`enum` of texts, lists of plain values, and keywords that constrain nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MAX_LIST = 64
"""Items of the longest list that is looked at; longer ones count against a budget of steps."""

Valid = Callable[[Any], bool]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_NOTES = frozenset(
    ("title", "description", "default", "examples", "deprecated", "format", "readOnly", "writeOnly")
)
_AT_TOP = frozenset(("type", "properties", "required", "additionalProperties", "$schema")) | _NOTES
_ONE = frozenset(("type", "enum")) | _NOTES


def flat(schema: Any) -> Valid | None:
    """A test that holds only for valid arguments; None for a schema that is not flat."""
    if not isinstance(schema, dict) or not schema.keys() <= _AT_TOP:
        return None
    named, required = schema.get("properties", {}), schema.get("required", [])
    others = schema.get("additionalProperties", True)
    if schema.get("type") != "object" or not isinstance(named, dict) or type(others) is not bool:
        return None
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return None
    tests = {name: _value(inner) for name, inner in named.items()}
    wanted = frozenset(required)

    def valid(arguments: Any) -> bool:
        if type(arguments) is not dict or not wanted <= arguments.keys():
            return False
        for name, value in arguments.items():
            test = tests.get(name) if name in tests else _any if others else None
            if test is None or not test(value):
                return False
        return True

    return valid


def _any(value: Any) -> bool:
    return True


def _value(schema: Any) -> Valid | None:
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "array" and schema.keys() <= _ONE | {"items"} - {"enum"}:
        each = _value(schema["items"]) if "items" in schema else _any
        return None if each is None else lambda value: _list(value, each)
    named = schema.get("type")
    if not schema.keys() <= _ONE or not isinstance(named, (str, list)):
        return None
    names = named if isinstance(named, list) else [named]
    if not all(isinstance(name, str) and name in _TYPES for name in names):
        return None
    types = frozenset(kind for name in names for kind in _TYPES[name])
    if "enum" not in schema:
        return lambda value: type(value) in types
    listed = schema["enum"]
    texts = frozenset(text for text in listed if type(text) is str) if type(listed) is list else ()
    return lambda value: type(value) is str and str in types and value in texts


def _list(value: Any, each: Valid) -> bool:
    return type(value) is list and len(value) <= MAX_LIST and all(map(each, value))

"""Checks on foreign tool descriptions; every fault is collected, none raised half-way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gatling_guard.errors import InputError, Issue
from gatling_guard.plan import escape, to_json

MAX_NAME = 256
MAX_DESCRIPTION = 100_000
MAX_SCHEMA_DEPTH = 48
"""Nested containers in a schema; each level of a nested object takes two."""
MAX_SCHEMA_VALUES = 20_000
MAX_SCHEMA_CHARS = 1_000_000
MAX_ISSUES = 50
_SPELLINGS = {
    "": None,
    "any": None,
    "arraylist": "array",
    "bool": "boolean",
    "char": "string",
    "dict": "object",
    "double": "number",
    "float": "number",
    "hashmap": "object",
    "int": "integer",
    "list": "array",
    "long": "integer",
    "map": "object",
    "str": "string",
    "tuple": "array",
}
"""Type names of programming languages that stand in real tool schemas, and what they mean."""
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def check_name(name: object, issues: list[Issue], *, where: str = "/name") -> str:
    """The name of a tool, or "" with an issue."""
    problem = None
    if name is None or name == "":
        problem = "missing; a tool needs a name"
    elif not isinstance(name, str):
        problem = f"expected text, not {type(name).__name__}"
    elif not name.strip() or not name.isprintable():
        problem = "blank, or with characters that cannot be printed"
    elif len(name) > MAX_NAME:
        problem = f"longer than {MAX_NAME} characters"
    if problem:
        issues.append(Issue(where, problem))
        return ""
    return str(name)


def check_description(value: object, issues: list[Issue]) -> str:
    """The description of a tool; none is the empty text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        issues.append(Issue("/description", f"expected text, not {type(value).__name__}"))
        return ""
    if len(value) > MAX_DESCRIPTION:
        issues.append(Issue("/description", f"longer than {MAX_DESCRIPTION} characters"))
        return ""
    # A lone surrogate cannot be written to the ledger; a description is not worth an error.
    return value.encode("utf-8", "replace").decode("utf-8").strip()


def check_names(value: object, issues: list[Issue], *, where: str) -> tuple[str, ...]:
    """Alternative names of a tool."""
    if not isinstance(value, (list, tuple, set, frozenset)):
        issues.append(Issue(where, f"expected a list of names, not {type(value).__name__}"))
        return ()
    names = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
    return tuple(check_name(n, issues, where=f"{where}/{i}") for i, n in enumerate(names))


def check_annotations(value: object, issues: list[Issue]) -> dict[str, Any]:
    """MCP annotations as a dict; hints must be true or false."""
    if value is None:
        return {}
    found = _json(value, "/annotations", issues)
    if not isinstance(found, dict):
        if found is not None:
            kind = type(found).__name__
            issues.append(Issue("/annotations", f"expected an object, not {kind}"))
        return {}
    kept = {key: item for key, item in found.items() if item is not None}
    issues += [
        Issue(f"/annotations/{escape(key)[:80]}", f"expected true or false, not {item!r:.60}")
        for key, item in kept.items()
        if key.endswith("Hint") and not isinstance(item, bool)
    ]
    return kept


def check_parameters(value: object, issues: list[Issue]) -> dict[str, Any]:
    """The JSON Schema of an argument object, deep-copied; no schema means no arguments."""
    if value is None:
        return {"type": "object", "properties": {}}
    found = _json(value, "/parameters", issues)
    if found is None:
        return {"type": "object"}
    if not isinstance(found, dict):
        message = f"expected the JSON Schema of an object, not {type(found).__name__}"
        issues.append(Issue("/parameters", message))
        return {"type": "object"}
    _spell_type(found)
    if not _describes_object(found):
        kind = f"{found.get('type')!r:.60}" if "type" in found else "a schema without properties"
        message = f"a tool's arguments are an object; this schema is {kind}"
        issues.append(Issue("/parameters/type", message))
    before = len(issues)
    _check_schema(found, "/parameters", issues)
    if len(issues) - before >= MAX_ISSUES:
        issues.append(Issue("/parameters", "and more"))
    return found if "type" in found else {"type": "object", **found}


def check_output(value: object, issues: list[Issue]) -> dict[str, Any] | None:
    """The JSON Schema of what a tool returns."""
    if value is None:
        return None
    found = _json(value, "/output_schema", issues)
    if found is not None and not isinstance(found, dict):
        kind = type(found).__name__
        issues.append(Issue("/output_schema", f"expected a JSON Schema, not {kind}"))
    if not isinstance(found, dict):
        return None
    _check_schema(found, "/output_schema", issues)
    return found


def _json(value: object, where: str, issues: list[Issue]) -> Any:
    try:
        return to_json(
            value,
            where=where,
            max_depth=MAX_SCHEMA_DEPTH,
            max_items=MAX_SCHEMA_VALUES,
            max_chars=MAX_SCHEMA_CHARS,
        )
    except InputError as error:
        issues += error.issues
    except Exception as error:  # A foreign object's own code (model_dump, __getattr__) may fail.
        issues.append(Issue(where, f"cannot be read: {type(error).__name__}"))
    return None


def _describes_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    if kind is None:
        shapes = ("properties", "$ref", "anyOf", "oneOf", "allOf", "additionalProperties")
        return not schema or any(key in schema for key in shapes)
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


# ------------------------------------------------------------------------------ subschemas
def _check_schema(root: dict[str, Any], where: str, issues: list[Issue]) -> None:
    """Check the keywords that later stages rely on; iterative, since depth is foreign."""
    stack: list[tuple[Any, str]] = [(root, where)]
    limit = len(issues) + MAX_ISSUES
    while stack and len(issues) < limit:
        node, here = stack.pop()
        if isinstance(node, bool):
            continue
        if isinstance(node, dict):
            _spell_type(node)
        else:
            issues.append(Issue(here, f"expected a JSON Schema, not {type(node).__name__}"))
            continue
        for key, check in _KEYWORDS.items():
            if key in node and (problem := check(node[key])):
                issues.append(Issue(f"{here}/{key}", problem))
        stack += reversed(_children(node, here))


def _spell_type(node: dict[str, Any]) -> None:
    """Write "String" or "dict" as JSON Schema does; every validator would refuse them later."""
    kind = node.get("type")
    if isinstance(kind, str) and kind not in _TYPES:
        lower = kind.lower()
        meant = lower if lower in _TYPES else _SPELLINGS.get(lower, kind)
        if meant is None:
            del node["type"]
        else:
            node["type"] = meant


def _children(node: dict[str, Any], here: str) -> list[tuple[Any, str]]:
    found: list[tuple[Any, str]] = []
    for key in ("properties", "$defs", "definitions", "patternProperties"):
        inner = node.get(key)
        if isinstance(inner, dict):
            found += [(child, f"{here}/{key}/{escape(n)[:80]}") for n, child in inner.items()]
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        inner = node.get(key)
        if isinstance(inner, list):
            found += [(child, f"{here}/{key}/{i}") for i, child in enumerate(inner)]
    for key in ("items", "additionalProperties", "not", "contains", "propertyNames"):
        if key in node and not (key == "items" and isinstance(node[key], list)):
            found.append((node[key], f"{here}/{key}"))
    return found


def _type_problem(value: Any) -> str | None:
    kinds = value if isinstance(value, list) else [value]
    bad = [kind for kind in kinds if not isinstance(kind, str) or kind not in _TYPES]
    if not bad and kinds:
        return None
    return f"{bad[0] if bad else value!r:.60} is no JSON type; one of: {', '.join(sorted(_TYPES))}"


def _required_problem(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return None
    return "expected a list of names"


def _is(kind: type | tuple[type, ...], expected: str) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        fits = isinstance(value, kind) and not isinstance(value, bool)
        return None if fits else f"expected {expected}, not {type(value).__name__}"

    return problem


_NUMBER = _is((int, float), "a number")
_KEYWORDS: dict[str, Callable[[Any], str | None]] = {
    "type": _type_problem,
    "required": _required_problem,
    "properties": _is(dict, "an object"),
    "$defs": _is(dict, "an object"),
    "definitions": _is(dict, "an object"),
    "patternProperties": _is(dict, "an object"),
    "enum": _is(list, "a list"),
    "anyOf": _is(list, "a list"),
    "oneOf": _is(list, "a list"),
    "allOf": _is(list, "a list"),
    "prefixItems": _is(list, "a list"),
    "$ref": _is(str, "text"),
    "pattern": _is(str, "text"),
    "format": _is(str, "text"),
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "minLength": _is(int, "a whole number"),
    "maxLength": _is(int, "a whole number"),
    "minItems": _is(int, "a whole number"),
    "maxItems": _is(int, "a whole number"),
}

"""`$ref` in a tool's own schema: followed inside the schema, never fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

MAX_STEPS = 16


def resolved_ref(schema: Any, root: Mapping[str, Any]) -> Any:
    """The schema that a local `$ref` leads to; `{}` where it leads nowhere or in a circle.

    Keywords beside the `$ref` come first.
    """
    beside: dict[str, Any] = {}
    for _ in range(MAX_STEPS):
        if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str):
            return {**schema, **beside} if isinstance(schema, Mapping) else beside
        beside = {**{k: v for k, v in schema.items() if k != "$ref"}, **beside}
        schema = _at(root, schema["$ref"])
    return beside


def _at(root: Mapping[str, Any], reference: str) -> Any:
    if reference != "#" and not reference.startswith("#/"):
        return {}
    item: Any = root
    for part in unquote(reference[2:]).split("/") if len(reference) > 1 else ():
        token = part.replace("~1", "/").replace("~0", "~")
        item = item.get(token) if isinstance(item, Mapping) else None
    return item


def properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments that a schema lists at its top, also behind a `$ref` or `allOf`."""
    found: dict[str, Any] = {}
    top = resolved_ref(schema, schema)
    branches = top.get("allOf")
    inner = [resolved_ref(b, schema) for b in branches] if isinstance(branches, list) else []
    for item in (*inner, top):
        listed = item.get("properties")
        found |= listed if isinstance(listed, Mapping) else {}
    return found


def listed_only(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The arguments that a schema lists, None where there may be others beside them."""
    top, listed = resolved_ref(schema, schema), properties(schema)
    named = listed or isinstance(top.get("properties"), Mapping)
    return listed if named and not _open(top) else None


def _open(schema: Mapping[str, Any]) -> bool:
    """Whether arguments beyond `properties` are described elsewhere or allowed."""
    more = schema.get("additionalProperties")
    return (more is not None and more is not False) or any(
        key in schema
        for key in ("patternProperties", "allOf", "anyOf", "oneOf", "$ref", "if", "$dynamicRef")
    )


def default_of(schema: Any, root: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether an argument has a default, and which."""
    found = resolved_ref(schema, root)
    return "default" in found, found.get("default")

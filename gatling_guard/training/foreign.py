"""Values that a stranger's text could give: of the same kinds, and drawn as the gold values are.

Attacks, honest twins and gold plans use the same generator of values, so that an address or an
amount by itself says nothing of the label.
"""

from __future__ import annotations

import random
import re
from functools import cache
from typing import Any

from gatling_guard.training.sample import Json
from gatling_guard.training.toolsets import Param, tools
from gatling_guard.training.values import World

_SHAPES = (
    ("email", re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")),
    ("url", re.compile(r"https?://")),
    ("user", re.compile(r"@\w")),
    ("iban", re.compile(r"[A-Z]{2}\d{2}[A-Z0-9 ]{10,32}\Z")),
    ("datetime", re.compile(r"\d{4}-\d{2}-\d{2}T")),
    ("date", re.compile(r"\d{4}-\d{2}-\d{2}\Z")),
    ("phone", re.compile(r"\+?[\d ()/-]{8,20}\Z")),
    ("hash", re.compile(r"0x[0-9a-f]+\Z")),
    ("code", re.compile(r"[A-Z]{2,3}-\d+\Z")),
    ("path", re.compile(r"/\S*/\S*\Z")),
    ("id", re.compile(r"(?=\w*\d)\w+\Z")),
)
_NAMES = (
    ("url", re.compile(r"url|uri|link|endpoint|webhook|website", re.I)),
    ("iban", re.compile(r"iban|account|payee", re.I)),
    ("phone", re.compile(r"phone|mobile|sms", re.I)),
    ("email", re.compile(r"mail|\Ato\Z|recipient|invitee|member|user|attendee", re.I)),
    ("date", re.compile(r"date|\Aday\Z|\Adue", re.I)),
    ("path", re.compile(r"path|file|folder", re.I)),
    ("id", re.compile(r"(?:\A|_)id\Z|code|number|\Aref", re.I)),
)
_TRIES = 4
OUTWARD = frozenset(
    ["email", "url", "web_host", "phone", "user", "channel", "iban", "hash", "host", "ip"]
)
"""Kinds of values that are a place or a party outside."""


@cache
def _params() -> dict[str, dict[str, Param]]:
    return {tool.name: {param.name: param for param in tool.params} for tool in tools()}


def kind_of(tool: str, argument: str) -> str:
    """Kind of the values of an argument; "" for tools that are not of the project's catalog."""
    param = _params().get(tool, {}).get(argument)
    return param.kind if param is not None else ""


def like(
    value: Any, tool: str, argument: str, rng: random.Random, schema: Json | None = None
) -> Any:
    """Another value for an argument of a tool; None where there is none.

    Args:
        value: the value it has now.
        tool: name of the tool.
        argument: top-level argument.
        rng: chooses.
        schema: of the value.
    """
    if schema and isinstance(schema.get("enum"), list):
        others = [item for item in schema["enum"] if item != value]
        return rng.choice(others) if others else None
    if isinstance(value, bool) or value is None:
        return None
    world = World(rng)
    param = _params().get(tool, {}).get(argument)
    kind = param.kind if param is not None and param.kind != "enum" else _shape(value)
    for _ in range(_TRIES):
        other = world.value(kind) if kind else _number_like(value, rng)
        if other != value and isinstance(other, str) == isinstance(value, str):
            return other
    return None


def _shape(value: Any) -> str:
    """Kind of a text by its shape; "" for a number."""
    if not isinstance(value, str):
        return ""
    return next((kind for kind, pattern in _SHAPES if pattern.match(value)), "topic")


def _number_like(value: float, rng: random.Random) -> float:
    more = max(1.0, abs(value) * rng.uniform(0.3, 4.0))
    return value + round(more) if isinstance(value, int) else round(value + more, 2)


def values(tool: str, parameters: Json, wanted: list[str], rng: random.Random) -> Json:
    """Values for arguments of a tool.

    Args:
        tool: its name.
        parameters: its schema.
        wanted: names of arguments; the needed ones come besides.
        rng: chooses.
    """
    properties, world = parameters.get("properties") or {}, World(rng)
    known = _params().get(tool, {})
    found = {}
    for name in dict.fromkeys((*(parameters.get("required") or ()), *wanted)):
        if name in properties:
            found[name] = _fresh(world, name, properties[name], known.get(name))
    return found


def _fresh(world: World, name: str, schema: Json, param: Param | None) -> Any:
    if schema.get("type") == "array":
        return [_fresh(world, name, schema.get("items") or {}, param)]
    if schema.get("enum"):
        return world.pick(schema["enum"])
    if param is not None:
        return world.value(param.kind)
    if schema.get("type") in ("integer", "number"):
        return world.between(int(schema.get("minimum", 1)), int(schema.get("maximum", 40)))
    if schema.get("type") == "boolean":
        return True
    return world.value(next((kind for kind, found in _NAMES if found.search(name)), "topic"))

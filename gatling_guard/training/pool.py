"""Tools an extra call may use: those a sample already knows, else some of the project's own.

Everything here is used by attacks and by honest twins alike. `step` tools are what data goes
through on its way (summarise, encode, remember, save and open again).
"""

from __future__ import annotations

import random
from collections.abc import Collection
from functools import cache
from typing import Any

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.training import foreign
from gatling_guard.training.sample import Json, Sample
from gatling_guard.training.toolsets import tools
from gatling_guard.training.twin import spec_of

_TEXT: Json = {"type": "string"}
_OWN = 0.6
"""How often a tool that the sample already knows is taken, where one fits."""


def _tool(about: str, effect: str, properties: Json, **profile: Any) -> Json:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "description": about, "parameters": parameters, "profile": {"effect": effect, **profile},
    }  # fmt: skip


STEPS: dict[str, dict[str, Json]] = {
    "summarise": {
        "summarize_text": _tool("Shorten a text.", "read", {"text": _TEXT}, content_args=["text"]),
        "extractKeyPoints": _tool(
            "Key points of a text.", "read", {"content": _TEXT}, content_args=["content"]
        ),
        "translate_passage": _tool(
            "Translate a text.", "read", {"passage": _TEXT}, content_args=["passage"]
        ),
    },
    "encode": {
        "base64_encode": _tool("Base64 of a text.", "read", {"data": _TEXT}, content_args=["data"]),
        "compressText": _tool(
            "Compress a text.", "read", {"content": _TEXT}, content_args=["content"]
        ),
        "to_hex": _tool("Hexadecimal form.", "read", {"text": _TEXT}, content_args=["text"]),
    },
    "keep": {
        "save_note": _tool(
            "Keep a text under a name.", "write", {"name": _TEXT, "text": _TEXT},
            content_args=["text"], identity_args=["name"],
        ),
        "memory.store": _tool(
            "Remember a value.", "write", {"key": _TEXT, "value": _TEXT},
            content_args=["value"], identity_args=["key"],
        ),
    },
    "recall": {
        "open_note": _tool("Read a note.", "read", {"name": _TEXT}, identity_args=["name"]),
        "memory.recall": _tool("Recall a value.", "read", {"key": _TEXT}, identity_args=["key"]),
    },
}  # fmt: skip


def step(kind: str, rng: random.Random) -> tuple[str, Json]:
    """A tool that data goes through."""
    name = rng.choice(list(STEPS[kind]))
    return name, STEPS[kind][name]


@cache
def by_effect() -> dict[str, list[tuple[str, Json]]]:
    """The project's own tools by effect, in a fixed order."""
    found: dict[str, list[tuple[str, Json]]] = {}
    for tool in tools():
        found.setdefault(tool.effect, []).append((tool.name, tool.entry))
    return found


def pick(
    sample: Sample, effects: Collection[Effect], rng: random.Random, *, carries: bool = False,
) -> tuple[str, Json, ToolSpec] | None:  # fmt: skip
    """A tool with one of these effects.

    Args:
        sample: whose tools come first.
        effects: the wanted ones.
        rng: chooses.
        carries: it must have a destination and a text of its own.
    """
    if rng.random() < _OWN:
        own = [
            (name, tool, spec)
            for name, tool in sample.tools.items()
            if (spec := spec_of(name, tool)).profile.effect in effects and _fits(spec, carries)
        ]
        if own:
            return rng.choice(own)
    wanted = [e.value for e in Effect if e in effects and by_effect().get(e.value)]
    for _ in range(8):
        if not wanted:
            return None
        name, tool = rng.choice(by_effect()[rng.choice(wanted)])
        if _fits(spec := spec_of(name, tool), carries):
            return name, tool, spec
    return None


def _fits(spec: ToolSpec, carries: bool) -> bool:
    if not carries:
        return True
    properties = spec.parameters.get("properties") or {}
    return destination(spec) is not None and any(
        _is_text(properties.get(name)) for name in spec.profile.content_args
    )


def destination(spec: ToolSpec) -> str | None:
    """The argument that says where to: the first that holds an address of somebody."""
    properties = spec.parameters.get("properties") or {}
    for name in (*spec.profile.url_args, *spec.profile.identity_args):
        schema = properties.get(name) or {}
        if foreign.kind_of(spec.name, name) in foreign.OUTWARD and "enum" not in schema:
            return name
    return None


def _is_text(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type", "string") == "string"


def fill(spec: ToolSpec, rng: random.Random) -> Json:
    """Values for the arguments a tool needs, for the destination, and for one more."""
    identity, content = spec.profile.identity_args, spec.profile.content_args
    wanted = [name for name in (destination(spec), *content[-1:]) if name is not None]
    if identity and rng.random() < 0.5:
        wanted.append(rng.choice(identity))
    found = foreign.values(spec.name, spec.parameters, wanted, rng)
    return found or foreign.values(spec.name, spec.parameters, [*identity, *content][:1], rng)

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
    for name, entry in _catalog():
        found.setdefault(entry["profile"]["effect"], []).append((name, entry))
    return found


def _catalog() -> list[tuple[str, Json]]:
    to, text, size = _TEXT, _TEXT, {"type": "number"}
    return [
        ("send_email", _tool("Send a mail.", "send", {"to": to, "subject": text, "body": text},
                             identity_args=["to"], content_args=["subject", "body"])),
        ("postMessage", _tool("Post to a channel.", "send", {"channel": to, "text": text},
                              identity_args=["channel"], content_args=["text"])),
        ("webhook.push", _tool("Send data to an address.", "send", {"url": to, "payload": text},
                               identity_args=["url"], url_args=["url"], content_args=["payload"])),
        ("transfer_money", _tool("Pay an account.", "pay", {"iban": to, "amount": size},
                                 identity_args=["iban", "amount"])),
        ("invite_member", _tool("Give somebody access.", "permit", {"email": to, "role": text},
                                identity_args=["email"])),
        ("share_folder", _tool("Share a folder.", "permit", {"path": text, "user": to},
                               identity_args=["path", "user"])),
        ("delete_item", _tool("Delete an item.", "delete", {"id": text}, identity_args=["id"])),
        ("update_record", _tool("Change a record.", "write", {"id": text, "note": text},
                                identity_args=["id"], content_args=["note"])),
        ("run_job", _tool("Start a job.", "execute", {"job": text}, identity_args=["job"])),
    ]  # fmt: skip


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
    """The argument that says where to: the first identity argument that holds text."""
    properties = spec.parameters.get("properties") or {}
    for name in (*spec.profile.url_args, *spec.profile.identity_args):
        schema = properties.get(name) or {}
        if "enum" not in schema and (_is_text(schema) or _is_text(schema.get("items"))):
            return name
    return None


def _is_text(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type", "string") == "string"


def fill(spec: ToolSpec, rng: random.Random) -> Json:
    """Values for the arguments a tool needs, and for up to two that say who or what."""
    properties = spec.parameters.get("properties") or {}
    needed = list(spec.parameters.get("required") or ())
    needed += [n for n in (*spec.profile.identity_args, *spec.profile.content_args)[:2]
               if n in properties]  # fmt: skip
    found = {}
    for name in dict.fromkeys(needed):
        schema = properties.get(name) or {}
        kind = schema.get("type", "string")
        kind = kind[0] if isinstance(kind, list) else kind
        found[name] = foreign.named(name, kind, rng, schema)
    return found

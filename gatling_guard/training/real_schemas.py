"""Gold plans over real tool schemas, where a file of them is at hand.

The file is JSON lines (`name`, `description`, `parameters`), plain or compressed. What such a tool
does is read off its description, its profile is inferred as the guard infers it, and arguments get
values by their type and name. Takes schemas with at most `MAX_PARAMS` arguments that are scalars
or lists of scalars; of the others it makes nothing.
"""

from __future__ import annotations

import gzip
import json
import lzma
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatling_guard.catalog import ToolProfile, ToolSpec, spec_from_json_schema
from gatling_guard.errors import InputError, Issue
from gatling_guard.training.phrasing import Clause
from gatling_guard.training.plans import Json, Value, named
from gatling_guard.training.seed_catalog import Domain, Field, Operation, Thing, listed
from gatling_guard.training.tasks import Story, composed_text, tell_on
from gatling_guard.training.toolsets import Param, Tool, Toolset
from gatling_guard.training.values import KINDS, World

MAX_PARAMS = 8
_PLAIN = re.compile(r"[\w.:/ -]{1,64}\Z")
_SENTENCE = re.compile(r"[.\n;:(]")
_THING = Thing("result", (), ())
_NOWHERE = Toolset(Domain("real", (), 1, ()), 0, "", "id", lambda name: name)
_BY_NAME = (
    (("mail", "recipient"), "email"), (("iban", "account_number"), "iban"),
    (("phone", "mobile"), "phone"), (("url", "link", "website"), "url"),
    (("path", "folder", "directory"), "path"), (("file",), "file"),
    (("month",), "month"), (("time",), "datetime"), (("date", "day", "start", "end"), "date"),
    (("city", "location", "destination", "origin", "place"), "city"), (("country",), "country"),
    (("address", "street"), "address"), (("company", "organi", "brand"), "company"),
    (("currency",), "currency"), (("lang",), "lang"), (("user", "handle"), "user"),
    (("author", "person", "patient", "customer", "first", "last", "artist"), "person"),
    (("product", "item", "model"), "product"), (("symbol", "ticker", "stock"), "symbol"),
    (("body", "message", "content", "text", "comment", "note"), "note"), (("sql",), "sql"),
    (("title", "name", "subject", "topic", "query", "keyword", "search"), "topic"),
    (("host", "server", "service"), "host"), (("repo",), "repo"), (("branch",), "branch"),
    (("tag", "category", "type"), "tag"), (("id", "key", "code", "ref", "number"), "id"),
)  # fmt: skip


def read_schemas(path: str | Path) -> tuple[Tool, ...]:
    """The tools of a file that plans can be made with.

    Raises:
        InputError: a line is no JSON object; with file and line.
    """
    path = Path(path)
    found: dict[str, Tool] = {}
    opener: Any = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    with opener(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                data = json.loads(line)
                name = data["name"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                issue = Issue("", f"is no tool: {error}", str(path), number)
                raise InputError([issue], what="tool schemas") from None
            tool = _tool(data) if name not in found else None
            if tool is not None:
                found[name] = tool
    return tuple(found.values())


def _tool(data: Json) -> Tool | None:
    properties = (data.get("parameters") or {}).get("properties")
    text = _about(data.get("description") or "")
    if not isinstance(properties, dict) or not 0 < len(properties) <= MAX_PARAMS or not text:
        return None
    if not _PLAIN.match(data["name"]):
        return None
    try:
        spec = spec_from_json_schema(
            data["name"], data["parameters"], description=data["description"]
        )
    except InputError:
        return None
    required = spec.parameters.get("required", ())
    params = []
    for name, schema in properties.items():
        param = _param(name, schema, name in required)
        if param is None and name in required:
            return None
        if param is not None:
            params.append(param)
    profile = spec.profile
    operation = Operation(text, profile.effect.value, profile.scope, "record", (), (), (), ())
    tier = int(profile.tier)
    return Tool(
        spec.name, operation, _THING, tuple(params), _entry(spec), tier, _NOWHERE, profile.scope
    )


def _about(description: str) -> str:
    """The first clause of a description as a verb phrase; "" where it is none."""
    text = _SENTENCE.split(description.strip())[0].strip().rstrip(".")
    words = text.split()
    if not 2 <= len(words) <= 16 or not words[0].isalpha() or not text.isprintable():
        return ""
    first = words[0].lower()
    if first.endswith("s") and not first.endswith("ss"):
        first = first[:-1]  # "Returns", "Gets"
    if first in _NO_VERBS:
        return ""
    return " ".join([first, *words[1:]])


_NO_VERBS = frozenset(
    listed("thi the a an it api endpoint ha i you with for of get_ tool function")
)


def _entry(spec: ToolSpec) -> Json:
    profile: ToolProfile = spec.profile
    found: Json = {"effect": profile.effect.value, "tier": int(profile.tier)}
    found["scope"] = profile.scope
    for key in ("third_party", "identity_args", "content_args", "url_args"):
        if value := getattr(profile, key):
            found[key] = list(value)
    found["text_tier"] = int(profile.text_tier)
    return {"description": spec.description, "parameters": spec.parameters, "profile": found}


def _param(name: str, schema: Any, required: bool) -> Param | None:
    if not isinstance(schema, dict):
        return None
    many = schema.get("type") == "array"
    item = schema.get("items") if many else schema
    if not isinstance(item, dict) or any(k in item for k in ("pattern", "format", "minLength")):
        return None
    options = item.get("enum")
    if options:
        if not all(isinstance(o, str) and o for o in options):
            return None
        return Param("enum", name, "enum", required, many, Field(name, "enum", tuple(options)))
    kind = {"integer": "small", "number": "money", "string": _kind(name)}.get(item.get("type", ""))
    if kind is None or any(k in schema for k in ("minItems", "maxItems", "minimum", "maximum")):
        return None
    return Param("real", name, kind, required, many)


def _kind(name: str) -> str:
    low = name.lower()
    return next((kind for marks, kind in _BY_NAME if any(m in low for m in marks)), "topic")


def real_task(story: Story, tools: Sequence[Tool]) -> None:
    """One to three calls of real tools; ids flow on, and now and then the result is told on."""
    world, plan = story.world, story.plan
    start = world.between(0, len(tools) - 1)
    records: list[tuple[str, Json, int]] = []
    for i in range(world.pick((1, 1, 2, 2, 3))):
        tool = tools[(start + i) % len(tools)]
        if tool.name in plan.tools:
            continue
        clause = Clause("", "", said=tool.operation.name)
        given = [pair for p in tool.params if (pair := _given(world, p, clause, records))]
        node = plan.call(tool, given)
        story.clauses.append(clause)
        profile = tool.entry["profile"]
        tier = max(tool.tier, profile["text_tier"])
        row: Json = {
            _ID: world.value("id"),
            "name": world.value("topic"),
            "value": world.value("money"),
        }
        if profile["effect"] == "read":
            row["text"] = plan.prose(node, tier, world.between(1, 2))
        plan.outputs[node] = row
        records.append((node, row, tool.tier))
    if records and world.chance(0.3):
        node, row, tier = records[-1]
        text = composed_text(world, node, tier, {k: row[k] for k in ("name", "value")})
        tell_on(story, text, node)


_ID = "id"


def _given(
    world: World, param: Param, clause: Clause, records: list[tuple[str, Json, int]]
) -> tuple[Param, Value | list[Value]] | None:
    if not param.required and not world.chance(0.4):
        return None
    if param.kind == "id" and records and not param.many:
        node, row, tier = records[-1]
        return param, Value(row[_ID], tier, False, node, f"/{_ID}")
    values = [_fresh(world, param) for _ in range(world.between(1, 3) if param.many else 1)]
    own = param.kind == "note" and world.chance(0.3)
    found = [Value(v) if own else named(v) for v in values]
    if not own:
        clause.extras += [(f".{param.name}", param.kind, v) for v in values]
    return param, found if param.many else found[0]


def _fresh(world: World, param: Param) -> Any:
    if param.field is not None:
        return world.pick(param.field.options)
    return KINDS[param.kind](world)

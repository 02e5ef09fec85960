"""A plan in the making: calls, edges, results, and what is known of every value."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from gatling_guard.plan import escape
from gatling_guard.training.seed_catalog import Field, Thing
from gatling_guard.training.toolsets import Param, Tool, Toolset
from gatling_guard.training.values import World

Json = dict[str, Any]


class Value(NamedTuple):
    """A value with where it comes from."""

    value: Any
    tier: int = 1
    named: bool = False
    """The instruction gives it."""
    node: str = ""
    """The call whose output holds it; "" for what the user named or the model made up."""
    pointer: str = ""
    sensitive: bool = False
    caused: bool = False
    """The call it comes from was caused by untrusted text."""
    sources: tuple[tuple[str, str], ...] = ()
    """More (node, pointer) that a composed text was made from."""


def named(value: Any) -> Value:
    """A value that the instruction gives."""
    return Value(value, 1, True)


_PREVIEWS = 0.7
"""Share of the searches that show some text of what they found, in the first records."""
_PREVIEWED = 2
_ASKING = 0.35
"""Share of third parties' sentences that ask their reader for something."""


class Column(NamedTuple):
    """A field in the result of one vendor's tools."""

    key: str
    token: str
    """The key inside a pointer."""
    field: Field
    tier: int


@cache
def _columns(domain: str, variant: int, thing: str) -> tuple[Column, ...]:
    from gatling_guard.training.toolsets import toolsets

    toolset = toolsets()[domain][variant]
    found = next(t for t in toolset.domain.things if t.name == thing)
    return tuple(
        Column(
            toolset.rename(f.name),
            escape(toolset.rename(f.name)),
            f,
            3 if f.foreign else toolset.domain.tier,
        )
        for f in found.fields
    )


def columns(toolset: Toolset, thing: Thing) -> tuple[Column, ...]:
    """The fields of an object as the toolset returns them."""
    return _columns(toolset.domain.name, toolset.variant, thing.name)


@cache
def fact(
    tier: int, is_named: bool, untrusted: bool, sensitive: bool, disguised: bool, caused: bool
) -> Json:
    """What is known of a leaf. Shared: never changed in place."""
    return {
        "tier": tier,
        "named": is_named,
        "untrusted": untrusted,
        "sensitive": sensitive,
        "disguised": disguised,
        "caused": caused,
    }


class Record(NamedTuple):
    """A record in some output; its values can go into later calls."""

    node: str
    pointer: str
    data: Json
    toolset: Toolset
    thing: Thing

    @property
    def id(self) -> Value:
        """Its id. A system hands out ids itself, whoever filled the record."""
        key = self.toolset.id_key
        tier = self.toolset.domain.tier
        return Value(self.data[key], tier, False, self.node, f"{self.pointer}/{key}")

    def of(self, column: Column) -> Value:
        """The value of one of its fields."""
        where = f"{self.pointer}/{column.token}"
        value = self.data[column.key]
        secret = column.field.sensitive
        return Value(value, column.tier, False, self.node, where, secret)

    def first(self, *kinds: str) -> Value | None:
        """Its first value of one of these kinds."""
        for column in columns(self.toolset, self.thing):
            if column.field.kind in kinds and column.key in self.data:
                return self.of(column)
        return None


class Plan:
    """Grows call by call; `copy` branches off a twin that shares what is there already."""

    __slots__ = (
        *("edges", "facts", "literals", "nodes", "outputs", "prefix", "sized", "texts", "tools"),
        "world",
    )

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes: list[Json] = []
        self.edges: list[Json] = []
        self.facts: Json = {}
        self.texts: list[Json] = []
        self.outputs: Json = {}
        self.tools: Json = {}
        self.literals: dict[Any, int] = {}
        """Values that the instruction names, with the worst tier of an output that repeats them."""
        self.prefix = world.pick(("", "c", "call_", "n", "step-"))
        self.sized = world.chance(0.3)
        """Whether calls say `volume` and `sensitivity`."""

    def copy(self) -> Plan:
        """A twin: containers are its own, what they hold is shared."""
        twin = object.__new__(Plan)
        twin.world, twin.prefix, twin.sized = self.world, self.prefix, self.sized
        for name in ("nodes", "edges", "texts"):
            setattr(twin, name, list(getattr(self, name)))
        for name in ("facts", "outputs", "tools", "literals"):
            setattr(twin, name, dict(getattr(self, name)))
        return twin

    def call(
        self,
        tool: Tool,
        given: list[tuple[Param, Value | list[Value]]],
        *,
        control: str = "",
        temporal: str = "",
    ) -> str:
        """Add a call; returns its node id.

        Args:
            tool: what is called.
            given: its arguments.
            control: the call whose output decided that this one runs.
            temporal: the call that this one only waits for.
        """
        node = f"{self.prefix}{len(self.nodes) + 1}"
        arguments: Json = {}
        facts: Json = {}
        tier, volume, linked = tool.tier, None, set()
        for param, value in given:
            several = value if isinstance(value, list) else [value]
            arguments[param.name] = [v.value for v in several] if param.many else several[0].value
            for i, v in enumerate(several):
                where = f"/{escape(param.name)}" + (f"/{i}" if param.many else "")
                worst = v.tier
                is_named = v.named
                if is_named:
                    worst = max(worst, self.literals.setdefault(v.value, 1))
                elif type(v.value) is str and v.value in self.literals:
                    is_named = True  # an output repeats what the user said
                untrusted = worst == 3 and not is_named
                facts[where] = fact(worst, is_named, untrusted, v.sensitive, False, v.caused)
                tier = max(tier, worst)
                if v.node:
                    linked.add(v.node)
                    edge = {"source": v.node, "target": node, "argument": where}
                    if v.pointer:
                        edge["output"] = v.pointer
                    self.edges.append(edge)
                for source, _ in v.sources:
                    if source not in linked:
                        linked.add(source)
                        self.edges.append({"source": source, "target": node, "argument": where})
            if param.role == "limit":
                volume = arguments[param.name]
        if control and control not in linked:
            self.edges.append({"source": control, "target": node, "kind": "control"})
        if temporal and temporal not in linked and temporal != control:
            self.edges.append({"source": temporal, "target": node, "kind": "temporal"})
        call = {
            "node_id": node,
            "tool_name": tool.name,
            "arguments": arguments,
            "provenance_tier": tier,
            "scope_level": tool.entry["profile"]["scope"],
        }
        if self.sized:
            if volume is not None:
                call["volume"] = volume
            call["sensitivity"] = min(10, 2 * tool.entry["profile"]["scope"])
        self.nodes.append(call)
        self.facts[node] = facts
        self.tools[tool.name] = tool.entry
        return node

    # ------------------------------------------------------------------------------ results

    def listed(self, node: str, tool: Tool, count: int, fixed: Json) -> list[Record]:
        """The result of a search: short records, the first with the `fixed` fields."""
        toolset, thing, world = tool.toolset, tool.thing, self.world
        shown = columns(toolset, thing)
        short = [c for c in shown if c.field.kind != "prose" and not c.field.sensitive][:4]
        prose = next((c for c in shown if c.field.kind == "prose"), None)
        preview = prose if prose is not None and world.chance(_PREVIEWS) else None
        rows, found = [], []
        base = f"/{toolset.wrapper}" if toolset.wrapper else ""
        for i in range(count):
            row = {toolset.id_key: world.value("id")}
            for column in short:
                row[column.key] = self._cell(column, fixed if i == 0 else None)
            if preview is not None and i < _PREVIEWED:
                row[preview.key] = self.prose(node, preview.tier, 1)
            rows.append(row)
            found.append(Record(node, f"{base}/{i}", row, toolset, thing))
        self.outputs[node] = {toolset.wrapper: rows} if toolset.wrapper else rows
        return found

    def returned(self, node: str, tool: Tool, fixed: Json, *, lines: int = -1) -> Record:
        """The result of reading one object: all its fields, with third parties' prose."""
        toolset, thing, world = tool.toolset, tool.thing, self.world
        row = {toolset.id_key: world.value("id")}
        for column in columns(toolset, thing):
            if column.field.kind == "prose":
                count = world.between(1, 3) if lines < 0 else lines
                row[column.key] = self.prose(node, column.tier, count)
            else:
                row[column.key] = self._cell(column, fixed)
        self.outputs[node] = row
        return Record(node, "", row, toolset, thing)

    def done(self, node: str) -> None:
        """The result of an action: that it worked."""
        self.outputs[node] = self.world.pick(_DONE)

    def made(self, node: str, tool: Tool) -> Record:
        """The result of making something: its id."""
        row = {tool.toolset.id_key: self.world.value("id"), "status": "created"}
        self.outputs[node] = row
        return Record(node, "", row, tool.toolset, tool.thing)

    def _cell(self, column: Column, fixed: Json | None) -> Any:
        field = column.field
        if fixed is not None and field.name in fixed:
            value = fixed[field.name]
            if value in self.literals:
                self.literals[value] = max(self.literals[value], column.tier)
            return value
        if field.options:
            return self.world.pick(field.options)
        return self.world.value(field.kind)

    def prose(self, node: str, tier: int, count: int) -> str:
        """Some sentences of third parties; now and then one asks the reader for something."""
        found = []
        for _ in range(count):
            asking = self.world.r() < _ASKING
            text = self.world.sentence("asking" if asking else "prose")
            self.say(node, tier, text, directive=asking)
            found.append(text)
        return " ".join(found)

    def say(
        self,
        node: str,
        tier: int,
        text: str,
        *,
        directive: bool = False,
        authority: bool = False,
        goal_of: list[str] | None = None,
    ) -> Json:
        """Note a text that an output brought in; returns the note."""
        note = {
            "node": node,
            "tier": tier,
            "text": text,
            "directive": directive,
            "authority": authority,
            "goal_of": goal_of or [],
        }
        self.texts.append(note)
        return note

    def hosts(self) -> list[tuple[str, str, int]]:
        """Where third parties' text stands in results: node, pointer and tier."""
        found = []
        for call in self.nodes:
            node, entry = call["node_id"], self.tools[call["tool_name"]]
            profile = entry["profile"]
            everything = profile["tier"] == 3
            foreign = profile.get("third_party", ())
            if everything or foreign or profile.get("text_tier") == 3:
                for base, row in _rows(self.outputs[node]):
                    found += [
                        (node, f"{base}/{escape(key)}", 3)
                        for key, value in row.items()
                        if type(value) is str
                        and (" " in value if everything else key in foreign or key == "text")
                    ][-1:]
        return found

    def insert_line(self, node: str, pointer: str, tier: int, line: str, goal: list[str]) -> None:
        """Write one more sentence into a text of an output, at its start or end."""
        parts = pointer[1:].split("/")
        key = parts[-1].replace("~1", "/").replace("~0", "~")
        for base, row in _rows(self.outputs[node]):
            if pointer == f"{base}/{parts[-1]}":
                lines = [line, row[key]] if self.world.chance(0.4) else [row[key], line]
                changed = {**row, key: " ".join(lines)}
                self.outputs[node] = _with_row(self.outputs[node], base, changed)
        self.say(node, tier, line, directive=True, goal_of=goal)


def _rows(output: Any) -> list[tuple[str, Json]]:
    """The records of a result, each with its pointer."""
    if isinstance(output, list):
        return [(f"/{i}", row) for i, row in enumerate(output)]
    if not isinstance(output, dict):
        return []
    for key, value in output.items():
        if isinstance(value, list):
            return [(f"/{key}/{i}", row) for i, row in enumerate(value)]
    return [("", output)]


def _with_row(output: Any, base: str, row: Json) -> Any:
    """A result with one record replaced."""
    if not base:
        return row
    *outer, place = base[1:].split("/")
    rows = list(output[outer[0]] if outer else output)
    rows[int(place)] = row
    return {**output, outer[0]: rows} if outer else rows


_DONE: tuple[Any, ...] = (
    {"status": "ok"},
    {"success": True},
    {"ok": True},
    "done",
    {"result": "success"},
)

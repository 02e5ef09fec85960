"""Twins of a gold sample, built from parts: what a mutation does not touch is shared, not copied.

A `Draft` collects the changes; `done` makes the sample. Arguments, outputs, facts and nodes are
replaced on the way down to what changes, so the gold sample stays as it is.
Does not check: `validators.check` asks whether a twin is a valid sample.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from gatling_guard.catalog import ToolSpec
from gatling_guard.catalog.build import Parts, build
from gatling_guard.plan import escape
from gatling_guard.trace import Authority
from gatling_guard.training.bounds import with_bound, with_sentence
from gatling_guard.training.sample import Json, Label, Sample

_SPECS: dict[int, tuple[Json, ToolSpec]] = {}
"""By identity of a tool's dict, which is held so that its id stays its own."""
_MOST_SPECS = 50_000
PLAIN: Json = {
    "tier": 1,
    "named": False,
    "untrusted": False,
    "sensitive": False,
    "disguised": False,
    "caused": False,
}
"""What is known of a value that the model chose itself, or took from the user's own records."""
NAMED: Json = {**PLAIN, "named": True}
FOREIGN: Json = {**PLAIN, "tier": 3, "untrusted": True}
"""Out of a stranger's text, and of nothing better."""


class Place(NamedTuple):
    """One argument leaf of a plan."""

    at: int
    """Index of the node."""
    node: Json
    spec: ToolSpec
    path: str
    """JSON pointer inside the arguments."""
    argument: str
    """Top-level argument it stands under."""
    value: Any
    fact: Json
    acts: bool
    """The call has a side effect."""
    is_identity: bool
    """It says who, where, which or how much."""

    @property
    def schema(self) -> Json:
        """Schema of the top-level argument, empty where the tool declares none."""
        return (self.spec.parameters.get("properties") or {}).get(self.argument) or {}


def spec_of(name: str, tool: Json) -> ToolSpec:
    """The spec of a sample's tool."""
    known = _SPECS.get(id(tool))
    if known is None or known[1].name != name:
        if len(_SPECS) >= _MOST_SPECS:
            _SPECS.clear()
        parts = Parts(name, tool.get("description"), tool.get("parameters"))
        known = _SPECS[id(tool)] = (tool, build(parts, tool.get("profile") or {}))
    return known[1]


_LAST: list[tuple[Sample, tuple[Place, ...]]] = []
"""The last samples that were looked at, each held: a dozen mutations look at one in a row, and at
the honest twins of it in turn."""
_MOST_LAST = 6


def places(sample: Sample) -> tuple[Place, ...]:
    """Every argument leaf of the plan, call by call; keys that are data are left out."""
    for known, looked in _LAST:
        if known is sample:
            return looked
    found = tuple(_places(sample))
    _LAST.insert(0, (sample, found))
    del _LAST[_MOST_LAST:]
    return found


def readers(sample: Sample, *, before: int | None = None) -> list[int]:
    """Indices of calls whose output can hold a stranger's text, before the call at `before`."""
    found = []
    for at, node in enumerate(sample.plan["nodes"][:before]):
        tool = sample.tools.get(node["tool_name"])
        if tool is None or sample.outputs.get(node["node_id"]) is None:
            continue
        if not spec_of(node["tool_name"], tool).profile.effect.side_effect:
            found.append(at)
    return found


def _places(sample: Sample) -> Iterator[Place]:
    for at, node in enumerate(sample.plan["nodes"]):
        tool = sample.tools.get(node["tool_name"])
        if tool is None:
            continue
        spec, known = spec_of(node["tool_name"], tool), sample.facts.get(node["node_id"], {})
        profile = spec.profile
        acts, identity = profile.effect.side_effect, (*profile.identity_args, *profile.url_args)
        for argument, given in node["arguments"].items():
            about = argument in identity
            for path, value in scalars(f"/{escape(argument)}", given):
                fact = known.get(path, PLAIN)
                yield Place(at, node, spec, path, argument, value, fact, acts, about)


def scalars(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """As `plan.leaves`, without keys that are data, and quicker for what is hardly nested.

    Yields:
        JSON pointer and value.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from scalars(f"{path}/{escape(key)}", item)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from scalars(f"{path}/{at}", item)
    else:
        yield path, value


def authority_of(sample: Sample) -> Authority:
    """What the user said, turn by turn."""
    context = sample.governance.get("context") or {}
    return _authority((*(context.get("earlier") or ()), context.get("instruction") or ""))


@lru_cache(maxsize=64)
def _authority(said: tuple[str, ...]) -> Authority:
    return Authority.of(said)


def replaced(value: Any, path: str, new: Any) -> Any:
    """A JSON value with another one at a pointer; a missing key of an object is added."""
    if not path:
        return new
    head, _, rest = path[1:].partition("/")
    below = f"/{rest}" if rest else ""
    if isinstance(value, list):
        at = int(head)
        return [*value[:at], replaced(value[at], below, new), *value[at + 1 :]]
    key = head.replace("~1", "/").replace("~0", "~")
    return {**value, key: replaced(value.get(key), below, new)}


def facts_of(arguments: Json, given: dict[str, Json], default: Json = PLAIN) -> Json:
    """Facts of every leaf of new arguments.

    Args:
        arguments: of the call.
        given: fact by top-level argument.
        default: for all others.
    """
    found = {}
    for argument, value in arguments.items():
        fact = given.get(argument, default)
        for path, _ in scalars(f"/{escape(argument)}", value):
            found[path] = fact
    return found


class Draft:
    """A twin under construction."""

    def __init__(self, gold: Sample) -> None:
        self.gold = gold
        self.nodes: list[Json] = list(gold.plan["nodes"])
        self.edges: list[Json] = list(gold.plan["edges"])
        self.facts: Json = dict(gold.facts)
        self.texts = list(gold.texts)
        self.outputs: Json = dict(gold.outputs)
        self.tools = gold.tools
        self.governance = gold.governance

    def put(self, place: Place, value: Any, fact: Json, **node: Any) -> None:
        """Replace one argument value, and fields of its node besides."""
        old = self.nodes[place.at]
        arguments = replaced(old["arguments"], place.path, value)
        self.nodes[place.at] = {**old, **node, "arguments": arguments}
        known = {**self.facts.get(old["node_id"], {}), place.path: fact}
        self.facts[old["node_id"]] = known
        # What stood there came from somewhere else.
        self.edges = [
            e
            for e in self.edges
            if e["target"] != old["node_id"] or e.get("argument") != place.path
        ]

    def link(self, source: str, target: str, argument: str, output: str | None = None) -> None:
        """A data edge into one argument."""
        edge: Json = {"source": source, "target": target, "argument": argument}
        self.edges.append({**edge, **({"output": output} if output is not None else {})})

    def call(
        self, name: str, tool: Json, arguments: Json, facts: Json, *, after: int,
        output: Any = None, tier: int = 1, scope: int = 1,
    ) -> str:  # fmt: skip
        """Add a call behind the node at index `after`; returns its id."""
        node_id = self._new_id()
        node: Json = {"node_id": node_id, "tool_name": name, "arguments": arguments}
        node.update({"provenance_tier": tier, "scope_level": scope})
        self.nodes.insert(after + 1, node)
        self.facts[node_id] = facts
        if name not in self.tools:
            self.tools = {**self.tools, name: tool}
        if output is not None:
            self.outputs[node_id] = output
        return node_id

    def _new_id(self) -> str:
        last = str(self.gold.plan["nodes"][-1]["node_id"])
        stem, used = last.rstrip("0123456789"), {n["node_id"] for n in self.nodes}
        number = len(used)
        while f"{stem}{number}" in used:
            number += 1
        return f"{stem}{number}"

    def plant(
        self, node: str, text: str, rng: random.Random, *, directive: bool, authority: bool = False,
    ) -> bool:  # fmt: skip
        """Put a stranger's sentence into what a call returned; False where nothing can hold it.

        Its `goal_of` is empty until `directs` fills it.
        """
        spot = self._spot(node, rng)
        if spot is None:
            return False
        path, old = spot
        gap = rng.choice((" ", " ", "\n", "\n\n"))
        at = rng.random()
        if at < 0.5 or ". " not in old:
            new = f"{old}{gap}{text}"
        elif at < 0.7:
            new = f"{text}{gap}{old}"
        else:
            head, _, tail = old.partition(". ")
            new = f"{head}.{gap}{text}{gap}{tail}"
        self.outputs[node] = replaced(self.outputs[node], path, new)
        entry = {"node": node, "tier": 3, "text": text, "directive": directive}
        self.texts.append({**entry, "authority": authority, "goal_of": []})
        return True

    def _spot(self, node: str, rng: random.Random) -> tuple[str, str] | None:
        """A text of an output that no argument was taken from, the longest ones first."""
        output = self.outputs.get(node)
        if output is None:
            return None
        taken = {e.get("output") for e in self.edges if e["source"] == node}
        found = [
            (path, value)
            for path, value in scalars("", output)
            if type(value) is str and path not in taken
        ]
        prose = [spot for spot in found if len(spot[1]) > 40 and " " in spot[1]]
        return rng.choice(prose or found) if found else None

    def directs(self, *nodes: str) -> None:
        """The text planted last asks for these calls."""
        self.texts[-1] = {**self.texts[-1], "goal_of": list(nodes)}

    def say(self, sentence: str) -> None:
        """Let the user say one sentence more."""
        self.governance = with_sentence(self.governance, sentence)

    def state(self, kind: str, rng: random.Random, **values: Any) -> None:
        """Let the user or the policy state a bound (`bounds.WORDS`)."""
        self.governance = with_bound(self.governance, kind, rng, **values)

    def done(self, name: str, label: Label, severity: float, violates: list[str]) -> Sample:
        """The finished twin."""
        gold = self.gold
        maker = "twin" if label == "gold" else "boundary" if label == "boundary" else "corrupter"
        domain = gold.source.partition(":")[2] or gold.source
        return Sample(
            id=f"{gold.id}~{name}",
            family=gold.family,
            source=f"{maker}:{domain}",
            label=label,
            plan={"nodes": self.nodes, "edges": self.edges},
            governance=self.governance,
            tools=self.tools,
            facts=self.facts,
            texts=self.texts,
            outputs=self.outputs,
            mutation=None if label == "gold" else name,
            severity=round(severity, 3),
            violates=violates,
        )


def above(node: Json, **fields: Any) -> Json:
    """Fields of a node, each at least as large as it was; absent ones stay absent."""
    return {
        key: max(node[key], value) for key, value in fields.items() if node.get(key) is not None
    }

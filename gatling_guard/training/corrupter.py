"""Adversarial twins: a value is blown up, replaced, or a call swapped (R71).

`exfiltration` has those that add calls. Every mutation takes a gold sample and a generator and
gives its twin, or None where it does not apply: no such argument, no text before the call that
could hold a stranger's sentence. The twin differs in the violated fact only.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import Any

from gatling_guard.catalog import Effect
from gatling_guard.energy.scope import BUDGETS, RECIPIENTS
from gatling_guard.trace import name_words
from gatling_guard.training import foreign, lures, pool
from gatling_guard.training.bounds import stated
from gatling_guard.training.sample import Json, Sample
from gatling_guard.training.twin import (
    FOREIGN,
    PLAIN,
    Draft,
    Place,
    above,
    authority_of,
    facts_of,
    places,
    readers,
    spec_of,
)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_FROM = frozenset(["start", "from", "since", "after", "begin"])
_HARMFUL = frozenset((Effect.DELETE, Effect.PERMIT, Effect.PAY, Effect.EXECUTE, Effect.SEND))
MOST_LISTED = 60
"""Recipients of a blown-up list."""


def budget_of(place: Place) -> int | None:
    """Budget of an argument that says how much, by the last word of its name that has one."""
    if isinstance(place.value, bool) or not isinstance(place.value, (int, float)):
        return None
    words = reversed(name_words(place.argument))
    return next((BUDGETS[word] for word in words if word in BUDGETS), None)


def scope_blow_up(gold: Sample, rng: random.Random) -> Sample | None:
    """A limit, depth or number of days 5 to 10,000 times as large; or many parties on a list."""
    sized = [place for place in places(gold) if budget_of(place) is not None and place.value > 0]
    listed = [p for p in places(gold) if _is_listed(p) and is_grounded(gold, p)]
    if sized and authority_of(gold).budget("limit").unbounded:
        sized = []  # who wants all of them gets all of them
    if listed and (not sized or rng.random() < 0.3):
        return _more_parties(gold, rng, rng.choice(listed))
    for place in rng.sample(sized, len(sized)):
        known, default = budget_of(place), place.schema.get("default")
        assert known is not None
        floor = max(known, default) if isinstance(default, (int, float)) else known
        factor = math.exp(rng.uniform(math.log(5), math.log(10_000)))
        value = round(max(place.value * factor, floor * rng.uniform(1.5, 5)))
        value = min(value, place.schema.get("maximum", value), place.value * 10_000)
        if value <= floor or value < 5 * place.value:
            continue
        factor = value / place.value
        draft = Draft(gold)
        limits = [int(b.values["n"]) for b in stated(gold) if b.kind == "limit"]
        if not place.fact["named"] and not any(value > limit for limit in limits):
            least = max(p.value for p in sized if not isinstance(p.value, bool))
            draft.state("limit", rng, n=math.ceil(max(least, value / factor)))
        old = max(1, place.node.get("volume") or 1)
        level = min(10, (place.node.get("scope_level") or 1) + math.ceil(math.log10(factor)))
        draft.put(
            place, value, PLAIN, **above(place.node, scope_level=level, volume=round(old * factor))
        )
        severity = min(1.0, 0.5 + math.log10(factor) / 8)
        return draft.done("scope_blow_up", "adversarial", severity, ["scope"])
    return None


def _is_listed(place: Place) -> bool:
    """The first value of a list that says who gets something."""
    return (
        place.path.endswith("/0")
        and place.path.count("/") == 2
        and place.argument in place.spec.profile.identity_args
        and place.acts
        and isinstance(place.value, str)
    )


def _more_parties(gold: Sample, rng: random.Random, place: Place) -> Sample | None:
    listed = list(place.node["arguments"][place.argument])
    size = rng.randint(max(RECIPIENTS + 2, 5 * len(listed)), MOST_LISTED + 5 * len(listed))
    for _ in range(size):
        other = foreign.like(place.value, place.spec.name, place.argument, rng)
        if other is not None and other not in listed:
            listed.append(other)
    if len(listed) <= RECIPIENTS or len(listed) > place.schema.get("maxItems", len(listed)):
        return None
    draft, node = Draft(gold), place.node
    arguments = {**node["arguments"], place.argument: listed}
    draft.nodes[place.at] = {**node, "arguments": arguments, **above(node, scope_level=8)}
    known = dict(gold.facts.get(node["node_id"], {}))
    for i in range(len(listed)):
        known.setdefault(f"/{place.argument}/{i}", PLAIN)
    draft.facts[node["node_id"]] = known
    return draft.done("scope_blow_up", "adversarial", 0.8, ["scope"])


def wide_query(gold: Sample, rng: random.Random) -> Sample | None:
    """A period that starts years before the day that the user named.

    The structural energy does not see it: this is for the learned part alone.
    """
    starts = [p for p in places(gold) if _is_start(p) and p.fact["named"]]
    if not starts:
        return None
    place = rng.choice(starts)
    draft = Draft(gold)
    level = min(10, (place.node.get("scope_level") or 1) + 3)
    year = int(place.value[:4]) - rng.randint(3, 30)
    value = f"{year:04d}-01-01{place.value[10:]}"
    draft.put(place, value, PLAIN, **above(place.node, scope_level=level))
    return draft.done("wide_query", "adversarial", 0.6, ["scope"])


def _is_start(place: Place) -> bool:
    return (
        isinstance(place.value, str)
        and _DAY.match(place.value) is not None
        and not _FROM.isdisjoint(name_words(place.argument))
        and not place.acts
    )


def _targets(gold: Sample) -> list[Place]:
    """Identity values of calls with side effects, behind a call that could bring a text in."""
    first = min(readers(gold), default=len(gold.plan["nodes"]))
    found = [place for place in places(gold) if place.at > first and place.is_identity]
    # A call that works on a stranger's value anyway would not get worse.
    worst = {place.at for place in found if place.fact["tier"] == 3 and not place.fact["named"]}
    # Nor one that some text may direct anyway.
    led = {node for text in gold.texts if text["authority"] for node in text["goal_of"]}
    return [
        place
        for place in found
        if place.at not in worst
        and place.node["node_id"] not in led
        and place.acts
        and not isinstance(place.value, bool)
        and place.value not in (None, "")
        and place.fact["tier"] < 3
    ]


def _taken_over(
    draft: Draft, place: Place, value: Any, text: str, rng: random.Random, *, directive: bool
) -> bool:
    """Put a value of a planted text into a call; False where no output can hold the text."""
    before = readers(draft.gold, before=place.at)
    for at in rng.sample(before, len(before)):
        source = draft.gold.plan["nodes"][at]["node_id"]
        if draft.plant(source, text, rng, directive=directive):
            tier = {"provenance_tier": 3} if "provenance_tier" in place.node else {}
            draft.put(place, value, FOREIGN, **tier)
            draft.link(source, place.node["node_id"], place.path)
            return True
    return False


def _other(place: Place, rng: random.Random) -> Any:
    schema = place.schema
    if schema.get("type") == "array":
        schema = schema.get("items") or {}
    return foreign.like(place.value, place.spec.name, place.argument, rng, schema)


def instruction_shadowing(gold: Sample, rng: random.Random) -> Sample | None:
    """A text of an earlier output directs an argument of a call the user wanted."""
    targets = _targets(gold)
    for place in rng.sample(targets, len(targets)):
        value = _other(place, rng)
        if value is None:
            continue
        draft = Draft(gold)
        text = lures.lure(place.spec, [(place.argument, value)], rng)
        if _taken_over(draft, place, value, text, rng, directive=True):
            draft.directs(place.node["node_id"])
            terms = ["hierarchy", "provenance"]
            return draft.done("instruction_shadowing", "adversarial", 0.8, terms)
    return None


def provenance_rug_pull(gold: Sample, rng: random.Random) -> Sample | None:
    """A value of the user's or of his own records replaced by one that a stranger's text tells.

    Nothing asks for anything: only where the value comes from is wrong.
    """
    targets = _targets(gold)
    for place in rng.sample(targets, len(targets)):
        value = _other(place, rng)
        if value is None:
            continue
        draft = Draft(gold)
        text = lures.tells(place.argument, value, rng)
        if _taken_over(draft, place, value, text, rng, directive=False):
            return draft.done("provenance_rug_pull", "adversarial", 0.7, ["provenance"])
    return None


def sink_replaced(gold: Sample, rng: random.Random) -> Sample | None:
    """A call that sends earlier data on now sends it to an outside address."""
    carrying = {edge["target"] for edge in gold.plan["edges"]}
    targets = [
        place
        for place in _targets(gold)
        if place.node["node_id"] in carrying
        and place.spec.profile.sink
        and foreign.kind_of(place.spec.name, place.argument) in foreign.OUTWARD
        and is_grounded(gold, place)
        and _carries(gold, place)
    ]
    for place in rng.sample(targets, len(targets)):
        value = _other(place, rng)
        if value is None:
            continue
        draft = Draft(gold)
        text = lures.lure(place.spec, [(place.argument, value)], rng)
        if _taken_over(draft, place, value, text, rng, directive=True):
            draft.directs(place.node["node_id"])
            return draft.done("sink_replaced", "adversarial", 0.9, ["flow", "provenance"])
    return None


def is_grounded(gold: Sample, place: Place) -> bool:
    """Whether the user or an earlier output gave the value; one made up is as bad as a foreign."""
    if place.fact["named"]:
        return True
    target = place.node["node_id"]
    return any(
        e["target"] == target and e.get("argument") == place.path for e in gold.plan["edges"]
    )


def _carries(gold: Sample, place: Place) -> bool:
    """Whether a text argument of the call is filled from an earlier output."""
    content = place.spec.profile.content_args
    return any(
        edge["target"] == place.node["node_id"]
        and (edge.get("argument") or "/").split("/")[1] in content
        for edge in gold.plan["edges"]
        if edge.get("kind", "data") == "data"
    )


def tool_swap(gold: Sample, rng: random.Random) -> Sample | None:
    """A call replaced by one of higher privilege that takes over its values.

    A text said to use the other tool; the user asked for what the first one does. Not where the
    user lets a text decide: there the first call costs as much.
    """
    if any(text["directive"] for text in gold.texts):
        return None
    nodes, authority = gold.plan["nodes"], authority_of(gold)
    for at in rng.sample(range(1, len(nodes)), len(nodes) - 1):
        node = nodes[at]
        tool = gold.tools.get(node["tool_name"])
        before = readers(gold, before=at)
        if tool is None or not before:
            continue
        spec = spec_of(node["tool_name"], tool)
        found = pool.pick(gold, _HARMFUL, rng)
        if found is None or found[2].profile.privilege <= spec.profile.privilege:
            continue
        name, entry, other = found
        if authority.asks(other.profile.effect, other) or name == spec.name:
            continue
        draft = Draft(gold)
        source = nodes[rng.choice(before)]["node_id"]
        if not draft.plant(source, lures.instead(spec.name, name, rng), rng, directive=True):
            continue
        draft.directs(node["node_id"])
        arguments, facts = _mapped(gold, node, spec.profile.identity_args, other, rng)
        draft.nodes[at] = {**node, "tool_name": name, "arguments": arguments}
        draft.facts[node["node_id"]] = facts
        draft.tools = {**draft.tools, name: entry}
        draft.edges = [_loosened(edge, node, arguments) for edge in draft.edges]
        ordered = {"source": source, "target": node["node_id"], "kind": "temporal"}
        draft.edges.append(ordered)
        return draft.done("tool_swap", "adversarial", 0.9, ["hierarchy"])
    return None


def _mapped(
    gold: Sample, node: Json, identity: Sequence[str], spec: Any, rng: random.Random
) -> tuple[Json, Json]:
    """Arguments for another tool, with the values of the old call where types agree."""
    arguments = pool.fill(spec, rng)
    known, facts = gold.facts.get(node["node_id"], {}), facts_of(arguments, {})
    kept = [v for name in identity if isinstance(v := node["arguments"].get(name), str)]
    where = pool.destination(spec)
    if kept and where is not None and isinstance(arguments.get(where), str):
        name = next(name for name in identity if node["arguments"].get(name) == kept[0])
        arguments[where] = kept[0]
        facts[f"/{where}"] = known.get(f"/{name}", PLAIN)
    return arguments, facts


def _loosened(edge: Json, node: Json, arguments: Json) -> Json:
    """An edge into a swapped call keeps its place only where the same value still stands there."""
    name = (edge.get("argument") or "/")[1:]
    if edge["target"] != node["node_id"] or (
        name in arguments and arguments[name] == node["arguments"].get(name)
    ):
        return edge
    return {key: edge[key] for key in edge if key not in ("argument", "output")}

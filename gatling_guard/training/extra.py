"""Recipes for calls that are added to a plan, whoever asks for them.

A recipe puts its calls into an `Extra`, which knows who asks: the user, who names the values, or a
stranger's text, out of which they come. `exfiltration` makes attacks and their honest twin of them.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.training import lures, pool
from gatling_guard.training.sample import Json, Sample
from gatling_guard.training.twin import (
    FOREIGN,
    NAMED,
    PLAIN,
    Draft,
    authority_of,
    facts_of,
    readers,
    scalars,
    spec_of,
)
from gatling_guard.training.values import World

ACTS = tuple(e for e in Effect if e.side_effect)
"""Effects that somebody would want to cause."""
TRIES = 3
"""Draws of a recipe before it is said not to apply."""
_BOTH = 0.92
"""How often a text asks for what the user asks for, too: then only the user's words tell."""
_LONGEST = 400
"""Characters of an output that are carried away in one argument."""


@dataclass
class Extra:
    """One or more calls added to a plan, by whoever asked for them."""

    draft: Draft
    rng: random.Random
    source: int
    """Index of the call that brought the stranger's text in."""
    honest: bool
    """The user asked for it, and named its values."""
    told: bool
    """The stranger's text asks for it, too: always in an attack, often where the user did."""
    at: int = 0
    """Index of the call behind which the next one is put."""
    made: list[str] = field(default_factory=list)

    @property
    def identity(self) -> Json:
        """What is known of who and where the added calls are about."""
        if not self.honest:
            return FOREIGN
        return {**NAMED, "tier": 3} if self.told else NAMED

    def add(
        self, name: str, tool: Json, spec: ToolSpec, arguments: Json, facts: dict[str, Json], *,
        output: Any = None,
    ) -> str:  # fmt: skip
        """Put a call behind the last one."""
        tier = max((f["tier"] for f in facts.values()), default=1)
        node = self.draft.call(
            name, tool, arguments, facts_of(arguments, facts), after=self.at, output=output,
            tier=tier, scope=spec.profile.scope,
        )  # fmt: skip
        source = self.draft.gold.plan["nodes"][self.source]["node_id"]
        before = self.made[-1] if self.made else source
        self.draft.edges.append({"source": before, "target": node, "kind": "temporal"})
        self.at += 1
        self.made.append(node)
        return node

    def asked_for(self, spec: ToolSpec, values: list[tuple[str, Any]]) -> bool:
        """Say the request: to the user's mouth, or into the stranger's text."""
        if self.honest:
            self.draft.say(lures.request(spec, values, self.rng))
        if not self.told:
            return True
        source = self.draft.gold.plan["nodes"][self.source]["node_id"]
        text = lures.lure(spec, values, self.rng)
        if not self.draft.plant(source, text, self.rng, directive=True):
            return False
        self.draft.directs(*self.made)
        return True


Recipe = Callable[[Extra], bool]


def start(gold: Sample, rng: random.Random, *, honest: bool) -> Extra | None:
    """An empty addition behind a call that could bring a text in; None where there is none."""
    found = readers(gold)
    if not found:
        return None
    source = rng.choice(found)
    last = len(gold.plan["nodes"]) - 1
    at = last if rng.random() < 0.6 else rng.randint(source, last)
    return Extra(Draft(gold), rng, source, honest, not honest or rng.random() < _BOTH, at)


def _cargo(extra: Extra) -> tuple[str, str | None, str, Json] | None:
    """Data of an earlier output: its call, pointer and text, and what is known of it.

    The pointer is None where the text is the whole result, written out.
    """
    gold, rng = extra.draft.gold, extra.rng
    nodes = [n for n in gold.plan["nodes"][: extra.at + 1] if gold.outputs.get(n["node_id"])]
    if not nodes:
        return None
    node = rng.choice(nodes)
    output = gold.outputs[node["node_id"]]
    found = [
        (path, value)
        for path, value in scalars("", output)
        if isinstance(value, str) and len(value) > 3
    ]
    if found and (rng.random() < 0.7 or isinstance(output, str)):
        path, text = rng.choice(found)
    else:
        path, text = None, json.dumps(output, ensure_ascii=False)
    tier = node.get("provenance_tier", 1)
    sensitive = (node.get("sensitivity") or 0) >= 5
    fact = {**PLAIN, "tier": tier, "untrusted": tier == 3, "sensitive": sensitive}
    return node["node_id"], path, text[:_LONGEST], fact


def _carry(
    extra: Extra,
    pieces: list[str],
    source: str,
    path: str | None,
    fact: Json,
    *,
    in_url: bool = False,
) -> bool:
    """Send pieces of data to one place, a call each; the place is what somebody asked for."""
    found = pool.pick(extra.draft.gold, (Effect.SEND,), extra.rng, carries=True)
    if found is None:
        return False
    name, tool, spec = found
    where = pool.destination(spec)
    assert where is not None
    content = [n for n in spec.profile.content_args if n in (spec.parameters["properties"] or {})]
    base = pool.fill(spec, extra.rng)
    for piece in pieces:
        cargo = where if in_url and where in spec.profile.url_args else content[-1]
        value = f"{base[where]}/{piece}" if cargo == where else piece
        arguments = {**base, cargo: value}
        node = extra.add(
            name, tool, spec, arguments,
            {where: extra.identity, cargo: fact if cargo != where else {**fact, **extra.identity,
             "disguised": fact["disguised"], "sensitive": fact["sensitive"]}},
        )  # fmt: skip
        extra.draft.link(source, node, f"/{cargo}", None if cargo == where else path)
        if extra.told:
            text_from = extra.draft.gold.plan["nodes"][extra.source]["node_id"]
            extra.draft.link(text_from, node, f"/{where}")
    shown = base[where][0] if isinstance(base[where], list) else base[where]
    return extra.asked_for(spec, [(where, shown)])


def _send(extra: Extra) -> bool:
    found = _cargo(extra)
    if found is None:
        return False
    node, path, text, fact = found
    return _carry(extra, [text], node, path, fact)


def _split(extra: Extra) -> bool:
    found = _cargo(extra)
    if found is None or len(found[2]) < 8:
        return False
    node, path, text, fact = found
    count = extra.rng.randint(2, 3)
    size = -(-len(text[:120]) // count)
    pieces = [text[i : i + size] for i in range(0, len(text[:120]), size)]
    # Whoever asks for pieces does not want the whole to be seen, unless the user asks for them.
    fact = {**fact, "disguised": True, "sensitive": fact["sensitive"] or not extra.honest}
    return _carry(extra, pieces, node, path, fact, in_url=extra.rng.random() < 0.4)


def _encode(extra: Extra) -> bool:
    found = _cargo(extra)
    if found is None:
        return False
    node, path, text, fact = found
    name, tool = pool.step("encode", extra.rng)
    spec = spec_of(name, tool)
    argument = spec.profile.content_args[0]
    coded = base64.b64encode(text.encode()).decode()
    step = extra.add(name, tool, spec, {argument: text}, {argument: fact}, output=coded)
    extra.draft.link(node, step, f"/{argument}", path)
    return _carry(extra, [coded], step, "", {**fact, "disguised": True})


def _launder(extra: Extra) -> bool:
    """A value out of a text takes a way over a summary, a note or a memory, and is then used."""
    draft, rng = extra.draft, extra.rng
    found = pool.pick(draft.gold, (Effect.SEND, Effect.PAY, Effect.PERMIT), rng)
    if found is None or (where := pool.destination(found[2])) is None:
        return False
    name, tool, spec = found
    arguments = pool.fill(spec, rng)
    shown = arguments[where][0] if isinstance(arguments[where], list) else arguments[where]
    fact = {**PLAIN, "tier": 3, "untrusted": not extra.honest, "named": extra.honest}
    text_from = draft.gold.plan["nodes"][extra.source]["node_id"]
    if rng.random() < 0.5:
        step_name, step_tool = pool.step("summarise", rng)
        step_spec = spec_of(step_name, step_tool)
        argument = step_spec.profile.content_args[0]
        text = lures.tells(where, shown, rng)
        step = extra.add(step_name, step_tool, step_spec, {argument: text},
                         {argument: {**FOREIGN}}, output=text)  # fmt: skip
        draft.link(text_from, step, f"/{argument}")
    else:
        step = _kept(extra, where, shown, text_from)
    node = extra.add(name, tool, spec, arguments, {where: fact})
    draft.link(step, node, f"/{where}")
    return extra.asked_for(spec, [(where, shown)])


def _kept(extra: Extra, argument: str, value: Any, text_from: str) -> str:
    """Save a value and read it again; returns the call that read it."""
    at = extra.rng.randrange(2)
    keep, recall = list(pool.STEPS["keep"].items())[at], list(pool.STEPS["recall"].items())[at]
    label = World(extra.rng).value("topic")
    properties = list(keep[1]["parameters"]["properties"])
    saved = {properties[0]: label, properties[1]: f"{argument}: {value}"}
    spec = spec_of(*keep)
    first = extra.add(*keep, spec, saved, {properties[1]: {**FOREIGN}}, output="ok")
    extra.draft.link(text_from, first, f"/{properties[1]}")
    name = next(iter(recall[1]["parameters"]["properties"]))
    spec = spec_of(*recall)
    second = extra.add(*recall, spec, {name: label}, {}, output=f"{argument}: {value}")
    return second


def parties(spec: ToolSpec, arguments: Json) -> list[tuple[str, Any]]:
    """The single values that say who, where or which."""
    found = []
    for name in dict.fromkeys((*spec.profile.identity_args, *spec.profile.url_args)):
        value = arguments.get(name)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, (str, int, float)):
            found.append((name, value))
    return found


def _act(effects: Collection[Effect]) -> Recipe:
    """One call with one of these effects, about somebody or something a text names."""

    def recipe(extra: Extra) -> bool:
        found = pool.pick(extra.draft.gold, effects, extra.rng)
        if found is None:
            return False
        name, tool, spec = found
        arguments = pool.fill(spec, extra.rng)
        shown = parties(spec, arguments)
        if not shown:
            return False
        node = extra.add(name, tool, spec, arguments, {n: extra.identity for n, _ in shown})
        if extra.told:
            source = extra.draft.gold.plan["nodes"][extra.source]["node_id"]
            for argument, _ in shown:
                extra.draft.link(source, node, f"/{argument}")
        return extra.asked_for(spec, shown)

    return recipe


def _follow_up(extra: Extra) -> bool:
    """A call that a text caused, and a second one that goes on with what it returned."""
    first = pool.pick(extra.draft.gold, (Effect.WRITE, Effect.PERMIT, Effect.EXECUTE), extra.rng)
    second = pool.pick(extra.draft.gold, (Effect.SEND, Effect.WRITE, Effect.DELETE), extra.rng)
    where = pool.destination(second[2]) if second else None
    if first is None or second is None or where is None:
        return False
    name, tool, spec = first
    arguments = pool.fill(spec, extra.rng)
    shown = parties(spec, arguments)
    following = pool.fill(second[2], extra.rng)
    value = following[where][0] if isinstance(following[where], list) else following[where]
    made = extra.add(
        name, tool, spec, arguments, {n: extra.identity for n, _ in shown},
        output={"ok": True, "ref": value},
    )  # fmt: skip
    fact = PLAIN if extra.honest else {**FOREIGN, "caused": True}
    node = extra.add(*second, following, {where: fact})
    extra.draft.link(made, node, f"/{where}", "/ref")
    return extra.asked_for(spec, shown)


def _goal(extra: Extra) -> bool:
    """A side effect of a kind the user did not ask for, about his own things: nothing foreign."""
    found = pool.pick(extra.draft.gold, ACTS, extra.rng)
    if found is None:
        return False
    name, tool, spec = found
    if not extra.honest and authority_of(extra.draft.gold).asks(spec.profile.effect, spec):
        return False
    arguments = pool.fill(spec, extra.rng)
    shown = parties(spec, arguments) if extra.honest else []
    extra.add(name, tool, spec, arguments, {n: extra.identity for n, _ in shown})
    return extra.asked_for(spec, shown)


RECIPES: dict[str, tuple[Recipe, list[str], float]] = {
    "exfiltration_pivot": (_send, ["flow", "hierarchy"], 1.0),
    "split_secret": (_split, ["flow", "hierarchy"], 1.0),
    "encode_then_send": (_encode, ["flow", "hierarchy"], 1.0),
    "laundering": (_launder, ["provenance", "hierarchy"], 0.9),
    "directed_call": (_act(ACTS), ["hierarchy", "provenance"], 0.9),
    "permission": (_act((Effect.PERMIT,)), ["hierarchy", "provenance"], 1.0),
    "cause_follow_up": (_follow_up, ["hierarchy"], 0.9),
    "goal_without_literal": (_goal, ["hierarchy"], 0.7),
}
"""Recipe, the terms it violates where a text asks for it, and its severity, by name."""

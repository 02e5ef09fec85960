"""Adversarial twins with calls that nobody asked for, and the honest twin of each.

The same call, from the same lists of tools and values, is asked for by the user in `user_asked`: so
a longer plan, a tool's name or a way data takes says nothing of the label. What differs is who
asked and where the values come from.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.plan import leaves
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
    spec_of,
)
from gatling_guard.training.values import World

_ACTS = tuple(e for e in Effect if e.side_effect)
_TRIES = 3
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
    at: int = 0
    """Index of the call behind which the next one is put."""
    made: list[str] = field(default_factory=list)

    @property
    def identity(self) -> Json:
        """What is known of who and where the added calls are about."""
        return NAMED if self.honest else FOREIGN

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
            return True
        source = self.draft.gold.plan["nodes"][self.source]["node_id"]
        text = lures.lure(spec, values, self.rng)
        if not self.draft.plant(source, text, self.rng, directive=True):
            return False
        self.draft.directs(*self.made)
        return True


Recipe = Callable[[Extra], bool]


def _start(gold: Sample, rng: random.Random, *, honest: bool) -> Extra | None:
    found = readers(gold)
    if not found:
        return None
    source = rng.choice(found)
    last = len(gold.plan["nodes"]) - 1
    at = last if rng.random() < 0.6 else rng.randint(source, last)
    return Extra(Draft(gold), rng, source, honest, at)


def _attack(name: str, recipe: Recipe, terms: list[str], severity: float, gold: Sample,
            rng: random.Random) -> Sample | None:  # fmt: skip
    for _ in range(_TRIES):
        extra = _start(gold, rng, honest=False)
        if extra is None:
            return None
        if recipe(extra):
            return extra.draft.done(name, "adversarial", severity, terms)
    return None


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
        (leaf.path, leaf.value)
        for leaf in leaves(output)
        if isinstance(leaf.value, str) and not leaf.is_key and len(leaf.value) > 3
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
        if not extra.honest:
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


def _identity(spec: ToolSpec, arguments: Json) -> list[tuple[str, Any]]:
    """The single values that say who, where or which."""
    names = spec.profile.identity_args
    return [(n, arguments[n]) for n in names if isinstance(arguments.get(n), (str, int, float))]


def _act(effects: Collection[Effect]) -> Recipe:
    """One call with one of these effects, about somebody or something a text names."""

    def recipe(extra: Extra) -> bool:
        found = pool.pick(extra.draft.gold, effects, extra.rng)
        if found is None:
            return False
        name, tool, spec = found
        arguments = pool.fill(spec, extra.rng)
        shown = _identity(spec, arguments)
        if not shown:
            return False
        node = extra.add(name, tool, spec, arguments, {n: extra.identity for n, _ in shown})
        if not extra.honest:
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
    shown = _identity(spec, arguments)
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
    found = pool.pick(extra.draft.gold, _ACTS, extra.rng)
    if found is None:
        return False
    name, tool, spec = found
    if not extra.honest and authority_of(extra.draft.gold).asks(spec.profile.effect, spec):
        return False
    extra.add(name, tool, spec, pool.fill(spec, extra.rng), {})
    return extra.asked_for(spec, [])


_RECIPES: dict[str, tuple[Recipe, list[str], float]] = {
    "exfiltration_pivot": (_send, ["flow", "hierarchy"], 1.0),
    "split_secret": (_split, ["flow", "hierarchy"], 1.0),
    "encode_then_send": (_encode, ["flow", "hierarchy"], 1.0),
    "laundering": (_launder, ["provenance", "hierarchy"], 0.9),
    "directed_call": (_act(_ACTS), ["hierarchy", "provenance"], 0.9),
    "permission": (_act((Effect.PERMIT,)), ["hierarchy", "provenance"], 1.0),
    "cause_follow_up": (_follow_up, ["hierarchy"], 0.9),
    "goal_without_literal": (_goal, ["hierarchy"], 0.7),
}


def exfiltration_pivot(gold: Sample, rng: random.Random) -> Sample | None:
    """Earlier data goes to an outside address that a text gives."""
    return _named("exfiltration_pivot", gold, rng)


def split_secret(gold: Sample, rng: random.Random) -> Sample | None:
    """Data leaves in pieces: over several calls, or in the path of an address."""
    return _named("split_secret", gold, rng)


def encode_then_send(gold: Sample, rng: random.Random) -> Sample | None:
    """Data is encoded or compressed and then sent."""
    return _named("encode_then_send", gold, rng)


def laundering(gold: Sample, rng: random.Random) -> Sample | None:
    """A stranger's value takes a way over a summary, a note or a memory before it is used."""
    return _named("laundering", gold, rng)


def directed_call(gold: Sample, rng: random.Random) -> Sample | None:
    """A text asks for one more call, with its own values."""
    return _named("directed_call", gold, rng)


def permission(gold: Sample, rng: random.Random) -> Sample | None:
    """A text has somebody invited, given a role or a share."""
    return _named("permission", gold, rng)


def cause_follow_up(gold: Sample, rng: random.Random) -> Sample | None:
    """A later step of a call that a text caused."""
    return _named("cause_follow_up", gold, rng)


def goal_without_literal(gold: Sample, rng: random.Random) -> Sample | None:
    """One more side effect that is plausible and that nobody asked for; no foreign value in it."""
    return _named("goal_without_literal", gold, rng)


def _named(name: str, gold: Sample, rng: random.Random) -> Sample | None:
    recipe, terms, severity = _RECIPES[name]
    return _attack(name, recipe, terms, severity, gold, rng)


def delegation_abuse(gold: Sample, rng: random.Random) -> Sample | None:
    """The user lets a text decide one thing, and it asks for another."""
    return _delegated(gold, rng, honest=False)


def delegation_kept(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the user lets a text decide, and it asks for just that."""
    return _delegated(gold, rng, honest=True)


def _delegated(gold: Sample, rng: random.Random, *, honest: bool) -> Sample | None:
    extra = _start(gold, rng, honest=False)
    found = pool.pick(gold, _ACTS, rng)
    if extra is None or found is None:
        return None
    draft, (name, tool, spec) = extra.draft, found
    arguments = pool.fill(spec, rng)
    shown = _identity(spec, arguments)
    if not shown:
        return None
    node = extra.add(name, tool, spec, arguments, dict.fromkeys((n for n, _ in shown), FOREIGN))
    source = gold.plan["nodes"][extra.source]
    for argument, _ in shown:
        draft.link(source["node_id"], node, f"/{argument}")
    text = lures.lure(spec, shown, rng)
    if not draft.plant(source["node_id"], text, rng, directive=True, authority=honest):
        return None
    draft.directs(node)
    draft.say(lures.delegation(source["tool_name"], spec if honest else None, rng))
    if honest:
        return draft.done("delegation_kept", "gold", 0.0, [])
    return draft.done("delegation_abuse", "adversarial", 0.8, ["hierarchy", "provenance"])


def user_asked(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the user himself asks for what one of the attacks here adds."""
    extra = _start(gold, rng, honest=True)
    recipe = rng.choice(list(_RECIPES.values()))[0]
    if extra is None or not recipe(extra):
        return None
    return extra.draft.done("user_asked", "gold", 0.0, [])


def resisted(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: a text asks for a call, and the plan stays as it was."""
    found, picked = readers(gold), pool.pick(gold, _ACTS, rng)
    if not found or picked is None:
        return None
    draft, spec = Draft(gold), picked[2]
    arguments = pool.fill(spec, rng)
    shown = _identity(spec, arguments)
    source = gold.plan["nodes"][rng.choice(found)]["node_id"]
    if not draft.plant(source, lures.lure(spec, shown, rng), rng, directive=True):
        return None
    return draft.done("resisted", "gold", 0.0, [])

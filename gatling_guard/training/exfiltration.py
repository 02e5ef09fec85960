"""Adversarial twins with calls that nobody asked for, and the honest twin of each.

The same call, from the same lists of tools and values, is asked for by the user in `user_asked`: so
a longer plan, a tool's name or a way data takes says nothing of the label. What differs is who
asked and where the values come from.
"""

from __future__ import annotations

import random

from gatling_guard.training import lures, pool
from gatling_guard.training.extra import ACTS, RECIPES, TRIES, parties, start
from gatling_guard.training.sample import Sample
from gatling_guard.training.twin import FOREIGN, Draft, readers


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
    recipe, terms, severity = RECIPES[name]
    for _ in range(TRIES):
        extra = start(gold, rng, honest=False)
        if extra is None:
            return None
        if recipe(extra):
            return extra.draft.done(name, "adversarial", severity, terms)
    return None


def delegation_abuse(gold: Sample, rng: random.Random) -> Sample | None:
    """The user lets a text decide one thing, and it asks for another."""
    return _delegated(gold, rng, honest=False)


def delegation_kept(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the user lets a text decide, and it asks for just that."""
    return _delegated(gold, rng, honest=True)


def _delegated(gold: Sample, rng: random.Random, *, honest: bool) -> Sample | None:
    extra = start(gold, rng, honest=False)
    for _ in range(TRIES if extra is not None else 0):
        found = pool.pick(gold, ACTS, rng)
        arguments = pool.fill(found[2], rng) if found else {}
        if found and (shown := parties(found[2], arguments)):
            break
    else:
        return None
    assert extra is not None
    draft, (name, tool, spec) = extra.draft, found
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
    extra = start(gold, rng, honest=True)
    recipe = rng.choice(list(RECIPES.values()))[0]
    if extra is None or not recipe(extra):
        return None
    return extra.draft.done("user_asked", "gold", 0.0, [])


def resisted(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: a text asks for a call, and the plan stays as it was."""
    found, picked = readers(gold), pool.pick(gold, ACTS, rng)
    if not found or picked is None:
        return None
    draft, spec = Draft(gold), picked[2]
    arguments = pool.fill(spec, rng)
    shown = parties(spec, arguments)
    source = gold.plan["nodes"][rng.choice(found)]["node_id"]
    if not draft.plant(source, lures.lure(spec, shown, rng), rng, directive=True):
        return None
    return draft.done("resisted", "gold", 0.0, [])

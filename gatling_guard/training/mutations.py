"""All mutations by name, with their terms, their class and how often each is drawn."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from gatling_guard.training import boundary, corrupter, exfiltration
from gatling_guard.training.sample import Label, Sample

Apply = Callable[[Sample, random.Random], Sample | None]
HELD_OUT = 0.15
"""Share of the mutations that training never sees."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to make a twin."""

    name: str
    apply: Apply
    label: Label
    """`gold`: an honest twin, the contrast to the others."""
    terms: tuple[str, ...]
    """Terms it violates, the plainest first."""
    weight: float
    """How often it is drawn among those of its group."""
    group: str
    """`attack`, `honest`, or the group of a boundary mutation (R153)."""
    adds: bool = False
    """It makes the plan longer."""
    blind: bool = False
    """The structural energy does not see it: only what is learned can."""


def _attacks() -> list[Mutation]:
    hierarchy, provenance, scope, flow = ("hierarchy", "provenance", "scope", "flow")
    rows: list[tuple[Apply, tuple[str, ...], float, bool]] = [
        (corrupter.scope_blow_up, (scope,), 3.5, False),
        (corrupter.instruction_shadowing, (hierarchy, provenance), 5.0, False),
        (corrupter.provenance_rug_pull, (provenance,), 4.0, False),
        (corrupter.sink_replaced, (flow, provenance), 4.0, False),
        (corrupter.tool_swap, (hierarchy,), 3.0, False),
        (exfiltration.exfiltration_pivot, (flow, hierarchy), 1.5, True),
        (exfiltration.split_secret, (flow, hierarchy), 0.6, True),
        (exfiltration.encode_then_send, (flow, hierarchy), 0.6, True),
        (exfiltration.laundering, (provenance, hierarchy), 0.8, True),
        (exfiltration.directed_call, (hierarchy, provenance), 1.0, True),
        (exfiltration.permission, (hierarchy, provenance), 0.7, True),
        (exfiltration.cause_follow_up, (hierarchy,), 0.6, True),
        (exfiltration.goal_without_literal, (hierarchy,), 0.7, True),
        (exfiltration.delegation_abuse, (hierarchy, provenance), 1.0, True),
    ]
    found = [
        Mutation(apply.__name__, apply, "adversarial", terms, weight, "attack", adds=adds)
        for apply, terms, weight, adds in rows
    ]
    wide = corrupter.wide_query
    return [
        *found,
        Mutation("wide_query", wide, "adversarial", (scope,), 1.0, "attack", blind=True),
    ]


def _boundaries() -> list[Mutation]:
    rows: list[tuple[Apply, str, str, float, bool]] = [
        (boundary.limit_exceeded, "scope", "scope", 4.0, False),
        (boundary.several_times, "scope", "scope", 3.0, False),
        (boundary.one_more_recipient, "scope", "scope", 3.0, True),
        (boundary.tier_up, "permission", "provenance", 1.0, False),
        (boundary.longer_window, "temporal", "scope", 1.0, True),
        (boundary.more_sensitive_field, "sensitivity", "flow", 1.0, True),
    ]
    return [
        Mutation(apply.__name__, apply, "boundary", (term,), weight, group, blind=blind)
        for apply, group, term, weight, blind in rows
    ]


def _honest() -> list[Mutation]:
    rows: list[tuple[Apply, float, bool]] = [
        (exfiltration.user_asked, 14.5, True),
        (exfiltration.delegation_kept, 4.0, True),
        (exfiltration.resisted, 1.0, False),
        (boundary.at_the_limit, 6.5, False),
        (boundary.one_under, 3.0, False),
        (boundary.one_more_asked, 2.0, False),
        (boundary.source_allowed, 2.0, False),
        (boundary.in_time, 3.0, False),
        (boundary.private_asked, 1.0, False),
    ]
    return [
        Mutation(apply.__name__, apply, "gold", (), weight, "honest", adds=adds)
        for apply, weight, adds in rows
    ]


@cache
def registry() -> dict[str, Mutation]:
    """Every mutation by name."""
    return {m.name: m for m in (*_attacks(), *_boundaries(), *_honest())}


@cache
def of_group(group: str) -> tuple[Mutation, ...]:
    """The mutations of a group."""
    return tuple(m for m in registry().values() if m.group == group)


def is_held_out(name: str) -> bool:
    """Whether training never sees a mutation: by a hash of its name, so it never changes."""
    found = hashlib.sha256(f"held-out/mutation/{name}".encode()).digest()
    return int.from_bytes(found[:8], "big") / 2.0**64 < HELD_OUT


def held_out() -> tuple[str, ...]:
    """Names of the mutations that are kept for the test report."""
    return tuple(name for name in registry() if is_held_out(name))


def draw(group: str, gold: Sample, rng: random.Random) -> Sample | None:
    """A twin by a mutation of a group that applies, each as often as its weight says."""
    left = of_group(group)
    while left:
        chosen = left[0]
        if len(left) > 1:
            chosen = rng.choices(left, [mutation.weight for mutation in left])[0]
        twin = chosen.apply(gold, rng)
        if twin is not None:
            return twin
        left = tuple(mutation for mutation in left if mutation is not chosen)
    return None

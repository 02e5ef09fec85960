"""Functional-intent similarity: the share of what was asked for that a repair leaves (R58).

The weighted mean, over the goals that the original plan serves (`goals`), of how far the repaired
plan serves them:

| of a goal is left | when |
|---|---|
| 1 | the call, value, text or data is as it was |
| x 0.95 | the call waits for a person |
| x 0.9, x 0.6 | another tool with the same effect; with a lesser one |
| kept / all | characters of a redacted text, without directives of strangers; elements of a list |
| size / needed | a limit or period below what the user said, or below a page of results |
| 0 | it is gone |

1 where the original serves no goal: then nothing that was asked for can be lost. Does not see: what
`goals` does not see, and whether a shorter text still says what it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatling_guard.catalog.names import words
from gatling_guard.energy.scope import PAGE
from gatling_guard.plan import Provenance, ToolCall, canonical_json, leaves
from gatling_guard.repair.goals import GoalKind, Reading, Wanted, foreign, goals_of, readings
from gatling_guard.repair.lattice import origin_of
from gatling_guard.repair.narrower import REDACTED, is_size, redacts
from gatling_guard.repair.types import Draft, Scene
from gatling_guard.trace import Lineage
from gatling_guard.trace.amounts import number

HELD = 0.95
"""A person may say no, and it comes later."""
SAME_EFFECT, LESSER_EFFECT = 0.9, 0.6
_PERIODS = frozenset(("days", "hours", "months", "weeks", "years"))


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that was asked for and that the original plan serves."""

    kind: GoalKind
    node_id: str
    where: str
    """JSON pointer inside the arguments; "" where it is about the whole call."""
    weight: float
    served: float
    """0..1, by the repaired plan."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """How much of what was asked for is left."""

    value: float
    """0..1."""
    goals: tuple[Goal, ...]


def similarity(scene: Scene, before: Draft, after: Draft) -> Similarity:
    """How much of what the instruction asks for, and `before` does, `after` still does.

    Args:
        scene: what was authorised; with lineages, what strangers gave is told apart.
        before: the original plan.
        after: the repaired one.
    """
    read = readings(scene, before)
    repaired = _Repaired(scene, before, after, read)
    goals = tuple(
        Goal(want.kind, want.nodes[0], want.leaf.path if want.leaf else "", want.weight,
             max(repaired.serves(want, node) for node in want.nodes))
        for want in goals_of(scene, before, read)
    )  # fmt: skip
    total = sum(goal.weight for goal in goals)
    kept = sum(goal.weight * goal.served for goal in goals)
    return Similarity(min(1.0, kept / total) if total else 1.0, goals)


class _Repaired:
    """The repaired plan as a server of goals."""

    def __init__(self, scene: Scene, before: Draft, after: Draft, read: dict[str, Reading]) -> None:
        self.scene, self.after, self.read = scene, after, read
        self.parts: dict[str, list[ToolCall]] = {}
        for node, call in after.plan.calls.items():
            self.parts.setdefault(origin_of(before, node) or node, []).append(call)
        self.held_before = before.holds

    def serves(self, want: Wanted, node: str) -> float:
        """0..1: of the calls that one became, the best."""
        found = [self._by(want, node, call) * self._waits(node, call) for call in self._of(node)]
        return max(found, default=0.0)

    def _of(self, node: str) -> list[ToolCall]:
        return self.parts.get(node, [])

    def _waits(self, node: str, call: ToolCall) -> float:
        waits = call.node_id in self.after.holds and node not in self.held_before
        return HELD if waits else 1.0

    def _by(self, want: Wanted, node: str, call: ToolCall) -> float:
        one = self.read.get(node)
        if one is None:  # of a tool that nobody knows: no edit changes what it is
            return 1.0
        if want.leaf is None:
            return self._tool(one, call) * (self._size(one, call) if want.kind == "data" else 1.0)
        if want.kind == "value":
            return float(_stands(want.leaf, call))
        return _text(want.leaf, call)

    def _tool(self, one: Reading, call: ToolCall) -> float:
        if call.tool_name == one.call.tool_name:
            return 1.0
        spec = self.scene.specs(call.tool_name)
        same = spec is not None and spec.profile.effect is one.spec.profile.effect
        return SAME_EFFECT if same else LESSER_EFFECT

    def _size(self, one: Reading, call: ToolCall) -> float:
        """How much of the data that was asked for is still read."""
        left = 1.0
        for name, old in one.call.arguments.items():
            new = call.arguments.get(name)
            if isinstance(old, list) and isinstance(new, list):
                left *= _share(one, name, new)
            elif is_size(name):
                left *= self._enough(name, old, new)
        return left

    def _enough(self, name: str, old: Any, new: Any) -> float:
        before, now = number(old), number(new)
        if not before or now is None or now >= before:
            return 1.0
        period = not _PERIODS.isdisjoint(words(name))
        said = self.scene.authority.budget("days" if period else "limit")
        if said.unbounded:
            return float(now / before)
        if said.value is not None:
            need = min(float(before), said.value)
        else:
            need = float(before) if period else min(float(before), PAGE)
        return min(1.0, float(now) / need) if need > 0 else 1.0


def _stands(leaf: Lineage, call: ToolCall) -> bool:
    """Whether a value stands in its argument; its place in a list does not matter."""
    given = leaves({leaf.argument: call.arguments.get(leaf.argument)})
    value = canonical_json(leaf.value)
    return any(canonical_json(item.value) == value for item in given)


def _text(leaf: Lineage, call: ToolCall) -> float:
    old = str(leaf.value)
    texts = [x.value for x in leaves(call.arguments.get(leaf.argument)) if isinstance(x.value, str)]
    if old in texts:
        return 1.0
    return max((_kept(leaf, old, text) for text in texts if redacts(old, text)), default=0.0)


def _kept(leaf: Lineage, old: str, new: str) -> float:
    """Share of the characters; nobody asked for what a stranger's text tells its reader to do."""
    left = len(new) - new.count(REDACTED) * len(REDACTED)
    led = {
        span.text
        for span in leaf.spans
        if span.directive and span.tier is Provenance.PUBLIC
        if span.text in old and span.text not in new
    }
    unwanted = min(len(old) - left, sum(map(len, led)))
    return left / (len(old) - unwanted) if len(old) > unwanted else 1.0


def _share(one: Reading, name: str, new: list[Any]) -> float:
    """Of the elements that no stranger gave, how many are left; named ones count double."""
    have = {canonical_json(item.value) for item in leaves(new)}
    units = [
        (2.0 if leaf.named else 1.0, canonical_json(leaf.value) in have)
        for leaf in one.facts.lineage
        if leaf.argument == name and not foreign(leaf) and not leaf.trivial
    ]
    total = sum(unit for unit, _ in units)
    return sum(unit for unit, kept in units if kept) / total if total else 1.0

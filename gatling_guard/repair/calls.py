"""Edits of a whole call: drop, swap, split, hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from gatling_guard.plan import Edge, ExecutionPlan
from gatling_guard.plan.values import escape
from gatling_guard.repair import costs
from gatling_guard.repair.places import (
    call_of,
    cut,
    remade,
    thinned,
    value_at,
    with_call,
    with_value,
)
from gatling_guard.repair.types import Draft, EditError
from gatling_guard.rules import shown

REST = "-rest"
"""Ends the id of the call that `Split` makes."""


def dependants(plan: ExecutionPlan, node_id: str) -> tuple[str, ...]:
    """Calls that use what a call returns or that it decided on, in the order of the plan.

    Those that only ran after it do not depend on it.
    """
    found = {node_id}
    for node in plan.order:
        if not found.isdisjoint(plan.flows[node]):
            found.add(node)
    return tuple(node for node in plan.order if node in found and node != node_id)


@dataclass(frozen=True, slots=True)
class Drop:
    """A call, and what depends on it, is not made."""

    kind: ClassVar[Literal["drop"]] = "drop"
    where: ClassVar[Literal[""]] = ""
    node_id: str
    also: tuple[str, ...] = ()
    """Its dependants when the edit was made: no others are dropped with it."""

    @property
    def cost(self) -> float:
        """The same again for each dependant."""
        return costs.DROP * (1 + len(self.also))

    @property
    def sentence(self) -> str:
        """For people."""
        rest = f", and what depends on it: {shown(', '.join(self.also))}" if self.also else ""
        return f"{shown(self.node_id)} is left out{rest}"

    @property
    def data(self) -> dict[str, Any]:
        """Machine form."""
        return {"kind": self.kind, "node_id": self.node_id, "also": list(self.also)}

    def apply(self, draft: Draft) -> Draft:
        """The draft without them.

        Raises:
            EditError: something else depends on the call by now, or nothing would be left.
        """
        call_of(draft, self.node_id)
        gone = {self.node_id, *dependants(draft.plan, self.node_id)}
        if not gone <= {self.node_id, *self.also}:
            raise EditError(f"more depends on {self.node_id!r} than was said")
        nodes = tuple(node for node in draft.plan.nodes if node.node_id not in gone)
        if not nodes:
            raise EditError(f"nothing would be left without {self.node_id!r}")
        edges = tuple(e for e in draft.plan.edges if gone.isdisjoint((e.source, e.target)))
        return Draft(ExecutionPlan(nodes=nodes, edges=edges), draft.holds - gone)


@dataclass(frozen=True, slots=True)
class Swap:
    """Another tool, which can do less, is called with the arguments that it knows."""

    kind: ClassVar[Literal["swap"]] = "swap"
    where: ClassVar[Literal[""]] = ""
    node_id: str
    tool: str
    left_out: tuple[str, ...] = ()
    """Arguments that the other tool does not have."""

    @property
    def cost(self) -> float:
        """By the number of arguments that are lost."""
        return costs.with_values(costs.SWAP, len(self.left_out))

    @property
    def sentence(self) -> str:
        """For people."""
        rest = f", without {shown(', '.join(self.left_out))}" if self.left_out else ""
        return f"{shown(self.node_id)} calls {shown(self.tool)} instead{rest}"

    @property
    def data(self) -> dict[str, Any]:
        """Machine form."""
        own = {"node_id": self.node_id, "tool": self.tool, "left_out": list(self.left_out)}
        return {"kind": self.kind, **own}

    def apply(self, draft: Draft) -> Draft:
        """The draft with the other tool.

        Raises:
            EditError: it is the same tool, or an argument to leave out is not given.
        """
        call = call_of(draft, self.node_id)
        if call.tool_name == self.tool or not set(self.left_out) <= call.arguments.keys():
            raise EditError(f"{self.node_id!r} cannot be swapped for {self.tool!r}")
        kept = {k: v for k, v in call.arguments.items() if k not in self.left_out}
        edges = draft.plan.edges
        for name in self.left_out:
            edges = tuple(cut(edges, self.node_id, f"/{escape(name)}"))
        return with_call(draft, remade(call, {"tool_name": self.tool, "arguments": kept}), edges)


@dataclass(frozen=True, slots=True)
class Split:
    """Values of a list go into a call of their own, and that one waits for a person."""

    kind: ClassVar[Literal["split"]] = "split"
    node_id: str
    where: str
    moved: tuple[int, ...]
    """Places in the list."""

    @property
    def cost(self) -> float:
        """By the number of values that wait."""
        return costs.with_values(costs.SPLIT, len(self.moved))

    @property
    def sentence(self) -> str:
        """For people."""
        many = "a value waits" if len(self.moved) == 1 else f"{len(self.moved)} values wait"
        return f"{shown(self.node_id)}: {many} for a person, out of {shown(self.where[1:])}"

    @property
    def data(self) -> dict[str, Any]:
        """Machine form."""
        own = {"node_id": self.node_id, "where": self.where, "moved": list(self.moved)}
        return {"kind": self.kind, **own}

    def apply(self, draft: Draft) -> Draft:
        """The draft with two calls in place of one; both have its edges.

        Raises:
            EditError: there is no such list, one part would be empty, or it was split before.
        """
        call = call_of(draft, self.node_id)
        listed, moved = value_at(call.arguments, self.where), frozenset(self.moved)
        if not isinstance(listed, list) or not moved or not moved < set(range(len(listed))):
            raise EditError(f"{self.where!r} is no list that can be split so")
        rest_id = f"{self.node_id}{REST}"
        if rest_id in draft.plan.calls:
            raise EditError(f"{self.node_id!r} was split before")
        stay = frozenset(range(len(listed))) - moved
        # The rows that the call was going to touch are shared out: none is counted twice (R60).
        volume = call.volume
        waiting = None if volume is None else volume * len(moved) // len(listed)
        first = remade(call, {
            "arguments": _only(call.arguments, self.where, listed, stay),
            "volume": None if volume is None or waiting is None else volume - waiting,
        })  # fmt: skip
        second = remade(call, {
            "arguments": _only(call.arguments, self.where, listed, moved),
            "volume": waiting, "node_id": rest_id,
        })  # fmt: skip
        edges = draft.plan.edges
        copied = thinned((e for e in edges if e.target == self.node_id), self.node_id, self.where,
                         stay)  # fmt: skip
        into = [Edge(**{**edge.model_dump(), "target": rest_id}) for edge in copied]
        out = [
            Edge(**{**e.model_dump(), "source": rest_id})
            for e in edges if e.source == self.node_id
        ]  # fmt: skip
        kept = thinned(edges, self.node_id, self.where, moved)
        nodes = tuple(
            part
            for node in draft.plan.nodes
            for part in ((first, second) if node.node_id == self.node_id else (node,))
        )
        plan = ExecutionPlan(nodes=nodes, edges=tuple(dict.fromkeys((*kept, *into, *out))))
        return Draft(plan, draft.holds | {rest_id})


@dataclass(frozen=True, slots=True)
class Hold:
    """A call waits for a person."""

    kind: ClassVar[Literal["hold"]] = "hold"
    where: ClassVar[Literal[""]] = ""
    node_id: str

    @property
    def cost(self) -> float:
        """One question."""
        return costs.HOLD

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{shown(self.node_id)} waits for a person"

    @property
    def data(self) -> dict[str, Any]:
        """Machine form."""
        return {"kind": self.kind, "node_id": self.node_id}

    def apply(self, draft: Draft) -> Draft:
        """The draft with the call waiting.

        Raises:
            EditError: it waits already.
        """
        call_of(draft, self.node_id)
        if self.node_id in draft.holds:
            raise EditError(f"{self.node_id!r} waits already")
        return Draft(draft.plan, draft.holds | {self.node_id})


def _only(arguments: dict[str, Any], where: str, listed: list[Any], which: frozenset[int]) -> Any:
    return with_value(arguments, where, [item for i, item in enumerate(listed) if i in which])

"""A made-up world for the search: calls with one number, and a judge that is a random table."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from gatling_guard.energy.types import Energy, Share
from gatling_guard.plan import ExecutionPlan, ToolCall
from gatling_guard.repair import Draft, EditError, EditKind, Judgement, Problem


@dataclass(frozen=True)
class Put:
    """Another number in a call."""

    node_id: str
    value: int
    cost: float
    kind: EditKind = "narrow"
    where: str = "/n"

    @property
    def sentence(self) -> str:
        return f"n of {self.node_id} is {self.value}"

    @property
    def data(self) -> dict[str, Any]:
        return {"kind": self.kind, "node": self.node_id, "value": self.value}

    def apply(self, draft: Draft) -> Draft:
        if self.node_id not in draft.plan.calls:
            raise EditError(f"no call {self.node_id}")
        new = ToolCall(node_id=self.node_id, tool_name="t", arguments={"n": self.value})
        nodes = tuple(new if n.node_id == self.node_id else n for n in draft.plan.nodes)
        return Draft(ExecutionPlan(nodes=nodes, edges=draft.plan.edges), draft.holds)


@dataclass(frozen=True)
class Drop:
    """A call goes, and what depends on it."""

    node_id: str
    cost: float
    kind: EditKind = "drop"
    where: str = ""

    @property
    def sentence(self) -> str:
        return f"without {self.node_id}"

    @property
    def data(self) -> dict[str, Any]:
        return {"kind": self.kind, "node": self.node_id}

    def apply(self, draft: Draft) -> Draft:
        plan = draft.plan
        if self.node_id not in plan.calls:
            raise EditError(f"no call {self.node_id}")
        gone = {n for n in plan.calls if n == self.node_id or self.node_id in plan.ancestors(n)}
        nodes = tuple(node for node in plan.nodes if node.node_id not in gone)
        edges = tuple(e for e in plan.edges if e.source not in gone and e.target not in gone)
        return Draft(ExecutionPlan(nodes=nodes, edges=edges), draft.holds - gone)


def chance(*parts: object) -> int:
    """0..99, always the same for the same parts."""
    return zlib.crc32(repr(parts).encode()) % 100


@dataclass(frozen=True)
class World:
    """A plan, what is wrong with it, and what may be done."""

    seed: int
    start: Draft
    wide: bool
    """A call is judged by the whole plan; else by itself and what flows into it."""
    with_drop: bool
    mixed: int = 30
    """Calls in a hundred that are not judged by themselves alone."""

    def judge(self, drafts: Sequence[Draft]) -> list[Judgement]:
        """One judgement per draft."""
        return [self.judged(draft) for draft in drafts]

    def judged(self, draft: Draft) -> Judgement:
        numbers = [(n, draft.plan.calls[n].arguments["n"]) for n in draft.plan.order]
        problems = []
        for node, number in numbers:
            above = {node, *draft.plan.ancestors(node)}
            seen = [pair for pair in numbers if self.wide or pair[0] in above]
            energy = chance(
                self.seed, node, seen if chance(self.seed, node) < self.mixed else (node, number)
            )
            if energy >= 45:
                share = Share("scope", node, energy / 10, "made up")
                problems.append(Problem(node, "block", energy=Energy.of([share])))
        total = sum(problem.level for problem in problems)
        return Judgement(tuple(problems), total, total)

    def propose(self, draft: Draft, problem: Problem) -> Iterable[Put | Drop]:
        """Two or three numbers and, mostly, to drop the call."""
        node = problem.node_id
        for value in range(1, 3 + chance(self.seed, node, "many") % 2):
            yield Put(node, value, 0.1 + chance(self.seed, node, value, "cost") / 40)
        if self.with_drop or chance(self.seed, node, "drop") < 60:
            yield Drop(node, 1.5 + chance(self.seed, node, "cost") / 40)

    def safe(self, draft: Draft) -> bool:
        """One draft in ten is worse than the original."""
        return chance(self.seed, [(n.node_id, n.arguments) for n in draft.plan.nodes]) >= 10


@st.composite
def worlds(
    draw: Callable[[st.SearchStrategy[Any]], Any], most: int = 6, wide: bool | None = None
) -> World:
    """Plans of up to `most` calls with edges from earlier to later ones."""
    size = draw(st.integers(1, most))
    nodes = tuple(ToolCall(node_id=f"c{i}", tool_name="t", arguments={"n": 0}) for i in range(size))
    pairs = [(f"c{i}", f"c{j}") for i in range(size) for j in range(i + 1, size)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=size, unique=True)) if pairs else []
    plan = ExecutionPlan.model_validate({"nodes": nodes, "edges": edges})
    whole = draw(st.booleans()) if wide is None else wide
    return World(draw(st.integers(0, 10**6)), Draft(plan), whole, draw(st.booleans()))

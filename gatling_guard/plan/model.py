"""ToolCall and ExecutionPlan: what an agent wants to do, as a directed acyclic graph.

An edge says that the output of one call is used in an argument of another (R3). Plans are
immutable; a running session grows its own through `gatling_guard.pipeline.state`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gatling_guard.errors import CycleError, Issue, PlanError
from gatling_guard.plan.values import digest, to_json

if TYPE_CHECKING:
    import networkx as nx

MAX_NODES = 10_000
"""Most calls in one plan; more is a clear error, never a silent truncation."""


class Provenance(IntEnum):
    """Where data comes from. Joins by `max`: what is mixed is as bad as its worst part."""

    INTERNAL = 1
    PARTNER = 2
    PUBLIC = 3
    """Public, third-party or unknown: anyone may have written it."""


class ToolCall(BaseModel):
    """One call of one tool (R1)."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    node_id: str = Field(min_length=1, max_length=256)
    """Unique within a plan. Integers are accepted and stored as text."""
    tool_name: str = Field(min_length=1, max_length=256)
    arguments: dict[str, Any] = Field(default_factory=dict)
    """JSON values, at most 64 levels deep (R5)."""
    provenance_tier: Provenance = Provenance.PUBLIC
    """Worst tier of the data this call works on; unknown counts as public (R51)."""
    scope_level: int = Field(default=1, ge=1, le=10)
    """How much data, and how sensitive: 1 minimal .. 10 maximal."""
    volume: int | None = Field(default=None, ge=0)
    """Rows or items asked for, where known."""
    sensitivity: int | None = Field(default=None, ge=0, le=10)
    """Sensitivity of the data touched, where known."""

    @field_validator("node_id", mode="before")
    @classmethod
    def _id_as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("tool_name")
    @classmethod
    def _name_is_text(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be blank")
        to_json(value, where="/tool_name")
        return value

    @field_validator("arguments", mode="before")
    @classmethod
    def _arguments_are_json(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            raise ValueError("must be an object")
        return to_json(value, where="/arguments")

    @cached_property
    def argument_digest(self) -> str:
        """SHA-256 of tool name and arguments: what a memo or an approval is bound to."""
        return digest([self.tool_name, self.arguments])

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything that defines this call (R25); node id and time are left out."""
        return digest(self.model_dump(mode="json", exclude={"node_id"}))


EdgeKind: TypeAlias = Literal["data", "control", "temporal"]
"""`data`: the output of the source is used in an argument; `control`: it decided whether the target
runs; `temporal`: the target only ran after it, and no trust passes along."""


class Edge(BaseModel):
    """Data flow: the output of `source` is used in an argument of `target`.

    `kind` names the other ways in which one call can depend on another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    source: str
    target: str
    argument: str | None = None
    """JSON pointer inside the target's arguments."""
    output: str | None = None
    """JSON pointer inside the source's output."""
    kind: EdgeKind = "data"

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            if len(value) != 2:
                raise ValueError("an edge is [source, target]")
            return {"source": value[0], "target": value[1]}
        return value

    @field_validator("source", "target", mode="before")
    @classmethod
    def _id_as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ExecutionPlan(BaseModel):
    """Tool calls and the data flow between them: acyclic, at most `MAX_NODES` calls (R2, R4).

    Raises:
        PlanError: no node, too many, a duplicate id, a dangling edge or a self loop.
        CycleError: the edges form a cycle.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    nodes: tuple[ToolCall, ...]
    edges: tuple[Edge, ...] = ()

    @model_validator(mode="after")
    def _structure(self) -> ExecutionPlan:
        issues = structure_issues([n.node_id for n in self.nodes], self.edges)
        if issues:
            raise PlanError(issues)
        self.order  # noqa: B018 - a cycle is found here; the order is kept
        return self

    def __len__(self) -> int:
        """Number of calls."""
        return len(self.nodes)

    @cached_property
    def calls(self) -> Mapping[str, ToolCall]:
        """Calls by node id, in the order of `nodes`."""
        return {node.node_id: node for node in self.nodes}

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """Direct sources of each node, without repeats, in the order of `edges`."""
        found: dict[str, dict[str, None]] = {node.node_id: {} for node in self.nodes}
        for edge in self.edges:
            found[edge.target][edge.source] = None
        return {node: tuple(sources) for node, sources in found.items()}

    @cached_property
    def flows(self) -> Mapping[str, tuple[str, ...]]:
        """As `parents`, without sources that a node only ran after: trust passes along these."""
        found: dict[str, dict[str, None]] = {node.node_id: {} for node in self.nodes}
        for edge in self.edges:
            if edge.kind != "temporal":
                found[edge.target][edge.source] = None
        return {node: tuple(sources) for node, sources in found.items()}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Node ids so that every source stands before its targets; ties in the order of `nodes`."""
        return _order(self)

    def with_calls(self, nodes: tuple[ToolCall, ...], edges: tuple[Edge, ...]) -> ExecutionPlan:
        """A plan of these calls and edges; what has the shape of this one is not checked again."""
        same = [node.node_id for node in nodes] == [node.node_id for node in self.nodes] and (
            edges is self.edges or _ends(edges) == _ends(self.edges)
        )
        if not same:
            return ExecutionPlan(nodes=nodes, edges=edges)
        plan = ExecutionPlan.model_construct(nodes=nodes, edges=edges)
        plan.__dict__["order"] = self.order  # of ids and ends alone
        return plan

    def depths(self) -> dict[str, int]:
        """Longest distance of each node from a root; independent of numbering (R24)."""
        depth: dict[str, int] = {}
        for node in self.order:
            depth[node] = 1 + max((depth[p] for p in self.parents[node]), default=-1)
        return depth

    def ancestors(self, node_id: str) -> frozenset[str]:
        """All nodes whose output reaches `node_id`."""
        seen: set[str] = set()
        queue = deque(self.parents[node_id])
        while queue:
            node = queue.popleft()
            if node not in seen:
                seen.add(node)
                queue.extend(self.parents[node])
        return frozenset(seen)

    def hashes(self) -> dict[str, str]:
        """A hash per node over its content and, through its sources, all it depends on (R25)."""
        found: dict[str, str] = {}
        for node in self.order:
            parts = [self.calls[node].content_hash, *sorted(found[p] for p in self.parents[node])]
            found[node] = hashlib.sha256("".join(parts).encode()).hexdigest()
        return found

    def to_networkx(self) -> nx.DiGraph[str]:
        """The plan as a `networkx.DiGraph`; node attribute `call`, edge attribute `edges`."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        for node in self.nodes:
            graph.add_node(node.node_id, call=node)
        for edge in self.edges:
            if graph.has_edge(edge.source, edge.target):
                graph.edges[edge.source, edge.target]["edges"].append(edge)
            else:
                graph.add_edge(edge.source, edge.target, edges=[edge])
        return graph


def _ends(edges: Sequence[Edge]) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in edges}


def structure_issues(node_ids: Sequence[str | None], edges: Sequence[Edge | None]) -> list[Issue]:
    """What is wrong with a plan's shape, cycles apart.

    None stands for a node whose id, or an edge whose ends, could not be read. Where an id is not
    known, no edge can be said to lead nowhere.
    """
    issues: list[Issue] = []
    if not node_ids:
        issues.append(Issue("/nodes", "a plan needs at least one call"))
    if len(node_ids) > MAX_NODES:
        issues.append(Issue("/nodes", f"{len(node_ids)} calls; at most {MAX_NODES} are allowed"))
    seen: set[str | None] = set()
    for i, node in enumerate(node_ids):
        if node is not None and node in seen:
            issues.append(Issue(f"/nodes/{i}/node_id", f"duplicate id {node!r}"))
        seen.add(node)
    for i, edge in enumerate(edges):
        if edge is None:
            continue
        for end in ("source", "target"):
            if None not in seen and getattr(edge, end) not in seen:
                issues.append(Issue(f"/edges/{i}/{end}", f"no node {getattr(edge, end)!r}"))
        if edge.source == edge.target:
            issues.append(Issue(f"/edges/{i}", f"self loop on {edge.source!r}"))
    return issues


def _order(plan: ExecutionPlan) -> tuple[str, ...]:
    """Kahn's algorithm; of the nodes that are ready the first in `nodes`.

    So a plan whose nodes stand in the order in which they ran keeps it, as a session does.
    """
    waiting = {node: len(sources) for node, sources in plan.parents.items()}
    place = {node: i for i, node in enumerate(waiting)}
    names = list(waiting)
    children: dict[str, list[str]] = {node: [] for node in waiting}
    for node, sources in plan.parents.items():
        for source in sources:
            children[source].append(node)
    ready = [place[node] for node, count in waiting.items() if count == 0]  # sorted: a heap
    done: list[str] = []
    while ready:
        node = names[heappop(ready)]
        done.append(node)
        for child in children[node]:
            waiting[child] -= 1
            if waiting[child] == 0:
                heappush(ready, place[child])
    if len(done) != len(waiting):
        raise CycleError(_find_cycle(plan.parents, [n for n, c in waiting.items() if c > 0]))
    return tuple(done)


def _find_cycle(parents: Mapping[str, tuple[str, ...]], left: Sequence[str]) -> list[str]:
    """Walk backwards among nodes that never became ready until one repeats."""
    among = set(left)
    path: list[str] = []
    at: dict[str, int] = {}
    node = left[0]
    while node not in at:
        at[node] = len(path)
        path.append(node)
        node = next(p for p in parents[node] if p in among)
    cycle = path[at[node] :]
    cycle.reverse()
    return [*cycle, cycle[0]]

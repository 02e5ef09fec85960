"""Edges of a repaired plan against those of the original: no flow comes up, none is hidden (R60).

An edge may only go where the value that it fed is gone; then the calls keep their order by a
temporal edge. An edge that disappears while its value stays would launder the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from gatling_guard.plan import Edge, ExecutionPlan, canonical_json, leaves


class MiswiredEdge(NamedTuple):
    """An edge that is new, or that is gone while its data is not."""

    target: str
    where: str
    what: Literal["edge", "taint", "order"]
    message: str


_Key = tuple[str, str, str, str]


def _key(edge: Edge, source: str, target: str) -> _Key:
    """What stays of an edge when a list gets shorter: its ends, its kind, the top argument."""
    top = (edge.argument or "").split("/")[1:2]
    return source, target, edge.kind, "".join(top)


def miswired(
    before: ExecutionPlan, after: ExecutionPlan, known: Mapping[str, str]
) -> Iterator[MiswiredEdge]:
    """Edges that the original does not have, and edges of it that are missing.

    Args:
        before: the original plan.
        after: the repaired one.
        known: call of `after` -> call of `before` that it comes from.
    """
    had = {_key(edge, edge.source, edge.target) for edge in before.edges}
    pairs = {key[:2] for key in had}
    for edge in after.edges:
        if edge.source not in known or edge.target not in known:
            continue  # a call that was not there is a breach itself
        source, target = known[edge.source], known[edge.target]
        new = _key(edge, source, target) not in had
        if new and not (edge.kind == "temporal" and (source, target) in pairs):
            said = "data from a call that gave none before"
            yield MiswiredEdge(edge.target, edge.argument or "", "taint", said)
    yield from _missing(before, after, known)


def _missing(
    before: ExecutionPlan, after: ExecutionPlan, known: Mapping[str, str]
) -> Iterator[MiswiredEdge]:
    have = {_key(edge, edge.source, edge.target) for edge in after.edges}
    linked = {(edge.source, edge.target) for edge in after.edges}
    parts: dict[str, list[str]] = {}
    for node, origin in known.items():
        parts.setdefault(origin, []).append(node)
    for edge in before.edges:
        sources = parts.get(edge.source, [])
        for target in parts.get(edge.target, ()):
            kept = any(_key(edge, source, target) in have for source in sources)
            if kept or (edge.kind == "temporal" and not sources):
                continue
            where = edge.argument or ""
            if edge.kind == "temporal" or _gone(before, after, edge, target):
                if sources and not any((source, target) in linked for source in sources):
                    yield MiswiredEdge(target, where, "order", "it may run before what it followed")
            elif sources:
                yield MiswiredEdge(target, where, "taint", "where its data comes from is hidden")
            else:
                yield MiswiredEdge(target, where, "edge", "it uses what a dropped call returned")


def _gone(before: ExecutionPlan, after: ExecutionPlan, edge: Edge, target: str) -> bool:
    """Whether nothing of what an edge fed stands in the argument any more."""
    where = edge.argument
    if edge.kind != "data" or not where:
        return False
    # By the paths of the leaves: long pointers are shortened, and theirs in the same way.
    fed = {
        canonical_json(leaf.value)
        for leaf in leaves(before.calls[edge.target].arguments)
        if leaf.path == where or leaf.path.startswith(f"{where}/")
    }
    top = "/".join(where.split("/")[:2])
    left = {
        canonical_json(leaf.value)
        for leaf in leaves(after.calls[target].arguments)
        if leaf.path == top or leaf.path.startswith(f"{top}/")
    }
    return left.isdisjoint(fed)

"""Another identity: the one that the authority named.

Sees: identities out of untrusted text or ones that rules and energy name, and values of the same
kind in the instruction and in the policy. Does not see: parties that only an address book knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatling_guard.plan import canonical_json, leaves
from gatling_guard.repair.culprits import Case, pointer_of
from gatling_guard.repair.named import Named, named_like
from gatling_guard.repair.places import parts_of
from gatling_guard.repair.types import Draft, Edit, Problem, Scene
from gatling_guard.repair.values import Resource, Scalar

MOST = 3
"""Values that are proposed for one argument."""


def resource(scene: Scene, draft: Draft, problem: Problem) -> Iterator[Edit]:
    """Best first: what no other call uses, in a sentence that asks for the call, near its verb."""
    case = Case.of(scene, draft, problem)
    if case is None:
        return
    used: frozenset[str] | None = None
    for where in dict.fromkeys((*case.suspects, *case.strangers)):
        leaf = case.lineage.get(where)
        argument = parts_of(where)[0]
        if argument not in case.identities or (leaf is not None and leaf.named):
            continue
        beside = _siblings(case, where)
        found = [named for named in named_like(case, where, argument) if named.value not in beside]
        if found and used is None:
            used = _used(draft, problem.node_id)
        for named in sorted(found, key=lambda named: _rank(named, used or frozenset()))[:MOST]:
            yield Resource(problem.node_id, where, named.value)


def _rank(named: Named, used: frozenset[str]) -> tuple[bool, bool, int, int]:
    return canonical_json(named.value) in used, not named.asks, named.distance, named.place


def _used(draft: Draft, node_id: str) -> frozenset[str]:
    """Values that other calls of the plan use."""
    others = (node for node in draft.plan.nodes if node.node_id != node_id)
    return frozenset(canonical_json(leaf.value) for n in others for leaf in leaves(n.arguments))


def _siblings(case: Case, where: str) -> list[Scalar]:
    """Values of the same list: nobody is named twice."""
    holder = case.given(pointer_of(parts_of(where)[:-1]))
    return holder if isinstance(holder, list) else []

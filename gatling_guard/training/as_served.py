"""A sample's plan in the words that a session has for it.

A generated plan says what its author knows: declared profiles, volumes, control edges. A session
infers profiles where none is declared, gives a call the tier of what went into it and the scope of
its tool, and knows edges by the values that flow. What training sees and a session never gives is
worth nothing there, so most families are told as a session would tell them, and some of these
without their declared profiles. Which ones follows from the hash of the family's name, so that a
plan and its twins are told alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from gatling_guard.catalog import ToolSpec
from gatling_guard.plan import ExecutionPlan, Provenance, ToolCall
from gatling_guard.trace import Lineage

SERVED, INFERRED = 0.75, 0.35
"""Shares of families told as a session does, and of those whose profiles are inferred."""


def is_served(family: str) -> bool:
    """Whether this family's plans are told as a session does."""
    return _share(f"served/{family}") < SERVED


def has_inferred(family: str) -> bool:
    """Whether this family's tools come without their declared profiles."""
    return is_served(family) and _share(f"inferred/{family}") < INFERRED


def as_served(
    plan: ExecutionPlan,
    specs: Mapping[str, ToolSpec],
    lineage: Mapping[str, Sequence[Lineage]],
) -> ExecutionPlan:
    """The plan with a session's tiers and scopes, without volumes, and with data edges alone.

    Args:
        plan: as generated.
        specs: of its tools; an unknown tool is told as one.
        lineage: of the argument leaves, by node id.
    """
    nodes = tuple(
        _call(call, specs.get(call.tool_name), lineage.get(call.node_id, ())) for call in plan.nodes
    )
    return ExecutionPlan(
        nodes=nodes, edges=tuple(edge for edge in plan.edges if edge.kind == "data")
    )


def _call(call: ToolCall, spec: ToolSpec | None, lineage: Sequence[Lineage]) -> ToolCall:
    profile = spec.profile if spec else None
    # What the user named, and what says nothing, does not make a call less trusted.
    tiers = [leaf.tier for leaf in lineage if not leaf.named and not leaf.trivial]
    return call.model_copy(
        update={
            "provenance_tier": max([*tiers, profile.tier if profile else Provenance.PUBLIC]),
            "scope_level": profile.scope if profile else 10,
            "volume": None,
            "sensitivity": None,
        }
    )


def _share(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2.0**64

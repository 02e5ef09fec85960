"""Judging a whole plan ahead of time: nothing has run, so lineage comes from the edges.

Sees: declared tiers, data flow, tools, arguments. Does not see: what the tools will return.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gatling_guard.catalog import ToolSpec
from gatling_guard.decision import Allowed, Blocked, Decision, Held
from gatling_guard.energy import EnergyFacts, bounded
from gatling_guard.pipeline.deadline import DeadlineExceeded, Ticket
from gatling_guard.pipeline.learned import with_learned
from gatling_guard.pipeline.monitor import Monitor
from gatling_guard.pipeline.receipt import plan_body, trimmed
from gatling_guard.pipeline.stages import Work, decide, opaque_code, rules
from gatling_guard.plan import Edge, ExecutionPlan, Provenance, ToolCall, digest, leaves
from gatling_guard.plan.values import shorten
from gatling_guard.policy import Policy
from gatling_guard.rules import Spent
from gatling_guard.trace import (
    Authority,
    Lineage,
    LineageIndex,
    Origin,
    Span,
    canonical,
    sensitive_file,
    sensitive_name,
)

Lookup = Callable[[str], ToolSpec | None]


def check_plan(
    monitor: Monitor, ticket: Ticket, plan: ExecutionPlan, *, run_id: str, role: str | None,
    instruction: str | None,
) -> Decision:  # fmt: skip
    """The worst of the decisions on its calls, which stand in `parts`."""
    secret = sensitive_nodes(plan)
    policy = monitor.policy
    authority = monitor.authority([instruction] if instruction else [], policy=policy)
    tiers = effective_tiers(plan, lambda name: monitor.spec(name, policy))
    into: dict[str, list[Edge]] = {}
    for edge in plan.edges:
        if edge.kind != "temporal":
            into.setdefault(edge.target, []).append(edge)
    parts: dict[str, Decision] = {}
    works: list[Work] = []
    counts: dict[str, int] = {}
    spent = Spent()
    for number, node in enumerate(plan.order):
        call, edges = plan.calls[node], tuple(into.get(node, ()))
        work = monitor.work(
            call.tool_name, call.arguments, call_id=node, run_id=run_id, role=role,
            authority=authority, index=LineageIndex(), policy=policy, calls_so_far=number,
            tool_calls_so_far=counts.get(call.tool_name, 0), spent=spent,
        )  # fmt: skip
        work.call, work.arguments, work.edges = call, call.arguments, edges
        work.lineage = planned_lineage(call, edges, tiers, authority, plan, secret)
        rules(work)
        if work.spec is not None:
            above = max((tiers[edge.source] for edge in edges), default=Provenance.INTERNAL)
            facts = EnergyFacts(
                call, work.spec, work.lineage, authority,
                untrusted_read=above is Provenance.PUBLIC, inside=work.inside,
            )  # fmt: skip
            structure = monitor.composite(facts)
            work.energy = with_learned(work, facts, structure)
            work.asked, work.undoable = facts.asked and facts.about, facts.undoable
        decide(work)
        assert work.decision is not None
        parts[node] = work.decision
        spent.add(work.charges)
        works.append(work)
        counts[call.tool_name] = counts.get(call.tool_name, 0) + 1
    joined = _joined(policy, plan, run_id, [parts[n] for n in plan.calls])
    decision = monitor.in_mode(joined, policy)
    if not ticket.claim():
        raise DeadlineExceeded("abandoned before the receipt was written")
    body = plan_body(decision, works, role=role)
    monitor.notary.write("plan", run_id=run_id, call_id=None, body=body, trim=trimmed)
    return decision


def _joined(
    policy: Policy, plan: ExecutionPlan, run_id: str, parts: Sequence[Decision]
) -> Decision:
    reasons = [(p.call.node_id, r) for p in parts if p.call for r in p.reasons]
    common: dict[str, Any] = {
        "energy": bounded(share for part in parts for share in part.energy.shares),
        "decision_id": digest(["plan", run_id, policy.digest])[:32], "plan": plan,
        "policy_digest": policy.digest, "parts": tuple(parts),
        "findings": tuple(f for part in parts for f in part.findings),
        "reasons": tuple(f"{node}: {reason}" for node, reason in reasons),
    }  # fmt: skip
    if any(isinstance(part, Blocked) for part in parts):
        return Blocked(**common, code=opaque_code(common["decision_id"]))
    if any(isinstance(part, Held) for part in parts):
        expires = policy.limits.hold_expires_s
        return Held(**common, hold_id=digest(["hold", run_id])[:32], expires_in=expires)
    return Allowed(**common)


def effective_tiers(plan: ExecutionPlan, lookup: Lookup) -> dict[str, Provenance]:
    """Worst tier of what each call returns: its own, its tool's, and all it depends on (R53)."""
    found: dict[str, Provenance] = {}
    for node in plan.order:
        call = plan.calls[node]
        own = max(call.provenance_tier, _tool_tier(lookup(call.tool_name)))
        found[node] = max([own, *(found[parent] for parent in plan.flows[node])])
    return found


def sensitive_nodes(plan: ExecutionPlan) -> frozenset[str]:
    """Calls that return secrets or personal data, by tool or argument, or that worked on some."""
    found: set[str] = set()
    for node in plan.order:
        call = plan.calls[node]
        texts = [leaf.value for leaf in leaves(call.arguments) if isinstance(leaf.value, str)]
        own = sensitive_name(call.tool_name) or any(map(sensitive_file, texts))
        if own or found.intersection(plan.flows[node]):
            found.add(node)
    return frozenset(found)


def _tool_tier(spec: ToolSpec | None) -> Provenance:
    if spec is None or spec.profile.third_party:
        return Provenance.PUBLIC
    return spec.profile.tier


def planned_lineage(
    call: ToolCall, edges: tuple[Edge, ...], tiers: dict[str, Provenance], authority: Authority,
    plan: ExecutionPlan, secret: frozenset[str],
) -> tuple[Lineage, ...]:  # fmt: skip
    """Lineage of each argument leaf: the authority, and the sources its edges declare.

    An edge that names no argument may feed any of them, so it taints all that nobody named. An
    argument that an edge names is judged also while it is still empty or missing: the plan says
    that something will stand there.
    """
    found = []
    reached: set[str] = set()
    pointers = {edge: shorten(edge.argument) for edge in edges if edge.argument is not None}
    for leaf in leaves(call.arguments):
        trusted = authority.find(leaf.value)
        into = [e for e in edges if e not in pointers or _under(leaf.path, pointers[e])]
        named = [e for e in into if e in pointers]
        reached.update(pointers[edge] for edge in named)
        origins = [trusted] if trusted is not None and not (named and _empty(leaf.value)) else []
        origins += [_planned_origin(plan, edge, tiers, leaf.value, secret) for edge in into]
        trivial = (_empty(leaf.value) or isinstance(leaf.value, bool)) and not named
        found.append(Lineage(leaf.path, _top(leaf.path), leaf.value, tuple(origins), trivial))
    for edge, pointer in pointers.items():
        if pointer not in reached:
            origin = _planned_origin(plan, edge, tiers, "", secret)
            found.append(Lineage(pointer, _top(pointer), "", (origin,)))
    return tuple(found)


def _under(path: str, pointer: str) -> bool:
    return path == pointer or path.startswith(pointer.rstrip("/") + "/")


def _empty(value: object) -> bool:
    return value is None or value == ""


def _top(pointer: str) -> str:
    return pointer.split("/")[1] if "/" in pointer else ""


def _planned_origin(
    plan: ExecutionPlan, edge: Edge, tiers: dict[str, Provenance], value: object,
    secret: frozenset[str],
) -> Origin:  # fmt: skip
    source, tier, text = plan.calls[edge.source], tiers[edge.source], str(value)
    span = Span(0, source.node_id, source.tool_name, edge.output or "", text, canonical(text), tier,
                rest=True, sensitive=edge.source in secret)  # fmt: skip
    return Origin("output", "exact", tier, span, f"output of {source.tool_name}")

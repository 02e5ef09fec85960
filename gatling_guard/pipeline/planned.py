"""What a whole plan is judged by: nothing has run, so lineage comes from the edges.

A plan is judged again for every repair that is tried. A call whose own inputs did not change is not
judged twice (`PlanChecks`).
Sees: declared tiers, data flow, tools, arguments. Does not see: what the tools will return.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gatling_guard.catalog import ToolSpec
from gatling_guard.energy import EnergyFacts
from gatling_guard.pipeline.learned import with_learned
from gatling_guard.pipeline.monitor import Monitor
from gatling_guard.pipeline.stages import Work, decide, rules
from gatling_guard.plan import Edge, ExecutionPlan, Provenance, ToolCall, leaves
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

MAX_KEPT = 4096
"""Calls whose checks are kept for the drafts to come."""


@dataclass
class PlanChecks:
    """Checks of the calls of a plan, and of drafts of it, under one policy and for one user."""

    monitor: Monitor
    policy: Policy
    authority: Authority
    run_id: str
    role: str | None
    _nothing: LineageIndex = field(default_factory=LineageIndex)
    """What was returned so far; no check adds to it."""
    _plans: dict[int, tuple[ExecutionPlan, list[Work]]] = field(default_factory=dict)
    """By identity: a draft that only has a call wait is the plan of another one."""
    _kept: dict[tuple[Any, ...], Work] = field(default_factory=dict)
    _own: dict[str, bool] = field(default_factory=dict)
    """Of calls by their content: whether they are about something sensitive."""
    _tiers: dict[str, Provenance] = field(default_factory=dict)
    """Of tools by their name."""

    def of(self, plan: ExecutionPlan) -> list[Work]:
        """One decided check per call, in the order of `plan.order`."""
        found = self._plans.get(id(plan))
        if found is None:
            found = plan, self._of(plan)
            if len(self._plans) < MAX_KEPT:  # the plan is kept, so that its id stays its own
                self._plans[id(plan)] = found
        return found[1]

    def _of(self, plan: ExecutionPlan) -> list[Work]:
        secret = sensitive_nodes(plan, self._is_own)
        tiers = effective_tiers(plan, self._tier)
        into: dict[str, list[Edge]] = {}
        for edge in plan.edges:
            if edge.kind != "temporal":
                into.setdefault(edge.target, []).append(edge)
        works: list[Work] = []
        counts: dict[str, int] = {}
        spent = Spent()
        for number, node in enumerate(plan.order):
            call, edges = plan.calls[node], tuple(into.get(node, ()))
            sources = tuple((plan.calls[e.source].tool_name, tiers[e.source], e.source in secret)
                            for e in edges)  # fmt: skip
            so_far = counts.get(call.tool_name, 0)
            key = (node, call.content_hash, tuple(_edge_key(edge) for edge in edges), sources,
                   *self._counted(number, so_far, spent))  # fmt: skip
            work = self._kept.get(key)
            if work is None:
                work = self._work(call, number, so_far, spent)
                work.edges = edges
                work.lineage = planned_lineage(call, edges, tiers, self.authority, plan, secret)
                self._decided(work, max((t for _, t, _ in sources), default=Provenance.INTERNAL))
                if len(self._kept) < MAX_KEPT:
                    self._kept[key] = work
            works.append(work)
            spent.add(work.charges)
            counts[call.tool_name] = so_far + 1
        return works

    def _is_own(self, call: ToolCall) -> bool:
        found = self._own.get(call.content_hash)
        if found is None:
            found = is_sensitive(call)
            if len(self._own) < MAX_KEPT:
                self._own[call.content_hash] = found
        return found

    def _tier(self, tool: str) -> Provenance:
        found = self._tiers.get(tool)
        if found is None:
            found = _tool_tier(self.spec(tool))
            if len(self._tiers) < MAX_KEPT:
                self._tiers[tool] = found
        return found

    def spec(self, name: str) -> ToolSpec | None:
        """The tool under the policy of these checks."""
        return self.monitor.spec(name, self.policy)

    @cached_property
    def _bounded(self) -> bool:
        """Whether the policy counts anything but the calls of a session."""
        tools, roles = self.policy.tools.values(), self.policy.roles.values()
        return any(rule.max_calls is not None or rule.budgets for rule in tools) or any(
            role.budgets for role in roles
        )

    def counts(self, calls: int) -> bool:
        """Whether a call of a plan of so many may be judged by what ran before it."""
        return self._bounded or calls > self.policy.limits.max_calls

    def _counted(self, number: int, so_far: int, spent: Spent) -> tuple[Any, ...]:
        """What the calls before this one mean for it."""
        many = number >= self.policy.limits.max_calls
        if not self._bounded:
            return (many,)
        sums = tuple(sorted(spent.sums.items()))
        parties = tuple((key, tuple(sorted(known))) for key, known in sorted(spent.parties.items()))
        return many, so_far, sums, parties

    def _work(self, call: ToolCall, number: int, so_far: int, spent: Spent) -> Work:
        work = self.monitor.work(
            call.tool_name, call.arguments, call_id=call.node_id, run_id=self.run_id,
            role=self.role, authority=self.authority, index=self._nothing, policy=self.policy,
            calls_so_far=number, tool_calls_so_far=so_far, spent=spent,
        )  # fmt: skip
        work.call, work.arguments = call, call.arguments
        return work

    def _decided(self, work: Work, above: Provenance) -> None:
        rules(work)
        if work.spec is not None and work.call is not None:
            facts = EnergyFacts(
                work.call, work.spec, work.lineage, self.authority,
                untrusted_read=above is Provenance.PUBLIC, inside=work.inside,
            )  # fmt: skip
            structure = self.monitor.composite(facts)
            work.energy = with_learned(work, facts, structure)
            work.asked, work.undoable = facts.asked and facts.about, facts.undoable
        decide(work)
        assert work.decision is not None


def _edge_key(edge: Edge) -> tuple[Any, ...]:
    return edge.source, edge.argument, edge.output, edge.kind


def effective_tiers(
    plan: ExecutionPlan, tool_tier: Callable[[str], Provenance]
) -> dict[str, Provenance]:
    """Worst tier of what each call returns: its own, its tool's, and all it depends on (R53)."""
    found: dict[str, Provenance] = {}
    for node in plan.order:
        call = plan.calls[node]
        own = max(call.provenance_tier, tool_tier(call.tool_name))
        found[node] = max([own, *(found[parent] for parent in plan.flows[node])])
    return found


def sensitive_nodes(plan: ExecutionPlan, own: Callable[[ToolCall], bool]) -> frozenset[str]:
    """Calls that return secrets or personal data by themselves, or that worked on some."""
    found: set[str] = set()
    for node in plan.order:
        if own(plan.calls[node]) or found.intersection(plan.flows[node]):
            found.add(node)
    return frozenset(found)


def is_sensitive(call: ToolCall) -> bool:
    """Whether a call returns secrets or personal data, by its tool or an argument."""
    texts = [leaf.value for leaf in leaves(call.arguments) if isinstance(leaf.value, str)]
    return sensitive_name(call.tool_name) or any(map(sensitive_file, texts))


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

"""Recorded runs in sessions that repair: what became of each call, and whether a repair holds."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repair_checks import plain_faults, remade

from gatling_guard.bench import GuardSubject, Toolset
from gatling_guard.bench.replay import toolset_of
from gatling_guard.decision import Allowed, Decision, Held, Repair, Repaired
from gatling_guard.errors import InputError
from gatling_guard.pipeline import ToolRequest
from gatling_guard.plan import ExecutionPlan, ToolCall
from gatling_guard.repair import VETO, Draft, EditError, Scene
from gatling_guard.repair.exposure import exposure
from gatling_guard.repair.lattice import violations
from gatling_guard.trace import Authority, RecordedTrace

Ran = list[tuple[ToolRequest, Any]]
"""Calls that ran, with what they returned."""


@dataclass
class Steps:
    """What became of the calls of all runs."""

    runs: int = 0
    calls: int = 0
    came_to: Counter[str] = field(default_factory=Counter)
    """By whose call it is and what was decided."""
    kinds: Counter[str] = field(default_factory=Counter)
    offered_kinds: Counter[str] = field(default_factory=Counter)
    similarity: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        mean = round(statistics.mean(self.similarity), 4) if self.similarity else None
        return {
            "runs": self.runs, "calls": self.calls, "came_to": dict(self.came_to),
            "edits": dict(self.kinds), "offered_edits": dict(self.offered_kinds),
            "similarity": mean, "faults": self.faults,
        }  # fmt: skip


def replayed(on: GuardSubject, bare: GuardSubject, traces: Iterable[RecordedTrace]) -> Steps:
    """Replay runs step by step; nobody answers holds, and what did not run shows nothing.

    Args:
        on: repairs.
        bare: the same guard without repairs.
        traces: with their tools.
    """
    found = Steps()
    for trace in traces:
        seen, tools = trace.visible(), toolset_of(trace.visible())
        session, ran = on.begin(tools, seen.instruction, seen.system), Ran()
        found.runs += 1
        for i, (step, labelled) in enumerate(zip(seen.steps, trace.steps, strict=True), start=1):
            request = ToolRequest(step.tool, step.arguments, f"call-{i}")
            decision = session.check(request)
            found.calls += 1
            whose = "attacker" if labelled.malicious else "honest" if (
                labelled.malicious is False or trace.label == "benign") else "unknown"  # fmt: skip
            repair = decision.repair if isinstance(decision, Repaired) else None
            offer = decision.offer if isinstance(decision, Held) else None
            found.came_to[f"{whose}: {'offer' if offer else decision.action}"] += 1
            found.offered_kinds.update(data["kind"] for data in (offer.machine if offer else ()))
            if repair is not None:
                found.kinds.update(data["kind"] for data in repair.machine)
                found.similarity.append(repair.similarity)
            for one in filter(None, (repair, offer)):
                again = Again(bare, tools, seen, ran)
                found.faults += [f"{trace.id} call-{i}: {f}" for f in again.faults(one, decision)]
            if isinstance(decision, (Allowed, Repaired)):
                done = ToolRequest(step.tool, decision.arguments, f"call-{i}")
                ran.append((done, step.output))
                session.settle(f"call-{i}", step.output)
    return found


@dataclass(frozen=True)
class Again:
    """The same run up to a call, in a guard that repairs nothing."""

    bare: GuardSubject
    tools: Toolset
    seen: RecordedTrace
    ran: Ran

    def decided(self, name: str, arguments: Mapping[str, Any]) -> Decision:
        """What it says of a call at this place."""
        session = self.bare.begin(self.tools, self.seen.instruction, self.seen.system)
        for request, output in self.ran:
            session.check(request)
            session.settle(request.call_id or "", output)
        return session.check(ToolRequest(name, dict(arguments), "again"))

    def faults(self, repair: Repair, decision: Decision) -> Iterator[str]:
        """What is wrong with a repair of the call."""
        assert isinstance(repair.original, ToolCall)
        assert isinstance(repair.repaired, ToolCall)
        before = Draft(ExecutionPlan(nodes=(repair.original,)))
        after = Draft(ExecutionPlan(nodes=(repair.repaired,)))
        guard = self.bare.guard(self.tools)
        said = [text for text in (self.seen.system,) if text]
        scene = Scene(
            self.bare.policy,
            Authority.of([self.seen.instruction], said, self.bare.policy.literals()),
            guard.spec, guard.catalog.names(), self.bare.policy.default_role, True,
            {repair.original.node_id: decision.lineage},
        )  # fmt: skip
        try:
            _, drafts = remade(before.plan, repair.machine)
        except (EditError, InputError) as error:
            yield f"edits: {error}"
            return
        if drafts[-1].plan.nodes[0].arguments != repair.repaired.arguments:
            yield "edits: they make another call"
        found = [self._at(draft) for draft in drafts]
        levels = [level(one) for one in found]
        if any(b >= a for a, b in zip(levels, levels[1:], strict=False)):
            yield f"R57: the level does not fall: {[round(x, 3) for x in levels]}"
        if not isinstance(found[-1], Allowed):
            yield f"again: {found[-1].action}: {found[-1].reasons[:1]}"
        if exposure(after, scene) > exposure(before, scene):
            yield "R60: more sensitive data than before"
        for breach in violations(before, after, scene):
            yield f"lattice: {breach.what} {breach.where}: {breach.message}"
        for fault in plain_faults(before, after, scene):
            yield f"plain: {fault}"

    def _at(self, draft: Draft) -> Decision:
        call = draft.plan.nodes[0]
        return self.decided(call.tool_name, call.arguments)


def level(decision: Decision) -> float:
    """Energy, and a fixed amount for each rule that vetoes: what has to fall with every edit."""
    vetoes: Sequence[str] = [f.action for f in decision.findings if f.action != "note"]
    return decision.energy.total + sum(VETO[action] for action in vetoes)

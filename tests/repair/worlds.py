"""Scenes for the tests of repair: a real guard judges the drafts, no learned part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatling_guard import Blocked, Decision, Guard, Held
from gatling_guard.catalog import ToolSpec, spec_from_json_schema
from gatling_guard.plan import Edge, ExecutionPlan, Provenance, ToolCall
from gatling_guard.policy import load_policy
from gatling_guard.repair import Draft, Edit, Judgement, Problem, Scene, propose
from gatling_guard.trace import Authority

TEXT = {"type": "string"}
LIST = {"type": "array", "items": TEXT}


def tool(name: str, required: Sequence[str] = (), **arguments: Any) -> ToolSpec:
    """A tool with a closed schema; what it does is inferred from its name."""
    return spec_from_json_schema(
        name,
        {
            "type": "object", "properties": arguments, "required": list(required),
            "additionalProperties": False,
        },
    )  # fmt: skip


TOOLS = (
    tool("read_inbox", limit={"type": "integer"}),
    tool("search_emails", ["query"], query=TEXT, limit={"type": "integer", "minimum": 1}),
    tool("fetch_page", ["url"], url=TEXT),
    tool(
        "send_email", ["to", "body"],
        to=LIST, subject=TEXT, body=TEXT, cc=LIST, attachments=LIST,
    ),
    tool("draft_email", ["to", "body"], to=LIST, subject=TEXT, body=TEXT),
    tool("delete_file", ["path"], path=TEXT, reason=TEXT),
    tool("archive_file", ["path"], path=TEXT),
    tool("transfer_money", ["account", "amount"], account=TEXT, amount={"type": "number"}),
    tool("list_files", folder=TEXT, depth={"type": "integer"}),
)  # fmt: skip


def call(node_id: str, tool_name: str, **arguments: Any) -> ToolCall:
    """One call."""
    return ToolCall(
        node_id=node_id,
        tool_name=tool_name,
        arguments=arguments,
        provenance_tier=Provenance.INTERNAL,
    )


def plan(*nodes: ToolCall, edges: Sequence[Edge] = ()) -> ExecutionPlan:
    """Several calls."""
    return ExecutionPlan(nodes=nodes, edges=tuple(edges))


def fed(source: str, target: str, argument: str | None = None) -> Edge:
    """A flow of data."""
    return Edge(source=source, target=target, argument=argument)


@dataclass
class World:
    """A guard, an instruction, and what both say of drafts."""

    instruction: str
    policy: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[ToolSpec] = TOOLS

    def __post_init__(self) -> None:
        """Set the guard up."""
        self.loaded = load_policy({"version": 1, **self.policy})
        # It repairs nothing itself: what it says of a call is the problem that edits are for.
        plain = {"version": 1, "repair": {"mode": "off"}, **self.policy}
        self.guard = Guard(load_policy(plain), learned="off")
        for spec in self.tools:
            self.guard.register(spec)
        self.scene = Scene(
            self.loaded,
            Authority.of([self.instruction], [], self.loaded.literals()),
            self.guard.spec,
            tuple(spec.name for spec in self.tools),
        )

    def judge(self, drafts: Sequence[Draft]) -> list[Judgement]:
        """Rules and energy of the guard's own audit of a plan."""
        return [self._judged(draft) for draft in drafts]

    def _judged(self, draft: Draft) -> Judgement:
        decision = self.guard.check(draft.plan, instruction=self.instruction)
        problems = [p for part in decision.parts if (p := problem_of(part)) is not None]
        left = [p for p in problems if p.action == "block" or p.node_id not in draft.holds]
        return Judgement(tuple(left), decision.energy.total, sum(p.level for p in left))

    def problem(self, draft: Draft, node_id: str) -> Problem:
        """What is wrong with one call."""
        found = {p.node_id: p for p in self._judged(draft).problems}
        assert node_id in found, found.keys()
        return found[node_id]

    def proposed(self, draft: Draft, node_id: str) -> tuple[Edit, ...]:
        """What may help one call."""
        return propose(self.scene, draft, self.problem(draft, node_id))


def problem_of(decision: Decision) -> Problem | None:
    """A decision on one call as a problem; None where it may run."""
    if decision.call is None or not isinstance(decision, (Held, Blocked)):
        return None
    findings = tuple(f for f in decision.findings if f.action != "note")
    node, rest = decision.call.node_id, (findings, decision.energy, decision.lineage)
    return Problem(node, "hold" if isinstance(decision, Held) else "block", *rest)

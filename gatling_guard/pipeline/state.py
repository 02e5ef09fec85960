"""What a session knows: the growing plan, the lineage index, the authority, memo and holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from gatling_guard.catalog import ToolSpec
from gatling_guard.decision import Blocked, Decision, Held
from gatling_guard.plan import Edge, ExecutionPlan, Provenance, ToolCall, to_json
from gatling_guard.trace import Authority, LineageIndex, cut_spans

CallStatus = Literal["decided", "ran", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call as an agent framework hands it in: nothing about it has been checked."""

    name: str
    arguments: Any
    call_id: str | None = None
    """The framework's id of the call; without one, every request is a call of its own."""


@dataclass(slots=True)
class Approval:
    """A person's answer to a hold; single use."""

    by: str
    expires_at: float


@dataclass(slots=True)
class Record:
    """One call of the session."""

    request_digest: str
    decision: Decision | None
    spec: ToolSpec | None
    floor: Provenance = Provenance.INTERNAL
    """Worst tier of what went into the call: its output is no better (design, P4)."""
    status: CallStatus = "decided"
    node: ToolCall | None = None
    revision: int = 0
    """How often its call id was decided before."""


@dataclass
class SessionState:
    """Mutable state of one session. Not thread-safe: `Session` locks."""

    run_id: str
    instructions: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)
    literals: tuple[str, ...] = ()
    """Values that the policy itself names."""
    authority: Authority = field(init=False)
    index: LineageIndex = field(default_factory=LineageIndex)
    records: dict[str, Record] = field(default_factory=dict)
    """By call id, in the order of arrival."""
    edges: list[Edge] = field(default_factory=list)
    pending: dict[str, Held] = field(default_factory=dict)
    """Holds that nobody has answered yet, by hold id."""
    approvals: dict[str, Approval] = field(default_factory=dict)
    tool_calls: dict[str, int] = field(default_factory=dict)
    """Calls per tool that were not refused."""
    blind: str = ""
    """Why an output could not be indexed. Lineage is then incomplete and nothing may act."""
    _span_id: int = 0
    _node: int = 0

    def __post_init__(self) -> None:
        self.authority = Authority.of(self.instructions, self.system, self.literals)

    def observe(self, user: str | None, system: str | None) -> bool:
        """Add trusted text; repeated text adds nothing. Returns whether anything was new."""
        new = False
        for text, known in ((user, self.instructions), (system, self.system)):
            if text and text not in known:
                known.append(text)
                new = True
        if new:
            self.authority = Authority.of(self.instructions, self.system, self.literals)
        return new

    def new_call_id(self) -> str:
        """An id for a call whose framework has none."""
        while True:
            self._node += 1
            if f"call-{self._node}" not in self.records:
                return f"call-{self._node}"

    def add(
        self, call_id: str, record: Record, node: ToolCall | None, edges: tuple[Edge, ...]
    ) -> None:
        """Remember a call; a later decision under the same id replaces the earlier node."""
        previous = self.records.get(call_id)
        if previous is not None and previous.node is not None:
            self.edges = [e for e in self.edges if e.target != call_id]
            if previous.status == "decided":  # what ran stays counted
                self._count(previous.node, -1)
        self._count(node, 1)
        record.node = node
        self.records[call_id] = record
        known = self.records
        self.edges.extend(
            e for e in edges if e.source in known and known[e.source].node and e.source != call_id
        )

    def _count(self, node: ToolCall | None, step: int) -> None:
        if node is not None:
            self.tool_calls[node.tool_name] = self.tool_calls.get(node.tool_name, 0) + step

    def take_output(self, call_id: str, record: Record, output: object) -> None:
        """Cut, label and index the output of a call that ran."""
        value = output_value(output)
        spans = cut_spans(value, record.spec, call_id, floor=record.floor, first_id=self._span_id)
        self._span_id += len(spans)
        self.index.add(spans, self.authority)

    def snapshot(self) -> ExecutionPlan:
        """The plan so far.

        Raises:
            PlanError: no call was made yet.
        """
        nodes = tuple(record.node for record in self.records.values() if record.node is not None)
        ids = {node.node_id for node in nodes}
        edges = tuple(e for e in self.edges if e.source in ids and e.target in ids)
        return ExecutionPlan(nodes=nodes, edges=edges)


def output_value(output: object) -> Any:
    """A tool's output as a JSON value: objects stay objects, anything odd becomes its text."""
    from gatling_guard.errors import InputError

    if output is None or isinstance(output, (str, int, float, bool)):
        text = output if not isinstance(output, str) else _clean(output)
        return text if text == text else "NaN"
    try:
        return to_json(output, max_items=1_000_000, max_chars=64_000_000)
    except InputError:
        return _clean(str(output))


def _clean(text: str) -> str:
    """Lone surrogates cannot be hashed or stored; replace them, keep everything else."""
    return text.encode("utf-8", "replace").decode("utf-8")


def stopped(decision: Decision | None) -> bool:
    """Whether the tool must not run."""
    return isinstance(decision, (Blocked, Held))

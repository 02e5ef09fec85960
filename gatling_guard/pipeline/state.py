"""What a session knows: the growing plan, the lineage index, the authority, memo and holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from gatling_guard.catalog import ToolSpec
from gatling_guard.decision import Blocked, Decision, Held, Repair
from gatling_guard.pipeline.grants import GrantBook
from gatling_guard.pipeline.lessons import Lesson
from gatling_guard.pipeline.outputs import output_value
from gatling_guard.plan import Edge, ExecutionPlan, Provenance, ToolCall
from gatling_guard.policy import Grant
from gatling_guard.rules import Charge, Spent
from gatling_guard.trace import (
    Authority,
    Lineage,
    LineageIndex,
    cut_spans,
    domain_of,
    name_words,
    word_set,
)
from gatling_guard.trace.parse import parse_text

if TYPE_CHECKING:
    from gatling_guard.pipeline.latents import PlanLatents
    from gatling_guard.pipeline.rivals import RivalIndex

CallStatus = Literal["decided", "ran", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call as an agent framework hands it in: nothing about it has been checked."""

    name: str
    arguments: Any
    call_id: str | None = None
    """The framework's id of the call; without one, every request is a call of its own."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's answer to a hold; single use."""

    by: str
    expires_at: float
    offer: Repair | None = None
    """What may run instead of the call; None: the call itself."""


_COMPLETES = word_set(
    "accept activate approve checkout commit complete confirm execute finalize finish submit "
    "validate verify"
)
MAX_HOSTS = 10_000
"""Hosts remembered; further ones count as new each time."""
MAX_KEPT = 4096
"""Characters of arguments that the record of a refused call keeps."""


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
    caused: bool = False
    """Untrusted content caused this call: its output, and what goes on with it, carry that on."""
    sensitive: bool = False
    """It worked on secrets or personal data."""
    grant: Grant | None = None
    """The grant of which it used one call."""
    grant_changes: int = 0
    """`GrantBook.changes` when it was decided."""
    charges: tuple[Charge, ...] = ()
    """What it takes from budgets."""


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
    rivals: RivalIndex | None = None
    """None where no learned part compares texts."""
    latents: PlanLatents | None = None
    """None where no encoder is on."""
    records: dict[str, Record] = field(default_factory=dict)
    """By call id, in the order of arrival."""
    edges: list[Edge] = field(default_factory=list)
    pending: dict[str, Held] = field(default_factory=dict)
    """Holds that nobody has answered yet, by hold id."""
    lessons: dict[str, Lesson] = field(default_factory=dict)
    """Of the offers that wait, by hold id."""
    offered: dict[str, Repair] = field(default_factory=dict)
    """The first offer of each hold: what a person's yes to it is about."""
    approvals: dict[str, Approval] = field(default_factory=dict)
    tool_calls: dict[str, int] = field(default_factory=dict)
    """Calls per tool that were not refused."""
    spent: Spent = field(default_factory=Spent)
    held_at: dict[str, float] = field(default_factory=dict)
    """When each hold was first shown."""
    caused: list[str] = field(default_factory=list)
    """Ids of the calls that untrusted content caused and that ran, oldest first."""
    visited: set[str] = field(default_factory=set)
    """Hosts that allowed calls turned to."""
    grants: GrantBook = field(default_factory=GrantBook)
    peaks: dict[str, float] = field(default_factory=dict)
    """Highest risk so far under the calibration in use, by name."""
    blind: str = ""
    """Why an output could not be indexed. Lineage is then incomplete and nothing may act."""
    _span_id: int = 0

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
            if self.rivals is not None:
                self.rivals.hear(self.authority.instructions)
        return new

    def name_literals(self, literals: tuple[str, ...]) -> None:
        """Take over the values that a new policy names."""
        if literals != self.literals:
            self.literals = literals
            self.authority = Authority.of(self.instructions, self.system, literals)

    @property
    def goes_on(self) -> bool:
        """Whether any call was let through."""
        return any(count > 0 for count in self.tool_calls.values())

    def earlier(self, name: str, call_id: str) -> tuple[ToolCall, ...]:
        """Other calls of a tool that were let through."""
        nodes = (r.node for known, r in self.records.items() if known != call_id)
        return tuple(node for node in nodes if node is not None and node.tool_name == name)

    def next_call_id(self) -> str:
        """An id for a call whose framework has none; taken once it is added."""
        number = len(self.records) + 1
        while f"call-{number}" in self.records:
            number += 1
        return f"call-{number}"

    def waiting_id(self, name: str, arguments: dict[str, Any]) -> str | None:
        """The id under which the very same call already waits for a person."""
        for held in self.pending.values():
            call = held.call
            if call is not None and (call.tool_name, call.arguments) == (name, arguments):
                return call.node_id
        return None

    def add(
        self, call_id: str, record: Record, node: ToolCall | None, edges: tuple[Edge, ...]
    ) -> None:
        """Remember a call. A later decision under the same id replaces the earlier node.

        A refusal replaces nothing that runs or ran: its output is still to come, or counts.
        """
        previous = self.records.get(call_id)
        if record.status == "refused" and previous is not None and previous.status != "refused":
            return
        if previous is not None and previous.node is not None:
            self.edges = [e for e in self.edges if e.target != call_id]
            if previous.status == "decided":  # what ran stays counted
                self._count(previous.node, -1)
                self.grants.count(previous.grant, -1)
                self.spent.add(previous.charges, -1)
        self._count(node, 1)
        self.grants.count(record.grant, 1)
        self.spent.add(record.charges)
        record.node = node
        self.records[call_id] = record
        known = self.records
        self.edges.extend(
            e for e in edges if e.source in known and known[e.source].node and e.source != call_id
        )

    def _count(self, node: ToolCall | None, step: int) -> None:
        if node is not None:
            self.tool_calls[node.tool_name] = self.tool_calls.get(node.tool_name, 0) + step

    def give_back(self, record: Record) -> None:
        """A call that failed took nothing from its budgets but the call itself."""
        self.spent.add([charge for charge in record.charges if charge.key[1] != "calls"], -1)
        record.charges = ()

    def take_output(self, call_id: str, record: Record, output: object) -> None:
        """Cut, label and index the output of a call that ran."""
        value = output_value(output)
        spans = cut_spans(
            value, record.spec, call_id, floor=record.floor, first_id=self._span_id,
            cause=call_id if record.caused else "", sensitive=record.sensitive,
        )  # fmt: skip
        self._span_id += len(spans)
        stored = self.index.add(spans, self.authority)
        if self.rivals is not None:
            self.rivals.add(stored)
        tool = record.spec.name if record.spec and record.node else ""
        given = record.node.arguments if record.node else {}
        self.grants.sources.add(spans, tool, given, structured=_structured(value))

    def visit(self, spec: ToolSpec | None, lineage: tuple[Lineage, ...]) -> None:
        """Remember the hosts that an allowed call turns to."""
        urls = spec.profile.url_args if spec else ()
        for leaf in lineage:
            host = domain_of(str(leaf.value)) if leaf.argument in urls else None
            if host and len(self.visited) < MAX_HOSTS:
                self.visited.add(host)

    def continued(self, name: str) -> str:
        """The latest call that untrusted content caused and that a call of `name` completes.

        `confirm_transfer` completes `start_transfer`: it finishes what they are both about.
        """
        about = frozenset(name_words(name))
        if not self.caused or _COMPLETES.isdisjoint(about):
            return ""
        for call_id in reversed(self.caused):
            node = self.records[call_id].node
            if node and node.tool_name != name and about & set(name_words(node.tool_name)):
                return call_id
        return ""

    def snapshot(self) -> ExecutionPlan:
        """The plan so far.

        Raises:
            PlanError: no call was made yet.
        """
        nodes = tuple(record.node for record in self.records.values() if record.node is not None)
        ids = {node.node_id for node in nodes}
        edges = tuple(e for e in self.edges if e.source in ids and e.target in ids)
        return ExecutionPlan(nodes=nodes, edges=edges)


def _structured(value: Any) -> bool:
    """Whether an output's field names are the tool's own: an object, or all of it JSON."""
    if not isinstance(value, str):
        return True
    return value.lstrip()[:1] in ("{", "[") and parse_text(value).form == "object"


def stopped(decision: Decision | None) -> bool:
    """Whether the tool must not run."""
    return isinstance(decision, (Blocked, Held))


def slim(decision: Decision) -> Decision:
    """What is kept of a refused call: large arguments and their lineage are not."""
    call = decision.call
    if call is None or isinstance(decision, Held) or len(str(call.arguments)) <= MAX_KEPT:
        return decision
    return replace(decision, call=call.model_copy(update={"arguments": {}}), lineage=())

"""A decision is one of four frozen values: `Allowed | Repaired | Held | Blocked`.

Consume it with `match`. What a model may be told is `message`; everything else (`reasons`,
`findings`, `energy`) is for the operator and the ledger, because a model that is told which rule
fired is an oracle for whoever wrote the text it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from gatling_guard.energy.types import Energy
from gatling_guard.errors import BlockedError, HeldError
from gatling_guard.plan import ExecutionPlan, ToolCall
from gatling_guard.rules.finding import Finding
from gatling_guard.trace.types import Lineage

Action = Literal["allow", "repair", "hold", "block"]
Mode = Literal["enforce", "shadow"]


@dataclass(frozen=True, kw_only=True)
class Repair:
    """The smallest edit found that makes a call, or a whole plan, pass."""

    original: ToolCall | ExecutionPlan
    repaired: ToolCall | ExecutionPlan
    edits: tuple[str, ...]
    """What is changed, in words, in the order of the edits."""
    machine: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)
    """The same as data: `repair.edit_from_data` reads them back."""
    holds: tuple[str, ...] = ()
    """Calls of the repaired plan that wait for a person."""
    cost: float = 0.0
    similarity: float = 1.0
    """Share of what the instruction asks for that the repaired one still serves, 0..1 (R58)."""
    minimal: bool = False
    """Whether it is proven that nothing cheaper helps, among the edits that were proposed."""
    explored: int = field(default=0, compare=False)
    """Drafts that were judged."""
    seconds: float = field(default=0.0, compare=False)
    energy: float = 0.0
    """Of the repaired one; that of the original stands in the decision."""

    @property
    def message(self) -> str:
        """What a model may be shown: which values ran instead, never why.

        Values that are short are told; of any other only that it was changed.
        """
        if not isinstance(self.original, ToolCall) or not isinstance(self.repaired, ToolCall):
            return "plan: changed."
        before, after = self.original.arguments, self.repaired.arguments
        names = [n for n in (*before, *(set(after) - set(before))) if _differs(before, after, n)]
        said = ", ".join(_told(after, name) for name in names)
        return f"{self.repaired.tool_name}: ran with {said}."


def _differs(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> bool:
    return name not in after or name not in before or before[name] != after[name]


def _told(after: Mapping[str, Any], name: str) -> str:
    if name not in after:
        return f"no {name}"
    value = after[name]
    return f"{name}={value}" if isinstance(value, (int, float)) else f"another {name}"


@dataclass(frozen=True, kw_only=True)
class _Base:
    """What every decision carries."""

    decision_id: str
    """Deterministic: a digest of run, call, arguments and versions; also in the ledger."""
    call: ToolCall | None = None
    """The call decided on; None for a whole plan or when the input could not even be read."""
    plan: ExecutionPlan | None = None
    """For a whole plan: the plan to run (allowed, repaired) or the one refused."""
    energy: Energy = field(default_factory=Energy)
    risks: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """What the learned heads said, >= 0 each; empty where there are none or they were not asked."""
    findings: tuple[Finding, ...] = ()
    lineage: tuple[Lineage, ...] = ()
    reasons: tuple[str, ...] = ()
    """For the operator: why, most important first."""
    mode: Mode = "enforce"
    policy_digest: str = ""
    parts: tuple[Decision, ...] = ()
    """For a whole plan: the decision on each of its calls, in the order of the nodes as asked."""

    @property
    def tool_name(self) -> str:
        """Name of the tool decided on, `plan` for a whole plan."""
        return self.call.tool_name if self.call else "plan"


@dataclass(frozen=True, kw_only=True)
class Allowed(_Base):
    """The call may run as it is."""

    action: Literal["allow"] = "allow"
    approved_by: str | None = None
    """Who answered the hold, where a person did."""
    would: Held | Blocked | Repaired | None = None
    """Shadow mode only: what would have been decided had the policy been enforced."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments to run with: a copy, so that nobody changes what was decided on."""
        return deepcopy(self.call.arguments) if self.call else {}

    def unwrap(self) -> ToolCall | ExecutionPlan:
        """The call (or whole plan) to run."""
        return _subject(self)


@dataclass(frozen=True, kw_only=True)
class Repaired(_Base):
    """The call may run with the changed arguments in `call`, a plan as it stands in `plan`.

    Energy, findings, lineage and reasons are those of the original: why it was changed.
    """

    action: Literal["repair"] = "repair"
    edits: tuple[str, ...] = ()
    """What was changed, in words."""
    repair: Repair | None = None
    approved_by: str | None = None
    """Who took the offer, where a person did."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments to run with: a copy, so that nobody changes what was decided on."""
        return deepcopy(self.call.arguments) if self.call else {}

    @property
    def message(self) -> str:
        """What the model may be shown beside the result."""
        return self.repair.message if self.repair else f"{self.tool_name}: ran with changes."

    def unwrap(self) -> ToolCall | ExecutionPlan:
        """The call (or whole plan) to run."""
        return _subject(self)


@dataclass(frozen=True, kw_only=True)
class Held(_Base):
    """The call waits for a person; it was not executed."""

    action: Literal["hold"] = "hold"
    hold_id: str = ""
    """What an approval is bound to: run, call id, tool and exact arguments."""
    expires_in: float = 0.0
    """Seconds from now in which it can be approved."""
    offer: Repair | None = None
    """What a person may let run instead: `approve(hold_id, by=..., offer=True)`."""
    only_offer: bool = False
    """The call itself may not run, whatever a person says; the offer may."""

    @property
    def message(self) -> str:
        """What the model may be shown."""
        return f"{self.tool_name}: not executed. It waits for approval by a person; do not retry."

    def unwrap(self) -> ToolCall | ExecutionPlan:
        """Never returns.

        Raises:
            HeldError: always.
        """
        raise HeldError(self)


@dataclass(frozen=True, kw_only=True)
class Blocked(_Base):
    """The call must not run."""

    action: Literal["block"] = "block"
    code: str = ""
    """Opaque; the same text can be found in the ledger."""
    others: bool = False
    """Other calls of the same task may run."""

    @property
    def message(self) -> str:
        """What the model may be shown."""
        ref = f" (ref {self.code})" if self.code else ""
        rest = " Other parts of the task can go on." if self.others else ""
        return f"{self.tool_name}: not executed{ref}. Do not retry; tell the user.{rest}"

    def unwrap(self) -> ToolCall | ExecutionPlan:
        """Never returns.

        Raises:
            BlockedError: always.
        """
        raise BlockedError(self)


Decision: TypeAlias = Allowed | Repaired | Held | Blocked


def _subject(decision: Allowed | Repaired) -> ToolCall | ExecutionPlan:
    subject = decision.plan if decision.call is None else decision.call
    assert subject is not None, "a decision is about a call or a plan"
    return subject

"""A decision is one of four frozen values: `Allowed | Repaired | Held | Blocked`.

Consume it with `match`. What a model may be told is `message`; everything else (`reasons`,
`findings`, `energy`) is for the operator and the ledger, because a model that is told which rule
fired is an oracle for whoever wrote the text it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    """For a whole plan: the decision on each call, in the order of `plan.nodes`."""

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
        """The arguments to run with."""
        return dict(self.call.arguments) if self.call else {}

    def unwrap(self) -> ToolCall | ExecutionPlan:
        """The call (or whole plan) to run."""
        return _subject(self)


@dataclass(frozen=True, kw_only=True)
class Repaired(_Base):
    """The call may run with the changed arguments in `call`."""

    action: Literal["repair"] = "repair"
    edits: tuple[str, ...] = ()
    """What was changed, in words."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments to run with."""
        return dict(self.call.arguments) if self.call else {}

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

    @property
    def message(self) -> str:
        """What the model may be shown."""
        ref = f" (ref {self.code})" if self.code else ""
        return f"{self.tool_name}: not executed{ref}. Do not retry; tell the user."

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

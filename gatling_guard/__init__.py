"""Guards tool-calling LLM agents: allows, repairs, holds or blocks a call before it runs.

Start with `Guard`; see README.md for a tour. Importing this package alone costs next to nothing:
the rooms behind it are loaded when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatling_guard.catalog import (
        Catalog,
        Effect,
        ToolProfile,
        ToolSpec,
        spec_digest,
        spec_from_any,
    )
    from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repaired
    from gatling_guard.energy import Energy, Share
    from gatling_guard.errors import (
        BlockedError,
        ConfigurationError,
        CycleError,
        GatlingError,
        HeldError,
        InputError,
        Issue,
        LedgerError,
        LedgerTamperedError,
        PlanError,
        PolicyError,
        StoppedError,
        ToolSpecError,
        TraceError,
    )
    from gatling_guard.guard import Guard
    from gatling_guard.ledger import Ledger
    from gatling_guard.pipeline import ToolRequest
    from gatling_guard.plan import Edge, ExecutionPlan, Provenance, ToolCall, parse_plan
    from gatling_guard.policy import Grant, GrantTerms, Policy, load_policy
    from gatling_guard.rules import Finding
    from gatling_guard.session import Session
    from gatling_guard.trace import Authority, Lineage, Origin, Span

__version__ = "0.1.0"

__all__ = [
    "Allowed",
    "Authority",
    "Blocked",
    "BlockedError",
    "Catalog",
    "ConfigurationError",
    "CycleError",
    "Decision",
    "Edge",
    "Effect",
    "Energy",
    "ExecutionPlan",
    "Finding",
    "GatlingError",
    "Grant",
    "GrantTerms",
    "Guard",
    "Held",
    "HeldError",
    "InputError",
    "Issue",
    "Ledger",
    "LedgerError",
    "LedgerTamperedError",
    "Lineage",
    "Origin",
    "PlanError",
    "Policy",
    "PolicyError",
    "Provenance",
    "Repaired",
    "Session",
    "Share",
    "Span",
    "StoppedError",
    "ToolCall",
    "ToolProfile",
    "ToolRequest",
    "ToolSpec",
    "ToolSpecError",
    "TraceError",
    "load_policy",
    "parse_plan",
    "spec_digest",
    "spec_from_any",
]

_ROOMS = {
    "catalog": "Catalog Effect ToolProfile ToolSpec spec_digest spec_from_any",
    "decision": "Allowed Blocked Decision Held Repaired",
    "energy": "Energy Share",
    "errors": (
        "BlockedError ConfigurationError CycleError GatlingError HeldError "
        "InputError Issue LedgerError LedgerTamperedError PlanError "
        "PolicyError StoppedError ToolSpecError TraceError "
    ),
    "guard": "Guard",
    "ledger": "Ledger",
    "pipeline": "ToolRequest",
    "plan": "Edge ExecutionPlan Provenance ToolCall parse_plan",
    "policy": "Grant GrantTerms Policy load_policy",
    "rules": "Finding",
    "session": "Session",
    "trace": "Authority Lineage Origin Span",
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Load a public name from its room (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'gatling_guard' has no attribute {name!r}")
    value = getattr(import_module(f"gatling_guard.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

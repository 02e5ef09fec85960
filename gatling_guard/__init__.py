"""Guards tool-calling LLM agents: allows, repairs, holds or blocks a call before it runs.

Start with `Guard`; see README.md for a tour.
"""

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
from gatling_guard.policy import Policy, load_policy
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

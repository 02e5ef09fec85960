"""What is authorised: the policy, how it is read, and what its patterns mean."""

from gatling_guard.policy.boundary import Boundary
from gatling_guard.policy.budgets import Budget, BudgetKind
from gatling_guard.policy.flows import CAUSED, Flow
from gatling_guard.policy.grants import (
    AnsweredGrant,
    Grant,
    GrantSource,
    GrantTerms,
    as_receipt,
    party_match,
    where_match,
)
from gatling_guard.policy.load import BUILTIN, load_policy, policy_warnings, read_source
from gatling_guard.policy.model import (
    EnergyBounds,
    Hold,
    Limits,
    OnError,
    Policy,
    Role,
    ToolRule,
    policy_schema,
    source_tier,
)
from gatling_guard.policy.patterns import (
    MAX_SUBJECT,
    MAX_WORK,
    full_match,
    glob_match,
    match_any,
    nearest,
    pattern_work,
    search,
)
from gatling_guard.policy.repair import RepairKind, Repairs, RepairVerdict, ToolRepair
from gatling_guard.policy.watch import PolicyFile

__all__ = [
    "BUILTIN",
    "CAUSED",
    "MAX_SUBJECT",
    "MAX_WORK",
    "AnsweredGrant",
    "Boundary",
    "Budget",
    "BudgetKind",
    "EnergyBounds",
    "Flow",
    "Grant",
    "GrantSource",
    "GrantTerms",
    "Hold",
    "Limits",
    "OnError",
    "Policy",
    "PolicyFile",
    "RepairKind",
    "RepairVerdict",
    "Repairs",
    "Role",
    "ToolRepair",
    "ToolRule",
    "as_receipt",
    "full_match",
    "glob_match",
    "load_policy",
    "match_any",
    "nearest",
    "party_match",
    "pattern_work",
    "policy_schema",
    "policy_warnings",
    "read_source",
    "search",
    "source_tier",
    "where_match",
]

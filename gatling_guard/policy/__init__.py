"""What is authorised: the policy, how it is read, and what its patterns mean."""

from gatling_guard.policy.boundary import Boundary
from gatling_guard.policy.flows import Flow
from gatling_guard.policy.grants import (
    AnsweredGrant,
    Grant,
    GrantSource,
    GrantTerms,
    as_receipt,
    party_match,
    where_match,
)
from gatling_guard.policy.load import load_policy
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
    MAX_WORK,
    full_match,
    glob_match,
    match_any,
    nearest,
    pattern_work,
    search,
)

__all__ = [
    "MAX_WORK",
    "AnsweredGrant",
    "Boundary",
    "EnergyBounds",
    "Flow",
    "Grant",
    "GrantSource",
    "GrantTerms",
    "Hold",
    "Limits",
    "OnError",
    "Policy",
    "Role",
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
    "search",
    "source_tier",
    "where_match",
]

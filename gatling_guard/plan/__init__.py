"""Tool calls and execution plans."""

from gatling_guard.plan.model import (
    MAX_NODES,
    Edge,
    ExecutionPlan,
    Provenance,
    ToolCall,
)
from gatling_guard.plan.parse import did_you_mean, parse_plan, plan_schema
from gatling_guard.plan.values import (
    JsonValue,
    Leaf,
    canonical_json,
    digest,
    escape,
    leaves,
    parse_json,
    to_json,
)

__all__ = [
    "MAX_NODES",
    "Edge",
    "ExecutionPlan",
    "JsonValue",
    "Leaf",
    "Provenance",
    "ToolCall",
    "canonical_json",
    "did_you_mean",
    "digest",
    "escape",
    "leaves",
    "parse_json",
    "parse_plan",
    "plan_schema",
    "to_json",
]

"""Hard rules: a policy and a tool's schema against one call."""

from gatling_guard.rules.apply import CHECKS, apply_rules
from gatling_guard.rules.budget import Charge, Spent
from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding, RuleAction
from gatling_guard.rules.quote import quote, shown

__all__ = [
    "CHECKS",
    "Charge",
    "Finding",
    "RuleAction",
    "RuleFacts",
    "Spent",
    "apply_rules",
    "quote",
    "shown",
]

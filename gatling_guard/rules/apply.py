"""All hard rules on one call. No score clears what they find (P1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from gatling_guard.rules.arguments import check_arguments, check_extra
from gatling_guard.rules.budget import check_budgets
from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding
from gatling_guard.rules.flow import check_flows
from gatling_guard.rules.origins import check_origins
from gatling_guard.rules.schema import check_schema
from gatling_guard.rules.tool import (
    check_holds,
    check_known,
    check_limits,
    check_role,
    check_scope,
)

Check = Callable[[RuleFacts], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    check_known,
    check_role,
    check_scope,
    check_schema,
    check_arguments,
    check_extra,
    check_origins,
    check_flows,
    check_holds,
    check_limits,
    check_budgets,
)
MAX_FINDINGS = 50
"""Most findings of one check; a veto among them is a veto whatever is left out."""


def apply_rules(facts: RuleFacts) -> tuple[Finding, ...]:
    """Everything the policy and the tool's schema have to say about a call.

    A check that fails is itself a `block` finding (`rule.error`): what could not be checked must
    not run (R140). Never raises.
    """
    found: list[Finding] = []
    for check in CHECKS:
        try:
            if some := list(islice(check(facts), 1000)):
                found += _vetoes_first(some)
        except Exception as error:
            text = f"{check.__name__} failed: {type(error).__name__}"
            found.append(Finding("rule.error", "block", text))
    return tuple(found)


def _vetoes_first(found: Iterable[Finding]) -> list[Finding]:
    """At most `MAX_FINDINGS`, so that notes cannot push a veto out."""
    order = {"block": 0, "hold": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.action])[:MAX_FINDINGS]

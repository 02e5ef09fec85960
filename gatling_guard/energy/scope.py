"""E_scope: log excess over the smallest budget that instruction and schema imply (R36).

Sees: numeric arguments that say how much (limit, days, depth, ...), and the number of recipients.
Does not see: a wide query behind a small limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Share
from gatling_guard.rules import shown
from gatling_guard.trace import Authority

BUDGETS = {
    "limit": 100, "count": 100, "size": 100, "top": 100, "max": 100, "results": 100, "rows": 100,
    "n": 100, "k": 100, "days": 90, "months": 12, "weeks": 12, "years": 1, "hours": 24 * 90,
    "depth": 5, "hops": 5, "pages": 10,
}  # fmt: skip
"""Budget by the last word of an argument's name, where nothing narrower is known."""
PAGE = 20
"""One page of results: nobody asks for fewer."""
_PERIODS = frozenset(("days", "hours", "months", "weeks", "years"))
RECIPIENTS = 10
"""Values in one identity list before it counts as bulk."""
PER_LOG = 1.0
"""Energy per natural logarithm of the excess: ten times the budget costs 2.3, the cap is reached
at 400 times, so that ten thousand rows still rank below all of them."""


def scope(facts: EnergyFacts) -> Iterator[Share]:
    """Shares for every dimension that exceeds its budget; zero at and under it."""
    properties = facts.spec.parameters.get("properties") or {}
    for leaf in facts.lineage:
        if leaf.named or isinstance(leaf.value, bool) or not isinstance(leaf.value, (int, float)):
            continue
        budget = minimal_budget(facts.authority, leaf.argument, properties.get(leaf.argument))
        if budget is not None and leaf.value > budget:
            value = PER_LOG * math.log(leaf.value / budget)
            reason = f"{shown(leaf.argument)}={leaf.value} over {budget}"
            yield facts.share("scope", "excess", value, reason, leaf)
    for name in facts.profile.identity_args:
        listed = facts.argument(name)
        if facts.acts and isinstance(listed, list) and len(listed) > RECIPIENTS:
            value = PER_LOG * math.log(len(listed) / RECIPIENTS)
            yield facts.share("scope", "excess", value, f"{name} lists {len(listed)} values")


def minimal_budget(authority: Authority, name: str, schema: object) -> float | None:
    """The most that an argument needs; None where its name says no amount, or all is wanted.

    Args:
        authority: who may have said how much.
        name: of the argument.
        schema: of the argument, in the tool's own schema.
    """
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    known = next((BUDGETS[word] for word in reversed(words) if word in BUDGETS), None)
    if known is None:
        return None
    said = authority.budget("days" if words[-1] in _PERIODS else "limit")
    if said.unbounded:
        return None
    if said.value is not None:
        # Looking at a page of results to find the three that were meant is no excess.
        return max(said.value, PAGE) if said.dimension == "limit" else said.value
    default = schema.get("default") if isinstance(schema, dict) else None
    if isinstance(default, (int, float)) and not isinstance(default, bool) and default > known:
        return default
    return known

"""Risk features of one call: plain numbers, each of which makes a call more suspicious as it rises.

Attribution (who explains the call?), the user's words (did he ask for it, does he delegate?) and
the exact structure (where do the values come from?). Wording alone is in none of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gatling_guard.energy.attribution import Attribution
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.steering import decisive
from gatling_guard.energy.types import Energy, TermName

UNREAD = -6.0
"""For `judged` where the judge was not asked: below whatever it says."""
UNDIRECTED = 0.3
"""A text that directs nobody counts for `directive` as so much farther away."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What a number is about."""

    term: TermName
    """To which term of the energy its contribution belongs."""
    reason: str
    """For the operator."""
    of: Callable[[EnergyFacts, Attribution, Mapping[str, float]], float]
    """Of facts, attribution, and the structural energy by kind."""


def _ungrounded(facts: EnergyFacts, attribution: Attribution, kinds: Mapping[str, float]) -> float:
    """0..1: share of the values that nobody trusted named."""
    leaves = [leaf for leaf in facts.lineage if not leaf.trivial]
    return sum(not leaf.named for leaf in leaves) / len(leaves) if leaves else 0.0


def _decisive(facts: EnergyFacts, attribution: Attribution, kinds: Mapping[str, float]) -> float:
    """1 where untrusted text alone gives a party, account or place."""
    identity = facts.profile.identity_args
    return float(any(
        leaf.argument in identity and leaf.only_untrusted and decisive(leaf.value)
        for leaf in facts.lineage
    ))  # fmt: skip


def _number(logit: float) -> float:
    """What is no finite number counts as the worst: a judge that fails lets nothing through."""
    return logit if math.isfinite(logit) else math.inf


def _kind(*names: str) -> Callable[[EnergyFacts, Attribution, Mapping[str, float]], float]:
    return lambda facts, attribution, kinds: sum(kinds.get(name, 0.0) for name in names)


FEATURES: Mapping[str, Feature] = MappingProxyType({
    "margin": Feature(
        "hierarchy", "an untrusted text explains the call better than the user's words",
        lambda facts, a, kinds: a.margin,
    ),
    "directive": Feature(
        "hierarchy", "an untrusted text that tells somebody to do something explains the call",
        lambda facts, a, kinds: max(a.directive, a.span - UNDIRECTED) - a.said,
    ),
    "judged": Feature(
        "hierarchy", "read together, the user's words do not want this call",
        lambda facts, a, kinds: UNREAD if a.judged is None else _number(a.judged),
    ),
    "unsupported": Feature(
        "hierarchy", "nothing the user said is about this call",
        lambda facts, a, kinds: -a.said,
    ),
    "foreign-tool": Feature(
        "hierarchy", "nothing the user said is about this tool",
        lambda facts, a, kinds: -a.tool_said,
    ),
    "own": Feature(
        "hierarchy", "the user leaves nothing to others", lambda facts, a, kinds: -a.delegated,
    ),
    "own-effects": Feature(
        "hierarchy", "the user says himself what is to be done",
        lambda facts, a, kinds: -a.entrusted,
    ),
    "unasked": Feature(
        "hierarchy", "the user's words ask for no such effect",
        lambda facts, a, kinds: float(not facts.asked_itself),
    ),
    "unnamed": Feature(
        "hierarchy", "the user's words do not name what the tool works on",
        lambda facts, a, kinds: float(not facts.about),
    ),
    "steering": Feature(
        "hierarchy", "one untrusted window gives the call", _kind("steering"),
    ),
    "follow-up": Feature(
        "hierarchy", "it goes on with a call that untrusted text caused", _kind("follow-up"),
    ),
    "ungrounded": Feature("provenance", "most values come from elsewhere", _ungrounded),
    "decisive": Feature(
        "provenance", "untrusted text alone gives a party, account or place", _decisive,
    ),
    "trust-gap": Feature("provenance", "the values are less trusted", _kind("trust-gap")),
    "leaving": Feature(
        "flow", "data goes where nobody named", _kind("carried", "secret", "attached", "unsaid"),
    ),
})  # fmt: skip
"""By the names that heads use."""


def risk_features(
    facts: EnergyFacts, attribution: Attribution, structure: Energy
) -> dict[str, float]:
    """All features of one call.

    Args:
        facts: of the call.
        attribution: of the call.
        structure: its structural energy, as it is without learned parts.
    """
    kinds = structure.kinds()
    return {name: float(f.of(facts, attribution, kinds)) for name, f in FEATURES.items()}

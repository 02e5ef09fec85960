"""E_provenance: privilege of the call x untrust of its identity arguments (R35).

Sees: a recipient, account, path, id, amount or command that was found in partner or third-party
text only, or that must be assumed to stand there since a bound was hit.
Does not see: values the model made up (they come from nowhere), nor free text.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Share
from gatling_guard.plan import Provenance
from gatling_guard.rules import quote, shown

UNTRUST = {Provenance.INTERNAL: 0.0, Provenance.PARTNER: 0.4, Provenance.PUBLIC: 1.0}
"""How much of the privilege counts, by the tier of the lineage."""
SCALE = 0.7
"""Energy per point of privilege: privilege 10 from tier 3 gives 7, below the block band alone."""


def provenance(facts: EnergyFacts) -> Iterator[Share]:
    """One share per identity argument whose value the authority does not name."""
    if not facts.acts:
        return
    identity = set(facts.profile.identity_args) | set(facts.profile.url_args)
    for leaf in facts.lineage:
        if leaf.trivial or leaf.named or leaf.argument not in identity:
            continue
        found = [o.tier for o in leaf.origins if o.source == "output" and o.match != "words"]
        if not found:
            continue
        # A value also present in a better source was most likely taken from there; the worst
        # tier decides only when nothing better vouches for it (promotion is barred in the index).
        gap = UNTRUST[min(found)] * facts.profile.privilege * SCALE
        if gap > 0.0:
            tier = min(found).name.lower()
            value = quote(leaf.value)
            reason = f"{shown(leaf.argument)}={value} is known from {tier} text only"
            yield facts.share("provenance", gap, reason, leaf)

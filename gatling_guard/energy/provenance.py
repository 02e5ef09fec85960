"""E_provenance: privilege of the call x untrust of its identity arguments (R35).

Sees: a recipient, account, path, id, amount or command that was found in partner or third-party
text only, or that must be assumed to stand there since a bound was hit. The worst one counts.
Does not see: values the model made up (they come from nowhere), nor free text.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Share
from gatling_guard.plan import Provenance
from gatling_guard.rules import quote, shown
from gatling_guard.trace import Lineage, canonical, meets_by_chance, trimmed

UNTRUST = {Provenance.INTERNAL: 0.0, Provenance.PARTNER: 0.4, Provenance.PUBLIC: 1.0}
"""How much of the privilege counts, by the tier of the lineage."""
SCALE = 0.7
"""Energy per point of privilege: privilege 10 from tier 3 gives 7, below the block band alone."""
FIELD = 0.4
"""For a value that is a whole short field of a record (a sender, an id) before any prose has it:
the platform wrote it, or at least it directs nobody."""
CHANCE = 0.4
"""For small numbers, days and times, which meet by chance."""
ASKED = 0.2
"""For an effect the user asked for: some value had to be found. `hierarchy` looks at whether the
text that gives it also asks for the call. Of several discounts the largest counts, alone."""
ASKED_HIGH = 0.32
"""The same from privilege `HIGH` on."""
HIGH = 9
"""Privilege from which on (money, access, commands) a value of a stranger's is grey by itself."""


def provenance(facts: EnergyFacts) -> Iterator[Share]:
    """One share for the identity argument with the largest trust gap that nobody vouches for."""
    if not facts.acts:
        return
    identity = set(facts.profile.identity_args) | set(facts.profile.url_args)
    worst: tuple[float, Lineage] | None = None
    for leaf in facts.lineage:
        if leaf.argument in identity:
            gap = _gap(facts, leaf)
            if gap > (worst[0] if worst else 0.0):
                worst = gap, leaf
    if worst is None:
        return
    gap, leaf = worst
    tier = max(o.tier for o in leaf.origins if o.source == "output").name.lower()
    reason = f"{shown(leaf.argument)}={quote(leaf.value)} is known from {tier} text only"
    yield facts.share(
        "provenance", "trust-gap", gap * facts.profile.privilege * SCALE, reason, leaf
    )


def _gap(facts: EnergyFacts, leaf: Lineage) -> float:
    """0..1."""
    if leaf.trivial or leaf.named or facts.granted(leaf):
        return 0.0
    found = [o for o in leaf.origins if o.source == "output" and o.match != "words"]
    if not found:
        return 0.0
    # A value that stands as such in a better source was most likely taken from there; else the
    # worst tier decides (promotion is barred in the index).
    whole = [o.tier for o in found if o.vouches]
    gap = UNTRUST[min(whole) if whole else max(o.tier for o in found)]
    if gap == 0.0:
        return 0.0
    first = min((o.span for o in found if o.span), key=lambda span: span.span_id, default=None)
    discounts = [1.0]
    # Where the text itself was not seen, nobody can say that it does not ask for the call.
    seen = not any(o.span is None or o.span.rest for o in found)
    if facts.asked and seen:
        discounts.append(ASKED_HIGH if facts.profile.privilege >= HIGH else ASKED)
    if first is not None and seen and not first.free_text:
        discounts.append(FIELD)
    elif meets_by_chance(trimmed(canonical(str(leaf.value)))):
        discounts.append(CHANCE)
    return gap * min(discounts)

"""E_flow: data reaches a destination the authority did not name (R37, R38).

A destination is judged by its value (address, URL, account), never by the tool's name: the same
tool is harmless towards the user's own side. Parallel independent calls cost nothing.
Sees: output spans copied into a call that leaves the user's side. Does not see: paraphrased data.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Share
from gatling_guard.plan import Provenance
from gatling_guard.rules import quote, shown
from gatling_guard.trace import Lineage

CARRIED = {Provenance.INTERNAL: 1.0, Provenance.PARTNER: 2.0, Provenance.PUBLIC: 5.0}
"""Earlier output in one argument, by the best tier the destination is known from. Towards an
address from the user's own records it is a note; from a stranger's text it is grey by itself."""


def flow(facts: EnergyFacts) -> Iterator[Share]:
    """Shares for arguments that carry earlier outputs to an unnamed outside destination."""
    if not (facts.profile.sink or facts.profile.egress):
        return
    targets = [leaf for leaf in facts.lineage if _is_target(facts, leaf)]
    if not targets:
        return
    names = {leaf.argument for leaf in targets}
    worst = max(targets, key=_known_from)
    carriers: dict[str, Lineage] = {}
    for leaf in facts.lineage:
        carries = not leaf.trivial and not leaf.named and leaf.spans
        if carries and leaf.argument not in names and _is_content(facts, leaf):
            carriers.setdefault(leaf.argument, leaf)
    for leaf in carriers.values():
        name, target = shown(leaf.argument), quote(worst.value)
        reason = f"{name} carries earlier output to {target}, which nobody named"
        yield facts.share("flow", CARRIED[_known_from(worst)], reason, leaf)


def _known_from(target: Lineage) -> Provenance:
    """Best tier that knows the destination; one the model made up is as bad as a stranger's."""
    tiers = [origin.tier for origin in target.origins if origin.source == "output"]
    return min(tiers, default=Provenance.PUBLIC)


def _is_content(facts: EnergyFacts, leaf: Lineage) -> bool:
    """Not a date, an amount or an id: those say what is done, they are not what is carried."""
    profile = facts.profile
    return leaf.argument in profile.content_args or (
        leaf.argument not in profile.identity_args and len(str(leaf.value)) > 20
    )


def _is_target(facts: EnergyFacts, leaf: Lineage) -> bool:
    """A destination value outside the user's side that the trusted side did not name."""
    profile = facts.profile
    if leaf.argument not in (*profile.identity_args, *profile.url_args):
        return False
    if leaf.trivial or leaf.named or not isinstance(leaf.value, str):
        return False
    return not facts.inside(leaf.value)

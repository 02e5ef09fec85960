"""E_hierarchy: untrusted content steers control flow (R34).

Sees: side effects nobody asked for after untrusted text was read, and argument values that stand
in an untrusted sentence which reads like an instruction. Does not see: an instruction that is
phrased as a plain fact and repeats the user's own verb and values.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Share
from gatling_guard.rules import quote, shown

DIRECTED = 5.0
"""Per argument that only an untrusted directive gives; two of them alone reach the block band."""
DIRECTED_TEXT = 2.5
"""The same for free text, which honest summaries repeat: grey by itself."""
UNASKED = 3.0
"""An effect the instruction does not ask for, once untrusted text was read: grey by itself."""


def hierarchy(facts: EnergyFacts) -> Iterator[Share]:
    """Shares for directed arguments and for an effect that was not asked for."""
    if not facts.acts:
        return
    for leaf in facts.lineage:
        if leaf.trivial or leaf.named:
            continue
        directive = next((s for s in leaf.spans if s.directive and s.tier == 3), None)
        if directive is not None:
            said = quote(directive.text)
            reason = f"{shown(leaf.argument)} stands in an untrusted instruction: {said}"
            text = leaf.argument in facts.profile.content_args
            yield facts.share("hierarchy", DIRECTED_TEXT if text else DIRECTED, reason, leaf)
    if facts.untrusted_read and not facts.authority.asks(facts.profile.effect, facts.spec):
        effect = facts.profile.effect.value
        yield facts.share("hierarchy", UNASKED, f"nobody asked for an effect of kind {effect!r}")

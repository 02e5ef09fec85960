"""E_hierarchy: untrusted content steers control flow (R34, design P3).

Sees: a window of untrusted text that asks for this very call (`steering`), effects nobody asked
for once untrusted text was read, a link from such text spread in the user's name, reads of an
address that a stranger says to open, a value of the user's that was replaced by another one, and
whatever follows from a call that untrusted content caused.
Does not see: an instruction that repeats the user's own verb and values.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatling_guard.catalog import Effect
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.provenance import HIGH
from gatling_guard.energy.steering import decisive, directed_fetch, steering, untrusted_text
from gatling_guard.energy.types import Share
from gatling_guard.rules import quote, shown
from gatling_guard.trace import (
    Lineage,
    Span,
    addresses_in,
    asks_for,
    canonical,
    find_bounded,
    words_of,
)

STEERED = 6.0
"""A whole call given by untrusted text, with an effect that nobody asked for."""
STEERED_ASKED = 3.5
"""The same for an effect the user asked for, or delegated: grey as soon as the text gives more than
half of the call, so that what cannot be undone is held (P5) and what can runs with a receipt."""
UNASKED = 2.0
"""An effect the instruction does not ask for, once untrusted text was read: grey by itself."""
DELEGATED = 1.9
"""The same where the user delegated ("do what the page says"): grey with whatever else there is."""
_NEVER_IMPLIED = frozenset((Effect.DELETE, Effect.EXECUTE, Effect.PERMIT))
"""No delegation implies these: what is deleted or run often has no value of a stranger's that would
tell. (A payment has: its account.)"""
FETCH = 3.0
"""A read that goes where an untrusted sentence says to go: the request itself leaves."""
REPLACED = 6.5
"""A value of untrusted text in the place of one that the user gave: with steering, it blocks."""
BESIDE = 2.0
"""A party out of untrusted text beside the one that the user named: grey by itself."""
GROUNDLESS = 0.25
"""An identity that no text of the session holds: a note."""
GROUNDLESS_HIGH = 2.0
"""The same for a party or account, at the highest privileges, once untrusted text was read: it may
have been put together from pieces that nothing recognises."""
LINK = 2.0
"""An address nobody named inside of what is sent, out of a sentence that says to send it."""
FOLLOW_UP = 3.0
"""A step that only makes sense after a call that untrusted content caused."""


def hierarchy(facts: EnergyFacts) -> Iterator[Share]:
    """Shares for steering, fetches, links, follow-ups and an effect that was not asked for."""
    if not facts.acts:
        return
    if not facts.profile.effect.side_effect:
        yield from _fetches(facts)
        return
    asked = facts.asked
    found = steering(facts)
    if found is not None:
        said, names = quote(found.span.text), sorted({leaf.argument for leaf in found.leaves})
        what = "asks for this call" if found.share > 0.99 else f"gives {shown(', '.join(names))}"
        value = found.share * (STEERED_ASKED if asked else STEERED)
        reason = f"untrusted text {what}: {said}"
        yield facts.share("hierarchy", "steering", value, reason, found.leaves[0], found.span)
    if facts.untrusted_read and not facts.asked_itself and facts.grant is None:
        effect = facts.profile.effect.value
        why = "only delegated" if asked else "nobody asked for"
        value = DELEGATED if asked and facts.profile.effect not in _NEVER_IMPLIED else UNASKED
        yield facts.share("hierarchy", "unasked", value, f"{why}: an effect of kind {effect!r}")
    yield from _groundless(facts)
    yield from _replaced(facts)
    yield from _beside(facts)
    yield from _links(facts)
    yield from _follow_ups(facts)


def _fetches(facts: EnergyFacts) -> Iterator[Share]:
    for leaf, span in directed_fetch(facts):
        reason = f"{shown(leaf.argument)} is where an untrusted text says to go: {quote(span.text)}"
        yield facts.share("hierarchy", "fetch", FETCH, reason, leaf, span)


def _groundless(facts: EnergyFacts) -> Iterator[Share]:
    """Who or which the call is about is the model's own idea, in every part."""
    about = [
        leaf for leaf in facts.lineage
        if leaf.argument in facts.profile.identity_args and not leaf.trivial
    ]  # fmt: skip
    for leaf in about:
        high = facts.profile.privilege >= HIGH and facts.untrusted_read and decisive(leaf.value)
        if high and all(origin.source == "model" for origin in leaf.origins):
            reason = f"nothing that was said or read holds {shown(leaf.argument)}"
            yield facts.share("hierarchy", "groundless", GROUNDLESS_HIGH, reason, leaf)
            return
    if about and all(origin.source == "model" for leaf in about for origin in leaf.origins):
        reason = f"nothing that was said or read holds {shown(about[0].argument)}"
        yield facts.share("hierarchy", "groundless", GROUNDLESS, reason, about[0])


def _replaced(facts: EnergyFacts) -> Iterator[Share]:
    """The user said who or which, and the call takes another one, out of untrusted text."""
    identity = (*facts.profile.identity_args, *facts.profile.url_args)
    for leaf in facts.lineage:
        if leaf.argument not in identity or not leaf.only_untrusted or facts.granted(leaf):
            continue
        arguments, effect = facts.call.arguments, facts.profile.effect
        meant = facts.authority.replaced(leaf.value, leaf.argument, arguments, effect)
        if meant is not None:
            reason = (
                f"{shown(leaf.argument)}={quote(leaf.value)} where the user said {quote(meant)}"
            )
            yield facts.share("hierarchy", "replaced", REPLACED, reason, leaf)
            return


def _beside(facts: EnergyFacts) -> Iterator[Share]:
    """A stranger's party or account beside the one that the user named."""
    about = [leaf for leaf in facts.lineage if leaf.argument in facts.profile.identity_args]
    named = [leaf for leaf in about if leaf.named and decisive(leaf.value)]
    for leaf in about if named else ():
        if leaf.only_untrusted and decisive(leaf.value) and not facts.granted(leaf):
            reason = f"{quote(leaf.value)} beside {quote(named[0].value)}, which the user named"
            yield facts.share("hierarchy", "beside", BESIDE, reason, leaf)
            return


def _links(facts: EnergyFacts) -> Iterator[Share]:
    """The first address of each text that nobody named and that a directive gives."""
    for leaf in facts.lineage:
        content = leaf.argument in facts.profile.content_args and isinstance(leaf.value, str)
        if not content or leaf.named or facts.granted(leaf):
            continue
        given = _given_link(facts, leaf)
        if given is not None:
            address, span = given
            reason = f"{shown(leaf.argument)} spreads {quote(address)}, given by {quote(span.text)}"
            yield facts.share("hierarchy", "link", LINK, reason, leaf, span)


def _given_link(facts: EnergyFacts, leaf: Lineage) -> tuple[str, Span] | None:
    spans = list(untrusted_text(leaf))
    if not spans:
        return None
    for address in addresses_in(canonical(str(leaf.value)))[:16]:
        named = facts.authority.find(address)
        if named is not None and named.match != "words":
            continue
        for span in spans:
            words = words_of(span.canonical)
            asks = asks_for(words, facts.spec.name, facts.profile.effect)
            if asks and find_bounded(address, span.canonical) >= 0:
                return address, span
    return None


def _follow_ups(facts: EnergyFacts) -> Iterator[Share]:
    """Values that came out of a call untrusted content caused, or a later step of that call."""
    for leaf in facts.lineage:
        if leaf.causes and not (leaf.trivial or leaf.named or facts.granted(leaf)):
            cause = shown(leaf.causes[0])
            reason = f"{shown(leaf.argument)} came out of {cause}, which untrusted text caused"
            yield facts.share("hierarchy", "follow-up", FOLLOW_UP, reason, leaf)
            return
    if facts.continues:
        reason = f"goes on with {shown(facts.continues)}, which untrusted text caused"
        yield facts.share("hierarchy", "follow-up", FOLLOW_UP, reason)

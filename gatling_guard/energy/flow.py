"""E_flow: data reaches a destination the authority did not name (R37, R38).

A destination is judged by its value (address, URL, account), never by the tool's name: the same
tool is harmless towards the user's own side. Parallel independent calls cost nothing.
Sees: output spans copied into a call that leaves the user's side, secrets and what was made from
them, encoded or split on the way, bulk, and data inside an address. Does not see: paraphrased data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from gatling_guard.catalog import Effect
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Share
from gatling_guard.plan import Provenance
from gatling_guard.rules import quote, shown
from gatling_guard.trace import (
    Lineage,
    Origin,
    canonical,
    domain_of,
    name_words,
    sensitive_file,
    word_set,
    words_of,
)

CARRIED = {Provenance.INTERNAL: 1.0, Provenance.PARTNER: 2.0, Provenance.PUBLIC: 5.0}
"""Earlier output in one argument, by the best tier the destination is known from. Towards an
address from the user's own records it is a note; from a stranger's text it is grey by itself."""
ASKED = 0.4
"""For an effect that the user asked for: some destination had to be found."""
SECRET = 3.0
"""On top for what looks like a secret or personal data, or was made from some."""
UNSAID = 2.0
"""A secret that the user did not speak of, towards a destination that he named."""
DISGUISED = 2.0
"""On top for what is sent encoded, or in pieces: honest work has no reason to."""
COMPOSED = 3.0
"""An address whose query the model wrote, on a host nobody named, inside of a text."""
_QUERY = re.compile(r"https?://[^\s<>\"')\]]{1,500}\?[^\s<>\"')\]]{1,1500}")
_IMAGE = re.compile(
    r"(?:!\[[^\]]{0,200}\]\(\s{0,4}|<img[^>]{0,200}?src\s{0,4}=\s{0,4}[\"']?)"
    r"((?:https?:)?[/\\]{2}[^\s<>\"')\]]{4,1500})"
)
ATTACHED = {Provenance.INTERNAL: 0.5, Provenance.PARTNER: 1.0, Provenance.PUBLIC: 2.0}
"""A file or message that nobody named goes along to a destination nobody named, by the best tier
that knows the destination."""
_REFERENCE = word_set(
    "attachment attachments file files path paths document documents id ids message messages"
)
BULK = 4_000
"""Characters of one argument from which on it counts as bulk."""
PER_LOG = 1.0
"""Energy per natural logarithm of the excess over `BULK`."""


def flow(facts: EnergyFacts) -> Iterator[Share]:
    """Shares for arguments that carry earlier outputs to an unnamed outside destination."""
    profile = facts.profile
    yield from _composed(facts)
    reaches = profile.notified(facts.call.arguments)
    if not (profile.sink or profile.egress or profile.url_args or reaches):
        return
    targets = [leaf for leaf in facts.lineage if _is_target(facts, leaf)]
    if not targets:
        yield from _published(facts)
        yield from _unsaid(facts)
        return
    worst = max(targets, key=_known_from)
    yield from _attached(facts, worst)
    carriers: dict[str, Lineage] = {}
    for leaf in facts.lineage:
        if _carries(facts, leaf, targets):
            known = carriers.get(leaf.argument)
            if known is None or (leaf.sensitive and not known.sensitive):
                carriers[leaf.argument] = leaf
    for leaf in carriers.values():
        yield facts.share("flow", "carried", *_cost(facts, leaf, worst), leaf)


def _published(facts: EnergyFacts) -> Iterator[Share]:
    """A secret in a text that goes out although nobody asked for it; where to is of no matter."""
    where = (*facts.profile.identity_args, *facts.profile.url_args)
    said = any(leaf.named for leaf in facts.lineage if leaf.argument in where)
    if facts.asked or said or not facts.profile.sink:
        return
    for leaf in facts.lineage:
        if leaf.sensitive and leaf.argument in facts.profile.content_args and not leaf.named:
            reason = f"{shown(leaf.argument)} tells what looks like a secret"
            yield facts.share("flow", "secret", SECRET, reason, leaf)
            return


def _unsaid(facts: EnergyFacts) -> Iterator[Share]:
    """A secret that the user's words do not touch on, sent where he said, untrusted text read."""
    if not (facts.untrusted_read and facts.profile.sink and facts.asked_itself):
        return
    for leaf in facts.lineage:
        if leaf.argument not in facts.profile.content_args or leaf.named:
            continue
        for span in leaf.spans:
            about = {*words_of(canonical(span.path)), *words_of(span.canonical[:400])}
            said = any(len(w) > 3 for w in about & facts.authority.words)
            if span.sensitive and span.tier < Provenance.PUBLIC and not said:
                reason = f"{shown(leaf.argument)} tells {quote(span.path)}, of which nobody spoke"
                yield facts.share("flow", "unsaid", UNSAID, reason, leaf, span)
                return


def _composed(facts: EnergyFacts) -> Iterator[Share]:
    """Addresses with a query inside of a text that leaves: whoever shows the text fetches them."""
    if not facts.profile.sink:
        return
    for leaf in facts.lineage:
        if leaf.trivial or leaf.argument not in facts.profile.content_args or leaf.named:
            continue
        text = str(leaf.value)
        for url in (*_QUERY.findall(text)[:16], *_IMAGE.findall(text)[:16]):
            host, whole = domain_of(url) or "", canonical(url)
            quoted = any(whole in span.canonical for span in leaf.spans)
            known = facts.authority.find(host)
            named = known is not None and known.match != "words"
            if host and not (quoted or named or facts.inside(host)):
                reason = f"{shown(leaf.argument)} holds an address made up of data: {quote(url)}"
                yield facts.share("flow", "composed", COMPOSED, reason, leaf)
                break


def _attached(facts: EnergyFacts, target: Lineage) -> Iterator[Share]:
    """What is sent by naming it: an attachment, the id of a mail to forward."""
    if facts.profile.effect is not Effect.SEND:
        return
    for leaf in facts.lineage:
        if (
            not _is_reference(leaf)
            or leaf.trivial
            or leaf.named
            or leaf is target
            or facts.granted(leaf)
        ):
            continue
        value = ATTACHED[_known_from(target)] + (SECRET if sensitive_file(leaf.value) else 0.0)
        reason = f"{quote(leaf.value)}, which nobody named, goes to {quote(target.value)}"
        yield facts.share("flow", "attached", value, reason, leaf)
        return


def _is_reference(leaf: Lineage) -> bool:
    return not _REFERENCE.isdisjoint(name_words(leaf.argument)) and "@" not in str(leaf.value)


def _cost(facts: EnergyFacts, leaf: Lineage, target: Lineage) -> tuple[float, str]:
    # Reads need no asking, so that having been asked for says nothing for them.
    asked = facts.asked and facts.profile.effect.side_effect
    value = CARRIED[_known_from(target)] * (ASKED if asked else 1.0)
    what = "earlier output"
    if leaf.sensitive:
        value, what = value + SECRET, "what looks like a secret"
    if leaf.disguised:
        value, what = value + DISGUISED, f"{what} in disguise"
    if len(str(leaf.value)) > BULK:
        value += PER_LOG * math.log(len(str(leaf.value)) / BULK)
    return value, f"{shown(leaf.argument)} carries {what} to {quote(target.value)}, nobody named it"


def _known_from(target: Lineage) -> Provenance:
    """Best tier that knows the destination; one the model made up is as bad as a stranger's.

    A whole short field of a stranger's record (who sent the mail) is better than his prose.
    """
    found = [origin for origin in target.origins if origin.source == "output"]
    tier = min((origin.tier for origin in found), default=Provenance.PUBLIC)
    first = min((s for s in target.spans), key=lambda span: span.span_id, default=None)
    if tier is Provenance.PUBLIC and first and not (first.free_text or first.rest):
        return Provenance.PARTNER
    return tier


def _carries(facts: EnergyFacts, leaf: Lineage, targets: list[Lineage]) -> bool:
    """Not a date, an amount or an id: those say what is done, they are not what is carried."""
    if leaf.trivial or leaf.named or not leaf.spans or facts.granted(leaf):
        return False
    profile = facts.profile
    if leaf.argument in profile.url_args:  # both address and cargo
        return leaf in targets and any(map(_cargo, leaf.origins))
    if leaf.argument in {target.argument for target in targets}:
        return False
    if leaf.argument in profile.content_args or leaf.sensitive or leaf.disguised:
        return leaf.argument not in profile.identity_args or leaf.disguised
    return leaf.argument not in profile.identity_args and len(str(leaf.value)) > 20


def _cargo(origin: Origin) -> bool:
    """A piece of a secret inside an address; an address that stands there whole is none."""
    return origin.span is not None and origin.span.sensitive and not origin.vouches


def _is_target(facts: EnergyFacts, leaf: Lineage) -> bool:
    """A destination value outside the user's side that the trusted side did not name."""
    profile = facts.profile
    if leaf.argument not in (*profile.identity_args, *profile.url_args):
        return False
    if leaf.trivial or leaf.named or not isinstance(leaf.value, str) or facts.granted(leaf):
        return False
    if facts.profile.effect is Effect.SEND and _is_reference(leaf):
        return False
    return not facts.inside(leaf.value)

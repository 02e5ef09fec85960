"""Attribution without learning: how much of a call one untrusted window of text explains.

A window is a sentence with its neighbours in the same field. It explains a call as far as the
call's values stand in it, if it also asks for something: it holds a verb of the call's effect, or
reads like an instruction. The wording does not matter, and what the user named himself is not
explained by anybody else. (`covv` in the project's evidence: the one exact fact that no rewording
of an injection changes.)
Sees: values that stand in the window, whole or by most of their words.
Does not see: a goal without values of its own, a paraphrase, a direction in pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gatling_guard.catalog import ToolProfile
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.plan import Provenance
from gatling_guard.trace import (
    Lineage,
    Span,
    asks_for,
    canonical,
    domain_of,
    fetch_verbs,
    find_bounded,
    hidden_text,
    identity,
    trimmed,
    word_set,
    words_of,
)

IDENTITY_WEIGHT = 1.0
"""Who, where, which, how much."""
OTHER_WEIGHT = 0.7
"""Everything else that a call says: texts, titles, times."""
BY_GRAMMAR = 0.8
"""A directive that holds no verb of this effect explains the call a little less."""
MOST_WINDOWS = 16
"""Windows looked at for one call. Directives come first, so that none is crowded out."""


_BETWEEN = word_set(
    "a an the this that our my their at on to under of for from website webpage site page link url "
    "address article blog post file document here www http https eine die der das webseite seite "
    "le la les lien site page el un una sitio pagina enlace"
)
"""What stands between a verb of going somewhere and the address: `open the page at www.x.org`."""


@dataclass(frozen=True, slots=True)
class Steering:
    """The untrusted window that explains most of a call."""

    share: float
    """0..1: weight of the call's values that it gives, over the weight of all of them."""
    span: Span
    """The sentence in its middle."""
    leaves: tuple[Lineage, ...]
    """The values it gives and that nobody trusted named."""


@dataclass(frozen=True, slots=True)
class _Window:
    span: Span
    ids: frozenset[int]
    text: str
    asks: float
    """0: asks for nothing of the kind."""


def steering(facts: EnergyFacts) -> Steering | None:
    """The window that explains most of a call with side effects, None where none asks for it."""
    leaves = [leaf for leaf in facts.lineage if not leaf.trivial]
    given = [leaf for leaf in leaves if not leaf.named and not facts.granted(leaf)]
    best: Steering | None = None
    for window in _windows(facts, given):
        held = tuple(leaf for leaf in given if _stands_in(leaf, window))
        share = window.asks * _explained(facts.profile, leaves, held)
        if share > (best.share if best else 0.0):
            best = Steering(share, window.span, held)
    return best


def directed_fetch(facts: EnergyFacts) -> Iterator[tuple[Lineage, Span]]:
    """Addresses a read goes to since an untrusted sentence says to go there."""
    for leaf in _unnamed(facts, facts.profile.url_args):
        address = trimmed(canonical(str(leaf.value)))
        if facts.visited(domain_of(address) or ""):
            continue
        for span in untrusted_text(leaf):
            if _sends_to(span, address):
                yield leaf, span
                break


def _sends_to(span: Span, address: str) -> bool:
    """Whether the address is what a verb of going there is about: `visit www.x.org`."""
    at = span.canonical.find(address)
    if at < 0:
        return False
    verbs = fetch_verbs(reading=span.directive)
    for word in reversed(words_of(span.canonical[max(0, at - 80) : at])):
        if word in verbs:
            return True
        if word not in _BETWEEN:
            return False
    return False


def _unnamed(facts: EnergyFacts, arguments: Sequence[str]) -> Iterator[Lineage]:
    for leaf in facts.lineage:
        if leaf.argument in arguments and not (leaf.trivial or leaf.named or facts.granted(leaf)):
            yield leaf


def untrusted_text(leaf: Lineage) -> Iterator[Span]:
    """The spans of free text of tier 3 among the origins of a value."""
    return (s for s in leaf.spans if s.free_text and s.tier is Provenance.PUBLIC)


def decisive(value: object) -> bool:
    """Whether a value names one party, account or place of the world, as a first name does not."""
    if isinstance(value, str) and not value.isascii():
        value = hidden_text(value) or value
    return isinstance(value, str) and (
        "@" in value
        or sum(char.isdigit() for char in value) >= 6
        or domain_of(value) is not None
        or identity(value) is not None
    )


def _explained(profile: ToolProfile, leaves: Sequence[Lineage], held: Sequence[Lineage]) -> float:
    """Share of the call, or only of who and where it is about if that is more.

    Whoever decides the destination decides the call, whoever wrote the text that goes there.
    """
    if any(leaf.argument in profile.identity_args and decisive(leaf.value) for leaf in held):
        return 1.0  # however many other arguments stand beside it
    whole = sum(_weight(profile, leaf) for leaf in leaves)
    who = sum(leaf.argument in profile.identity_args for leaf in leaves)
    given = sum(leaf.argument in profile.identity_args for leaf in held)
    return max(
        sum(_weight(profile, leaf) for leaf in held) / whole,
        given / who if who else 0.0,
    )


def _weight(profile: ToolProfile, leaf: Lineage) -> float:
    return IDENTITY_WEIGHT if leaf.argument in profile.identity_args else OTHER_WEIGHT


def _windows(facts: EnergyFacts, leaves: Iterable[Lineage]) -> Iterator[_Window]:
    """Around every untrusted sentence that holds a value of the call."""
    middle: Mapping[int, Span] = {s.span_id: s for leaf in leaves for s in untrusted_text(leaf)}
    ranked = sorted(middle.values(), key=lambda span: (not span.directive, span.span_id))
    for span in ranked[:MOST_WINDOWS]:
        near = facts.around(span)
        text = " ".join(other.canonical for other in near)
        asks = 0.0
        if asks_for(words_of(span.canonical), facts.spec.name, facts.profile.effect):
            asks = 1.0
        elif any(other.directive for other in near):
            asks = BY_GRAMMAR
        if asks:
            yield _Window(span, frozenset(other.span_id for other in near), text, asks)


def _stands_in(leaf: Lineage, window: _Window) -> bool:
    if any(span.span_id in window.ids for span in leaf.spans):
        return True
    if not isinstance(leaf.value, str):
        return False
    key = trimmed(canonical(leaf.value))
    return len(key) > 1 and find_bounded(key, window.text) >= 0

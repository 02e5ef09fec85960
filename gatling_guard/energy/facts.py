"""What an energy term may look at, and the composite that caps and sums the terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

from gatling_guard.catalog import Effect, ToolProfile, ToolSpec
from gatling_guard.energy.types import TERMS, Energy, Share, TermName
from gatling_guard.plan import Provenance, ToolCall, leaves
from gatling_guard.policy import Grant
from gatling_guard.trace import (
    Authority,
    Lineage,
    Span,
    identity,
    lasting_file,
    name_words,
    word_set,
)
from gatling_guard.trace.grants import lists

CAPS: Mapping[TermName, float] = MappingProxyType(
    {"hierarchy": 12.0, "provenance": 7.5, "scope": 6.0, "flow": 7.5}
)
"""Largest energy of each term for one call, so that none drowns the others (R41). Provenance and
flow alone end below the block band: data the user asked to have used may come from a stranger's
text, and that is for a person to say (P5)."""


_WORST = frozenset((Effect.DELETE, Effect.PAY, Effect.PERMIT, Effect.EXECUTE))
_VAGUE = word_set(
    "give giving let letting open opening clean cleaning clear clearing empty start starting turn "
    "turning play book booking reserve reserving share sharing change changing update updating add "
    "adding allow enable assign send sending follow following close closing click clicking call "
    "calling test testing perform tip drop download downloading get compute calculate"
)


_SAME = {
    "event": ("calendar", "meeting", "appointment"),
    "calendar": ("event", "meeting", "appointment"),
    "meeting": ("calendar", "event", "appointment"),
    "email": ("mail", "message"),
    "mail": ("email", "message"),
    "message": ("mail", "email", "chat"),
    "transaction": ("payment", "transfer", "bill", "invoice"),
    "payment": ("bill", "invoice", "transaction", "fee"),
    "money": ("payment", "bill", "invoice", "fee", "rent", "amount"),
    "order": ("purchase", "item", "product"),
}
"""Other words for what tools are about."""


@dataclass(frozen=True)
class EnergyFacts:
    """Everything exact that is known about one call when it is scored."""

    call: ToolCall
    spec: ToolSpec
    lineage: tuple[Lineage, ...]
    authority: Authority
    untrusted_read: bool = False
    """Tier-3 free text has reached the agent before this call."""
    inside: Callable[[str], bool] = field(default=lambda value: False)
    """Whether a destination value lies on the user's own side (policy `boundary`)."""
    around: Callable[[Span], tuple[Span, ...]] = field(default=lambda span: (span,))
    """A span with the sentences beside it."""
    continues: str = ""
    """The call that untrusted content caused and of which this one is a later step."""
    visited: Callable[[str], bool] = field(default=lambda host: False)
    """Whether a host was read from before in this session: going there again tells nobody new."""
    grant: Grant | None = None
    """What allows every untrusted value of this call (tier 3, not named)."""

    @property
    def profile(self) -> ToolProfile:
        """Profile of the tool that is called."""
        return self.spec.profile

    @cached_property
    def undoable(self) -> bool:
        """Whether an ordinary user can undo the call.

        What a request carried cannot be taken back, nor what others were told; a key, a start-up
        file or a build step does its harm before anybody undoes it.
        """
        profile, arguments = self.profile, self.call.arguments
        if not profile.reversible or profile.egress or profile.notified(arguments):
            return False
        return not any(lasting_file(leaf.value) for leaf in leaves(arguments))

    @property
    def acts(self) -> bool:
        """The call can do harm: it has a side effect, or a read carries its own destination."""
        return self.profile.effect.side_effect or self.profile.egress

    @cached_property
    def asked(self) -> bool:
        """Whether the instruction asks for this effect, or to do what some text says.

        A delegation only makes effects expected, and so a hold of what would be a block: the
        values that the text gives stay what they are (P5).
        """
        return self.asked_itself or bool(self.authority.delegations)

    @cached_property
    def asked_itself(self) -> bool:
        """Whether the instruction itself asks for this effect.

        For what is worst to get wrong a verb of many uses (`open`, `give`, `book`) asks for it only
        together with the thing, or where it is the tool's own.
        """
        effect = self.profile.effect
        if not self.authority.asks(effect, self.spec):
            return False
        asks = self.authority.asked(effect) if effect in _WORST else ()
        if not asks or not _VAGUE.issuperset(ask.verb for ask in asks):
            return True
        party = any(
            leaf.named and isinstance(leaf.value, str) and identity(leaf.value) is not None
            for leaf in self.lineage
        )
        return self.names_it or (party and effect in (Effect.PAY, Effect.PERMIT))

    @cached_property
    def about(self) -> bool:
        """Whether the user's words name what the tool works on, who it is about, or delegate.

        `make a plan` asks for a write; that a calendar gets an event it does not say.
        """
        identity = self.profile.identity_args
        said = any(leaf.named and leaf.argument in identity for leaf in self.lineage)
        return said or self.names_it or bool(self.authority.delegations)

    @cached_property
    def names_it(self) -> bool:
        """Whether the user's words name the kind of thing that the tool works on."""
        nouns = name_words(self.spec.name)[1:] or name_words(self.spec.name)
        same = (word for noun in nouns for word in (noun, *_SAME.get(noun, ())))
        forms = {form for word in same for form in (word, f"{word}s", word.removesuffix("s"))}
        return not forms.isdisjoint(self.authority.words)

    def granted(self, leaf: Lineage) -> bool:
        """Whether a grant lets this value come from where it comes from, or gives it itself."""
        grant = self.grant
        return grant is not None and (leaf.tier > Provenance.INTERNAL or lists(grant, leaf))

    def argument(self, name: str) -> Any:
        """Value of a top-level argument, or None."""
        return self.call.arguments.get(name)

    def share(
        self, term: TermName, kind: str, value: float, reason: str,
        lineage: Lineage | None = None, span: Span | None = None,
    ) -> Share:  # fmt: skip
        """A share of `term` blamed on this call and, through a lineage, on an argument and edge."""
        where = lineage.path if lineage else ""
        spans = lineage.spans if lineage else ()
        worst = span or max(spans, key=lambda span: span.tier, default=None)
        edge = (worst.call_id, self.call.node_id) if worst else None
        return Share(term, self.call.node_id, value, reason, where, edge, kind)


PLAN_CAP = 24.0
"""Largest energy of each term for a whole plan: four of them stay below 100 (R41)."""


def bounded(shares: Iterable[Share]) -> Energy:
    """The energy of a whole plan: every term at most `PLAN_CAP`, its shares shrunk alike."""
    found = list(shares)
    return Energy.of(
        s
        for term in TERMS
        for s in _capped((share for share in found if share.term == term), 1.0, PLAN_CAP)
    )


class Term(Protocol):
    """One energy term: a plain function from facts to shares, each >= 0."""

    def __call__(self, facts: EnergyFacts, /) -> Iterable[Share]:
        """The shares of this term for one call."""
        ...


@dataclass(frozen=True)
class Composite:
    """The four terms with a fixed weight each; a weight of 0 switches a term off (R40)."""

    terms: Mapping[TermName, Term]
    weights: Mapping[TermName, float] = field(default_factory=lambda: dict.fromkeys(TERMS, 1.0))

    def __call__(self, facts: EnergyFacts) -> Energy:
        """Energy of one call."""
        shares: list[Share] = []
        for name, term in self.terms.items():
            weight = self.weights.get(name, 1.0)
            if weight > 0.0:
                shares.extend(_capped(term(facts), weight, CAPS[name]))
        return Energy.of(shares)


def _capped(shares: Iterable[Share], weight: float, cap: float) -> list[Share]:
    """Weigh the shares and, above the cap, shrink all alike: the sum stays monotone."""
    if not (found := list(shares)):
        return found
    raw = weight * sum(share.value for share in found)
    # A hair below the cap, so that rounding never puts the sum above it.
    factor = weight if raw <= cap else weight * cap / raw * (1 - 1e-12)
    if factor == 1.0:
        return found
    return [replace(share, value=share.value * factor) for share in found]

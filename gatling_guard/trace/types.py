"""Spans of tool outputs and the lineage of argument values (design.md, section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gatling_guard.plan import Provenance


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a tool's output: a field of the returned object, or a sentence of free text."""

    span_id: int
    """Unique and increasing within a session."""
    call_id: str
    tool: str
    path: str
    """JSON pointer inside the output; several sentences of one field share it."""
    text: str
    """As returned. Scalars that are no strings in their JSON form."""
    canonical: str
    """`canonical(text)`."""
    tier: Provenance
    free_text: bool = False
    """Cut from prose (mail body, web page), not from a short structured field."""
    directive: bool = False
    """Reads like an instruction to somebody."""
    rest: bool = False
    """Stands for output that no bound left room for: anything may be in it. `text` is its start."""
    cause: str = ""
    """Id of the call that untrusted content caused and that made this; "" for all other output."""
    sensitive: bool = False
    """A secret or personal data by its name or shape, or made from some."""


Source = Literal["instruction", "system", "policy", "output", "model"]
"""`model`: found nowhere, so the model made it up or composed it."""
Match = Literal[
    "exact", "substring", "variant", "encoded", "part", "split", "words", "assumed", "none"
]
"""Only `exact` and `substring` (the value stands there as whole words) vouch for a value; the
others taint it, and tell what it carries.

`variant`: the same value in another writing: other separators, another form of the same
address, number or account. `encoded`: it was found only after decoding one of the two. `part`:
a piece of a longer token, or several glued together. `split`: together with its neighbours, or
with what earlier calls sent. `words`: most of its words occur there, in any order. `assumed`: a
bound was hit, so that it must be taken to occur in text of that tier."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One place an argument value may have come from."""

    source: Source
    match: Match
    tier: Provenance
    span: Span | None = None
    """For `output`: the span it was found in; None where it is only assumed."""
    quote: str = ""
    """The text around the match, at most 160 characters."""
    partial: bool = False
    """Only a part of the value was found there: the value was put together, or cut in two."""

    @property
    def vouches(self) -> bool:
        """Whether all of the value stands there as such: only then is its tier the value's."""
        return self.match in ("exact", "substring") and not self.partial


@dataclass(frozen=True, slots=True)
class Lineage:
    """All places one argument leaf may have come from; its trust is the worst of them."""

    path: str
    """JSON pointer inside the arguments; `/~key` at the end for a key that is data."""
    argument: str
    """Name of the top-level argument it sits under."""
    value: None | bool | int | float | str
    origins: tuple[Origin, ...] = ()
    trivial: bool = False
    """Carries no information of its own: booleans, null, blank text."""

    @property
    def tier(self) -> Provenance:
        """The worst tier over all origins; INTERNAL when it was found nowhere."""
        return max((o.tier for o in self.origins), default=Provenance.INTERNAL)

    @property
    def named(self) -> bool:
        """The trusted side itself gave this value (exactly, or as a part of its text)."""
        for o in self.origins:  # asked for many times a check, and a generator costs more
            if o.match in ("exact", "substring") and o.source not in ("output", "model"):
                return True
        return False

    @property
    def spans(self) -> tuple[Span, ...]:
        """The output spans among the origins."""
        return tuple(o.span for o in self.origins if o.span is not None)

    @property
    def sensitive(self) -> bool:
        """Some of it may be a secret or personal data."""
        return any(span.sensitive for span in self.spans)

    @property
    def disguised(self) -> bool:
        """Some of it was found only after decoding it, or put together from pieces."""
        return any(o.match in ("encoded", "split") for o in self.origins)

    @property
    def causes(self) -> tuple[str, ...]:
        """Calls that untrusted content caused and that this value came out of."""
        return tuple(dict.fromkeys(span.cause for span in self.spans if span.cause))

    @property
    def only_untrusted(self) -> bool:
        """Found in tier-3 text (or assumed to be), and as a whole nowhere better, and not named."""
        outputs = [o for o in self.origins if o.source == "output"]
        if self.named or not any(o.tier == 3 for o in outputs):
            return False
        return all(o.tier == 3 for o in outputs if o.vouches or o.match == "words")

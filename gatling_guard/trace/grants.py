"""Whether a grant covers a call: exact facts of its lineage against what was granted (P5).

A grant covers a call when every value of it that only untrusted text gives was first seen in a
granted source, and effect, tool, amounts, recipients, uses, time and role hold. Whatever is not
certain is not covered. Sees: values. Does not see: which sentence made the model act; a source
that may direct payments directs them with whatever values it states.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.plan import Provenance, digest
from gatling_guard.policy import (
    AnsweredGrant,
    Grant,
    GrantSource,
    match_any,
    party_match,
    where_match,
)
from gatling_guard.trace.amounts import currencies_of, names_party, number
from gatling_guard.trace.authority import scalar_text, sole_identity
from gatling_guard.trace.canonical import canonical, find_bounded, trimmed
from gatling_guard.trace.lineage import LineageIndex
from gatling_guard.trace.lookup import meets_by_chance
from gatling_guard.trace.mentions import as_number, dates_in, numbers_in, same_day
from gatling_guard.trace.types import Lineage, Span

MAX_FIELDS = 5_000
"""Spans of one output among which a field is looked for."""
_NOT_NAME = re.compile(r"[\W_]+")
_WORD = re.compile(r"[^\W\d][\w-]{0,31}\Z|\Z")
"""One word, as the values of an enum are."""

Fixed = tuple[tuple[str, str], ...]
"""Path and value, in order."""


@dataclass(frozen=True, slots=True)
class SourceCall:
    """One output, and the call it came from."""

    first: int
    """Id of its first span; all up to `end` are its own."""
    end: int
    call_id: str
    tool: str
    """Registered name; "" for the output of a call that was never allowed."""
    arguments: Mapping[str, Any]
    digest: str
    """Of everything it says."""
    structured: bool = False
    """Came as an object or JSON, so that its field names are the tool's own."""


@dataclass
class Sources:
    """All outputs of a session, by the span ids each of them got."""

    _calls: list[SourceCall] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def add(
        self, spans: Sequence[Span], tool: str, arguments: Mapping[str, Any], *, structured: bool
    ) -> None:
        """Remember an output. Span ids only grow, so the list stays sorted."""
        if spans:
            first, end = spans[0].span_id, spans[-1].span_id + 1
            said = digest([tool, [[span.path, span.text] for span in spans]])
            call_id = spans[0].call_id
            self._calls.append(SourceCall(first, end, call_id, tool, arguments, said, structured))
            self._starts.append(first)

    def at(self, span_id: int) -> SourceCall | None:
        """The output that a span was cut from."""
        place = bisect_right(self._starts, span_id) - 1
        if place < 0 or span_id >= self._calls[place].end:
            return None
        return self._calls[place]


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """What the matching of grants looks at."""

    spec: ToolSpec
    lineage: tuple[Lineage, ...]
    index: LineageIndex
    sources: Sources
    role: str | None
    now: float
    """By the guard's clock, as `started`."""
    started: float
    """When the session began."""
    uses: Callable[[Grant], int] = field(default=lambda grant: 0)
    """How often a grant was used in this session, this call left out."""

    @property
    def identity(self) -> frozenset[str]:
        """Arguments that say who, where or how much."""
        return frozenset((*self.spec.profile.identity_args, *self.spec.profile.url_args))


def covering(grants: Iterable[Grant], facts: GrantFacts) -> Grant | None:
    """The first grant that covers the call, or None.

    None too where nothing untrusted directs the call: then there is nothing to grant.
    """
    profile = facts.spec.profile
    if not (profile.effect.side_effect or profile.egress):
        return None
    open_ones = [grant for grant in grants if _open(grant, facts)]
    if not open_ones:
        return None
    directed = directed_leaves(facts.lineage)
    if not directed:
        return None
    return next((grant for grant in open_ones if _covers(grant, directed, facts)), None)


def expired(grant: Grant, now: float, started: float) -> bool:
    """Whether the time of a grant is over."""
    began = grant.created if isinstance(grant, AnsweredGrant) else started
    return grant.expires_s is not None and not began <= now <= began + grant.expires_s


def _open(grant: Grant, facts: GrantFacts) -> bool:
    if not grant.allows(facts.spec.name, facts.spec.profile.effect, facts.role):
        return False
    used_up = grant.calls is not None and facts.uses(grant) >= grant.calls
    return not used_up and not expired(grant, facts.now, facts.started)


def directed_leaves(lineage: Sequence[Lineage]) -> tuple[Lineage, ...]:
    """The values that stand in untrusted text and that the trusted side did not give."""
    return tuple(
        leaf
        for leaf in lineage
        if not leaf.trivial and not leaf.named and leaf.tier is Provenance.PUBLIC
    )


def _covers(grant: Grant, directed: Sequence[Lineage], facts: GrantFacts) -> bool:
    def granted(span_id: int) -> bool:
        return _is_source(grant, facts.sources.at(span_id), span_id, facts.index)

    return (
        _within(grant.limits, facts.lineage)
        and _only(grant.only, facts.lineage)
        and _addressed(grant, facts)
        and all(_given_by(leaf, facts, granted) for leaf in directed)
        and _switched_as_held(grant, facts)
    )


def _switched_as_held(grant: Grant, facts: GrantFacts) -> bool:
    """Whether what decides how the tool works is what the person saw; a policy says nothing."""
    if not isinstance(grant, AnsweredGrant) or grant.fixed is None:
        return True
    return fixed_values(facts.lineage, facts.spec, (*grant.limits, *grant.free)) == grant.fixed


def _given_by(leaf: Lineage, facts: GrantFacts, granted: Callable[[int], bool]) -> bool:
    """Whether the granted source gave a value, and nobody untrusted before it."""
    if chance := _chance_spans(leaf):
        return any(granted(at) for at in chance)
    return all(at >= 0 and granted(at) for at in origin_spans(leaf, facts.index))


def origin_spans(leaf: Lineage, index: LineageIndex) -> tuple[int, ...]:
    """Ids of the untrusted spans that account for a value; -1 for one that nobody can name.

    Of a value that stands somewhere as a whole: the first such place, for what repeats it later
    adds nothing (no promotion by repetition). Of one that was put together: all its pieces.
    """
    found = [o for o in leaf.origins if o.source == "output" and o.tier is Provenance.PUBLIC]
    if not found or any(o.span is None or o.match == "assumed" for o in found):
        return (-1,)
    spans = [o.span for o in found if o.span is not None]
    key = trimmed(canonical(scalar_text(leaf.value)))
    whole = [span for span in spans if _holds(span, key)]
    if not whole:
        return tuple(span.span_id for span in spans)
    first = index.first_untrusted(leaf.value)
    return (-1,) if first is None else (first,)


def _chance_spans(leaf: Lineage) -> tuple[int, ...]:
    """The untrusted spans that state a value which meets by chance; none for other values.

    A small number or a day stands in many places without being taken from the first of them.
    """
    key = trimmed(canonical(scalar_text(leaf.value)))
    if not meets_by_chance(key):
        return ()
    return tuple(s.span_id for s in leaf.spans if s.tier is Provenance.PUBLIC and _holds(s, key))


def _holds(span: Span, key: str) -> bool:
    """Whether the whole value stands in a span, in its own form or by value."""
    if find_bounded(key, span.canonical) >= 0:
        return True
    figure = as_number(key)
    if figure is not None:
        return abs(figure) in numbers_in(span.canonical)
    days = dates_in(key) if len(key) <= 40 else set()
    return bool(days) and all(
        any(same_day(day, other) for other in dates_in(span.canonical)) for day in days
    )


# ---------------------------------------------------------------------------- the source


def _is_source(grant: Grant, call: SourceCall | None, at: int, index: LineageIndex) -> bool:
    if call is None or not call.tool:
        return False
    if isinstance(grant, AnsweredGrant):
        return call.digest in grant.digests
    return any(_is_output_of(source, call, at, index) for source in grant.sources)


def _is_output_of(source: GrantSource, call: SourceCall, at: int, index: LineageIndex) -> bool:
    if not match_any(source.tool, (call.tool,)):
        return False
    if any(
        name not in call.arguments or not where_match(patterns, call.arguments[name])
        for name, patterns in source.where.items()
    ):
        return False
    return all(
        call.structured and party_match(allowed, _field(name, call, at, index))
        for name, allowed in source.fields.items()
    )


def _field(name: str, call: SourceCall, at: int, index: LineageIndex) -> str | None:
    """A field of the record that a span stands in; None where there is none, or more than one.

    The outermost record counts: what a third party nests inside its own text is no field of it.
    """
    span = index.span(at)
    if span is None or call.end - call.first > MAX_FIELDS:
        return None
    inside = span.path.split("/~json", 1)[0].split("/")
    tail = name.replace("~", "~0").replace("/", "~1")
    for depth in range(1, len(inside) + 1):
        wanted = "/".join((*inside[:depth], tail))
        texts = [s.text for s in _spans(call, index) if s.path == wanted]
        if texts:
            return texts[0] if len(texts) == 1 else None
    return None


def _spans(call: SourceCall, index: LineageIndex) -> Iterator[Span]:
    return (s for at in range(call.first, call.end) if (s := index.span(at)) is not None)


# ---------------------------------------------------------------------------- how far


def _within(limits: Mapping[str, float], lineage: Sequence[Lineage]) -> bool:
    """Every limited argument is there, and all numbers under its name together are within it."""
    return all(
        (total := amount_called(name, lineage)) is not None and total <= most
        for name, most in limits.items()
    )


def _only(allowed: Mapping[str, tuple[str, ...]], lineage: Sequence[Lineage]) -> bool:
    """Every bound argument is there, and each value under its name is one of those listed."""
    for name, patterns in allowed.items():
        values = [leaf.value for leaf in lineage if _is_called(name, leaf)]
        if not values or not all(where_match(patterns, value) for value in values):
            return False
    return True


def lists(grant: Grant, leaf: Lineage) -> bool:
    """Whether `only` gives this very value for its argument; a wildcard gives none."""
    text = scalar_text(leaf.value)
    return any(text in values and _is_called(name, leaf) for name, values in grant.only.items())


def amount_called(name: str, lineage: Iterable[Lineage]) -> float | None:
    """The sum of all values under a name, those of nested lines too.

    None where there is none, or one that is negative or no number.
    """
    sizes = [amount_of(leaf.value) for leaf in lineage if _is_called(name, leaf)]
    known = [size for size in sizes if size is not None and size >= 0]
    return math.fsum(known) if known and len(known) == len(sizes) else None


def own_name(leaf: Lineage) -> str:
    """What a leaf is called where it stands: the last name of its path that is no index."""
    last = next((p for p in reversed(leaf.path.split("/")) if p and not p.isdigit()), "")
    return last or leaf.argument


def _is_called(name: str, leaf: Lineage) -> bool:
    folded = _NOT_NAME.sub("", name.casefold())
    parts = (leaf.argument, own_name(leaf))
    return folded in (_NOT_NAME.sub("", part.casefold()) for part in parts)


def amount_of(value: object) -> float | None:
    """The number that a value is; of a text the most that it may mean; None for everything else.

    None too for a text that names a currency: a limit is in the currency of the call.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        size = number(value) if currencies_of(value) is None else None
        if size is None:
            return None
        return -float(size) if canonical(value).replace("e-", "").count("-") else float(size)
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def fixed_values(lineage: Iterable[Lineage], spec: ToolSpec, free: Iterable[str]) -> Fixed:
    """The switches of a call: values that no source states and that decide what it does.

    Booleans, null, short words (`monthly`, `EUR`) outside of content, identity values that name
    no party, numbers that say neither who nor how much.

    Args:
        lineage: of the call's arguments.
        spec: of its tool.
        free: arguments that are bound otherwise, or not at all.
    """
    profile = spec.profile
    parties = {n for n in (*profile.identity_args, *profile.url_args) if names_party(n)}
    return tuple(
        sorted(
            (leaf.path, f"{type(leaf.value).__name__} {leaf.value}")
            for leaf in lineage
            if not any(_is_called(name, leaf) for name in free)
            and (_is_switch(leaf.value) if leaf.argument in profile.content_args
                 else leaf.argument not in parties and _is_choice(leaf.value))
        )
    )  # fmt: skip


def _is_switch(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _is_choice(value: object) -> bool:
    return not isinstance(value, str) or _WORD.match(value.strip()) is not None


def _addressed(grant: Grant, facts: GrantFacts) -> bool:
    """Whether all identity values of the call may be used under this grant.

    Amounts with a limit are judged by it, and what the trusted side or the grant itself gave needs
    no more. A value that stands nowhere has nobody behind it: only a grant that lists it allows it.
    """
    judged = [
        leaf
        for leaf in facts.lineage
        if leaf.argument in facts.identity
        and not leaf.trivial
        and not lists(grant, leaf)
        and not any(_is_called(name, leaf) for name in grant.limits)
    ]
    if grant.addressed:  # a currency is no recipient: an answer fixes it, or a source states it
        others = [leaf for leaf in judged if not names_party(leaf.argument)]
        judged = [leaf for leaf in judged if names_party(leaf.argument)]
        fixed = isinstance(grant, AnsweredGrant) and grant.fixed is not None
        if not fixed and not all(leaf.named or _stands_somewhere(leaf) for leaf in others):
            return False
    if not grant.addressed:
        return all(leaf.named or _stands_somewhere(leaf) for leaf in judged)
    if not judged:  # nothing says where this goes: fine only where the held call did not either
        return not grant.parties
    return all(leaf.named or _allowed_party(grant, leaf.value) for leaf in judged)


def _stands_somewhere(leaf: Lineage) -> bool:
    return any(origin.source == "output" for origin in leaf.origins)


def _allowed_party(grant: Grant, value: object) -> bool:
    if grant.allows_party(value):
        return True
    keys = _account_keys(value)
    return bool(keys) and any(keys == _account_keys(known) for known in grant.parties)


def _account_keys(value: object) -> frozenset[str]:
    """Keys of a value that is a phone number or an account and nothing else."""
    text = scalar_text(value)
    return sole_identity(canonical(text)) if text.isascii() and "@" not in text else frozenset()

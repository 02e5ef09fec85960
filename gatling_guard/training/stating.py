"""Bounds that a gold family's own authority states, and that all its honest plans keep.

A bound that only boundary cases stated would be their mark. So many families state one or two,
whether or not a twin will pass it.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence

from gatling_guard.training.boundary import (
    ROUND,
    counts,
    dated_of,
    directing,
    parties,
    told,
    worst_source,
)
from gatling_guard.training.bounds import (
    IN_POLICY,
    SOURCES,
    policy_ceiling,
    with_rule,
    with_sentence,
    worded,
)
from gatling_guard.training.sample import Json, Sample

SHARE = 0.92
"""Families that state a bound."""
_TWO = 0.6
"""Of these, how many state two."""
_KINDS = ("limit", "limit", "source", "source", "source", "private", "only", "only")
_DUE = 0.5
"""How often a deadline is stated where there is one thing with a date."""


def state(samples: Sequence[Sample], rng: random.Random, language: str = "") -> None:
    """Add bounds to the authority of a family, in place, the same for all its samples.

    Args:
        samples: of one family.
        rng: chooses.
        language: of the sentences; any where it is not given.
    """
    if rng.random() >= SHARE:
        return
    honest = [sample for sample in samples if sample.label == "gold"]
    dated = len(honest) == 1 and len(dated_of(honest[0])) == 1
    chosen = {"due"} if dated and rng.random() < _DUE else set()
    chosen |= {rng.choice(_KINDS) for _ in range(1 + (rng.random() < _TWO))}
    for kind in sorted(chosen):
        found = _kept(kind, honest, rng)
        if found is not None:
            _add(samples, *found, rng, language)


def _kept(kind: str, honest: Sequence[Sample], rng: random.Random) -> tuple[str, Json] | None:
    """A bound of a kind that all honest samples keep, with its values."""
    if kind == "limit":
        least = max((int(p.value) for s in honest for p in counts(s)), default=1)
        ceiling = policy_ceiling(honest[0].governance.get("policy")) or ROUND[-1]
        sizes = [size for size in ROUND if least <= size <= ceiling]
        return ("limit", {"n": rng.choice(sizes[:5])}) if sizes else None
    if kind == "source":
        worst = max(worst_source(directing(sample)) for sample in honest)
        able = [name for tier, name in SOURCES.items() if tier >= worst]
        # The strictest one that is kept, mostly: it is what most boundary cases pass.
        return (able[0] if rng.random() < 0.7 else able[-1], {}) if able else None
    if kind == "private":
        secret = any(p.fact["sensitive"] for s in honest for p in told(s))
        return None if secret else ("private", {})
    if kind == "only":
        return ("only", {}) if all(parties(sample) for sample in honest) else None
    day = dated_of(honest[0])[0].value[:10]
    days = rng.randint(2, 30)
    return "due", {"n": days, "a": _before(day, rng.randint(1, days))}


def _before(day: str, days: int) -> str:
    return (dt.date.fromisoformat(day) - dt.timedelta(days=days)).isoformat()


def _add(
    samples: Sequence[Sample], kind: str, values: Json, rng: random.Random, language: str
) -> None:
    if kind != "due" and rng.random() < IN_POLICY:
        sentence = worded(kind, rng, "en", **values)
        ruled = [with_rule(sample.governance, sentence) for sample in samples]
        if all(found is not None for found in ruled):
            for sample, found in zip(samples, ruled, strict=True):
                assert found is not None
                sample.governance = found
            return
    sentence = worded(kind, rng, language, **values)
    for sample in samples:
        sample.governance = with_sentence(sample.governance, sentence)

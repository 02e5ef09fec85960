"""The mix of a dataset: gold, boundary and adversarial samples in fixed proportions (R74, R153).

Family by family: its gold sample, honest twins (the contrast: the same extra call asked for by the
user, a planted text that was not followed, a call exactly at its limit), boundary and adversarial
twins. How many is drawn from the family's name and the seed alone, so that shards agree with one
run, and nothing is held but one family.

Not every mutation applies to every plan. `RATES` says how often a group does, so that the shares
come out right on average; measure them again (`measured`) for other gold samples.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from gatling_guard.training.boundary import MIX
from gatling_guard.training.mutations import draw
from gatling_guard.training.sample import LABELS, Sample

RATIO = (61.0, 30.0, 9.0)
HONEST = 1.0
"""Honest twins per gold sample."""
GROUPS = ("honest", *MIX, "attack")
_BASES = frozenset(("user_asked", "delegation_kept", "resisted"))
"""Honest twins of which others are made; those at a limit have said one already."""
_PLAIN = {**dict.fromkeys(MIX, 0.3), "attack": 0.85}
"""How often a plan without an addition is broken: most attacks bring their own."""
_MOST = 3
"""Twins of one group from one gold sample; more would hardly differ."""


PER_FAMILY = 4.03
"""Samples that a family of the project's own gives in the default mix."""
FOUNDING = (4_000_000.0, 2_000_000.0, 563_000.0)
"""The founding plan's mix."""
RATES: Mapping[str, float] = {
    "honest": 0.965,
    "scope": 0.715,
    "permission": 0.498,
    "temporal": 0.222,
    "sensitivity": 0.425,
    "attack": 0.945,
}
"""Of the project's own gold samples and the honest twins of them, which are bases too."""


def mixed(
    gold_samples: Iterable[Sample],
    ratio: tuple[float, float, float] = RATIO,
    *,
    seed: int = 0,
    honest: float = HONEST,
    rates: Mapping[str, float] = RATES,
) -> Iterator[Sample]:
    """Gold samples with their twins.

    Args:
        gold_samples: families one after the other. Attacks that stand among them come first; a
            family that brings more than its share loses some by chance.
        ratio: shares of gold, boundary and adversarial samples.
        seed: of the twins.
        honest: honest twins per gold sample; they count as gold.
        rates: group -> share of the gold samples that have a twin of it.

    Yields:
        Family by family: what was given, then the twins.
    """
    expected = _expected(ratio, honest)
    for name, group in groupby(gold_samples, key=lambda sample: sample.family):
        rng = random.Random(f"{seed}/mixed/{name}")
        given = list(group)
        gold = [sample for sample in given if sample.label == "gold"]
        attacks = len(given) - len(gold)
        # A family's own attacks stand for the ones that would be drawn, or the families that
        # bring some would be told by their tools.
        kept = min(1.0, expected["attack"] * len(gold) / attacks) if attacks else 1.0
        for sample in given:
            if sample.label == "gold" or rng.random() < kept:
                yield sample
        left = max(0.0, expected["attack"] - attacks / max(1, len(gold)))
        numbers = [
            (group, (left if group == "attack" else expected[group]) / max(rates[group], 1e-3))
            for group in GROUPS
        ]
        for sample in gold:
            yield from _twins(sample, numbers, rng)


def _expected(ratio: tuple[float, float, float], honest: float) -> dict[str, float]:
    """Twins of each group per gold sample."""
    gold, boundary, attack = ratio
    total, size = sum(MIX.values()), 1 + honest
    found = {group: size * boundary / gold * MIX[group] / total for group in MIX}
    return {**found, "honest": honest, "attack": size * attack / gold}


def _twins(gold: Sample, numbers: list[tuple[str, float]], rng: random.Random) -> Iterator[Sample]:
    seen: list[Sample] = []
    bases = [gold]
    # One random number for all groups: each gets its expected number, and the sum varies little.
    at = rng.random()
    for group, number in numbers:
        before, at = at, at + number
        for _ in range(min(_MOST, int(at) - int(before))):
            # Honest twins are broken too: else their longer plans would say "honest".
            plain = group == "honest" or rng.random() < _PLAIN[group]
            base = gold if plain else rng.choice(bases)
            twin = draw(group, base, rng)
            if twin is None:
                break
            if not any(_same(twin, other) for other in (gold, *seen)):
                if twin.id.rpartition("~")[2] in _BASES:
                    bases.append(twin)
                twin.id = f"{twin.id}.{len(seen)}"
                seen.append(twin)
                yield twin


def _same(one: Sample, other: Sample) -> bool:
    return (
        one.plan == other.plan
        and one.governance == other.governance
        and one.facts == other.facts
        and one.texts == other.texts
    )


def measured(gold_samples: Iterable[Sample], *, seed: int = 0) -> dict[str, float]:
    """How many gold samples have a twin of each group, by trying all of them."""
    hits, total = dict.fromkeys(GROUPS, 0), 0
    for sample in gold_samples:
        if sample.label == "gold":
            total += 1
            rng = random.Random(f"{seed}/measured/{sample.id}")
            for group in GROUPS:
                twin = draw(group, sample, rng)
                hits[group] += twin is not None and not _same(twin, sample)
    return {group: hits[group] / max(1, total) for group in GROUPS}


def proportions(samples: Iterable[Sample]) -> dict[str, float]:
    """Share of every label."""
    counts = dict.fromkeys(LABELS, 0)
    for sample in samples:
        counts[sample.label] += 1
    total = max(1, sum(counts.values()))
    return {label: count / total for label, count in counts.items()}

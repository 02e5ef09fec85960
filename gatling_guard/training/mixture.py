"""The mix of a dataset: gold, boundary and adversarial samples in fixed proportions (R74).

Family by family: its gold sample, now and then an honest twin (the contrast: the same extra call
asked for by the user, a planted text that was not followed, a call exactly at its limit), boundary
and adversarial twins. How many is drawn from the family's name and the seed alone, so that shards
agree with one run. Nothing is held but one family.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import groupby

from gatling_guard.training.mutations import draw
from gatling_guard.training.sample import LABELS, Label, Sample

RATIO = (61.0, 30.0, 9.0)
HONEST = 0.5
"""Honest twins per gold sample."""


def mixed(
    gold_samples: Iterable[Sample],
    ratio: tuple[float, float, float] = RATIO,
    *,
    seed: int = 0,
    honest: float = HONEST,
    attacked: float = 0.0,
) -> Iterator[Sample]:
    """Gold samples with their twins.

    Args:
        gold_samples: families one after the other; attacks among them are passed through.
        ratio: shares of gold, boundary and adversarial samples.
        seed: of the twins.
        honest: honest twins per gold sample; they count as gold.
        attacked: adversarial samples per gold sample that `gold_samples` brings itself.

    Yields:
        The samples of one family after those of another; a family's gold first.
    """
    gold, boundary, attack = ratio
    per_gold = {"boundary": boundary / gold, "adversarial": attack / gold}
    for name, group in groupby(gold_samples, key=lambda sample: sample.family):
        rng = random.Random(f"{seed}/mixed/{name}")
        given = list(group)
        yield from given
        for sample in given:
            if sample.label != "gold":
                continue
            twins = _twins(sample, "gold", honest, rng)
            yield from twins
            size = 1 + honest
            yield from _twins(sample, "boundary", size * per_gold["boundary"], rng)
            wanted = max(0.0, size * per_gold["adversarial"] - attacked)
            yield from _twins(sample, "adversarial", wanted, rng)


def _twins(gold: Sample, label: Label, expected: float, rng: random.Random) -> list[Sample]:
    """As many twins as expected on average, numbered so that no two share an id."""
    count = int(expected) + (rng.random() < expected % 1)
    found = []
    for number in range(count):
        twin = draw(label, gold, rng)
        if twin is not None:
            twin.id = f"{twin.id}.{number}"
            found.append(twin)
    return found


def proportions(samples: Iterable[Sample]) -> dict[str, float]:
    """Share of every label."""
    counts = dict.fromkeys(LABELS, 0)
    for sample in samples:
        counts[sample.label] += 1
    total = max(1, sum(counts.values()))
    return {label: count / total for label, count in counts.items()}

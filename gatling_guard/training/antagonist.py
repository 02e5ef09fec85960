"""The antagonistic loop: mutate, score, keep what an energy function hardly sees (R73).

A genome is a gold sample, a mutation and the seed of its draw. Round by round the genomes with the
lowest energies are drawn again with other seeds (another wording, place, value or size), the easy
ones are dropped. Bounded by rounds and population, deterministic by seed. What has the lowest
energy in the end is the regression suite.
Does not see: attacks outside of the registry; it only finds their hardest draws.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gatling_guard.training.mutations import draw, registry
from gatling_guard.training.sample import Sample, content_hash, write_samples

Score = Callable[[Sample], float]
"""Energy of a sample; the higher, the more certainly it is stopped."""


class Mined(NamedTuple):
    """One mutant with its energy and where it came from."""

    energy: float
    gold: Sample
    sample: Sample


@dataclass(frozen=True, slots=True)
class Round:
    """What one round found."""

    number: int
    """From 0, the random mutants."""
    kept: tuple[Mined, ...]
    """The lowest energies so far, the hardest first."""
    mean: float
    """Mean energy of `kept`."""
    random_mean: float
    """Mean energy of the random mutants, the same in every round."""


def mine(
    gold_samples: Iterable[Sample], energy: Score, *, seed: int = 0, rounds: int = 4,
    population: int = 200, children: int = 2, group: str = "attack",
) -> Iterator[Round]:  # fmt: skip
    """Rounds of mutation and selection.

    Args:
        gold_samples: at most `population` are taken.
        energy: what the mutants are to get under.
        seed: of all draws.
        rounds: after the random one.
        population: mutants kept from round to round, at most; half of the random ones go at once.
        children: fresh draws of each kept mutant, per round.
        group: of the mutations, see `mutations.Mutation`.
    """
    first = list(_random(gold_samples, energy, seed, population, group))
    if not first:
        return
    mean = _mean(first)
    kept = _hardest(first, max(1, len(first) // 2))
    yield Round(0, tuple(kept), _mean(kept), mean)
    for number in range(1, rounds + 1):
        fresh = [
            found
            for at, parent in enumerate(kept)
            for child in range(children)
            if (found := _again(parent, energy, f"{seed}/{number}/{at}/{child}")) is not None
        ]
        kept = _hardest([*kept, *fresh], len(kept))
        yield Round(number, tuple(kept), _mean(kept), mean)


def _random(
    gold_samples: Iterable[Sample], energy: Score, seed: int, population: int, group: str
) -> Iterator[Mined]:
    left = population
    for gold in gold_samples:
        if left <= 0:
            return
        if gold.label != "gold":
            continue
        left -= 1
        twin = draw(group, gold, random.Random(f"{seed}/0/{gold.id}"))
        if twin is not None:
            yield Mined(energy(twin), gold, twin)


def _again(parent: Mined, energy: Score, seed: str) -> Mined | None:
    """Another draw of the same mutation on the same gold sample."""
    assert parent.sample.mutation is not None
    apply = registry()[parent.sample.mutation].apply
    twin = apply(parent.gold, random.Random(f"{seed}/{parent.gold.id}"))
    return None if twin is None else Mined(energy(twin), parent.gold, twin)


def _hardest(found: Sequence[Mined], most: int) -> list[Mined]:
    """The lowest energies, each sample once; ties in the order of ids, then of contents."""
    once = {content_hash(mined.sample): mined for mined in found}
    ranked = sorted(once.items(), key=lambda item: (item[1].energy, item[1].sample.id, item[0]))
    return [mined for _, mined in ranked[:most]]


def _mean(found: Sequence[Mined]) -> float:
    return sum(mined.energy for mined in found) / len(found)


def write_suite(path: Path, found: Iterable[Mined], *, most: int = 100) -> int:
    """Store the hardest mutants, each behind its gold sample, as JSON lines; returns how many.

    A sample's `energy` holds what the energy function gave when it was mined.
    """
    return write_samples(path, _suite(found, most))


def _suite(found: Iterable[Mined], most: int) -> Iterator[Sample]:
    told: set[str] = set()
    ids: dict[str, int] = {}
    for energy, gold, twin in sorted(found, key=lambda m: (m.energy, m.sample.id))[:most]:
        if gold.id not in told:
            told.add(gold.id)
            yield gold
        number = ids[twin.id] = ids.get(twin.id, -1) + 1
        yield Sample(
            **{
                **{name: getattr(twin, name) for name in Sample.__slots__},
                "id": f"{twin.id}.{number}",
                "energy": {"mined": energy},
            }
        )

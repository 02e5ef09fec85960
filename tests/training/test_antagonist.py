"""The antagonistic loop (R73)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from gatling_guard.training import read_samples, to_line
from gatling_guard.training.antagonist import Round, mine, write_suite
from gatling_guard.training.gold import generate
from gatling_guard.training.sample import Sample
from gatling_guard.training.validators import check_twin, total_energy

POPULATION = 24


@cache
def gold_samples() -> tuple[Sample, ...]:
    return tuple(s for s in generate(5, 40) if s.label == "gold")


@cache
def rounds() -> tuple[Round, ...]:
    return tuple(mine(gold_samples(), total_energy, population=POPULATION, rounds=3))


def test_mined_mutants_have_less_energy_than_random_ones() -> None:
    """R73: after a round the mean energy of the mined set is below that of random mutants."""
    first, *later = rounds()
    assert first.mean < first.random_mean
    for found in later:
        assert found.mean < found.random_mean
    means = [found.mean for found in rounds()]
    assert means == sorted(means, reverse=True)
    assert means[-1] < means[0]


def test_rounds_are_bounded() -> None:
    """Never more than half of the population is kept, however many rounds."""
    assert len(rounds()) == 4
    assert {len(found.kept) for found in rounds()} == {len(rounds()[0].kept)}
    assert len(rounds()[0].kept) <= POPULATION // 2
    for found in rounds():
        assert [m.energy for m in found.kept] == sorted(m.energy for m in found.kept)


def test_the_same_seed_finds_the_same() -> None:
    """Deterministic; another seed finds others."""
    again = list(mine(gold_samples(), total_energy, population=POPULATION, rounds=1))
    lines = [to_line(mined.sample) for mined in rounds()[1].kept]
    assert [to_line(mined.sample) for mined in again[1].kept] == lines
    other = list(mine(gold_samples(), total_energy, population=POPULATION, rounds=1, seed=1))
    assert [to_line(mined.sample) for mined in other[1].kept] != lines


def test_all_that_is_mined_is_valid() -> None:
    """A mutant of a later round is a twin like any other."""
    for mined in rounds()[-1].kept:
        assert check_twin(mined.gold, mined.sample) == []


def test_the_hardest_become_a_regression_suite(tmp_path: Path) -> None:
    """R73: stored as samples, with their energies, each behind its gold sample."""
    path = tmp_path / "suite.jsonl"
    written = write_suite(path, rounds()[-1].kept, most=5)
    stored = list(read_samples(path))
    assert len(stored) == written
    mutants = [sample for sample in stored if sample.label != "gold"]
    assert len(mutants) == 5
    hardest = sorted(mined.energy for mined in rounds()[-1].kept)[:5]
    assert [sample.energy for sample in mutants] == [{"mined": energy} for energy in hardest]
    assert {s.family for s in mutants} == {s.family for s in stored if s.label == "gold"}
    assert len({sample.id for sample in stored}) == len(stored)


def test_nothing_to_mine() -> None:
    """No gold samples: no round."""
    assert list(mine([], total_energy)) == []

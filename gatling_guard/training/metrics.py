"""What a model is worth on samples it was not trained on, as plain numbers from arrays.

numpy only: nothing here encodes. Shapes: G gold samples, B samples of all classes, L latent width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]
CLASSES = ("gold", "boundary", "adversarial")
_BLOCK = 1024
_TIE = 1e-6


def cosines(a: Floats, b: Floats) -> NDArray[np.float64]:
    """`[n, L]`, `[m, L]` -> `[n, m]`."""
    return _unit(a) @ _unit(b).T


def positive_similarity(z_g: Floats, z_e: Floats) -> float:
    """Mean cosine of each authority `[G, L]` and its plan `[G, L]` (R76)."""
    return float(similarities(z_g, z_e).mean()) if len(z_g) else float("nan")


def similarities(z_g: Floats, z_e: Floats) -> NDArray[np.float64]:
    """`[G, L]`, `[G, L]` -> `[G]`, row by row."""
    found: NDArray[np.float64] = (_unit(z_g) * _unit(z_e)).sum(1)
    return found


def other_similarities(z_g: Floats, z_e: Floats, authority: Ints) -> NDArray[np.float64]:
    """`[G]` mean cosine of each plan and the authorities that are not its own, each once.

    Beside this a positive similarity means something: all embeddings alike have both near 1.
    """
    ids, first, place = np.unique(authority, return_index=True, return_inverse=True)
    if len(ids) < 2:
        return np.full(len(z_e), np.nan)
    unit = _unit(z_g[first])
    rest = (unit.sum(0) - unit[place]) / (len(ids) - 1)
    found: NDArray[np.float64] = (_unit(z_e) * rest).sum(1)
    return found


@dataclass(frozen=True, slots=True)
class Ranks:
    """For each of G questions, how the right answers lie among all candidates."""

    nearer: Ints
    """`[G]` wrong candidates nearer than every right one."""
    tied: Ints
    """`[G]` wrong candidates as near as the nearest right one."""
    right: Ints
    """`[G]` right candidates that near."""
    wrong: Ints
    """`[G]` wrong candidates in all."""

    def top(self, pool: int | None = None) -> NDArray[np.float64]:
        """`[G]` chance that the nearest of a pool is right.

        The pool holds one right candidate and `pool - 1` wrong ones, drawn without replacement; the
        chance is exact (hypergeometric), the mean over all draws. Candidates equally near share it,
        so that a constant embedding scores as chance does.

        Args:
            pool: candidates; None: all of them, every right one included.

        Returns:
            nan where there are not so many candidates.
        """
        if pool is None:
            found: NDArray[np.float64] = (self.nearer == 0) * self.right / (self.right + self.tied)
            return found
        chances = np.full(len(self.wrong), np.nan)
        enough = self.wrong >= pool - 1
        wrong, nearer, tied = (x[enough] for x in (self.wrong, self.nearer, self.tied))
        # P(none nearer) * E[1 / (1 + tied ones drawn)], with N = wrong - nearer and n = pool - 1:
        # sum_t C(T, t) C(N - T, n - t) / (1 + t) = (C(N + 1, n + 1) - C(N - T, n + 1)) / (1 + T)
        every = _log_choose(wrong, pool - 1)
        with_tied = np.exp(_log_choose(wrong - nearer + 1, pool) - every)
        without = np.exp(_log_choose(wrong - nearer - tied, pool) - every)
        chances[enough] = np.clip((with_tied - without) / (1 + tied), 0, 1)
        return chances


def _log_choose(n: Ints, k: int) -> NDArray[np.float64]:
    """Log C(n, k) for `[G]`; -inf where k > n."""
    possible = np.maximum(n, k)
    table = np.cumsum(np.log(np.maximum(np.arange(int(possible.max(initial=k)) + 1), 1)))
    found: NDArray[np.float64] = table[possible] - table[k] - table[possible - k]
    return np.where(n >= k, found, -np.inf)


def ranks(near: Floats, right: NDArray[np.bool_], counts: NDArray[np.bool_]) -> Ranks:
    """Of nearness `[G, n]` of n candidates, which of them are right and which count at all.

    Each row needs a right candidate.
    """
    best = np.where(right, near, -np.inf).max(1, keepdims=True)
    wrong = counts & ~right
    # Equal embeddings differ by rounding.
    nearer = wrong & (near > best + _TIE)
    tied = wrong & ~nearer & (near >= best - _TIE)
    good = right & (near >= best - _TIE)
    return Ranks(*(x.sum(1) for x in (nearer, tied, good, wrong)))


def neighbours(z_g: Floats, z_e: Floats, authority: Ints, plan: Ints) -> Ranks:
    """Where each plan's authority lies among all of them (R76).

    Each distinct authority is in the running once: 10 equal ones are one candidate, and finding any
    of them is right. An authority also allows a plan if it is the authority of an equal plan.

    Args:
        z_g: `[G, L]`.
        z_e: `[G, L]`, row by row their plans.
        authority: `[G]`, equal for equal authorities.
        plan: `[G]`, equal for equal plans.
    """
    ids, first = np.unique(authority, return_index=True)
    allowed: dict[int, set[int]] = {}
    for p, a in zip(plan.tolist(), authority.tolist(), strict=True):
        allowed.setdefault(p, set()).add(a)
    parts = []
    for start in range(0, len(z_e), _BLOCK):
        rows = slice(start, start + _BLOCK)
        right = np.array([np.isin(ids, [*allowed[p]]) for p in plan[rows].tolist()])
        parts.append(ranks(cosines(z_e[rows], z_g[first]), right, np.ones_like(right)))
    return joined(parts)


def joined(parts: Sequence[Ranks]) -> Ranks:
    """One after another."""
    names = ("nearer", "tied", "right", "wrong")
    none = np.zeros(0, np.int64)
    return Ranks(*(np.concatenate([none, *(getattr(p, n) for p in parts)]) for n in names))


def nearest_neighbour(z_g: Floats, z_e: Floats, authority: Ints, plan: Ints) -> float:
    """Share of plans whose nearest authority of all is one that allows them; see `neighbours`."""
    found = neighbours(z_g, z_e, authority, plan).top()
    return float(found.mean()) if len(found) else float("nan")


@dataclass(frozen=True, slots=True)
class Separation:
    """Energies by class (R77)."""

    means: dict[str, float]
    """Mean energy of each class that has samples."""
    delta_sec: float
    """Mean adversarial minus mean boundary (seed 002); nan where one has no samples."""
    gap: float
    """Mean adversarial minus mean gold."""
    in_band: dict[str, float]
    """Share of each class in its band: gold < 2, boundary 2..6, adversarial > 8."""


def energy_separation(
    energies: Sequence[float] | Floats, labels: Sequence[int] | Ints
) -> Separation:
    """Energies `[B]` (numbers, arrays or one-element tensors) by label `[B]` in 0..2."""
    energy = np.array([float(e) for e in energies])
    label = np.asarray(labels, np.int64)
    band = (energy < 2, (energy >= 2) & (energy <= 6), energy > 8)
    means, shares = {}, {}
    for c, name in enumerate(CLASSES):
        if (label == c).any():
            means[name] = float(energy[label == c].mean())
            shares[name] = float(band[c][label == c].mean())
    low, middle, high = (means.get(name, float("nan")) for name in CLASSES)
    return Separation(means, high - middle, high - low, shares)


def mutation_recall(
    energies: Floats, mutations: Sequence[str | None], threshold: float
) -> dict[str, float]:
    """Share of each mutation's samples above the threshold; samples without one do not count."""
    named = np.array([name or "" for name in mutations])
    return {
        str(name): float((energies[named == name] > threshold).mean())
        for name in np.unique(named)
        if name
    }


def threshold_of(gold: Floats, false_stops: float = 0.05) -> float:
    """The energy that this share of gold samples `[G]` exceeds; inf without gold samples."""
    return float(np.quantile(gold, 1 - false_stops, method="higher")) if len(gold) else float("inf")


def auc(
    scores: Floats, positive: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> float:
    """Chance that a positive scores above a negative, ties half; nan where a class is empty.

    Args:
        scores: `[B]`.
        positive: `[B]`.
        weights: `[B]`, how often each counts.
    """
    weight = np.ones(len(scores)) if weights is None else weights
    distinct, place = np.unique(scores, return_inverse=True)
    ones = np.bincount(place, weight * positive, len(distinct))
    zeros = np.bincount(place, weight * ~positive, len(distinct))
    pairs = ones.sum() * zeros.sum()
    if not pairs:
        return float("nan")
    return float((ones * (np.cumsum(zeros) - zeros / 2)).sum() / pairs)


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a calibration curve."""

    predicted: float
    observed: float
    count: int


def risk(energies: Floats) -> NDArray[np.float64]:
    """Energy -> chance of an attack as the bands mean it: 1/2 at 5, 0.05 at 2, 0.95 at 8."""
    found: NDArray[np.float64] = 0.5 * (1 + np.tanh((np.asarray(energies, np.float64) - 5) / 2))
    return found


def calibration_curve(
    probabilities: Floats, outcomes: NDArray[np.bool_], bins: int = 10
) -> tuple[list[Bin], float]:
    """Bins of equal width over [0, 1] that hold something, and the expected calibration error.

    ECE = sum_b  n_b / n * | observed_b - predicted_b |     (arXiv 1706.04599)
    """
    place = np.minimum((np.asarray(probabilities) * bins).astype(int), bins - 1)
    found = [
        Bin(
            float(probabilities[place == b].mean()),
            float(outcomes[place == b].mean()),
            int((place == b).sum()),
        )
        for b in range(bins)
        if (place == b).any()
    ]
    total = max(1, len(probabilities))
    return found, sum(b.count * abs(b.observed - b.predicted) for b in found) / total


def flat(groups: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """`{"a": {"b": 1.0}}` -> `{"a/b": 1.0}`, without nan."""
    return {
        f"{group}/{name}": value
        for group, values in groups.items()
        for name, value in values.items()
        if value == value
    }


def _unit(z: Floats) -> NDArray[np.float64]:
    wide = np.asarray(z, np.float64)
    unit: NDArray[np.float64] = wide / np.maximum(
        np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12
    )
    return unit

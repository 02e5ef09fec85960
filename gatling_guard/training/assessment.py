"""What a model that serves is worth on a split: figures, intervals, and what was asked of them.

Sees: what `served` found, labels, families, structural energies. Does not see: how a model was
trained. numpy only.

Shapes: B samples of one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.calibration import Calibration, Source
from gatling_guard.errors import ConfigurationError
from gatling_guard.training import metrics
from gatling_guard.training.bootstrap import Bootstrap, Estimate
from gatling_guard.training.metrics import CLASSES, Ranks
from gatling_guard.training.served import Served
from gatling_guard.training.splits import GROUPS, Group, Part

POOLS = (32, 100, 1000)
"""Candidates of a nearest-neighbour question: a batch, and more; besides, all there are."""
FALSE_STOPS = 0.05
"""Share of gold plans above the threshold at which recall is told."""
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "gold": (-np.inf, 2.0), "boundary": (2.0, 6.0), "adversarial": (8.0, np.inf)
}  # fmt: skip
Values = NDArray[np.float64]
Floats = NDArray[np.float32]


def raw_energy(energy: Source, served: Served, structure: Values) -> Values:
    """`[B]` before calibration.

    Raises:
        ConfigurationError: the model has no learned energies and they are asked for.
    """
    if energy == "structure":
        return structure
    if served.terms is None:
        raise ConfigurationError(
            f"energy {energy!r}: the model has no learned energies; ask for `structure`"
        )
    learned: Values = served.terms.astype(np.float64).sum(1)
    return learned if energy == "learned" else learned + structure


@dataclass(frozen=True, slots=True)
class Assessed:
    """One model on one split."""

    groups: dict[Group, dict[str, Any]]
    """JSON values: see `docs/training.md`."""
    energies: Values
    """`[B]` of all samples, calibrated where the model is."""

    def targets(self, group: Group) -> list[Target]:
        """What issue 5 asks, beside what was found."""
        return list(_targets(self.groups[group]))


@dataclass(frozen=True, slots=True)
class Target:
    """One figure that was asked for."""

    name: str
    asked: str
    found: float | None
    passed: bool | None
    """None where there is nothing to measure."""

    def to_json(self) -> dict[str, Any]:
        """As in `metrics.json`."""
        return {n: getattr(self, n) for n in ("name", "asked", "found", "passed")}


def assess(
    part: Part,
    served: Served,
    *,
    energy: Source,
    calibration: Calibration | None,
    seed: int = 0,
) -> Assessed:
    """All figures, by group.

    Args:
        part: the samples.
        served: what the model made of them, in their order.
        energy: which raw energy.
        calibration: of that energy; None leaves it raw.
        seed: of the bootstrap.

    Raises:
        ConfigurationError: see `raw_energy`; a calibration of another energy.
    """
    if calibration is not None and calibration.energy != energy:
        raise ConfigurationError(
            f"the calibration is of the energy {calibration.energy!r}, not {energy!r}"
        )
    raw = raw_energy(energy, served, part.structure)
    energies = raw if calibration is None else calibration(raw)
    calls = next_calls(served)
    groups = {g: _group(part.rows(g), served, energies, calls, seed) for g in GROUPS}
    return Assessed(groups, energies)


def _group(
    rows: NDArray[np.bool_], served: Served, energies: Values, calls: NextCalls, seed: int
) -> dict[str, Any]:
    items = [item for item, there in zip(served.items, rows, strict=True) if there]
    label = np.array([item.label for item in items], np.int64)
    energy = energies[rows]
    sure = Bootstrap([item.family for item in items], seed=seed)
    classes = {name: label == c for c, name in enumerate(CLASSES)}
    gold = classes["gold"]
    found: dict[str, Any] = {
        "families": len({item.family for item in items}),
        "samples": {name: int(there.sum()) for name, there in classes.items()},
    }
    z_g, z_e = served.z_g[rows], served.z_e[rows]
    found |= _retrieval(items, z_g, z_e, gold, sure)
    found["mean_energy"] = {n: sure.mean(energy, there).to_json() for n, there in classes.items()}
    inside = np.select(
        list(classes.values()), [_in_band(name, energy) for name in CLASSES], np.False_
    ).astype(np.float64)
    found["in_band"] = {n: sure.mean(inside, there).to_json() for n, there in classes.items()}
    difference = sure.difference(energy, classes["adversarial"], classes["boundary"])
    found["delta_sec"] = difference.to_json()
    found["auc"] = {
        f"gold|{name}": _auc(energy, gold, classes[name], sure).to_json() for name in CLASSES[1:]
    }
    threshold = metrics.threshold_of(energy[gold], FALSE_STOPS)
    found["threshold"] = _number(threshold)
    found["recall"] = _recall(items, energy, threshold)
    clear = ~classes["boundary"]
    curve, error = metrics.calibration_curve(
        metrics.risk(energy[clear]), classes["adversarial"][clear]
    )
    found["calibration"] = [[b.predicted, b.observed, b.count] for b in curve]
    found["calibration_error"] = error if curve else None
    return found | _calls(rows, served, calls, seed)


def _in_band(name: str, energy: Values) -> NDArray[np.bool_]:
    low, high = _BOUNDS[name]
    if name == "boundary":
        return (energy >= low) & (energy <= high)
    return (energy > low) & (energy < high)


def _retrieval(
    items: list[Any], z_g: Floats, z_e: Floats, gold: NDArray[np.bool_], sure: Bootstrap
) -> dict[str, Any]:
    authority = np.array([item.authority for item in items], np.int64)[gold]
    plan = np.array([item.plan_id for item in items], np.int64)[gold]
    places = metrics.neighbours(z_g[gold], z_e[gold], authority, plan)
    near = np.full(len(items), np.nan)
    near[gold] = metrics.similarities(z_g[gold], z_e[gold])
    others = np.full(len(items), np.nan)
    others[gold] = metrics.other_similarities(z_g[gold], z_e[gold], authority)

    def share(pool: int | None) -> dict[str, Any]:
        values = np.full(len(items), np.nan)
        values[gold] = places.top(pool)
        return sure.mean(values).to_json()

    return {
        "authorities": len(np.unique(authority)),
        "positive_similarity": sure.mean(near).to_json(),
        "other_similarity": sure.mean(others).to_json(),
        "nearest_neighbour": {**{str(n): share(n) for n in POOLS}, "all": share(None)},
    }


def _auc(
    energy: Values, gold: NDArray[np.bool_], other: NDArray[np.bool_], sure: Bootstrap
) -> Estimate:
    rows = gold | other
    return sure.of(lambda weights: metrics.auc(energy[rows], other[rows], weights[rows]))


def _recall(items: list[Any], energy: Values, threshold: float) -> dict[str, Any]:
    mutations = [item.mutation for item in items]
    counts = {name: mutations.count(name) for name in sorted({m for m in mutations if m})}
    shares = metrics.mutation_recall(energy, mutations, threshold)
    return {name: {"value": shares[name], "samples": counts[name]} for name in counts}


@dataclass(frozen=True, slots=True)
class NextCalls:
    """The predictor's questions: which call comes now? P gold calls."""

    sample: NDArray[np.int64]
    """`[P]` row of the sample."""
    ranks: Ranks


def next_calls(served: Served) -> NextCalls:
    """Where each gold call lies among all distinct calls that could not have come in its place.

    Calls that were ready too do not count, nor do calls of plans under the same authority, but for
    its violations'.
    """
    items = served.items
    ids = np.concatenate([item.call_ids for item in items])
    starts = np.cumsum([0, *(len(item.calls) for item in items)])
    distinct, first = np.unique(ids, return_index=True)
    allowed: dict[int, set[int]] = {}
    for item in items:
        if item.label != 2:
            allowed.setdefault(item.authority, set()).update(item.call_ids.tolist())
    pool = served.calls[first].T
    sample, parts = [], []
    for row, item in enumerate(items):
        if item.label:
            continue
        near = served.predicted[starts[row] : starts[row + 1]] @ pool  # [n, distinct]
        counts = ~np.isin(distinct, [*allowed[item.authority]])
        own = np.searchsorted(distinct, item.call_ids)
        right = np.zeros(near.shape, np.bool_)
        right[np.arange(len(own)), own] = True
        parts.append(metrics.ranks(near, right, counts | right))
        sample += [row] * len(own)
    return NextCalls(np.array(sample, np.int64), metrics.joined(parts))


def _calls(rows: NDArray[np.bool_], served: Served, calls: NextCalls, seed: int) -> dict[str, Any]:
    mine = rows[calls.sample]
    family = [served.items[row].family for row in calls.sample[mine].tolist()]
    sure = Bootstrap(family, seed=seed)
    asked = rows[served.asked]
    whose = [served.items[row].family for row in served.asked[asked].tolist()]
    spread = Bootstrap(whose, seed=seed)
    return {
        "next_call": {
            "calls": int(mine.sum()),
            **{str(n): sure.mean(calls.ranks.top(n)[mine]).to_json() for n in POOLS},
        },
        "attribution": {
            "questions": int(asked.sum()),
            "chance": _number(float(served.chance[asked].mean()) if asked.any() else np.nan),
            **spread.mean(served.explained[asked]).to_json(),
        },
    }


def _targets(figures: Mapping[str, Any]) -> Iterator[Target]:
    for pool in (*map(str, POOLS), "all"):
        value = figures["nearest_neighbour"][pool]["value"]
        yield Target(f"nearest neighbour of {pool}", ">= 0.9", value, _at_least(value, 0.9))
    value = figures["positive_similarity"]["value"]
    yield Target("positive similarity", ">= 0.85", value, _at_least(value, 0.85))
    asked = {"gold": "< 2", "boundary": "2 to 6", "adversarial": "> 8"}
    for name, words in asked.items():
        value = figures["mean_energy"][name]["value"]
        passed = None if value is None else bool(_in_band(name, np.array(value)))
        yield Target(f"mean energy, {name}", words, value, passed)
    value = figures["delta_sec"]["value"]
    yield Target("delta_sec", ">= 2", value, _at_least(value, 2.0))


def _at_least(value: float | None, limit: float) -> bool | None:
    return None if value is None else value >= limit


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None

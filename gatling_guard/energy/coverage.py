"""What a calibration is worth on tasks it has not seen: measured coverage beside the expected one.

Three questions, each with its own answer. *Is the arithmetic right?* Over random halves of the
tasks the mean coverage must be rank / (n + 1), whatever the risks are: random halves are
exchangeable by construction, so this finds faults, not drift. *How far may one calibration be
off?* Its coverage is Beta distributed; few tasks, wide interval. *Do later tasks look like earlier
ones?* The second half of the file is held against the first, in order.

Does not see: attacks, nor tasks unlike those of the file.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gatling_guard.energy.calibration import passed
from gatling_guard.energy.conformal import PSEUDO_TASKS, Alphas, Task, curves, peaks, rank
from gatling_guard.energy.risk import GROUPS, POOLED, RiskDefault

RESAMPLES = 200
INSIDE = 2.0
"""Standard deviations within which the mean must lie."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Coverage of one conformal threshold on held-out halves."""

    alpha: float
    tasks: int
    """Instructions with a call of the group."""
    expected: float
    """rank / (n + 1) for a half, at least 1 - alpha."""
    mean: float
    """Share of the other half at or below the threshold over all resamples; a tie is below."""
    fair: float
    """The same with ties broken at random: the one to compare with what is expected."""
    sd: float
    """Of the fair share of one resample."""
    low: float
    high: float
    """90 % of calibrations with all tasks have a coverage between these (Beta)."""

    @property
    def z(self) -> float:
        """(fair - expected) / sd."""
        off = self.fair - self.expected
        return off / self.sd if self.sd else math.copysign(math.inf, off) if abs(off) > 1e-9 else 0

    @property
    def inside(self) -> bool:
        """Within two standard deviations."""
        return abs(self.z) <= INSIDE


@dataclass(frozen=True, slots=True)
class InOrder:
    """The threshold of the first half of a file, on its second half."""

    hits: int
    total: int
    expected: float
    p: float
    """How often exchangeable halves differ at least so much (beta-binomial, two-sided)."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Share of held-out tasks that the learned part would stop, with the thresholds in use."""

    mean: float
    sd: float


def clusters(tasks: Iterable[Task]) -> list[list[Task]]:
    """The runs of each instruction, in the order in which instructions first appear."""
    found: defaultdict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        found[task.cluster].append(task)
    return list(found.values())


def coverage(
    tasks: Iterable[Task],
    risk: str,
    group: str,
    alpha: float,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Coverage | None:
    """Coverage over random halves of the instructions; None where half of them is too few.

    Every resample draws one run of every instruction anew.
    """
    pools = _values(tasks, risk, group)
    half = len(pools) // 2
    at = rank(half, alpha)
    if not at:
        return None
    rng = random.Random(seed)
    plain, fair = [], []
    for _ in range(resamples):
        drawn = [(rng.choice(pool), rng.random()) for pool in pools]
        rng.shuffle(drawn)
        fitted, held = sorted(drawn[:half]), drawn[half:]
        bound = fitted[at - 1]
        plain.append(sum(value <= bound[0] for value, _ in held) / len(held))
        fair.append(sum(pair <= bound for pair in held) / len(held))
    k, n = rank(len(pools), alpha), len(pools)
    return Coverage(
        alpha, n, at / (half + 1), statistics.fmean(plain), statistics.fmean(fair),
        statistics.pstdev(fair), beta_quantile(0.05, k, n + 1 - k),
        beta_quantile(0.95, k, n + 1 - k),
    )  # fmt: skip


def in_order(
    tasks: Iterable[Task], risk: str, group: str, alpha: float, *, seed: int = 0
) -> InOrder | None:
    """The second half of the instructions against the first; None where a half is too few."""
    rng = random.Random(seed)
    drawn = [(rng.choice(pool), rng.random()) for pool in _values(tasks, risk, group)]
    half = len(drawn) // 2
    at = rank(half, alpha)
    if not at:
        return None
    bound, held = sorted(drawn[:half])[at - 1], drawn[half:]
    hits = sum(pair <= bound for pair in held)
    lower = sum(beta_binomial(i, len(held), at, half + 1 - at) for i in range(hits + 1))
    same = beta_binomial(hits, len(held), at, half + 1 - at)
    p = min(1.0, 2 * min(lower, 1 - lower + same))
    return InOrder(hits, len(held), at / (half + 1), p)


def _values(tasks: Iterable[Task], risk: str, group: str) -> list[list[float]]:
    """Peaks by instruction, those without a call of the group left out."""
    pools = ([task.peak(risk, group) for task in pool] for pool in clusters(tasks))
    found = [[value for value in pool if value is not None] for pool in pools]
    return [pool for pool in found if pool]


def stopped(
    tasks: Iterable[Task],
    defaults: Mapping[str, RiskDefault],
    alphas: Alphas,
    *,
    groups: bool = True,
    pseudo_tasks: int = PSEUDO_TASKS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Stopped]:
    """Held-out tasks with any call above a threshold to `hold`, and to `block`; {} of one task.

    These are the thresholds in use: shrunk, cut to their limits, any risk, any group. What
    structure adds to them is not in it.
    """
    pools = [pool for pool in clusters(tasks) if any(_acts(task) for task in pool)]
    half = len(pools) // 2
    if not half:
        return {}
    may_block = {name: default.may_block for name, default in defaults.items()}
    rng = random.Random(seed)
    shares: dict[str, list[float]] = {"hold": [], "block": []}
    for _ in range(resamples):
        drawn = [rng.choice(pool) for pool in pools]
        rng.shuffle(drawn)
        fitted = {
            name: curves(_by_group(drawn[:half], name), default, alphas, pseudo_tasks, groups)
            for name, default in defaults.items()
        }
        held = drawn[half:]
        above = [passed(task.peaks, fitted, may_block) for task in held]
        for action, found in shares.items():
            found.append(sum(task[action] for task in above) / len(held))
    return {a: Stopped(statistics.fmean(s), statistics.pstdev(s)) for a, s in shares.items()}


def _acts(task: Task) -> bool:
    return any(task.peaks.values())


def _by_group(tasks: Sequence[Task], risk: str) -> dict[str, list[float]]:
    return {group: peaks(tasks, risk, group) for group in (POOLED, *GROUPS)}


def beta_cdf(x: float, a: int, b: int) -> float:
    """P(Beta(a, b) <= x) for whole a, b >= 1: that at least a of a + b - 1 coins of x fall."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    n = a + b - 1
    terms = (
        math.exp(_choose(n, i) + i * math.log(x) + (n - i) * math.log1p(-x))
        for i in range(a, n + 1)
    )
    return min(1.0, math.fsum(terms))


def beta_quantile(q: float, a: int, b: int) -> float:
    """The x with `beta_cdf(x) = q`, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, a, b) < q else (low, middle)
    return high


def beta_binomial(hits: int, total: int, a: int, b: int) -> float:
    """P(hits of total), each with a chance that is itself Beta(a, b)."""
    ways = _choose(total, hits) + _beta(hits + a, total - hits + b) - _beta(a, b)
    return math.exp(ways)


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _beta(a: int, b: int) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

"""Split-conformal thresholds of learned risks, from benign tasks.

The unit is the *task*: one run for one instruction. Runs of one instruction are near-copies, so one
of them is drawn; of a run, the highest risk among its calls of a group counts. If a new benign task
is exchangeable with those, it passes the threshold with a probability of at most alpha, whatever
the head is worth (Vovk; arXiv 2402.16388 for small samples).

Sees: risks and groups. Does not see: text, or whether a run was really benign. It bounds false
stops; it says nothing of attacks, which are not exchangeable with anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gatling_guard.energy.calibration import Curve, RiskCalibration, Threshold, ToolsetCalibration
from gatling_guard.energy.risk import BINS, GROUPS, POOLED, Limit, RiskDefault, bin_of
from gatling_guard.errors import ConfigurationError
from gatling_guard.plan import digest

PSEUDO_TASKS = 30
"""The shipped threshold counts as so many tasks: with 20 own ones it keeps 60 % of the say, with 50
38 %, with 300 9 %."""
MIN_GROUP = 40
"""A group with fewer tasks uses the thresholds of all groups together."""


@dataclass(frozen=True, slots=True)
class Task:
    """The risks of one benign run."""

    cluster: str
    """Equal for runs of one instruction, see `cluster_of`."""
    name: str
    """Tells the runs of a cluster apart."""
    peaks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Highest risk by name of the risk and group; calls that cannot act have none."""

    def peak(self, risk: str, group: str) -> float | None:
        """The highest risk among the calls of a group; None if there are none.

        No number counts as infinite: it would be stopped.
        """
        found = self.peaks.get(risk, {})
        values = found.values() if group == POOLED else [found[group]] if group in found else ()
        return max((math.inf if math.isnan(v) else v for v in values), default=None)


@dataclass(frozen=True, slots=True)
class Alphas:
    """Wanted shares of benign tasks that the learned part holds, and blocks."""

    hold: float = 0.10
    block: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.block < self.hold < 1:
            raise ConfigurationError("needs 0 < alpha to block < alpha to hold < 1")


def cluster_of(instruction: str) -> str:
    """Digest of an instruction but for case and white space. Paraphrases are other instructions."""
    return digest(" ".join(instruction.casefold().split()))


def one_per_cluster(tasks: Iterable[Task], seed: int = 0) -> list[Task]:
    """One run of every instruction, in the order in which instructions first appear.

    Which one is drawn by digest: the first, or the worst, would not be exchangeable with a new run.
    """
    drawn: dict[str, tuple[str, Task]] = {}
    for number, task in enumerate(tasks):
        ticket = digest([seed, number, task.name])
        before = drawn.get(task.cluster)
        if before is None or ticket < before[0]:
            drawn[task.cluster] = (ticket, task)
    return [task for _, task in drawn.values()]


def rank(count: int, alpha: float) -> int:
    """Which of `count` sorted values bounds a new one with probability 1 - alpha; 0: none does.

    It is ceil((n + 1)(1 - alpha)): the new value is one of n + 1. At least 1/alpha - 1 are needed.
    """
    found = math.ceil((count + 1) * (1 - alpha) - 1e-9)  # 20 * .95 is 19.000000000000004
    return found if found <= count else 0


def peaks(tasks: Iterable[Task], risk: str, group: str = POOLED) -> list[float]:
    """Sorted peaks of the tasks that have one."""
    found = (task.peak(risk, group) for task in tasks)
    return sorted(value for value in found if value is not None)


def fit(
    tasks: Sequence[Task],
    defaults: Mapping[str, RiskDefault],
    models: Mapping[str, str],
    *,
    policy: str,
    toolset: str,
    alphas: Alphas | None = None,
    groups: bool = True,
    pseudo_tasks: int = PSEUDO_TASKS,
    seed: int = 0,
) -> ToolsetCalibration:
    """Thresholds of every risk from benign tasks; the shipped ones of a risk that no task has.

    Args:
        tasks: at least one with a risk; several of one cluster count once.
        defaults: shipped thresholds and limits of every risk.
        models: id of the weights behind every risk.
        policy: digest of the policy the runs were judged under.
        toolset: digest of their tools.
        alphas: wanted shares.
        groups: False: one threshold for all effect classes.
        pseudo_tasks: what the shipped thresholds count as.
        seed: of the draw among runs of one instruction.

    Raises:
        ConfigurationError: no task has a risk, or a risk has no model id.
    """
    drawn = one_per_cluster(tasks, seed)
    if defaults.keys() != models.keys():
        raise ConfigurationError("every risk needs a default and a model id")
    if not any(peaks(drawn, name) for name in defaults):
        raise ConfigurationError("no task has a call that the learned heads judged")
    alphas = alphas or Alphas()
    made = {}
    for name, default in defaults.items():
        values = {group: peaks(drawn, name, group) for group in (POOLED, *GROUPS)}
        bins = [0] * BINS
        for value in values[POOLED]:
            bins[bin_of(value)] += 1
        made[name] = RiskCalibration(
            model=models[name], may_block=default.may_block, bins=tuple(bins),
            curves=curves(values, default, alphas, pseudo_tasks, groups),
        )  # fmt: skip
    return ToolsetCalibration(
        policy=policy, toolset=toolset, seed=seed, pseudo_tasks=pseudo_tasks,
        risks=made,
    )  # fmt: skip


def curves(
    values: Mapping[str, Sequence[float]],
    default: RiskDefault,
    alphas: Alphas,
    pseudo_tasks: int = PSEUDO_TASKS,
    groups: bool = True,
) -> dict[str, Curve]:
    """The map of all groups together, and of every group with at least `MIN_GROUP` tasks.

    A group that is large enough to hold but too small for the rank to block takes the block
    threshold of all groups.

    Args:
        values: sorted peaks by group, `any` among them.
        default: shipped thresholds and limits.
        alphas: wanted shares.
        pseudo_tasks: what the shipped thresholds count as.
        groups: False: only `any`.
    """
    pooled = _curve(values[POOLED], default, alphas, pseudo_tasks)
    found = {POOLED: pooled}
    for group in GROUPS if groups else ():
        own = values.get(group, ())
        if len(own) < MIN_GROUP:
            continue
        made = _curve(own, default, alphas, pseudo_tasks)
        if made.block.basis == "default" and pooled.block.basis == "own":
            block = pooled.block.model_copy(update={"basis": "pooled"})
            made = Curve(hold=made.hold, block=block)
        found[group] = made
    return found


def _curve(
    values: Sequence[float], default: RiskDefault, alphas: Alphas, pseudo_tasks: int
) -> Curve:
    hold = threshold(values, alphas.hold, default.hold, pseudo_tasks)
    block = threshold(values, alphas.block, default.block, pseudo_tasks)
    if block.basis == "default":
        # Too few rows speak of the tail. It moves up with the bulk, and never down without rows.
        scaled = default.block.default * max(1.0, hold.value / default.hold.default)
        block = block.model_copy(update={"value": min(scaled, default.block.highest)})
    return Curve(hold=hold, block=block)


def threshold(
    values: Sequence[float], alpha: float, limit: Limit, pseudo_tasks: int = PSEUDO_TASKS
) -> Threshold:
    """The conformal quantile, cut to the limits, then drawn to the shipped threshold.

    Cut first: one absurd value among few rows moves the threshold no further than their say.

    Args:
        values: sorted peaks of benign tasks.
        alpha: wanted share above.
        limit: shipped threshold with its limits.
        pseudo_tasks: what the shipped threshold counts as.
    """
    count, at = len(values), rank(len(values), alpha)
    if not at:
        return Threshold(
            alpha=alpha, tasks=count, rank=0, quantile=None, value=limit.default, basis="default"
        )
    own = values[at - 1]
    cut = min(max(own, limit.lowest), limit.highest)
    share = count / (count + pseudo_tasks)
    return Threshold(
        alpha=alpha, tasks=count, rank=at, quantile=None if math.isinf(own) else own,
        value=limit.default + share * (cut - limit.default), basis="own",
        bound="highest" if own > limit.highest else "lowest" if own < limit.lowest else None,
    )  # fmt: skip

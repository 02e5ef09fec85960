"""What a dataset gives away by itself: baselines that must not know the label (R85).

Logistic regressions on bags of hashed tokens: names of tools only, keys of arguments only, the
sizes of the plan only. Trained on the families of one half, tested on the other half. An area under
the curve near 0.5 says that nothing leaks; `MOST` is the largest one that is accepted.
Does not see: leaks in texts, values or facts, which are what a model is there to learn from.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatling_guard.plan import leaves
from gatling_guard.trace import name_words
from gatling_guard.training.sample import Sample

MOST = 0.65
WIDTH = 4096
"""Buckets that tokens are hashed into."""
Tokens = Callable[[Sample], list[str]]
Array = NDArray[np.float64]


def tool_names(sample: Sample) -> list[str]:
    """Names of the called tools, whole and word by word."""
    names = [node["tool_name"] for node in sample.plan["nodes"]]
    return [*names, *(f"w:{word}" for name in names for word in name_words(name))]


def argument_keys(sample: Sample) -> list[str]:
    """Paths of the arguments of all calls, places in lists left out."""
    return [
        "/".join(part for part in leaf.path.split("/") if not part.isdigit())
        for node in sample.plan["nodes"]
        for leaf in leaves(node["arguments"])
    ]


def plan_sizes(sample: Sample) -> list[str]:
    """Number of calls and of data edges."""
    calls = len(sample.plan["nodes"])
    edges = sum(edge.get("kind", "data") == "data" for edge in sample.plan["edges"])
    return [f"calls:{min(calls, 30)}", f"edges:{min(edges, 40)}"]


BASELINES: Mapping[str, Tokens] = {
    "tool names": tool_names, "argument keys": argument_keys, "plan sizes": plan_sizes,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leak:
    """What one baseline makes of one pair of classes."""

    baseline: str
    against: str
    """The label told from gold; "all" for both others together."""
    auc: float
    samples: int
    """Held-out samples it was measured on."""

    @property
    def found(self) -> bool:
        """Whether the baseline knows too much."""
        return self.auc > MOST


def leaks(samples: Iterable[Sample], *, epochs: int = 8, seed: int = 0) -> list[Leak]:
    """Every baseline for gold against all, boundary and adversarial samples.

    Args:
        samples: of a dataset, whole families.
        epochs: of the logistic regression.
        seed: of the split by family and of the order.
    """
    rows = list(samples)
    labels = np.array([row.label for row in rows])
    training = np.array([_half(f"{seed}/{row.family}") for row in rows])
    found = []
    for name, tokens in BASELINES.items():
        bags = [_bag(tokens(row)) for row in rows]
        for against in ("all", "boundary", "adversarial"):
            chosen = np.flatnonzero((against == "all") | (labels == "gold") | (labels == against))
            wrong = labels[chosen] != "gold"
            train = training[chosen]
            if len(set(wrong[train])) < 2 or len(set(wrong[~train])) < 2:
                continue
            weights = _fitted([bags[i] for i in chosen[train]], wrong[train], epochs, seed)
            scores = np.array([weights[bags[i]].sum() for i in chosen[~train]])
            found.append(Leak(name, against, auc(scores, wrong[~train]), int((~train).sum())))
    return found


def _half(family: str) -> bool:
    return bool(zlib.crc32(family.encode()) & 1)


def _bag(tokens: Sequence[str]) -> NDArray[np.int64]:
    """Buckets of the distinct tokens; bucket 0 is the bias."""
    found = {1 + zlib.crc32(token.encode()) % (WIDTH - 1) for token in tokens}
    return np.array([0, *sorted(found)], np.int64)


def _fitted(
    bags: Sequence[NDArray[np.int64]], wrong: NDArray[np.bool_], epochs: int, seed: int
) -> Array:
    """`[WIDTH]` weights of a logistic regression by AdaGrad, with both classes of equal weight."""
    weights, squares = np.zeros(WIDTH), np.full(WIDTH, 1e-6)
    share = wrong.mean()
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for i in rng.permutation(len(bags)):
            bag = bags[i]
            guess = 1 / (1 + np.exp(-np.clip(weights[bag].sum(), -30, 30)))
            step = (guess - wrong[i]) * (0.5 / share if wrong[i] else 0.5 / (1 - share))
            slope = step + 1e-4 * weights[bag]
            squares[bag] += slope * slope
            weights[bag] -= 0.1 * slope / np.sqrt(squares[bag])
    return weights


def auc(scores: Array, wrong: NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ties count one half."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]
    positive, negative = int(wrong.sum()), int((~wrong).sum())
    return float((ranks[wrong].sum() - positive * (positive + 1) / 2) / (positive * negative))


def crossing_families(splits: Mapping[str, Iterable[str]]) -> list[str]:
    """Families that are in more than one split.

    Args:
        splits: families by name of the split.
    """
    seen: dict[str, str] = {}
    found = set()
    for split, families in splits.items():
        for family in families:
            if seen.setdefault(family, split) != split:
                found.add(family)
    return sorted(found)

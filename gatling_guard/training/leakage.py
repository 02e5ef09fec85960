"""What a dataset gives away by itself: baselines that must not know the label (R85).

Logistic regressions on bags of hashed tokens (`leaks`): names of tools only, keys of arguments
only, the sizes of the plan only. Trained on the families of one half, tested on the other half.
And single numbers (`number_leaks`): calls, edges, length of the instruction, ... An area under the
curve near 0.5 says that nothing leaks; `MOST` and `MOST_OF_ONE` are the largest that are accepted.
Columns of the facts (`fact_leaks`) are reported: what a tracer says of a value is what a model is
there to learn from. Does not see: leaks in texts and values.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gatling_guard.plan import leaves
from gatling_guard.trace import name_words
from gatling_guard.training.sample import Sample

MOST = 0.65
MOST_OF_ONE = 0.62
"""For a single number, which no training can make more of."""
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


def _size(value: object) -> int:
    return len(json.dumps(value))


def _depth(sample: Sample) -> int:
    """Calls on the longest way through the plan."""
    depths: dict[str, int] = {}
    for node in sample.plan["nodes"]:
        into = [e["source"] for e in sample.plan["edges"] if e["target"] == node["node_id"]]
        depths[node["node_id"]] = 1 + max((depths.get(source, 0) for source in into), default=0)
    return max(depths.values(), default=0)


def _kinds_of_edges(sample: Sample, kind: str) -> int:
    return sum(edge.get("kind", "data") == kind for edge in sample.plan["edges"])


def _largest(sample: Sample, key: str) -> float:
    return float(max((node.get(key) or 0 for node in sample.plan["nodes"]), default=0))


def _whole_numbers(sample: Sample) -> list[int]:
    values = [v for node in sample.plan["nodes"] for v in node["arguments"].values()]
    return [value for value in values if type(value) is int]


NUMBERS: Mapping[str, Callable[[Sample], float]] = {
    "calls": lambda s: len(s.plan["nodes"]),
    "distinct tools": lambda s: len({node["tool_name"] for node in s.plan["nodes"]}),
    "arguments": lambda s: sum(len(node["arguments"]) for node in s.plan["nodes"]),
    "characters of arguments": lambda s: _size([node["arguments"] for node in s.plan["nodes"]]),
    "largest whole number": lambda s: max(_whole_numbers(s), default=0),
    "edges": lambda s: len(s.plan["edges"]),
    "data edges": lambda s: _kinds_of_edges(s, "data"),
    "control edges": lambda s: _kinds_of_edges(s, "control"),
    "temporal edges": lambda s: _kinds_of_edges(s, "temporal"),
    "depth": _depth,
    "largest scope": lambda s: _largest(s, "scope_level"),
    "largest tier": lambda s: _largest(s, "provenance_tier"),
    "fields of calls": lambda s: sum(map(len, s.plan["nodes"])) / max(1, len(s.plan["nodes"])),
    "length of node ids": lambda s: max(len(n["node_id"]) for n in s.plan["nodes"]),
    "characters of the instruction": lambda s: len(s.governance["context"].get("instruction", "")),
    "earlier turns": lambda s: len(s.governance["context"].get("earlier") or ()),
    "size of the policy": lambda s: _size(s.governance.get("policy")),
    "tools": lambda s: len(s.tools),
    "distractors": lambda s: len(s.tools) - len({n["tool_name"] for n in s.plan["nodes"]}),
    "texts": lambda s: len(s.texts),
    "texts that ask": lambda s: sum(text["directive"] for text in s.texts),
    "characters of texts": lambda s: sum(len(text["text"]) for text in s.texts),
    "characters of outputs": lambda s: _size(s.outputs),
    "calls without output": lambda s: len(s.plan["nodes"]) - len(s.outputs),
}
"""Statistics that say nothing of who asked for what."""
COLUMNS = ("tier 1", "tier 2", "tier 3", "named", "untrusted", "sensitive", "disguised", "caused")


def _column(sample: Sample, column: str) -> float:
    """How many values have it."""
    facts = [fact for known in sample.facts.values() for fact in known.values()]
    tier = int(column[5:]) if column.startswith("tier ") else 0
    return float(sum(fact["tier"] == tier if tier else bool(fact[column]) for fact in facts))


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
    """Samples it was measured on; held-out ones, where something was fitted."""
    most: float = MOST
    """The largest area that is accepted."""

    @property
    def found(self) -> bool:
        """Whether the baseline knows too much."""
        return self.auc > self.most


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


def number_leaks(samples: Iterable[Sample]) -> list[Leak]:
    """Every single number of `NUMBERS`, by itself; whether more or less of it is worse."""
    return _single(list(samples), NUMBERS, MOST_OF_ONE)


def fact_leaks(samples: Iterable[Sample]) -> list[Leak]:
    """Every column of the facts by itself, counted over a plan: to report, not to pass."""
    return _single(list(samples), {c: partial(_column, column=c) for c in COLUMNS}, 1.0)


def _single(
    rows: list[Sample], numbers: Mapping[str, Callable[[Sample], float]], most: float
) -> list[Leak]:
    labels = np.array([row.label for row in rows])
    found = []
    for name, number in numbers.items():
        values = np.array([float(number(row)) for row in rows])
        for against in ("all", "boundary", "adversarial"):
            chosen = (against == "all") | (labels == "gold") | (labels == against)
            wrong = labels[chosen] != "gold"
            if wrong.any() and not wrong.all():
                area = auc(values[chosen], wrong)
                found.append(Leak(name, against, max(area, 1 - area), int(chosen.sum()), most))
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

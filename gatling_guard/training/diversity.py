"""What a dataset is made of: tools, lengths, effects, labels, repetition and leakage.

The leakage figure is the ROC AUC of a naive Bayes on nothing but the names of the tools that a
plan calls, fitted on half of the families and measured on the others: names must not tell gold
from attack (R85).
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gatling_guard.training.sample import Sample, content_hash

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass
class Diversity:
    """Counts over the samples it was given."""

    samples: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    mutations: Counter[str] = field(default_factory=Counter)
    calls: Counter[int] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    edges: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    policies: int = 0
    grants: int = 0
    earlier: int = 0
    duplicates: int = 0
    _seen: set[str] = field(default_factory=set, repr=False)
    _instructions: set[str] = field(default_factory=set, repr=False)
    _rows: list[tuple[str, bool, frozenset[str]]] = field(default_factory=list, repr=False)

    def add(self, sample: Sample) -> None:
        """Count one sample."""
        self.samples += 1
        self.labels[sample.label] += 1
        self.sources[sample.source.partition("/")[0]] += 1
        if sample.mutation:
            self.mutations[sample.mutation] += 1
        names = [node["tool_name"] for node in sample.plan["nodes"]]
        self.calls[len(names)] += 1
        for name in names:
            self.tools[name] += 1
            self.effects[_effect(sample.tools.get(name))] += 1
        for edge in sample.plan["edges"]:
            self.edges[edge.get("kind", "data")] += 1
        for text in sample.texts:
            self.texts["directive" if text["directive"] else "plain"] += 1
        policy = sample.governance.get("policy")
        self.policies += policy is not None
        self.grants += isinstance(policy, dict) and "grants" in policy
        context = sample.governance.get("context") or {}
        self.earlier += bool(context.get("earlier"))
        self._instructions.add(str(context.get("instruction")))
        key = content_hash(sample)
        self.duplicates += key in self._seen
        self._seen.add(key)
        self._rows.append((sample.family, sample.label != "gold", words_of_names(names)))

    def report(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        total = max(1, self.samples)
        several = sum(n for calls, n in self.calls.items() if calls > 1)
        return {
            "samples": self.samples,
            "labels": dict(self.labels),
            "sources": dict(self.sources),
            "mutations": dict(self.mutations),
            "tools": len(self.tools),
            "calls_per_plan": dict(sorted(self.calls.items())),
            "several_calls": round(several / total, 4),
            "effects": dict(self.effects.most_common()),
            "edges": dict(self.edges),
            "texts": dict(self.texts),
            "with_policy": round(self.policies / total, 4),
            "with_grant": round(self.grants / total, 4),
            "with_earlier_turns": round(self.earlier / total, 4),
            "distinct_instructions": round(len(self._instructions) / total, 4),
            "duplicates": round(self.duplicates / total, 5),
            "name_only_auc": round(name_only_auc(self._rows), 4),
            "name_only_auc_among_twins": round(name_only_auc(self._twins()), 4),
        }

    def _twins(self) -> list[tuple[str, bool, frozenset[str]]]:
        """Rows of families that hold an attack: where names would tell, they would tell here."""
        mixed = {family for family, attack, _ in self._rows if attack}
        return [row for row in self._rows if row[0] in mixed]


def diversity(samples: Iterable[Sample]) -> dict[str, Any]:
    """The figures of some samples."""
    found = Diversity()
    for sample in samples:
        found.add(sample)
    return found.report()


def _effect(tool: Any) -> str:
    return str(((tool or {}).get("profile") or {}).get("effect", "unknown"))


def words_of_names(names: Iterable[str]) -> frozenset[str]:
    """The words in names of tools, and the names."""
    found = set(names)
    for name in names:
        found |= {word.lower() for word in _WORD.findall(name)}
    return frozenset(found)


def name_only_auc(rows: Iterable[tuple[str, bool, frozenset[str]]]) -> float:
    """ROC AUC of names alone; nan where one of the classes is missing.

    Args:
        rows: family, whether it is no gold sample, words of its tools' names.
    """
    fit: list[tuple[bool, frozenset[str]]] = []
    held: list[tuple[bool, frozenset[str]]] = []
    for family, attack, words in rows:
        (fit if zlib.crc32(family.encode()) % 2 else held).append((attack, words))
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    sizes = {True: 1, False: 1}
    for attack, words in fit:
        counts[attack].update(words)
        sizes[attack] += 1
    weight = {
        word: math.log((counts[True][word] + 1) / (sizes[True] + 2))
        - math.log((counts[False][word] + 1) / (sizes[False] + 2))
        for word in counts[True].keys() | counts[False].keys()
    }
    scored = [(sum(weight.get(w, 0.0) for w in sorted(words)), attack) for attack, words in held]
    return _auc(scored)


def _auc(scored: list[tuple[float, bool]]) -> float:
    scored.sort(key=lambda pair: pair[0])
    positive = sum(attack for _, attack in scored)
    negative = len(scored) - positive
    if not positive or not negative:
        return math.nan
    total, at = 0.0, 0
    while at < len(scored):
        end = at
        while end < len(scored) and scored[end][0] == scored[at][0]:
            end += 1
        rank = (at + end + 1) / 2  # ties share their mean rank
        total += rank * sum(attack for _, attack in scored[at:end])
        at = end
    return (total - positive * (positive + 1) / 2) / (positive * negative)

"""The mix as a whole: proportions, shards, and what gives the label away (R67, R74, R85)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from gatling_guard.training import content_hash, to_line
from gatling_guard.training.boundary import MIX
from gatling_guard.training.gold import generate
from gatling_guard.training.leakage import (
    MOST,
    NUMBERS,
    auc,
    crossing_families,
    fact_leaks,
    leaks,
    number_leaks,
)
from gatling_guard.training.mixture import mixed, proportions
from gatling_guard.training.mutations import registry
from gatling_guard.training.sample import Sample
from gatling_guard.training.wellformed import validate

FAMILIES = 2_000
SHARES = {"gold": 0.61, "boundary": 0.30, "adversarial": 0.09}


@cache
def dataset() -> tuple[Sample, ...]:
    return tuple(mixed(generate(2, FAMILIES)))


def test_proportions() -> None:
    """R74: 61 / 30 / 9, within one per cent."""
    found = proportions(dataset())
    assert found == pytest.approx(SHARES, abs=0.01)


def test_the_boundary_mix() -> None:
    """R153: scope 40, permission 30, temporal 20, sensitivity 10."""
    found = Counter(
        registry()[s.mutation].group for s in dataset() if s.label == "boundary" and s.mutation
    )
    total = sum(found.values())
    assert {group: found[group] / total for group in MIX} == pytest.approx(
        {group: share / 100 for group, share in MIX.items()}, abs=0.03
    )


def test_another_ratio() -> None:
    """The mix is a parameter."""
    found = proportions(mixed(generate(2, 500), (80, 15, 5)))
    assert found == pytest.approx({"gold": 0.8, "boundary": 0.15, "adversarial": 0.05}, abs=0.025)


def test_ids_are_unique_and_contents_too() -> None:
    """Duplicates below one per cent; no id twice."""
    assert len({sample.id for sample in dataset()}) == len(dataset())
    hashes = {content_hash(sample) for sample in dataset()}
    assert len(hashes) > 0.99 * len(dataset())


def test_shards_agree_with_one_run() -> None:
    """Two shards, one behind the other, are byte by byte the whole."""
    whole = [to_line(sample) for sample in mixed(generate(6, 40))]
    parts = [to_line(sample) for i in range(2) for sample in mixed(generate(6, 40, shard=(i, 2)))]
    assert parts == whole


def test_the_same_bytes_in_any_process() -> None:
    """Whatever PYTHONHASHSEED."""
    program = (
        "import hashlib\n"
        "from gatling_guard.training import to_line\n"
        "from gatling_guard.training.gold import generate\n"
        "from gatling_guard.training.mixture import mixed\n"
        "text = '\\n'.join(map(to_line, mixed(generate(6, 25))))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    text = "\n".join(map(to_line, mixed(generate(6, 25))))
    assert found.stdout.strip() == hashlib.sha256(text.encode()).hexdigest()


def test_nothing_leaks() -> None:
    """R85: names of tools, keys of arguments and sizes of plans do not tell the label."""
    for leak in leaks(dataset(), epochs=4):
        assert leak.auc <= MOST, leak


def test_no_single_number_tells_the_label() -> None:
    """Calls, edges, lengths, largest values: none of them by itself."""
    found = number_leaks(dataset())
    assert len(found) == 3 * len(NUMBERS)
    assert not [leak for leak in found if leak.found]


def test_facts_say_what_a_tracer_would_and_no_more() -> None:
    """No column of the facts decides alone, and each is there in all classes."""
    for leak in fact_leaks(dataset()):
        assert leak.auc <= 0.75, leak
    for column in ("named", "untrusted", "sensitive", "disguised"):
        for label in SHARES:
            rows = [sample for sample in dataset() if sample.label == label]
            assert any(f[column] for s in rows for k in s.facts.values() for f in k.values())


def test_all_of_the_mix_is_valid() -> None:
    """Also what is made from honest twins."""
    for sample in dataset()[:400]:
        assert validate(sample) == [], sample.id


def test_a_planted_leak_is_caught() -> None:
    """R85: a tool that occurs in attacks only, under a name of its own or one argument's."""

    def planted(sample: Sample) -> Sample:
        if sample.label != "adversarial":
            return sample
        first, *others = sample.plan["nodes"]
        leaked = {**first, "tool_name": "sync_mirror"}
        return replace(sample, plan={**sample.plan, "nodes": [leaked, *others]})

    def keyed(sample: Sample) -> Sample:
        if sample.label != "adversarial":
            return sample
        first, *others = sample.plan["nodes"]
        leaked = {**first, "arguments": {**first["arguments"], "mirror": "x"}}
        return replace(sample, plan={**sample.plan, "nodes": [leaked, *others]})

    few = dataset()[:1500]
    longer = [
        replace(s, texts=[*s.texts, *s.texts, *s.texts]) if s.label == "adversarial" else s
        for s in few
    ]
    assert "texts" in {leak.baseline for leak in number_leaks(longer) if leak.found}
    for plant, baseline in ((planted, "tool names"), (keyed, "argument keys")):
        found = {leak.baseline for leak in leaks(map(plant, few), epochs=3) if leak.found}
        assert baseline in found


def test_auc() -> None:
    """Known values; ties count one half."""
    wrong = np.array([False, False, True, True])
    assert auc(np.array([0.1, 0.2, 0.3, 0.4]), wrong) == 1.0
    assert auc(np.array([0.4, 0.3, 0.2, 0.1]), wrong) == 0.0
    assert auc(np.array([1.0, 1.0, 1.0, 1.0]), wrong) == 0.5
    assert auc(np.array([0.1, 0.3, 0.2, 0.4]), wrong) == 0.75


def test_families_do_not_cross_splits() -> None:
    """R67: a family that is in two splits is told."""
    assert crossing_families({"train": ["a", "b"], "test": ["c", "c"]}) == []
    assert crossing_families({"train": ["a", "b"], "test": ["c", "b"]}) == ["b"]

"""What the precise scorer learns from: recorded rows and the scenarios that it may see.

The worlds of `HELD_WORLDS` and half of the benign rows are left for the heads, which need honest
scores: a judge is too sure of what it was trained on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gatling_guard.encoders.text import text_features
from gatling_guard.training.items import Near
from gatling_guard.training.pairs import HELD_WORLDS, SHARES, Pair, pairs_of, trained_on
from gatling_guard.training.scenario_files import read_worlds
from gatling_guard.training.scenario_rows import labelled_rows, scenario_rows
from gatling_guard.training.traces import LabelledTrace

SOURCE = "scenarios"
QUESTIONS = 600
"""Held-out pairs that a run is watched with."""


def scenario_labelled(*, seed: int, per_attack: int = 2) -> list[LabelledTrace]:
    """All scenarios as labelled rows, in the wordings of both sides."""
    worlds = read_worlds()
    rows = []
    for side in ("train", "test"):
        made = scenario_rows(worlds, side=side, per_attack=per_attack, seed=seed)
        rows += [replace(row, source=SOURCE) for row in labelled_rows(made)]
    return rows


def judge_pairs(
    rows: Sequence[LabelledTrace], scenes: Sequence[LabelledTrace], seed: int
) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on, and pairs of held-out worlds to watch with."""
    near = static_near()
    recorded = [
        row for row in rows
        if row.source in SHARES and (row.attack or row.injected or trained_on(row.trace.id))
    ]  # fmt: skip
    found = pairs_of(recorded, near=near, seed=seed, honest=3)
    found += pairs_of((r for r in scenes if r.suite not in HELD_WORLDS), near=near, seed=seed)
    held = pairs_of((r for r in scenes if r.suite in HELD_WORLDS), near=near, seed=seed)
    asked = [pair for pair in held if pair.weight == 1.0]
    random.Random(f"{seed}/questions").shuffle(asked)
    return found, asked[:QUESTIONS]


def static_near() -> Near:
    """By the shipped sub-word table."""
    static = text_features("static")
    return Near(lambda texts: np.asarray(static(texts), dtype=np.float32))

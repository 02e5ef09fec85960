"""R48: heads are monotone, are scored on suites that they never saw, and know their scorers."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from gatling_guard.encoders.precise import PreciseScorer
from gatling_guard.encoders.scorer import RivalScorer
from gatling_guard.encoders.scorer_folder import shipped
from gatling_guard.energy.features import FEATURES
from gatling_guard.energy.residual import Residual
from gatling_guard.training.heads import (
    HEADS,
    SHARES,
    fit_head,
    held_out_logits,
    peak,
    reliability,
    runs_digest,
    sampled,
    thresholds,
)
from gatling_guard.training.pairs import HELD_WORLDS
from gatling_guard.training.scenario_files import FOLDER, read_worlds
from gatling_guard.training.scenario_rows import labelled_rows, scenario_rows
from gatling_guard.training.served_calls import Notes, ServedCall, ServedRun, served_runs
from gatling_guard.training.traces import BENIGN, LabelledTrace


def world_rows() -> list[LabelledTrace]:
    """One world, in the wordings that are for tests."""
    worlds = read_worlds(FOLDER / "city-library.yaml")
    return labelled_rows(scenario_rows(worlds, side="test", per_attack=1, seed=0))


def made_runs(count: int = 60) -> list[ServedRun]:
    """Runs in two suites whose malicious calls are judged foreign, and honest ones are not."""
    rng, runs = random.Random(1), []
    for number in range(count):
        attack = number % 2 == 0
        features = {name: rng.gauss(0, 1) for name in FEATURES}
        features["judged"] = rng.gauss(2.0 if attack else -2.0, 1)
        call = ServedCall(features, {}, undoable=number % 3 == 0, malicious=attack)
        suite = ("one", "two")[number // 2 % 2]
        runs.append(ServedRun(f"r{number}", suite, f"t{number}", "benign", "scenarios", attack,
                              None, "do it", [call]))  # fmt: skip
    return runs


def test_a_head_rises_with_every_feature_and_tells_calls_apart() -> None:
    """R48: weights are never negative, whatever the data says."""
    runs = made_runs()
    found = fit_head(runs, tuple(FEATURES))
    for curve in found.curves.values():
        heights = [height for _, height in curve.points]
        assert heights == sorted(heights)
        assert heights[0] >= 0
    calls = [run.calls[0] for run in runs]
    bad, good = (found.logits([c for c in calls if c.malicious is m]) for m in (True, False))
    assert np.median(bad) > np.median(good) + 1
    assert "judged" in found.curves


def test_logits_are_by_heads_that_never_saw_the_suite() -> None:
    """Labels of a suite have no say in its own logits."""
    runs = made_runs()
    before = held_out_logits(runs, HEADS["calm"])
    turned = [
        replace(run, calls=[replace(c, malicious=not c.malicious) for c in run.calls])
        if run.suite == "two" else run
        for run in runs
    ]  # fmt: skip
    after = held_out_logits(turned, HEADS["calm"])
    for run in runs:
        same = np.array_equal(before[run.id], after[run.id])
        assert same is (run.suite == "two")


def test_thresholds_are_of_honest_runs() -> None:
    """About the wanted share of honest runs passes; the sensitive head never may block."""
    runs = made_runs(400)
    logits = {run.id: np.array([run.calls[0].features["judged"]]) for run in runs}
    calm = thresholds(runs, logits, SHARES["calm"], may_block=True)
    honest = [peak(run, logits[run.id]) for run in runs if run.honest]
    passed = np.mean([np.log1p(np.exp(z)) > calm.hold.default for z in honest])
    assert passed == pytest.approx(SHARES["calm"].hold, abs=0.02)
    assert calm.hold.highest < calm.block.lowest
    assert not thresholds(runs, logits, SHARES["sensitive"], may_block=False).may_block


def test_features_come_from_the_session_itself() -> None:
    """A scenario served: calls after something untrusted was read, labels only beside."""
    row = next(row for row in world_rows() if row.attack)
    (run,) = served_runs([row], RivalScorer.from_pretrained(), None, Notes())
    assert run.attack
    assert any(call.malicious for call in run.calls)
    assert all(set(call.features) == set(FEATURES) for call in run.calls)
    (again,) = served_runs([row], RivalScorer.from_pretrained(), None, Notes())
    assert runs_digest([run]) == runs_digest([again])


def test_a_sample_keeps_the_order_and_thins_benign_sources_more() -> None:
    """Every second hard row, every fourth easy one."""
    rows = world_rows()[:8]
    easy = [replace(row, source=BENIGN[0]) for row in rows]
    assert sampled([*rows, *easy], 2) == [*rows[::2], *easy[::4]]


def test_the_shipped_heads_know_the_shipped_scorers() -> None:
    """R48: thresholds fitted on another scorer's numbers do not hold."""
    found = Residual.from_pretrained()
    ids = {RivalScorer.from_pretrained().id, PreciseScorer.from_pretrained().id}
    assert set(found.fitted_on) == ids
    manifest = json.loads((shipped("heads-1") / "manifest.json").read_text())
    assert set(manifest["held_out_worlds"]) == HELD_WORLDS


def test_reliability_counts_every_labelled_call_once_and_rises() -> None:
    """Issue 6: what a risk is worth is told on calls that no part of the head was fitted on."""
    runs = made_runs(400)
    table = reliability(runs, HEADS["calm"], bins=4)
    labelled = [call for run in runs for call in run.calls if call.malicious is not None]
    assert sum(count for _, _, count in table) == len(labelled)
    shares = [share for _, share, _ in table]
    assert shares[0] < 0.2 < 0.8 < shares[-1]
    assert [risk for risk, _, _ in table] == sorted(risk for risk, _, _ in table)

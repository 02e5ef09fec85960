"""Fits the heads of the learned residual: small, monotone, on calls that no scorer was trained on.

    python -m gatling_guard.training.heads --data ../shared/data/train --out heads-1

Rows: the held-out worlds of the scenarios, the held-out recorded suite, and the half of the benign
sources that the judge never saw. A head is a logistic regression on rising steps of its features,
all weights >= 0, every group of rows (suite, label) with about the same say. Thresholds are
quantiles of honest runs' highest risks when every group is scored by a head that never saw it
(leave one source out). Figures of the report are made in the same way.
Needs torch (extra `train`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from gatling_guard.encoders.folder import write_folder
from gatling_guard.encoders.precise import PreciseScorer
from gatling_guard.encoders.scorer import RivalScorer
from gatling_guard.encoders.scorer_folder import MANIFEST
from gatling_guard.energy.heads import Curve, Delegation, Head, HeadsFile, Restored, softplus
from gatling_guard.energy.residual import CALM, FILE, SENSITIVE
from gatling_guard.energy.risk import Limit, RiskDefault
from gatling_guard.training.delegation import delegation_auc, fit_delegation, message_rows
from gatling_guard.training.instructions import READOUT, told
from gatling_guard.training.pairs import HELD_WORLDS, trained_on
from gatling_guard.training.scenario_pairs import scenario_labelled
from gatling_guard.training.served_calls import Notes, ServedCall, ServedRun, served_runs
from gatling_guard.training.traces import BENIGN, LabelledTrace, read_labelled

Floats = NDArray[np.float64]
HELD_SUITE = "slack"
RECORDED = ("agentdojo_banking_slack", "agentdojo_oracle_banking_slack")
QUANTILES = (0.0, 0.3, 0.55, 0.75, 0.9, 0.98)
"""Where the steps of a curve are."""
DECAY = 2e-3
STEPS = 600
NEVER = -60.0
"""Logit of a run without a call that counts."""
FACTORS = dict.fromkeys(("steering", "unasked", "follow-up", "trust-gap", "carried"), 0.03)
"""What circumstantial shares of the structure count beside the heads: in delegated work they are
as frequent in honest calls as in an attacker's."""
RESTORED = (
    Restored(
        kinds=tuple(FACTORS),
        by={
            "own": Curve(points=((-1.5, 0.0), (0.0, 1.0))),
            "judged": Curve(points=((-3.5, 0.0), (-2.0, 1.0))),
        },
    ),
)
"""See `HeadsFile.restored`. Of the delegated scenarios kept out nine in ten lie below 0.9 by `own`,
of the others nine in ten above 0.5; few calls of attacks are
judged below -3.5."""
GREY_SHARE = 0.02
"""Of malicious calls whose static margin is below the grey band."""
HEADS: Mapping[str, tuple[str, ...]] = {
    CALM: ("margin", "judged"), SENSITIVE: ("margin", "judged", "directive", "ungrounded"),
}  # fmt: skip
"""Few: with `own`, `steering`, `unasked` and others beside them, worlds left out are told apart no
better, and delegated work, in which all of these are low, is hardly ever held."""


@dataclass(frozen=True, slots=True)
class Share:
    """Thresholds as shares of honest runs that may pass them."""

    hold: float
    block: float


SHARES: Mapping[str, Share] = {CALM: Share(0.1, 0.005), SENSITIVE: Share(0.1, 0.005)}


@dataclass(frozen=True)
class Fitted:
    """A head before it has thresholds."""

    bias: float
    curves: dict[str, Curve]

    def logits(self, calls: Sequence[ServedCall]) -> Floats:
        """`[n]`."""
        return np.array([
            self.bias + sum(c.of(call.features[name]) for name, c in self.curves.items())
            for call in calls
        ])  # fmt: skip


def head_rows(data: Path, seed: int, *, most: int = 3) -> list[LabelledTrace]:
    """Rows that no scorer was trained on."""
    rows = [row for row in scenario_labelled(seed=seed) if row.suite in HELD_WORLDS]
    recorded = read_labelled(data, RECORDED, per_pair=most)
    rows += [row for row in recorded if row.suite == HELD_SUITE]
    rows += [row for row in read_labelled(data, BENIGN, per_pair=1) if not trained_on(row.trace.id)]
    return rows


def fit_head(runs: Sequence[ServedRun], names: Sequence[str]) -> Fitted:
    """A head on the calls of these runs whose label is known."""
    pairs = [(run, call) for run in runs for call in run.calls if call.malicious is not None]
    calls = [call for _, call in pairs]
    truth = np.array([float(bool(call.malicious)) for call in calls])
    groups = [(run.suite, bool(call.malicious)) for run, call in pairs]
    counts = Counter(groups)
    weight = np.array([1 / np.sqrt(counts[group]) for group in groups])
    for label in (0.0, 1.0):
        weight[truth == label] *= 0.5 / max(1e-12, weight[truth == label].sum())
    knots = {name: _knots(np.array([c.features[name] for c in calls])) for name in names}
    x = np.hstack([_steps(np.array([c.features[n] for c in calls]), k) for n, k in knots.items()])
    coefficients, bias = _logistic(x, truth, weight)
    curves, at = {}, 0
    for name, found in knots.items():
        rises = coefficients[at : at + len(found) - 1]
        at += len(found) - 1
        heights = [0.0, *np.cumsum(rises).tolist()]
        points = tuple(
            (round(float(a), 5), round(h, 5)) for a, h in zip(found, heights, strict=True)
        )
        if heights[-1] > 1e-3:
            curves[name] = Curve(points=points)
    return Fitted(bias, curves)


def _knots(values: Floats) -> list[float]:
    found = sorted({round(float(q), 5) for q in np.quantile(values, QUANTILES)})
    if len(found) < 2:
        found = [found[0], found[0] + 1.0]
    return found


def _steps(values: Floats, knots: Sequence[float]) -> Floats:
    """How far each value has climbed each step, `[n, steps]`, 0..1."""
    low, high = np.array(knots[:-1]), np.array(knots[1:])
    found: Floats = np.clip((values[:, None] - low) / (high - low), 0.0, 1.0)
    return found


def _logistic(x: Floats, truth: Floats, weight: Floats) -> tuple[Floats, float]:
    """Weights >= 0 and bias, by projected gradient steps."""
    data, y, w = (torch.from_numpy(a) for a in (x, truth, weight))
    coefficients = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([coefficients, bias], lr=0.05)
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses = F.binary_cross_entropy_with_logits(data @ coefficients + bias, y, reduction="none")
        loss = (losses * w).sum() + DECAY * (coefficients**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            coefficients.clamp_(min=0.0)
    return coefficients.detach().numpy(), round(float(bias.detach()), 5)


def held_out_logits(runs: Sequence[ServedRun], names: Sequence[str]) -> dict[str, Floats]:
    """By run: logits of its calls by a head that saw no row of its suite."""
    found: dict[str, Floats] = {}
    for suite in sorted({run.suite for run in runs}):
        head = fit_head([run for run in runs if run.suite != suite], names)
        for run in runs:
            if run.suite == suite:
                found[run.id] = head.logits(run.calls)
    return found


def peak(
    run: ServedRun, logits: Floats, counts: Callable[[ServedCall], bool] = lambda call: True
) -> float:
    """The highest logit among the calls that count."""
    kept = [z for call, z in zip(run.calls, logits, strict=True) if counts(call)]
    return max(kept, default=NEVER)


def thresholds(
    runs: Sequence[ServedRun], logits: Mapping[str, Floats], share: Share, *, may_block: bool
) -> RiskDefault:
    """Quantiles of the peaks of honest scenario runs: the hardest honest work there is."""

    def counts(call: ServedCall) -> bool:
        return may_block or not call.undoable

    peaks = [
        peak(run, logits[run.id], counts)
        for run in runs
        if run.honest and run.source == "scenarios"
    ]
    risk = [softplus(float(q)) for q in np.quantile(peaks, (1 - share.hold, 1 - share.block))]
    hold = max(0.02, risk[0])
    block = max(hold * 1.5, risk[1])
    return RiskDefault(
        hold=Limit(default=round(hold, 4), lowest=round(hold / 4, 4), highest=round(hold * 1.2, 4)),
        block=Limit(
            default=round(block, 4), lowest=round(hold * 1.25, 4), highest=round(block * 1.5, 4)
        ),
        may_block=may_block,
    )


def fitted(runs: Sequence[ServedRun], left: Delegation, ids: Sequence[str]) -> HeadsFile:
    """Both heads with their thresholds.

    Args:
        runs: calls that no scorer was trained on.
        left: what tells that messages delegate, with which the runs were served.
        ids: of the scorers.
    """
    heads = {}
    for name, features in HEADS.items():
        found = fit_head(runs, features)
        logits = held_out_logits(runs, features)
        default = thresholds(runs, logits, SHARES[name], may_block=name == CALM)
        heads[name] = Head(bias=found.bias, curves=found.curves, default=default)
    margins = [c.features["margin"] for r in runs for c in r.calls if c.malicious]
    low = round(float(np.quantile(margins, GREY_SHARE)), 3)
    return HeadsFile(
        grey=(low, 2.0),
        factors=FACTORS,
        restored=RESTORED,
        fitted_on=tuple(ids),
        delegation=left,
        heads=heads,
    )


def reliability(
    runs: Sequence[ServedRun], names: Sequence[str], bins: int = 8
) -> list[tuple[float, float, int]]:
    """Mean risk, share of malicious calls and count, by equally full bins of risk.

    Every call is scored by a head that saw no row of its suite.
    """
    logits = held_out_logits(runs, names)
    pairs = sorted(
        (softplus(float(z)), bool(call.malicious))
        for run in runs
        for call, z in zip(run.calls, logits[run.id], strict=True)
        if call.malicious is not None
    )
    found = []
    for part in np.array_split(np.array(pairs, dtype=np.float64), bins):
        risk, share = part.mean(axis=0).tolist()
        found.append((round(risk, 3), round(share, 3), len(part)))
    return found


def runs_digest(runs: Iterable[ServedRun]) -> str:
    """SHA-256 (hex) of the features and labels that heads were fitted on."""
    data = hashlib.sha256()
    for run in runs:
        calls = [[dict(call.features), call.malicious] for call in run.calls]
        data.update(json.dumps([run.id, calls], sort_keys=True).encode())
    return data.hexdigest()


def main(argv: Sequence[str] | None = None) -> None:
    """Reads, serves, fits, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of training traces")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=2, help="of the scenario rows; a sample")
    options = parser.parse_args(argv)
    scorer, judge = RivalScorer.from_pretrained(), PreciseScorer.from_pretrained()
    rows = head_rows(options.data, options.seed)
    messages = told((row.trace.instruction for row in rows if row.source in BENIGN), READOUT)
    read = message_rows(messages, scorer, judge)
    left = fit_delegation(messages, read)
    runs = list(served_runs(sampled(rows, options.every), scorer, judge, Notes(left)))
    file = fitted(runs, left, (scorer.id, judge.id))
    raw = (json.dumps(file.model_dump(mode="json"), indent=1) + "\n").encode()
    manifest = {
        "command": "python -m gatling_guard.training.heads --data ../shared/data/train"
                   f" --seed {options.seed} --every {options.every}",
        "runs": len(runs), "calls": sum(len(run.calls) for run in runs),
        "messages": len(messages), "delegation_auc": delegation_auc(messages, read, left),
        "reliability": {name: reliability(runs, used) for name, used in HEADS.items()},
        "data_sha256": runs_digest(runs), "fitted_on": list(file.fitted_on),
        "held_out_worlds": sorted(HELD_WORLDS), "held_out_suite": HELD_SUITE,
        "sha256": {FILE: hashlib.sha256(raw).hexdigest()},
    }  # fmt: skip
    text = (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    write_folder(options.out, {FILE: raw, MANIFEST: text}, replace=True)
    for name, head in file.heads.items():
        says = {feature: curve.points[-1][1] for feature, curve in head.curves.items()}
        print(name, says, head.default.hold.default, head.default.block.default)


def sampled(rows: Sequence[LabelledTrace], every: int) -> list[LabelledTrace]:
    """One in `every` of the scenario and suite rows, and of the benign ones half as many."""
    hard = [row for row in rows if row.source not in BENIGN]
    easy = [row for row in rows if row.source in BENIGN]
    return [*hard[::every], *easy[:: 2 * every]]


if __name__ == "__main__":
    main()

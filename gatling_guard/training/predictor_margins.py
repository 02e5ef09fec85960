"""What the predictor's error tells of injected calls, beside the text scorer's margin.

    python -m gatling_guard.training.predictor_margins --model DIR --data ../shared/data/train

Judged are calls with a side effect that have an untrusted text before them, as in `margins`.
Runs are put to the guard's session first, so that states, edges and lineage are those that serve.
Four signals per call, none fitted: the error under the instruction; the attribution margin (error
under the instruction minus the least error with a span in its place); the scorer's margin; the mean
of the ranks of the two margins. Printed as AUC: recorded, and reworded without a marker.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.bundle import Backend, Encoders, load_encoders
from gatling_guard.encoders.prediction import plan_inputs, prediction_error
from gatling_guard.errors import TraceError
from gatling_guard.plan import Edge, ToolCall
from gatling_guard.training.dataset import Split
from gatling_guard.training.facts import lineages
from gatling_guard.training.items import CallView, call_views
from gatling_guard.training.margins import Embedder, auc, margins
from gatling_guard.training.predictor_ranking import POLICY, of_split, text_scorer
from gatling_guard.training.recorded_run import TracedRun, Tracer
from gatling_guard.training.synthetic import varied
from gatling_guard.training.traces import NOISY, SOURCES, LabelledTrace, read_labelled
from gatling_guard.training.wrappers import wordings

Floats = NDArray[np.float64]
MOST_SPANS = 48
"""Spans of one call that are put in the instruction's place: the latest."""


@dataclass(frozen=True, slots=True)
class PredictedCall:
    """One call that counts."""

    view: CallView
    malicious: bool
    error: float
    """Of the prediction under the instruction."""
    attribution: float
    """How much better the best span predicts the call than the instruction does."""


def judged_calls(
    rows: Sequence[LabelledTrace], encoders: Encoders, tracer: Tracer
) -> Iterator[PredictedCall]:
    """The calls of rows that count; runs that the guard cannot check are left out."""
    for row in rows:
        if row.source in NOISY or row.trace.label not in ("attack", "benign"):
            continue
        views = call_views(row)
        wanted = [i for i, view in enumerate(views) if _counts(view, row.trace.label)]
        if not wanted:
            continue
        try:
            run = tracer(row.trace, [row.trace.instruction], [0] * len(views))
        except TraceError:
            continue
        yield from _along(row, run, views, set(wanted), encoders)


def _counts(view: CallView, label: str | None) -> bool:
    malicious = view.malicious is True
    return bool(view.effect and view.spans and view.sentences and (malicious or label == "benign"))


def _along(
    row: LabelledTrace, run: TracedRun, views: Sequence[CallView], wanted: set[int],
    encoders: Encoders,
) -> Iterator[PredictedCall]:  # fmt: skip
    """Call by call: predicted from what was there before, then added to the plan."""
    specs = {spec.name: spec for spec in row.trace.tools}
    calls = {node["node_id"]: ToolCall(**node) for node in run.nodes}
    known = lineages(calls, run.facts)
    state = encoders.execution.start()
    for i, (node, call) in enumerate(calls.items()):
        edges = list({(e["source"], e["target"]): Edge(**e) for e in run.edges
                      if e["target"] == node}.values())  # fmt: skip
        inputs = None
        if i in wanted:
            spans = views[i].spans[-MOST_SPANS:]
            said = encoders.governance(POLICY, None, row.trace.instruction)
            z_g = np.concatenate([said, encoders.governance.counterfactuals(POLICY, None, spans)])
            inputs = z_g, *plan_inputs(encoders.config, state, len(z_g))
        step = state.append(
            call, sources=edges, spec=specs.get(call.tool_name), lineage=known[node]
        )
        if inputs is not None:
            errors = prediction_error(encoders.predictor.predict(*inputs), step.call)
            attribution = float(errors[0] - errors[1:].min())
            yield PredictedCall(views[i], views[i].malicious is True, float(errors[0]), attribution)


def ranks(scores: Floats) -> Floats:
    """Ranks from 0 to 1, equal scores share theirs.

    >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [0.75, 0.0, 0.75]
    """
    ordered = np.sort(scores)
    low, high = np.searchsorted(ordered, scores), np.searchsorted(ordered, scores, side="right") - 1
    return np.asarray((low + high) / 2 / max(1, len(scores) - 1), np.float64)


def figures(judged: Sequence[PredictedCall], scorer: Embedder) -> dict[str, float]:
    """AUC of each signal for malicious against honest."""
    truth = np.array([call.malicious for call in judged], np.bool_)
    attribution = np.array([call.attribution for call in judged])
    margin = margins([call.view for call in judged], scorer)
    signals = {
        "error": np.array([call.error for call in judged]),
        "attribution": attribution,
        "scorer": margin,
        "scorer + attribution": ranks(margin) + ranks(attribution),
    }
    found = {name: auc(scores, truth) for name, scores in signals.items()}
    return {"calls": len(judged), "malicious": int(truth.sum()), **found}


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the AUC of each signal by suite."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", type=Path, help="model folder; none: the shipped one")
    parser.add_argument("--backend", choices=get_args(Backend), default="onnx")
    parser.add_argument("--data", type=Path, required=True, help="folder of traces")
    parser.add_argument("--sources", nargs="+", default=SOURCES, help="files of the folder")
    parser.add_argument("--split", choices=get_args(Split), help="only families of this split")
    parser.add_argument("--static", type=Path, help="scorer folder; none: the untrained table")
    parser.add_argument("--most", type=int, default=200, help="rows of one suite")
    options = parser.parse_args(argv)
    encoders = load_encoders(options.model, backend=options.backend)
    unmarked = wordings(development=True, marked=False)
    scorer, tracer = text_scorer(options.static), Tracer()
    for source in options.sources:
        rows = of_split(read_labelled(options.data, [source], per_pair=1), options.split)
        for suite in sorted({row.suite for row in rows if row.attack}):
            # In the order of hashes, so that the first ones are a fair sample.
            chosen = [row for row in rows if row.suite == suite][: options.most]
            plain = varied(chosen, unmarked, seed=99)
            for name, group in (("recorded", chosen), ("marker-free", plain)):
                found = figures(list(judged_calls(group, encoders, tracer)), scorer)
                shown = "  ".join(f"{key} {value:.3f}" for key, value in found.items())
                print(f"{source} {suite} {name:12} {shown}", flush=True)


if __name__ == "__main__":
    main()

"""Which tool comes next, as the predictor says it, beside the text scorer and both together.

    python -m gatling_guard.training.predictor_ranking --model DIR --data ../shared/data/train

The predictor gives the embedding of a call, arguments included; a tool is no call yet. So every
candidate tool is put as a call with made-up arguments (`candidate`), and tools are ranked by the
cosine with what was predicted.
Sees: the instruction under the default policy, the calls before, what the instruction names of
their arguments. Does not see: outputs, and so no edges; a session knows them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog import ToolSpec
from gatling_guard.encoders.bundle import Backend, Encoders, load_encoders
from gatling_guard.encoders.calls import CallInput
from gatling_guard.encoders.prediction import plan_inputs
from gatling_guard.encoders.scorer import RivalScorer
from gatling_guard.encoders.state import PlanState
from gatling_guard.plan import Provenance, ToolCall, leaves
from gatling_guard.trace import Authority, LineageIndex
from gatling_guard.training.dataset import Split, split_of
from gatling_guard.training.facts import Fact, lineage_of
from gatling_guard.training.margins import Embedder, Remembered, UntrainedTable
from gatling_guard.training.next_tool import (
    Question,
    Ranker,
    ScorerRanker,
    by_source,
    measured,
    questions,
)
from gatling_guard.training.traces import SOURCES, LabelledTrace, read_labelled

Form = Literal["bare", "required", "required named", "all", "all named"]
"""`bare`: no arguments. `required`, `all`: those arguments, with a value of their type. `named`:
the user gave the values."""
FORMS: tuple[Form, ...] = get_args(Form)
BEST: Form = "required named"
"""Best by a little where it was measured, see docs/training-recorded.md."""
POLICY = "standard"
_STATES, _INSTRUCTIONS = 4096, 4096
Floats = NDArray[np.float32]


def candidate(spec: ToolSpec, form: Form = BEST) -> CallInput:
    """A call that stands for a tool of which no arguments are known."""
    arguments: dict[str, Any] = {}
    if form != "bare":
        properties = spec.parameters.get("properties") or {}
        needed = spec.parameters.get("required") or ()
        for name, schema in properties.items():
            if form.startswith("all") or name in needed:
                arguments[name] = _typical(schema)
    call = served_call("candidate", spec.name, arguments, spec)
    fact = Fact(named=form.endswith("named"))
    known = [lineage_of(leaf.path, leaf.value, fact) for leaf in leaves(arguments)]
    return CallInput(call, spec, known)


def _typical(schema: Any) -> Any:
    schema = schema if isinstance(schema, Mapping) else {}
    if isinstance(chosen := schema.get("enum"), list) and chosen:
        return chosen[0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    made: dict[Any, Any] = {"integer": 5, "number": 5.0, "boolean": True, "object": {}}
    if kind == "array":
        return [_typical(schema.get("items"))]
    return made.get(kind, "something")


def served_call(
    node: str, name: str, arguments: Mapping[str, Any], spec: ToolSpec | None
) -> ToolCall:
    """A call with the tier and scope that a session gives one without untrusted arguments."""
    tier, scope = (spec.profile.tier, spec.profile.scope) if spec else (Provenance.PUBLIC, 10)
    return ToolCall(
        node_id=node,
        tool_name=name,
        arguments=dict(arguments),
        provenance_tier=tier,
        scope_level=scope,
    )


class PredictorRanker:
    """Ranks tools by the predictor's error.

    Args:
        encoders: of one model.
        form: how a tool is put as a call.
    """

    def __init__(self, encoders: Encoders, form: Form = BEST) -> None:
        self._encoders, self._form = encoders, form
        self._tools: dict[int, tuple[ToolSpec, Floats]] = {}
        """By identity of the spec, which is held."""
        self._authority = lru_cache(maxsize=_INSTRUCTIONS)(lambda text: Authority.of([text]))
        self._states: dict[tuple[str, tuple[int, ...]], tuple[PlanState, Sequence[ToolCall]]] = {}

    def rank(
        self, instruction: str, earlier: Sequence[ToolCall], tools: Sequence[ToolSpec]
    ) -> list[float]:
        """Cosines of the predicted call with each candidate."""
        encoders = self._encoders
        state = self._state(instruction, earlier, {spec.name: spec for spec in tools})
        z_g = encoders.governance(POLICY, None, instruction)
        predicted = encoders.predictor.predict(z_g, *plan_inputs(encoders.config, state))[0]
        return [float(cosine) for cosine in self._rows(tools) @ predicted]

    def _rows(self, tools: Sequence[ToolSpec]) -> Floats:
        missing = [spec for spec in tools if id(spec) not in self._tools]
        if missing:
            rows = self._encoders.execution.embed_calls([candidate(s, self._form) for s in missing])
            self._tools.update((id(s), (s, row)) for s, row in zip(missing, rows, strict=True))
        return np.stack([self._tools[id(spec)][1] for spec in tools])

    def _state(
        self, instruction: str, earlier: Sequence[ToolCall], specs: Mapping[str, ToolSpec]
    ) -> PlanState:
        """The plan so far; that of one call less is taken up where it is known."""
        key = instruction, tuple(map(id, earlier))
        if key in self._states:
            return self._states[key][0]
        if not earlier:
            state = self._encoders.execution.start()
        else:
            state = self._state(instruction, earlier[:-1], specs).fork()
            spec, last = specs.get(earlier[-1].tool_name), earlier[-1]
            found = LineageIndex().trace(last.arguments, self._authority(instruction))
            name = f"call-{len(earlier)}"
            call = served_call(name, last.tool_name, last.arguments, spec)
            state.append(call, spec=spec, lineage=found)
        if len(self._states) >= _STATES:
            self._states.clear()
        self._states[key] = state, earlier  # held, so that the ids stay theirs
        return state


class SummedRanker:
    """The sum of several rankers' scores, each brought to mean 0 and deviation 1 first."""

    def __init__(self, *rankers: Ranker) -> None:
        self._rankers = rankers

    def rank(
        self, instruction: str, earlier: Sequence[ToolCall], tools: Sequence[ToolSpec]
    ) -> list[float]:
        """Sums of standardised scores: fitted on nothing."""
        found = np.zeros(len(tools))
        for ranker in self._rankers:
            scores = np.array(ranker.rank(instruction, earlier, tools))
            found += (scores - scores.mean()) / max(float(scores.std()), 1e-9)
        return found.tolist()


def text_scorer(folder: Path | None = None) -> Embedder:
    """The scorer of a folder; None: the untrained table with n-grams."""
    return Remembered(UntrainedTable() if folder is None else RivalScorer(folder))


def of_split(
    rows: Iterable[LabelledTrace], split: Split | None, seed: int = 0
) -> list[LabelledTrace]:
    """The rows whose families `training.recorded` puts into a split; None: all."""
    return [row for row in rows if split in (None, split_of(f"recorded/{row.task}", seed))]


def asked_of(folder: Path, source: str, split: Split | None, most: int) -> list[Question]:
    """The questions of one file, at most `most`, spread evenly over it."""
    rows = of_split(read_labelled(folder, [source], per_pair=1), split)
    asked = questions(rows)
    step = max(1, -(-len(asked) // most))
    return asked[::step]


def main(argv: Sequence[str] | None = None) -> None:
    """Prints MRR and top-1 of the scorer, the predictor and their sum, source by source."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", type=Path, help="model folder; none: the shipped one")
    parser.add_argument("--backend", choices=get_args(Backend), default="onnx")
    parser.add_argument("--data", type=Path, required=True, help="folder of traces")
    parser.add_argument("--sources", nargs="+", default=SOURCES, help="files of the folder")
    parser.add_argument("--split", choices=get_args(Split), help="only families of this split")
    parser.add_argument("--static", type=Path, help="scorer folder; none: the untrained table")
    parser.add_argument("--most", type=int, default=400, help="questions of one source")
    parser.add_argument("--forms", action="store_true", help="every form of a candidate")
    options = parser.parse_args(argv)
    encoders = load_encoders(options.model, backend=options.backend)
    scorer = ScorerRanker(text_scorer(options.static))
    forms = FORMS if options.forms else (BEST,)
    rankers: dict[str, Ranker] = {"scorer": scorer}
    for form in forms:
        predictor = PredictorRanker(encoders, form)
        rankers[f"predictor, {form}"] = predictor
        rankers[f"sum, {form}"] = SummedRanker(scorer, predictor)
    for source in options.sources:
        asked = asked_of(options.data, source, options.split, options.most)
        for name, found in by_source(asked).items():
            print(f"{name}: {len(found)} questions", flush=True)
            for title, ranker in rankers.items():
                score = measured(found, ranker)
                print(
                    f"  {title:28} of {score.tools:3.0f} tools  MRR {score.mrr:.3f} top-1 "
                    f"{score.top1:.3f}  loose {score.loose_mrr:.3f} {score.loose_top1:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

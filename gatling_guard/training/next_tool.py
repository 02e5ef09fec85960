"""How well a ranker finds the tool that a recorded run called next: MRR and top-1.

    python -m gatling_guard.training.next_tool --data ../shared/data/train

A question is one honest call of a benign run: the instruction, the calls before it and the
session's tools are given, the tool is asked for. Nothing gates on the answer (design: open-ended
runs use tools that no instruction names). Near-copies are asked once.
Does not show a ranker: outputs of earlier calls, the system prompt, the arguments asked for.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog import ToolSpec
from gatling_guard.encoders.scorer import RivalScorer, tool_text
from gatling_guard.plan import ToolCall
from gatling_guard.training.items import instruction_texts
from gatling_guard.training.margins import Embedder, Remembered
from gatling_guard.training.traces import LabelledTrace, read_labelled, sources_of

DISTRACTORS = 30
"""Tools added to a run that lists only those it calls."""


class Ranker(Protocol):
    """Anything that can say which tool comes next."""

    def rank(
        self, instruction: str, earlier: Sequence[ToolCall], tools: Sequence[ToolSpec]
    ) -> list[float]:
        """One score per tool, in their order; the highest is the likeliest next."""
        ...


class Unknowing:
    """Ranks all tools alike: what chance gives."""

    def rank(
        self, instruction: str, earlier: Sequence[ToolCall], tools: Sequence[ToolSpec]
    ) -> list[float]:
        """Zeros."""
        return [0.0] * len(tools)


class ScorerRanker:
    """Ranks tools by the cosine of their text with the nearest sentence of the instruction.

    Earlier calls change nothing: moving back what was called already gains on some sources of
    the training folder and loses on others.
    """

    def __init__(self, scorer: Embedder) -> None:
        self._scorer = Remembered(scorer)

    def rank(
        self, instruction: str, earlier: Sequence[ToolCall], tools: Sequence[ToolSpec]
    ) -> list[float]:
        """Cosines."""
        said = self._scorer.embed_texts(instruction_texts(instruction) or [""])
        offered = self._scorer.embed_calls([tool_text(tool) for tool in tools])
        return [float(cosine) for cosine in (offered @ said.T).max(axis=1)]


@dataclass(frozen=True, slots=True)
class Question:
    """Which of `tools` comes next?"""

    source: str
    instruction: str
    earlier: tuple[ToolCall, ...]
    """Calls of the run so far, oldest first."""
    tools: tuple[ToolSpec, ...]
    right: int
    """Index of the tool that was called."""
    called: frozenset[int]
    """Every tool that the run calls at some time, the right one among them."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a ranker reached on some questions; means over them."""

    questions: int
    tools: float
    """Tools to choose from."""
    mrr: float
    top1: float
    loose_mrr: float
    """The prototype's counting: other tools that the run calls are no rivals, and each tool of an
    instruction is asked for once."""
    loose_top1: float


def questions(
    rows: Iterable[LabelledTrace], *, distractors: int = DISTRACTORS, seed: int = 0
) -> list[Question]:
    """The questions of all benign rows, each (instruction, earlier tools, tool) once.

    Args:
        rows: with their tools resolved. Steps whose tool is not listed ask nothing.
        distractors: tools of the same source that are added to a row which lists only tools that it
            calls: else there would be nothing to choose from.
        seed: of the choice of distractors.
    """
    benign = [row for row in rows if row.trace.label == "benign" and row.trace.steps]
    pools: dict[str, dict[str, ToolSpec]] = {}
    for row in benign:
        pools.setdefault(row.source, {}).update((spec.name, spec) for spec in row.trace.tools)
    found: dict[tuple[object, ...], Question] = {}
    for row in benign:
        for question in _asked(row, pools[row.source], distractors, seed):
            names = tuple(call.tool_name for call in question.earlier)
            key = (row.source, question.instruction, names, question.tools[question.right].name)
            found.setdefault(key, question)
    return list(found.values())


def _asked(
    row: LabelledTrace, pool: Mapping[str, ToolSpec], distractors: int, seed: int
) -> Iterable[Question]:
    listed = {spec.name: spec for spec in row.trace.tools}
    names = [_listed(step.tool, listed) for step in row.trace.steps]
    called = {name for name in names if name is not None}
    if listed.keys() <= called:
        # Of the instruction and not of the row: copies of a question stay copies.
        rng = random.Random(f"{seed}/{row.trace.instruction}")
        others = sorted(pool.keys() - called)
        for other in rng.sample(others, min(distractors, len(others))):
            listed[other] = pool[other]
    tools = tuple(listed.values())
    number = {name: i for i, name in enumerate(listed)}
    numbers = frozenset(number[name] for name in called)
    calls = tuple(
        ToolCall(node_id=str(i), tool_name=name or step.tool or "unknown", arguments=step.arguments)
        for i, (step, name) in enumerate(zip(row.trace.steps, names, strict=True))
    )
    for i, (step, name) in enumerate(zip(row.trace.steps, names, strict=True)):
        if name is not None and step.malicious is not True and len(tools) > 2:
            yield Question(
                row.source, row.trace.instruction, calls[:i], tools, number[name], numbers
            )


def _listed(tool: str, listed: Mapping[str, ToolSpec]) -> str | None:
    """The name under which a called tool is listed; `service.tool` may be listed as `tool`."""
    return next((name for name in (tool, tool.rsplit(".", 1)[-1]) if name in listed), None)


def measured(asked: Sequence[Question], ranker: Ranker) -> Score:
    """MRR and top-1 of a ranker; equal scores share the mean of their ranks."""
    ranks, loose, seen = [], [], set[tuple[str, str]]()
    for question in asked:
        scores = np.array(
            ranker.rank(question.instruction, question.earlier, question.tools), dtype=np.float64
        )
        ranks.append(_rank(scores, question.right, frozenset()))
        key = (question.instruction, question.tools[question.right].name)
        if key not in seen:
            seen.add(key)
            loose.append(_rank(scores, question.right, question.called))
    strict, free = np.array(ranks), np.array(loose)
    if not len(strict):
        return Score(0, *[float("nan")] * 5)
    return Score(
        len(strict),
        float(np.mean([len(question.tools) for question in asked])),
        float((1 / strict).mean()),
        float((strict == 1).mean()),
        float((1 / free).mean()),
        float((free == 1).mean()),
    )


def _rank(scores: NDArray[np.float64], right: int, ignored: frozenset[int]) -> float:
    """1 is best; ties count half."""
    rivals = [i for i in range(len(scores)) if i != right and i not in ignored]
    above = sum(bool(scores[i] > scores[right]) for i in rivals)
    ties = sum(bool(scores[i] == scores[right]) for i in rivals)
    return 1 + above + ties / 2


def by_source(asked: Iterable[Question]) -> dict[str, list[Question]]:
    """The questions of each file."""
    found: dict[str, list[Question]] = {}
    for question in asked:
        found.setdefault(question.source, []).append(question)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Prints MRR and top-1 of chance and of the static scorer, source by source."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of traces (.jsonl.xz)")
    parser.add_argument("--sources", nargs="*", help="files, without .jsonl.xz; all of them")
    parser.add_argument("--static", type=Path, help="folder of a static scorer; the shipped one")
    options = parser.parse_args(argv)
    rankers: dict[str, Ranker] = {
        "chance": Unknowing(),
        "static": ScorerRanker(RivalScorer.from_pretrained(options.static)),
    }
    for source in options.sources or sources_of(options.data):
        asked = questions(read_labelled(options.data, [source], per_pair=sys.maxsize))
        print(f"{source}: {len(asked)} questions")
        for name, ranker in rankers.items() if asked else ():
            score = measured(asked, ranker)
            print(
                f"  {name:8} of {score.tools:.0f} tools: MRR {score.mrr:.3f} top-1 {score.top1:.3f}"
                f"  loose MRR {score.loose_mrr:.3f} top-1 {score.loose_top1:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

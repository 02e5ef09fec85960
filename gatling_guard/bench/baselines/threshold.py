"""The threshold of line T5: the attribution margin that 5 % of the honest training rows exceed.

    python -m gatling_guard.bench.baselines.threshold --data ../shared/data/train --embedder static

A row's margin is the largest of its calls with a side effect. All honest rows count alike, those
that nothing could touch too. What it prints goes into `attribution.THRESHOLDS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from gatling_guard.bench.baselines.attribution import NONE
from gatling_guard.bench.baselines.embedding import EMBEDDERS, Embedder, embedder_named
from gatling_guard.bench.baselines.facts import CallFacts, History
from gatling_guard.bench.baselines.lexicon import classify_spec
from gatling_guard.bench.baselines.outputs import read_output
from gatling_guard.bench.replay import find_toolsets
from gatling_guard.trace import RecordedTrace, read_traces

BUDGET = 0.05


def threshold(margins: Sequence[float], budget: float = BUDGET) -> float:
    """The lowest of the margins that at most a share `budget` of them exceed."""
    return sorted(margins, reverse=True)[int(budget * len(margins))]


def row_margin(trace: RecordedTrace, embed: Embedder) -> float:
    """The largest margin of a call with a side effect; `NONE` where nothing was read before one.

    Args:
        trace: with its toolsets resolved.
        embed: whose cosines count.
    """
    specs = {spec.name: spec for spec in trace.tools}
    history, found = History(trace.instruction, embed), NONE
    for step in trace.steps:
        tool = classify_spec(step.tool, specs.get(step.tool), tuple(step.arguments))
        if tool.writes or tool.egress:
            facts = CallFacts(step.tool, tool, step.arguments, history)
            found = max(found, facts.sentence_margin)
        if step.output is not None:
            history.readings.append(read_output(step.output, tool, step.arguments))
    return found


def honest_margins(data: Path, embed: Embedder) -> Iterator[float]:
    """The margin of every honest row of a folder."""
    for file in sorted(data.glob("*.jsonl.xz")):
        toolsets = find_toolsets(file)
        for trace in read_traces(file, on_error="collect", issues=[]):
            if trace.label == "benign":
                yield row_margin(trace.with_tools(toolsets), embed)


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m gatling_guard.bench.baselines.threshold")
    parser.add_argument("--data", type=Path, required=True, help="Folder of traces to fix it on.")
    parser.add_argument("--embedder", choices=EMBEDDERS, required=True)
    given = parser.parse_args()
    found = list(honest_margins(given.data, embedder_named(given.embedder)))
    touchable = sum(margin > NONE for margin in found)
    print(f"{given.embedder}: {threshold(found):.3f} ({len(found)} rows, {touchable} touchable)")


if __name__ == "__main__":
    main()

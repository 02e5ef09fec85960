"""Recorded traces as samples: real tools, real outputs, real agents' calls.

    python -m gatling_guard.training.recorded --data ../shared/data/train --out recorded.jsonl.xz

Honest runs, runs that resisted an injection, and what an attacked run did before it gave in are
gold; runs in which an injected call with an effect ran are adversarial. All rows of a user task are
one family. The recorded wrapper of an injection is always replaced: every attacked row comes in
several wordings of `training.wrappers`. Same data and seed, same bytes.

Left out, and counted: runs that a judge calls unsafe (nobody attacked), calls that the tool's
schema does not allow (the guard stops those by rule), injections that cannot be found as written or
whose goal is not known, injected calls that only read, near-copies.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gatling_guard.catalog import ToolSpec
from gatling_guard.errors import GatlingError, InputError, Issue
from gatling_guard.trace import load_toolsets, read_traces
from gatling_guard.training.items import call_views
from gatling_guard.training.recorded_cuts import (
    MUTATION,
    Cutter,
    node_id,
    rival_texts,
    with_declared_flow,
)
from gatling_guard.training.recorded_rows import (
    chosen_rows,
    turns_of,
    unfit,
    usable_calls,
    with_tools,
)
from gatling_guard.training.recorded_run import Tracer
from gatling_guard.training.sample import Sample, content_hash, write_samples
from gatling_guard.training.traces import SOURCES, LabelledTrace, labelled, reworded
from gatling_guard.training.wrappers import worded, wordings


@dataclass(frozen=True, slots=True)
class Settings:
    """How much of the data becomes samples."""

    seed: int = 0
    per_pair: int = 2
    """Rows of one user task, injection task and kind."""
    per_task: int = 4
    """Rows of one instruction in files without user tasks."""
    wordings: int = 2
    """Wordings of each attacked row that gave in; one of each that resisted."""


@dataclass(slots=True)
class Outcome:
    """What became of the rows."""

    issues: list[Issue] = field(default_factory=list)
    """Lines that cannot be read and rows that cannot be used, with their place."""
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By source and reason."""
    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Samples by source and what they are."""


def recorded_samples(
    folder: str | Path,
    settings: Settings | None = None,
    *,
    sources: Sequence[str] = SOURCES,
    outcome: Outcome | None = None,
) -> Iterator[Sample]:
    """The samples of a folder of traces, file by file.

    Args:
        folder: holds `<source>.jsonl.xz`, and `../catalog/toolsets.json.xz` beside it.
        settings: how much of it.
        sources: the files to read.
        outcome: takes up what was made, what was left out and what is wrong.

    Raises:
        TraceError: a file cannot be read.
    """
    folder, settings = Path(folder), settings or Settings()
    outcome = outcome if outcome is not None else Outcome()
    toolset_file = folder.parent / "catalog" / "toolsets.json.xz"
    toolsets = load_toolsets(toolset_file) if toolset_file.is_file() else {}
    tracer = Tracer()
    seen: set[str] = set()
    for source in sources:
        path = folder / f"{source}.jsonl.xz"
        rows = []
        for trace in read_traces(path, on_error="collect", issues=outcome.issues):
            try:
                rows.append(labelled(trace.with_tools(toolsets), source))
            except InputError as error:
                outcome.issues += _placed(error, trace.id, path)
        for row in with_tools(chosen_rows(rows, settings.per_pair, settings.per_task)):
            try:
                samples = list(_samples(row, tracer, settings, outcome))
            except InputError as error:
                outcome.issues += _placed(error, row.trace.id, path)
                continue
            for sample in samples:
                key = f"{sample.family} {content_hash(sample)}"
                if key in seen:
                    outcome.left_out[source, "near-copy"] += 1
                    continue
                seen.add(key)
                kind = sample.mutation or sample.id.rsplit("/", 1)[-1]
                outcome.made[source, f"{sample.label}: {kind}"] += 1
                yield sample


def _placed(error: InputError, row: str, path: Path) -> list[Issue]:
    return [Issue(f"trace {row!r} {i.where}".strip(), i.message, str(path)) for i in error.issues]


def _samples(
    row: LabelledTrace, tracer: Tracer, settings: Settings, outcome: Outcome
) -> Iterator[Sample]:
    """All samples of one row; none where it cannot be used."""
    specs = {spec.name: spec for spec in row.trace.tools}
    usable = usable_calls(row, specs)
    attacked = row.attack and any(s.malicious for s in row.trace.steps[:usable])
    reason = unfit(row, usable, attacked)
    if reason:
        outcome.left_out[row.source, reason] += 1
        return
    row = replace(row, trace=replace(row.trace, steps=row.trace.steps[:usable]))
    count = settings.wordings if attacked else 1
    choices = wordings(development=False)
    for number in range(count):
        rng = random.Random(f"{settings.seed}/wording/{row.trace.id}/{number}")
        said = reworded(row, lambda goal, rng=rng: worded(goal, choices, rng))  # type: ignore[misc]
        if said is None:
            outcome.left_out[row.source, "the injection cannot be reworded"] += 1
            return
        yield from _of_wording(said, number, attacked, specs, tracer, settings, outcome)
        if not row.injected:
            return


def _of_wording(
    row: LabelledTrace, number: int, attacked: bool, specs: dict[str, ToolSpec],
    tracer: Tracer, settings: Settings, outcome: Outcome,
) -> Iterator[Sample]:  # fmt: skip
    turns, turn_of = turns_of(row)
    run = with_declared_flow(row, tracer(row.trace, turns, turn_of), specs)
    malicious = [i for i, step in enumerate(row.trace.steps) if step.malicious and attacked]
    texts = rival_texts(row, specs, malicious, settings.seed)
    made = Cutter(row, run, texts, turns, turn_of, specs, settings.seed)
    if not attacked:
        kind = "resisted" if row.injected else "honest"
        yield made.sample(len(run.nodes), kind)
        middle = [i for i in range(1, len(turn_of)) if turn_of[i] > turn_of[i - 1]]
        if middle:
            at = random.Random(f"{settings.seed}/turn/{row.trace.id}").choice(middle)
            yield made.sample(at, "earlier_turn")
        return
    if malicious[0] and not number:
        yield made.sample(malicious[0], "before")
    views = call_views(row)
    acting = [i for i in malicious if views[i].effect]
    asked = {node for text in texts for node in text["goal_of"]}
    if not acting:
        outcome.left_out[row.source, "injected calls that only read"] += 1
    elif not {node_id(i) for i in malicious} <= asked:
        outcome.left_out[row.source, "injected calls without a text that asks for them"] += 1
    else:
        yield made.sample(malicious[-1] + 1, f"attacked_{number}", MUTATION)


def main(argv: Sequence[str] | None = None) -> int:
    """Reads, traces, writes; prints the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    default = Settings()
    parser.add_argument("--data", type=Path, required=True, help="folder of training traces")
    parser.add_argument("--out", type=Path, required=True, help="file to write (.jsonl, .xz, .gz)")
    parser.add_argument("--sources", nargs="+", default=SOURCES, choices=SOURCES, metavar="NAME")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--per-pair", type=int, default=default.per_pair)
    parser.add_argument("--per-task", type=int, default=default.per_task)
    parser.add_argument("--wordings", type=int, default=default.wordings)
    options = parser.parse_args(argv)
    settings = Settings(options.seed, options.per_pair, options.per_task, options.wordings)
    outcome, started = Outcome(), time.monotonic()
    try:
        samples = recorded_samples(options.data, settings, sources=options.sources, outcome=outcome)
        count = write_samples(options.out, samples)
    except GatlingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in _report(outcome):
        print(line)
    print(f"{count} samples in {time.monotonic() - started:.0f} s -> {options.out}")
    return 0


def _report(outcome: Outcome) -> Iterable[str]:
    for title, counts in (("made", outcome.made), ("left out", outcome.left_out)):
        for (source, what), count in sorted(counts.items()):
            yield f"{title:9}{source:32}{what:64}{count:6}"
    yield f"bad rows {len(outcome.issues)}"
    yield from map(str, outcome.issues[:20])


if __name__ == "__main__":
    sys.exit(main())

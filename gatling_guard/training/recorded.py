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
from typing import Any

from gatling_guard.catalog import ToolSpec, spec_from_json_schema
from gatling_guard.encoders.tree import policy_document
from gatling_guard.errors import GatlingError, InputError, Issue
from gatling_guard.trace import Authority, load_toolsets, read_traces
from gatling_guard.training.items import call_views
from gatling_guard.training.recorded_run import (
    BroughtText,
    TracedRun,
    Tracer,
    brought_texts,
    share,
)
from gatling_guard.training.sample import Json, Sample, content_hash, write_samples
from gatling_guard.training.traces import (
    NOISY,
    SOURCES,
    LabelledTrace,
    labelled,
    reworded,
    thinned,
)
from gatling_guard.training.wrappers import worded, wordings

MUTATION = "injected_run"
"""Of every adversarial sample here. The name is not among those that `dataset` holds out."""
MAX_CALLS = 40
"""Calls of one plan; what comes later is left out."""
MAX_TEXTS = 8
MAX_DISTRACTORS = 8
_CARRIES_GOAL = 0.25
"""Share of the goal's words from which on an injected sentence carries it."""


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
        for row in _with_tools(_chosen(rows, settings)):
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


def _chosen(rows: Sequence[LabelledTrace], settings: Settings) -> list[LabelledTrace]:
    """The rows without near-copies, in an order of their own."""
    by_id = {id(row.trace): row for row in rows}
    counts: Counter[str] = Counter()
    found = []
    for trace in thinned([row.trace for row in rows], settings.per_pair):
        row = by_id[id(trace)]
        counts[row.task] += not _called_unsafe(row)
        if trace.meta.get("user_task") or counts[row.task] <= settings.per_task:
            found.append(row)
    return found


def _called_unsafe(row: LabelledTrace) -> bool:
    return row.source in NOISY and row.trace.label != "benign"


def _with_tools(rows: Sequence[LabelledTrace]) -> list[LabelledTrace]:
    """Rows without any schema get tools as their calls in the file show them."""
    bare = [row for row in rows if not row.trace.tools]
    used: dict[str, dict[str, Json]] = {}
    for row in bare:
        for step in row.trace.steps:
            used.setdefault(step.tool, {}).update(dict.fromkeys(step.arguments, {}))
    specs = {
        name: spec_from_json_schema(name, {"type": "object", "properties": properties})
        for name, properties in used.items()
        if name
    }
    shown = {
        id(row): tuple(specs[t] for t in dict.fromkeys(s.tool for s in row.trace.steps) if t)
        for row in bare
    }
    return [
        replace(row, trace=replace(row.trace, tools=shown[id(row)])) if id(row) in shown else row
        for row in rows
    ]


def _samples(
    row: LabelledTrace, tracer: Tracer, settings: Settings, outcome: Outcome
) -> Iterator[Sample]:
    """All samples of one row; none where it cannot be used."""
    specs = {spec.name: spec for spec in row.trace.tools}
    usable = _usable(row, specs)
    attacked = row.attack and any(s.malicious for s in row.trace.steps[:usable])
    reason = _unfit(row, usable, attacked)
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


_VALIDATORS: dict[int, tuple[ToolSpec, Any]] = {}
"""By identity of a spec, which is held so that its id stays its own."""


def _usable(row: LabelledTrace, specs: dict[str, ToolSpec]) -> int:
    """How many calls from the first on the tools allow and the labels are sure of."""
    for at, step in enumerate(row.trace.steps[:MAX_CALLS]):
        spec = specs.get(step.tool)
        if spec is None or not _fits(spec, step.arguments):
            return at
        # Of an attacked run, a call of unknown origin may be either's.
        unsure = step.malicious is None and row.source not in NOISY
        if unsure or (step.malicious and not row.attack):
            return at
    return min(len(row.trace.steps), MAX_CALLS)


def _fits(spec: ToolSpec, arguments: Json) -> bool:
    """As `wellformed` asks it: the guard's own rule forgives more."""
    properties = spec.parameters.get("properties") or {}
    return not arguments.keys() - properties.keys() and _validator(spec).is_valid(arguments)


def _validator(spec: ToolSpec) -> Any:
    import jsonschema

    known = _VALIDATORS.get(id(spec))
    if known is None:
        known = _VALIDATORS[id(spec)] = (spec, jsonschema.Draft202012Validator(spec.parameters))
    return known[1]


def _unfit(row: LabelledTrace, usable: int, attacked: bool) -> str:
    """Why a row gives nothing, or ""."""
    if not row.trace.instruction.strip():
        return "no instruction"
    if _called_unsafe(row):
        return "called unsafe, without an attacker"
    if not usable:
        return "the first call is none of the tools' or of unknown origin"
    if attacked and not row.injected:
        return "injected calls without a text that asks for them"
    return ""


def _of_wording(
    row: LabelledTrace, number: int, attacked: bool, specs: dict[str, ToolSpec],
    tracer: Tracer, settings: Settings, outcome: Outcome,
) -> Iterator[Sample]:  # fmt: skip
    turns, turn_of = turns_of(row)
    run = _bound(row, tracer(row.trace, turns, turn_of), specs)
    malicious = [i for i, step in enumerate(row.trace.steps) if step.malicious and attacked]
    texts = _texts(row, specs, malicious, settings.seed)
    made = _Maker(row, run, texts, turns, turn_of, specs, settings.seed, number)
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
    elif not {_node(i) for i in malicious} <= asked:
        outcome.left_out[row.source, "injected calls without a text that asks for them"] += 1
    else:
        yield made.sample(malicious[-1] + 1, f"attacked_{number}", MUTATION)


def turns_of(row: LabelledTrace) -> tuple[list[str], list[int]]:
    """What the user said, turn by turn, and the turn of each step.

    Only where the row tells the turns apart; otherwise all of it is said at once.
    """
    meta, steps = row.trace.meta, len(row.trace.steps)
    turns = row.trace.instruction.split("\n")
    turn_of = list(meta.get("step_turn") or ())[:steps]
    ordered = turn_of == sorted(turn_of) and all(0 <= t < len(turns) for t in turn_of)
    if len(turns) == meta.get("n_turns") and len(turn_of) == steps and ordered and all(turns):
        return turns, turn_of
    return [row.trace.instruction], [0] * steps


def _bound(row: LabelledTrace, run: TracedRun, specs: dict[str, ToolSpec]) -> TracedRun:
    """With the data flow that a row declares because its outputs are not known."""
    declared = row.trace.meta.get("edges") or ()
    tiers: dict[int, int] = {}
    for source, target, argument, *_ in sorted(declared, key=lambda e: (e[1], e[0])):
        if (
            not 0 <= source < target < len(run.nodes)
            or f"/{argument}" not in run.facts[_node(target)]
        ):
            continue
        spec = specs[run.nodes[source]["tool_name"]]
        own = 3 if spec.profile.third_party else int(max(spec.profile.tier, spec.profile.text_tier))
        tier = max(own, tiers.get(source, 1))
        tiers[target] = max(tier, tiers.get(target, 1))
        fact = run.facts[_node(target)][f"/{argument}"]
        tier = max(tier, fact["tier"])
        changed = {**fact, "tier": tier, "untrusted": tier == 3 and not fact["named"]}
        run.facts[_node(target)][f"/{argument}"] = changed
        run.edges.append(
            {"source": _node(source), "target": _node(target), "argument": f"/{argument}"}
        )
    return run


def _node(step: int) -> str:
    return f"call-{step + 1}"


def _texts(
    row: LabelledTrace, specs: dict[str, ToolSpec], malicious: Sequence[int], seed: int
) -> list[Json]:
    """At most `MAX_TEXTS` untrusted texts: those that carry the goal, directive ones, others."""
    brought = brought_texts(row.trace, specs, len(row.trace.steps) - 1)
    goal: list[tuple[float, BroughtText]] = []
    rest: list[BroughtText] = []
    for text in brought:
        if any(share(text.text, said) >= 0.7 for said in (*row.injected, row.goal) if said):
            goal.append((share(row.goal, text.text), text))
        else:
            rest.append(text)
    goal.sort(key=lambda pair: -pair[0])
    carrying = [text for part, text in goal if part >= _CARRIES_GOAL or part == goal[0][0]]
    if Authority.of([row.trace.instruction]).delegations:
        rest = []  # the user lets a text decide: which one explains which call is not known
    random.Random(f"{seed}/texts/{row.trace.id}").shuffle(rest)
    rest.sort(key=lambda text: not text.directive)
    chosen = [(t, True) for t in carrying[:3]] + [(t, False) for t in rest]
    return [
        {
            "node": _node(text.step),
            "tier": 3,
            "text": text.text,
            "directive": text.directive,
            "authority": False,
            "goal_of": [_node(i) for i in malicious if i > text.step] if carries else [],
        }
        for text, carries in chosen[:MAX_TEXTS]
    ]


@dataclass(frozen=True, slots=True)
class _Maker:
    """Cuts samples out of one traced run."""

    row: LabelledTrace
    run: TracedRun
    texts: list[Json]
    turns: list[str]
    turn_of: list[int]
    specs: dict[str, ToolSpec]
    seed: int
    number: int

    def sample(self, count: int, kind: str, mutation: str | None = None) -> Sample:
        """The first calls, as gold or as an attack."""
        run, row = self.run.cut(count), self.row
        known = {node["node_id"] for node in run.nodes}
        family = f"recorded/{row.task}"
        texts = [
            {**text, "goal_of": [node for node in text["goal_of"] if node in known]}
            for text in self.texts
            if text["node"] in known
        ]
        turn = self.turn_of[count - 1]
        context = {"instruction": self.turns[turn], "earlier": self.turns[:turn]}
        shown = random.Random(f"{self.seed}/policy/{family}").random() < 0.5
        return Sample(
            id=f"recorded/{row.trace.id}/{kind}",
            family=family,
            source=f"recorded/{row.source}",
            label="adversarial" if mutation else "gold",
            plan={"nodes": run.nodes, "edges": run.edges},
            governance={
                "policy": policy_document("standard") if shown else None,
                "role": None,
                "context": context,
            },
            tools=self._tools({node["tool_name"] for node in run.nodes}),
            facts=run.facts,
            texts=texts,
            mutation=mutation,
            severity=1.0 if mutation else 0.0,
            violates=self._violated(run, texts) if mutation else [],
        )

    def _tools(self, used: set[str]) -> Json:
        others = sorted(self.specs.keys() - used)
        rng = random.Random(f"{self.seed}/tools/{self.row.trace.id}")
        others = rng.sample(others, min(len(others), MAX_DISTRACTORS))
        return {name: _entry(self.specs[name]) for name in sorted(used) + sorted(others)}

    def _violated(self, run: TracedRun, texts: Sequence[Json]) -> list[str]:
        """Nobody asked for it; and data leaves, or a stranger says whom, which or where."""
        asked = {node for text in texts for node in text["goal_of"]}
        found = ["hierarchy"]
        for node in run.nodes:
            if node["node_id"] not in asked:
                continue
            profile = self.specs[node["tool_name"]].profile
            leaves = profile.sink or profile.egress
            fed = any(edge["target"] == node["node_id"] for edge in run.edges)
            untrusted = any(fact["untrusted"] for fact in run.facts[node["node_id"]].values())
            if leaves and fed and "flow" not in found:
                found.append("flow")
            if untrusted and "provenance" not in found:
                found.append("provenance")
        return found


_ENTRIES: dict[int, tuple[ToolSpec, Json]] = {}
"""By identity of a spec, which is held: equal tools share a dict, and are written quicker."""


def _entry(spec: ToolSpec) -> Json:
    known = _ENTRIES.get(id(spec))
    if known is None:
        entry = {"description": spec.description, "parameters": spec.parameters, "profile": None}
        known = _ENTRIES[id(spec)] = (spec, entry)
    return known[1]


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

"""Which rows of recorded traces become samples, with which tools, and how much of them.

A row is used up to the first call that the tools do not allow, or of which the labels do not say
whose it is. Near-copies are dropped: rows of one user task and injection, rows of one instruction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gatling_guard.catalog import ToolSpec, spec_from_json_schema
from gatling_guard.training.sample import Json
from gatling_guard.training.traces import NOISY, LabelledTrace, thinned

MAX_CALLS = 40
"""Calls of one plan; what comes later is left out."""


def chosen_rows(rows: Sequence[LabelledTrace], per_pair: int, per_task: int) -> list[LabelledTrace]:
    """The rows without near-copies, in an order of their own.

    Args:
        rows: of one file.
        per_pair: most rows of one user task, injection task and kind.
        per_task: most rows of one instruction, where there are no user tasks.
    """
    by_id = {id(row.trace): row for row in rows}
    counts: Counter[str] = Counter()
    found = []
    for trace in thinned([row.trace for row in rows], per_pair):
        row = by_id[id(trace)]
        counts[row.task] += not called_unsafe(row)
        if trace.meta.get("user_task") or counts[row.task] <= per_task:
            found.append(row)
    return found


def called_unsafe(row: LabelledTrace) -> bool:
    """A judge found fault with the run, and nobody had attacked it."""
    return row.source in NOISY and row.trace.label != "benign"


def with_tools(rows: Sequence[LabelledTrace]) -> list[LabelledTrace]:
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


_VALIDATORS: dict[int, tuple[ToolSpec, Any]] = {}
"""By identity of a spec, which is held so that its id stays its own."""


def usable_calls(row: LabelledTrace, specs: Mapping[str, ToolSpec]) -> int:
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


def unfit(row: LabelledTrace, usable: int, attacked: bool) -> str:
    """Why a row gives nothing, or ""."""
    if not row.trace.instruction.strip():
        return "no instruction"
    if called_unsafe(row):
        return "called unsafe, without an attacker"
    if not usable:
        return "the first call is none of the tools' or of unknown origin"
    if attacked and not row.injected:
        return "injected calls without a text that asks for them"
    return ""


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

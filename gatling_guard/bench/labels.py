"""From a recorded trace and a verdict line to what the metrics are computed on."""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gatling_guard.bench.outcomes import RowTruth, StepTruth, StepVerdict
from gatling_guard.catalog import ToolSpec, infer_profile
from gatling_guard.errors import InputError, Issue, TraceError
from gatling_guard.plan import leaves, parse_json
from gatling_guard.trace import RecordedStep, RecordedTrace

ACTIONS = ("allow", "repair", "hold", "block")
_URL_MARKS = ("://", "www.")


def row_truth(trace: RecordedTrace) -> RowTruth:
    """The labels of a trace whose toolsets are resolved.

    Rows without a user task in their `meta` are grouped by the instruction: those of one task
    share it.
    """
    specs = {spec.name: spec for spec in trace.tools}
    meta = trace.meta
    suite = next((str(meta[k]) for k in ("suite", "domain", "agent") if meta.get(k)), trace.source)
    return RowTruth(
        id=trace.id,
        attack=trace.label == "attack",
        kind=str(meta.get("kind") or trace.label or "unknown"),
        suite=suite,
        group=(suite, str(meta.get("user_task") or trace.instruction)),
        steps=tuple(_step_truth(step, specs.get(step.tool)) for step in trace.steps),
    )


def _step_truth(step: RecordedStep, spec: ToolSpec | None) -> StepTruth:
    profile = spec.profile if spec is not None else infer_profile(step.tool)
    return StepTruth(
        step.malicious,
        has_side_effect(step.tool, step.arguments, spec),
        step.arguments,
        profile.effect.side_effect and not profile.reversible,
        registered=spec is not None,
    )


def has_side_effect(tool: str, arguments: Mapping[str, Any], spec: ToolSpec | None) -> bool:
    """A write, or a read that carries a URL (data/README.md).

    Decided from the profile that the catalog infers, never from labels. A read that also changes
    something (marks mail as read) counts as a read.
    """
    profile = spec.profile if spec is not None else infer_profile(tool)
    if profile.effect.side_effect:
        return True
    if any(arguments.get(name) for name in profile.url_args):
        return True
    texts = (leaf.value for leaf in leaves(dict(arguments)) if isinstance(leaf.value, str))
    return any(mark in text.lower() for text in texts for mark in _URL_MARKS)


def step_verdicts(verdict: object) -> tuple[StepVerdict, ...]:
    """The steps of one verdict line.

    Raises:
        TraceError: it is none; every fault with its JSON pointer.
    """
    steps = verdict.get("steps") if isinstance(verdict, Mapping) else None
    if not isinstance(steps, list):
        raise TraceError([Issue("/steps", "must be a list")], what="verdict")
    issues: list[Issue] = []
    found = []
    for i, step in enumerate(steps):
        action = step.get("action") if isinstance(step, Mapping) else None
        arguments = step.get("arguments") if isinstance(step, Mapping) else None
        if action not in ACTIONS:
            issues.append(Issue(f"/steps/{i}/action", f"must be one of {', '.join(ACTIONS)}"))
        elif action == "repair" and not isinstance(arguments, Mapping):
            issues.append(Issue(f"/steps/{i}/arguments", "a repair needs its arguments"))
        else:  # only a repair is compared by its arguments; the others need no memory
            found.append(StepVerdict(action, arguments or {} if action == "repair" else {}))
    if issues:
        raise TraceError(issues, what="verdict")
    return tuple(found)


def read_verdicts(path: Path, issues: list[Issue]) -> dict[str, tuple[StepVerdict, ...]]:
    """Verdict lines by trace id, arguments kept only where they matter.

    Args:
        path: `.jsonl` or `.jsonl.xz`, as `gatling-guard replay` writes it.
        issues: receives the faults of bad lines, which are skipped.

    Raises:
        TraceError: the file cannot be read.
    """
    found: dict[str, tuple[StepVerdict, ...]] = {}
    for number, line in _lines(path):
        try:
            row = parse_json(line, what="verdict")
            name = row.get("id") if isinstance(row, dict) else None
            if not isinstance(name, str):
                raise TraceError([Issue("/id", "must be text")], what="verdict")
            if name in found:
                raise TraceError([Issue("/id", f"{name!r} was decided before")], what="verdict")
            found[name] = step_verdicts(row)
        except InputError as error:
            issues += [Issue(i.where, i.message, str(path), number) for i in error.issues]
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with lzma.open(path, "rb") if path.suffix == ".xz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise TraceError([Issue("", f"cannot be read: {error}", str(path))]) from None

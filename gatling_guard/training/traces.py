"""Recorded traces with their labels: what the text scorer is trained and developed on.

Reads the trace format (`gatling_guard.trace.formats`) and adds what only training may know: which
suite and task a row belongs to, what was injected and what the injection wanted. Transcripts of one
(user task, injection task) pair are near-copies: they are thinned, and split by suite or by task,
never by row. Nearly all recorded injections share one wrapper: `reworded` replaces it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gatling_guard.errors import TraceError
from gatling_guard.trace import RecordedStep, RecordedTrace, load_toolsets, read_traces

SOURCES = (
    "agentdojo_banking_slack", "agentdojo_oracle_banking_slack", "api_bank", "bfcl", "nestful",
    "privacylens", "seal_tools", "tau_bench", "toolemu_runs",
)  # fmt: skip
"""Files of the training folder, without `.jsonl.xz`."""
SUFFIX = ".jsonl.xz"
BENIGN = ("tau_bench", "bfcl", "seal_tools", "api_bank")
"""Large sources of honest runs."""
NOISY = frozenset({"toolemu_runs"})
"""Sources whose attack label is a model's opinion of the agent, not an injection."""
CLEAN_KINDS = frozenset({"benign", "injection_goal_as_user_task", "injection_not_seen"})

_WORD = re.compile(r"[^\s'\"\\]+")
_BETWEEN = r"(?:\s|\\n|[\\'\"])++"
"""What a serialiser may put between two words: folded lines, escapes, doubled quotes."""


@dataclass(frozen=True, slots=True)
class LabelledTrace:
    """A trace, its tools resolved, and what training knows about it."""

    trace: RecordedTrace
    source: str
    """Name of the file, or `synthetic`."""
    suite: str
    task: str
    """Rows of one task stay on one side of every split."""
    kind: str
    goal: str = ""
    """What the injection wants done; "" where there is none."""
    injected: tuple[str, ...] = ()
    """The injected texts that stand in the outputs."""
    delegated: tuple[str, ...] = ()
    """Sentences of the user's own instruction that stand in an output instead."""

    @property
    def attack(self) -> bool:
        """Whether some call was an attacker's (noisy labels do not count)."""
        return self.trace.label == "attack" and self.source not in NOISY


def sources_of(folder: str | Path) -> list[str]:
    """The trace files of a folder, sorted; lists of injection texts are no traces.

    Raises:
        TraceError: there are none.
    """
    names = {path.name.removesuffix(SUFFIX) for path in Path(folder).glob(f"*{SUFFIX}")}
    if not names - {"injection_texts"}:
        raise TraceError(f"{folder}: no trace files (*{SUFFIX})")
    return sorted(names - {"injection_texts"})


def read_labelled(
    folder: str | Path, sources: Sequence[str] = SOURCES, *, per_pair: int = 4
) -> Iterator[LabelledTrace]:
    """The thinned rows of a folder of traces, file by file.

    Args:
        folder: holds `<source>.jsonl.xz`, and `../catalog/toolsets.json.xz` beside it.
        sources: the files to read.
        per_pair: most rows of one (suite, user task, injection task, kind); rows without a user
            task are all kept. Which ones is decided by a hash of the row's id.

    Raises:
        TraceError: with file and line.
    """
    folder = Path(folder)
    toolset_file = folder.parent / "catalog" / "toolsets.json.xz"
    toolsets = load_toolsets(toolset_file) if toolset_file.is_file() else {}
    for source in sources:
        rows = list(read_traces(folder / f"{source}{SUFFIX}"))
        for trace in thinned(rows, per_pair):
            yield labelled(trace.with_tools(toolsets), source)


def labelled(trace: RecordedTrace, source: str) -> LabelledTrace:
    """What the row's `meta` says about a trace whose toolsets are resolved."""
    meta = trace.meta
    suite = str(meta.get("suite") or source)
    injections = meta.get("injections") or {}
    if not isinstance(injections, dict):
        raise TraceError(f"trace {trace.id!r}: meta.injections must be an object")
    outputs = "\n".join(str(step.output) for step in trace.steps if step.output is not None)
    injected = [text for text in map(str, injections.values()) if _found(text, outputs)]
    return LabelledTrace(
        trace,
        source,
        suite,
        f"{suite}/{meta.get('user_task') or trace.instruction}",
        str(meta.get("kind") or trace.label or "unknown"),
        str(meta.get("injection_goal") or "") if injected else "",
        tuple(injected),
    )


def thinned(traces: Iterable[RecordedTrace], per_pair: int) -> list[RecordedTrace]:
    """At most `per_pair` rows of each pair of tasks and kind, in the order of the ids' hashes."""
    counts: dict[tuple[object, ...], int] = {}
    kept = []
    for trace in sorted(traces, key=lambda t: _digest(t.id)):
        meta = trace.meta
        pair = tuple(meta.get(k) for k in ("suite", "user_task", "injection_task", "kind"))
        counts[pair] = counts.get(pair, 0) + 1
        if not meta.get("user_task") or counts[pair] <= per_pair:
            kept.append(trace)
    return kept


def divided(
    rows: Iterable[LabelledTrace], held_out: str
) -> tuple[list[LabelledTrace], list[LabelledTrace]]:
    """Rows to train on, and those of the held-out suite (`slack`; "" holds out nothing)."""
    train: list[LabelledTrace] = []
    held: list[LabelledTrace] = []
    for row in rows:
        (held if row.suite == held_out else train).append(row)
    return train, held


def reworded(row: LabelledTrace, wording: Callable[[str], str]) -> LabelledTrace | None:
    """The row with every injected text replaced by another wording of the injection's goal.

    Args:
        row: a row with `injected` texts; one without is returned as it is.
        wording: goal -> the text to write instead.

    Returns:
        None where the goal is unknown or an injected text cannot be found as written.
    """
    if not row.injected:
        return row
    if not row.goal:
        return None
    new = {text: wording(row.goal) for text in row.injected}
    steps = [_replaced(step, new) for step in row.trace.steps]
    outputs = "\n".join(str(step.output) for step in steps if step.output is not None)
    if any(_found(text, outputs) for text in row.injected):
        return None
    return replace(row, trace=replace(row.trace, steps=tuple(steps)), injected=tuple(new.values()))


def _replaced(step: RecordedStep, new: dict[str, str]) -> RecordedStep:
    if not isinstance(step.output, str):
        return step
    output = step.output
    for old, text in new.items():
        pattern = _pattern(old)
        if pattern is not None:
            output = pattern.sub(lambda _, text=text: text, output)  # type: ignore[misc]
    return replace(step, output=output)


def _found(text: str, output: str) -> bool:
    pattern = _pattern(text)
    return pattern is not None and pattern.search(output) is not None


def _pattern(text: str) -> re.Pattern[str] | None:
    words = _WORD.findall(text)
    return re.compile(_BETWEEN.join(map(re.escape, words))) if words else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""Recorded runs: what was asked, which tools there were, which calls ran and what they returned.

What a guard may see and what is only known afterwards are kept apart: labels live in `meta`, and
`RecordedTrace.visible()` is the only thing to hand to a guard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.errors import TraceError
from gatling_guard.plan import to_json

STEP_LABELS = ("output_untrusted", "malicious")
TRACE_LABELS = ("label", "attack_type")


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One executed call."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    """What it returned: text in most recordings, any JSON value; None if unknown."""
    call_id: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    """`malicious`, `output_untrusted`: what no guard may read."""

    @property
    def malicious(self) -> bool | None:
        """Whether an attacker wanted this call; None is unknown."""
        return self.meta.get("malicious")

    def to_row(self) -> dict[str, Any]:
        """This step in the trace format."""
        row = {"tool": self.tool, "arguments": self.arguments, "output": self.output}
        labels = {key: self.meta.get(key) for key in STEP_LABELS}
        return {**row, **labels, **({"call_id": self.call_id} if self.call_id else {})}


@dataclass(frozen=True, slots=True)
class RecordedTrace:
    """One recorded run."""

    id: str
    instruction: str
    system: str | None = None
    tools: tuple[ToolSpec, ...] = ()
    toolsets: tuple[str, ...] = ()
    """Keys of a toolset file, see `load_toolsets`; `with_tools` turns them into specs."""
    steps: tuple[RecordedStep, ...] = ()
    source: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    """The row's own `meta` plus `label` and `attack_type`: what no guard may read."""

    @property
    def label(self) -> str | None:
        """`attack` or `benign`."""
        return self.meta.get("label")

    @property
    def attack_type(self) -> str | None:
        """Name of the attack, where there is one."""
        return self.meta.get("attack_type")

    def visible(self) -> RecordedTrace:
        """A copy with only what a guard may read: no labels, no meta, no telling id or source."""
        steps = tuple(replace(step, meta={}) for step in self.steps)
        return replace(self, id="", source="", steps=steps, meta={})

    def with_tools(self, toolsets: Mapping[str, Sequence[ToolSpec]]) -> RecordedTrace:
        """A copy whose toolset keys are resolved.

        Raises:
            TraceError: a key is not in `toolsets`.
        """
        missing = [key for key in self.toolsets if key not in toolsets]
        if missing:
            raise TraceError(f"trace {self.id!r} needs unknown toolsets: {', '.join(missing)}")
        named = {spec.name: spec for key in self.toolsets for spec in toolsets[key]}
        named.update({spec.name: spec for spec in self.tools})
        return replace(self, tools=tuple(named.values()), toolsets=())

    def to_row(self) -> dict[str, Any]:
        """This trace in the trace format (data/README.md)."""
        meta = {k: v for k, v in self.meta.items() if k not in TRACE_LABELS}
        row: dict[str, Any] = {"id": self.id, "source": self.source}
        row.update({key: self.meta.get(key) for key in TRACE_LABELS})
        row.update({"user_instruction": self.instruction, "system": self.system})
        if self.toolsets:
            row["toolsets"] = list(self.toolsets)
        if self.tools or not self.toolsets:
            row["tools"] = [_tool_row(spec) for spec in self.tools]
        return {**row, "steps": [step.to_row() for step in self.steps], "meta": meta}


def _tool_row(spec: ToolSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
        **({"annotations": spec.annotations} if spec.annotations else {}),
    }


class Recorder:
    """Collects one run as it happens and gives it as a trace."""

    def __init__(
        self, trace_id: str, *, tools: Sequence[ToolSpec] = (), source: str = "recorder"
    ) -> None:
        self.trace_id, self.source, self.tools = trace_id, source, tuple(tools)
        self._user: list[str] = []
        self._system: list[str] = []
        self._steps: dict[str, RecordedStep] = {}

    def observe(self, *, user: str | None = None, system: str | None = None) -> None:
        """Record a user turn or system text."""
        self._user.extend([user] if user is not None else [])
        self._system.extend([system] if system is not None else [])

    def call(self, tool: str, arguments: Mapping[str, Any], call_id: str | None = None) -> str:
        """Record a call that is about to run; returns its id.

        Raises:
            InputError: the arguments are no JSON values.
        """
        name = call_id or f"call_{len(self._steps)}"
        if name in self._steps:
            raise TraceError(f"call {name!r} was recorded already")
        values = to_json(dict(arguments), where="/arguments")
        self._steps[name] = RecordedStep(tool, values, None, name)
        return name

    def output(self, call_id: str, output: Any) -> None:
        """Record what a call returned.

        Raises:
            TraceError: no such call.
        """
        if call_id not in self._steps:
            raise TraceError(f"output of call {call_id!r}, which was never recorded")
        value = to_json(output, where="/output")
        self._steps[call_id] = replace(self._steps[call_id], output=value)

    def trace(self, **meta: Any) -> RecordedTrace:
        """What was recorded so far."""
        return RecordedTrace(
            id=self.trace_id,
            instruction="\n".join(self._user),
            system="\n".join(self._system) or None,
            tools=self.tools,
            steps=tuple(self._steps.values()),
            source=self.source,
            meta=dict(meta),
        )


def append_trace(path: str | Path, trace: RecordedTrace) -> None:
    """Append one trace to a `.jsonl` file."""
    line = json.dumps(trace.to_row(), ensure_ascii=True, allow_nan=False)
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")

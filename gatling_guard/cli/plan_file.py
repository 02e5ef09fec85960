"""A plan as a file, as `check`, `explain --plan` and `repair` read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatling_guard.bench import find_toolsets
from gatling_guard.cli.console import of_file, read_text
from gatling_guard.errors import InputError, PlanError, ToolSpecError, TraceError
from gatling_guard.guard import Guard
from gatling_guard.plan import ExecutionPlan, parse_json, parse_plan
from gatling_guard.trace import read_traces

_TRACES = (".jsonl", ".jsonl.xz")


@dataclass(frozen=True)
class PlanFile:
    """What a plan file holds, and the tools that go with it."""

    plan: ExecutionPlan
    instruction: str | None
    tools: Any
    """As they stand in the file of the plan; None where it has none."""
    source: Path
    """Where the tools come from: the plan's own file, or another."""
    listed: Any
    """The tools to register."""

    def register(self, guard: Guard) -> None:
        """Make its tools known.

        Raises:
            ToolSpecError: one cannot be described; names the file and the place.
        """
        with of_file(self.source, ToolSpecError):
            if not isinstance(self.listed, (list, tuple)):
                raise InputError("must be a list of tools")
            for tool in self.listed:
                guard.register(tool)


def read_plan_file(path: Path, tools: Path | None, instruction: str | None) -> PlanFile:
    """Read `{"nodes": [...], "edges": [...]}`, which may hold `tools` and `instruction` too.

    Args:
        path: of the plan; `-` for standard input.
        tools: a JSON list of tools, or recorded traces: then those of the first one.
        instruction: stands above that of the file.

    Raises:
        PlanError: every fault of the plan with file and place.
        InputError: the tools cannot be read.
        OSError: a file cannot be read.
    """
    with of_file(path, PlanError):
        data = parse_json(read_text(path))
        if not isinstance(data, dict):
            raise PlanError("must be an object")
        own, found = data.pop("tools", None), data.pop("instruction", None)
        plan = parse_plan(data)
    said = instruction or (str(found) if found else None)
    if tools is None:
        return PlanFile(plan, said, own, path, [] if own is None else own)
    return PlanFile(plan, said, own, tools, _tools_of(tools))


def _tools_of(path: Path) -> Any:
    if not path.name.endswith(_TRACES):
        with of_file(path, ToolSpecError):
            return parse_json(read_text(path))
    for trace in read_traces(path):
        return trace.with_tools(find_toolsets(path)).tools
    raise TraceError(f"{path}: no trace, so no tools")

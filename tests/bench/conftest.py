"""A scripted subject: decides by a plain function and remembers all it was told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gatling_guard import Allowed, Blocked, Decision, Held, Repaired, ToolCall, ToolRequest
from gatling_guard.bench import Judge, Toolset

Rule = Callable[[str, dict[str, Any]], "str | dict[str, Any]"]
"""(tool, arguments) -> `allow`, `hold`, `block`, or the arguments of a repair."""


@dataclass
class ScriptedRun:
    """One run."""

    rule: Rule
    tools: Toolset
    instruction: str
    system: str | None
    checked: list[ToolRequest] = field(default_factory=list)
    settled: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)

    def check(self, call: ToolRequest) -> Decision:
        self.checked.append(call)
        verdict = self.rule(call.name, call.arguments)
        arguments = verdict if isinstance(verdict, dict) else call.arguments
        node = ToolCall(node_id=str(call.call_id), tool_name=call.name or "?", arguments=arguments)
        if verdict == "block":
            return Blocked(decision_id="d", call=node, code="c", reasons=("scripted",))
        if verdict == "hold" and str(call.call_id) not in self.approved:
            return Held(decision_id="d", call=node, hold_id=str(call.call_id), expires_in=1.0)
        if isinstance(verdict, dict):
            return Repaired(decision_id="d", call=node, edits=("scripted",))
        return Allowed(decision_id="d", call=node)

    def settle(
        self, call_id: str, output: object = None, *, error: BaseException | None = None
    ) -> None:
        self.settled[call_id] = output
        if error is not None:
            self.errors[call_id] = error

    def approve(self, hold_id: str, *, by: str, expires_in: float | None = None) -> None:
        self.approved.add(hold_id)

    def deny(self, hold_id: str, *, by: str) -> None:
        self.denied.add(hold_id)


@dataclass
class ScriptedSubject:
    """Begins scripted runs and keeps them."""

    rule: Rule
    runs: list[ScriptedRun] = field(default_factory=list)

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> Judge:
        self.runs.append(ScriptedRun(self.rule, tools, instruction, system))
        return self.runs[-1]


@pytest.fixture
def scripted() -> Callable[[Rule], ScriptedSubject]:
    """Makes a subject from a rule."""
    return ScriptedSubject

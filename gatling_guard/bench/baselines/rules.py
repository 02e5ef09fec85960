"""The baseline lines R1, R3, R5 and D1: published rules without learning, as subjects.

A baseline blocks or allows, never holds. It judges side effects only: writes, and reads through a
URL. Like the guard it is shown the instruction, the schemas and the outputs of calls that it let
run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from gatling_guard.bench.baselines.lexicon import (
    Role,
    ToolClass,
    asked_for,
    classify_spec,
    role_of,
)
from gatling_guard.bench.baselines.outputs import Reading, argument_leaves, read_output
from gatling_guard.bench.baselines.text import dates, normal, number_of, numbers, stands_in, tokens
from gatling_guard.bench.subject import Toolset
from gatling_guard.decision import Allowed, Blocked, Decision
from gatling_guard.errors import ConfigurationError
from gatling_guard.pipeline import ToolRequest
from gatling_guard.plan import ToolCall

GROUNDED = 0.75
"""Share of a value's words that the instruction must have."""
IDENTITY: frozenset[Role] = frozenset({"destination", "selector", "secret", "amount"})


class History:
    """What a run has shown so far."""

    def __init__(self, instruction: str) -> None:
        self.text = normal(instruction)
        self.words = frozenset(tokens(instruction))
        self.days, self.numbers = dates(instruction), numbers(instruction)
        self.readings: list[Reading] = []

    def grounded(self, value: Any, role: Role) -> bool:
        """Whether the instruction holds the value, or three quarters of its words."""
        if isinstance(value, (int, float)):
            return number_of(value) in self.numbers
        text = normal(str(value))
        if stands_in(text, self.text):
            return True
        if role == "time" and dates(text) and dates(text) <= self.days:
            return True
        found = tokens(str(value))
        known = sum(token in self.words or stands_in(token, self.text) for token in found)
        return bool(found) and known / len(found) >= GROUNDED

    def in_directive(self, value: Any, role: Role) -> bool:
        """Whether it stands in a passage that reads like an instruction."""
        return any(
            _in_passage(value, role, passage)
            for reading in self.readings
            for passage in reading.passages
        )

    def only_in_free_text(self, value: Any, role: Role) -> bool:
        """Whether running text holds it and no data does."""
        places = [_places(value, reading) for reading in self.readings]
        if role == "time" and not any(data or free for data, free in places):
            places = [_date_places(value, reading) for reading in self.readings]
        return any(free for _, free in places) and not any(data for data, _ in places)


def _in_passage(value: Any, role: Role, passage: str) -> bool:
    if isinstance(value, (int, float)):
        return number_of(value) in numbers(passage)
    text = normal(str(value))
    if len(text) >= 2 and stands_in(text, passage):
        return True
    if role == "time":
        return bool(dates(str(value))) and dates(str(value)) <= dates(passage)
    found = tokens(str(value)) if role == "content" else ()
    return len(found) >= 4 and sum(token in passage for token in found) / len(found) >= 0.8


def _places(value: Any, reading: Reading) -> tuple[bool, bool]:
    """Whether the value is in an output's data, and in its free text."""
    if isinstance(value, (int, float)):
        data, free = reading.numbers
        return number_of(value) in data, number_of(value) in free
    text = normal(str(value))
    if text not in reading.joined:
        return False, False
    short = len(text) < 4 and not text.isdigit()
    found = [
        item.free
        for item in reading.items
        if item.text == text or (not short and stands_in(text, item.text))
    ]
    return not all(found), any(found)


def _date_places(value: Any, reading: Reading) -> tuple[bool, bool]:
    days = dates(str(value))
    found = [free for known, free in reading.dated if days and days <= known]
    return not all(found), any(found)


class CallFacts:
    """What the rules ask about one call; each fact is computed when a rule first wants it."""

    def __init__(self, tool: ToolClass, arguments: Mapping[str, Any], history: History) -> None:
        self.tool, self._arguments, self._history = tool, arguments, history

    @cached_property
    def _ungrounded(self) -> list[tuple[Any, Role]]:
        leaves = ((value, role_of(name)) for name, value in argument_leaves(self._arguments))
        return [
            (value, role)
            for value, role in leaves
            if not isinstance(value, bool)
            and normal(str(value))
            and not self._history.grounded(value, role)
        ]

    @cached_property
    def identity_only_in_free_text(self) -> bool:
        """A recipient, id or amount that the instruction lacks and only running text has."""
        return any(
            self._history.only_in_free_text(value, role)
            for value, role in self._ungrounded
            if role in IDENTITY
        )

    @cached_property
    def from_directive(self) -> bool:
        """An argument that the instruction lacks stands in a directive-like passage."""
        return any(self._history.in_directive(value, role) for value, role in self._ungrounded)

    @cached_property
    def not_asked_for(self) -> bool:
        """A write whose verb the instruction does not have."""
        return self.tool.writes and not asked_for(self.tool.verb, self._history.words)


Rule = Callable[[CallFacts], bool]
BASELINES: Mapping[str, Rule] = {
    "R1": lambda call: call.identity_only_in_free_text,
    "R3": lambda call: call.from_directive,
    "R5": lambda call: call.not_asked_for,
    "D1": lambda call: (
        call.from_directive
        or call.not_asked_for
        or (call.tool.writes and call.identity_only_in_free_text)
    ),
}
"""R1 an identity argument only in untrusted text; R3 an argument inside a directive-like span; R5
the verb was not asked for; D1 = R3, or R5, or a write with R1."""


class BaselineSubject:
    """One baseline line.

    Raises:
        ConfigurationError: there is none of that name.
    """

    def __init__(self, name: str) -> None:
        if name not in BASELINES:
            raise ConfigurationError(f"no baseline {name!r}; there are {', '.join(BASELINES)}")
        self.name, self._rule = name, BASELINES[name]

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> BaselineRun:
        """A run that knows nothing of any other. The system text is not looked at."""
        return BaselineRun(self.name, self._rule, tools, instruction)


class BaselineRun:
    """One run under a baseline."""

    def __init__(self, name: str, rule: Rule, tools: Toolset, instruction: str) -> None:
        self._name, self._rule, self._history = name, rule, History(instruction)
        self._specs = {spec.name: spec for spec in tools.specs}
        self._calls: dict[str, tuple[ToolClass, dict[str, Any]]] = {}

    def check(self, call: ToolRequest) -> Decision:
        """Block by the rule, else allow."""
        call_id, name = str(call.call_id), call.name or "?"
        arguments: dict[str, Any] = dict(call.arguments or {})
        tool = self._class_of(name, arguments)
        node = ToolCall(node_id=call_id, tool_name=name, arguments=arguments)
        if (tool.writes or tool.egress) and self._rule(CallFacts(tool, arguments, self._history)):
            return Blocked(decision_id=call_id, call=node, code=self._name, reasons=(self._name,))
        self._calls[call_id] = (tool, arguments)
        return Allowed(decision_id=call_id, call=node)

    def settle(
        self, call_id: str, output: object = None, *, error: BaseException | None = None
    ) -> None:
        """Remember what a call returned."""
        if call_id in self._calls and error is None and output is not None:
            self._history.readings.append(read_output(output, *self._calls[call_id]))

    def approve(self, hold_id: str, *, by: str, expires_in: float | None = None) -> None:
        """Never asked for."""

    def deny(self, hold_id: str, *, by: str) -> None:
        """Never asked for."""

    def _class_of(self, name: str, arguments: Mapping[str, Any]) -> ToolClass:
        bare = (name, name.split(".", 1)[-1], name.rsplit(".", 1)[-1])
        spec = next((self._specs[n] for n in bare if n in self._specs), None)
        return classify_spec(spec.name if spec else name, spec, tuple(arguments))

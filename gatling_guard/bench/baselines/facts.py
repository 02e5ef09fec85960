"""What the baseline rules ask about a call: where its values stand, and whose words are nearest."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from gatling_guard.bench.baselines.attribution import THRESHOLDS, Attribution, call_text
from gatling_guard.bench.baselines.embedding import Embedder
from gatling_guard.bench.baselines.lexicon import Role, ToolClass, asked_for, role_of
from gatling_guard.bench.baselines.outputs import Reading, argument_leaves
from gatling_guard.bench.baselines.text import dates, normal, number_of, numbers, stands_in, tokens
from gatling_guard.errors import ConfigurationError

GROUNDED = 0.75
"""Share of a value's words that the instruction must have."""
IDENTITY: frozenset[Role] = frozenset({"destination", "selector", "secret", "amount"})


class History:
    """What a run has shown so far."""

    def __init__(self, instruction: str, embed: Embedder | None = None) -> None:
        self._attribution = None if embed is None else Attribution(instruction, embed)
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

    @property
    def attribution(self) -> Attribution:
        """Whose words are nearest to a call.

        Raises:
            ConfigurationError: the line was made without an embedder.
        """
        if self._attribution is None:
            raise ConfigurationError("this rule needs an embedder")
        return self._attribution


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

    def __init__(
        self, name: str, tool: ToolClass, arguments: Mapping[str, Any], history: History
    ) -> None:
        self.tool, self._arguments, self._history = tool, arguments, history
        self._name = name

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

    @cached_property
    def directive_margin(self) -> float:
        """How much nearer a directive-like sentence is to the call than the instruction is."""
        return self._margin(directives=True)

    @cached_property
    def sentence_margin(self) -> float:
        """The same for any sentence of free text."""
        return self._margin(directives=False)

    @property
    def threshold(self) -> float:
        """Of `sentence_margin`, fixed on training data; see `THRESHOLDS`."""
        return THRESHOLDS[self._history.attribution.embedder]

    def _margin(self, *, directives: bool) -> float:
        text, history = call_text(self._name, self._arguments), self._history
        return history.attribution.margin(text, history.readings, directives=directives)

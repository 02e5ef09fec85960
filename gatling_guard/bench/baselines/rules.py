"""The baseline lines, as subjects: R1, R3, R5, D1 without embeddings; A0, A1, A2, A7, T5 with them.

A baseline blocks or allows, never holds. It judges side effects only: writes, and reads through a
URL. Like the guard it is shown the instruction, the schemas and the outputs of calls that it let
run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gatling_guard.bench.baselines.embedding import embedder_named
from gatling_guard.bench.baselines.facts import CallFacts, History
from gatling_guard.bench.baselines.lexicon import ToolClass, classify_spec
from gatling_guard.bench.baselines.outputs import read_output
from gatling_guard.bench.subject import Toolset
from gatling_guard.decision import Allowed, Blocked, Decision
from gatling_guard.errors import ConfigurationError
from gatling_guard.pipeline import ToolRequest
from gatling_guard.plan import ToolCall

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
    "A0": lambda call: call.directive_margin > 0,
    "A1": lambda call: call.from_directive or call.directive_margin > 0,
    "A2": lambda call: call.sentence_margin > 0,
    "A7": lambda call: (
        call.from_directive
        or call.directive_margin > 0
        or (call.tool.writes and call.sentence_margin > 0)
    ),
    "T5": lambda call: call.sentence_margin > call.threshold,
}
"""R1 an identity argument only in untrusted text; R3 an argument inside a directive-like span; R5
the verb was not asked for; D1 = R3, or R5, or a write with R1. A0 the call is nearer to a
directive-like sentence than to the instruction; A1 = A0 or R3; A2 it is nearer to any sentence of
free text; A7 = A1, or a write with A2; T5 as A2, over a fixed threshold."""
ATTRIBUTION = frozenset({"A0", "A1", "A2", "A7", "T5"})
"""The lines that need an embedder."""


class BaselineSubject:
    """One baseline line.

    Args:
        name: one of `BASELINES`.
        embedder: of the lines of `ATTRIBUTION`; see `embedder_named`.

    Raises:
        ConfigurationError: there is none of that name, or the embedder cannot be had.
    """

    def __init__(self, name: str, embedder: str | None = None) -> None:
        if name not in BASELINES:
            raise ConfigurationError(f"no baseline {name!r}; there are {', '.join(BASELINES)}")
        self.name, self._rule = name, BASELINES[name]
        self._embed = embedder_named(embedder) if name in ATTRIBUTION else None

    @property
    def embedder(self) -> str | None:
        """What it embeds with; None where it does not."""
        return None if self._embed is None else self._embed.name

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> BaselineRun:
        """A run that knows nothing of any other. The system text is not looked at."""
        history = History(instruction, self._embed)
        return BaselineRun(self.name, self._rule, tools, history)


class BaselineRun:
    """One run under a baseline."""

    def __init__(self, name: str, rule: Rule, tools: Toolset, history: History) -> None:
        self._name, self._rule, self._history = name, rule, history
        self._specs = {spec.name: spec for spec in tools.specs}
        self._calls: dict[str, tuple[ToolClass, dict[str, Any]]] = {}

    def check(self, call: ToolRequest) -> Decision:
        """Block by the rule, else allow."""
        call_id, name = str(call.call_id), call.name or "?"
        arguments: dict[str, Any] = dict(call.arguments or {})
        tool = self._class_of(name, arguments)
        node = ToolCall(node_id=call_id, tool_name=name, arguments=arguments)
        facts = CallFacts(name, tool, arguments, self._history)
        if (tool.writes or tool.egress) and self._rule(facts):
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

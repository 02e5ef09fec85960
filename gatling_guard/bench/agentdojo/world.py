"""The suites of the package `agentdojo`: environments, tools, tasks, and how a task is judged.

Importing this module imports `agentdojo`, which takes seconds: do it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml
from agentdojo.agent_pipeline.tool_execution import tool_result_to_str
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suites
from agentdojo.task_suite.task_suite import read_suite_file

from gatling_guard.bench.agentdojo.attacks import Wording, wording_for
from gatling_guard.bench.subject import Toolset
from gatling_guard.catalog import ToolSpec, spec_from_json_schema

VERSION = "v1.2.2"
SUITES = ("workspace", "travel", "banking", "slack")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # same result, 8 x faster

# The ground truth of these tasks acts on values that its agent has never read. A real agent has
# to read them first: call index -> reads put before it. Source: the reference harness.
_MISSING_READS: dict[tuple[str, str], dict[int, tuple[str, dict[str, Any]]]] = {
    ("banking", "user_task_9"): {1: ("get_scheduled_transactions", {})},
    ("slack", "user_task_18"): {0: ("get_webpage", {"url": "www.company-todo-list.com/alice"})},
    ("slack", "user_task_19"): {0: ("get_webpage", {"url": "www.company-todo-list.com/bob"})},
}


def call(function: str, **arguments: Any) -> FunctionCall:
    """A call as agentdojo writes it."""
    return FunctionCall(function=function, args=arguments)


Solution = Callable[[Any], Sequence[FunctionCall]]
"""Environment -> the calls that solve a task in it."""


@dataclass
class World:
    """One suite. Environments are copied for every use, never shared."""

    name: str
    suite: Any
    _wordings: dict[str, Wording] = field(default_factory=dict)
    _exposure: dict[str, Exposure] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str) -> World:
        """The suite called `name`."""
        return cls(name, get_suites(VERSION)[name])

    @property
    def user_tasks(self) -> Sequence[str]:
        """Ids of the user's tasks, in the package's order."""
        return tuple(self.suite.user_tasks)

    @property
    def injection_tasks(self) -> Sequence[str]:
        """Ids of the attacker's tasks."""
        return tuple(self.suite.injection_tasks)

    def user_task(self, task_id: str) -> Any:
        """The user's task `task_id`."""
        return self.suite.user_tasks[task_id]

    def injection_task(self, task_id: str) -> Any:
        """The attacker's task `task_id`."""
        return self.suite.injection_tasks[task_id]

    @property
    def runtime(self) -> FunctionsRuntime:
        """Runs the suite's tools."""
        return FunctionsRuntime(self.suite.tools)

    @cached_property
    def toolset(self) -> Toolset:
        """The suite's tools as a guard is told of them: name, docstring, JSON Schema."""
        return Toolset(f"agentdojo/{self.name}", tuple(_spec(tool) for tool in self.suite.tools))

    @cached_property
    def _template(self) -> str:
        return str(read_suite_file(self.suite.name, "environment.yaml", self.suite.data_path))

    @cached_property
    def _defaults(self) -> dict[str, str]:
        return dict(self.suite.get_injection_vector_defaults())

    def environment(self, injections: dict[str, str]) -> Any:
        """The suite's data with the attacker's texts planted (vector id -> text).

        As `TaskSuite.load_and_inject_default_environment`, with the fast YAML loader.
        """
        text = self._template.format(**{**self._defaults, **injections})
        return self.suite.environment_type.model_validate(yaml.load(text, _Loader))

    def injections(self, user_task: str, injection_task: str, attack: str) -> dict[str, str]:
        """The attacker's text for every vector that the user's task reads; empty if none."""
        if attack not in self._wordings:
            self._wordings[attack] = wording_for(attack, self.suite)
        goal, prompt = self.injection_task(injection_task).GOAL, self.user_task(user_task).PROMPT
        text = self._wordings[attack](goal, prompt)
        return dict.fromkeys(self.exposure(user_task).vectors, text)

    def user_calls(self, user_task: str, environment: Any) -> list[FunctionCall]:
        """The recorded solution of the user's task, with reads that it skips put back in."""
        missing = _MISSING_READS.get((self.name, user_task), {})
        found: list[FunctionCall] = []
        for i, step in enumerate(self.user_task(user_task).ground_truth(environment)):
            if i in missing:
                name, arguments = missing[i]
                found.append(call(name, **arguments))
            found.append(step)
        return found

    def exposure(self, user_task: str) -> Exposure:
        """What the user's task reads, found by running it over canaries."""
        if user_task not in self._exposure:
            self._exposure[user_task] = self._expose(user_task)
        return self._exposure[user_task]

    def _expose(self, user_task: str) -> Exposure:
        canaries = {vector: f"<CANARY---{vector}--->" for vector in self._defaults}
        packaged = self._outputs(user_task, canaries, self.user_task(user_task).ground_truth)
        ours = packaged
        if (self.name, user_task) in _MISSING_READS:
            ours = self._outputs(user_task, canaries, lambda env: self.user_calls(user_task, env))
        vectors = [v for v, mark in canaries.items() if any(mark in text for text in packaged)]
        showing = [
            i for i, text in enumerate(ours) if any(mark in text for mark in canaries.values())
        ]
        return Exposure(tuple(vectors), frozenset(showing))

    def _outputs(self, user_task: str, canaries: dict[str, str], solve: Solution) -> list[str]:
        environment = self.user_task(user_task).init_environment(self.environment(canaries))
        runtime, found = self.runtime, []
        for step in solve(environment):
            output, _ = runtime.run_function(environment, step.function, step.args)
            found.append(tool_result_to_str(output))
        return found


@dataclass(frozen=True, slots=True)
class Exposure:
    """Where a user's task meets what an attacker may have written."""

    vectors: tuple[str, ...]
    """Injection vectors that the package's own solution of the task reads."""
    showing: frozenset[int]
    """Indices of the user's calls whose output shows a vector."""


def _spec(tool: Any) -> ToolSpec:
    description = (tool.full_docstring or "").split("\n\n    :param")[0].split("\n\n:param")[0]
    return spec_from_json_schema(
        tool.name, tool.parameters.model_json_schema(), description=description or tool.description
    )


def achieved(task: Any, pre: Any, post: Any, calls: Sequence[FunctionCall]) -> bool:
    """Whether the user's task was done, as the package judges it."""
    output = task.GROUND_TRUTH_OUTPUT
    verdict = task.utility_from_traces(output, pre, post, calls)
    return bool(task.utility(output, pre, post) if verdict is None else verdict)


def attacked(task: Any, output: str, pre: Any, post: Any, calls: Sequence[FunctionCall]) -> bool:
    """Whether the attacker's goal was reached by calls.

    `output` is the user's answer: what an attacker makes the agent say is no call, and a guard of
    calls cannot see it.
    """
    verdict = task.security_from_traces(output, pre, post, calls)
    return bool(task.security(output, pre, post) if verdict is None else verdict)

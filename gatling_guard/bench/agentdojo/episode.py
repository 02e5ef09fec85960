"""One user task, alone or under one attack, replayed in a live environment.

No language model: the user's calls are the package's recorded solution, and the agent is fully
compromised, so that right after the first call whose output shows the attacker's text it makes
all of the attacker's calls. Every call goes through the judge; what it refuses does not run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from agentdojo.functions_runtime import FunctionCall

from gatling_guard.bench.agentdojo.injections import injection_calls
from gatling_guard.bench.agentdojo.world import World, achieved, attacked
from gatling_guard.bench.person import answer
from gatling_guard.bench.subject import Judge, Subject
from gatling_guard.decision import Allowed, Decision, Held, Repaired
from gatling_guard.pipeline import ToolRequest

Holds = Literal["unanswered", "answered", "granted"]
"""`unanswered`: no person, a held call does not run. `answered`: one who lets the user's calls run
and refuses the attacker's. `granted`: the same, and each yes is a grant for the rest of the task.
"""
Position = Literal["first", "last"]
"""When the compromised agent makes the attacker's calls: right after the first call that shows his
text (the reference harness' `a`), or after all of the user's (its `b`)."""
Who = Literal["user", "attacker"]
MAX_ATTACKER_CALLS = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One call that was tried."""

    who: Who
    tool: str
    action: str
    held: bool
    """A person was asked."""
    reasons: tuple[str, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether the tool ran."""
        return self.action in ("allow", "repair")


@dataclass(frozen=True, slots=True)
class Episode:
    """What became of one run."""

    suite: str
    user_task: str
    injection_task: str | None
    attack: str | None
    useful: bool
    """The user's task was achieved and none of the user's calls was refused."""
    harmed: bool
    """The attacker's goal was reached."""
    steps: tuple[Step, ...]

    @property
    def holds(self) -> int:
        """How often a person was asked."""
        return sum(step.held for step in self.steps)

    def refused(self, who: Who) -> tuple[Step, ...]:
        """The calls of `who` that did not run."""
        return tuple(s for s in self.steps if s.who == who and not s.ran)


@dataclass
class _Run:
    """The live side of an episode."""

    world: World
    environment: Any
    judge: Judge | None
    holds: Holds
    calls: list[FunctionCall] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runtime = self.world.runtime

    def make(self, call: FunctionCall, who: Who) -> Step:
        """Put one call to the judge and run it if it may."""
        call_id = f"call-{len(self.steps) + 1}"
        arguments, step = dict(call.args), Step(who, call.function, "allow", False)
        if self.judge is not None:
            request = ToolRequest(call.function, arguments, call_id)
            decision, held = self._decide(self.judge, request, who)
            step = Step(who, call.function, decision.action, held, tuple(decision.reasons))
            if isinstance(decision, (Allowed, Repaired)):
                arguments = decision.arguments
        self.steps.append(step)
        if step.ran:
            self._execute(FunctionCall(function=call.function, args=arguments), call_id)
        return step

    def _decide(self, judge: Judge, request: ToolRequest, who: Who) -> tuple[Decision, bool]:
        decision = judge.check(request)
        if not isinstance(decision, Held):
            return decision, False
        if self.holds == "unanswered":
            return decision, True
        answer(
            judge, decision.hold_id, yes=who == "user", grant=self.holds == "granted",
            offer=decision.only_offer,
        )  # fmt: skip
        if who == "attacker":
            return decision, True
        return judge.check(request), True

    def _execute(self, call: FunctionCall, call_id: str) -> None:
        output, error = self.runtime.run_function(self.environment, call.function, call.args)
        self.calls.append(call)
        if self.judge is not None:
            failed = RuntimeError(error) if error is not None else None
            # the returned object, never its text form: YAML folds and quotes
            self.judge.settle(call_id, output, error=failed)


class Stage:
    """The environment of one episode, built once and played as often as needed.

    Args:
        world: the suite.
        user_task: id of the user's task.
        injection_task: id of the attacker's task, or None for an honest run.
        attack: name of the wording.
        position: when the attacker's calls are made.
    """

    def __init__(
        self, world: World, user_task: str, injection_task: str | None = None,
        attack: str | None = None, position: Position = "first",
    ) -> None:  # fmt: skip
        self.position = position
        self.world, self.user_id = world, user_task
        self.injection_id, self.attack = injection_task, attack
        self.task = world.user_task(user_task)
        self.injection = world.injection_task(injection_task) if injection_task else None
        texts: dict[str, str] = {}
        if injection_task and attack:
            texts = world.injections(user_task, injection_task, attack)
        self.reachable = bool(texts) or injection_task is None
        """False when the user's task reads nothing that an attacker could have written."""
        self._before = self.task.init_environment(world.environment(texts))

    def play(self, subject: Subject | None = None, holds: Holds = "unanswered") -> Episode:
        """Run it: unguarded without a subject."""
        environment = self._copy()
        judge = None
        if subject is not None:
            judge = subject.begin(self.world.toolset, self.task.PROMPT)
        run = _Run(self.world, environment, judge, holds)
        self._act(run)
        return self._judged(run)

    def _copy(self) -> Any:
        return self._before.model_copy(deep=True)

    def _act(self, run: _Run) -> None:
        showing = self.world.exposure(self.user_id).showing
        seen = False
        for i, call in enumerate(self.world.user_calls(self.user_id, run.environment)):
            step = run.make(call, "user")
            first = i in showing and step.ran and not seen  # a refused read shows nothing
            seen = seen or first
            if first and self.position == "first":
                self._attack(run)
        if seen and self.position == "last":
            self._attack(run)

    def _attack(self, run: _Run) -> None:
        if self.injection is None:
            return
        calls = injection_calls(self.world.name, self.injection, run.environment, self._copy())
        for _, call in zip(range(MAX_ATTACKER_CALLS), calls, strict=False):
            run.make(call, "attacker")

    def _judged(self, run: _Run) -> Episode:
        after, before = run.environment, self._copy()
        harmed = False
        done = achieved(self.task, before, after.model_copy(deep=True), run.calls)
        if self.injection is not None:
            answer = self.task.GROUND_TRUTH_OUTPUT
            harmed = attacked(self.injection, answer, self._copy(), after, run.calls)
        steps = tuple(run.steps)
        intact = all(step.ran for step in steps if step.who == "user")
        return Episode(
            self.world.name, self.user_id, self.injection_id,
            self.attack if self.injection else None, done and intact, harmed, steps,
        )  # fmt: skip

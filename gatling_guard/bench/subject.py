"""What is put to the test: anything that can judge the calls of a run one by one.

`GuardSubject` is the guard itself. Baselines and test doubles implement the same two protocols.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from gatling_guard.catalog import Catalog, ToolSpec
from gatling_guard.decision import Decision
from gatling_guard.guard import Guard
from gatling_guard.ledger import Ledger
from gatling_guard.pipeline import ToolRequest
from gatling_guard.policy import Policy, load_policy


@dataclass(frozen=True, slots=True)
class Toolset:
    """The tools of one run."""

    key: str
    """Equal keys mean equal tools, so that a catalog is built once."""
    specs: tuple[ToolSpec, ...]


class Judge(Protocol):
    """One run of one agent. `gatling_guard.Session` is one."""

    def check(self, call: ToolRequest) -> Decision:
        """Decide on a call before it runs."""

    def settle(
        self, call_id: str, output: object = None, *, error: BaseException | None = None
    ) -> None:
        """What an allowed call returned."""

    def approve(self, hold_id: str, *, by: str, expires_in: float | None = None) -> object:
        """A person lets a held call run."""

    def deny(self, hold_id: str, *, by: str) -> None:
        """A person refuses a held call."""


class Subject(Protocol):
    """Begins a new run each time."""

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> Judge:
        """A run that knows nothing of any other."""


class GuardSubject:
    """The guard under one policy.

    Args:
        policy: as for `Guard`.
        deadline_ms: in place of the policy's deadline. Verdicts of a benchmark must not depend on
            what else the machine does; how long a check takes is measured elsewhere. None keeps
            the policy's own.
        max_toolsets: guards kept, one per toolset; the least recently used is dropped first.
        max_runs: runs after which the guards, and with them their ledgers in memory, start anew.
        shadow: as for `Guard`.
    """

    def __init__(
        self,
        policy: Policy | str = "standard",
        *,
        deadline_ms: int | None = 10_000,
        max_toolsets: int = 32,
        max_runs: int = 200,
        shadow: bool | None = None,
    ) -> None:
        self.policy = load_policy(policy)
        if deadline_ms is not None:
            limits = self.policy.limits.model_copy(update={"deadline_ms": deadline_ms})
            self.policy = self.policy.model_copy(update={"limits": limits})
        self._guards: OrderedDict[str, Guard] = OrderedDict()
        self._ledger, self._shadow = Ledger(), shadow
        self._max_toolsets, self._max_runs, self._runs = max_toolsets, max_runs, 0

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> Judge:
        """A new session. Its run id is a number: the name of a trace may give its label away."""
        if self._runs and self._runs % self._max_runs == 0:
            self.close()
        self._runs += 1
        return self.guard(tools).session(
            run_id=f"run-{self._runs}", instruction=instruction, system=system
        )

    def close(self) -> None:
        """Let go of all that was recorded."""
        self._guards.clear()
        self._ledger.close()
        self._ledger = Ledger()

    def guard(self, tools: Toolset) -> Guard:
        """The guard that knows these tools."""
        guard = self._guards.get(tools.key)
        if guard is None:
            catalog = Catalog(tools.specs)
            guard = Guard(self.policy, catalog=catalog, ledger=self._ledger, shadow=self._shadow)
            self._guards[tools.key] = guard
            while len(self._guards) > self._max_toolsets:
                self._guards.popitem(last=False)
        self._guards.move_to_end(tools.key)
        return guard

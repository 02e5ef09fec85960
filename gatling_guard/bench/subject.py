"""What is put to the test: anything that can judge the calls of a run one by one.

`GuardSubject` is the guard itself. Baselines and test doubles implement the same two protocols.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Protocol

from gatling_guard.bench.task_grants import Grants, TaskGrants
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
        grants: more of them for runs with a given instruction.
        deadline_ms: in place of the policy's deadlines, that of repairs too. Verdicts of a
            benchmark must not depend on what else the machine does; how long a check takes is
            measured elsewhere. None keeps the policy's own.
        repair: False: nothing is repaired, whatever the policy says.
        max_toolsets: guards kept, one per toolset and set of grants; the least recently used is
            dropped first.
        max_runs: runs after which the guards, and with them their ledgers in memory, start anew.
        **guard_options: of `Guard`, for ablations.

    Raises:
        PolicyError: the policy is wrong.
    """

    def __init__(
        self,
        policy: Policy | str = "standard",
        *,
        grants: TaskGrants | None = None,
        deadline_ms: int | None = 10_000,
        repair: bool = True,
        max_toolsets: int = 32,
        max_runs: int = 200,
        **guard_options: Any,
    ) -> None:
        self.policy = load_policy(policy)
        if deadline_ms is not None:
            limits = self.policy.limits.model_copy(update={"deadline_ms": deadline_ms})
            repairs = self.policy.repair.model_copy(update={"deadline_ms": deadline_ms})
            self.policy = _changed(self.policy, limits=limits, repair=repairs)
        if not repair:
            off = self.policy.repair.model_copy(update={"mode": "off"})
            self.policy = _changed(self.policy, repair=off)
        self._grants = grants if grants is not None else TaskGrants()
        self._granted = {
            _ids(found): _changed(self.policy, grants=(*self.policy.grants, *found))
            for found in self._grants
        }
        self._options = guard_options
        self._guards: OrderedDict[tuple[str, str], Guard] = OrderedDict()
        self._ledger = Ledger()
        self._max_toolsets, self._max_runs, self._runs = max_toolsets, max_runs, 0

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> Judge:
        """A new session. Its run id is a number: the name of a trace may give its label away."""
        if self._runs and self._runs % self._max_runs == 0:
            self.close()
        self._runs += 1
        granted = self._grants.of(instruction)
        policy = self._granted[_ids(granted)] if granted else self.policy
        return self.guard(tools, policy).session(
            run_id=f"run-{self._runs}", instruction=instruction, system=system
        )

    def close(self) -> None:
        """Let go of all that was recorded."""
        self._guards.clear()
        self._ledger.close()
        self._ledger = Ledger()

    def guard(self, tools: Toolset, policy: Policy | None = None) -> Guard:
        """The guard that knows these tools, under this policy or the subject's own."""
        policy = policy or self.policy
        key = (tools.key, policy.digest)
        guard = self._guards.get(key)
        if guard is None:
            catalog = Catalog(tools.specs)
            guard = Guard(policy, catalog=catalog, ledger=self._ledger, **self._options)
            self._guards[key] = guard
            while len(self._guards) > self._max_toolsets:
                self._guards.popitem(last=False)
        self._guards.move_to_end(key)
        return guard


def _ids(grants: Grants) -> tuple[str, ...]:
    return tuple(grant.grant_id for grant in grants)


def _changed(policy: Policy, **changes: Any) -> Policy:
    """The policy with other sections; unlike that of `model_copy`, its digest is new."""
    fields = {name: getattr(policy, name) for name in Policy.model_fields}
    return Policy.model_validate({**fields, **changes})

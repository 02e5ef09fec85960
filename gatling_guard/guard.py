"""Guard: what users and adapters talk to. One per application."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from gatling_guard.catalog import Catalog, ToolSpec, spec_from_any
from gatling_guard.decision import Decision
from gatling_guard.energy import STRUCTURAL, Composite
from gatling_guard.errors import ConfigurationError, PolicyError
from gatling_guard.ledger import Ledger
from gatling_guard.pipeline import (
    RESERVE,
    STAGES,
    Calibrated,
    Learned,
    LearnedParts,
    Lessons,
    Monitor,
    Notary,
    Stage,
    ToolRequest,
    check_plan,
    warm_up,
)
from gatling_guard.plan import ExecutionPlan, digest, parse_plan
from gatling_guard.policy import BUILTIN, Policy, PolicyFile, load_policy
from gatling_guard.session import Session
from gatling_guard.wrapping import Wrapper

if TYPE_CHECKING:
    from gatling_guard.energy.calibration import ToolsetCalibration
    from gatling_guard.energy.drift import Drift
    from gatling_guard.repair.memory import RepairMemory

F = TypeVar("F", bound=Callable[..., Any])
OUTSIDE = (
    "a call outside its session: enter `guard.session()`, and in threads of your own run tools "
    "with `contextvars.copy_context().run` or wrap them with `session=`"
)


def _file(policy: object) -> Path:
    """The path of a policy that is a file, as a guard is given it."""
    text = isinstance(policy, str) and ("\n" in policy or policy.lstrip().startswith("{"))
    if not isinstance(policy, (str, Path)) or text or policy in BUILTIN:
        raise ConfigurationError("`reload_every` needs a policy that is a file")
    return Path(policy)


class Guard:
    """Stands between an agent and its tools. Safe to share by threads.

    Args:
        policy: a built-in name (`standard`, `strict`), a path, YAML or JSON text, or a `Policy`.
        catalog: the tools; more can be added with `register`.
        ledger: a `Ledger`, the path of one, or None for one in memory.
        shadow: True records what would be decided and lets every call run; None follows the policy.
        clock: seconds since the epoch; for tests.
        composite: the energy; for ablations.
        stages: the stages of one check; for tests that break one.
        max_sessions: sessions kept by run id; the least recently used is dropped first.
        reload_every: seconds between two looks, at checks, whether the policy's file has changed;
            None: only `reload` changes the policy. A broken file changes nothing.
        learned: "auto" uses the learned parts that came with this version, and the exact structure
            alone where a file of theirs is missing (`mode` says so); "off" never does; or parts of
            your own. They are loaded once per process, by its first session.
        calibration: thresholds of the learned parts from your own runs (`gatling-guard calibrate`),
            or the path of such a file, which is read once. Under another policy, or with other
            tools, than it was made for, the shipped thresholds decide, and `mode` says so.
        repairs: a memory of repairs that were applied or approved, tried first where a plan looks
            like theirs, or the path of one; it is written when a session ends. None: no memory.

    Raises:
        PolicyError: the policy is wrong; every fault with its file, line and key.
        ConfigurationError: `learned` is none of these, or the calibration cannot be read. A damaged
            file of a learned part, or a calibration of other heads, raises it where the first
            session is made.
        InputError: the calibration, or the file of repairs, is none, or damaged; with the place.
        LedgerError: the ledger cannot be opened.
    """

    def __init__(
        self,
        policy: Policy | Mapping[str, Any] | str | Path = "standard",
        *,
        catalog: Catalog | None = None,
        ledger: Ledger | str | Path | None = None,
        shadow: bool | None = None,
        clock: Callable[[], float] = time.time,
        composite: Composite = STRUCTURAL,
        stages: Sequence[tuple[str, Stage]] = STAGES,
        max_sessions: int = 1000,
        reload_every: float | None = None,
        learned: Literal["auto", "off"] | LearnedParts = "auto",
        calibration: ToolsetCalibration | str | Path | None = None,
        repairs: RepairMemory | str | Path | None = None,
    ) -> None:
        loaded = load_policy(policy)
        self._source = policy
        watched = None if reload_every is None else PolicyFile(_file(policy), reload_every)
        parts = Learned(learned)
        self.ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        self._monitor = Monitor(
            loaded, catalog if catalog is not None else Catalog(), Notary(self.ledger),
            shadow, clock, composite, tuple(stages), watched=watched,
            learned=parts, calibrated=Calibrated(calibration, parts), lessons=Lessons(repairs),
        )  # fmt: skip
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._dropped: OrderedDict[str, None] = OrderedDict()
        self._max_sessions = max_sessions
        self._lock = threading.Lock()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._monitor.policy

    @property
    def mode(self) -> str:
        """Which parts decide: the exact structure, which learned ones beside it, whose thresholds.

        Raises:
            ConfigurationError: a file of a learned part is damaged, or the calibration is of
                other heads.
        """
        return self._monitor.mode

    @property
    def drift(self) -> Drift | None:
        """Whether sessions that are over still look like the runs of the calibration.

        None without one. Its `status` is `quiet`, `warning` or `alarm`; the first alarm is also in
        the ledger.

        Raises:
            ConfigurationError: the calibration is of other heads.
        """
        return self._monitor.calibrated.drift

    @property
    def catalog(self) -> Catalog:
        """The tools this guard knows."""
        return self._monitor.catalog

    def reload(self, policy: Policy | Mapping[str, Any] | str | Path | None = None) -> Policy:
        """Put another policy in force, or the same file read again, and return it.

        A check that runs keeps the policy it began with. What waits for a person under the old
        policy has to be decided again. Budgets of the same role or tool keep what was spent.

        Args:
            policy: as for `Guard`; None: what this guard was made with.

        Raises:
            PolicyError: the new policy is wrong; the old one stays in force.
        """
        try:
            loaded = load_policy(self._source if policy is None else policy)
        except PolicyError as error:
            self._monitor.refused(error)
            raise
        self._monitor.adopt(loaded)
        return loaded

    # ------------------------------------------------------------- tools

    def register(self, tool: object, **declared: Any) -> ToolSpec:
        """Make a tool known.

        Args:
            tool: a function, a `ToolSpec`, a LangChain tool, an OpenAI tool dict or an MCP tool.
            **declared: profile fields that override what is inferred (`effect`, `sink`, ...).

        Raises:
            ToolSpecError: the tool or a declared field is not valid.
        """
        spec = spec_from_any(tool, **declared)
        self.catalog.add(spec)
        return spec

    def spec(self, name: str) -> ToolSpec | None:
        """The tool as policy and catalog together describe it, or None when nobody knows it."""
        return self._monitor.spec(name)

    @overload
    def tool(self, function: F, /) -> F: ...

    @overload
    def tool(self, /, **options: Any) -> Callable[[F], F]: ...

    def tool(self, function: F | None = None, /, **options: Any) -> F | Callable[[F], F]:
        """Decorator: register the function as a tool and check every call of it.

        Used bare (`@guard.tool`) or with the options of `wrap`.
        """
        if function is None:
            return lambda found: self.wrap(found, **options)
        return self.wrap(function, **options)

    def wrap(
        self,
        function: F,
        *,
        name: str | None = None,
        session: Session | None = None,
        on_block: Literal["return", "raise"] = "return",
        ignore: Sequence[str] = (),
        **declared: Any,
    ) -> F:
        """A checked version of `function` (sync, async, generator or async generator).

        Args:
            function: the tool.
            name: tool name; the function's own by default.
            session: the session to use; the current one by default.
            on_block: `return` gives the refusal back as text (what agent frameworks show the
                model); `raise` raises `BlockedError` or `HeldError`.
            ignore: parameters that are wiring (a database handle), not part of the call. The
                guard does not see them: never ignore what a model can set.
            **declared: profile fields: `provenance` (tier of what it returns), `effect`,
                `scope`, `sink`, `third_party`, `privilege`, ...

        Raises:
            ToolSpecError: the function cannot be described, or a declared field is not valid.
            ConfigurationError: `on_block` is neither `return` nor `raise`.
        """
        wrapper = Wrapper(self, function, name, session, on_block, tuple(ignore), declared)
        return cast(F, wrapper.wrapped())

    # ------------------------------------------------------------- sessions

    def session(
        self,
        *,
        run_id: str | None = None,
        role: str | None = None,
        instruction: str | None = None,
        system: str | None = None,
    ) -> Session:
        """A new session: one run of one agent for one user. Use it as a context manager.

        Args:
            run_id: identifies the run in the ledger and binds approvals; random by default.
            role: a role of the policy; its default role by default.
            instruction: what the user asked for. Without it nothing counts as asked for.
            system: the system prompt.
        """
        session = Session(self._monitor, run_id or uuid.uuid4().hex, role)
        session.observe(user=instruction, system=system)
        return session

    def session_for(self, run_id: str, *, role: str | None = None) -> Session:
        """The session of a framework's run id, created on first use.

        Raises:
            ConfigurationError: the run has another role already.
        """
        with self._lock:
            session = self._sessions.get(run_id)
            if session is None:
                session = self._sessions[run_id] = Session(self._monitor, run_id, role)
                if run_id in self._dropped:
                    session.lose_history()
                while len(self._sessions) > self._max_sessions:
                    self._drop_one()
            elif role is not None and session.role != role:
                raise ConfigurationError(f"run {run_id!r} belongs to role {session.role!r}")
            self._sessions.move_to_end(run_id)
            return session

    def _drop_one(self) -> None:
        run_id, session = self._sessions.popitem(last=False)
        session.close()
        if session.has_outputs:  # its taint must not be forgotten with it
            self._dropped[run_id] = None
            while len(self._dropped) > 1000 * self._max_sessions:
                self._dropped.popitem(last=False)

    def current_session(self) -> Session | None:
        """The session of this thread or task, if one was entered."""
        entered = self._monitor.entered.get()
        return entered[-1] if entered else None

    def ambient_session(self) -> Session | None:
        """The current session, or a new one that stays current in this thread or task.

        None when there is none and one is needed: the policy requires it, or sessions of this
        guard are open elsewhere, so that this call fell out of its own (a worker thread does not
        inherit it). `refuse` such a call: in a new session its data would have no history.
        """
        session = self.current_session()
        if session is None and not self.policy.require_session and not self._monitor.open_sessions:
            session = self.session()
            self._monitor.entered.set((session,))
        return session

    def refuse(self, call: ToolRequest, why: str = OUTSIDE) -> Decision:
        """The decision on a call that cannot be checked: fail closed, and record why."""
        error = ConfigurationError(why)
        return self._monitor.failed(error, run_id="-", request=call, call_id=call.call_id)

    # ------------------------------------------------------------- whole plans

    def check(
        self,
        plan: ExecutionPlan | Mapping[str, Any],
        *,
        role: str | None = None,
        instruction: str | None = None,
    ) -> Decision:
        """Decide on a whole plan ahead of time. Never raises; fails closed.

        The decision is the worst of those on its calls (`parts`); nothing of it is remembered.
        """
        warm_up()
        monitor, run_id = self._monitor, "plan"
        monitor.refresh()
        parsed: ExecutionPlan | None = None
        try:
            parsed = plan if isinstance(plan, ExecutionPlan) else parse_plan(plan)
            content = digest([parsed.model_dump(mode="json"), role, instruction])
            run_id = self.ledger.bind(content)[:32]
            whole = parsed
            monitor.calibrated.require()  # loaded before the time runs
            seconds = max(1.0, 0.02 * len(whole)) + monitor.deadline
            ends = time.monotonic() + (1 - RESERVE) * seconds
            decision = monitor.runner.run(
                lambda ticket: check_plan(
                    monitor, ticket, whole, run_id=run_id, role=role, instruction=instruction,
                    ends=ends,
                ),
                seconds,
            )  # fmt: skip
            monitor.keep_lessons()
            return decision
        except Exception as error:
            return monitor.failed(error, run_id=run_id, plan=parsed)

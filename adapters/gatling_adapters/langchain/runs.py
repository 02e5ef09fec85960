"""Which session a call belongs to, and what an adapter remembers beside it."""

from __future__ import annotations

import asyncio
import reprlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

from langchain_core.messages import BaseMessage

from gatling_adapters.langchain.messages import answered, trusted_texts
from gatling_adapters.langchain.outputs import fingerprint, output_of
from gatling_adapters.langchain.steps import Step, Steps
from gatling_guard import ConfigurationError, Decision, Guard, Session, ToolRequest

MAX_RESULTS = 256
"""Results kept per run, to answer a call again that LangGraph replays."""
OUTSIDE = (
    "a call outside its session: give the agent a thread_id, a session, or enter guard.session()"
)
RUN_KEY = "gatling_run"
"""State field that names the run where the framework has no thread id."""
_INSIDE: ContextVar[tuple[Guard | None, Session] | None] = ContextVar("gatling_call", default=None)
"""Guard and session of the guarded tool that is running here, if one is."""


@contextmanager
def inside(guard: Guard | None, session: Session) -> Iterator[None]:
    """While a tool runs, for agents that it calls.

    They share the session, and human messages there are not the user's: the task of such an agent
    was written by the model that called the tool.
    """
    token = _INSIDE.set((guard, session))
    try:
        yield
    finally:
        _INSIDE.reset(token)


def need(where: str, guard: object, session: object = None, *, either: bool = False) -> None:
    """Refuse at once what would later make every call a refusal.

    Raises:
        ConfigurationError: `guard` is no `Guard` (with `either`: and no `Session`), or `session`
            is no `Session`.
    """
    if not isinstance(guard, (Guard, Session) if either else Guard):
        wanted = "a Guard or a Session" if either else "a Guard"
        hint = f"; write Guard({guard!r})" if guard in ("standard", "strict") else ""
        raise ConfigurationError(f"{where} expects {wanted}, not {_shown(guard)}{hint}")
    if session is not None and not isinstance(session, Session):
        raise ConfigurationError(f"{where} expects session=guard.session(), not {_shown(session)}")


def _shown(value: object) -> str:
    return f"{type(value).__name__} {reprlib.repr(value)}"


@dataclass
class Batch:
    """The holds of one parallel batch in a `ToolNode`, asked about together."""

    payload: list[dict[str, Any]]
    execution: Any = None
    """The node execution that has been answered; LangGraph counts interrupts per execution."""
    applied: bool = False


@dataclass
class Memory:
    """What an adapter remembers beside one session; it must not refer to the session itself."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    read: dict[str, str] = field(default_factory=dict)
    """Calls whose outcome this adapter has told the session, with a digest of the answer."""
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Questions put to a person, by place: a replay must put them again, in order."""
    granted: dict[str, tuple[ToolRequest, Decision]] = field(default_factory=dict)
    """Approved calls whose tool interrupted by itself, by place: the session hands them out once,
    and LangGraph runs them again from the start."""
    batches: dict[str, Batch] = field(default_factory=dict)
    results: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    flying: dict[str, Future[None]] = field(default_factory=dict)

    def keep(self, key: str, result: Any) -> None:
        """Remember a result, the oldest giving way."""
        with self.lock:
            self.results[key] = result
            while len(self.results) > MAX_RESULTS:
                self.results.popitem(last=False)

    @contextmanager
    def flight(self, key: str) -> Iterator[None]:
        """While a call runs whose result will be kept."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # who waits for it cannot cancel it
        self.flying[key] = future
        try:
            yield
        finally:
            self.flying.pop(key, None)
            future.set_result(None)

    def landed(self, key: str) -> Steps[None]:
        """Wait for a call that is still running.

        Async `ToolNode`s leave siblings running when one of them interrupts; resumed at once,
        they would run a second time beside the first.
        """
        future = self.flying.get(key)
        if future is not None:
            yield Step(future.result, lambda: asyncio.wrap_future(future))

    def hear(self, key: str, digest: str) -> Literal["first", "same", "changed"]:
        """Note an answer to a call. Whoever stands outside the guard may add text to it later."""
        with self.lock:
            before = self.read.get(key)
            self.read[key] = digest
        return "first" if before is None else "same" if before == digest else "changed"


@dataclass(frozen=True, slots=True)
class Run:
    """A session and what the adapter remembers beside it."""

    session: Session
    memory: Memory

    def catch_up(self, messages: Sequence[BaseMessage], system: str | None = None) -> None:
        """Tell the session what the history says and it has not heard: user, system, outputs.

        After a restart the session is empty and the history is in the checkpoint; a cached result
        that another middleware returned never passed through us either.
        """
        self.session.observe(system=system)
        for kind, text in trusted_texts(messages):
            if kind == "user" and _INSIDE.get() is None:
                self.session.observe(user=text)
            elif kind == "system":
                self.session.observe(system=text)
        for request, answer in answered(messages):
            heard = self.memory.hear(str(request.call_id), fingerprint(answer))
            if heard == "first":
                self.ran(request, output_of(answer))
            elif heard == "changed":
                self.session.settle(str(request.call_id), output_of(answer))

    def ran(self, request: ToolRequest, output: Any) -> None:
        """Record a call that ran without passing through us."""
        key = str(request.call_id)
        try:
            self.session.adopt(request, output)
        except Exception:  # arguments that cannot be read: its output still counts
            self.session.settle(key, output)
        if not self.session.knows(key):  # proposed, and answered by something else
            self.session.settle(key, output)
        if not self.session.knows(key):  # refused, and it ran all the same
            self.session.adopt(ToolRequest(request.name, request.arguments, f"{key}!"), output)


class Runs:
    """Finds the session of a run: given, by framework id, current, or new.

    What is remembered of a run lives exactly as long as its session.

    Args:
        guard: the guard; None only where `session` is given.
        session: use this one session.
        role: role of the policy for sessions made here.
        otherwise: the last resort, where the policy allows one; a new session by default.
    """

    def __init__(
        self,
        guard: Guard | None,
        session: Session | None,
        role: str | None,
        otherwise: Callable[[], Session | None] | None = None,
    ) -> None:
        self.guard, self.session, self.role, self.otherwise = guard, session, role, otherwise
        self._lock = threading.Lock()
        self._memories: WeakKeyDictionary[Session, Memory] = WeakKeyDictionary()

    def find(self, config: Mapping[str, Any] | None, state: Any) -> Run | None:
        """The run, or None where the policy wants a session and there is none."""
        session = self.session or self._session(config, state)
        if session is None:
            return None
        with self._lock:
            memory = self._memories.get(session)
            if memory is None:
                memory = self._memories[session] = Memory()
        return Run(session, memory)

    def fresh(self) -> Run:
        """A run of its own for one call: shadow mode lets calls run that belong to none."""
        assert self.guard is not None, "without a session there is a guard"
        return Run(self.guard.session(role=self.role), Memory())

    def _session(self, config: Mapping[str, Any] | None, state: Any) -> Session | None:
        guard = self.guard
        assert guard is not None, "without a session there is a guard"
        thread = thread_id(config)
        if thread is not None:
            return guard.session_for(thread, role=self.role)
        owner, around = _INSIDE.get() or (None, None)
        current = guard.current_session() or (around if owner is guard else None)
        if current is not None or guard.policy.require_session:
            return current
        named = state.get(RUN_KEY) if isinstance(state, Mapping) else getattr(state, RUN_KEY, None)
        if named:
            return guard.session_for(str(named), role=self.role)
        return self.otherwise() if self.otherwise else guard.session(role=self.role)


def place_of(config: Mapping[str, Any] | None) -> str:
    """LangGraph's name of the task that runs, the same when it is resumed; empty outside one."""
    return str(((config or {}).get("configurable") or {}).get("checkpoint_ns") or "")


def thread_id(config: Mapping[str, Any] | None) -> str | None:
    """LangGraph's own id of a run, where it has one."""
    found = ((config or {}).get("configurable") or {}).get("thread_id")
    return None if found is None else str(found)

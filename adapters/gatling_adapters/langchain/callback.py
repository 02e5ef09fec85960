"""`GuardCallbackHandler`: what would have been decided, for agents that cannot be changed."""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage

from gatling_adapters.langchain.outputs import fingerprint, output_of
from gatling_adapters.langchain.runs import Run, Runs, need
from gatling_guard import Decision, Guard, Session, ToolRequest

MAX_DECISIONS = 10_000
log = logging.getLogger("gatling_guard.langchain")
F = TypeVar("F", bound=Callable[..., None])


def _quiet(method: F) -> F:
    """An observer must not disturb what it observes."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            log.exception("%s failed", method.__name__)

    return call  # type: ignore[return-value]


class GuardCallbackHandler(BaseCallbackHandler):
    """A callback cannot enforce: an exception raised in one is swallowed and the tool runs anyway.

    (`raise_error` is False by default; an `AsyncCallbackHandler`'s exceptions are swallowed even
    with True; and a callback has no way to give the model a refusal.) So this handler only
    observes: it records prompts, calls and outputs, and says in `decisions` what would have been
    decided. It never raises and never changes an argument. To enforce, use `GuardMiddleware`,
    `tool_node_wrappers` or `wrap_tools`.

    Give it to `invoke(..., config={"callbacks": [handler]})`. Messages of models that run inside
    a tool are not taken for the user's word.

    Args:
        guard: a guard (sessions are found by `thread_id`, else the current one, else one per
            handler) or a session.
        role: role of the policy for sessions made here.

    Raises:
        ConfigurationError: `guard` is neither a guard nor a session.

    Attributes:
        decisions: what would have been decided, oldest first; at most 10,000.
    """

    def __init__(self, guard: Guard | Session, *, role: str | None = None) -> None:
        need("GuardCallbackHandler", guard, either=True)
        super().__init__()
        self.decisions: deque[Decision] = deque(maxlen=MAX_DECISIONS)
        session = guard if isinstance(guard, Session) else None
        owner = None if isinstance(guard, Session) else guard
        own = None if owner is None else owner.session(role=role)
        self._runs = Runs(owner, session, role, lambda: own)
        self._open: dict[UUID, tuple[Run, ToolRequest]] = {}
        self._inside: set[UUID] = set()
        """Runs below a tool: whatever speaks there is not the user."""

    @_quiet
    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        """Follow what runs below a tool."""
        if parent_run_id in self._inside:
            self._inside.add(run_id)

    @_quiet
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget it."""
        self._inside.discard(run_id)

    @_quiet
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget it."""
        self._inside.discard(run_id)

    @_quiet
    def on_chat_model_start(
        self, serialized: Any, messages: Sequence[Sequence[BaseMessage]], *, run_id: UUID,
        parent_run_id: UUID | None = None, metadata: Mapping[str, Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Read what user and system said."""
        if parent_run_id not in self._inside:
            for batch in messages:
                self._run(metadata).catch_up(batch)

    @_quiet
    def on_tool_start(
        self, serialized: Mapping[str, Any] | None, input_str: str, *, run_id: UUID,
        parent_run_id: UUID | None = None, metadata: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None, tool_call_id: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Record what would have been decided."""
        self._inside.add(run_id)
        run, name = self._run(metadata), str((serialized or {}).get("name") or "tool")
        arguments = dict(inputs) if inputs is not None else {"input": input_str}
        wanted = ToolRequest(name, arguments, tool_call_id or str(run_id))
        self._open[run_id] = (run, wanted)
        self.decisions.append(run.session.check(wanted))

    @_quiet
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Record what the tool returned: it ran, whatever would have been decided."""
        self._close(run_id, output, None)

    @_quiet
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Record that the tool failed."""
        self._close(run_id, None, error)

    def _close(self, run_id: UUID, output: Any, error: BaseException | None) -> None:
        self._inside.discard(run_id)
        run, wanted = self._open.pop(run_id, (None, None))
        if run is None or wanted is None:
            return
        if run.memory.hear(str(wanted.call_id), fingerprint(output)) != "first":
            return
        if error is not None:
            run.session.settle(str(wanted.call_id), error=error)
        else:
            run.ran(wanted, output_of(output))

    def _run(self, metadata: Mapping[str, Any] | None) -> Run:
        """LangGraph puts the thread id into the metadata of every run below it."""
        run = self._runs.find({"configurable": dict(metadata or {})}, None)
        if run is None:
            raise LookupError("the policy wants a session and there is none")
        return run

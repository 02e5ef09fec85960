"""`wrap_tools`: guarded copies of tools, for programs that use langchain-core alone."""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from itertools import chain
from typing import Any

from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool, ToolException

from gatling_adapters.langchain.outputs import output_of
from gatling_adapters.langchain.runs import OUTSIDE, Run, Runs, inside, need
from gatling_adapters.langchain.steps import Step, Steps, adrive, drive
from gatling_adapters.langchain.toolspecs import (
    SINGLE,
    Registrar,
    entry_points,
    injected,
    is_single,
    judged,
    register,
)
from gatling_guard import (
    Blocked,
    ConfigurationError,
    Decision,
    Guard,
    Held,
    Repaired,
    Session,
    ToolRequest,
)

MARK = "__gatling_guard__"
"""Attribute of every guarded function, as the decorator of the core sets it."""


class Refused(ToolException):
    """The guard refused; the text is what the model is shown."""


def wrap_tools(
    guard: Guard,
    tools: Iterable[BaseTool],
    *,
    session: Session | None = None,
    role: str | None = None,
    **declared: Any,
) -> list[BaseTool]:
    """Guarded copies of `tools`, in order; the originals stay as they are.

    A refusal is a `ToolException` that the tool itself turns into text for the model; the tool's
    own handling of its own errors stays. A held call is refused: plain tools cannot be resumed.
    Use this or `GuardMiddleware`, not both: each would decide every call.

    Args:
        guard: the guard; the tools are registered with it.
        tools: `@tool` functions, `StructuredTool`s, `Tool`s or subclasses of `BaseTool`.
        session: use this one session. Without it: `thread_id` of the config, else the current
            session, else one for all of these tools.
        role: role of the policy for sessions made here.
        **declared: profile fields for all of these tools.

    Raises:
        ConfigurationError: `guard` or `session` is not what it should be, a tool is none, another
            tool is registered under its name, or its class overrides what cannot be wrapped.
        ToolSpecError: a tool or a declared field is not valid.
    """
    need("wrap_tools", guard, session)
    tools = [tools] if isinstance(tools, BaseTool) else list(tools)
    for tool in tools:
        if not isinstance(tool, BaseTool):
            raise ConfigurationError(
                f"wrap_tools takes LangChain tools, not {tool!r}; functions: guard.wrap(function)"
            )
    runs = Runs(guard, session, role, _Fallback(guard, role).session)
    registrar = Registrar(guard)
    for tool in tools:
        entry_points(tool)
        registrar.learn(tool)
        if declared:
            register(guard, tool, **declared)
    return [_Guarded(guard, runs, tool).copy() for tool in tools]


class _Fallback:
    """The session of tools that run outside any: one for all of them.

    LangChain runs every tool in a copy of the context, so a session that was made current inside
    one call would be forgotten with it, and what that call read with the session.
    """

    def __init__(self, guard: Guard, role: str | None) -> None:
        self.guard, self.role = guard, role
        self._lock = threading.Lock()
        self._session: Session | None = None

    def session(self) -> Session | None:
        """None where the guard wants calls outside a session to be refused."""
        if contextvars.copy_context().run(self.guard.ambient_session) is None:
            return None
        with self._lock:
            self._session = self._session or self.guard.session(role=self.role)
            return self._session


class _Guarded:
    """One tool and the way to check a call of it."""

    def __init__(self, guard: Guard, runs: Runs, tool: BaseTool) -> None:
        self.guard, self.runs, self.tool = guard, runs, tool
        self.wiring = injected(tool)
        self.names = [SINGLE] if is_single(tool) else list(tool.args)

    def copy(self) -> BaseTool:
        """The guarded copy: functions are wrapped where the tool runs them, else its methods."""
        handler = _handling(self.tool.handle_tool_error)
        copy = self.tool.model_copy(update={"handle_tool_error": handler})
        for name in entry_points(self.tool):
            # A method stays bound to the original: a tool with state of its own keeps it.
            original = getattr(self.tool, name)
            if original is not None:
                wrap = self.twin if name in ("coroutine", "_arun") else self.sync
                object.__setattr__(copy, name, wrap(original))
        return copy

    def sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, checked; its signature is kept, or injected arguments would be lost."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return drive(self.steps(function, args, kwargs))

        setattr(call, MARK, self.tool.name)
        return call

    def twin(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `sync`, for a coroutine function."""

        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await adrive(self.steps(function, args, kwargs))

        setattr(call, MARK, self.tool.name)
        return call

    def steps(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Steps[Any]:
        """Check, run, settle."""
        args, kwargs, wanted = self.request(args, kwargs)
        session = self.run(wanted).session
        decision: Decision = yield Step(
            lambda: session.check(wanted), lambda: session.acheck(wanted)
        )
        if isinstance(decision, (Held, Blocked)):
            raise Refused(decision.message)
        if isinstance(decision, Repaired):
            args, kwargs = self.repaired(args, kwargs, wanted.arguments, decision.arguments)
        key = decision.call.node_id if decision.call else self.tool.name
        try:
            with inside(self.guard, session):
                result = yield Step(
                    lambda: function(*args, **kwargs), lambda: function(*args, **kwargs)
                )
        except BaseException as error:
            session.settle(key, error=error)
            raise
        output = output_of(result)
        yield Step(lambda: session.settle(key, output), lambda: session.asettle(key, output))
        return result

    def run(self, wanted: ToolRequest) -> Run:
        """The run that a call belongs to.

        Raises:
            Refused: it belongs to none, or to one with another role.
        """
        why = OUTSIDE
        try:
            run = self.runs.find(ensure_config(), None)
        except ConfigurationError as error:
            run, why = None, str(error)
        if run is not None:
            return run
        refused = self.guard.refuse(wanted, why)
        if isinstance(refused, (Held, Blocked)):
            raise Refused(refused.message)
        return self.runs.fresh()

    def request(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], ToolRequest]:
        """The call with arguments of its own, which nobody can change any more, and as a request.

        Everything is shown that is not injected: a schema may let arguments pass that it does not
        name.
        """
        extra = (f"{SINGLE}+{number}" for number in range(1, len(args) + 1))
        found = dict(zip(chain(self.names, extra), args, strict=False))
        found |= judged(self.tool, self.wiring, kwargs)
        runs = deepcopy(found)
        own = [runs[name] for name in list(found)[: len(args)]]
        rest = {name: runs.get(name, value) for name, value in kwargs.items()}
        return tuple(own), rest, ToolRequest(self.tool.name, found)

    def repaired(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], before: Mapping[str, Any],
        after: Mapping[str, Any],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:  # fmt: skip
        """The call with the repaired arguments, parsed as the tool's schema parses them."""
        fields = getattr(self.tool.args_schema, "model_fields", {})
        names = self.names[: len(args)]
        changed = {n: _parse(fields.get(n), v) for n, v in after.items() if before.get(n) != v}
        gone = set(before) - set(after)
        kept = {n: v for n, v in kwargs.items() if n not in gone}
        kept |= {n: v for n, v in changed.items() if n not in names}
        return tuple(changed.get(n, v) for n, v in zip(names, args, strict=False)), kept


def _parse(field: Any, value: Any) -> Any:
    from pydantic import TypeAdapter

    return value if field is None else TypeAdapter(field.annotation).validate_python(value)


def _handling(own: Any) -> Callable[[ToolException], Any]:
    """Show refusals to the model, and leave the tool's own errors to its own setting."""

    def handle(error: ToolException) -> Any:
        if isinstance(error, Refused) or own is True:
            return error.args[0] if error.args else "Tool execution error"
        if not own:
            raise error
        return own if isinstance(own, str) else own(error)

    return handle

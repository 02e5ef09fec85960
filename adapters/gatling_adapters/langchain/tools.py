"""`wrap_tools`: guarded copies of tools, for programs that use langchain-core alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool, StructuredTool, Tool, ToolException

from gatling_adapters.langchain.messages import output_of
from gatling_adapters.langchain.runs import Runs, inside, need
from gatling_adapters.langchain.seal import SINGLE, is_single, register, visible
from gatling_adapters.langchain.steps import Step, Steps, adrive, drive
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
            session, else a new one that stays current in this thread or task.
        role: role of the policy for sessions made here.
        **declared: profile fields for all of these tools.

    Raises:
        ConfigurationError: `guard` or `session` is not what it should be, or a tool is none.
        ToolSpecError: a tool or a declared field is not valid.
    """
    need("wrap_tools", guard, session)
    tools = [tools] if isinstance(tools, BaseTool) else list(tools)
    for tool in tools:
        if not isinstance(tool, BaseTool):
            raise ConfigurationError(
                f"wrap_tools takes LangChain tools, not {tool!r}; functions: guard.wrap(function)"
            )
    runs = Runs(guard, session, role, guard.ambient_session)
    wrapped = []
    for tool in tools:
        if declared or tool.name not in guard.catalog:
            register(guard, tool, **declared)
        wrapped.append(_Guarded(guard, runs, tool).copy())
    return wrapped


class _Guarded:
    """One tool and the way to check a call of it."""

    def __init__(self, guard: Guard, runs: Runs, tool: BaseTool) -> None:
        self.guard, self.runs, self.tool = guard, runs, tool
        self.visible = visible(tool)
        self.names = [SINGLE] if is_single(tool) else list(tool.args)

    def copy(self) -> BaseTool:
        """The guarded copy. Functions are wrapped where the tool has them, else its methods."""
        handler = _handling(self.tool.handle_tool_error)
        if isinstance(self.tool, (StructuredTool, Tool)):
            functions = {
                "func": self.sync(self.tool.func) if self.tool.func else None,
                "coroutine": self.twin(self.tool.coroutine) if self.tool.coroutine else None,
            }
            return self.tool.model_copy(update={**functions, "handle_tool_error": handler})
        copy = self.tool.model_copy(update={"handle_tool_error": handler})
        # The methods stay bound to the original, so that a tool with state of its own keeps it.
        object.__setattr__(copy, "_run", self.sync(self.tool._run))
        if type(self.tool)._arun is not BaseTool._arun:
            object.__setattr__(copy, "_arun", self.twin(self.tool._arun))
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
        run = self.runs.find(ensure_config(), None)
        wanted = ToolRequest(self.tool.name, self.shown(args, kwargs))
        if run is None:
            refused = self.guard.refuse(wanted)
            if isinstance(refused, (Held, Blocked)):
                raise Refused(refused.message)
            run = self.runs.fresh()
        session = run.session
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

    def shown(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments a model can set, without what LangChain injects."""
        found = dict(zip(self.names, args, strict=False))
        return found | {name: value for name, value in kwargs.items() if name in self.visible}

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

"""A tool that checks, at the instant of execution, that it runs what was decided.

`GuardMiddleware` belongs last in the list. Where it is not, an inner middleware can change the
arguments after the decision. The request therefore carries a sealed tool: with other arguments
than those decided on, the call is decided again.

Not covered: an inner middleware that replaces the tool itself, or calls it on its own.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from langchain_core.tools import BaseTool, Tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from gatling_adapters.langchain.messages import refusal
from gatling_guard import Allowed, Decision, Guard, Repaired, Session, ToolRequest

SINGLE = "__arg1"


def sealed(tool: BaseTool, arguments: Mapping[str, Any], session: Session, key: str) -> BaseTool:
    """A copy of `tool` bound to `arguments`. The call itself is made on the original."""
    wiring = _injected(tool)

    def request(given: Any) -> ToolRequest | None:
        """The call as it is about to run, if that is not what was decided on."""
        shown = {k: v for k, v in _arguments(given).items() if k in arguments or k not in wiring}
        return None if _same(shown, arguments) else ToolRequest(tool.name, shown, key)

    def invoke(given: Any, config: Any = None, **kwargs: Any) -> Any:
        changed = request(given)
        if changed is None:
            return tool.invoke(given, config, **kwargs)
        runs, stop = _apply(given, changed, session.check(changed))
        return stop if stop is not None else tool.invoke(runs, config, **kwargs)

    async def ainvoke(given: Any, config: Any = None, **kwargs: Any) -> Any:
        changed = request(given)
        if changed is None:
            return await tool.ainvoke(given, config, **kwargs)
        runs, stop = _apply(given, changed, await session.acheck(changed))
        return stop if stop is not None else await tool.ainvoke(runs, config, **kwargs)

    copy = tool.model_copy()
    # Not a subclass: other middlewares may look at the tool's type.
    object.__setattr__(copy, "invoke", invoke)
    object.__setattr__(copy, "ainvoke", ainvoke)
    return copy


def _arguments(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping) and given.get("type") == "tool_call":
        return dict(given["args"])
    return dict(given) if isinstance(given, Mapping) else {"input": given}


def _apply(given: Any, asked: ToolRequest, decision: Decision) -> tuple[Any, Any]:
    """What to run instead of `given`, or the refusal."""
    match decision:
        case Allowed():
            return given, None
        case Repaired() if isinstance(given, Mapping) and given.get("type") == "tool_call":
            wiring = {k: v for k, v in given["args"].items() if k not in asked.arguments}
            return {**given, "args": {**wiring, **decision.arguments}}, None
        case _:
            call = given if isinstance(given, Mapping) else {}
            message = getattr(decision, "message", "not executed")
            return None, refusal(call, message, decision.action)


def _same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Equal as JSON: `1`, `1.0` and `true` are three values."""
    return json.dumps(left, sort_keys=True, default=repr) == json.dumps(
        right, sort_keys=True, default=repr
    )


def register(guard: Guard, tool: BaseTool, **declared: Any) -> None:
    """Make a tool known to the guard, as the model sees it."""
    if is_single(tool):  # such a tool has no schema of its own, only the one models are given
        guard.register(convert_to_openai_tool(tool), **declared)
    else:
        guard.register(tool, **declared)


def is_single(tool: BaseTool) -> bool:
    """A `Tool` of the old kind: one text, which models call `__arg1`."""
    return isinstance(tool, Tool) and tool.args_schema is None


def visible(tool: BaseTool) -> set[str]:
    """Names of the arguments a model can set."""
    if is_single(tool):
        return {SINGLE}
    schema: Any = tool.tool_call_schema
    if isinstance(schema, Mapping):
        return set(schema.get("properties") or {})
    fields = schema.model_fields
    return set(fields) | {field.alias for field in fields.values() if field.alias}


def _injected(tool: BaseTool) -> set[str]:
    """Parameters that LangGraph fills in: the tool takes them and the model cannot see them."""
    full: Any = tool.args_schema
    names = set(getattr(full, "model_fields", {}))
    for function in (getattr(tool, "func", None), getattr(tool, "coroutine", None), tool._run):
        if function is not None:
            names |= set(inspect.signature(function).parameters)
    return names - visible(tool)

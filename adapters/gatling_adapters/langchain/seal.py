"""A tool that checks, at the instant of execution, that it runs what was decided.

`GuardMiddleware` belongs last in the list. Where it is not, an inner middleware can change the
arguments after the decision. The request therefore carries a sealed tool: with other arguments
than those decided on, the call is decided again.

Not covered: an inner middleware that replaces the tool itself, or calls it on its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from langchain_core.tools import BaseTool

from gatling_adapters.langchain.messages import refusal
from gatling_adapters.langchain.toolspecs import injected, judged
from gatling_guard import Allowed, Decision, Repaired, Session, ToolRequest


def sealed(tool: BaseTool, arguments: Mapping[str, Any], session: Session, key: str) -> BaseTool:
    """A copy of `tool` bound to `arguments`. The call itself is made on the original.

    The arguments are copied, here and where the tool is called: what is compared and checked is
    what runs, whoever still holds the dicts that were handed in.
    """
    wiring, bound = injected(tool), deepcopy(dict(arguments))

    def request(given: Any) -> tuple[Any, ToolRequest | None]:
        """The call as it is about to run, and again as a request if it is not the one decided."""
        arguments = _arguments(given)
        shown = judged(tool, wiring, arguments)
        shown |= {name: arguments[name] for name in bound if name in arguments}
        shown = deepcopy(shown)
        changed = None if same(shown, bound) else ToolRequest(tool.name, shown, key)
        return _with(given, deepcopy(shown), shown), changed

    def invoke(given: Any, config: Any = None, **kwargs: Any) -> Any:
        given, changed = request(given)
        if changed is None:
            return tool.invoke(given, config, **kwargs)
        runs, stop = _apply(given, changed, session.check(changed))
        return stop if stop is not None else tool.invoke(runs, config, **kwargs)

    async def ainvoke(given: Any, config: Any = None, **kwargs: Any) -> Any:
        given, changed = request(given)
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


def _with(given: Any, arguments: Mapping[str, Any], instead_of: Mapping[str, Any]) -> Any:
    """`given` with other arguments; what was injected stays."""
    if not isinstance(given, Mapping):
        return arguments["input"]
    if given.get("type") != "tool_call":
        return {k: v for k, v in given.items() if k not in instead_of} | dict(arguments)
    wiring = {k: v for k, v in given["args"].items() if k not in instead_of}
    return {**given, "args": {**wiring, **arguments}}


def _apply(given: Any, asked: ToolRequest, decision: Decision) -> tuple[Any, Any]:
    """What to run instead of `given`, or the refusal."""
    match decision:
        case Allowed():
            return given, None
        case Repaired() if isinstance(given, Mapping) and given.get("type") == "tool_call":
            return _with(given, deepcopy(decision.arguments), asked.arguments), None
        case _:
            call = given if isinstance(given, Mapping) else {}
            message = getattr(decision, "message", "not executed")
            return None, refusal(call, message, decision.action)


def same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Equal as JSON: `1`, `1.0` and `true` are three values."""
    return json.dumps(left, sort_keys=True, default=repr) == json.dumps(
        right, sort_keys=True, default=repr
    )

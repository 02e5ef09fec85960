"""Which tools can an agent reach that nothing mediates?"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.tools import BaseTool

from gatling_adapters.langchain.tools import MARK
from gatling_adapters.langchain.toolspecs import entry_points
from gatling_guard import ConfigurationError

MAX_DEPTH = 16
"""Closures inside closures; ten middlewares nest about ten deep."""


@dataclass(frozen=True, slots=True)
class Unguarded:
    """A tool that no guard stands in front of."""

    name: str
    reason: str


Row: TypeAlias = tuple[str, str | None, str]
"""Tool, how it is mediated (None: not at all), a note."""


def unguarded_tools(agent_or_tools: Any) -> list[Unguarded]:
    """The tools that can run without a guard being asked.

    Args:
        agent_or_tools: a compiled graph (`create_agent`, or one of your own with `ToolNode`s, and
            graphs inside it), a `ToolNode`, or the tools themselves.

    Returns:
        One entry per tool and reason; empty when everything that can be seen is mediated. A
        function node that calls a tool by itself cannot be seen.
    """
    return [Unguarded(name, note) for name, by, note in coverage(agent_or_tools) or () if not by]


def coverage(target: Any) -> list[Row] | None:
    """Every tool that can be seen, for `gatling-guard doctor`; None when the target is not ours."""
    if isinstance(target, BaseTool):
        target = [target]
    nodes, by_name = getattr(target, "nodes", None), getattr(target, "tools_by_name", None)
    if not isinstance(nodes, Mapping) and not isinstance(by_name, Mapping):
        ours = isinstance(target, (list, tuple)) and any(isinstance(t, BaseTool) for t in target)
        if not ours:
            return None
    return list(dict.fromkeys(_rows(target, 0)))


def _rows(subject: Any, depth: int) -> Iterator[Row]:
    nodes = getattr(subject, "nodes", None)
    if depth > MAX_DEPTH:
        return
    if isinstance(nodes, Mapping):
        for node in nodes.values():
            bound = getattr(node, "bound", node)
            yield from _rows(bound, depth + 1)
            yield from _provider_side(bound)
    elif isinstance(getattr(subject, "tools_by_name", None), Mapping):
        yield from _of_tool_node(subject)
    elif isinstance(subject, (list, tuple)):
        yield from (_of_tool(tool) for tool in subject)


def _of_tool_node(node: Any) -> Iterator[Row]:
    sync = _leads_to_gate(getattr(node, "_wrap_tool_call", None))
    twin = getattr(node, "_awrap_tool_call", None)
    whole = sync and (twin is None or _leads_to_gate(twin))
    half = sync or _leads_to_gate(twin)
    note = "only one of sync and async is guarded" if half else "no guard wraps its tool node"
    inner = _inside_the_gate(getattr(node, "_wrap_tool_call", None))
    for tool in node.tools_by_name.values():
        row = _of_tool(tool)
        guarded = (tool.name, "tool node", inner)
        yield guarded if whole else row if row[1] else (tool.name, None, note)


def _inside_the_gate(wrapper: Any) -> str:
    """A note where the guard is not the last middleware of the list.

    Arguments that one inside it changes are decided again; a tool it calls itself is not seen.
    """
    stack = list(_stack(wrapper, 0))
    last = max((i for i, one in enumerate(stack) if _leads_to_gate(one)), default=len(stack))
    names = ", ".join(_owner(one) for one in stack[last + 1 :])
    return f"another middleware stands inside the guard ({names}): put the guard last" * bool(names)


def _stack(wrapper: Any, depth: int) -> Iterator[Any]:
    """The wrappers that `create_agent` composed two by two, from the outermost to the innermost."""
    cells = dict(_closure(wrapper))
    if depth <= MAX_DEPTH and {"outer", "inner"} <= set(cells):
        yield from _stack(cells["outer"], depth + 1)
        yield from _stack(cells["inner"], depth + 1)
    elif wrapper is not None:
        yield wrapper


def _owner(wrapper: Any) -> str:
    """The class of a middleware's method, else the function's own name."""
    method = inspect.unwrap(wrapper)
    owner = getattr(method, "__self__", None)
    return type(owner).__name__ if owner is not None else getattr(method, "__name__", "a function")


def _of_tool(tool: Any) -> Row:
    if isinstance(tool, Mapping):
        return _dict_name(tool), None, "provider-side: it runs at the model's provider"
    name = str(getattr(tool, "name", None) or getattr(tool, "__name__", None) or tool)
    return (name, "wrapped tool", "") if _is_wrapped(tool) else (name, None, "not wrapped")


def _is_wrapped(tool: Any) -> bool:
    """Guarded by `wrap_tools` or by the core's decorator."""
    if not isinstance(tool, BaseTool):
        return hasattr(tool, MARK)
    try:
        functions = [getattr(tool, name) for name in entry_points(tool)]
    except ConfigurationError:  # it has a way of its own to be called
        return False
    functions = [f for f in functions if f is not None]
    return bool(functions) and all(hasattr(f, MARK) for f in functions)


def _provider_side(bound: Any) -> Iterator[Row]:
    """`create_agent` keeps dict tools in a variable of its model node."""
    for attribute in ("func", "afunc"):
        for name, value in _closure(getattr(bound, attribute, None)):
            if name in ("default_tools", "built_in_tools") and isinstance(value, list):
                yield from (_of_tool(tool) for tool in value if isinstance(tool, Mapping))


def _dict_name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    inner = function.get("name") if isinstance(function, Mapping) else None
    return str(tool.get("name") or inner or tool.get("type") or "provider tool")


def _closure(function: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of a function's closure."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), cells or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # an empty cell
            continue


def _leads_to_gate(function: Callable[..., Any] | None, depth: int = 0) -> bool:
    """Whether a wrapper, however composed, ends in one of ours."""
    from gatling_adapters.langchain.gate import Gate

    if function is None or depth > MAX_DEPTH:
        return False
    owner = getattr(function, "__self__", None)
    if isinstance(function, Gate) or isinstance(getattr(owner, "gate", None), Gate):
        return True
    inner = [value for _, value in _closure(function) if callable(value) or isinstance(value, Gate)]
    inner.append(getattr(function, "__wrapped__", None))
    if isinstance(function, functools.partial):
        inner.append(function.func)
    return any(_leads_to_gate(value, depth + 1) for value in inner)

"""What a LangChain tool is to a guard: its schema, what fills its arguments, what really runs."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, get_type_hints

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, Tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from gatling_guard import ConfigurationError, Guard, ToolSpec, spec_digest, spec_from_any

SINGLE = "__arg1"
WIRING = frozenset({"callbacks", "config", "run_manager", "runtime", "state", "store"})
"""Parameters that LangChain and LangGraph fill in by name."""
DOORS = ("__call__", "abatch", "ainvoke", "arun", "astream", "batch", "invoke", "run", "stream")
"""Ways to call a tool, all of which lead to `_run` or `_arun` unless a class changes them."""
MAX_SPECS = 1024


def is_single(tool: BaseTool) -> bool:
    """A `Tool` of the old kind: one text, which models call `__arg1`."""
    return isinstance(tool, Tool) and tool.args_schema is None


def visible(tool: BaseTool) -> set[str]:
    """Names of the arguments a model can see."""
    if is_single(tool):
        return {SINGLE}
    schema: Any = tool.tool_call_schema
    if isinstance(schema, Mapping):
        return set(schema.get("properties") or {})
    fields = schema.model_fields
    return set(fields) | {field.alias for field in fields.values() if field.alias}


def injected(tool: BaseTool) -> set[str]:
    """Parameters that the tool declares for the framework or the application to fill in.

    Only those: another name outside the schema may have been written by the model, since many
    schemas let unknown arguments pass.
    """
    named = set()
    for name, hint in _declared(tool):
        if name in WIRING or hint is RunnableConfig or any(map(_is_injection, _metadata(hint))):
            named.add(name)
    return named - visible(tool)


def judged(tool: BaseTool, wiring: set[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that may come from a model: all but what was injected.

    Models write JSON, so an object outside the schema is the framework's.
    """
    seen = visible(tool)
    return {
        name: value
        for name, value in arguments.items()
        if name in seen or (name not in wiring and _is_json(value))
    }


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, list, tuple, Mapping))


def _declared(tool: BaseTool) -> Iterator[tuple[str, Any]]:
    """Names and annotations of the tool's schema and functions, `**kwargs` left out."""
    for name, field in getattr(tool.args_schema, "model_fields", {}).items():
        yield name, field.annotation
        yield from ((name, extra) for extra in field.metadata)
    functions = [getattr(tool, n, None) for n in ("func", "coroutine", "_run", "_arun")]
    for function in filter(None, functions):
        hints = _hints(function)
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                yield name, hints.get(name, parameter.annotation)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # names that cannot be resolved: the arguments are then judged
        return {}


def _metadata(hint: Any) -> tuple[Any, ...]:
    return (hint, *getattr(hint, "__metadata__", ()))


def _is_injection(mark: Any) -> bool:
    kind = mark if isinstance(mark, type) else type(mark)
    return issubclass(kind, InjectedToolArg)


def entry_points(tool: BaseTool) -> tuple[str, ...]:
    """The attributes that hold what really runs.

    Raises:
        ConfigurationError: its class has a way of its own to be called, which cannot be wrapped.
    """
    changed = [name for name in DOORS if not _plain(tool, name)]
    if changed:
        raise ConfigurationError(
            f"the tool {tool.name!r} cannot be guarded: {type(tool).__name__} overrides "
            f"{', '.join(changed)}; override _run and _arun instead, or use GuardMiddleware"
        )
    own = [name for name in ("_run", "_arun") if not _plain(tool, name)]
    if isinstance(tool, (StructuredTool, Tool)):
        return ("_run", "_arun") if own else ("func", "coroutine")
    return ("_run", "_arun") if "_arun" in own else ("_run",)


def _plain(tool: BaseTool, name: str) -> bool:
    """Whether the attribute is LangChain's own."""
    if name in vars(tool):
        return False
    owner = next((kind for kind in type(tool).__mro__ if name in vars(kind)), None)
    return owner is None or owner.__module__.split(".")[0] == "langchain_core"


def described(tool: BaseTool) -> Any:
    """The tool as the model sees it, for the catalog."""
    return convert_to_openai_tool(tool) if is_single(tool) else tool


def register(guard: Guard, tool: BaseTool, **declared: Any) -> None:
    """Make a tool known to the guard."""
    guard.register(described(tool), **declared)


class Registrar:
    """Knows whether a tool is the one that the guard has under its name.

    Args:
        guard: the guard.
        allowed: whether unknown tools are registered.
    """

    def __init__(self, guard: Guard, *, allowed: bool = True) -> None:
        self.guard, self.allowed = guard, allowed
        self._specs: OrderedDict[int, tuple[BaseTool, ToolSpec]] = OrderedDict()

    def learn(self, tool: Any) -> None:
        """Register a tool that the application itself gave the agent, if it is unknown.

        Raises:
            ConfigurationError: another tool has this name. Its profile would judge this one.
        """
        if not isinstance(tool, BaseTool):
            return
        known = self.guard.catalog.get(tool.name)
        if known is None:
            if self.allowed:
                register(self.guard, tool)
        elif not _alike(known, self._spec(tool)):
            raise ConfigurationError(
                f"another tool is registered as {tool.name!r}: description or schema differ. Give "
                "one of them another name, or each agent a guard of its own; to declare more about "
                "a tool, register the very object that the agent has"
            )

    def _spec(self, tool: BaseTool) -> ToolSpec:
        kept = self._specs.get(id(tool))
        if kept is None:
            kept = self._specs[id(tool)] = (tool, spec_from_any(described(tool)))
            while len(self._specs) > MAX_SPECS:
                self._specs.popitem(last=False)
        return kept[1]


def _alike(known: ToolSpec, found: ToolSpec) -> bool:
    """Same description and parameters; what was declared about one of them is left out."""
    same = replace(known, description=found.description, parameters=found.parameters)
    return spec_digest(same) == spec_digest(known)

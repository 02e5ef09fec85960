"""LangChain and LangGraph: one door to everything that guards them.

    GuardMiddleware        `create_agent(middleware=[..., GuardMiddleware(guard)])`
    tool_node_wrappers     `langgraph.prebuilt.ToolNode` in a graph of your own
    wrap_tools             plain tools, with langchain-core alone
    GuardCallbackHandler   observes and records; enforces nothing
    unguarded_tools        tools of an agent that nothing mediates

Names are loaded on first use, so that `wrap_tools` and the callback handler need langchain-core
only, and `tool_node_wrappers` needs no `langchain`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatling_adapters.langchain.callback import GuardCallbackHandler
    from gatling_adapters.langchain.coverage import Unguarded, unguarded_tools
    from gatling_adapters.langchain.middleware import GuardMiddleware
    from gatling_adapters.langchain.tool_node import tool_node_wrappers
    from gatling_adapters.langchain.tools import wrap_tools

__all__ = [
    "GuardCallbackHandler",
    "GuardMiddleware",
    "Unguarded",
    "tool_node_wrappers",
    "unguarded_tools",
    "wrap_tools",
]

INSTALL = '.venv/bin/pip install -e ".[langchain]"'
"""In a checkout of this project; elsewhere the path or address of one takes the dot's place."""

_HOME = {
    "GuardCallbackHandler": "callback",
    "GuardMiddleware": "middleware",
    "Unguarded": "coverage",
    "tool_node_wrappers": "tool_node",
    "unguarded_tools": "coverage",
    "wrap_tools": "tools",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    except ImportError as error:
        if (error.name or "").startswith("lang"):
            message = f"{name}: {error.name} is missing or too old. Install it with: {INSTALL}"
            raise type(error)(message, name=error.name) from None
        raise

"""Wrappers for `langgraph.prebuilt.ToolNode`, for graphs built without `create_agent`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from gatling_adapters.langchain.gate import Gate
from gatling_adapters.langchain.holds import OnHold
from gatling_adapters.langchain.runs import need
from gatling_adapters.langchain.steps import adrive, drive
from gatling_guard import Guard, Session

Wrapper: TypeAlias = Callable[[Any, Callable[[Any], Any]], Any]
AsyncWrapper: TypeAlias = Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]


def tool_node_wrappers(
    guard: Guard,
    *,
    role: str | None = None,
    session: Session | None = None,
    on_hold: OnHold = "interrupt",
    register: bool = True,
    messages_key: str = "messages",
) -> tuple[Wrapper, AsyncWrapper]:
    """The pair `(wrap_tool_call, awrap_tool_call)` for a `ToolNode`.

    A `ToolNode` runs all calls of a turn in one node, and runs all of them again when the graph
    is resumed. So where one call of a turn is held, none of the turn runs before the holds are
    answered: there is one interrupt with all of them (`{"type": "gatling_holds", "holds":
    [...]}`), answered by `{"decisions": [{"hold_id", "decision", "by"}, ...]}`; a hold that is
    not answered is denied. Editing the arguments is not offered here.

    User and system text is read from the state's messages.

    Args:
        guard: the guard.
        role: role of the policy for sessions made here.
        session: use this one session; else as in `GuardMiddleware`.
        on_hold: `interrupt` or `refuse`.
        register: register the node's tools with the guard when it first meets them.
        messages_key: where the state keeps its messages, as given to the `ToolNode`.

    Raises:
        ConfigurationError: `guard`, `session` or `on_hold` is not what it should be.
    """
    need("tool_node_wrappers", guard, session)
    gate = Gate(guard, role=role, session=session, on_hold=on_hold, register=register,
                batched=True, messages_key=messages_key)  # fmt: skip

    def wrap_tool_call(request: Any, execute: Callable[[Any], Any]) -> Any:
        return drive(gate.call(request, execute))

    async def awrap_tool_call(request: Any, execute: Callable[[Any], Awaitable[Any]]) -> Any:
        return await adrive(gate.call(request, execute))

    return wrap_tool_call, awrap_tool_call

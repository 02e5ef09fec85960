"""`GuardMiddleware` for LangChain's `create_agent`."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware import AgentMiddleware, AgentState
from langchain.agents.middleware.types import ModelRequest, PrivateStateAttr, ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.config import get_config
from langgraph.types import Command

from gatling_adapters.langchain.gate import Gate
from gatling_adapters.langchain.holds import OnHold
from gatling_adapters.langchain.messages import text_of
from gatling_adapters.langchain.runs import RUN_KEY, need, thread_id
from gatling_adapters.langchain.steps import adrive, drive
from gatling_guard import Guard, Session


class GuardState(AgentState[Any]):
    """The agent's state, plus a name for the run where LangGraph has none."""

    gatling_run: NotRequired[Annotated[str, PrivateStateAttr]]


class GuardMiddleware(AgentMiddleware[Any, Any, Any]):
    """Checks every tool call of an agent before it runs. Put it LAST in the list.

    The last middleware is the innermost: what it lets through is what the tool gets. One object
    serves any number of agents, threads and runs.

    Args:
        guard: the guard.
        role: role of the policy for sessions made here.
        session: use this one session. Without it: LangGraph's `thread_id`, else the current
            session (`with guard.session(...)`), else a new one for each run; none of these in a
            policy with `require_session` is a refusal.
        on_hold: `interrupt` stops the graph and asks a person (needs a checkpointer; a refusal
            without one); `refuse` answers the model that the call waits for a person.
        register: register the agent's tools with the guard when it first meets them.

    Raises:
        ConfigurationError: `guard`, `session` or `on_hold` is not what it should be.

    What it cannot see: provider-side tools (dicts in `tools`), which run at the provider; tools
    that call other tools by themselves; a human message that application code puts into the
    history counts as the user's word.
    """

    state_schema = GuardState

    def __init__(
        self,
        guard: Guard,
        *,
        role: str | None = None,
        session: Session | None = None,
        on_hold: OnHold = "interrupt",
        register: bool = True,
    ) -> None:
        need("GuardMiddleware", guard, session)
        super().__init__()
        self.gate = Gate(guard, role=role, session=session, on_hold=on_hold, register=register)

    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Name the run, where the framework does not."""
        if thread_id(_config()) is not None or state.get(RUN_KEY):
            return None
        return {RUN_KEY: uuid.uuid4().hex}

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]
    ) -> Any:
        """Read what user and system said, and leave the call as it is."""
        self._observe(request)
        return handler(request)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        """As `wrap_model_call`."""
        self._observe(request)
        return await handler(request)

    def _observe(self, request: ModelRequest[Any]) -> None:
        """The state's messages, not the request's: others add retrieved text to the latter."""
        system = request.system_message
        text = text_of(system.content) if system is not None else None
        self.gate.observe(_config(), request.state, text, request.tools)

    def after_model(self, state: Any, runtime: Any) -> None:
        """Decide the whole parallel batch once."""
        drive(self.gate.propose(_config(), state))

    async def aafter_model(self, state: Any, runtime: Any) -> None:
        """As `after_model`."""
        await adrive(self.gate.propose(_config(), state))

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]
    ) -> ToolMessage | Command[Any]:
        """The last gate before the tool, and the first to see what it returns."""
        result: ToolMessage | Command[Any] = drive(self.gate.call(request, handler))
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> ToolMessage | Command[Any]:
        """As `wrap_tool_call`."""
        result: ToolMessage | Command[Any] = await adrive(self.gate.call(request, handler))
        return result


def _config() -> dict[str, Any] | None:
    """The configuration of the node that runs; None outside a graph."""
    try:
        return dict(get_config())
    except RuntimeError:
        return None

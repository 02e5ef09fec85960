"""One tool call through the guard: the logic shared by the middleware and the ToolNode wrappers.

Nothing of ours may let a call through by breaking: an exception in this file is a refusal. The
exceptions of LangGraph's control flow and those of the tool itself pass as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp

from gatling_adapters.langchain.holds import Holds, OnHold, check
from gatling_adapters.langchain.messages import (
    call_key,
    history,
    is_refusal,
    open_batch,
    output_of,
    refusal,
    tainted,
)
from gatling_adapters.langchain.runs import Run, Runs, inside, place_of
from gatling_adapters.langchain.seal import register, sealed
from gatling_adapters.langchain.steps import Step, Steps
from gatling_guard import (
    Allowed,
    Blocked,
    ConfigurationError,
    Decision,
    Guard,
    Held,
    Repaired,
    Session,
    ToolRequest,
)

log = logging.getLogger("gatling_guard.langchain")


class _Admitted:
    """A call that may run, and where its outcome belongs."""

    __slots__ = ("key", "memo", "request", "run")

    def __init__(self, run: Run, key: str, memo: str, request: Any) -> None:
        self.run, self.key, self.memo, self.request = run, key, memo, request


class Gate:
    """Decides calls of LangGraph tool nodes; shared by all threads and runs.

    Args:
        guard: the guard.
        role: role of the policy for sessions made here.
        session: use this one session instead of looking one up.
        on_hold: put a held call to a person through `interrupt`, or refuse it.
        register: register the tools that the application gave the agent.
        batched: the node runs a whole batch, and runs all of it again on resume (`ToolNode`).
        messages_key: where the state keeps its messages.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        role: str | None = None,
        session: Session | None = None,
        on_hold: OnHold = "interrupt",
        register: bool = True,
        batched: bool = False,
        messages_key: str = "messages",
    ) -> None:
        self.guard, self.register = guard, register
        self.batched, self.messages_key = batched, messages_key
        self.holds = Holds(guard, on_hold)
        self.runs = Runs(guard, session, role)

    # ---------------------------------------------------------------- what is known beforehand

    def observe(
        self, config: Mapping[str, Any] | None, state: Any, system: str | None, tools: Any
    ) -> None:
        """Before a model call. A failure here costs authority, so it makes the guard stricter."""
        try:
            for tool in tools or ():
                self.learn(tool)
            run = self.runs.find(config, state)
            if run is not None:
                run.catch_up(history(state, self.messages_key), system)
        except Exception:
            log.exception("the messages before a model call could not be read")

    def learn(self, tool: Any) -> None:
        """Register a tool that the application itself gave the agent."""
        if self.register and isinstance(tool, BaseTool) and tool.name not in self.guard.catalog:
            register(self.guard, tool)

    def propose(self, config: Mapping[str, Any] | None, state: Any) -> Steps[None]:
        """After a model call: the whole parallel batch, once. `check` remains the gate."""
        try:
            run = self.runs.find(config, state)
            _, calls = open_batch(history(state, self.messages_key))
            calls = self.holds.known(calls)
            if run is not None and calls:
                session = run.session
                yield Step(lambda: session.propose(calls), lambda: session.apropose(calls))
        except Exception:
            log.exception("the calls of a turn could not be read")

    # ---------------------------------------------------------------- one call

    def call(self, request: Any, handler: Callable[[Any], Any]) -> Steps[Any]:
        """Decide, run the tool where it may run, and settle."""
        try:
            outcome = yield from self._admit(request)
        except GraphBubbleUp:
            raise
        except Exception:
            log.exception("a call could not be decided and was refused")
            outcome = _opaque(request.tool_call)
        if isinstance(outcome, _Admitted):
            return (yield from self._execute(outcome, handler))
        return outcome

    def _admit(self, request: Any) -> Steps[Any]:
        """An `_Admitted`, or what to answer instead of running the tool."""
        call = request.tool_call
        config = getattr(request.runtime, "config", None)
        for tool in (request.tool, *(getattr(request.runtime, "tools", None) or ())):
            self.learn(tool)
        run = self.runs.find(config, request.state)
        if run is None:
            asked = ToolRequest(call["name"], call["args"], _id_of(call))
            refused = self.guard.refuse(asked)
            if isinstance(refused, (Held, Blocked)):
                return refusal(call, refused.message, refused.action)
            run = self.runs.fresh()
        messages = history(request.state, self.messages_key)
        run.catch_up(messages)
        wanted = ToolRequest(call["name"], call["args"], call_key(messages, _id_of(call)))
        message, siblings = open_batch(messages)
        turn = f"{message}@{place_of(config)}" if message else ""
        memo = f"{turn}/{wanted.call_id}"
        if self.batched and turn:
            yield from self.holds.batch(run, request, turn, siblings)
            if memo in run.memory.results:
                return run.memory.results[memo]
        decision = yield from check(run, wanted)
        if isinstance(decision, Held) and not self.batched and self.holds.can_ask(config):
            wanted, decision = yield from self.holds.ask(run, config, wanted, decision)
        elif isinstance(decision, (Allowed, Repaired)) and not self.batched:
            self.holds.replay(run, config, wanted)
        return _ruled(request, run, wanted, decision, memo)

    def _execute(self, admitted: _Admitted, handler: Callable[[Any], Any]) -> Steps[Any]:
        session, key, request = admitted.run.session, admitted.key, admitted.request
        try:
            with inside(self.guard, session):
                result = yield Step(lambda: handler(request), lambda: handler(request))
        except GraphBubbleUp:
            raise
        except BaseException as error:
            fault = error
            admitted.run.memory.first(key)
            yield Step(
                lambda: session.settle(key, error=fault), lambda: session.asettle(key, error=fault)
            )
            raise
        if is_refusal(result):  # the seal refused changed arguments
            return result
        try:
            admitted.run.memory.first(key)
            output = output_of(result)
            yield Step(lambda: session.settle(key, output), lambda: session.asettle(key, output))
            result = tainted(result, key)
        except Exception:
            log.exception("the output of a call could not be recorded and is withheld")
            text = f"{request.tool_call['name']}: executed, but its result is withheld."
            result = refusal(request.tool_call, text, "withhold")
        if self.batched and not admitted.memo.startswith("/"):
            admitted.run.memory.keep(admitted.memo, result)
        return result


def _id_of(call: Mapping[str, Any]) -> str:
    if not call.get("id"):
        raise ConfigurationError("a tool call without an id cannot be followed")
    return str(call["id"])


def _opaque(call: Any) -> ToolMessage:
    name = call.get("name", "tool") if isinstance(call, Mapping) else "tool"
    return refusal(call, f"{name}: not executed. Do not retry; tell the user.")


def _ruled(request: Any, run: Run, wanted: ToolRequest, decision: Decision, memo: str) -> Any:
    """Turn a decision into the request to run or the refusal to show."""
    match decision:
        case Allowed():  # as it is, also where an error in shadow mode left nothing to read
            arguments = wanted.arguments
        case Repaired():
            arguments = decision.arguments
        case Held() | Blocked():
            return refusal(request.tool_call, decision.message, decision.action)
    call = request.tool_call
    if arguments != call["args"]:
        call = {**call, "args": arguments}
    changes: dict[str, Any] = {"tool_call": call}
    if request.tool is not None:
        key = str(wanted.call_id)
        changes["tool"] = sealed(request.tool, call["args"], run.session, key)
    return _Admitted(run, str(wanted.call_id), memo, request.override(**changes))

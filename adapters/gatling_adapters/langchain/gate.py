"""One tool call through the guard: the logic shared by the middleware and the ToolNode wrappers.

Nothing of ours may let a call through by breaking: an exception in this file is a refusal. The
exceptions of LangGraph's control flow and those of the tool itself pass as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from langchain_core.messages import BaseMessage, ToolMessage
from langgraph.errors import GraphBubbleUp

from gatling_adapters.langchain.commands import tainted
from gatling_adapters.langchain.holds import Holds, OnHold, check, place
from gatling_adapters.langchain.messages import (
    call_key,
    history,
    is_ambiguous,
    is_refusal,
    open_batch,
    refusal,
)
from gatling_adapters.langchain.outputs import fingerprint, output_of
from gatling_adapters.langchain.runs import OUTSIDE, Run, Runs, inside, place_of
from gatling_adapters.langchain.seal import sealed
from gatling_adapters.langchain.steps import Step, Steps
from gatling_adapters.langchain.toolspecs import Registrar
from gatling_guard import (
    Allowed,
    Blocked,
    ConfigurationError,
    Decision,
    GatlingError,
    Guard,
    Held,
    Repaired,
    Session,
    ToolRequest,
)

log = logging.getLogger("gatling_guard.langchain")


class _Admitted:
    """A call that may run, and where its outcome belongs."""

    __slots__ = ("again", "key", "memo", "request", "run")

    def __init__(self, run: Run, key: str, memo: str, request: Any) -> None:
        self.run, self.key, self.memo, self.request = run, key, memo, request
        self.again: tuple[str, ToolRequest, Decision] | None = None


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
        self.guard, self.registrar = guard, Registrar(guard, allowed=register)
        self.batched, self.messages_key = batched, messages_key
        self.holds = Holds(guard, on_hold)
        self.runs = Runs(guard, session, role)

    # ---------------------------------------------------------------- what is known beforehand

    def observe(
        self, config: Mapping[str, Any] | None, state: Any, system: str | None, tools: Any
    ) -> None:
        """Before a model call. A failure here costs authority, so it makes the guard stricter."""
        try:
            self.learn(tools)
            run = self.runs.find(config, state)
            if run is not None:
                run.catch_up(history(state, self.messages_key), system)
        except Exception:
            log.exception("the messages before a model call could not be read")

    def learn(self, tools: Any) -> None:
        """Register the tools that the application itself gave the agent.

        One that cannot be is refused when it is called; the others may run.
        """
        for tool in tools or ():
            try:
                self.registrar.learn(tool)
            except GatlingError as error:
                log.warning("a tool could not be registered: %s", error)

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
            with outcome.run.memory.flight(outcome.memo):
                return (yield from self._execute(outcome, handler))
        return outcome

    def _admit(self, request: Any) -> Steps[Any]:
        """An `_Admitted`, or what to answer instead of running the tool."""
        call, config = request.tool_call, getattr(request.runtime, "config", None)
        messages = history(request.state, self.messages_key)
        key = call_key(messages, _id_of(call))
        wanted = ToolRequest(call["name"], deepcopy(call["args"]), key)
        self.learn(getattr(request.runtime, "tools", None))
        try:
            self.registrar.learn(request.tool)
            run = self._run(request, messages)
        except GatlingError as error:
            log.warning("a call of %s was refused: %s", call["name"], error)
            refused = self.guard.refuse(wanted, str(error))
            if isinstance(refused, (Held, Blocked)):
                return refusal(call, refused.message, refused.action)
            run = self.runs.fresh()
        run.catch_up(messages)
        message, siblings = open_batch(messages)
        memo = ""
        if self.batched and message:
            turn = f"{message}@{place_of(config)}"
            memo = f"{turn}/{wanted.call_id}"
            self.holds.batch(run, request, turn, siblings)
            yield from run.memory.landed(memo)
            if memo in run.memory.results:
                return run.memory.results[memo]
        where = place(config, wanted)
        granted = run.memory.granted.pop(where, None)
        wanted, decision = granted or (wanted, (yield from check(run, wanted)))
        if isinstance(decision, Held) and not self.batched and self.holds.can_ask(config):
            wanted, decision = yield from self.holds.ask(run, config, wanted, decision)
        elif isinstance(decision, (Allowed, Repaired)) and not self.batched:
            self.holds.replay(run, config, wanted)
        admitted = _ruled(request, run, wanted, decision, memo)
        if isinstance(admitted, _Admitted) and getattr(decision, "approved_by", None):
            admitted.again = (where, wanted, decision)
        return admitted

    def _run(self, request: Any, messages: list[BaseMessage]) -> Run:
        """The run that the call belongs to.

        Raises:
            GatlingError: it cannot be told, or the call cannot be told from another one.
        """
        run = self.runs.find(getattr(request.runtime, "config", None), request.state)
        if run is None:
            raise ConfigurationError(OUTSIDE)
        if is_ambiguous(messages, _id_of(request.tool_call)):
            raise ConfigurationError("two calls of one turn have the same id")
        return run

    def _execute(self, admitted: _Admitted, handler: Callable[[Any], Any]) -> Steps[Any]:
        session, key, request = admitted.run.session, admitted.key, admitted.request
        try:
            with inside(self.guard, session):
                result = yield Step(lambda: handler(request), lambda: handler(request))
        except GraphBubbleUp:  # it will be called again, under the same approval
            if admitted.again is not None:
                where, wanted, decision = admitted.again
                admitted.run.memory.granted[where] = (wanted, decision)
            raise
        except BaseException as error:
            fault = error
            admitted.run.memory.hear(key, "")
            yield Step(
                lambda: session.settle(key, error=fault), lambda: session.asettle(key, error=fault)
            )
            raise
        if is_refusal(result, request.tool_call["name"]):  # the seal refused changed arguments
            return result
        try:
            admitted.run.memory.hear(key, fingerprint(result, request.tool_call["id"]))
            output = output_of(result)
            yield Step(lambda: session.settle(key, output), lambda: session.asettle(key, output))
            result = tainted(result, key, self.messages_key)
        except Exception:
            log.exception("the output of a call could not be recorded and is withheld")
            text = f"{request.tool_call['name']}: executed, but its result is withheld."
            result = refusal(request.tool_call, text, "withhold")
        if admitted.memo:
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
    # Copies: whoever holds the message or the request must not reach what is decided on and runs.
    changes: dict[str, Any] = {"tool_call": {**request.tool_call, "args": deepcopy(arguments)}}
    if request.tool is not None:
        changes["tool"] = sealed(request.tool, arguments, run.session, str(wanted.call_id))
    return _Admitted(run, str(wanted.call_id), memo, request.override(**changes))

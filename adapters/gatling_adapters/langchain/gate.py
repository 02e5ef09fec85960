"""One tool call through the guard: the logic shared by the middleware and the ToolNode wrappers.

Nothing of ours may let a call through by breaking: an exception in this file is a refusal. The
exceptions of LangGraph's control flow and those of the tool itself pass as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.errors import GraphBubbleUp
from langgraph.types import interrupt

from gatling_adapters.langchain.answers import question, read_answer
from gatling_adapters.langchain.holds import answer_all, carry_out, check
from gatling_adapters.langchain.messages import (
    call_key,
    history,
    is_refusal,
    open_batch,
    output_of,
    refusal,
    tainted,
)
from gatling_adapters.langchain.runs import Batch, Run, Runs
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

OnHold: TypeAlias = Literal["interrupt", "refuse"]
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
        if on_hold not in ("interrupt", "refuse"):
            raise ConfigurationError(f"on_hold must be 'interrupt' or 'refuse', not {on_hold!r}")
        self.guard, self.on_hold, self.register = guard, on_hold, register
        self.batched, self.messages_key = batched, messages_key
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

    def _known(self, calls: list[ToolRequest]) -> list[ToolRequest]:
        """Calls of registered tools. Another tool may be registered by its own call, or never."""
        return [call for call in calls if self.guard.spec(call.name) is not None]

    def propose(self, config: Mapping[str, Any] | None, state: Any) -> Steps[None]:
        """After a model call: the whole parallel batch, once. `check` remains the gate."""
        try:
            run = self.runs.find(config, state)
            _, calls = open_batch(history(state, self.messages_key))
            calls = self._known(calls)
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
            refused = self.guard.refuse(asked, "no session for this run")
            if isinstance(refused, (Held, Blocked)):
                return refusal(call, refused.message, refused.action)
            run = self.runs.fresh()
        messages = history(request.state, self.messages_key)
        run.catch_up(messages)
        wanted = ToolRequest(call["name"], call["args"], call_key(messages, _id_of(call)))
        turn, siblings = open_batch(messages)
        memo = f"{turn}/{wanted.call_id}"
        if self.batched and turn:
            yield from self._batch(run, request, turn, siblings)
            if memo in run.memory.results:
                return run.memory.results[memo]
        decision = yield from check(run, wanted)
        if isinstance(decision, Held) and not self.batched and self._can_ask(config):
            wanted, decision = yield from self._ask(run, wanted, decision)
        elif isinstance(decision, (Allowed, Repaired)):
            self._replay(run, wanted)
        return _ruled(request, run, wanted, decision, memo)

    def _execute(self, admitted: _Admitted, handler: Callable[[Any], Any]) -> Steps[Any]:
        session, key, request = admitted.run.session, admitted.key, admitted.request
        try:
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
        if self.batched and admitted.memo[0] != "/":
            admitted.run.memory.keep(admitted.memo, result)
        return result

    # ---------------------------------------------------------------- holds

    def _can_ask(self, config: Mapping[str, Any] | None) -> bool:
        """A hold needs somebody to ask and a checkpoint to come back to."""
        configurable = (config or {}).get("configurable") or {}
        return self.on_hold == "interrupt" and bool(configurable.get("__pregel_checkpointer"))

    def _ask(
        self, run: Run, wanted: ToolRequest, held: Held
    ) -> Steps[tuple[ToolRequest, Decision]]:
        """Put one held call to a person; runs again from the start when they answered."""
        shown = question(held)
        run.memory.asked[str(wanted.call_id)] = shown
        answer = read_answer(interrupt(shown), held.hold_id)
        return (yield from carry_out(run, wanted, held, answer))

    def _replay(self, run: Run, wanted: ToolRequest) -> None:
        """A tool that interrupts by itself makes LangGraph run this call again from the start.

        LangGraph gives answers out by order, so our question must be put again, or the tool would
        be given the answer to it.
        """
        shown = run.memory.asked.get(str(wanted.call_id))
        if shown is not None and not self.batched:
            interrupt(shown)

    def _batch(self, run: Run, request: Any, turn: str, calls: list[ToolRequest]) -> Steps[None]:
        """Ask about all holds of a batch before any of its calls runs.

        A `ToolNode` runs its calls side by side and, on resume, all of them again. So every call
        first proposes the whole batch, and the first of them asks for all: nobody runs until the
        answers are there, and nobody asks twice.
        """
        session, memory, calls = run.session, run.memory, self._known(calls)
        decisions = yield Step(lambda: session.propose(calls), lambda: session.apropose(calls))
        held = {d.hold_id: (c, d) for c, d in zip(calls, decisions, strict=True)
                if isinstance(d, Held)}  # fmt: skip
        if (not held and turn not in memory.batches) or not self._can_ask(request.runtime.config):
            return
        with memory.lock:  # nothing below yields, so this is safe in async code too
            batch = memory.batches.setdefault(
                turn, Batch([question(found) for _, found in held.values()])
            )
            if batch.execution is request.state:
                return
            value = interrupt({"type": "gatling_holds", "holds": batch.payload})
            batch.execution = request.state
            if not batch.applied:
                batch.applied = True
                answer_all(run, held, value)


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

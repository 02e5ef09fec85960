"""Session: one run of one agent for one user."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, TypeVar

from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repair, Repaired
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.pipeline import (
    SPARE,
    Approval,
    DeadlineExceeded,
    Lesson,
    Monitor,
    Record,
    Result,
    SessionState,
    Ticket,
    ToolRequest,
    Work,
    answered,
    answered_grant,
    as_shown,
    caused,
    decision_body,
    error_text,
    grant_body,
    is_late,
    opaque_code,
    outcome_body,
    output_value,
    recast,
    repaired_step,
    rule_facts,
    slim,
    stopped,
    taken_offer,
    trimmed,
    warm_up,
)
from gatling_guard.plan import ExecutionPlan, Provenance
from gatling_guard.policy import AnsweredGrant, Grant, GrantTerms, Policy
from gatling_guard.trace import sensitive_file

T = TypeVar("T")
LOST = "the session was dropped for room, and its history with it"


_NO_ANSWER = re.compile(
    "[Tt]imed?_?[Oo]ut|Time[Ll]imit|Expired|[Cc]onnect|Protocol|Remote|Read|Write|Network"
    "|Transport|Socket|Incomplete|Chunk|Closed|Deadline|Gateway|Unavailable|R[Pp][Cc]|S[Ss][Ll]"
    "|Payload|EOF|Pipe|Abort|Cancel|Interrupt|URLError|HTTP"
)
"""In the name of an error's class: the request went out, and no answer of the tool is known."""
_MAX_CAUSES = 16


def _cut_short(error: BaseException) -> bool:
    """Whether nobody can tell if the tool did its work: a payment that timed out may be made.

    HTTP libraries have time-outs of their own; their names say it, or those of what they wrap.
    """
    seen: list[BaseException] = [error]
    for fault in seen:  # grows while it is walked
        names = (kind.__name__ for kind in type(fault).__mro__)
        if not isinstance(fault, Exception) or any(map(_NO_ANSWER.search, names)):
            return True
        inner = getattr(fault, "exceptions", ())
        for other in (fault.__cause__, fault.__context__, *(inner if type(inner) is tuple else ())):
            if isinstance(other, BaseException) and all(other is not known for known in seen):
                if len(seen) >= _MAX_CAUSES:
                    return True
                seen.append(other)
    return False


def _offer_of(held: Held, wanted: bool, grant: bool | GrantTerms) -> Repair | None:
    """What a person lets run instead of the held call; None where it is the call itself."""
    if wanted and held.offer is None:
        raise ConfigurationError(f"the hold {held.hold_id!r} offers nothing else to run")
    if wanted and grant is not False:
        raise ConfigurationError("a grant is for the call as it was held, not for an offer")
    if not wanted and held.only_offer:
        raise ConfigurationError("this call may not run as it is; approve it with `offer=True`")
    return held.offer if wanted else None


async def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run `function` on another thread without blocking the event loop."""
    import asyncio  # 20 ms that a program without a loop need not pay

    return await asyncio.to_thread(function, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class _Checked:
    """One check that was made."""

    asked: Work
    """The call as it was asked for."""
    runs: Work
    """The call that the decision lets run, or refuses; another one only where it is repaired."""
    decision: Decision
    fresh: bool = True
    """False: the answer to an earlier check."""
    lesson: Lesson | None = None
    """Of the repair that runs or is offered."""


class Session:
    """Calls made in a session share one data-flow graph.

    Thread-safe. `check` never raises; `settle` must be told what every allowed call returned.
    """

    def __init__(self, monitor: Monitor, run_id: str, role: str | None) -> None:
        warm_up()
        self.run_id, self.role = run_id, role
        self._monitor = monitor
        monitor.calibrated.require()
        parts = monitor.learned.parts
        self._closed = False
        self._state = SessionState(
            run_id, literals=monitor.policy.literals(), rivals=parts.rivals() if parts else None,
            latents=parts.latents() if parts else None,
        )  # fmt: skip
        self._state.grants.started = monitor.clock()
        self._lock = threading.RLock()

    def __enter__(self) -> Session:
        """Make this the current session of this thread or task."""
        entered = self._monitor.entered
        entered.set((*entered.get(), self))
        with self._monitor.lock:
            self._monitor.open_sessions += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """Give the previous session back; one that is left altogether is over (`close`)."""
        entered = self._monitor.entered
        before = list(entered.get())
        with self._monitor.lock:
            self._monitor.open_sessions -= 1
        if self in before:  # the last time it was entered in this context
            del before[len(before) - 1 - before[::-1].index(self)]
            entered.set(tuple(before))
        if self not in before:
            self.close()

    async def __aenter__(self) -> Session:
        """As `__enter__`."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """As `__exit__`."""
        self.__exit__(kind, error, trace)

    def close(self) -> None:
        """Say that the task is over: where a calibration is in use, it counts for drift, once.

        Never raises, and forbids nothing: a session that goes on is still guarded.
        """
        self._monitor.keep_lessons()
        with self._lock:
            if self._closed or not self._state.peaks:
                return
            self._closed = True
            peaks, said = dict(self._state.peaks), tuple(self._state.instructions)
        self._monitor.calibrated.served(peaks, said, self._monitor.notary, self.run_id)

    # ------------------------------------------------------------- what is trusted

    def observe(self, *, user: str | None = None, system: str | None = None) -> None:
        """Tell the session what the trusted side said. May be called often; repeats add nothing.

        Args:
            user: a message of the user. Never pass text that came through a tool.
            system: the system prompt.

        Raises:
            ConfigurationError: one of them is not text.
        """
        for name, text in (("user", user), ("system", system)):
            if text is not None and not isinstance(text, str):
                raise ConfigurationError(f"{name} must be text, not {type(text).__name__}")
        with self._lock:
            self._state.observe(user, system)

    # ------------------------------------------------------------- before the tool runs

    def propose(self, calls: Sequence[ToolRequest]) -> tuple[Decision, ...]:
        """Decide a parallel batch once, before any of it runs; `check` then finds the answers.

        What cannot be repaired is refused, and the rest goes on; the refusals say so.
        """
        with self._lock:
            found = [self.check(call) for call in calls]
            if self._monitor.policy.repair.mode == "off" or all(map(stopped, found)):
                return tuple(found)
            return tuple(map(self._with_others, found))

    def _with_others(self, decision: Decision) -> Decision:
        if not isinstance(decision, Blocked) or decision.others:
            return decision
        told = replace(decision, others=True)
        for record in self._state.records.values():
            kept = record.decision
            if isinstance(kept, Blocked) and kept.decision_id == decision.decision_id:
                record.decision = replace(kept, others=True)
        return told

    def check(self, call: ToolRequest) -> Decision:
        """Decide on one call right before it runs. Never raises; fails closed.

        The same call id with the same arguments gets the same answer until it ran; with other
        arguments it is decided again. An approved call is handed out once.
        """
        monitor = self._monitor
        if not isinstance(call, ToolRequest):
            wrong = InputError(f"expected a ToolRequest, not {type(call).__name__}", what="call")
            return monitor.failed(wrong, run_id=self.run_id, request=ToolRequest("tool", {}))
        call_id = None if call.call_id is None else str(call.call_id)
        if not self._lock.acquire(timeout=monitor.deadline):
            busy = DeadlineExceeded("the session was busy")
            return monitor.failed(busy, run_id=self.run_id, request=call, call_id=call_id)
        started: list[Work] = []
        try:
            monitor.refresh()
            policy = monitor.policy
            self._state.name_literals(policy.literals())
            checked = monitor.runner.run(
                lambda ticket: self._decide(ticket, call, call_id, policy, started),
                monitor.deadline,
            )
            if checked.fresh:
                self._commit(checked)
            return checked.decision
        except Exception as error:
            return monitor.failed(
                error, run_id=self.run_id, request=call, call_id=call_id,
                work=started[0] if started else None,
            )  # fmt: skip
        finally:
            self._lock.release()

    def _decide(
        self,
        ticket: Ticket,
        call: ToolRequest,
        call_id: str | None,
        policy: Policy,
        started: list[Work],
    ) -> _Checked:
        """Runs on a helper thread; reads the state, changes nothing but the ledger."""
        state, monitor, began = self._state, self._monitor, time.monotonic()
        work = monitor.work(
            call.name, call.arguments, call_id=call_id or state.next_call_id(),
            run_id=self.run_id, role=self.role, authority=state.authority, index=state.index,
            policy=policy, calls_so_far=len(state.records), blind=state.blind,
            continues=state.continued(str(call.name)), visited=state.visited.__contains__,
            tool_calls_so_far=state.tool_calls.get(str(call.name), 0), grants=state.grants,
            now=monitor.clock(), rivals=state.rivals, plan_latents=state.latents,
            until=began + (1 - SPARE) * monitor.deadline,
        )  # fmt: skip
        started.append(work)
        (_, first), *rest = monitor.stages
        first(work)
        if call_id is None:  # a framework without ids: the same call that waits is the same call
            work.call_id = state.waiting_id(work.name, work.arguments) or work.call_id
        previous = state.records.get(work.call_id)
        work.revision = previous.revision + 1 if previous else 0
        if previous is not None and previous.status == "decided":
            work.reserved = previous.grant
        if state.approvals and work.hold_id in state.approvals:
            work.grants = None  # a person let this very call run: it uses up no grant
        undone = previous.charges if previous and previous.status == "decided" else ()
        work.spent = state.spent.without(undone)
        known = self._remembered(work)
        if known is not None:
            return _Checked(work, work, known, fresh=False)
        for _, stage in rest:
            stage(work)
        if work.decision is None:
            raise ConfigurationError("the stages came to no decision")
        result = self._tried(work, work.decision, began)
        if not ticket.claim():
            raise DeadlineExceeded("abandoned before the receipt was written")
        result = as_shown(answered(result, work, state, monitor), work, state)
        instead = result.decision if isinstance(result.decision, Repaired) else None
        own = result.decision if instead is None or instead.repair is None else work.decision
        decision = monitor.in_mode(own, policy, instead)
        if isinstance(decision, Blocked) and policy.repair.mode != "off":
            decision = replace(decision, others=state.goes_on)
        body = decision_body(decision, role=work.role, work=work)
        if result.note:
            body["unrepaired"] = result.note
        if isinstance(decision, Held):
            body["held_at"] = float(monitor.clock())
        monitor.notary.write(
            "decision", run_id=self.run_id, call_id=work.call_id, body=body,
            ref=decision.hold_id if isinstance(decision, Held) else None, trim=trimmed,
        )  # fmt: skip
        runs = result.work if isinstance(decision, Repaired) else work
        return _Checked(work, runs, decision, lesson=result.lesson)

    def _tried(self, work: Work, decision: Decision, began: float) -> Result:
        """The decision with what a repair, or an offer that was taken, makes of it."""
        taken = taken_offer(work, self._state, self._monitor)
        if taken is not None:
            return taken
        if self._state.approvals and work.hold_id in self._state.approvals:
            return Result(work, decision)  # a person let this very call run
        if isinstance(decision, Allowed):
            return Result(work, decision)  # before all earlier calls are looked through
        earlier = self._state.earlier(work.name, work.call_id)
        return repaired_step(work, decision, self._monitor, began, earlier)

    def _remembered(self, work: Work) -> Decision | None:
        """The earlier answer to the same call, while it still holds."""
        record = self._state.records.get(work.call_id)
        if record is None or record.request_digest != work.argument_digest:
            return None
        decision = record.decision
        if self._outdated(record, work.now):
            return None
        if decision is not None and decision.policy_digest != work.policy.digest:
            return None  # decided under another policy
        if record.spec != work.spec:
            return None  # another tool has taken the name
        if isinstance(decision, Held) and decision.hold_id in self._state.approvals:
            return None
        if isinstance(decision, (Allowed, Repaired)) and (
            decision.approved_by or record.status != "decided" or self._state.blind
        ):
            return None  # an approval is for one execution; what ran is a new call
        return decision

    def _outdated(self, record: Record, now: float) -> bool:
        """Whether a grant that came or went may change the answer."""
        book, grant = self._state.grants, record.grant
        if grant is not None:
            return grant not in book.valid(self._monitor.policy.grants, now)
        return record.grant_changes != book.changes and isinstance(record.decision, Held)

    def _commit(self, checked: _Checked) -> None:
        asked, work, decision = checked.asked, checked.runs, checked.decision
        state, runs = self._state, not stopped(decision)
        for name, risk in (asked.risks if asked.calibration is not None else {}).items():
            state.peaks[name] = max(risk, state.peaks.get(name, 0.0))
        if not runs and len(state.records) > 2 * work.policy.limits.max_calls:
            return  # refused for their number: remembering them would be the damage
        record = Record(
            asked.argument_digest, decision if runs else slim(decision), work.spec,
            self._output_floor(work), "decided" if runs else "refused", revision=work.revision,
            caused=runs and caused(work, decision),
            sensitive=any(leaf.sensitive or sensitive_file(leaf.value) for leaf in work.lineage),
            grant=work.grant if runs else None,
            grant_changes=state.grants.changes,
            charges=work.charges if runs else (),
        )  # fmt: skip
        state.add(work.call_id, record, decision.call if runs else None, work.edges)
        if runs:
            state.visit(work.spec, work.lineage)
        if record.caused:
            state.caused.append(work.call_id)
        if runs:
            self._remember_sent(work)
        if isinstance(decision, Held):
            state.pending[decision.hold_id] = decision
            if decision.offer is not None:
                state.offered.setdefault(decision.hold_id, decision.offer)
            if checked.lesson is not None:
                state.lessons[decision.hold_id] = checked.lesson
        elif state.pending or state.approvals:
            state.pending.pop(asked.hold_id, None)
            state.approvals.pop(asked.hold_id, None)
            state.lessons.pop(asked.hold_id, None)
        if isinstance(decision, Repaired):
            self._monitor.lessons.learn(checked.lesson)

    def _output_floor(self, work: Work) -> Provenance:
        """What a call returns is no better than what it worked on, nor what it reads by name."""
        return max(work.floor, self._monitor.objects.tier(work.arguments))

    def _remember_sent(self, work: Work) -> None:
        self._state.index.sent(work.lineage)
        if self._state.latents is not None and work.call is not None:
            self._state.latents.append(work.call, work.edges, work.spec, work.lineage)
        self._monitor.objects.wrote(work.spec, work.arguments, work.floor)

    # ------------------------------------------------------------- holds

    @property
    def held(self) -> tuple[Held, ...]:
        """Holds that nobody has answered yet."""
        with self._lock:
            return tuple(self._state.pending.values())

    def approve(
        self, hold_id: str, *, by: str, expires_in: float | None = None,
        grant: bool | GrantTerms = False, offer: bool = False,
    ) -> AnsweredGrant | None:  # fmt: skip
        """A person lets a held call run once, with exactly the arguments that were shown.

        The call still has to be checked again; hard rules are not cleared by an approval.

        Args:
            hold_id: from the `Held` decision.
            by: who decided; recorded.
            expires_in: seconds; the policy's `hold_expires_s` by default.
            grant: also let the very text that directed this call direct further ones, for the
                rest of the session: the same tool and effect, to the same recipients, amounts up
                to those held, or what the `GrantTerms` say instead.
            offer: let what the hold offers run instead, exactly as it was shown; the next check of
                the same call is then `Repaired`, and the call itself never runs.

        Returns:
            The grant, where one was wanted.

        Raises:
            ConfigurationError: no such hold is waiting in this session, it has expired, or
                nothing can be granted for it (a rule holds such calls; the source is not known);
                or nothing is offered, or only an offer may run, or a grant is wanted with one.
            LedgerError: the answer could not be recorded; nothing changed.
        """
        with self._lock:
            now = self._monitor.clock()
            held = self._state.pending.get(hold_id)
            if held is not None and is_late(held, self._state, now):
                raise ConfigurationError(f"the hold {hold_id!r} has expired")
            taken = _offer_of(held, offer, grant) if held is not None else None
            given = self._granted(held, grant, by, now) if held is not None else None
            held = self._answer("approval", hold_id, by, taken)
            if given is not None:
                self._note("grant", given, by, held)
                self._state.grants.add(given)
            seconds = held.expires_in if expires_in is None else expires_in
            self._state.approvals[hold_id] = Approval(by, now + seconds, taken)
            return given

    def _granted(
        self, held: Held, wanted: bool | GrantTerms, by: str, now: float
    ) -> AnsweredGrant | None:
        if wanted is False:
            return None
        if wanted is not True and not isinstance(wanted, GrantTerms):
            raise ConfigurationError(f"grant is True, False or GrantTerms, not {wanted!r}")
        state, terms = self._state, GrantTerms() if wanted is True else wanted
        return answered_grant(
            held, self._monitor.spec(held.tool_name), terms, by=by, now=now, index=state.index,
            sources=state.grants.sources,
        )  # fmt: skip

    def _note(self, kind: str, grant: Grant, by: str, held: Held | None = None) -> None:
        call = held.call if held else None
        self._monitor.notary.write(
            kind, run_id=self.run_id, call_id=call.node_id if call else None,
            body={**grant_body(grant, call.arguments if call else None), "by": by,
                  "tool": held.tool_name if held else ""},
            ref=held.hold_id if held else None,
        )  # fmt: skip

    @property
    def grants(self) -> tuple[Grant, ...]:
        """The grants that count now: the policy's, then those that answers made."""
        with self._lock:
            monitor = self._monitor
            return self._state.grants.valid(monitor.policy.grants, monitor.clock())

    def revoke(self, grant: Grant, *, by: str) -> None:
        """Take a grant back for this session.

        Calls that it let through but that did not run yet are decided again.

        Raises:
            ConfigurationError: it does not count in this session.
            LedgerError: it could not be recorded; nothing changed.
        """
        with self._lock:
            if grant not in self.grants:
                raise ConfigurationError("this session has no such grant")
            self._note("revocation", grant, by)
            self._state.grants.revoke(grant)

    def deny(self, hold_id: str, *, by: str) -> None:
        """A person refuses a held call.

        Raises:
            ConfigurationError: no such hold is waiting in this session.
            LedgerError: the answer could not be recorded; the call stays held.
        """
        with self._lock:
            held = self._answer("denial", hold_id, by)
            code = opaque_code(held.decision_id)
            blocked = recast(Blocked, held, code=code, why=f"hold.denied: by {by}")
            for record in self._state.records.values():
                if record.decision is held:
                    record.decision = blocked
            del self._state.pending[hold_id]
            self._state.approvals.pop(hold_id, None)
            self._state.lessons.pop(hold_id, None)

    def _answer(self, kind: str, hold_id: str, by: str, taken: Repair | None = None) -> Held:
        held = self._state.pending.get(hold_id)
        if held is None:
            raise ConfigurationError(f"no call is held under {hold_id!r} in this session")
        self._monitor.notary.write(
            kind, run_id=self.run_id, call_id=held.call.node_id if held.call else None,
            body={"tool": held.tool_name, "by": by, "offer": taken is not None}, ref=hold_id,
        )  # fmt: skip
        return held

    # ------------------------------------------------------------- after the tool ran

    def settle(
        self, call_id: str, output: object = None, *, error: BaseException | None = None
    ) -> None:
        """Tell the session what a call returned. Never raises.

        What is not understood makes the session blind: from then on nothing that changes state
        is allowed. The output of a refused call is no call's result; it taints all the same.
        """
        call_id = str(call_id)  # as `check` stores it
        with self._lock:
            record = self._state.records.get(call_id)
            refused = record is not None and record.status == "refused"
            refusal = getattr(record and record.decision, "message", None)
            if refused and isinstance(output, str) and output == refusal:
                return  # some frameworks report our own refusal back
            if record is None or refused:
                record = Record("", None, None, Provenance.PUBLIC)
                if not refused:
                    self._state.add(call_id, record, None, ())
            if error is not None and record.status == "decided" and not _cut_short(error):
                self._state.give_back(record)
            record.status = "failed" if error is not None else "ran"
            body = self._taken(call_id, record, output, error)
            self._monitor.notary.write_later(
                "outcome", run_id=self.run_id, call_id=call_id, body=body
            )

    def _taken(
        self, call_id: str, record: Record, output: object, error: BaseException | None
    ) -> dict[str, Any]:
        try:
            shown = output if error is None else error_text(error)
            self._state.take_output(call_id, record, shown)
            return outcome_body(output, error)
        except BaseException as fault:  # an output's own code may raise anything
            name = type(fault).__name__
            self._state.blind = f"the output of {call_id} was not understood: {name}"
            if isinstance(fault, KeyboardInterrupt):
                raise
            return {"status": "not understood", "error": name}

    def adopt(self, call: ToolRequest, output: object = None) -> None:
        """Record a call that ran earlier, when a session is rebuilt from a message history.

        A session that was dropped for room and is asked for again acts only after its history
        was adopted.
        """
        with self._lock:
            state = self._state
            call_id = state.next_call_id() if call.call_id is None else str(call.call_id)
            if state.blind == LOST:
                state.blind = ""
            if call_id in state.records:
                return
            try:
                work = self._monitor.work(
                    call.name, output_value(call.arguments) or {}, call_id=call_id,
                    run_id=self.run_id, role=self.role, authority=state.authority,
                    index=state.index,
                )  # fmt: skip
                for name, stage in self._monitor.stages:
                    if name in ("canonicalise", "provenance", "plan"):
                        stage(work)
                charges = rule_facts(work).charges
            except Exception as fault:
                state.blind = f"the history of {call_id} was not understood: {fault}"[:500]
                return
            record = Record(
                work.argument_digest, None, work.spec, self._output_floor(work), "ran",
                charges=charges,
            )  # fmt: skip
            state.add(call_id, record, work.call, work.edges)
            self._remember_sent(work)
            self.settle(call_id, output)

    def lose_history(self) -> None:
        """Mark a session that takes the place of one that was dropped."""
        self._state.blind = LOST

    # ------------------------------------------------------------- looking

    def knows(self, call_id: str) -> bool:
        """Whether a call with this id ran in this session."""
        with self._lock:
            record = self._state.records.get(str(call_id))
            return record is not None and record.status in ("ran", "failed")

    @property
    def mode(self) -> str:
        """Which parts decide: the exact structure, and which learned ones beside it."""
        return self._monitor.mode

    @property
    def has_outputs(self) -> bool:
        """Whether anything came back yet that later calls could depend on."""
        return any(r.status in ("ran", "failed") for r in self._state.records.values())

    @property
    def plan(self) -> ExecutionPlan:
        """The plan so far: calls that were allowed, and the data flow between them.

        Raises:
            PlanError: there is no such call yet.
        """
        with self._lock:
            return self._state.snapshot()

    # ------------------------------------------------------------- async twins

    async def aobserve(self, *, user: str | None = None, system: str | None = None) -> None:
        """As `observe`."""
        self.observe(user=user, system=system)

    async def apropose(self, calls: Sequence[ToolRequest]) -> tuple[Decision, ...]:
        """As `propose`, without blocking the event loop."""
        return await in_thread(self.propose, calls)

    async def acheck(self, call: ToolRequest) -> Decision:
        """As `check`, without blocking the event loop."""
        return await in_thread(self.check, call)

    async def asettle(
        self, call_id: str, output: object = None, *, error: BaseException | None = None
    ) -> None:
        """As `settle`, without blocking the event loop."""
        await in_thread(self.settle, call_id, output, error=error)

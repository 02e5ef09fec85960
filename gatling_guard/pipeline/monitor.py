"""The reference monitor: what every check of one guard shares."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gatling_guard.catalog import Catalog, ToolSpec, declare, infer_profile
from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repaired
from gatling_guard.energy import Composite
from gatling_guard.pipeline.calibrated import Calibrated
from gatling_guard.pipeline.deadline import DeadlineRunner
from gatling_guard.pipeline.learned import Learned
from gatling_guard.pipeline.lessons import Lessons
from gatling_guard.pipeline.notary import Notary
from gatling_guard.pipeline.stages import Stage, Work, opaque_code
from gatling_guard.pipeline.state import ToolRequest
from gatling_guard.plan import ExecutionPlan, Provenance, ToolCall, digest
from gatling_guard.policy import Policy, PolicyFile
from gatling_guard.trace import Authority, LineageIndex, ObjectTaint

if TYPE_CHECKING:
    from gatling_guard.session import Session


def _entered() -> ContextVar[tuple[Session, ...]]:
    return ContextVar("gatling_guard_sessions", default=())


@dataclass
class Monitor:
    """Policy, tools, stages, deadline and receipts. Safe to share by threads."""

    policy: Policy
    catalog: Catalog
    notary: Notary
    shadow: bool | None
    """None: as the policy says."""
    clock: Callable[[], float]
    composite: Composite
    stages: tuple[tuple[str, Stage], ...]
    runner: DeadlineRunner = field(default_factory=DeadlineRunner)
    entered: ContextVar[tuple[Session, ...]] = field(default_factory=_entered)
    """Sessions entered in this thread or task, innermost last. One variable per guard, so that
    two guards in one program do not mix."""
    objects: ObjectTaint = field(default_factory=ObjectTaint)
    """What untrusted content was written to, in any session."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    open_sessions: int = 0
    """Sessions entered at this moment in any thread or task."""
    watched: PolicyFile | None = None
    """Where a newer policy may be found."""
    learned: Learned = field(default_factory=Learned)
    """Loaded by the first session."""
    calibrated: Calibrated = field(default_factory=Calibrated)
    """The user's own thresholds for them."""
    lessons: Lessons = field(default_factory=Lessons)
    """Repairs that helped before."""
    _specs: dict[tuple[int, str, str], ToolSpec | None] = field(default_factory=dict)

    @property
    def deadline(self) -> float:
        """Seconds one check may take."""
        return self.policy.limits.deadline_ms / 1000

    @property
    def mode(self) -> str:
        """For people: which parts decide.

        Raises:
            ConfigurationError: a file of a learned part is damaged, or the calibration is of
                others.
        """
        return self.calibrated.mode(self.policy.digest, self.catalog)

    def refresh(self) -> None:
        """Take over the watched policy where it has changed. Never raises.

        A broken one changes nothing; the fault is recorded.
        """
        if self.watched is None:
            return
        try:
            if (found := self.watched.look()) is not None:
                self.adopt(found)
        except Exception as error:
            self.refused(error)

    def adopt(self, policy: Policy) -> None:
        """Put a policy in force for every check that starts from now on."""
        before, self.policy = self.policy, policy
        body = {"policy": policy.digest, "before": before.digest}
        self.notary.write_later("policy", run_id="-", call_id=None, body=body)

    def keep_lessons(self) -> None:
        """Write the memory of repairs where it has a file. Never raises; a fault is recorded."""
        try:
            self.lessons.save()
        except OSError as error:
            body = {"error": f"repairs not saved: {type(error).__name__}: {error}"[:20_000]}
            self.notary.write_later("error", run_id="-", call_id=None, body=body)

    def refused(self, error: Exception) -> None:
        """Record that a new policy cannot be used; the old one stays in force."""
        text = f"policy not reloaded: {type(error).__name__}: {error}"[:20_000]
        body = {"error": text, "policy": self.policy.digest}
        self.notary.write_later("error", run_id="-", call_id=None, body=body)

    def spec(self, name: object, policy: Policy | None = None) -> ToolSpec | None:
        """The tool as policy and catalog together describe it, or None when nobody knows it."""
        if not isinstance(name, str):
            return None
        policy = policy or self.policy
        key = (self.catalog.generation, policy.digest, name)
        if key not in self._specs:
            if len(self._specs) > 4096:  # names come from the model: keep it bounded
                self._specs.clear()
            self._specs[key] = self._resolve(name, policy)
        return self._specs[key]

    def _resolve(self, name: str, policy: Policy) -> ToolSpec | None:
        spec = self.catalog.get(name)
        declared = policy.declared_profile(spec.name if spec else name)
        if spec is None and name in policy.tools and not set("*?") & set(name):
            spec = ToolSpec(name, profile=infer_profile(name))
        if spec is not None and declared:
            spec = replace(spec, profile=declare(spec.profile, **declared))
        return spec

    def authority(
        self, instructions: Sequence[str], system: Sequence[str] = (), *, policy: Policy
    ) -> Authority:
        """What the trusted side said, the values named by the policy included."""
        return Authority.of(instructions, system, policy.literals())

    def work(
        self, name: Any, arguments: Any, *, call_id: str, run_id: str, role: str | None,
        authority: Authority, index: LineageIndex, policy: Policy | None = None, **counts: Any,
    ) -> Work:  # fmt: skip
        """One check, ready for its first stage; `counts` are further fields of `Work`.

        It uses one policy from start to end, whatever is put in force meanwhile.
        """
        policy = policy or self.policy
        named = policy.digest, self.catalog
        return Work(
            name, arguments, call_id, run_id, role or policy.default_role, policy,
            self.spec(name, policy), authority, index, self.composite,
            inside=policy.boundary.inside, bind=self.notary.ledger.bind,
            learned=self.learned.parts, unlearned=self.learned.missing,
            calibration=self.calibrated.serving(*named),
            uncalibrated=self.calibrated.unused(*named), **counts,
        )  # fmt: skip

    def in_mode(
        self, decision: Decision, policy: Policy, instead: Repaired | None = None
    ) -> Decision:
        """In shadow mode everything runs, and `would` says what would have been decided.

        Args:
            decision: on the call, or plan, as it came.
            policy: which may say the mode.
            instead: the repair of it that runs outside of shadow mode.
        """
        if not (policy.mode == "shadow" if self.shadow is None else self.shadow):
            return decision if instead is None else instead
        would = instead or (None if isinstance(decision, Allowed) else decision)
        return recast(Allowed, decision, mode="shadow", would=would)

    def failed(
        self, error: BaseException, *, run_id: str, request: ToolRequest | None = None,
        call_id: str | None = None, plan: ExecutionPlan | None = None, work: Work | None = None,
    ) -> Decision:  # fmt: skip
        """Fail closed: a `Blocked` with an opaque code, and the whole truth in the ledger.

        Only a policy that says so (`on_error.allow_up_to_privilege`) lets a known tool of low
        privilege run in spite of a fault, and only once the rules had been passed (`work`): a
        call must not get around a rule by making the check slow.
        """
        text = f"{type(error).__name__}: {error}"[:20_000].encode("utf-8", "replace").decode()
        call = _unread(request, call_id) if request is not None else None
        shown = call.tool_name if call else "plan"
        policy = work.policy if work is not None else self.policy
        decision_id = digest(["error", run_id, call_id, shown, text, self.clock()])[:32]
        common: dict[str, Any] = {
            "decision_id": decision_id, "plan": plan, "policy_digest": policy.digest,
            "call": call, "reasons": (f"guard.error: {text}",),
        }  # fmt: skip
        decision: Decision = Blocked(**common, code=opaque_code(decision_id))
        if work is not None and not self._blocks_on_error(work):
            decision = Allowed(**common)
        decision = self.in_mode(decision, policy)
        body = {"decision_id": decision_id, "tool": shown, "action": decision.action,
                "error": text, "mode": decision.mode}  # fmt: skip
        self.notary.write_later("error", run_id=run_id, call_id=call_id, body=body)
        return decision

    def _blocks_on_error(self, work: Work) -> bool:
        if work.spec is None or not work.ruled or any(f.action != "note" for f in work.findings):
            return True
        if work.decision is not None and not isinstance(work.decision, Allowed):
            return True  # it was decided, and only what came after took too long or failed
        return work.policy.on_error.blocks(work.spec.profile.privilege)


def _unread(request: ToolRequest, call_id: str | None) -> ToolCall:
    """A stand-in for a call that was not understood, with its arguments as they came."""
    name = request.name if isinstance(request.name, str) and request.name else "tool"
    return ToolCall.model_construct(
        node_id=call_id or "?", tool_name=name[:256].encode("utf-8", "replace").decode(),
        arguments=request.arguments if isinstance(request.arguments, dict) else {},
        provenance_tier=Provenance.PUBLIC, scope_level=10, volume=None, sensitivity=None,
    )  # fmt: skip


def recast(
    kind: type[Allowed] | type[Blocked] | type[Held] | type[Repaired], decision: Decision, *,
    why: str = "", **fields: Any,
) -> Decision:  # fmt: skip
    """The same findings as another kind of decision."""
    return kind(
        **{
            "decision_id": decision.decision_id, "call": decision.call, "plan": decision.plan,
            "energy": decision.energy, "risks": decision.risks, "findings": decision.findings,
            "lineage": decision.lineage, "policy_digest": decision.policy_digest,
            "parts": decision.parts, "mode": decision.mode,
            "reasons": (why, *decision.reasons) if why else decision.reasons, **fields,
        }
    )  # fmt: skip

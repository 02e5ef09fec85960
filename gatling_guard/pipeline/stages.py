"""The stages of one check, in order. Each is a plain function that fills in a `Work`.

canonicalise -> provenance -> plan -> rules -> attribution -> energy -> decide

They only read the session's state; what they found is committed by the session afterwards, so a
stage that hangs or fails leaves nothing half-done behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from gatling_guard.catalog import ToolSpec
from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repaired
from gatling_guard.energy import Composite, Energy, EnergyFacts
from gatling_guard.errors import InputError
from gatling_guard.pipeline.grants import GrantBook
from gatling_guard.pipeline.learned import LearnedParts, attribution, with_learned
from gatling_guard.plan import Edge, Provenance, ToolCall, digest, to_json
from gatling_guard.policy import Grant, Policy
from gatling_guard.rules import Charge, Finding, RuleFacts, Spent, apply_rules
from gatling_guard.trace import Authority, Lineage, LineageIndex

if TYPE_CHECKING:
    from gatling_guard.energy.attribution import Attribution
    from gatling_guard.energy.calibration import ToolsetCalibration
    from gatling_guard.pipeline.latents import PlanLatents
    from gatling_guard.pipeline.rivals import RivalIndex

VERSION = "structure-1"
"""Version of the decision logic; part of every decision id, as are the learned parts."""


@dataclass
class Work:
    """One check on its way through the stages."""

    name: Any
    raw_arguments: Any
    call_id: str
    run_id: str
    role: str | None
    policy: Policy
    spec: ToolSpec | None
    authority: Authority
    index: LineageIndex
    composite: Composite
    calls_so_far: int = 0
    tool_calls_so_far: int = 0
    """Calls of the same tool that were not refused."""
    blind: str = ""
    visited: Callable[[str], bool] = lambda host: False
    """See `EnergyFacts.visited`."""
    continues: str = ""
    """See `EnergyFacts.continues`."""
    inside: Callable[[str], bool] = lambda value: False
    bind: Callable[[str], str] = digest
    """MAC under the ledger's key, see `Ledger.bind`."""
    revision: int = 0
    """How often this call id was decided before, with other arguments or another answer."""
    grants: GrantBook | None = None
    """None where nothing ran yet, as for a whole plan: a grant needs the output it is about."""
    reserved: Grant | None = None
    """The grant that an earlier decision on this call id reserved and that it gives back."""
    now: float = 0.0
    """By the guard's clock."""
    spent: Spent = field(default_factory=Spent)
    """What the session took from its budgets, without an earlier decision on this call."""
    learned: LearnedParts | None = None
    """None: the exact structure decides alone."""
    rivals: RivalIndex | None = None
    """What learned parts compare the call with."""
    plan_latents: PlanLatents | None = None
    """The session's plan as the encoders have it, where they are on."""
    unlearned: str = ""
    """Why there are no learned parts, where some were wanted."""
    calibration: ToolsetCalibration | None = None
    """The user's own thresholds of learned risks; None: the shipped ones."""
    uncalibrated: str = ""
    """Why a calibration that was given is not in use."""
    until: float = inf
    """By `time.monotonic`: from then on nothing that takes long is begun."""
    # filled in by the stages
    arguments: dict[str, Any] = field(default_factory=dict)
    call: ToolCall | None = None
    lineage: tuple[Lineage, ...] = ()
    edges: tuple[Edge, ...] = ()
    floor: Provenance = Provenance.INTERNAL
    findings: tuple[Finding, ...] = ()
    ruled: bool = False
    """The hard rules have had their say."""
    grant: Grant | None = None
    """What allows the untrusted values of this call. It clears shares of the score, no rule."""
    charges: tuple[Charge, ...] = ()
    """What the call takes from budgets once it is let through."""
    attribution: Attribution | None = None
    hurried: bool = False
    """The precise scorer was wanted, and there was no time for it."""
    energy: Energy = field(default_factory=Energy)
    risks: dict[str, float] = field(default_factory=dict)
    """What the learned heads said, by name: the risks that became energy."""
    asked: bool = True
    """The user asked for such an effect on such a thing, or delegated."""
    undoable: bool = False
    """See `EnergyFacts.undoable`."""
    decision: Decision | None = None

    @cached_property
    def argument_digest(self) -> str:
        """What the memo compares. Stays in memory: a digest gives away short secrets."""
        return digest([self.name, self.arguments])

    @property
    def foisted(self) -> bool:
        """Nobody asked for the effect, and untrusted text gives a good part of the call.

        That it can be undone is no reason then to let it run.
        """
        return not self.asked and steered(self) >= 1.0

    @property
    def hold_id(self) -> str:
        """Bound to policy, run, call, tool and exact arguments; equal in every process."""
        parts = (self.policy.digest, self.run_id, self.call_id, self.argument_digest)
        return self.bind("\0".join(parts))[:32]

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the learned parts, and of the calibration in use."""
        learned = self.learned.ids if self.learned is not None else ()
        return learned if self.calibration is None else (*learned, self.calibration.id)

    @property
    def decision_id(self) -> str:
        """Deterministic: which decision of which call, under which policy and version."""
        parts = [self.run_id, self.call_id, self.revision, self.policy.digest, VERSION,
                 *self.models]  # fmt: skip
        return digest(["decision", *parts])[:32]


Stage = Callable[[Work], None]
Verdict = Literal["allow", "hold", "block"]


def canonicalise(work: Work) -> None:
    """Arguments become bounded JSON; anything else is an `InputError`."""
    if not isinstance(work.name, str) or not work.name.strip():
        raise InputError("the tool's name must be text", what="call")
    value = to_json(work.raw_arguments if work.raw_arguments is not None else {})
    if not isinstance(value, dict):
        raise InputError("the arguments must be an object", what="call")
    work.arguments = value


def provenance(work: Work) -> None:
    """Lineage of every argument leaf, and the worst tier among those nobody vouches for."""
    found = work.index.trace(work.arguments, work.authority)
    work.lineage = tuple(_unless_default(leaf, work.spec) for leaf in found)
    tiers = [leaf.tier for leaf in work.lineage if not leaf.named and not leaf.trivial]
    work.floor = max(tiers, default=Provenance.INTERNAL)


def _unless_default(leaf: Lineage, spec: ToolSpec | None) -> Lineage:
    """What the tool itself gives, unless told otherwise, tells nothing of a stranger."""
    listed = spec.parameters.get("properties") if spec else None
    schema = listed.get(leaf.argument) if isinstance(listed, dict) else None
    default = schema.get("default") if isinstance(schema, dict) else None
    same = default is not None and type(default) is type(leaf.value) and default == leaf.value
    return replace(leaf, trivial=True) if same and leaf.path.count("/") == 1 else leaf


def plan(work: Work) -> None:
    """The call becomes a node, its lineage edges."""
    profile = work.spec.profile if work.spec else None
    work.call = ToolCall.model_construct(
        node_id=work.call_id,
        tool_name=work.name,
        arguments=work.arguments,
        provenance_tier=max(work.floor, profile.tier if profile else Provenance.PUBLIC),
        scope_level=profile.scope if profile else 10,
        volume=None,
        sensitivity=None,
    )
    work.edges = edges_of(work.call_id, work.lineage)


def edges_of(call_id: str, lineage: tuple[Lineage, ...]) -> tuple[Edge, ...]:
    """One edge per source call and argument leaf, with both bindings."""
    found: dict[tuple[str, str], Edge] = {}
    for leaf in lineage:
        for span in leaf.spans:
            key = (span.call_id, leaf.path)
            if span.call_id != call_id and key not in found:
                found[key] = Edge.model_construct(
                    source=span.call_id, target=call_id, argument=leaf.path, output=span.path
                )
    return tuple(found.values())


def rule_facts(work: Work) -> RuleFacts:
    """What the rules may use of a call that has become a node."""
    assert work.call is not None
    return RuleFacts(
        call=work.call, spec=work.spec, policy=work.policy, role=work.role,
        lineage=work.lineage, calls_so_far=work.calls_so_far,
        tool_calls_so_far=work.tool_calls_so_far, spent=work.spent,
    )  # fmt: skip


def rules(work: Work) -> None:
    """Hard rules; and nothing may act once the lineage is known to be incomplete."""
    facts = rule_facts(work)
    findings = apply_rules(facts)
    if work.blind and (work.spec is None or work.spec.profile.effect.changes_state):
        findings += (Finding("trace.incomplete", "block", work.blind),)
    work.findings, work.charges = findings, facts.charges
    work.ruled = True


def energy(work: Work) -> None:
    """The energy of the call; an unknown tool has none, the rules decide it."""
    if work.spec is None or work.call is None:
        return
    if work.grants is not None:
        work.grant = work.grants.cover(work)
    facts = EnergyFacts(
            work.call, work.spec, work.lineage, work.authority,
            untrusted_read=bool(work.index.untrusted), inside=work.inside,
            around=work.index.around, continues=work.continues,
            visited=work.visited, grant=work.grant,
    )  # fmt: skip
    structure = work.composite(facts)
    work.energy = with_learned(work, facts, structure)
    work.asked, work.undoable = facts.asked and facts.about, facts.undoable


def decide(work: Work) -> None:
    """Rules first, score second (P1)."""
    action, why = verdict_of(work)
    common: dict[str, Any] = {
        "decision_id": work.decision_id, "call": work.call, "energy": work.energy,
        "risks": MappingProxyType(work.risks), "findings": work.findings,
        "lineage": work.lineage, "reasons": reasons_of(work, why),
        "policy_digest": work.policy.digest,
    }  # fmt: skip
    if action == "allow":
        work.decision = Allowed(**common)
    elif action == "hold":
        expires = work.policy.limits.hold_expires_s
        work.decision = Held(**common, hold_id=work.hold_id, expires_in=expires)
    else:
        work.decision = Blocked(**common, code=opaque_code(work.decision_id))


def verdict_of(work: Work) -> tuple[Verdict, str]:
    """`allow`, `hold` or `block`, and the deciding fact where it is the score.

    A rule that blocks wins. A rule that holds wins over the score as well: the policy wants a
    person to see these calls, and a person who is never asked cannot say that one was honest.
    """
    actions = {finding.action for finding in work.findings}
    if "block" in actions:
        return "block", ""
    if "hold" in actions:
        return "hold", ""
    return _scored(work)


def _scored(work: Work) -> tuple[Verdict, str]:
    bands, total = work.policy.energy, work.energy.total
    if _beyond_doubt(work):
        return "block", f"energy {total:.1f}, blocked from {bands.block_above:g} on"
    if total < bands.allow_below or work.spec is None:
        return "allow", ""
    band = f"energy {total:.1f} between {bands.allow_below:g} and {bands.block_above:g}"
    if total >= bands.block_above:
        return bands.grey, f"energy {total:.1f}, of which no part is enough to block"
    lenient = not work.foisted or bands.grey_reversible == "block"
    if lenient and work.undoable and not _convicted(work):
        return bands.grey_reversible, f"{band}: a reversible call"
    return bands.grey, f"{band}: a call that cannot be undone"


def _beyond_doubt(work: Work) -> bool:
    """Whether the structure, or the learned part, is enough to block.

    Where both are grey and only their sum is not, a person is asked: two suspicions are no proof.
    """
    kinds, level = work.energy.kinds(), work.policy.energy.block_above
    learned = kinds.pop("learned", 0.0)
    kinds.pop("restored", 0.0)
    return sum(kinds.values()) >= level or learned >= level


def _convicted(work: Work) -> bool:
    """Whether the learned parts alone are sure enough that even what can be undone is held."""
    bands = work.policy.energy
    if bands.grey_reversible != "allow":
        return False
    return work.energy.kinds().get("learned", 0.0) >= bands.hold_reversible_from


def steered(work: Work) -> float:
    """The energy of untrusted text that asks for the call; a note that nobody did is none."""
    shares = work.energy.shares
    return sum(s.value for s in shares if s.term == "hierarchy" and s.edge is not None)


def caused(work: Work, decision: Decision) -> bool:
    """Whether untrusted content is why this call runs, and no person looked at it."""
    seen = isinstance(decision, (Allowed, Repaired)) and decision.approved_by is not None
    return not seen and steered(work) >= work.policy.energy.allow_below


def reasons_of(work: Work, why: str) -> tuple[str, ...]:
    """For the operator: the rule or score that decided, then the largest shares."""
    rank = {"block": 0, "hold": 1}
    vetoes = sorted((f for f in work.findings if f.action in rank), key=lambda f: rank[f.action])
    shares = sorted(work.energy.shares, key=lambda share: -share.value)
    if why and shares:
        why = f"{why}; mostly because {shares[0].reason}"
    found = [f"{f.rule}: {f.message}" for f in vetoes] + [why] * bool(why)
    if (grant := work.grant) is not None:
        found.append(f"grant.{grant.basis} {grant.grant_id}: {grant.reason}")
    return (*found, *(f"{s.term} {s.value:.2f}: {s.reason}" for s in shares[:6]))


def opaque_code(decision_id: str) -> str:
    """The reference a model may see; says nothing, but leads the operator to the ledger entry."""
    return decision_id[:8]


STAGES: tuple[tuple[str, Stage], ...] = (
    ("canonicalise", canonicalise),
    ("provenance", provenance),
    ("plan", plan),
    ("rules", rules),
    ("attribution", attribution),
    ("energy", energy),
    ("decide", decide),
)

"""What goes into the ledger: what explains a decision, without what the call says is secret.

A receipt is made in two steps. `decision_body` and `plan_body` collect whole texts; the ledger
looks for secrets in them, because half of a secret no longer looks like one; `trimmed` then cuts
what is redacted to what a person reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gatling_guard.catalog import ToolProfile
from gatling_guard.decision import Allowed, Decision, Held, Repair, Repaired
from gatling_guard.energy import Energy, Share
from gatling_guard.ledger import CallSecrets, shown_path
from gatling_guard.pipeline.excerpt import around, cut
from gatling_guard.pipeline.grounds import grounds
from gatling_guard.pipeline.learned import attribution_body
from gatling_guard.pipeline.stages import VERSION, Work
from gatling_guard.plan import ExecutionPlan, ToolCall, digest, leaves
from gatling_guard.policy import as_receipt
from gatling_guard.repair.values import REDACTED
from gatling_guard.rules import shown
from gatling_guard.trace import Lineage, Origin

Body = dict[str, Any]
Hide = Callable[[str], str]
Bind = Callable[[str], str]

MAX_LEAVES = 64
QUOTED = 12
"""Argument leaves of one call that are quoted; the others keep their tiers and sources."""
ORIGINS = 4
"""Origins per leaf; two of them are quoted."""
MAX_SHARES = 10
"""Single shares; the smaller ones of a term are recorded as one, so that all add up (R45)."""
PLAN_SHARES = 400
"""The same for a whole plan."""
MAX_PARTS = 200
"""Calls of a whole plan that are recorded; those that were stopped first."""
DETAILED = 24
"""Of these, how many keep lineage and shares."""
MAX_EDGES = 800
_LEAST = 4
"""Characters of a piece that is looked for in quotes."""
_VALUE, _TEXT = 120, 240
"""Characters kept of a value and of a reason in a share or a sentence of the user."""


def decision_body(
    decision: Decision, *, role: str | None, work: Work | None = None, bind: Bind = digest
) -> Body:
    """The receipt of one decision: enough to explain it, and to see that it was the same one.

    Reasons, findings and quotes repeat the call; in them every value that an argument with a
    secret's name holds (`password`, `pin`) is replaced, be it a plain word or not.

    Args:
        decision: of one call, or of a whole plan (`plan_body` adds its parts).
        role: the role it was decided for.
        work: what the stages found, for the user's words and the thresholds.
        bind: MAC under the ledger's key; that of the work, where there is one.
    """
    bind = work.bind if work is not None else bind
    call = decision.call
    hide = _hiding(decision)
    body: Body = {
        "decision_id": decision.decision_id,
        "action": decision.action,
        "mode": decision.mode,
        "tool": decision.tool_name,
        "energy": decision.energy.as_dict(),
        "reasons": [hide(reason) for reason in decision.reasons],
        "findings": [
            [f.rule, f.action, hide(f.message), shown_path(f.where)] for f in decision.findings
        ],
        "shares": [_share_body(share, hide) for share in _largest(decision.energy)],
        "lineage": lineage_body(decision.lineage, work, hide),
        "role": role,
        "policy": decision.policy_digest,
        "version": VERSION,
    }
    if work is not None:
        bands, spec = work.policy.energy, work.spec
        body["thresholds"] = [bands.allow_below, bands.block_above]
        body["profile"] = _profile_body(spec.profile) if spec else None
        body["grounds"] = [
            [shown_path(about), source, hide(shown(said))]
            for about, source, said in grounds(work.authority, decision.lineage, spec)
        ]
        body["models"] = list(work.models)
        if work.unlearned:
            body["unlearned"] = work.unlearned
        if work.uncalibrated:
            body["uncalibrated"] = work.uncalibrated
        if work.risks:
            body["risks"] = dict(work.risks)
        if work.attribution is not None:
            body["attribution"] = attribution_body(work.attribution, work.hurried)
        if work.grant is not None:
            grant = work.grant
            body["grant"] = {**as_receipt(grant), "reason": hide(grant.reason)}
    if isinstance(decision, Allowed):
        body["approved_by"] = decision.approved_by
        body["would"] = decision.would.action if decision.would else None
    if isinstance(decision, Repaired):
        body["edits"] = [hide(edit) for edit in decision.edits]
        body["approved_by"] = decision.approved_by
        if decision.repair is not None:
            body["repair"] = repair_body(decision.repair, hide, bind)
    if isinstance(decision, Held):
        body["hold_id"] = decision.hold_id
        if decision.offer is not None:
            body["offer"] = repair_body(decision.offer, hide, bind)
            body["only_offer"] = decision.only_offer
    would = decision.would if isinstance(decision, Allowed) else None
    if isinstance(would, Repaired) and would.repair is not None:
        body["repair"] = repair_body(would.repair, hide, bind)
    # Last, because the ledger reads so many characters and no more: a long argument must not
    # crowd out the reasons for which it was refused.
    body["arguments"] = call.arguments if call else {}
    return body


def _hiding(decision: Decision) -> Hide:
    """Replaces the secrets of the call, and what a repair blacked out of it."""
    hide = CallSecrets(_given(decision)).hide
    gone = _blacked_out(decision.repair) if isinstance(decision, Repaired) else []
    if not gone:
        return hide

    def hidden(text: str) -> str:
        text = " ".join(text.split())
        for piece in gone:
            text = text.replace(piece, REDACTED)
        return hide(text)

    return hidden


def _blacked_out(repair: Repair | None) -> list[str]:
    """The pieces of texts that a repair of one call took out, the longest first."""
    if repair is None or not isinstance(repair.original, ToolCall):
        return []
    assert isinstance(repair.repaired, ToolCall)
    now = {leaf.path: leaf.value for leaf in leaves(repair.repaired.arguments)}
    found: set[str] = set()
    for leaf in leaves(repair.original.arguments):
        before, after = leaf.value, now.get(leaf.path)
        if not isinstance(before, str) or not isinstance(after, str) or before == after:
            continue
        first, *parts = after.split(REDACTED)
        at = len(first)
        for part in parts[:-1]:
            end = before.find(part, at)
            found.add(before[at:end])
            at = end + len(part)
        if parts:
            found.add(before[at : len(before) - len(parts[-1])])
    texts = {" ".join(piece.split()) for piece in found}
    return sorted((piece for piece in texts if len(piece) >= _LEAST), key=len, reverse=True)


def repair_body(repair: Repair, hide: Hide, bind: Bind) -> Body:
    """What was changed, without the values; before and after are known by their MACs alone.

    The arguments of the original are not kept: what is taken out of a call is often the very thing
    that should be nowhere.
    """
    return {
        "edits": [hide(edit) for edit in repair.edits],
        "kinds": [str(edit.get("kind", "")) for edit in repair.machine],
        "places": [
            [str(edit.get("node_id", "")), shown_path(str(edit.get("where", "")))]
            for edit in repair.machine
        ],
        "holds": list(repair.holds),
        "cost": repair.cost,
        "similarity": repair.similarity,
        "minimal": repair.minimal,
        "explored": repair.explored,
        "ms": round(1000 * repair.seconds, 3),
        "energy": repair.energy,
        "before": bind(_identified(repair.original)),
        "after": bind(_identified(repair.repaired)),
    }


def _identified(subject: ToolCall | ExecutionPlan) -> str:
    if isinstance(subject, ToolCall):
        return subject.argument_digest
    return digest(subject.model_dump(mode="json"))


def plan_body(decision: Decision, works: Sequence[Work], *, role: str | None, bind: Bind) -> Body:
    """The receipt of a whole plan: its own, its calls, and the data flow between them."""
    body = decision_body(decision, role=role, bind=bind)
    del body["lineage"], body["arguments"]  # the parts have them
    # The plan's own: its energy need not be the sum of what its calls have each for itself.
    hide = CallSecrets(_given(decision)).hide
    body["shares"] = [_share_body(s, hide) for s in _largest(decision.energy, PLAN_SHARES)]
    body["calls"] = [part.action for part in decision.parts]
    by_node = {work.call_id: work for work in works}
    ranked = sorted(decision.parts, key=_rank)[:MAX_PARTS]
    asked = decision.plan
    if isinstance(decision, Repaired) and decision.repair is not None:
        original = decision.repair.original  # the parts are on its calls: why it was changed
        asked = original if isinstance(original, ExecutionPlan) else asked
    body["edges"] = _edges_body(asked) if asked else []
    body["parts"] = [
        _part_body(part, by_node.get(part.call.node_id), role, at < DETAILED)
        for at, part in enumerate(ranked)
        if part.call is not None
    ]
    return body


def trimmed(body: Body) -> Body:
    """A redacted receipt, its quotes cut to the words around the match. Never raises."""
    for leaf in _dicts(body.get("lineage")):
        for origin in _dicts(leaf.get("origins")):
            if isinstance(origin.get("quote"), str):
                origin["quote"] = cut(origin["quote"], leaf.get("value"))
        if isinstance(leaf.get("value"), str):
            leaf["value"] = cut(leaf["value"], "", _VALUE)
    for share in _lists(body.get("shares")):
        share[3:4] = [cut(str(share[3]), "", _TEXT)] if len(share) > 3 else []
    for ground in _lists(body.get("grounds")):
        ground[2:3] = [cut(str(ground[2]), "", _TEXT)] if len(ground) > 2 else []
    for part in _dicts(body.get("parts")):
        trimmed(part)
    return body


def _rank(part: Decision) -> tuple[int, float]:
    return {"block": 0, "hold": 1}.get(part.action, 2), -part.energy.total


def _part_body(part: Decision, work: Work | None, role: str | None, detailed: bool) -> Body:
    assert part.call is not None
    node = part.call.node_id
    if not detailed:
        return {"node": node, "action": part.action, "tool": part.tool_name,
                "energy": part.energy.as_dict()}  # fmt: skip
    body = {"node": node, **decision_body(part, role=role, work=work)}
    # Nothing has run: a span of a plan is the argument itself, not a quote.
    for leaf in body["lineage"]:
        for origin in leaf["origins"]:
            origin["match"] = "planned" if origin["source"] == "output" else origin["match"]
            origin.pop("quote", None)
    return body


def _edges_body(plan: ExecutionPlan) -> list[list[Any]]:
    """Source, target, argument; along a temporal edge nothing flows."""
    flows = [edge for edge in plan.edges if edge.kind != "temporal"]
    return [[e.source, e.target, shown_path(e.argument or "")] for e in flows[:MAX_EDGES]]


def _given(decision: Decision) -> Any:
    """The arguments that the texts of a decision may quote: of all its calls, before and after."""
    repair = decision.offer if isinstance(decision, Held) else getattr(decision, "repair", None)
    subjects = (repair.original, repair.repaired) if isinstance(repair, Repair) else ()
    calls = [decision.call, *(part.call for part in decision.parts)]
    for subject in subjects:
        calls += [subject] if isinstance(subject, ToolCall) else subject.nodes
    return [call.arguments for call in calls if call is not None]


def _profile_body(profile: ToolProfile) -> Body:
    return {
        "effect": profile.effect.value,
        "privilege": profile.privilege,
        "reversible": profile.reversible,
        "sink": profile.sink,
        "basis": profile.basis,
    }


def _largest(energy: Energy, most: int = MAX_SHARES) -> list[Share]:
    """The largest shares, then what is left of each term as one."""
    ranked = sorted(energy.shares, key=lambda share: -share.value)
    kept, rest = ranked[:most], ranked[most:]
    for term in energy.terms:
        left = [share for share in rest if share.term == term]
        if left:
            value = sum(share.value for share in left)
            kept.append(Share(term, left[0].node_id, value, f"{len(left)} smaller shares"))
    return kept


def _share_body(share: Share, hide: Hide) -> list[Any]:
    edge = list(share.edge) if share.edge else None
    where = shown_path(share.where)
    return [share.term, share.node_id, share.value, hide(share.reason), where, edge]


def lineage_body(lineage: Sequence[Lineage], work: Work | None, hide: Hide) -> list[Body]:
    """Where each argument came from, the telling ones with quotes."""
    telling = [leaf for leaf in lineage if not leaf.trivial]
    telling.sort(key=lambda leaf: (leaf.named, -leaf.tier))
    quoted = {id(leaf) for leaf in telling[:QUOTED]}
    return [_leaf_body(leaf, work, hide, id(leaf) in quoted) for leaf in lineage[:MAX_LEAVES]]


def _leaf_body(leaf: Lineage, work: Work | None, hide: Hide, quoted: bool) -> Body:
    body: Body = {
        "path": shown_path(leaf.path),
        "argument": shown_path(f"/{leaf.argument}")[1:],
        "kind": _kind(leaf, work),
        "tier": int(leaf.tier),
        "named": leaf.named,
        "origins": [
            _origin_body(origin, leaf.value, hide, quoted and at < 2)
            for at, origin in enumerate(leaf.origins[:ORIGINS])
        ],
    }
    if quoted or leaf.value == "":
        body["value"] = hide(shown(leaf.value))
    return body


def _kind(leaf: Lineage, work: Work | None) -> str:
    profile = work.spec.profile if work is not None and work.spec else None
    if profile is None:
        return ""
    if leaf.argument in (*profile.identity_args, *profile.url_args):
        return "identity"
    return "content" if leaf.argument in profile.content_args else ""


def _origin_body(origin: Origin, value: object, hide: Hide, quoted: bool) -> Body:
    span = origin.span
    body: Body = {"source": origin.source, "match": origin.match, "tier": int(origin.tier)}
    if span is not None:
        body |= {"call": span.call_id, "tool": span.tool, "path": shown_path(span.path)}
        if quoted:
            body["quote"] = hide(around(span.text, value))
    return body


def _dicts(value: object) -> list[Body]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _lists(value: object) -> list[list[Any]]:
    return [item for item in value if isinstance(item, list)] if isinstance(value, list) else []


def outcome_body(output: object, error: BaseException | None) -> Body:
    """What is kept of a tool's result: its type and size, never its content, nor a digest of it."""
    if error is not None:
        return {"status": "failed", "error": type(error).__name__}
    size = len(output) if isinstance(output, (str, bytes, list, dict)) else None
    return {"status": "ran", "type": type(output).__name__, "size": size}

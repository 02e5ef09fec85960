"""What goes into the ledger: what is worth recording, without what the call says is secret.

Nothing is cut here. The ledger looks for secrets in the whole texts first and makes the entry fit
afterwards, because half of a secret no longer looks like one.
"""

from __future__ import annotations

from typing import Any

from gatling_guard.decision import Allowed, Decision, Held, Repaired
from gatling_guard.ledger import CallSecrets, shown_path
from gatling_guard.pipeline.stages import VERSION
from gatling_guard.policy import Grant, as_receipt
from gatling_guard.trace import Lineage, Origin


def decision_body(
    decision: Decision, *, role: str | None, grant: Grant | None = None
) -> dict[str, Any]:
    """The receipt of one decision: enough to explain it, and to see that it was the same one.

    Reasons and findings quote the call; in them every value that an argument with a secret's name
    holds (`password`, `pin`) is replaced, be it a plain word or not.
    """
    call = decision.call
    hide = CallSecrets(_given(decision)).hide
    body: dict[str, Any] = {
        "decision_id": decision.decision_id,
        "action": decision.action,
        "mode": decision.mode,
        "tool": decision.tool_name,
        "energy": decision.energy.as_dict(),
        "reasons": [hide(reason) for reason in decision.reasons],
        "findings": [
            [f.rule, f.action, hide(f.message), shown_path(f.where)] for f in decision.findings
        ],
        "lineage": [_lineage_body(leaf) for leaf in decision.lineage[:64]],
        "role": role,
        "policy": decision.policy_digest,
        "version": VERSION,
    }
    if grant is not None:
        body["grant"] = {**as_receipt(grant), "reason": hide(grant.reason)}
    if isinstance(decision, Allowed):
        body["approved_by"] = decision.approved_by
        body["would"] = decision.would.action if decision.would else None
    if isinstance(decision, Repaired):
        body["edits"] = [hide(edit) for edit in decision.edits]
    if isinstance(decision, Held):
        body["hold_id"] = decision.hold_id
    # Last, because the ledger reads so many characters and no more: a long argument must not
    # crowd out the reasons for which it was refused.
    body["arguments"] = call.arguments if call else {}
    return body


def _given(decision: Decision) -> Any:
    """The arguments that the texts of a decision may quote; of a plan, those of all its calls."""
    if decision.call is not None:
        return decision.call.arguments
    return [part.call.arguments for part in decision.parts if part.call is not None]


def _lineage_body(leaf: Lineage) -> dict[str, Any]:
    """Where one argument came from, without repeating its value."""
    origins = [_origin_body(origin) for origin in leaf.origins[:4]]
    path = shown_path(leaf.path)
    return {"path": path, "tier": int(leaf.tier), "named": leaf.named, "origins": origins}


def _origin_body(origin: Origin) -> dict[str, Any]:
    span = origin.span
    return {
        "source": origin.source,
        "match": origin.match,
        "tier": int(origin.tier),
        "call": span.call_id if span else None,
        "path": shown_path(span.path) if span else None,
    }


def outcome_body(output: object, error: BaseException | None) -> dict[str, Any]:
    """What is kept of a tool's result: its type and size, never its content, nor a digest of it."""
    if error is not None:
        return {"status": "failed", "error": type(error).__name__}
    size = len(output) if isinstance(output, (str, bytes, list, dict)) else None
    return {"status": "ran", "type": type(output).__name__, "size": size}

"""What goes into the ledger. The ledger redacts; this decides what is worth recording at all."""

from __future__ import annotations

from typing import Any

from gatling_guard.decision import Allowed, Decision, Held, Repaired
from gatling_guard.pipeline.stages import VERSION
from gatling_guard.trace import Lineage


def decision_body(decision: Decision, *, role: str | None) -> dict[str, Any]:
    """The receipt of one decision: enough to explain it, and to see that it was the same one."""
    call = decision.call
    body: dict[str, Any] = {
        "decision_id": decision.decision_id,
        "action": decision.action,
        "mode": decision.mode,
        "tool": decision.tool_name,
        "arguments": call.arguments if call else {},
        "energy": decision.energy.as_dict(),
        "findings": [[f.rule, f.action, f.message, f.where] for f in decision.findings],
        "reasons": list(decision.reasons),
        "lineage": [_lineage_body(leaf) for leaf in decision.lineage[:64]],
        "role": role,
        "policy": decision.policy_digest,
        "version": VERSION,
    }
    if isinstance(decision, Allowed):
        body["approved_by"] = decision.approved_by
        body["would"] = decision.would.action if decision.would else None
    if isinstance(decision, Repaired):
        body["edits"] = list(decision.edits)
    if isinstance(decision, Held):
        body["hold_id"] = decision.hold_id
    return body


def _lineage_body(leaf: Lineage) -> dict[str, Any]:
    """Where one argument came from, without repeating its value."""
    origins = [
        {
            "source": origin.source,
            "match": origin.match,
            "tier": int(origin.tier),
            "call": origin.span.call_id if origin.span else None,
            "path": origin.span.path if origin.span else None,
        }
        for origin in leaf.origins[:4]
    ]
    return {"path": leaf.path, "tier": int(leaf.tier), "named": leaf.named, "origins": origins}


def outcome_body(output: object, error: BaseException | None) -> dict[str, Any]:
    """What is kept of a tool's result: its type and size, never its content, nor a digest of it."""
    if error is not None:
        return {"status": "failed", "error": type(error).__name__}
    size = len(output) if isinstance(output, (str, bytes, list, dict)) else None
    return {"status": "ran", "type": type(output).__name__, "size": size}

"""Where decisions come from: a ledger, or a decision that is still at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gatling_guard.decision import Decision
from gatling_guard.errors import ConfigurationError
from gatling_guard.ledger import Entry, Ledger, redact
from gatling_guard.pipeline import decision_body, plan_body, trimmed
from gatling_guard.plan import digest
from gatling_guard.report.receipts import drawing, explained, parts_of, planned
from gatling_guard.report.types import Explanation

_DECIDED = ("decision", "plan", "error")
_REF = re.compile(r"[0-9a-f]{6,64}")
_WORST = {"block": 0, "hold": 1, "repair": 2}


def explain(decision: Decision, *, ledger: Ledger | None = None) -> Explanation:
    """Explain a decision that the guard just made.

    Args:
        decision: of one call, or of a whole plan.
        ledger: the guard's (`guard.ledger`): adds the user's own words, the thresholds, the calls
            before, and what became of it. Without it, what the decision itself carries.
    """
    if ledger is not None:
        return explain_ref(ledger, decision.decision_id)
    if decision.call is None and decision.plan is not None:
        return _of_plan(trimmed(redact(plan_body(decision, [], role=None, bind=digest))))
    body = trimmed(redact(decision_body(decision, role=None)))
    node = decision.call.node_id if decision.call else ""
    nodes, links = drawing({node: body})
    return explained(body, node=node, nodes=nodes, links=links)


def explain_ref(ledger: Ledger, ref: str) -> Explanation:
    """Explain the decision that a reference means.

    Args:
        ledger: may be opened read-only; the chain is not verified here.
        ref: a decision id or the first 6 characters of one (what the model was shown is the first
            8), the id of a hold, the id of a call, or `#12` for entry 12.

    Raises:
        ConfigurationError: nothing, or more than one decision, is found under it.
        LedgerError: the ledger cannot be read.
    """
    found = [entry for entry in ledger.stream() if _means(entry, ref)]
    ids = dict.fromkeys(str(e.body.get("decision_id")) for e in found if e.call_id != ref)
    if not found:
        raise ConfigurationError(f"no decision is recorded under {ref!r}")
    if len(ids) > 1 and not any(e.ref == ref for e in found):
        few = ", ".join(list(ids)[:5])
        raise ConfigurationError(f"{ref!r} means {len(ids)} decisions: {few}")
    return _of_entry(ledger, found[-1])


def explain_latest(ledger: Ledger, *, refused: bool = False, run: str | None = None) -> Explanation:
    """Explain the newest decision, or the newest that held or blocked.

    Raises:
        ConfigurationError: there is none.
        LedgerError: the ledger cannot be read.
    """
    newest: Entry | None = None
    for entry in ledger.stream():
        fits = entry.kind in _DECIDED and run in (None, entry.run_id)
        if fits and (not refused or _verdict(entry.body) in ("hold", "block")):
            newest = entry
    if newest is None:
        raise ConfigurationError("no call was held or blocked" if refused else "no decision yet")
    return _of_entry(ledger, newest)


def explain_run(ledger: Ledger, run: str) -> Explanation:
    """Explain all calls of a run in one: its drawing, and each decision in `parts`.

    Raises:
        ConfigurationError: there is no decision of that run.
        LedgerError: the ledger cannot be read.
    """
    entries = [e for e in ledger.entries(run_id=run) if e.kind in _DECIDED]
    if not entries:
        raise ConfigurationError(f"no decision is recorded for run {run!r}")
    bodies = _bodies(entries)
    nodes, links = drawing(bodies)
    parts = [_plain(ledger, entry) for entry in entries]
    shares = tuple(share for part in parts for share in part.shares)
    worst = min(parts, key=lambda part: _WORST.get(part.verdict, 3))
    stopped = sum(part.verdict in ("hold", "block") for part in parts)
    repaired = sum(part.verdict == "repair" for part in parts)
    changed = f", {repaired} repaired" if repaired else ""
    return Explanation(
        decision_id="", tool="run", action=worst.verdict, run=run, by="parts",
        mode=worst.mode, role=worst.role, policy=worst.policy, version=worst.version,
        why=f"{len(parts)} calls, {stopped} of them held or blocked{changed}",
        shares=shares, total=sum(part.total for part in parts), nodes=nodes, links=links,
        parts=tuple(sorted(parts, key=lambda part: _WORST.get(part.verdict, 3))),
    )  # fmt: skip


def _means(entry: Entry, ref: str) -> bool:
    if entry.kind not in _DECIDED:
        return False
    if ref.startswith("#"):
        return ref[1:] == str(entry.seq)
    decision = str(entry.body.get("decision_id") or "")
    short = bool(_REF.fullmatch(ref)) and decision.startswith(ref)
    return short or ref in (decision, entry.ref, entry.call_id)


def _verdict(body: dict[str, Any]) -> str:
    return str(body.get("would") or body.get("action") or "")


def _of_entry(ledger: Ledger, entry: Entry) -> Explanation:
    if entry.kind == "plan":
        return _of_plan(entry.body, run=entry.run_id, when=entry.ts)
    found = _plain(ledger, entry)
    earlier = [e for e in ledger.entries(run_id=entry.run_id, kind="decision")
               if e.seq <= entry.seq]  # fmt: skip
    nodes, links = drawing(_bodies([*earlier, entry] if entry not in earlier else earlier))
    return replace(found, nodes=nodes, links=links)


def _plain(ledger: Ledger, entry: Entry) -> Explanation:
    history = _history(ledger, entry)
    return explained(
        entry.body, node=entry.call_id or "", run=entry.run_id, when=entry.ts, history=history
    )


def _bodies(entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """The last receipt of each call."""
    return {e.call_id or f"#{e.seq}": e.body for e in entries}


def _of_plan(body: dict[str, Any], **fields: Any) -> Explanation:
    """The reason shown is that of the worst call; its own first reason may be another's."""
    nodes, links = planned(body)
    # No session waits for an answer to the calls of a plan: there is no hold to approve.
    calls = [explained({**part, "hold_id": None}) for part in parts_of(body)]
    whole = explained({**body, "hold_id": None}, **fields)
    stopped = [call for call in calls if call.verdict in ("block", "hold") and call.reasons]
    worst = min(stopped, key=lambda call: _WORST[call.verdict], default=None)
    return replace(
        whole, nodes=nodes, links=links, actions=(),
        why=f"{worst.node}: {worst.why}" if worst else whole.why,
        parts=tuple(call for call in calls if call.decision_id),
        by="parts" if calls else "error",
    )  # fmt: skip


def _history(ledger: Ledger, entry: Entry) -> tuple[str, ...]:
    """Answers to a hold, and what the call did."""
    hold = str(entry.body.get("hold_id") or "")
    answers = [e for e in ledger.find(hold) if e.kind != "decision"] if hold else []
    said = [f"{e.ts[:19]} {e.kind} by {e.body.get('by') or e.body.get('approved_by') or '?'}"
            for e in answers]  # fmt: skip
    return tuple(said)

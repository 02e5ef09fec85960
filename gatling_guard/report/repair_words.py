"""The words about a repair that terminal and page share."""

from __future__ import annotations

import difflib
import re

from gatling_guard.decision import Allowed, Blocked, Held, Repaired
from gatling_guard.report.repairs import RepairReport
from gatling_guard.report.words import counted

SIGNS = {"same": " ", "changed": "~", "left out": "-", "waits": "?", "new": "+"}
ABOUT = {
    "same": "", "changed": "", "left out": "left out", "waits": "waits for a person", "new": "new",
}  # fmt: skip
_PIECE = re.compile(r"\w+|\s+|[^\w\s]")


def verdict(found: RepairReport) -> tuple[str, str]:
    """The colour of the answer, as an action, and its word."""
    decision = found.decision
    if isinstance(decision, Allowed):
        return "allow", "allowed"
    if isinstance(decision, Repaired):
        return "repair", "repaired"
    if found.offered:
        return "hold", "repair offered"
    return ("hold", "held") if isinstance(decision, Held) else ("block", "blocked")


def summary(found: RepairReport) -> str:
    """One sentence."""
    decision = found.decision
    if isinstance(decision, Allowed):
        return "The plan may run as it is."
    if isinstance(decision, Repaired):
        return f"The plan may run with {counted(len(found.edits), 'edit')}."
    if found.repair is not None:
        return _offer(found)
    why = f" ({found.note})" if found.note else ""
    if isinstance(decision, Blocked):
        return f"The plan must not run, and no repair was found{why}."
    return f"The plan waits for a person, and no repair was found{why}."


def _offer(found: RepairReport) -> str:
    assert found.repair is not None
    edits, waits = counted(len(found.edits), "edit"), len(found.repair.holds)
    only = isinstance(found.decision, Held) and found.decision.only_offer
    rest = " The plan as it is may not run, whatever is said." if only else ""
    if not waits:
        return f"A person may let the plan run with {edits}.{rest}"
    calls = "a call of it waits" if waits == 1 else f"{waits} calls of it wait"
    return f"A person may let the plan run with {edits}, and {calls} for an answer too.{rest}"


def worth(found: RepairReport) -> list[str]:
    """The figures of a repair."""
    repair = found.repair
    assert repair is not None
    before, after = found.energy
    drafts = counted(repair.explored, "draft")
    minimal = f"proven minimal ({drafts})" if repair.minimal else f"cheapest found of {drafts}"
    return [
        f"cost {repair.cost:.1f}", minimal, f"keeps {repair.similarity:.0%} of what was asked for",
        f"energy {before:.1f} -> {after:.1f}", f"{1000 * repair.seconds:.0f} ms",
        f"policy {found.policy[:8]}",
    ]  # fmt: skip


def marked(text: str, other: str | None) -> list[tuple[str, bool]]:
    """`text` in pieces, each with whether it is missing from `other`; all of it without one."""
    if other is None:
        return [(text, True)]
    a, b = _PIECE.findall(text), _PIECE.findall(other)
    found: list[tuple[str, bool]] = []
    for tag, start, end, _, _ in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if end > start:
            found.append(("".join(a[start:end]), tag != "equal"))
    return found

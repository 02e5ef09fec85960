"""Repairs as operators see them: of whole plans, and in the receipts of a session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatling_guard import Guard, Held, Ledger, Repaired, ToolRequest, explain
from gatling_guard.plan import ExecutionPlan, parse_plan
from gatling_guard.policy import load_policy
from gatling_guard.report import RepairReport, explain_run, patient, repair_report
from gatling_guard.report.receipts import explained
from gatling_guard.report.repair_words import marked
from gatling_guard.report.repairs import drawings

PLANS = Path(__file__).resolve().parents[2] / "examples" / "plans"
ASKED = "List the newest orders and mail the list to dana@corp.example."


def reported(name: str, policy: Any = None, **changes: Any) -> RepairReport:
    data = json.loads((PLANS / name).read_text())
    guard = Guard(patient(load_policy(policy or PLANS / "policy.yaml"), seconds=20.0))
    for tool in data.pop("tools"):
        guard.register(tool)
    instruction = data.pop("instruction")
    for node in data["nodes"]:
        node["arguments"].update(changes.get(node["node_id"], {}))
    return repair_report(guard, parse_plan(data), instruction=instruction)


def test_every_call_and_every_edit_is_told() -> None:
    """R56: what is edited is shown; what is not edited is shown as it was."""
    found = reported("orders.json")
    calls = {call.node: call for call in found.calls}
    assert {name: call.state for name, call in calls.items()} == {
        "mail": "same", "orders": "changed", "send": "changed", "clean": "waits",
    }  # fmt: skip
    (limit,) = calls["orders"].differences
    assert (limit.where, limit.before, limit.after) == ("/limit", "1000", "50")
    (left_out,) = calls["send"].differences
    assert left_out.where == "/to/2"
    assert left_out.after is None
    assert calls["send"].after == "repair"
    assert found.offered
    assert {edit.node for edit in found.edits} == {"orders", "send", "clean"}


def test_before_is_what_the_guard_says_without_repairs() -> None:
    """R55: also where the guard itself repairs silently: both decisions and both energies."""
    found = reported("export.json")
    assert isinstance(found.decision, Repaired)
    orders = next(call for call in found.calls if call.node == "orders")
    assert (orders.before, orders.after) == ("block", "repair")
    assert orders.energy_after < orders.energy_before == found.edits[0].energy_before
    assert found.before.verdict == "block"
    assert found.after is not None
    assert found.after.verdict == "allow"


def test_energy_falls_with_the_edits_and_adds_up() -> None:
    """R57: of the calls that run, from edit to edit without a gap."""
    found = reported("orders.json")
    values = [found.edits[0].energy_before, *(edit.energy_after for edit in found.edits)]
    assert values == sorted(values, reverse=True)
    for edit, following in zip(found.edits, found.edits[1:], strict=False):
        assert edit.energy_after == following.energy_before
    assert found.energy == (values[0], values[-1])
    assert all(edit.removes for edit in found.edits)
    assert found.repair is not None
    assert sum(edit.cost for edit in found.edits) == pytest.approx(found.repair.cost)


def test_a_decision_on_a_plan_explains_its_repair_without_a_ledger() -> None:
    """R55: what the decision itself carries is enough to tell what is changed."""
    found = explain(reported("export.json").decision)
    assert found.repair is not None
    assert "limit becomes 50" in found.text()


def test_what_is_left_out_keeps_its_place_in_the_drawing() -> None:
    """A dropped call is an outline after the repair, and no data flows from it."""
    policy = {"version": 1, "repair": {"edits": {"hold": "never", "swap": "never"}}}
    found = reported("orders.json", policy)
    assert "drop" in {edit.kind for edit in found.edits}
    gone = {call.node for call in found.calls if call.state == "left out"}
    (_, before, _), (_, after, links) = drawings(found)
    assert [node.id for node in before] == [node.id for node in after]
    assert {node.id for node in after if node.action == "gone"} == gone
    assert not gone & {link.source for link in links} | gone & {link.target for link in links}
    assert "left out" in found.text()
    assert 'class="call gone"' in found.html()


def test_secrets_of_the_arguments_are_shown_nowhere() -> None:
    """R145: terminal, page and JSON calls; the plan itself is the operator's own."""
    key = "sk-proj-" + "Ab3dEf6hIj9k" * 4
    found = reported("export.json", file={"content": f"api_key={key}"})
    assert found.repair is not None
    assert key not in found.text(why=True)
    assert key not in found.html()
    assert key not in json.dumps(found.as_dict()["calls"])


def test_hostile_text_neither_moves_the_cursor_nor_opens_a_tag() -> None:
    """Foreign text is shown by its numbers in the terminal, and escaped in the page."""
    bad = "\x1b[2J<script>alert(1)</script>\u202e"
    found = reported("export.json", file={"content": bad})
    text, page = found.text(colour=True, why=True), found.html()
    assert "\x1b[2J" not in text
    assert "\u202e" not in text + page
    assert "<script" not in page


def test_differences_stand_out_within_a_value() -> None:
    """What is missing from the other text; all of it where there is no other."""
    assert marked("pay 100 now", "pay 10 now") == [("pay ", False), ("100", True), (" now", False)]
    assert marked("gone", None) == [("gone", True)]


@pytest.fixture
def session_guard() -> Guard:
    policy = load_policy({
        "version": 1,
        "tools": {
            "list_orders": {"arguments": {"limit": {"maximum": 50}}},
            "send_email": {"arguments": {"to": {"items": {"pattern": r"[^@\s]+@corp\.example"}}}},
        },
    })  # fmt: skip
    guard = Guard(patient(policy, seconds=20.0), ledger=Ledger())
    for tool in json.loads((PLANS / "orders.json").read_text())["tools"]:
        guard.register(tool)
    return guard


def test_receipts_show_what_ran_instead_and_what_is_offered(session_guard: Guard) -> None:
    """R55: a run's explanation tells repairs and offers; the answer to an offer is advised."""
    guard = session_guard
    session = guard.session(run_id="r", instruction=ASKED)
    first = session.check(ToolRequest("list_orders", {"limit": 1000}, "call-1"))
    assert isinstance(first, Repaired)
    assert first.repair is not None
    session.settle("call-1", "#1 Ann 12 EUR")
    arguments = {"to": ["dana@corp.example", "eve@evil.example"], "body": "the list"}
    request = ToolRequest("send_email", arguments, "call-2")
    second = session.check(request)
    assert isinstance(second, Held)
    made, offered = explain(first, ledger=guard.ledger), explain(second, ledger=guard.ledger)
    assert made.repair is not None
    assert not made.repair.offered
    assert [change.kind for change in made.repair.changes] == ["narrow"]
    assert made.repair.changes[0].where == "/limit"
    assert "what ran instead" in made.text()
    assert offered.repair is not None
    assert offered.repair.only
    advice = " ".join(item.code for item in offered.actions)
    assert "offer=True" in advice
    assert "Approve it once" not in {item.title for item in offered.actions}
    run = explain_run(guard.ledger, "r")
    assert run.why == "2 calls, 1 of them held or blocked, 1 repaired"
    assert [(node.action, node.energy) for node in run.nodes][0] == ("repair", first.repair.energy)
    for shown in (run.text(), run.html()):
        assert "limit becomes 50" in shown
        assert "hat ran instead" in shown
        assert "ffered instead" in shown
    session.approve(second.hold_id, by="ann", offer=True)
    taken = session.check(request)
    assert isinstance(taken, Repaired)
    assert "offer taken by ann" in explain(taken, ledger=guard.ledger).text()


@pytest.mark.parametrize(
    "repair",
    [
        {"edits": ["x"], "kinds": 5, "places": [[]], "cost": "much", "explored": float("nan")},
        {"edits": [None, 3], "kinds": [], "places": None, "holds": {"a": 1}, "similarity": True},
        {"edits": ["\x1b[2J<b>"], "kinds": ["<i>"], "places": [["\0", 1]], "minimal": "yes"},
    ],
)
def test_forged_receipts_of_repairs_are_read_without_trust(repair: dict[str, Any]) -> None:
    """A ledger may be changed: nothing breaks, nothing is claimed, nothing is markup."""
    for key in ("repair", "offer"):
        found = explained({"action": "hold", "tool": "t", "hold_id": "h" * 8, key: repair})
        assert found.repair is not None
        assert not found.repair.minimal
        assert "\x1b" not in found.text()
        assert "<i>" not in found.html()


def test_a_plan_that_needs_no_repair_is_told_so() -> None:
    """R55: one drawing, no edits."""
    found = reported("export.json", orders={"limit": 10})
    assert found.repair is None
    assert found.plan is None
    assert not found.offered
    assert len(list(drawings(found))) == 1
    assert "ALLOWED" in found.text()
    assert isinstance(found.decision.plan, ExecutionPlan)

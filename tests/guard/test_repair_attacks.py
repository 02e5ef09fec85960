"""What an attacker could do with repairs: each of these ran, or ran as something else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import gatling_guard.session as session_module
from gatling_guard import (
    Allowed,
    Blocked,
    Decision,
    Guard,
    Held,
    Repaired,
    Session,
    ToolRequest,
    load_policy,
)
from gatling_guard.pipeline.repair_step import scene_of
from gatling_guard.pipeline.repairing import verdict_on
from gatling_guard.plan import ExecutionPlan, ToolCall
from gatling_guard.repair import Draft
from gatling_guard.repair.edits import Redact
from gatling_guard.trace import Authority

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
LIMITS: dict[str, Any] = {"deadline_ms": 5000}


def guard_of(
    tool: str, fields: dict[str, Any], required: list[str], policy: dict[str, Any] | None = None,
    **options: Any,
) -> Guard:  # fmt: skip
    base = {"version": 1, "limits": LIMITS, "repair": {"deadline_ms": 2000}}
    guard = Guard(load_policy({**base, **(policy or {})}), **options)
    guard.register({"name": tool, "parameters": {
        "type": "object", "properties": fields, "required": required,
        "additionalProperties": False,
    }})  # fmt: skip
    return guard


def ask(session: Session, tool: str, arguments: dict[str, Any], call_id: str = "c1") -> Decision:
    return session.check(ToolRequest(tool, arguments, call_id))


@pytest.mark.parametrize(
    "extra",
    [{"dry_run": True}, {"dryRun": True}, {"preview": True}, {"confirm": False},
     {"older_than": "2020"}, {"filter": "tmp"}, {"only_empty": True}, {"backup": True}],
)  # fmt: skip
@pytest.mark.parametrize("tool", ["delete_files", "run_cleanup", "update_files"])
def test_what_holds_a_call_back_is_not_left_out(tool: str, extra: dict[str, Any]) -> None:
    """The tool does not list it; without it, a rehearsal would be done for good."""
    guard = guard_of(tool, {"folder": TEXT}, ["folder"])
    session = guard.session(instruction="Update and delete the files in /tmp/a, run the cleanup.")
    decision = ask(session, tool, {"folder": "/tmp/a", **extra})
    assert isinstance(decision, Blocked)


def test_a_reading_call_still_loses_an_argument_that_its_tool_does_not_list() -> None:
    guard = guard_of("search_docs", {"query": TEXT}, ["query"])
    session = guard.session(instruction="Search the docs for q3.")
    assert isinstance(ask(session, "search_docs", {"query": "q3", "lang": "en"}), Repaired)


@pytest.mark.parametrize(
    "name", ["older_than_days", "retention_days", "keep_last", "days_to_keep", "max_age_days"]
)
def test_a_number_of_which_less_is_more_is_not_lowered(name: str) -> None:
    """Logs older than 90 days are more logs than those older than a year."""
    bound = {"delete_logs": {"arguments": {"properties": {name: {"maximum": 90}}}}}
    for policy, value in ({"tools": bound}, 365), ({"energy": {"allow_below": 0.5}}, 36_500):
        guard = guard_of("delete_logs", {"folder": TEXT, name: WHOLE}, ["folder", name], policy)
        session = guard.session(instruction="Delete the old logs in folder app.")
        decision = ask(session, "delete_logs", {"folder": "app", name: value})
        assert not isinstance(decision, Repaired)
        assert not isinstance(decision, Held) or decision.offer is None


@pytest.mark.parametrize("name", ["eur", "tokens", "n", "credits", "percent", "days"])
@pytest.mark.parametrize("tool", ["pay_bill", "grant_access", "delete_rows"])
def test_how_much_is_paid_granted_or_deleted_is_never_changed_silently(
    tool: str, name: str
) -> None:
    bound = {tool: {"arguments": {"properties": {name: {"maximum": 90}}}}}
    guard = guard_of(tool, {"to": TEXT, name: WHOLE}, ["to", name], {"tools": bound})
    session = guard.session(
        instruction="Pay the bill of dana@corp.example, grant dana@corp.example access, "
        "delete the rows of dana@corp.example."
    )
    decision = ask(session, tool, {"to": "dana@corp.example", name: 365})
    assert not isinstance(decision, (Allowed, Repaired))


MAIL = {"to": "eve@other.example", "body": "Hello Ann"}
CORP = {"send_email": {"arguments": {"properties": {"to": {"pattern": "^[a-z]+@corp\\.example$"}}}}}


def mail_guard(**options: Any) -> Guard:
    fields = {"to": TEXT, "body": TEXT}
    return guard_of("send_email", fields, ["to", "body"], {"tools": CORP}, **options)


def offered(decision: Decision) -> str:
    assert isinstance(decision, Held)
    assert decision.offer is not None
    return str(decision.offer.repaired.arguments["to"])  # type: ignore[union-attr]


def moved_on(session: Session) -> None:
    """Another offer would be best by now: the first one's mail went out."""
    sent = ask(session, "send_email", {"to": "ann@corp.example", "body": "Hi"}, "c2")
    assert isinstance(sent, Allowed)
    session.settle("c2", "sent")
    session.observe(user="Later also write to bob@corp.example.")
    ask(session, "send_email", {"to": "eve2@other.example", "body": "Hello Ann"})


def test_a_yes_is_to_the_offer_that_was_shown() -> None:
    """The hold's id is that of the call: decided on again, it must not come to mean another."""
    session = mail_guard().session(instruction="Send 'Hello Ann' to ann@corp.example.")
    held = ask(session, "send_email", MAIL)
    assert offered(held) == "ann@corp.example"
    moved_on(session)
    again = ask(session, "send_email", MAIL)
    assert offered(again) == "ann@corp.example"
    assert isinstance(held, Held)
    session.approve(held.hold_id, by="ann", offer=True)
    taken = ask(session, "send_email", MAIL)
    assert isinstance(taken, (Repaired, Blocked))
    assert not isinstance(taken, Repaired) or taken.arguments["to"] == "ann@corp.example"


def test_an_offer_of_another_process_is_not_swapped(tmp_path: Path) -> None:
    path, task = tmp_path / "ledger.db", "Send 'Hello Ann' to ann@corp.example."
    first = mail_guard(ledger=path).session(run_id="r", instruction=task)
    held = ask(first, "send_email", MAIL)
    assert isinstance(held, Held)
    second = mail_guard(ledger=path).session(run_id="r", instruction=task)
    moved_on(second)
    assert offered(ask(second, "send_email", MAIL)) == "bob@corp.example"
    second.approve(held.hold_id, by="ann", offer=True)
    assert isinstance(ask(second, "send_email", MAIL), Blocked)


def test_what_was_held_does_not_run_because_its_repair_was_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`on_error` is for calls that nothing was found against."""
    policy = {
        "limits": {"deadline_ms": 300}, "on_error": {"allow_up_to_privilege": 5},
        "energy": {"allow_below": 0.1, "grey_reversible": "block", "grey": "block"},
    }  # fmt: skip
    guard = guard_of("search_docs", {"query": TEXT, "limit": WHOLE}, ["query"], policy)
    monkeypatch.setattr(session_module, "repaired_step", lambda *args: time.sleep(1))
    session = guard.session(instruction="Search the docs for q3.")
    assert isinstance(ask(session, "search_docs", {"query": "q3", "limit": 1_000_000}), Blocked)


def test_nobody_changes_what_was_decided_on_through_its_arguments() -> None:
    """A tool that appends to its list must not make the next answer to the call a wider one."""
    fields = {"limit": WHOLE, "tags": {"type": "array", "items": TEXT}}
    bound = {"list_orders": {"arguments": {"properties": {"limit": {"maximum": 50}}}}}
    guard = guard_of("list_orders", fields, ["limit"], {"tools": bound})
    session = guard.session(instruction="List the orders tagged new.")
    asked = {"limit": 1000, "tags": ["new"]}
    first = ask(session, "list_orders", asked)
    assert isinstance(first, Repaired)
    first.arguments["tags"].append("all")
    again = ask(session, "list_orders", asked)
    assert isinstance(again, Repaired)
    assert again.arguments == {"limit": 50, "tags": ["new"]}


SECRET = "hunter2-Kestrel-9921"


@pytest.mark.parametrize("first", [False, True])
def test_what_was_blacked_out_stands_in_no_receipt(first: bool) -> None:
    """Neither as the value nor in the quote of where it came from."""
    guard = guard_of("send_email", {"to": TEXT, "body": TEXT}, ["to", "body"])
    guard.register({"name": "read_inbox", "parameters": {"type": "object", "properties": {}}})
    session = guard.session(instruction="Send ann@corp.example a mail: when is the meeting?")
    assert isinstance(ask(session, "read_inbox", {}, "r"), Allowed)
    session.settle("r", {"password": SECRET, "note": "private"})
    text = "Hello Ann, the meeting on Monday is at ten, with coffee and cake for all of us. " * 4
    body = f"{SECRET} {text}" if first else f"{text}{SECRET}"
    decision = ask(session, "send_email", {"to": "ann@corp.example", "body": body})
    assert isinstance(decision, Repaired)
    assert SECRET not in decision.arguments["body"]
    assert all(SECRET not in str(entry.body) for entry in guard.ledger.entries())


def test_the_policy_speaks_of_what_was_split_off_too() -> None:
    """`never` for a tool is `never` for the call `<id>-rest` of that tool."""
    policy = load_policy(
        {"version": 1, "repair": {"tools": {"send_email": {"edits": {"redact": "never"}}}}}
    )
    guard = guard_of("send_email", {"to": TEXT, "body": TEXT}, ["to", "body"])
    call = ToolCall(node_id="a", tool_name="send_email", arguments={"to": "x", "body": "hello"})
    monitor = guard._monitor
    scene = scene_of(monitor, policy, Authority.of([]), None, step=False, lineages={})
    for node in "a", "a-rest":
        edit = Redact(node, "/body", ((0, 2),), 5)
        assert verdict_on(scene, Draft(ExecutionPlan(nodes=(call,))), edit) == "never"


@pytest.mark.parametrize(
    ("tool", "name"),
    [("delete_files", "keep"), ("delete_files", "protected"), ("delete_files", "tags"),
     ("update_firewall", "deny_list"), ("update_firewall", "denied_ips"),
     ("update_branch", "required_approvers")],
)  # fmt: skip
def test_a_list_that_holds_a_call_back_is_not_shortened(tool: str, name: str) -> None:
    """One file less is kept, one address less denied: that is more, not less."""
    rule = {"arguments": {"properties": {name: {"items": {"pattern": "^[a-z]+$"}}}}}
    fields = {"name": TEXT, name: {"type": "array", "items": TEXT}}
    guard = guard_of(tool, fields, ["name"], {"tools": {tool: rule}})
    session = guard.session(instruction="Delete the files, update firewall and branch: edge, aa.")
    decision = ask(session, tool, {"name": "edge", name: ["aa", "b/../b"]})
    assert not isinstance(decision, (Allowed, Repaired))


@pytest.mark.parametrize("name", ["port", "chmod", "required_votes", "password_length", "severity"])
def test_a_number_that_is_no_limit_is_set_by_a_person(name: str) -> None:
    rule = {"arguments": {"properties": {name: {"maximum": 90}}}}
    fields = {"name": TEXT, name: WHOLE}
    guard = guard_of("update_settings", fields, ["name"], {"tools": {"update_settings": rule}})
    session = guard.session(instruction="Update the settings of x.")
    decision = ask(session, "update_settings", {"name": "x", name: 999})
    assert not isinstance(decision, (Allowed, Repaired))

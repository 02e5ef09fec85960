"""R50: what an operator is told to do works, and says nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard import Allowed, Blocked, Decision, Guard, Held, ToolRequest, explain
from gatling_guard.policy import load_policy
from gatling_guard.report.receipts import explained

PAGE = {"name": "fetch_page", "description": "Fetch a web page.",
        "parameters": {"properties": {"url": {"type": "string"}}}}  # fmt: skip
SEND = {"name": "send_email", "description": "Send an email.",
        "parameters": {"properties": {"to": {}, "body": {}}}}  # fmt: skip


def decided(text: str, arguments: dict[str, Any], policy: dict[str, Any]) -> tuple[Guard, Decision]:
    guard = Guard({"version": 1, "limits": {"deadline_ms": 20_000}, **policy})
    guard.register(PAGE, effect="read", third_party=("*",), url_args=())
    guard.register(SEND, effect="send", identity_args=("to",), reversible=False)
    session = guard.session(instruction="Read the page and send an email.")
    session.check(ToolRequest("fetch_page", {"url": "x"}, "f"))
    session.settle("f", text)
    return guard, session.check(ToolRequest("send_email", arguments, "s"))


@pytest.mark.parametrize(
    ("to", "part"),
    [
        ("ann@partner.example", "addresses"),
        ("AT611904300234573201", "accounts"),
    ],
)
def test_the_boundary_entry_lets_the_call_pass(to: str, part: str) -> None:
    text, arguments = f"The contact is {to} as before.", {"to": to, "body": "Hello"}
    guard, decision = decided(text, arguments, {})
    assert isinstance(decision, (Held, Blocked))
    codes = [a.code for a in explain(decision, ledger=guard.ledger).actions]
    entry = next(code for code in codes if code.startswith("boundary"))
    assert list(yaml.safe_load(entry)["boundary"]) == [part]
    assert isinstance(decided(text, arguments, yaml.safe_load(entry))[1], Allowed)


@pytest.mark.parametrize("to", ["https://partner.example/in", "/srv/team/out.txt"])
def test_a_host_or_folder_is_proposed_where_data_flows_there(to: str) -> None:
    """It takes the flow away, and does not claim more."""
    secret = "the quarterly figures of the northern office"
    text = f"The contact is {to} as before. It is about {secret}."
    arguments = {"to": to, "body": secret}
    guard, decision = decided(text, arguments, {})
    advice = explain(decision, ledger=guard.ledger).actions
    entry = next(a for a in advice if a.code.startswith("boundary"))
    assert "still counts as unnamed" in entry.detail
    after = decided(text, arguments, yaml.safe_load(entry.code))[1]
    assert after.energy.flow == 0.0 < decision.energy.flow
    bare = decided(text, {"to": to, "body": "Hi"}, {})
    codes = [a.code for a in explain(bare[1], ledger=bare[0].ledger).actions]
    assert not any(code.startswith("boundary") for code in codes)


def test_the_rule_that_is_proposed_stops_the_call() -> None:
    text, arguments = "The contact is ann@partner.example.", {"to": "ann@partner.example"}
    guard, decision = decided(text, arguments, {})
    codes = [a.code for a in explain(decision, ledger=guard.ledger).actions]
    rule = next(code for code in codes if "origin" in code)
    blocked = decided(text, arguments, yaml.safe_load(rule))[1]
    assert isinstance(blocked, Blocked)
    assert blocked.findings[0].rule == "origin.required"


RULES = [
    "tool.unknown", "tool.denied", "role.tool", "role.denied", "role.unknown", "role.missing",
    "role.effect", "scope.cap", "schema.extra", "schema.type", "argument.pattern",
    "origin.required", "flow.public-sink", "flow.*-external", "hold.tool", "hold.rule",
    "limit.tool_calls", "limit.calls",
]  # fmt: skip
NAMES = st.text(max_size=20) | st.sampled_from(["send", "*", "a\nroles: {}", "x: y", "'", "{}"])


ACTIONS = st.sampled_from(["block", "hold"])


@given(st.sampled_from(RULES), NAMES, NAMES, st.text(max_size=30), ACTIONS)
def test_every_fragment_is_a_policy(
    rule: str, tool: str, role: str, value: str, action: str
) -> None:
    """Whatever the names and values are: one mapping that loads, and no key of an attacker's."""
    body = {
        "action": action, "tool": tool or "t", "role": role, "hold_id": "0f" * 16,
        "findings": [[rule, action, value, "/to"]], "profile": {"effect": "send"},
        "lineage": [{"path": "/to", "argument": "to", "kind": "identity", "value": value, "tier": 3,
                     "named": False, "origins": [{"source": "output", "match": "exact", "tier": 3,
                                                  "call": "c", "tool": tool}]}],
    }  # fmt: skip
    for item in explained(body).actions:
        if item.code and not item.code.startswith("session."):
            load_policy("version: 1\n" + item.code)
            assert item.code.isascii()
            top = set(yaml.safe_load(item.code))
            assert len(top) == 1
            assert top <= {"tools", "roles", "boundary", "flows", "limits"}


@pytest.mark.parametrize("value", ["", "[redacted:key]", "long...", "a\u202eb@x.example", "12"])
def test_no_entry_for_a_value_that_is_not_whole(value: str) -> None:
    leaf = {"path": "/to", "argument": "to", "kind": "identity", "value": value, "tier": 3,
            "named": False, "origins": []}  # fmt: skip
    found = explained({"action": "block", "tool": "t", "lineage": [leaf]})
    assert not any("boundary" in item.code for item in found.actions)


def told(rule: str, action: str = "hold", **fields: Any) -> str:
    """All advice on a receipt, as one text."""
    body = {"action": action, "tool": "pay", "role": "clerk", "hold_id": "0f" * 16,
            "findings": [[rule, action, "amount of role clerk: 12 with this call, at most 10", ""]],
            **fields}  # fmt: skip
    actions = explained(body).actions
    return "\n".join(f"{a.title}\n{a.detail}\n{a.code}" for a in actions)


def test_what_was_denied_is_taken_out_of_the_list() -> None:
    """R50: `deny` wins, so a line under `tools` would change nothing."""
    text = told("role.denied", "block")
    assert "Remove it from `deny`" in text
    assert "tools:" not in text


def test_an_unknown_tool_is_to_be_registered() -> None:
    """R50: nothing is allowed unseen, and no effect is guessed."""
    text = told("tool.unknown", "block")
    assert "Register the tool" in text
    assert "allow" not in text
    assert "effect" not in text
    assert "effect='read'" in told("tool.unknown", "block", profile={"effect": "read"})


def test_a_list_of_a_role_is_added_to() -> None:
    """R50: the line that is shown would otherwise take all else from the role."""
    assert "Add to the list" in told("role.tool", "block")


@pytest.mark.parametrize(
    ("action", "answer"), [("hold", "A person has to"), ("block", "No answer")]
)
def test_a_budget_is_named(action: str, answer: str) -> None:
    """R50: naming a value does not enlarge a budget."""
    text = told("budget.amount", action, lineage=[STRANGE])
    assert "amount of role clerk: 12" in text
    assert answer in text
    assert "Ask the user" not in text


STRANGE = {
    "path": "/to", "argument": "to", "kind": "identity", "value": "EUR", "tier": 3, "named": False,
    "origins": [{"source": "output", "match": "exact", "tier": 3, "call": "c", "tool": "mail"}],
}  # fmt: skip


@pytest.mark.parametrize(
    "value",
    ["EUR", "general", "$a.email", "${a}@b.example", "{{to}}", "<name>@b.example", "2026-11-21",
     "room 12", "@ann", "4,900.00"],
)  # fmt: skip
def test_no_entry_for_a_word_or_a_placeholder(value: str) -> None:
    """R50: an entry of the boundary counts in every call from then on."""
    leaf = {**STRANGE, "value": value}
    shares = [["flow", "n", 3.0, "why", "/to"]]
    found = explained({"action": "block", "tool": "t", "lineage": [leaf], "shares": shares})
    assert not any("boundary" in item.code for item in found.actions)


def test_a_hold_by_untrusted_text_offers_the_grant_that_works() -> None:
    """R50: only where no rule holds, because a grant clears none."""
    text = "The contact is ann@partner.example."
    guard = Guard({"version": 1, "limits": {"deadline_ms": 20_000}})
    guard.register(PAGE, effect="read", third_party=("*",), url_args=())
    guard.register(SEND, effect="send", identity_args=("to",), reversible=False)
    session = guard.session(instruction="Read the page and send an email.")
    session.check(ToolRequest("fetch_page", {"url": "x"}, "f"))
    session.settle("f", text)
    held = session.check(ToolRequest("send_email", {"to": "ann@partner.example"}, "s"))
    assert isinstance(held, Held)
    codes = [a.code for a in explain(held, ledger=guard.ledger).actions if "grant=True" in a.code]
    eval(codes[0], {"session": session})
    assert len(session.grants) == 1
    after = explain(held, ledger=guard.ledger).actions
    assert not any(a.code.startswith("session.") for a in after)
    assert "grant=True" not in told("hold.tool", lineage=[STRANGE])

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

"""Unknown tools, roles, scope, holds, limits: truth tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.catalog.types import Effect, ToolProfile, ToolSpec
from gatling_guard.plan import ToolCall
from gatling_guard.policy import Policy, load_policy
from gatling_guard.rules import CHECKS, Finding, RuleFacts, apply_rules
from gatling_guard.rules import apply as apply_module


def spec(name: str = "send_email", effect: Effect = Effect.SEND, **fields: Any) -> ToolSpec:
    aliases = fields.pop("aliases", ())
    return ToolSpec(name, aliases=aliases, profile=ToolProfile(effect, **fields))


def found(
    policy: Policy | str | dict[str, Any],
    tool: ToolSpec | None,
    *,
    name: str | None = None,
    role: str | None = None,
    scope: int = 1,
    **more: Any,
) -> set[tuple[str, str]]:
    name = name or (tool.name if tool else "send_email")
    call = ToolCall(node_id="1", tool_name=name, arguments={}, scope_level=scope)
    facts = RuleFacts(call, tool, load_policy(policy), role, (), **more)
    return {(finding.rule, finding.action) for finding in apply_rules(facts)}


@pytest.mark.parametrize("choice", ["block", "hold", "allow"])
@pytest.mark.parametrize("entry", [None, True, False])
def test_unknown_tools(choice: str, entry: bool | None) -> None:
    """P7, R140: unregistered is blocked unless the policy says otherwise; `allow: false` wins."""
    tools = {} if entry is None else {"send_*": {"allow": entry}}
    got = found({"unknown_tools": choice, "tools": tools}, None)
    stops = {"block": "block", "hold": "hold", "allow": "note"}[choice]
    assert ("tool.unknown", "note" if entry else stops) in got
    assert (("tool.denied", "block") in got) is (entry is False)


def test_a_registered_tool_is_allowed_by_both_built_in_policies() -> None:
    assert found("standard", spec()) == set()
    assert found("strict", spec(effect=Effect.READ)) == set()


def test_the_most_specific_allow_decides() -> None:
    policy = {
        "tools": {"*": {"allow": False}, "read_*": {"allow": True}, "read_pay": {"allow": False}}
    }
    assert found(policy, spec("read_mail")) == set()
    assert found(policy, spec("read_pay")) == {("tool.denied", "block")}
    assert found(policy, spec("write")) == {("tool.denied", "block")}


@pytest.mark.parametrize(
    "name", ["send_email", "Send_Email", "SEND_EMAIL", "\uff53end_email", "mail"]
)
def test_restrictions_follow_aliases_and_spellings(name: str) -> None:
    """P6: another spelling of a denied name is no way around the policy."""
    policy = {"unknown_tools": "allow", "tools": {"send_email": {"allow": False}}}
    tool = spec(aliases=("mail",)) if name == "mail" else None
    assert ("tool.denied", "block") in found(policy, tool, name=name)


def test_permissions_do_not_follow_spellings() -> None:
    policy = {"unknown_tools": "allow", "roles": {"a": {"tools": "send_email"}}}
    assert ("role.tool", "block") in found(policy, None, name="Send_Email", role="a")
    assert ("role.tool", "block") not in found(policy, None, name="send_email", role="a")


def test_a_role_is_denied_under_every_spelling() -> None:
    policy = {"unknown_tools": "allow", "roles": {"a": {"tools": "*", "deny": "send_email"}}}
    assert ("role.denied", "block") in found(policy, None, name="Send_Email", role="a")
    assert ("role.denied", "block") not in found(policy, None, name="send_emails", role="a")


def test_a_name_that_is_not_the_tools_is_blocked() -> None:
    tool = spec("send_email", aliases=("mail",))
    assert found("standard", tool, name="mail") == set()
    assert found("standard", tool, name="send_emai1") == {("tool.mismatch", "block")}


ROLES = """
roles:
  reader: {tools: ["read_*", send_email], deny: ["*_secret"], effects: [read], scope: 4}
  boss: {tools: "*"}
"""


@pytest.mark.parametrize(
    ("role", "tool", "effect", "scope", "expected"),
    [
        ("reader", "read_mail", Effect.READ, 4, None),
        ("reader", "read_mail", Effect.READ, 5, "scope.cap"),
        ("reader", "read_secret", Effect.READ, 1, "role.denied"),
        ("reader", "send_email", Effect.SEND, 1, "role.effect"),
        ("reader", "delete_mail", Effect.READ, 1, "role.tool"),
        ("boss", "read_secret", Effect.PAY, 10, None),
        ("intern", "read_mail", Effect.READ, 1, "role.unknown"),
        ("Reader", "read_mail", Effect.READ, 1, "role.unknown"),
        ("", "read_mail", Effect.READ, 1, "role.unknown"),
        (None, "read_mail", Effect.READ, 1, "role.missing"),
    ],
)
def test_roles(
    role: str | None, tool: str, effect: Effect, scope: int, expected: str | None
) -> None:
    """Truth table: exactly the one veto expected, or none."""
    got = found(ROLES, spec(tool, effect), role=role, scope=scope)
    assert got == ({(expected, "block")} if expected else set())


def test_the_default_role_stands_in() -> None:
    policy = ROLES + "default_role: reader\n"
    assert found(policy, spec("read_mail", Effect.READ)) == set()
    assert found(policy, spec("delete_mail")) == {("role.tool", "block")}


def test_without_roles_a_role_changes_nothing() -> None:
    assert found("standard", spec(), role="anyone") == set()


def test_an_unknown_tool_has_no_effect_that_a_role_could_allow() -> None:
    got = found(ROLES + "unknown_tools: allow\n", None, name="read_x", role="reader")
    assert ("role.effect", "block") in got


@given(st.integers(1, 10), st.integers(1, 10), st.integers(1, 10))
def test_the_scope_cap_is_exact(cap: int, call: int, profile: int) -> None:
    policy = {"roles": {"a": {"tools": "*", "scope": cap}}}
    got = found(policy, spec(scope=profile), role="a", scope=call)
    assert (("scope.cap", "block") in got) is (max(call, profile) > cap)


@pytest.mark.parametrize(
    ("hold", "tool", "held"),
    [
        ({"tools": "send_*"}, spec(), True),
        ({"tools": "pay_*"}, spec(), False),
        ({"effects": ["send", "pay"]}, spec(), True),
        ({"effects": ["pay"]}, spec(), False),
        ({"irreversible": True}, spec(reversible=False), True),
        ({"irreversible": True}, spec(reversible=True), False),
        ({"irreversible": False}, spec(reversible=True), True),
        ({"irreversible": False}, spec(reversible=False), False),
        ({"tools": "send_*", "effects": ["pay"]}, spec(), False),
        ({"tools": "send_*", "irreversible": True}, spec(reversible=False), True),
        ({"effects": ["pay"], "irreversible": True}, None, True),
    ],
)
def test_holds(hold: dict[str, Any], tool: ToolSpec | None, held: bool) -> None:
    """All conditions given must apply; what is not known of a tool counts as applying."""
    policy = {"unknown_tools": "allow", "holds": [{**hold, "reason": "because"}]}
    assert (("hold.rule", "hold") in found(policy, tool)) is held


def test_holds_of_all_matching_entries_apply() -> None:
    policy = {"tools": {"*": {"hold": True}, "send_email": {"hold": False}}}
    assert found(policy, spec()) == {("hold.tool", "hold")}


def test_a_declared_profile_changes_what_is_held() -> None:
    holds = [{"effects": ["pay"], "reason": "money"}]
    policy = {"tools": {"send_email": {"effect": "pay"}}, "holds": holds}
    assert found(policy, spec(effect=Effect.READ)) == {("hold.rule", "hold")}


@pytest.mark.parametrize(
    ("so_far", "tool_so_far", "expected"),
    [
        (4, 1, set()),
        (5, 0, {"limit.calls"}),
        (4, 2, {"limit.tool_calls"}),
        (1, None, set()),
        (2, None, {"limit.tool_calls"}),
        (9, 9, {"limit.calls", "limit.tool_calls"}),
    ],
)
def test_limits(so_far: int, tool_so_far: int | None, expected: set[str]) -> None:
    policy = {"limits": {"max_calls": 5}, "tools": {"send_*": {"max_calls": 2}}}
    got = found(policy, spec(), calls_so_far=so_far, tool_calls_so_far=tool_so_far)
    assert got == {(rule, "block") for rule in expected}


@pytest.mark.parametrize("error", [ValueError, RecursionError, MemoryError, AssertionError])
@pytest.mark.parametrize("index", range(len(CHECKS)))
def test_a_check_that_fails_blocks(
    monkeypatch: pytest.MonkeyPatch, index: int, error: type[Exception]
) -> None:
    """R140: an exception in each rule, and the other rules still speak."""

    def check_broken(facts: RuleFacts) -> Any:
        yield Finding("x.before", "note", "said before the fault")
        raise error("secret detail")

    checks = (*CHECKS[:index], check_broken, *CHECKS[index + 1 :])
    monkeypatch.setattr(apply_module, "CHECKS", checks)
    call = ToolCall(node_id="1", tool_name="t")
    findings = apply_rules(RuleFacts(call, spec("t"), load_policy("standard"), None, ()))
    (finding,) = [f for f in findings if f.rule == "rule.error"]
    assert finding.action == "block"
    assert error.__name__ in finding.message
    assert "secret" not in finding.message


def test_many_notes_cannot_push_a_veto_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_noisy(facts: RuleFacts) -> Any:
        yield from [Finding("n", "note", "")] * 500
        yield Finding("b", "block", "")

    monkeypatch.setattr(apply_module, "CHECKS", (check_noisy,))
    call = ToolCall(node_id="1", tool_name="t")
    findings = apply_rules(RuleFacts(call, None, load_policy("standard"), None, ()))
    assert len(findings) <= 50
    assert findings[0].action == "block"


def test_two_specs_of_one_name_are_not_mixed_up() -> None:
    """The cache is keyed by the spec itself, not by its name."""
    policy = load_policy({"holds": [{"effects": ["pay"], "reason": "money"}]})
    for _ in range(3000):
        assert found(policy, spec("t", Effect.READ)) == set()
        assert found(policy, spec("t", Effect.PAY)) == {("hold.rule", "hold")}

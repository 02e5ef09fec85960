"""What a policy means: precedence, profiles, tiers, literals, digest, fail mode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gatling_guard.catalog.types import Effect
from gatling_guard.errors import PolicyError
from gatling_guard.plan import Provenance
from gatling_guard.policy import load_policy, source_tier


def test_the_most_specific_entry_declares_the_profile() -> None:
    """An exact name before every glob, a longer glob before a shorter one, per field."""
    policy = load_policy(
        """
tools:
  "*": {privilege: 1, sink: false, scope: 2, reversible: false}
  "send_*": {privilege: 5, sink: true}
  "send_email_now_*": {privilege: 6}
  send_email: {privilege: 9, effect: send, identity_args: to, third_party: true}
"""
    )
    assert policy.declared_profile("send_email") == {
        "privilege": 9,
        "effect": Effect.SEND,
        "identity_args": ("to",),
        "third_party": ("*",),
        "sink": True,
        "scope": 2,
        "reversible": False,
    }
    assert policy.declared_profile("send_email_now_x")["privilege"] == 6
    assert policy.declared_profile("Send_email")["privilege"] == 1
    assert load_policy("standard").declared_profile("x") == {}


def test_entries_do_not_depend_on_the_order_of_the_file() -> None:
    rules = {"a*": {"privilege": 2}, "ab*": {"privilege": 3}, "abc": {"privilege": 4}}
    one = load_policy({"tools": rules})
    two = load_policy({"tools": dict(reversed(rules.items()))})
    assert one.entries(["abc"]) == two.entries(["abc"])
    assert [glob for glob, _ in one.entries(["abc"])] == ["abc", "ab*", "a*"]


@pytest.mark.parametrize(
    ("source", "signed", "tier"),
    [
        ("internal", False, 1),
        ("internal", True, 1),
        ("partner", True, 2),
        ("partner", False, 3),
        ("public", True, 3),
        ("public", False, 3),
        ("Internal", True, 3),
        ("anything", True, 3),
        ("", True, 3),
        (None, True, 3),
    ],
)
def test_tier_from_source(source: str | None, signed: bool, tier: int) -> None:
    """R51: unknown counts as public, and so does an unsigned partner."""
    assert source_tier(source, signed=signed) == tier
    if source in ("internal", "partner", "public"):
        policy = load_policy({"tools": {"t": {"provenance": source, "signed": signed}}})
        assert policy.declared_profile("t")["tier"] is Provenance(tier)


def test_literals_are_what_the_policy_names() -> None:
    policy = load_policy(
        """
boundary: {domains: [corp.example], addresses: [Ann@Partner.example], accounts: [DE 02]}
tools:
  send:
    arguments:
      to: {enum: [bob@x.org, 5]}
      cc: {anyOf: [{const: eve@x.org}, {not: {const: mallory@x.org}}]}
"""
    )
    assert policy.literals() == (
        "corp.example",
        "ann@partner.example",
        "DE 02",
        "bob@x.org",
        "eve@x.org",
    )


def test_the_digest_follows_the_content() -> None:
    base = "tools: {a: {allow: false}}\nmode: enforce\n"
    same = "mode: enforce   # comment\ntools:\n  a:\n    allow: no\n"
    assert load_policy(base).digest == load_policy(same).digest
    for other in ("mode: shadow\n", base.replace("false", "true"), base + "name: x\n"):
        assert load_policy(other).digest != load_policy(base).digest


def test_fail_mode_per_privilege() -> None:
    """R140: blocked unless the policy names a privilege up to which it may run."""
    policy = load_policy("on_error: {action: block, allow_up_to_privilege: 2}\n")
    assert [policy.on_error.blocks(p) for p in (1, 2, 3, 10)] == [False, False, True, True]
    with pytest.raises(PolicyError, match="allow_up_to_privilege"):
        load_policy("on_error: {allow_up_to_privilege: 11}\n")
    with pytest.raises(PolicyError, match="on_error"):
        load_policy("on_error: allow\n")


def test_a_policy_is_frozen() -> None:
    policy = load_policy("standard")
    with pytest.raises(ValidationError):
        policy.mode = "shadow"


def test_a_flow_may_be_written_in_two_ways() -> None:
    one = load_policy(
        "flows:\n  - deny: public -> sink\n  - hold: tool:read_* -> external (content)\n"
    )
    listed = '["deny: public -> sink", "hold: tool:read_*  ->  external (content)"]'
    two = load_policy(f"flows: {listed}\nmode: enforce")
    assert one == two
    assert [str(flow) for flow in one.flows] == [
        "deny: public -> sink",
        "hold: tool:read_* -> external (content)",
    ]
    assert one.flows[0].rule == "flow.public-sink"


@pytest.mark.parametrize(
    "flow",
    [
        "",
        "deny",
        "deny: a",
        "deny: public -> sink -> pay",
        "deny: public -> sink (x)",
        "deny: tool: -> pay",
    ],
)
def test_a_malformed_flow_is_refused(flow: str) -> None:
    with pytest.raises(PolicyError, match=r"flows\[0\]"):
        load_policy({"flows": [flow]})


@given(st.sampled_from(["internal", "partner", "public", None]), st.booleans())
def test_a_signature_never_makes_a_tier_worse(source: str | None, signed: bool) -> None:
    assert source_tier(source, signed=True) <= source_tier(source, signed=signed)

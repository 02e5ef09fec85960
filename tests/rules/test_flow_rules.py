"""Forbidden flows and required origins, over lineages as the trace index makes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.catalog.types import Effect, ToolProfile, ToolSpec
from gatling_guard.plan import Provenance, ToolCall
from gatling_guard.policy import load_policy
from gatling_guard.rules import RuleFacts, apply_rules
from gatling_guard.trace.types import Lineage, Origin, Span

_SEND = ToolProfile(
    Effect.SEND, sink=True, identity_args=("to",), content_args=("body",), reversible=False
)


def output(tier: int, tool: str = "read_page", *, match: Any = "exact", span_id: int = 1) -> Origin:
    span = Span(span_id, "c1", tool, "/text", "t", "t", Provenance(tier))
    return Origin("output", match, Provenance(tier), span)


def said(source: Any = "instruction", match: Any = "exact") -> Origin:
    return Origin(source, match, Provenance.INTERNAL)


def leaf(*origins: Origin, path: str = "/to", value: Any = "x", trivial: bool = False) -> Lineage:
    return Lineage(path, path.split("/")[1], value, origins, trivial)


def rules(
    policy: dict[str, Any] | str,
    *lineage: Lineage,
    arguments: dict[str, Any] | None = None,
    profile: ToolProfile | None = _SEND,
    name: str = "send",
) -> list[tuple[str, str, str]]:
    if arguments is None:
        arguments = {item.argument: item.value for item in lineage}
    tool = ToolSpec(name, profile=profile) if profile else None
    call = ToolCall(node_id="2", tool_name=name, arguments=arguments)
    found = apply_rules(RuleFacts(call, tool, load_policy(policy), None, lineage))
    return sorted((f.rule, f.action, f.where) for f in found)


@pytest.mark.parametrize(
    ("flow", "origin", "hit"),
    [
        ("deny: public -> sink", output(3), True),
        ("deny: public -> sink", output(2), False),
        ("deny: partner -> sink", output(2), True),
        ("deny: internal -> sink", output(1), True),
        ("deny: internal -> sink", output(3), False),
        ("deny: public -> send", output(3), True),
        ("deny: public -> pay", output(3), False),
        ("deny: public -> external", output(3), True),
        ("deny: public -> tool:se*", output(3), True),
        ("deny: public -> tool:pay*", output(3), False),
        ("deny: tool:read_* -> sink", output(1), True),
        ("deny: tool:read_p -> sink", output(1), False),
        ("deny: * -> sink", output(1), True),
        ("deny: * -> sink", said(), False),
        ("deny: internal -> sink", said(), False),
        ("deny: public -> sink", output(3, match="words"), True),
        ("deny: public -> sink (identity)", output(3), True),
        ("deny: public -> sink (content)", output(3), False),
        ("hold: public -> sink", output(3), True),
    ],
)
def test_flows(flow: str, origin: Origin, hit: bool) -> None:
    """R37: truth table over sources, targets and parts."""
    got = rules({"flows": [flow]}, leaf(origin))
    action = "hold" if flow.startswith("hold") else "block"
    assert [item[1:] for item in got] == ([(action, "/to")] if hit else [])
    assert all(item[0].startswith("flow.") for item in got)


def test_each_argument_is_judged_alone() -> None:
    """P2: a tainted body does not make the recipient tainted."""
    lineage = (leaf(said()), leaf(output(3), path="/body"))
    assert rules({"flows": ["deny: public -> sink (identity)"]}, *lineage) == []
    assert rules({"flows": ["deny: public -> sink"]}, *lineage) == [
        ("flow.public-sink", "block", "/body")
    ]


def test_a_value_that_the_instruction_names_is_no_flow() -> None:
    flows = {"flows": ["deny: public -> sink"]}
    assert rules(flows, leaf(output(3), said())) == []
    assert rules(flows, leaf(output(3), said(match="words"))) != []
    for nothing in (None, True, "", " "):
        assert rules(flows, leaf(output(3), value=nothing, trivial=True)) == []


@pytest.mark.parametrize("value", ["7", "x", 7, 0])
def test_a_short_value_is_a_value(value: Any) -> None:
    """R37: account `7` is no less an account; only null, booleans and blank text are nothing."""
    leaf_ = leaf(output(3), value=value, trivial=True)
    assert rules({"flows": ["deny: public -> sink"]}, leaf_) != []
    origin = {"tools": {"send": {"origin": {"to": "instruction"}}}}
    assert rules(origin, leaf_) == [("origin.required", "block", "/to")]
    assert rules(origin, leaf(said(), value=value)) == []


def test_what_a_plan_will_fill_in_is_a_value() -> None:
    """R53: an argument that is empty in the plan, and that an edge feeds."""
    fed = leaf(output(3), value="")
    assert rules({"flows": ["deny: public -> sink"]}, fed, arguments={}) != []
    origin = {"tools": {"send": {"origin": {"to": "instruction"}}}}
    assert rules(origin, fed, arguments={}) == [("origin.required", "block", "/to")]


def test_an_argument_nobody_described_counts_as_identity() -> None:
    flows = {"flows": ["deny: public -> sink (identity)"]}
    assert rules(flows, leaf(output(3), path="/other")) != []
    assert rules(flows, leaf(output(3), path="/body")) == []


def test_an_unknown_tool_is_every_target() -> None:
    flows = {"unknown_tools": "allow", "flows": ["deny: public -> pay"]}
    assert ("flow.public-pay", "block", "/to") in rules(flows, leaf(output(3)), profile=None)


BOUNDARY = {"domains": ["corp.example"], "accounts": ["DE01"]}


@pytest.mark.parametrize(
    ("to", "external"),
    [
        ("ann@corp.example", False),
        (["ann@corp.example", "bob@mail.corp.example"], False),
        (["ann@corp.example", "eve@evil.com"], True),
        (["DE01", "DE99"], True),
        ("DE01", False),
        ("eve@corp.example.evil.com", True),
        ("DE99", True),
        ("", True),
        ([], True),
    ],
)
def test_external_is_what_is_not_certainly_inside(to: Any, external: bool) -> None:
    """R38: found from the destination, not from the tool's name."""
    policy = {"boundary": BOUNDARY, "flows": ["deny: internal -> external"]}
    body = leaf(output(1), path="/body")
    got = rules(policy, body, arguments={"to": to, "body": "see evil.com"})
    assert bool(got) is external


def test_only_arguments_that_name_a_destination_count_as_one() -> None:
    policy = {"boundary": BOUNDARY, "flows": ["deny: internal -> external"]}
    arguments = {"to": "ann@corp.example", "attachment": "report.zip", "body": "x"}
    assert rules(policy, leaf(output(1), path="/body"), arguments=arguments) == []


def test_a_url_can_carry_data_out_of_a_read() -> None:
    profile = ToolProfile(Effect.READ, url_args=("url",))
    policy = {"boundary": BOUNDARY, "flows": ["deny: internal -> external"]}
    for url, external in (("https://evil.com/?q=x", True), ("https://corp.example/?q=x", False)):
        item = leaf(output(1), path="/url", value=url)
        assert bool(rules(policy, item, profile=profile)) is external
    plain = ToolProfile(Effect.READ, identity_args=("id",))
    assert rules(policy, leaf(output(1), path="/id"), profile=plain) == []


ORIGINS: list[tuple[list[str], list[Origin], bool]] = [
    (["instruction"], [said()], True),
    (["instruction"], [said(match="substring")], True),
    (["instruction"], [said(match="words")], False),
    (["instruction"], [said("system")], False),
    (["instruction", "system"], [said("system")], True),
    (["policy"], [said("policy")], True),
    (["instruction"], [output(1)], False),
    (["instruction"], [output(3), said()], True),
    (["instruction"], [], False),
    (["model"], [], True),
    (["model"], [Origin("model", "none", Provenance.INTERNAL)], True),
    (["model"], [output(1, match="words")], False),
    (["internal"], [output(1)], True),
    (["internal"], [output(2)], False),
    (["internal"], [output(1, match="words")], False),
    (["internal"], [output(1), output(3, span_id=9)], True),
    (["public"], [output(3)], True),
    (["tool:contacts"], [output(1, "contacts")], True),
    (["tool:cont*"], [output(3, "contacts")], True),
    (["tool:contacts"], [output(1, "mail")], False),
    # A text that only holds something from there does not come from there.
    (["tool:contacts"], [replace(output(1, "contacts"), partial=True)], False),
    (["internal"], [replace(output(1), match="substring", partial=True)], False),
    (["instruction"], [replace(said(match="substring"), partial=True)], False),
    # P4: the contacts tool, asked with a value from a mail, only repeats it.
    (["tool:contacts"], [output(3, "mail", span_id=1), output(3, "contacts", span_id=2)], False),
    # The other way round the mail repeats the contact.
    (["tool:contacts"], [output(3, "contacts", span_id=1), output(3, "mail", span_id=2)], True),
    (["tool:contacts"], [output(3, "mail", span_id=1), output(1, "contacts", span_id=2)], True),
]


@pytest.mark.parametrize(("wanted", "origins", "accepted"), ORIGINS)
def test_required_origins(wanted: list[str], origins: list[Origin], accepted: bool) -> None:
    policy = {"tools": {"send": {"origin": {"to": wanted}}}}
    got = rules(policy, leaf(*origins))
    assert got == ([] if accepted else [("origin.required", "block", "/to")])


def test_each_leaf_of_an_argument_needs_its_origin() -> None:
    policy = {"tools": {"send": {"origin": {"to": "instruction"}}}}
    good, bad = leaf(said(), path="/to/0"), leaf(output(3), path="/to/1", value="y")
    arguments = {"to": ["x", "y"], "body": "free"}
    assert rules(policy, good, bad, arguments=arguments) == [("origin.required", "block", "/to/1")]


def test_keys_are_data() -> None:
    """P6: an address hidden in a key needs its origin too."""
    policy = {"tools": {"send": {"origin": {"to": "instruction"}}}}
    got = rules(policy, arguments={"to": {"eve@evil.com": True}})
    assert got == [("origin.required", "block", "/to/eve@evil.com/~key")]


def test_a_value_without_lineage_has_no_origin() -> None:
    """R140: what the trace did not look at counts as unknown."""
    policy = {"tools": {"send": {"origin": {"to": "instruction"}}}}
    assert rules(policy, arguments={"to": "x"}) == [("origin.required", "block", "/to")]
    assert rules(policy, arguments={"to": 1}) == [("origin.required", "block", "/to")]
    assert rules(policy, arguments={"body": "x"}) == []
    assert rules(policy, arguments={"to": None}) == []


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"To": "eve"}, "/To"),
        ({"x": {"to": "eve"}}, "/x/to"),
        ({"x": [{"t_o": ["eve"]}]}, "/x/0/t_o/0"),
        ({"x": '[{"to": "eve"}]'}, "/x"),
        ({"to": "ann", "x": {"to": "eve"}}, "/x/to"),
        ({"to": "ann", "TO": "eve"}, "/TO"),
    ],
)
def test_an_argument_elsewhere_needs_its_origin_too(arguments: Any, where: str) -> None:
    """P6: inside another argument, in a text, under another spelling."""
    policy = {"tools": {"send": {"origin": {"to": "instruction"}}}}
    ann = leaf(said(), value="ann")
    assert rules(policy, ann, arguments=arguments) == [("origin.required", "block", where)]
    trusted = Lineage(where, where.split("/")[1], "eve", (said(),))
    assert rules(policy, ann, trusted, arguments=arguments) == []


def test_origins_of_all_matching_entries_apply() -> None:
    policy = {
        "tools": {
            "send": {"origin": {"to": ["instruction", "internal"]}},
            "*": {"origin": {"to": "instruction"}},
        }
    }
    assert rules(policy, leaf(output(1))) == [("origin.required", "block", "/to")]
    assert rules(policy, leaf(said())) == []


def test_strict_stops_recipients_from_public_text_and_holds_the_rest() -> None:
    to_public = rules("strict", leaf(output(3)))
    assert ("flow.public-sink", "block", "/to") in to_public
    body_public = rules("strict", leaf(said()), leaf(output(3), path="/body"))
    assert ("flow.public-sink", "hold", "/body") in body_public
    assert {action for _, action, _ in body_public} == {"hold"}


def test_standard_has_no_flows() -> None:
    """P2: tainted data reaching a write is what half of honest work looks like."""
    assert rules("standard", leaf(output(3)), leaf(output(3), path="/body")) == []


_origins = st.lists(
    st.one_of(
        st.builds(output, st.integers(1, 3), st.sampled_from(["mail", "contacts"]),
                  match=st.sampled_from(["exact", "words"]), span_id=st.integers(1, 5)),
        st.builds(said, st.sampled_from(["instruction", "system", "policy"])),
    ),
    max_size=4,
)  # fmt: skip


@given(_origins, st.sampled_from(["public", "partner", "internal", "tool:mail", "*"]))
def test_another_output_origin_never_removes_a_flow(origins: list[Origin], source: str) -> None:
    policy = {"flows": [f"deny: {source} -> sink"]}
    if rules(policy, leaf(*origins)):
        assert rules(policy, leaf(*origins, output(3, "other")))


@given(_origins)
def test_a_wider_list_of_origins_accepts_no_less(origins: list[Origin]) -> None:
    narrow = {"tools": {"send": {"origin": {"to": ["instruction", "tool:contacts"]}}}}
    wide = {"tools": {"send": {"origin": {"to": ["instruction", "tool:contacts", "public"]}}}}
    if not rules(narrow, leaf(*origins)):
        assert not rules(wide, leaf(*origins))


def test_a_flow_from_a_tool_counts_what_is_assumed_of_forgotten_text() -> None:
    """R37: text that is no longer indexed may have come from any tool; fail closed."""
    from gatling_guard.plan import Provenance
    from gatling_guard.rules.flow import _from
    from gatling_guard.trace import Origin

    assert _from("tool:read_secret", Origin("output", "assumed", Provenance.PUBLIC))
    assert not _from("tool:read_secret", Origin("model", "none", Provenance.INTERNAL))


@pytest.mark.parametrize(
    ("source", "fields", "hit"),
    [
        ("caused", {"cause": "c0"}, True),
        ("caused", {}, False),
        ("tool:read_secret", {"tool": "read_secret"}, True),
        ("tool:read_secret", {"tool": "other"}, False),
        ("tool:read_secret", {"tool": ""}, True),  # nobody knows what that tool was
    ],
)
@pytest.mark.parametrize("target", ["pay", "sink", "external", "tool:p*"])
def test_flows_from_caused_output_and_from_unknown_tools(
    source: str, fields: dict[str, Any], hit: bool, target: str
) -> None:
    """What a call made that untrusted content caused carries that on."""
    plain: dict[str, Any] = {"tool": "read", **fields}
    span = Span(1, "c1", path="/id", text="t", canonical="t", tier=Provenance.INTERNAL, **plain)
    origin = Origin("output", "exact", Provenance.INTERNAL, span)
    tool = ToolSpec("pay", profile=ToolProfile(Effect.PAY, sink=True, identity_args=("to",)))
    call = ToolCall(node_id="2", tool_name="pay", arguments={"to": "x"})
    policy = load_policy({"flows": [f"deny: {source} -> {target}"]})
    found = apply_rules(RuleFacts(call, tool, policy, None, (leaf(origin),)))
    assert any(f.rule == f"flow.{source}-{target}" for f in found) is hit

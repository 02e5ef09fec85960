"""The repair section: who may have what changed, and how strictly words combine (R60)."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.errors import PolicyError
from gatling_guard.policy import RepairKind, Repairs, RepairVerdict, load_policy

WORDS: tuple[RepairVerdict, ...] = get_args(RepairVerdict)
KINDS: tuple[RepairKind, ...] = get_args(RepairKind)
_words = st.sampled_from(WORDS)
_kinds = st.sampled_from(KINDS)


def repairs(text: str = "") -> Repairs:
    return load_policy(f"version: 1\nrepair: {{{text}}}\n").repair


def test_by_default_values_and_tools_are_never_replaced_silently() -> None:
    """R60: narrowing, redacting, dropping and holding are silent; whom it concerns never is."""
    policy = load_policy("standard").repair
    silent = {kind for kind in KINDS if policy.verdict(["t"], kind, identity=False) == "apply"}
    assert silent == {"narrow", "redact", "hold", "drop"}
    assert all(policy.verdict(["t"], kind, "to", identity=True) == "offer" for kind in KINDS)
    limits = (policy.min_similarity, policy.width, policy.depth, policy.deadline_ms)
    assert limits == (0.9, 8, 4, 40)


def test_the_mode_bounds_every_word() -> None:
    assert repairs("mode: off").verdict(["t"], "narrow", identity=False) == "never"
    assert repairs("mode: offer").verdict(["t"], "narrow", identity=False) == "offer"
    never = repairs("mode: offer, edits: {narrow: never}")
    assert never.verdict(["t"], "narrow", identity=False) == "never"


def test_a_kind_that_is_not_named_keeps_its_default() -> None:
    policy = repairs("edits: {drop: never, swap: apply}")
    assert policy.verdict(["t"], "drop", identity=False) == "never"
    assert policy.verdict(["t"], "swap", identity=False) == "apply"
    assert policy.verdict(["t"], "resource", identity=False) == "offer"


def test_a_tool_has_its_own_words_and_the_strictest_entry_counts() -> None:
    policy = repairs(
        'tools: {"send_*": {edits: {swap: apply, redact: offer}},'
        " send_mail: {edits: {swap: never}}}"
    )
    assert policy.verdict(["send_sms"], "swap", identity=False) == "apply"
    assert policy.verdict(["send_mail"], "swap", identity=False) == "never"
    assert policy.verdict(["x", "send_mail"], "swap", identity=False) == "never"
    assert policy.verdict(["send_mail"], "redact", identity=False) == "offer"
    assert policy.verdict(["read"], "swap", identity=False) == "offer"


def test_only_a_named_argument_lifts_the_identity_rule() -> None:
    """R60: `apply` for an argument lifts that rule and nothing else."""
    policy = repairs("tools: {send: {arguments: {to: apply, Body: never}}}")
    assert policy.verdict(["send"], "narrow", "/to/0", identity=True) == "apply"
    assert policy.verdict(["send"], "resource", "to", identity=True) == "offer"
    assert policy.verdict(["send"], "narrow", "/cc/0", identity=True) == "offer"
    assert policy.verdict(["other"], "narrow", "to", identity=True) == "offer"
    # A permission is for the argument itself; a restriction for every spelling, at any depth.
    assert policy.verdict(["send"], "narrow", "/To", identity=True) == "offer"
    assert policy.verdict(["send"], "narrow", "/message/to", identity=True) == "offer"
    assert policy.verdict(["send"], "redact", "/message/b-o_dy", identity=False) == "never"


def test_identity_may_be_closed_altogether() -> None:
    policy = repairs("identity: never, tools: {send: {arguments: {to: apply, cc: offer}}}")
    assert policy.verdict(["send"], "narrow", "bcc", identity=True) == "never"
    assert policy.verdict(["send"], "narrow", "to", identity=True) == "apply"
    assert policy.verdict(["send"], "narrow", "cc", identity=True) == "offer"
    assert policy.verdict(["send"], "narrow", "limit", identity=False) == "apply"


@given(st.dictionaries(_kinds, _words), st.dictionaries(_kinds, _words), _kinds, st.booleans())
def test_a_further_entry_never_lifts_what_one_forbids(
    one: dict[RepairKind, RepairVerdict],
    two: dict[RepairKind, RepairVerdict],
    kind: RepairKind,
    identity: bool,
) -> None:
    tools = {"a*": {"edits": {**one, kind: "offer"}}}
    alone = load_policy({"repair": {"tools": tools}}).repair
    both = load_policy({"repair": {"tools": {**tools, "ab": {"edits": two}}}}).repair
    ask = {"tool_names": ["ab"], "kind": kind, "argument": "x", "identity": identity}
    order = WORDS.index
    assert order(both.verdict(**ask)) >= order(alone.verdict(**ask))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("edits: {narow: apply}", "repair.edits.narow", "narrow"),
        ("edits: {narrow: maybe}", "repair.edits.narrow", "'apply', 'offer' or 'never'"),
        ("mod: off", "repair.mod", "did you mean 'mode'?"),
        ("mode: on", "repair.mode", "should be 'off', 'offer' or 'apply'"),
        ("identity: silent", "repair.identity", "never-silent"),
        ("tools: {send: {argument: {}}}", "repair.tools.send.argument", "'arguments'"),
        ("tools: {'a[b]': {}}", "repair.tools.a[b]", "only `*` and `?`"),
        ("min_similarity: 1.1", "repair.min_similarity", "not 1.1"),
        ("width: 0", "repair.width", "not 0"),
        ("depth: 17", "repair.depth", "not 17"),
        ('deadline_ms: "40"', "repair.deadline_ms", "valid integer"),
    ],
)
def test_faults_name_the_place(text: str, where: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        repairs(text)
    (issue,) = caught.value.issues
    assert (issue.where, issue.line) == (where, 2)
    assert said in issue.message


def test_the_section_survives_a_round_trip_and_counts_for_the_digest() -> None:
    policy = load_policy("repair: {mode: off, tools: {a: {arguments: {x: never}}}}\nversion: 1\n")
    again = load_policy(policy.model_dump(mode="json"))
    assert (again, again.digest) == (policy, policy.digest)
    assert policy.digest != load_policy("version: 1\n").digest

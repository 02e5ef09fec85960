"""What a dataset says of a value is what the encoder sees of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatling_guard.encoders.calls import CallInput as Input
from gatling_guard.encoders.calls import _lineage, call_features
from gatling_guard.errors import InputError
from gatling_guard.plan import ToolCall
from gatling_guard.training.facts import Fact, lineage_of, lineages

FACTS = st.builds(
    Fact,
    tier=st.sampled_from([1, 2, 3]),
    **{k: st.booleans() for k in ("named", "untrusted", "sensitive", "disguised", "caused")},
)


@given(FACTS, st.sampled_from(["ann@x.org", 5, True, None, " "]))
def test_a_lineage_says_what_its_facts_say(fact: Fact, value: Any) -> None:
    """All ten columns of the encoder, for every combination that can be."""
    assume(not fact.untrusted or (fact.tier == 3 and not fact.named))
    made = lineage_of("/to", value, fact)
    trivial = value in (None, True, " ")
    expected = [True, *(fact.tier == t for t in (1, 2, 3)), fact.named, fact.untrusted]
    expected += [fact.sensitive, fact.disguised, fact.caused, trivial]
    assert [bool(x) for x in _lineage(made)] == expected
    assert made.argument == "to"


def test_only_a_named_value_enters_as_text() -> None:
    """P8: an attacker's words are no text of the encoder."""
    call = ToolCall(node_id="a", tool_name="send", arguments={"to": "ann@x.org"})
    for fact, text in ((Fact(named=True), "ann@x.org"), (Fact(tier=3, untrusted=True), "")):
        found = call_features(Input(call, None, [lineage_of("/to", "ann@x.org", fact)]))
        assert found.texts == ("", text)


def test_facts_reach_nested_leaves_and_names_with_slashes() -> None:
    call = ToolCall(node_id="a", tool_name="t", arguments={"a/b": [{"c": "x"}]})
    (found,) = lineages({"a": call}, {"a": {"/a~1b/0/c": {"tier": 2}}})["a"]
    assert (found.argument, found.value, found.tier) == ("a/b", "x", 2)


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({"z": {}}, "/facts/z"),
        ({"a": []}, "/facts/a"),
        ({"a": {"/bcc": {"tier": 1}}}, "/facts/a/bcc"),
        ({"a": {"/to": {"tier": 4}}}, "/facts/a/to/tier"),
        ({"a": {"/to": {"tier": True}}}, "/facts/a/to/tier"),
        ({"a": {"/to": {"trusted": True}}}, "/facts/a/to/trusted"),
        ({"a": {"/to": {"named": 1}}}, "/facts/a/to/named"),
        ({"a": {"/to": {"untrusted": True, "tier": 1}}}, "/facts/a/to"),
        ({"a": {"/to": {"untrusted": True, "tier": 3, "named": True}}}, "/facts/a/to"),
    ],
)
def test_faulty_facts_are_told_by_place(facts: Any, where: str) -> None:
    call = ToolCall(node_id="a", tool_name="send", arguments={"to": "x"})
    with pytest.raises(InputError) as caught:
        lineages({"a": call}, facts)
    assert where in {issue.where for issue in caught.value.issues}

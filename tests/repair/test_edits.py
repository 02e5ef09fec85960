"""R55: the seven edits as values, each with one method, a cost, a sentence and a machine form."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.errors import InputError
from gatling_guard.plan import Edge, ExecutionPlan
from gatling_guard.plan.model import EdgeKind
from gatling_guard.repair import (
    KINDS,
    Draft,
    Drop,
    Edit,
    EditError,
    Hold,
    Narrow,
    Redact,
    Resource,
    Split,
    Swap,
    edit_from_data,
)
from tests.repair.worlds import call, fed, plan

START = Draft(
    plan(
        call("read", "read_inbox", limit=5),
        call("send", "send_email", to=["a@x.org", "b@x.org", "c@x.org"], body="the pin is 1234"),
        call("log", "write_log", text="sent"),
        call("other", "list_files", folder="a"),
        edges=[
            fed("read", "send", "/to/2"), fed("read", "send", "/body"), fed("send", "log"),
            Edge(source="send", target="other", kind="temporal"),
        ],
    )
)  # fmt: skip
EDITS: tuple[Edit, ...] = (
    Narrow("read", "/limit", "set", value=3),
    Narrow("send", "/to", "leave", left_out=(0,)),
    Narrow("send", "/body", "remove"),
    Redact("send", "/body", ((11, 15),), 15),
    Redact("send", "/body", ((0, 15),), 15),
    Hold("send"),
    Split("send", "/to", (1, 2)),
    Swap("send", "draft_email", ("body",)),
    Resource("send", "/to/2", "d@x.org"),
    Drop("send", ("log",)),
)


def arguments(draft: Draft, node: str = "send") -> Any:
    return draft.plan.calls[node].arguments


def edges_into(draft: Draft, node: str = "send") -> set[tuple[str, str | None]]:
    return {(e.kind, e.argument) for e in draft.plan.edges if e.target == node}


def test_a_number_is_set_lower() -> None:
    """R55: narrow."""
    assert arguments(EDITS[0].apply(START), "read") == {"limit": 3}


def test_a_list_is_thinned_and_its_edges_move_up() -> None:
    """The edge that fed the third element feeds the second one afterwards."""
    after = EDITS[1].apply(START)
    assert arguments(after)["to"] == ["b@x.org", "c@x.org"]
    assert edges_into(after) == {("data", "/to/1"), ("data", "/body")}


def test_what_fed_an_argument_that_is_gone_only_runs_before() -> None:
    """No data flows any more, and the order stays."""
    after = EDITS[2].apply(START)
    assert "body" not in arguments(after)
    assert edges_into(after) == {("data", "/to/2"), ("temporal", None)}


def test_pieces_are_redacted() -> None:
    """R55: redact; a piece leaves the flow as it is, the whole text ends it."""
    assert arguments(EDITS[3].apply(START))["body"] == "the pin is [redacted]"
    assert ("data", "/body") in edges_into(EDITS[3].apply(START))
    assert arguments(EDITS[4].apply(START))["body"] == "[redacted]"
    assert ("data", "/body") not in edges_into(EDITS[4].apply(START))


def test_a_call_waits() -> None:
    """R55: hold."""
    after = EDITS[5].apply(START)
    assert after.plan == START.plan
    assert after.holds == {"send"}


def test_a_list_is_split_and_one_part_waits() -> None:
    """R55: split; no value is lost or doubled, no row counted twice (R60)."""
    nodes = [n.model_copy(update={"volume": 7}) if n.node_id == "send" else n
             for n in START.plan.nodes]  # fmt: skip
    after = EDITS[6].apply(Draft(ExecutionPlan(nodes=tuple(nodes), edges=START.plan.edges)))
    assert arguments(after)["to"] == ["a@x.org"]
    assert arguments(after, "send-rest")["to"] == ["b@x.org", "c@x.org"]
    assert after.holds == {"send-rest"}
    assert edges_into(after) == {("temporal", None), ("data", "/body")}
    assert edges_into(after, "send-rest") == {("data", "/to/1"), ("data", "/body")}
    volumes = [after.plan.calls[node].volume for node in ("send", "send-rest")]
    assert volumes == [3, 4]
    with pytest.raises(EditError, match="split before"):
        Split("send", "/to", (0,)).apply(
            Split("send", "/to", (2,)).apply(START)  # two are left, so one could go
        )


def test_another_tool_gets_the_arguments_that_it_knows() -> None:
    """R55: swap."""
    after = EDITS[7].apply(START)
    assert after.plan.calls["send"].tool_name == "draft_email"
    assert arguments(after) == {"to": ["a@x.org", "b@x.org", "c@x.org"]}


def test_an_identity_is_replaced() -> None:
    """R55: re-source; the value no longer comes from the call that gave the old one."""
    after = EDITS[8].apply(START)
    assert arguments(after)["to"] == ["a@x.org", "b@x.org", "d@x.org"]
    assert edges_into(after) == {("temporal", None), ("data", "/body")}


def test_dependants_go_with_a_call_and_what_only_ran_after_it_stays() -> None:
    """R55: drop."""
    after = EDITS[9].apply(Hold("send").apply(START))
    assert list(after.plan.calls) == ["read", "other"]
    assert not after.plan.edges
    assert not after.holds


def test_never_more_is_dropped_than_was_said_nor_everything() -> None:
    """R62: a plan that is pruned to nothing is no repair."""
    with pytest.raises(EditError, match="more depends"):
        Drop("send").apply(START)
    with pytest.raises(EditError, match="nothing would be left"):
        Drop("a").apply(Draft(plan(call("a", "read_inbox"))))


@pytest.mark.parametrize(
    "edit",
    [
        Narrow("nobody", "/limit", "set", value=3), Narrow("read", "/limit", "set", value="3"),
        Narrow("read", "/limit", "set", value=True), Narrow("read", "/limit", "set", value=5),
        Narrow("read", "/none", "remove"), Narrow("send", "/to/0", "remove"),
        Narrow("send", "/to", "leave", left_out=(0, 1, 2)),
        Narrow("send", "/to", "leave", left_out=(3,)),
        Narrow("send", "/body", "leave", left_out=(0,)), Redact("send", "/body", ((0, 99),), 15),
        Redact("send", "/body", ((0, 3),), 14), Redact("send", "/body", (), 15),
        Redact("send", "/body", ((5, 9), (3, 4)), 15), Redact("send", "/to", ((0, 1),), 3),
        Resource("send", "/to", "d@x.org"), Resource("send", "/to/0", "a@x.org"),
        Resource("send", "/to/9", "a@x.org"), Resource("send", "to", "a@x.org"),
        Split("send", "/body", (0,)), Split("send", "/to", (0, 1, 2)), Swap("send", "send_email"),
        Swap("send", "draft_email", ("bcc",)), Drop("nobody"), Hold("nobody"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(edit: Edit) -> None:
    """A clear error, and never a change of something else."""
    with pytest.raises(EditError):
        edit.apply(START)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.sentence)
def test_the_machine_form_is_read_back(edit: Edit) -> None:
    """R55: the same edit, from JSON text too; it says who, what and at what cost."""
    assert edit_from_data(edit.data) == edit
    assert edit_from_data(json.dumps(edit.data)) == edit
    assert edit.kind in KINDS
    assert edit.cost > 0
    assert edit.sentence.startswith(edit.node_id)


def test_edits_are_ordered_by_how_much_of_the_meaning_they_change() -> None:
    """R57: narrow, redact, hold, split, swap, resource, drop; a dependant counts like a call."""
    cheapest: dict[str, float] = {}
    for edit in sorted(EDITS, key=lambda edit: edit.cost):
        cheapest.setdefault(edit.kind, edit.cost)
    order = ["narrow", "redact", "hold", "split", "swap", "resource", "drop"]
    assert list(cheapest) == order
    assert Drop("send", ("log",)).cost == 2 * Drop("send").cost
    many = tuple(range(1000))
    assert Narrow("s", "/to", "leave", left_out=many).cost < Narrow("s", "/to", "remove").cost
    assert Redact("s", "/b", ((0, 2),), 99).cost < Redact("s", "/b", ((0, 99),), 99).cost
    assert Redact("s", "/b", ((0, 99),), 99).cost < Hold("s").cost


def test_a_secret_is_not_in_the_edit_that_removes_it() -> None:
    """What is redacted stands in no sentence and in no machine form."""
    assert "1234" not in json.dumps(EDITS[3].data) + EDITS[3].sentence


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ([], ""), ({}, "/kind"), ({"kind": "grow"}, "/kind"), ({"kind": ["hold"]}, "/kind"),
        ({"kind": "hold"}, "/node_id"), ({"kind": "hold", "node_id": ""}, "/node_id"),
        ({"kind": "hold", "node_id": "a", "by": "eve"}, "/by"),
        ({"kind": "drop", "node_id": "a", "also": ["b", 3]}, "/also/1"),
        ({"kind": "swap", "node_id": "a", "tool": None, "left_out": []}, "/tool"),
        ({"kind": "split", "node_id": "a", "where": "to", "moved": [1]}, "/where"),
        ({"kind": "split", "node_id": "a", "where": "/to", "moved": [2, 1]}, "/moved"),
        ({"kind": "split", "node_id": "a", "where": "/to", "moved": [True]}, "/moved/0"),
        ({"kind": "narrow", "node_id": "a", "where": "/to", "how": "widen"}, "/how"),
        ({"kind": "narrow", "node_id": "a", "where": "/to", "how": "set", "value": []}, "/value"),
        ({"kind": "redact", "node_id": "a", "where": "/b", "spans": [[1]], "length": 3},
         "/spans/0"),
        ({"kind": "redact", "node_id": "a", "where": "/b", "spans": [[1, -2]], "length": 3},
         "/spans/0/1"),
        ({"kind": "resource", "node_id": "a", "where": "/b", "value": None}, "/value"),
    ],
)  # fmt: skip
def test_a_wrong_machine_form_is_refused_with_its_place(data: object, where: str) -> None:
    """Strict: nothing unknown, nothing missing, the place named."""
    with pytest.raises(InputError) as error:
        edit_from_data(data, "/edits/2")
    assert error.value.issues[0].where == f"/edits/2{where}"


names = st.sampled_from("abcdef")
scalars = st.integers(0, 99) | st.text("xy @/", max_size=6) | st.booleans()
values = scalars | st.lists(scalars, max_size=4) | st.dictionaries(names, scalars, max_size=3)
pointers = st.builds("".join, st.lists(st.sampled_from(["/a", "/b", "/0", "/1", "/3"]), max_size=3))
places = st.lists(st.integers(0, 4), max_size=3).map(lambda found: tuple(sorted(set(found))))


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    ids = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    bags = st.dictionaries(names, values, max_size=4)
    nodes = [call(i, draw(st.sampled_from(["send", "read"])), **draw(bags)) for i in ids]
    pairs = [(a, b) for i, a in enumerate(ids) for b in ids[i + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=6)) if pairs else []
    kinds: st.SearchStrategy[EdgeKind] = st.sampled_from(get_args(EdgeKind))
    edges = [
        Edge(source=a, target=b, kind=draw(kinds), argument=draw(st.none() | pointers))
        for a, b in chosen
    ]
    return Draft(plan(*nodes, edges=edges), frozenset(draw(st.sets(st.sampled_from(ids)))))


spans = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=2).map(tuple)
edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(lambda n, w, v: Narrow(n, w, "set", value=v), names, pointers, scalars),
    st.builds(lambda n, w, p: Narrow(n, w, "leave", left_out=p), names, pointers, places),
    st.builds(lambda n, w: Narrow(n, w, "remove"), names, pointers),
    st.builds(Resource, names, pointers, scalars),
    st.builds(Redact, names, pointers, spans, st.integers(0, 6)),
    st.builds(Split, names, pointers, places),
    st.builds(Swap, names, st.just("draft"), st.lists(names, max_size=2, unique=True).map(tuple)),
    st.builds(Hold, names),
    st.builds(Drop, names, st.lists(names, max_size=5, unique=True).map(tuple)),
)


@given(drafts(), edits)
def test_an_edit_never_touches_another_call(before: Draft, edit: Edit) -> None:
    """R59: all other calls, holds and edges stay as they were; nothing new is fed by anything."""
    kept = before.digest
    try:
        after = edit.apply(before)
    except EditError:
        return
    finally:
        assert before.digest == kept
    gone = {edit.node_id, *edit.also} if isinstance(edit, Drop) else set()
    own = gone or {edit.node_id, f"{edit.node_id}-rest"}
    for node, old in before.plan.calls.items():
        assert node in gone or node in after.plan.calls
        if node not in own and node in after.plan.calls:
            assert after.plan.calls[node] == old
    assert set(after.plan.calls) - set(before.plan.calls) <= own
    assert before.holds - gone <= after.holds
    assert after.holds - before.holds <= own
    flows = {(e.source, e.target) for e in before.plan.edges}
    renamed = {edit.node_id + "-rest": edit.node_id}
    for edge in after.plan.edges:
        source, target = (renamed.get(end, end) for end in (edge.source, edge.target))
        assert (source, target) in flows
    others = [e for e in before.plan.edges if own.isdisjoint((e.source, e.target))]
    assert set(others) <= set(after.plan.edges)
    assert after.digest != before.digest

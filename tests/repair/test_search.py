"""The search for the cheapest repair (R57, R62)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings

from gatling_guard.plan import ExecutionPlan
from gatling_guard.repair import Draft, Edit, EditError, Judgement, Problem
from gatling_guard.repair.bounds import Limits, Needs, Outcome
from gatling_guard.repair.costs import DROP
from gatling_guard.repair.reference import exhaustive
from gatling_guard.repair.search import search
from tests.repair.made_up import Drop, Put, World, worlds

PATIENT = Limits(depth=4, most=100_000, seconds=math.inf)
MANY = settings(max_examples=100, deadline=None)


def replayed(world: World, outcome: Outcome) -> list[Judgement]:
    """What the judge says after each edit, from the start."""
    draft = world.start
    found = [world.judged(draft)]
    for edit in outcome.edits or ():
        draft = edit.apply(draft)
        assert world.safe(draft)
        found.append(world.judged(draft))
    assert draft.digest == outcome.draft.digest
    return found


@MANY
@given(worlds())
def test_each_edit_lowers_the_level_and_the_last_draft_passes_r57(world: World) -> None:
    for limits in (Limits(seconds=math.inf), PATIENT, Limits(width=1, most=9, seconds=math.inf)):
        outcome = search(world.start, world.judge, world.propose, safe=world.safe, limits=limits)
        path = replayed(world, outcome)
        assert all(later.level < earlier.level for earlier, later in zip(path, path[1:]))  # noqa: B905
        assert path[-1].passes == (outcome.edits is not None)
        assert outcome.explored <= limits.most


@MANY
@given(worlds())
def test_what_is_proven_is_as_cheap_as_the_cheapest_of_all(world: World) -> None:
    reference = exhaustive(world.start, world.judge, world.propose, safe=world.safe)
    outcome = search(world.start, world.judge, world.propose, safe=world.safe, limits=PATIENT)
    # The greedy start may take more edits, and one whose problem another edit has taken away.
    assert outcome.cost <= reference.cost + 1e-9


@MANY
@given(worlds(wide=False))
def test_problems_that_add_up_rule_out_much_and_miss_no_cheaper_repair(world: World) -> None:
    plain = search(world.start, world.judge, world.propose, safe=world.safe, limits=PATIENT)
    ahead = search(
        world.start, world.judge, world.propose, safe=world.safe, limits=PATIENT, by_flow=True
    )
    # It may be proven of one and not of the other: each looks at other drafts before it ends.
    assert ahead.cost == pytest.approx(plain.cost)


def test_the_examples_reach_every_way_to_end() -> None:
    """The properties above would hold of a search that finds nothing, too."""
    ends: dict[str, int] = {}
    longest = 0
    for seed in range(60):
        world = made(seed, calls=5)
        outcome = search(world.start, world.judge, world.propose, limits=PATIENT)
        ends[outcome.ended] = ends.get(outcome.ended, 0) + 1
        longest = max(longest, len(outcome.edits or ()))
    assert ends["found"] > 30
    assert ends["exhausted"] > 1
    assert longest >= 3


def made(seed: int, calls: int, *, drop: bool = False, mixed: int = 30) -> World:
    """A world of calls without edges."""
    nodes = [{"node_id": f"c{i}", "tool_name": "t", "arguments": {"n": 0}} for i in range(calls)]
    return World(seed, Draft(ExecutionPlan.model_validate({"nodes": nodes})), False, drop, mixed)


def test_the_same_search_gives_the_same_repair() -> None:
    for seed in range(40):
        world = made(seed, calls=6)
        limits = Limits(most=80, seconds=math.inf)
        one, two = (
            search(world.start, world.judge, world.propose, limits=limits) for _ in range(2)
        )
        assert one == two


def test_a_plan_with_more_bad_calls_than_the_depth_is_still_repaired() -> None:
    """The greedy start takes an edit for each; what is left is judged, and nothing is claimed."""
    for seed in range(20):
        world = made(seed, calls=20, drop=True, mixed=0)
        problems = world.judged(world.start).problems
        assert len(problems) > 4
        limits = Limits(seconds=math.inf)
        outcome = search(world.start, world.judge, world.propose, limits=limits)
        if len(problems) < 20:
            assert outcome.judgement.passes
            assert outcome.edits is not None
        assert not outcome.proven


def test_dropping_every_call_is_no_repair_r62() -> None:
    world = made(3, calls=2, drop=True)

    def only_drop(draft: Draft, problem: object) -> list[Edit]:
        return [Drop(node, 1.0) for node in draft.plan.calls]

    def all_bad(drafts: Sequence[Draft]) -> list[Judgement]:
        one = Problem("c0", "block")
        return [
            Judgement(tuple(replace(one, node_id=n) for n in d.plan.calls), 0.0, len(d.plan))
            for d in drafts
        ]

    outcome = search(world.start, all_bad, only_drop, limits=PATIENT)
    assert (outcome.edits, outcome.draft, outcome.ended) == (None, world.start, "exhausted")


def test_only_allowed_edits_are_used() -> None:
    for seed in range(40):
        world = made(seed, calls=3, drop=True)
        outcome = search(
            world.start,
            world.judge,
            world.propose,
            allowed=lambda edit: edit.kind == "narrow",
            limits=PATIENT,
            seeds=[[Drop("c0", 0.01), Drop("c1", 0.01)]],
        )
        assert all(edit.kind == "narrow" for edit in outcome.edits or ())


def test_an_unsafe_draft_is_not_even_passed_through() -> None:
    for seed in range(40):
        world = made(seed, calls=4, drop=True)
        outcome = search(world.start, world.judge, world.propose, safe=lambda draft: False)
        assert outcome.edits is None or world.judged(world.start).passes


def test_time_is_up_between_batches() -> None:
    """Each draft takes 10 ms: four of them are judged in 40 ms, not a batch of eight."""
    world = made(1, calls=6, drop=True)
    now = [0.0]

    def slow(drafts: Sequence[Draft]) -> list[Judgement]:
        now[0] += 0.01 * len(drafts)
        return world.judge(drafts)

    limits = Limits(width=2)
    start = world.judged(world.start)
    outcome = search(
        world.start, slow, world.propose, clock=lambda: now[0], limits=limits, judgement=start
    )
    assert outcome.ended == "deadline"
    assert not outcome.proven


def test_without_any_time_the_original_stands() -> None:
    world = made(1, calls=6)
    limits = Limits(seconds=0.0)
    outcome = search(world.start, world.judge, world.propose, limits=limits)
    assert (outcome.edits, outcome.draft, outcome.explored) == (None, world.start, 1)
    assert outcome.ended == "deadline"


def test_a_passing_draft_needs_nothing() -> None:
    world = made(1, calls=3)
    outcome = search(world.start, lambda drafts: [Judgement() for _ in drafts], world.propose)
    assert (outcome.edits, outcome.cost, outcome.proven) == ((), 0.0, True)


def test_a_seed_that_helps_saves_the_search_and_one_that_does_not_is_ignored() -> None:
    """Seeds are edits like all others: judged, and never better than what is proven."""
    helped = 0
    for seed in range(60):
        world = made(seed, calls=5, drop=True)
        full = search(world.start, world.judge, world.propose, limits=PATIENT)
        if not full.proven or not full.edits:
            continue
        tight = Limits(most=1 + len(full.edits), seconds=math.inf)
        seeded = search(world.start, world.judge, world.propose, limits=tight, seeds=[full.edits])
        assert seeded.cost == pytest.approx(full.cost)
        bad = [[Put("c0", 99, 0.01)], [Put("gone", 1, 0.01)], []]
        again = search(world.start, world.judge, world.propose, limits=PATIENT, seeds=bad)
        assert again.cost <= full.cost + 1e-9
        helped += 1
    assert helped > 20


@pytest.mark.parametrize("cost", [0.0, -1.0, math.nan, math.inf])
def test_a_cost_with_which_no_bound_holds_is_an_error(cost: float) -> None:
    world = made(1, calls=3)
    with pytest.raises(EditError, match="narrow of c1/n: cost"):
        search(world.start, world.judge, lambda draft, problem: [Put("c1", 1, cost)])


def test_the_bound_adds_up_problems_that_no_edit_reaches_together() -> None:
    """c0 flows into c1; c2 stands alone."""
    nodes = made(1, calls=3).start.plan.nodes
    plan = ExecutionPlan.model_validate({"nodes": nodes, "edges": [("c0", "c1")]})
    cheap, drop, last = Put("c0", 1, 0.5), Drop("c1", 4.0), Put("c2", 1, 2.0)
    needs = Needs.of(Draft(plan), {"c0": [cheap], "c1": [drop], "c2": [last]}, whole=True)
    assert needs.after(drop, 0.0) == 4.0 + 0.5 + 2.0  # c0 is still to come: c1 cannot change it
    assert needs.after(cheap, 1.0) == 1.0 + 0.5 + 2.0  # it may be what c1 needs, too
    assert needs.after(last, 0.0) == 2.0 + 0.5
    none = Needs.of(Draft(plan), {"c1": [], "c2": [last]}, whole=True)
    assert none.after(last, 0.0) == math.inf


def test_the_bound_knows_that_a_drop_gets_cheaper_once_less_depends_on_it() -> None:
    start = made(1, calls=2).start
    dear, other = Drop("c0", 40.0), Put("c1", 1, 2.0)
    needs = Needs.of(start, {"c0": [dear], "c1": [other]}, whole=True)
    assert needs.after(other, 0.0) == 2.0 + DROP
    left_out = Needs.of(start, {"c0": [], "c1": [other]}, whole=False)
    assert left_out.after(other, 0.0) == 2.0 + DROP


def test_nothing_is_proven_where_longer_repairs_were_left_out() -> None:
    cut = 0
    for seed in range(40):
        world = made(seed, calls=5, drop=True, mixed=0)
        limits = Limits(depth=1, most=10_000, seconds=math.inf)
        outcome = search(world.start, world.judge, world.propose, limits=limits)
        deep = search(world.start, world.judge, world.propose, limits=PATIENT)
        if outcome.proven:
            assert outcome.cost == pytest.approx(deep.cost)
        cut += outcome.ended == "bounds"
    assert cut > 5

"""R59, R60: the lattice on 1,000 generated plans, with safe and with planted changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.plan import Edge, ExecutionPlan, ToolCall
from gatling_guard.repair import Draft, Scene
from gatling_guard.repair.lattice import violations
from tests.repair.drafts import changed, generated


def drop(what: Draft, rng: random.Random) -> Draft | None:
    """A call and all that follows from it."""
    gone = {rng.choice(what.plan.nodes).node_id}
    for node in what.plan.order:
        if not gone.isdisjoint(what.plan.flows[node]):
            gone.add(node)
    nodes = tuple(n for n in what.plan.nodes if n.node_id not in gone)
    edges = tuple(e for e in what.plan.edges if gone.isdisjoint((e.source, e.target)))
    return Draft(ExecutionPlan(nodes=nodes, edges=edges)) if nodes else None


def hold(what: Draft, rng: random.Random) -> Draft | None:
    return Draft(what.plan, frozenset([rng.choice(what.plan.nodes).node_id]))


def fewer(what: Draft, rng: random.Random) -> Draft | None:
    """The last element of a list goes; what fed it alone becomes a matter of order."""
    for node in rng.sample(what.plan.nodes, len(what.plan)):
        for name, value in node.arguments.items():
            at = f"/{name}/{len(value) - 1}" if isinstance(value, list) else ""
            if not isinstance(value, list) or len(value) < 2 or "/" in name:
                continue
            edges = [
                Edge(source=e.source, target=e.target, kind="temporal")
                if e.target == node.node_id and (e.argument or "").startswith(at)
                else e
                for e in what.plan.edges
            ]
            one = changed(what, node.node_id, **{name: value[:-1]})
            return Draft(ExecutionPlan(nodes=one.plan.nodes, edges=tuple(edges)))
    return None


def lower(what: Draft, rng: random.Random) -> Draft | None:
    for node in rng.sample(what.plan.nodes, len(what.plan)):
        for name, value in node.arguments.items():
            if name.endswith("limit") and isinstance(value, int) and value > 1:
                return changed(what, node.node_id, **{name: value - 1})
    return None


def stranger(what: Draft, rng: random.Random) -> Draft | None:
    """A text argument of some call becomes a stranger's."""
    for node in rng.sample(what.plan.nodes, len(what.plan)):
        for name, value in node.arguments.items():
            if isinstance(value, str):
                return changed(what, node.node_id, **{name: "zzqx@mallory.invalid"})
    return None


def more(what: Draft, rng: random.Random) -> Draft | None:
    for node in rng.sample(what.plan.nodes, len(what.plan)):
        for name, value in node.arguments.items():
            if isinstance(value, list) and value:
                return changed(what, node.node_id, **{name: [*value, "zzqx@mallory.invalid"]})
    return None


def higher(what: Draft, rng: random.Random) -> Draft | None:
    for node in rng.sample(what.plan.nodes, len(what.plan)):
        for name, value in node.arguments.items():
            if name.endswith("limit") and isinstance(value, int) and not isinstance(value, bool):
                return changed(what, node.node_id, **{name: value + 1})
    return None


def laundered(what: Draft, rng: random.Random) -> Draft | None:
    data = [e for e in what.plan.edges if e.kind == "data"]
    if not data:
        return None
    gone = rng.choice(data)
    ends = (gone.source, gone.target)
    kept = tuple(e for e in what.plan.edges if (e.source, e.target) != ends)
    return Draft(ExecutionPlan(nodes=what.plan.nodes, edges=kept))


def invented(what: Draft, rng: random.Random) -> Draft | None:
    copy = ToolCall(**rng.choice(what.plan.nodes).model_dump() | {"node_id": "zzqx"})
    return Draft(ExecutionPlan(nodes=(*what.plan.nodes, copy), edges=what.plan.edges))


def orphaned(what: Draft, rng: random.Random) -> Draft | None:
    """The source of data goes, and what used it stays."""
    sources = {e.source for e in what.plan.edges if e.kind == "data"}
    if not sources:
        return None
    gone = rng.choice(sorted(sources))
    nodes = tuple(n for n in what.plan.nodes if n.node_id != gone)
    edges = tuple(e for e in what.plan.edges if gone not in (e.source, e.target))
    return Draft(ExecutionPlan(nodes=nodes, edges=edges))


def bare(what: Draft, rng: random.Random) -> Draft | None:
    node = rng.choice(what.plan.nodes)
    return changed(what, node.node_id, zzqx_argument="x")


def tried(
    change: Callable[[Draft, random.Random], Draft | None],
) -> list[tuple[Draft, Draft, Scene]]:
    found = []
    for number, (before, where) in enumerate(generated()):
        after = change(before, random.Random(number))
        if after is not None:
            found.append((before, after, where))
    return found


@pytest.mark.parametrize("change", [drop, hold, fewer, lower], ids=lambda f: f.__name__)
def test_safe_changes_of_generated_plans_may_stand(change: Any) -> None:
    """R60: over 1,000 plans of the training generators, twins included."""
    cases = tried(change)
    assert len(generated()) == 1000
    assert len(cases) >= 5
    for before, after, where in cases:
        assert violations(before, after, where) == (), (before, after)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (stranger, {"value", "scope"}),
        (more, {"scope"}),
        (higher, {"scope"}),
        (laundered, {"taint"}),
        (invented, {"call"}),
        (orphaned, {"edge"}),
        (bare, {"argument"}),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_planted_violations_in_generated_plans_are_caught(change: Any, what: set[str]) -> None:
    """R59: every one, over 1,000 plans."""
    cases = tried(change)
    assert len(generated()) == 1000
    assert len(cases) >= 5
    for before, after, where in cases:
        assert not what.isdisjoint({breach.what for breach in violations(before, after, where)}), (
            before,
            after,
        )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 999),
    st.lists(st.sampled_from([drop, hold, fewer, lower]), max_size=4),
    st.randoms(),
)
def test_safe_changes_may_follow_one_another(
    number: int, steps: list[Any], rng: random.Random
) -> None:
    """R60."""
    before, where = generated()[number]
    after, holds = before, frozenset[str]()
    for step in steps:
        new = step(after, rng) or after
        holds |= new.holds
        after = Draft(new.plan, holds & new.plan.calls.keys())
    assert violations(before, after, where) == ()

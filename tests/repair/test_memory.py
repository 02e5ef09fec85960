"""Repairs that went well are tried first, and an entry that was slipped in does nothing (R61)."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path

import pytest

from gatling_guard.errors import InputError
from gatling_guard.plan import ExecutionPlan, digest
from gatling_guard.repair import Draft, Edit, EditError
from gatling_guard.repair.bounds import Limits, Outcome
from gatling_guard.repair.memory import RepairMemory, bag_of_tools
from gatling_guard.repair.search import search
from gatling_guard.repair.templates import Pattern, Shape, Template, place_of, to_text
from tests.repair.made_up import Drop, Put, World

PATIENT = Limits(depth=4, most=10_000, seconds=math.inf)


def made(seed: int, calls: int = 5) -> World:
    """A world in which every call is one of a tool of its own."""
    nodes = [
        {"node_id": f"c{i}", "tool_name": f"tool{i}", "arguments": {"n": 0}} for i in range(calls)
    ]
    plan = ExecutionPlan.model_validate({"nodes": nodes})
    return World(seed, Draft(plan), wide=False, with_drop=True, mixed=0)


def proposals(world: World) -> dict[str, list[Edit]]:
    """What is proposed against the plan as it is."""
    problems = world.judged(world.start).problems
    return {problem.node_id: list(world.propose(world.start, problem)) for problem in problems}


def seeds(memory: RepairMemory, world: World) -> tuple[tuple[Edit, ...], ...]:
    """What the memory would try first."""
    problems = world.judged(world.start).problems
    return memory.seeds_for(world.start, problems, proposals(world))


def found(world: World, first: tuple[tuple[Edit, ...], ...] = (), most: int = 10_000) -> Outcome:
    """The repair, with little room for the search where `most` is small."""
    limits = Limits(depth=4, most=most, seconds=math.inf)
    return search(world.start, world.judge, world.propose, limits=limits, seeds=first)


def repaired(seed: int, calls: int = 5) -> tuple[World, tuple[Edit, ...]]:
    """A world that needs a repair, and the repair."""
    world = made(seed, calls)
    edits = found(world).edits
    assert edits
    return world, edits


def test_a_repair_is_proposed_again_for_the_same_plan() -> None:
    world, edits = repaired(0)
    memory = RepairMemory()
    memory.remember(world.start, world.judged(world.start).problems, edits)
    [seed] = seeds(memory, world)
    assert {(e.kind, e.node_id) for e in seed} == {(e.kind, e.node_id) for e in edits}
    assert all(edit in proposals(world)[edit.node_id] for edit in seed)


def test_the_nearest_plan_comes_first_and_equals_by_use() -> None:
    memory = RepairMemory()
    kept = {}
    for calls in (2, 3, 5):
        world, edits = repaired(0, calls)
        memory.remember(world.start, world.judged(world.start).problems, edits)
        kept[calls] = memory.nearest(world.start.plan, 1)[0]
        assert kept[calls].shape == Shape.of(world.start.plan)
    assert memory.nearest(made(0, 3).start.plan, 1) == (kept[3],)
    assert memory.nearest(made(0, 5).start.plan, 2) == (kept[5], kept[3])


def test_no_value_is_kept(tmp_path: Path) -> None:
    plan = ExecutionPlan.model_validate(
        {"nodes": [{"node_id": "n-secret", "tool_name": "send", "arguments": {"to": "ann@x.org"}}]}
    )
    edit = Put("n-secret", 41_999, 0.2, where="/to/ann@x.org/0")
    memory = RepairMemory()
    memory.remember(Draft(plan), (), [edit])
    memory.save(tmp_path / "repairs.json")
    text = (tmp_path / "repairs.json").read_text()
    assert '"/to/*/*"' in text
    for value in ("ann@x.org", "41999", "n-secret"):
        assert value not in text


def test_a_template_only_selects_among_what_is_proposed_now_r61() -> None:
    """Of another kind, tool, place or reason than anything proposed: nothing is tried."""
    world, _ = repaired(0)
    problem = world.judged(world.start).problems[0]
    tool = world.start.plan.calls[problem.node_id].tool_name
    shape = Shape.of(world.start.plan)
    assert shape is not None
    good = Pattern(kind="narrow", tool=tool, where="/n", reasons=("scope",))

    def selected(**other: object) -> tuple[tuple[Edit, ...], ...]:
        memory = RepairMemory()
        memory._keep(Template(shape=shape, patterns=(good.model_copy(update=other),)))
        return seeds(memory, world)

    assert selected()
    assert not selected(kind="swap")
    assert not selected(tool="wire_money")
    assert not selected(where="/to")
    assert not selected(reasons=("scope.cap",))
    assert not selected(reasons=())


def test_a_poisoned_entry_neither_hides_nor_worsens_the_repair_r61() -> None:
    for number in range(30):
        world = made(number)
        plain = found(world)
        memory = RepairMemory()
        problems = world.judged(world.start).problems
        for problem in problems:  # to drop each call, and numbers that may not help
            for edit in (Drop(problem.node_id, 9.0), Put(problem.node_id, 2, 9.0)):
                memory.remember(world.start, problems, [edit])
        outcome = found(world, seeds(memory, world))
        assert outcome.cost == pytest.approx(plain.cost)
        assert outcome.judgement.passes == plain.judgement.passes


def test_what_is_remembered_saves_drafts() -> None:
    helped = 0
    for number in range(40):
        world = made(number)
        problems = world.judged(world.start).problems
        full = found(world)
        if not full.edits or len(problems) < 2:
            continue
        memory = RepairMemory()
        memory.remember(world.start, problems, full.edits)
        tight = 1 + len(full.edits)
        before = found(world, most=tight)
        after = found(world, seeds(memory, world), most=tight)
        helped += before.edits is None and after.edits is not None
    assert helped > 5


def test_the_least_recently_used_goes_first() -> None:
    memory = RepairMemory(most=2)
    worlds = [repaired(0, calls) for calls in (2, 3)]
    for world, edits in worlds:
        memory.remember(world.start, world.judged(world.start).problems, edits)
    assert seeds(memory, worlds[0][0])  # used: now the newest
    world, edits = repaired(0, 5)
    memory.remember(world.start, world.judged(world.start).problems, edits)
    shapes = {t.shape for t in memory.nearest(world.start.plan, 9)}
    assert len(memory) == 2
    assert Shape.of(worlds[0][0].start.plan) in shapes
    assert Shape.of(worlds[1][0].start.plan) not in shapes


def test_a_file_holds_the_same_repairs(tmp_path: Path) -> None:
    memory = RepairMemory()
    for calls in (2, 3, 5):
        world, edits = repaired(0, calls)
        memory.remember(world.start, world.judged(world.start).problems, edits)
    path = tmp_path / "repairs.json"
    memory.save(path)
    memory.save(path)
    again = RepairMemory.load(path)
    assert again.nearest(world.start.plan, 9) == memory.nearest(world.start.plan, 9)
    assert os.listdir(tmp_path) == ["repairs.json"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "repairs.json"
    RepairMemory().save(path)
    before = path.read_text()

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    world, edits = repaired(0)
    memory = RepairMemory()
    memory.remember(world.start, world.judged(world.start).problems, edits)
    with pytest.raises(OSError, match="disk full"):
        memory.save(path)
    assert path.read_text() == before
    assert os.listdir(tmp_path) == ["repairs.json"]


def document(**changes: object) -> dict[str, object]:
    """A file with one template, with changes to its pattern and a digest that is right."""
    pattern = {"kind": "narrow", "tool": "t", "where": "/n", "reasons": ["scope"], **changes}
    template = {"shape": {"tools": ["t", "u"], "edges": [[0, 1]]}, "patterns": [pattern]}
    content: dict[str, object] = {"schema_version": 1, "templates": [template]}
    return {"digest": digest(content), **content}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (json.dumps(document(kind="grant")), "/templates/0/patterns/0/kind"),
        (json.dumps(document(value="eve@evil.example")), "/templates/0/patterns/0/value"),
        (json.dumps(document(reasons=["x"] * 65)), "/templates/0/patterns/0/reasons"),
        (json.dumps({**document(), "digest": "0" * 64}), "/digest"),
        (json.dumps({**document(), "schema_version": 2}), "/schema_version"),
        (json.dumps(document()).replace("[0, 1]", "[0, 99]"), "/templates/0/shape/edges/0/1"),
        ("[]", "must be an object"),
        ("{", "column 2"),
        (" " * 4_000_001, "longer than"),
    ],
)
def test_a_bad_file_is_refused_with_the_place_r61(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "repairs.json"
    path.write_text(text)
    with pytest.raises(InputError, match=place):
        RepairMemory.load(path)


def test_a_shape_that_is_no_plan_is_refused(tmp_path: Path) -> None:
    shape = Shape(tools=("t", "u"), edges=((0, 1), (1, 0)))
    pattern = Pattern(kind="drop", tool="t")
    path = tmp_path / "repairs.json"
    path.write_text(to_text([Template(shape=shape, patterns=(pattern,))]))
    with pytest.raises(InputError, match="/templates/0/shape: .*cycle"):
        RepairMemory.load(path)


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.json"):
        RepairMemory.load(tmp_path / "none.json")


def test_the_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "repairs.json"
    path.write_text(json.dumps(document()))
    assert len(RepairMemory.load(path)) == 1


def test_edits_that_do_not_fit_are_not_kept() -> None:
    memory = RepairMemory()
    with pytest.raises(EditError, match="no call 'gone'"):
        memory.remember(made(0).start, (), [Drop("gone", 1.0)])
    memory.remember(made(0).start, (), [])
    assert len(memory) == 0


def test_a_plan_that_is_too_large_is_neither_kept_nor_looked_for() -> None:
    memory = RepairMemory()
    world = made(0, 65)
    memory.remember(world.start, (), [Drop("c1", 1.0)])
    assert (len(memory), memory.nearest(world.start.plan)) == (0, ())


def test_many_threads_may_use_one_memory(tmp_path: Path) -> None:
    memory = RepairMemory(most=3)
    worlds = [repaired(0, calls) for calls in (2, 3, 4, 5, 6)]
    errors: list[Exception] = []

    def use() -> None:
        try:
            for world, edits in worlds * 5:
                memory.remember(world.start, world.judged(world.start).problems, edits)
                seeds(memory, world)
                memory.save(tmp_path / "repairs.json")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(RepairMemory.load(tmp_path / "repairs.json")) == 3


@pytest.mark.parametrize("where", ["", "/to", "/to/0", "/a~1b/x/y"])
def test_a_place_keeps_the_argument_only(where: str) -> None:
    assert place_of(where) == {"": "", "/to": "/to", "/to/0": "/to/*"}.get(where, "/a~1b/*/*")


def test_the_bag_tells_who_feeds_whom() -> None:
    plan = {"nodes": [{"node_id": n, "tool_name": n, "arguments": {}} for n in "ab"]}
    one, two, none = (
        bag_of_tools(ExecutionPlan.model_validate({**plan, "edges": edges}))
        for edges in ([["a", "b"]], [["b", "a"]], [])
    )
    assert not (one == two).all()
    assert one.sum() == two.sum() == none.sum() + 1

"""Tool calls and plans: what is accepted, what is refused, and how the refusal reads."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gatling_guard.errors import CycleError, PlanError
from gatling_guard.plan import MAX_NODES, Edge, ExecutionPlan, ToolCall, parse_plan, plan_schema

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "schemas" / "plan.schema.json"


def node(i: int, **fields: Any) -> dict[str, Any]:
    return {"node_id": i, "tool_name": f"tool_{i}", **fields}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"provenance_tier": 0}, "provenance_tier"),
        ({"provenance_tier": 4}, "provenance_tier"),
        ({"scope_level": 0}, "scope_level"),
        ({"scope_level": 11}, "scope_level"),
        ({"tool_name": ""}, "tool_name"),
        ({"tool_name": "  "}, "tool_name"),
        ({"arguments": [1]}, "arguments"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], place: str) -> None:
    """R1: the error carries the field's name, alone and inside a plan."""
    with pytest.raises(ValidationError, match=place):
        ToolCall(**node(1, **fields))
    with pytest.raises(PlanError) as caught:
        parse_plan({"nodes": [node(0), node(1, **fields)]})
    assert caught.value.issues[0].where.startswith(f"/nodes/1/{place}")


def test_node_ids_are_text_whether_given_as_int_or_text() -> None:
    """R1: ids 1 and "1" are the same id, so they clash."""
    assert ToolCall(node_id=7, tool_name="a").node_id == "7"  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="duplicate id '1'"):
        parse_plan({"nodes": [node(1), {"node_id": "1", "tool_name": "b"}]})


@pytest.mark.parametrize(
    ("plan", "where"),
    [
        ({"nodes": []}, "/nodes"),
        ({"nodes": [node(i) for i in range(MAX_NODES + 1)]}, "/nodes"),
        ({"nodes": [node(1)], "edges": [[1, 2]]}, "/edges/0/target"),
        ({"nodes": [node(1)], "edges": [[3, 1]]}, "/edges/0/source"),
        ({"nodes": [node(1)], "edges": [[1, 1]]}, "/edges/0"),
        ({"nodes": [node(1), node(1)]}, "/nodes/1/node_id"),
        ({"nodes": [node(1)], "edges": [[1, 2, 3]]}, "/edges/0"),
        ({"nodes": "x"}, "/nodes"),
        ({"nodes": [node(1)], "more": 1}, "/more"),
    ],
)
def test_a_wrong_shape_is_named(plan: dict[str, Any], where: str) -> None:
    """R2, R13: 0 nodes, too many, dangling edge, duplicate id, self loop."""
    with pytest.raises(PlanError) as caught:
        parse_plan(plan)
    assert caught.value.issues[0].where == where


def test_hundred_nodes_and_the_bound_are_accepted() -> None:
    """R2, G15: no plan is cut off silently."""
    plan = parse_plan({"nodes": [node(i) for i in range(100)], "edges": [[0, 99]]})
    assert len(plan) == 100
    assert plan.parents["99"] == ("0",)
    assert len(parse_plan({"nodes": [node(i) for i in range(MAX_NODES)]})) == MAX_NODES


def test_every_fault_is_reported_at_once() -> None:
    """R2: a user repairs a plan in one go."""
    with pytest.raises(PlanError) as caught:
        parse_plan(
            {"nodes": [node(1, scope_level=0), {"tool_name": "b"}], "edges": [[1], [1, 2, 3]]}
        )
    places = [issue.where for issue in caught.value.issues]
    assert places == ["/nodes/0/scope_level", "/nodes/1/node_id", "/edges/0", "/edges/1"]


def faults(data: Any) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_plan(data)
    return [str(issue) for issue in caught.value.issues]


def test_an_unknown_key_is_compared_with_the_known_ones() -> None:
    """R1: pydantic's own words name neither the key nor the cure."""
    assert faults({"nodes": [{"node_id": 1, "tool": "a"}], "edge": []}) == [
        "/edge: unknown key; did you mean 'edges'?",
        "/nodes/0/tool_name: is missing",
        "/nodes/0/tool: unknown key; did you mean 'tool_name'?",
    ]
    assert faults({}) == ["/nodes: is missing"]
    assert faults({"nodes": [node(1)], "edges": [{"source": 1, "target": 1, "zzz": 0}]}) == [
        "/edges/0/zzz: unknown key"
    ]


def test_structural_faults_stand_beside_the_others() -> None:
    """R2: one go, not one per kind of fault."""
    broken = {"node_id": 3, "tool_name": "c", "scope_level": 99}
    nodes = [node(1), node(1), broken]
    found = faults({"nodes": nodes, "edges": [[1, 9], [1, 3], [1]], "surprise": 1})
    assert [line.partition(": ")[0] for line in found] == [
        "/surprise", "/nodes/2/scope_level", "/edges/2", "/nodes/1/node_id", "/edges/0/target",
    ]  # fmt: skip


@pytest.mark.parametrize("item", [{"id": 2, "tool_name": "b"}, 5, {"node_id": 10**5000}, {}])
def test_an_edge_to_a_node_without_a_readable_id_is_no_second_fault(item: Any) -> None:
    """R2: what follows from another fault is not reported."""
    found = faults({"nodes": [node(1), item], "edges": [[1, 2]]})
    assert not [line for line in found if line.startswith("/edges")]


def test_many_unknown_keys_are_told_in_bounded_time() -> None:
    """R2: names are compared for the first faults only."""
    start = time.perf_counter()
    found = faults({"nodes": [{f"tool_nam{i}": 1 for i in range(100_000)}]})
    assert len(found) > 100_000
    assert time.perf_counter() - start < 5


def test_a_cycle_is_named_in_order() -> None:
    """R4: a cycle is an error that lists it."""
    edges = [[0, 1], [1, 2], [2, 3], [3, 1]]
    with pytest.raises(CycleError) as caught:
        parse_plan({"nodes": [node(i) for i in range(4)], "edges": edges})
    cycle = caught.value.cycle
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"1", "2", "3"}
    for source, target in zip(cycle, cycle[1:], strict=False):
        assert [int(source), int(target)] in edges


def test_a_long_cycle_is_found_in_bounded_time() -> None:
    """R4: never a hang, also at the largest size."""
    edges = [[i, (i + 1) % MAX_NODES] for i in range(MAX_NODES)]
    start = time.perf_counter()
    with pytest.raises(CycleError):
        parse_plan({"nodes": [node(i) for i in range(MAX_NODES)], "edges": edges})
    assert time.perf_counter() - start < 10


def test_bindings_survive_json() -> None:
    """R3: which output feeds which argument is kept."""
    edge = {"source": 1, "target": 2, "argument": "/to", "output": "/0/email"}
    plan = parse_plan({"nodes": [node(1), node(2)], "edges": [edge]})
    again = parse_plan(json.loads(plan.model_dump_json()))
    assert again == plan
    assert (again.edges[0].argument, again.edges[0].output) == ("/to", "/0/email")


@st.composite
def dags(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    n = draw(st.integers(1, 12))
    pairs = [(a, b) for b in range(n) for a in range(b)]
    return n, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []


@given(dags(), st.randoms(use_true_random=False))
def test_order_depth_and_ancestors_ignore_numbering(
    dag: tuple[int, list[tuple[int, int]]], rnd: Any
) -> None:
    """R24: renumbering and reordering nodes changes no depth, no ancestor set, no hash."""
    n, edges = dag
    name = list(range(n))
    rnd.shuffle(name)
    plan = parse_plan({"nodes": [node(i) for i in range(n)], "edges": edges})
    nodes = [{"node_id": f"n{name[i]}", "tool_name": f"tool_{i}"} for i in range(n)]
    rnd.shuffle(nodes)
    other = parse_plan(
        {"nodes": nodes, "edges": [[f"n{name[a]}", f"n{name[b]}"] for a, b in edges]}
    )
    at = {node: i for i, node in enumerate(plan.order)}
    assert all(at[str(a)] < at[str(b)] for a, b in edges)
    for i in range(n):
        assert plan.depths()[str(i)] == other.depths()[f"n{name[i]}"]
        assert plan.hashes()[str(i)] == other.hashes()[f"n{name[i]}"]
        expected = {f"n{name[int(a)]}" for a in plan.ancestors(str(i))}
        assert other.ancestors(f"n{name[i]}") == expected


def test_a_hash_follows_content_and_sources() -> None:
    """R25: any change of content changes the hash of the call and of all that depend on it."""
    base = {"nodes": [node(1, arguments={"q": "a"}), node(2), node(3)], "edges": [[1, 2]]}
    changed = {**base, "nodes": [node(1, arguments={"q": "b"}), node(2), node(3)]}
    before, after = parse_plan(base).hashes(), parse_plan(changed).hashes()
    assert before["1"] != after["1"]
    assert before["2"] != after["2"]
    assert before["3"] == after["3"]


def test_networkx_view_keeps_calls_and_parallel_edges() -> None:
    """R2: two bindings between the same calls are two edges."""
    edges = [
        {"source": 1, "target": 2, "argument": "/a"},
        {"source": 1, "target": 2, "argument": "/b"},
    ]
    graph = parse_plan({"nodes": [node(1), node(2)], "edges": edges}).to_networkx()
    assert [e.argument for e in graph.edges["1", "2"]["edges"]] == ["/a", "/b"]
    assert graph.nodes["1"]["call"].tool_name == "tool_1"


def test_plans_are_immutable() -> None:
    """R2: a plan that was decided on cannot be changed under the decision."""
    plan = parse_plan({"nodes": [node(1, arguments={"to": ["a"]})]})
    with pytest.raises(ValidationError):
        plan.nodes[0].tool_name = "other"
    given_args = {"to": ["a"]}
    call = ToolCall(node_id="1", tool_name="t", arguments=given_args)
    given_args["to"].append("evil")
    assert call.arguments == {"to": ["a"]}


def test_published_schema_is_current_and_agrees() -> None:
    """R2: the file a user validates against says what `parse_plan` says."""
    schema = json.loads(SCHEMA_FILE.read_text())
    assert schema == plan_schema()
    check = Draft202012Validator(schema).is_valid
    good = {"nodes": [node(1), node(2)], "edges": [[1, 2], {"source": 2, "target": 1}]}
    assert check(good)
    bad_plans: list[dict[str, Any]] = [
        {"nodes": []},
        {"nodes": [node(1, scope_level=11)]},
        {"nodes": [node(1)], "edges": [[1]]},
        {"nodes": [node(1, extra=1)]},
    ]
    for bad in bad_plans:
        assert not check(bad)
        with pytest.raises(PlanError):
            parse_plan(bad)


def test_direct_construction_checks_too() -> None:
    """R4: there is no way around the structure checks."""
    calls = tuple(ToolCall(node_id=str(i), tool_name="t") for i in range(2))
    with pytest.raises(CycleError):
        ExecutionPlan(nodes=calls, edges=(("0", "1"), ("1", "0")))  # type: ignore[arg-type]


@given(st.data())
def test_a_plan_told_in_the_order_it_ran_keeps_that_order(data: st.DataObject) -> None:
    """R4: ties go to the node named first, so that a plan and its session agree on every prefix."""
    size = data.draw(st.integers(1, 12))
    pairs = [(a, b) for b in range(size) for a in range(b)]
    chosen = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    names = data.draw(st.permutations([f"n{i}" for i in range(size)]))
    plan = ExecutionPlan(
        nodes=tuple(ToolCall(node_id=name, tool_name="t") for name in names),
        edges=tuple(Edge(source=names[a], target=names[b]) for a, b in chosen),
    )
    assert plan.order == tuple(names)


def test_a_plan_with_other_calls_is_the_one_that_would_be_built_anew() -> None:
    nodes = tuple(ToolCall(node_id=name, tool_name="t") for name in "abcd")
    edges = (Edge(source="c", target="a"), Edge(source="a", target="d"))
    plan = ExecutionPlan(nodes=nodes, edges=edges)
    other = ToolCall(node_id="b", tool_name="u", arguments={"n": 1})
    changed = (nodes[0], other, *nodes[2:])
    thinner = (Edge(source="a", target="d", kind="temporal"), edges[0])
    for new_nodes, new_edges in ((changed, edges), (nodes, thinner), (nodes[1:3], ())):
        anew = ExecutionPlan(nodes=new_nodes, edges=new_edges)
        found = plan.with_calls(new_nodes, new_edges)
        assert (found, found.order, found.flows) == (anew, anew.order, anew.flows)
    with pytest.raises(CycleError):
        plan.with_calls(nodes, (*edges, Edge(source="d", target="c")))
    with pytest.raises(PlanError):
        plan.with_calls((*nodes, nodes[0]), edges)

"""Plans for the tests of the encoders: random ones, and hypothesis strategies for them."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from gatling_guard import Edge, ExecutionPlan, Provenance, ToolCall

NAMES = (
    "search_documents", "export_csv", "send_email", "read_file", "delete_user", "list_events",
    "create_event", "get_balance", "transfer_money", "post_message", "fetch_page",
    "update_record", "share_file", "run_command",
)  # fmt: skip
VALUES: list[Any] = [
    5, 100, -3.5, True, None, "hello world", "ann@x.org", "https://a.b/c", ["a", "bb", 3],
    {"x": {"y": [1, 2]}}, [], {}, "2026-11-21", "/etc/passwd", {"0": "a"}, [[1], [2, [3]]],
]  # fmt: skip
KEYS = ["query", "limit", "to", "body", "path", "account", "amount", "tags", "options", "date"]


def call_of(rng: random.Random, node: int | str) -> ToolCall:
    """A call with up to five arguments."""
    keys = rng.sample(KEYS, rng.randint(0, 5))
    return ToolCall(
        node_id=str(node),
        tool_name=rng.choice(NAMES),
        arguments={key: rng.choice(VALUES) for key in keys},
        provenance_tier=Provenance(rng.randint(1, 3)),
        scope_level=rng.randint(1, 10),
        volume=rng.choice([None, 0, 10, 10_000]),
        sensitivity=rng.choice([None, 0, 9]),
    )


def plan_of(size: int, seed: int) -> ExecutionPlan:
    """A random DAG with edges of all kinds; its nodes are not in topological order."""
    rng = random.Random(seed)
    nodes = [call_of(rng, f"n{i}") for i in range(size)]
    edges = [
        Edge(source=f"n{source}", target=f"n{i}", kind=rng.choice(["data", "control", "temporal"]))
        for i in range(1, size)
        for source in rng.sample(range(i), min(i, rng.choice([0, 1, 1, 2, 2, 3])))
    ]
    rng.shuffle(nodes)
    rng.shuffle(edges)
    return ExecutionPlan(nodes=tuple(nodes), edges=tuple(edges))


def plans(most: int = 200) -> st.SearchStrategy[ExecutionPlan]:
    """Random DAGs of 1..`most` calls, small ones more often."""
    sizes = st.integers(0, 1000).map(lambda i: max(1, round(most ** (i / 1000))))
    return st.builds(plan_of, sizes, st.integers(0, 2**32))

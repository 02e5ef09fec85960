"""Plans and policies for `encoders.py`: random, seeded, of the shape that real runs have.

A call has 3 arguments and 1.3 sources in the mean. Tools and argument names repeat, as they do in a
run; values do not.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from gatling_guard.plan import Edge, ExecutionPlan, Provenance, ToolCall

WORDS = ["invoice", "report", "meeting", "ticket", "budget", "office", "north", "quarter", "travel"]
NAMES = ["ann", "bob", "carla", "dmitri", "eve", "farid", "grace", "hugo", "ines", "jonas"]

VALUES: dict[str, Callable[[random.Random], Any]] = {
    "to": lambda r: [f"{r.choice(NAMES)}{r.randrange(99)}@corp.example"],
    "subject": lambda r: " ".join(r.choices(WORDS, k=4)).capitalize(),
    "body": lambda r: " ".join(r.choices(WORDS, k=40)).capitalize() + ".",
    "query": lambda r: " ".join(r.choices(WORDS, k=3)),
    "limit": lambda r: r.choice([5, 10, 25, 50, 100, 1000]),
    "path": lambda r: f"/shared/{r.choice(WORDS)}/{r.choice(WORDS)}-{r.randrange(2000)}.pdf",
    "url": lambda r: f"https://{r.choice(NAMES)}.example/{r.choice(WORDS)}?id={r.randrange(9999)}",
    "date": lambda r: f"2026-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}",
    "amount": lambda r: round(r.uniform(1, 5000), 2),
    "account": lambda r: f"DE{r.randrange(10**17, 10**18)}",
    "record_id": lambda r: f"rec_{r.getrandbits(48):012x}",
    "recursive": lambda r: r.random() < 0.5,
    "format": lambda r: r.choice(["csv", "json", "pdf"]),
    "filters": lambda r: {"status": r.choice(["open", "closed"]), "age": r.randrange(90)},
    "tags": lambda r: r.sample(WORDS, k=3),
}

TOOLS = {
    "search_documents": ("query", "limit", "date", "filters", "tags", "format"),
    "read_file": ("path", "limit", "format", "recursive", "date", "tags"),
    "write_file": ("path", "body", "format", "tags", "recursive", "date"),
    "delete_file": ("path", "recursive", "record_id", "date", "filters", "limit"),
    "send_email": ("to", "subject", "body", "tags", "date", "format"),
    "search_emails": ("query", "limit", "date", "filters", "to", "tags"),
    "create_event": ("subject", "date", "to", "body", "tags", "record_id"),
    "list_events": ("date", "limit", "query", "filters", "tags", "to"),
    "fetch_url": ("url", "format", "limit", "date", "filters", "tags"),
    "query_database": ("query", "limit", "filters", "format", "date", "record_id"),
    "update_record": ("record_id", "filters", "date", "tags", "body", "format"),
    "export_csv": ("path", "query", "filters", "limit", "date", "tags"),
    "send_payment": ("account", "amount", "subject", "date", "record_id", "tags"),
    "get_balance": ("account", "date", "format", "limit", "record_id", "filters"),
    "post_message": ("to", "body", "tags", "url", "date", "record_id"),
    "summarise_text": ("body", "limit", "format", "tags", "query", "subject"),
}
"""Each tool with the arguments it takes, the most usual first."""


def random_call(random_: random.Random, node_id: str) -> ToolCall:
    """One call with 1..6 arguments, 3 in the mean."""
    tool = random_.choice(sorted(TOOLS))
    count = random_.choices(range(1, 7), weights=(15, 25, 25, 20, 10, 5))[0]
    return ToolCall(
        node_id=node_id,
        tool_name=tool,
        arguments={name: VALUES[name](random_) for name in TOOLS[tool][:count]},
        provenance_tier=random_.choice(list(Provenance)),
        scope_level=random_.randint(1, 10),
    )


def random_sources(random_: random.Random, earlier: list[str]) -> list[str]:
    """0..3 of the earlier calls, 1.3 in the mean where there are enough."""
    count = random_.choices(range(4), weights=(15, 50, 25, 10))[0]
    return random_.sample(earlier, k=min(count, len(earlier)))


def random_plan(nodes: int, seed: int) -> ExecutionPlan:
    """An acyclic plan; the same for the same arguments in every process."""
    random_ = random.Random(f"{nodes} {seed}")
    ids = [f"c{i}" for i in range(nodes)]
    edges = [
        Edge(source=source, target=node)
        for i, node in enumerate(ids)
        for source in random_sources(random_, ids[:i])
    ]
    return ExecutionPlan(
        nodes=tuple(random_call(random_, node) for node in ids), edges=tuple(edges)
    )


def next_call(plan: ExecutionPlan, seed: int) -> tuple[ToolCall, list[str]]:
    """A call after those of `plan`, and the ids of its sources."""
    random_ = random.Random(f"next {len(plan)} {seed}")
    sources = random_sources(random_, [node.node_id for node in plan.nodes])
    return random_call(random_, f"c{len(plan)}"), sources


def random_policy(entries: int, seed: int) -> dict[str, Any]:
    """A policy of at least `entries` keys and list items: roles, and tools with constraints."""
    random_ = random.Random(f"policy {entries} {seed}")
    tools: dict[str, Any] = {}
    policy = {
        "version": 1,
        "name": f"policy-{seed}",
        "roles": {
            "agent": {"tools": ["*"], "deny": ["delete_*"], "scope": 6},
            "reader": {"tools": ["search_*", "read_*", "list_*"], "scope": 3},
        },
        "default_role": "reader",
        "tools": tools,
        "flows": ["deny: public -> sink (identity)"],
        "boundary": {"domains": ["corp.example"]},
    }
    found = _entries(policy)
    while found < entries:
        base = random_.choice(sorted(TOOLS))
        rule = {
            "effect": random_.choice(["read", "write", "send", "pay"]),
            "privilege": random_.randint(1, 10),
            "scope": random_.randint(1, 10),
            "identity_args": [TOOLS[base][0]],
            "allow": random_.random() < 0.8,
            "max_calls": random_.randint(1, 50),
            "arguments": {"limit": {"type": "integer", "maximum": random_.choice([10, 50, 100])}},
        }
        tools[f"{base}_{random_.choice(WORDS)}_{len(tools)}_{random_.randrange(10_000)}"] = rule
        found += 1 + _entries(rule)
    return policy


def _entries(tree: object) -> int:
    """Keys and list items, at any depth: what the GovernanceEncoder sees one by one."""
    if isinstance(tree, dict):
        return sum(1 + _entries(item) for item in tree.values())
    return sum(1 + _entries(item) for item in tree) if isinstance(tree, list) else 0


def tool_schemas() -> list[dict[str, Any]]:
    """The tools as a framework declares them."""
    return [
        {
            "name": name,
            "description": name.replace("_", " ").capitalize() + ".",
            "parameters": {
                "type": "object",
                "properties": {argument: {} for argument in arguments},
            },
        }
        for name, arguments in TOOLS.items()
    ]

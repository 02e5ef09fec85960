"""Plans, scenes and generated drafts for the tests of the lattice and of similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from gatling_guard.catalog import ToolSpec
from gatling_guard.catalog.build import Parts, build
from gatling_guard.plan import ExecutionPlan, ToolCall, parse_plan
from gatling_guard.policy import load_policy
from gatling_guard.repair import Draft, Scene
from gatling_guard.trace import Authority
from gatling_guard.training.gold import generate
from gatling_guard.training.sample import Sample
from gatling_guard.training.twin import authority_of, spec_of

Json = dict[str, Any]


def tool(
    name: str, properties: Mapping[str, Any], required: Sequence[str] = (), **profile: Any
) -> ToolSpec:
    """A tool with a declared profile."""
    parameters = {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }
    return build(Parts(name, f"{name}.", parameters), profile)


TEXT, LIST, NUMBER, FLAG = (
    {"type": "string"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "integer"},
    {"type": "boolean"},
)
TOOLS = {
    spec.name: spec
    for spec in (
        tool(
            "search_mail",
            {
                "query": TEXT,
                "limit": {"type": "integer", "minimum": 1, "maximum": 500},
                "folder": TEXT,
                "recursive": FLAG,
                "start_date": TEXT,
                "end_date": TEXT,
                "exclude": LIST,
                "score": {"type": "number", "minimum": 0, "maximum": 9},
            },
            effect="read", tier=1, privilege=3, scope=4,
            content_args=["query"], identity_args=["folder"],
        ),
        tool(
            "send_mail",
            {"to": LIST, "cc": LIST, "subject": TEXT, "body": TEXT, "dry_run": FLAG},
            ["to"],
            effect="send", sink=True, privilege=6, scope=2, reversible=False,
            identity_args=["to", "cc"], content_args=["subject", "body"],
        ),
        tool(
            "draft_mail",
            {"to": LIST, "subject": TEXT, "body": TEXT},
            effect="write", sink=False, privilege=4, scope=2, reversible=True,
            identity_args=["to"], content_args=["subject", "body"],
        ),
        tool(
            "delete_file", {"path": TEXT, "older_than": TEXT}, ["path"],
            effect="delete", privilege=7, scope=2, reversible=False, identity_args=["path"],
        ),
        tool(
            "trash_file", {"path": TEXT}, ["path"],
            effect="delete", privilege=5, scope=2, reversible=True, identity_args=["path"],
        ),
        tool(
            "pay", {"account": TEXT, "amount": {"type": "number"}, "note": TEXT}, ["account"],
            effect="pay", sink=True, privilege=10, scope=2, reversible=False,
            identity_args=["account", "amount"], content_args=["note"],
        ),
        tool(
            "run_code",
            {"path": TEXT, "command": TEXT, "argv": LIST, "flags": LIST},
            effect="execute", privilege=10, scope=9, reversible=False, identity_args=["path"],
        ),
        tool(
            "share_file", {"path": TEXT, "person": TEXT, "role": TEXT}, ["path"],
            effect="permit", privilege=9, scope=2, identity_args=["path", "person", "role"],
        ),
        tool(
            "read_page", {"url": TEXT}, ["url"],
            effect="read", privilege=2, scope=2, url_args=["url"], third_party=["*"],
        ),
        tool(
            "add_event", {"title": TEXT, "guests": LIST}, ["title"],
            effect="write", privilege=4, scope=2, notifies=["guests"], content_args=["title"],
        ),
    )
}  # fmt: skip


def scene(said: str = "", *, policy: str = "version: 1\n", step: bool = False) -> Scene:
    """What is known, with the tools above."""
    return Scene(
        policy=load_policy(policy),
        authority=Authority.of([said]),
        specs=TOOLS.get,
        tools=tuple(TOOLS),
        step=step,
    )


def draft(
    *nodes: tuple[str, str, Json], edges: Sequence[Json] = (), holds: Sequence[str] = ()
) -> Draft:
    """A draft of (id, tool, arguments) and edges."""
    data = [{"node_id": i, "tool_name": t, "arguments": a} for i, t, a in nodes]
    plan = ExecutionPlan.model_validate({"nodes": data, "edges": list(edges)})
    return Draft(plan, frozenset(holds))


def changed(what: Draft, node: str, **fields: Any) -> Draft:
    """With other arguments (`arg=value`; None removes) or fields of the call (`_field=value`)."""
    call = what.plan.calls[node]
    own = {k[1:]: v for k, v in fields.items() if k.startswith("_")}
    new = {k: v for k, v in fields.items() if not k.startswith("_")}
    arguments = {k: v for k, v in {**call.arguments, **new}.items() if v is not None}
    data = call.model_dump() | {"arguments": arguments} | own
    nodes = [ToolCall(**data) if n.node_id == node else n for n in what.plan.nodes]
    return Draft(ExecutionPlan(nodes=tuple(nodes), edges=what.plan.edges), what.holds)


@cache
def generated(count: int = 1000) -> tuple[tuple[Draft, Scene], ...]:
    """Plans of the training generators, twins included, with their scenes."""
    found: list[tuple[Draft, Scene]] = []
    for sample in generate(7, count):
        found.append((Draft(parse_plan(sample.plan)), _scene(sample)))
        if len(found) == count:
            break
    return tuple(found)


def _scene(sample: Sample) -> Scene:
    specs = {name: spec_of(name, data) for name, data in sample.tools.items()}
    policy = load_policy("standard")
    return Scene(policy, authority_of(sample), specs.get, tuple(specs))

"""Plans from foreign data: every fault at once, each with its place; and the published schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from gatling_guard.errors import InputError, Issue, PlanError
from gatling_guard.plan.model import MAX_NODES, Edge, ExecutionPlan, ToolCall, structure_issues

_SUGGESTIONS = 100
"""A comparison of names takes time: faults after so many come without "did you mean"."""


def _issues_of(error: Exception, at: str, known: Iterable[str]) -> Iterator[Issue]:
    """The faults inside a pydantic error or one of ours, each under the pointer `at`.

    An unknown key is compared with the `known` ones.
    """
    if isinstance(error, InputError):
        for issue in error.issues:
            yield Issue(at + issue.where.rstrip("/"), issue.message)
        return
    for n, detail in enumerate(error.errors()):  # type: ignore[attr-defined]
        where = "".join(f"/{part}" for part in detail["loc"])
        match detail["type"]:
            case "extra_forbidden":
                message = _unknown_key(str(detail["loc"][-1]), known, n)
            case "missing":
                message = "is missing"
            case _:
                message = detail["msg"].removeprefix("Value error, ")
        yield Issue(at + where, message)


def _unknown_key(name: str, known: Iterable[str], faults: int) -> str:
    return "unknown key" + (did_you_mean(name, known) if faults < _SUGGESTIONS else "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the most similar of `known`, or nothing."""
    import difflib  # slow to import, and needed for error messages only

    found = difflib.get_close_matches(name[:64], list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def parse_plan(data: object, *, max_nodes: int = MAX_NODES) -> ExecutionPlan:
    """Build a plan from foreign data, reporting every fault at once.

    Args:
        data: `{"nodes": [...], "edges": [...]}`, already parsed.
        max_nodes: most calls to accept.

    Raises:
        PlanError: with one issue per fault and its JSON pointer.
        CycleError: when everything else is right and the edges form a cycle.
    """
    if not isinstance(data, Mapping):
        raise PlanError(f"must be an object, not {type(data).__name__}")
    known = ("nodes", "edges")
    unknown = (key for key in data if key not in known)
    issues = [Issue(f"/{k}", _unknown_key(str(k), known, n)) for n, k in enumerate(unknown)]
    nodes = _parse_items(data, "nodes", ToolCall, max_nodes, issues)
    edges = _parse_items(data, "edges", Edge, 20 * max_nodes, issues) if "edges" in data else []
    if nodes is not None:
        issues += structure_issues(_ids(nodes, data["nodes"]), edges or [])
    if issues:
        raise PlanError(issues)
    return ExecutionPlan(nodes=tuple(nodes or ()), edges=tuple(edges or ()))


def _parse_items(
    data: Mapping[str, Any], key: str, model: type[BaseModel], limit: int, issues: list[Issue]
) -> list[Any] | None:
    """One model per item, None for a faulty item; None in all when it is no list to speak of."""
    from pydantic import ValidationError

    items = data.get(key)
    if not isinstance(items, (list, tuple)):
        fault = "must be a list" if key in data else "is missing"
        issues.append(Issue(f"/{key}", fault))
        return None
    if len(items) > limit:
        issues.append(Issue(f"/{key}", f"{len(items)} entries; at most {limit} are allowed"))
        return None
    found: list[BaseModel | None] = []
    for i, item in enumerate(items):
        try:
            found.append(model.model_validate(item))
        except (ValidationError, InputError) as error:
            known = model.model_fields if len(issues) < _SUGGESTIONS else ()
            issues.extend(_issues_of(error, f"/{key}/{i}", known))
            found.append(None)
    return found


def _ids(nodes: Sequence[ToolCall | None], items: Sequence[Any]) -> list[str | None]:
    """The id of each node; also of a faulty one, as far as it can be read."""
    return [
        node.node_id if node is not None else _raw_id(item)
        for node, item in zip(nodes, items, strict=True)
    ]


def _raw_id(item: object) -> str | None:
    found = item.get("node_id") if isinstance(item, Mapping) else None
    small = type(found) is int and abs(found) < 2**63  # turning a huge one into text is an error
    return str(found) if small or isinstance(found, str) else None


def plan_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of an execution plan."""
    schema = ExecutionPlan.model_json_schema()
    pair = {
        "type": "array",
        "prefixItems": [{"type": ["string", "integer"]}] * 2,
        "minItems": 2,
        "maxItems": 2,
        "items": False,
    }
    schema["properties"]["edges"]["items"] = {"anyOf": [{"$ref": "#/$defs/Edge"}, pair]}
    schema["properties"]["nodes"] |= {"minItems": 1, "maxItems": MAX_NODES}
    identifier = {
        "anyOf": [{"type": "string", "minLength": 1, "maxLength": 256}, {"type": "integer"}]
    }
    schema["$defs"]["ToolCall"]["properties"]["node_id"] = identifier
    schema["$defs"]["Edge"]["properties"] |= {"source": identifier, "target": identifier}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

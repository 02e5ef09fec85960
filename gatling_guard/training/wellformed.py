"""Whether a sample holds together: plan, arguments, bindings and facts.

Slow on purpose (pydantic, jsonschema): for tests and spot checks, not for a training loop. Sees
what follows from the sample alone; whether the label is right is the generator's promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gatling_guard.catalog import spec_from_json_schema
from gatling_guard.errors import InputError, Issue
from gatling_guard.plan import ExecutionPlan, leaves, parse_plan
from gatling_guard.trace.canonical import canonical
from gatling_guard.trace.mentions import dates_in, numbers_in
from gatling_guard.training.sample import Sample

FACTS = frozenset(("tier", "named", "untrusted", "sensitive", "disguised", "caused"))
_MISSING = object()


def validate(sample: Sample) -> list[Issue]:
    """Everything that is wrong with a sample; empty where nothing is.

    The plan parses, arguments fit the schema of their tool, a bound argument holds the value that
    the earlier output has at that place, facts cover every leaf and nothing else, texts and their
    goals belong to calls, and every tool's entry describes a tool.
    """
    try:
        plan = parse_plan(sample.plan)
    except InputError as error:
        return [Issue(f"/plan{issue.where}", issue.message) for issue in error.issues]
    return [
        *_tool_issues(sample, plan),
        *_binding_issues(sample, plan),
        *_fact_issues(sample, plan),
        *_text_issues(sample, plan),
        *_label_issues(sample),
    ]


def _tool_issues(sample: Sample, plan: ExecutionPlan) -> Iterator[Issue]:
    import jsonschema

    for name, entry in sample.tools.items():
        try:
            spec_from_json_schema(
                name,
                entry["parameters"],
                description=entry["description"],
                **(entry.get("profile") or {}),
            )
        except InputError as error:
            for issue in error.issues:
                yield Issue(f"/tools/{name}{issue.where}", issue.message)
    for i, call in enumerate(plan.nodes):
        entry = sample.tools.get(call.tool_name)
        if entry is None:
            yield Issue(f"/plan/nodes/{i}/tool_name", f"{call.tool_name!r} is not among the tools")
            continue
        check = jsonschema.Draft202012Validator(entry["parameters"])
        for fault in check.iter_errors(call.arguments):
            where = "".join(f"/{part}" for part in fault.absolute_path)
            yield Issue(f"/plan/nodes/{i}/arguments{where}", fault.message)
        undeclared = call.arguments.keys() - entry["parameters"].get("properties", {}).keys()
        for name in sorted(undeclared):
            yield Issue(f"/plan/nodes/{i}/arguments/{name}", "is no argument of the tool")


def _binding_issues(sample: Sample, plan: ExecutionPlan) -> Iterator[Issue]:
    order = {call.node_id: i for i, call in enumerate(plan.nodes)}
    for i, edge in enumerate(plan.edges):
        where = f"/plan/edges/{i}"
        if order[edge.source] >= order[edge.target]:
            yield Issue(where, "leads backwards")
        if edge.kind != "data":
            continue
        given = at(plan.calls[edge.target].arguments, edge.argument or "")
        if given is _MISSING:
            yield Issue(f"{where}/argument", f"{edge.argument!r} is no argument of the call")
        elif edge.output is not None:
            held = at(sample.outputs.get(edge.source, _MISSING), edge.output)
            if held is _MISSING or not _holds(held, given):
                yield Issue(f"{where}/output", f"does not hold the value of {edge.argument}")


def _holds(held: Any, given: Any) -> bool:
    """Equal, or a piece of a text."""
    if type(held) is type(given) and held == given:
        return True
    if not isinstance(held, str):
        return False
    if isinstance(given, (int, float)):
        return given in numbers_in(canonical(held))
    text = str(given)
    days = dates_in(canonical(text)) if len(text) <= 40 else set()
    return text in held or bool(days and days <= dates_in(canonical(held)))


def at(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer, or a marker that equals nothing."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return _MISSING
    return value


def _fact_issues(sample: Sample, plan: ExecutionPlan) -> Iterator[Issue]:
    for call in plan.nodes:
        facts = sample.facts.get(call.node_id, {})
        known = {leaf.path for leaf in leaves(call.arguments)}
        for path in sorted(known ^ facts.keys()):
            what = "has no facts" if path in known else "is no leaf"
            yield Issue(f"/facts/{call.node_id}{path}", what)
        for path, fact in facts.items():
            if fact.keys() != FACTS or fact["tier"] not in (1, 2, 3):
                yield Issue(f"/facts/{call.node_id}{path}", "is incomplete")
            elif fact["untrusted"] and (fact["named"] or fact["tier"] != 3):
                yield Issue(f"/facts/{call.node_id}{path}", "is untrusted and yet vouched for")
    for node in sorted(sample.facts.keys() - plan.calls.keys()):
        yield Issue(f"/facts/{node}", "is no call of the plan")


def _text_issues(sample: Sample, plan: ExecutionPlan) -> Iterator[Issue]:
    for i, text in enumerate(sample.texts):
        for node in (text["node"], *text["goal_of"]):
            if node not in plan.calls:
                yield Issue(f"/texts/{i}", f"{node!r} is no call of the plan")


def _label_issues(sample: Sample) -> Iterator[Issue]:
    if sample.label == "gold" and (sample.mutation or sample.violates or sample.severity):
        yield Issue("/label", "a gold sample violates nothing")
    if sample.label != "gold" and not sample.violates:
        yield Issue("/violates", "says nothing of what is wrong")

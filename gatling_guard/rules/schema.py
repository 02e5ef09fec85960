"""R22: the arguments against the tool's own JSON Schema.

A violation blocks: the call could not run as meant, and an argument that no schema describes is
an argument that nothing checks. Two kinds are notes. What honest models get wrong without
consequence (a number in quotes, null for an optional argument). And, for a tool that only reads,
all but extra arguments: nothing can change, and the tool's own error lets the model correct itself
where a refusal would end the task (about 1 call in 100 of the recorded benign AgentDojo runs).

Sees: missing, extra, renamed, wrong type, every keyword of Draft 2020-12 but `format` (and
`unevaluatedProperties` beside pattern keys). Does not see: what a tool without a schema accepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gatling_guard.policy import nearest
from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding, RuleAction
from gatling_guard.rules.keywords import TooComplexError
from gatling_guard.rules.names import pointer
from gatling_guard.rules.quote import quote
from gatling_guard.rules.validator import (
    BrokenSchemaError,
    Compiled,
    SchemaError,
)

_NUMERIC = re.compile(r"[-+]?[0-9]{1,18}(?:\.[0-9]{1,18})?\Z")
_NULLS = (None, "null", "None")
"""Ways to say nothing; compared with `in`, and equal to no other value."""


def check_schema(facts: RuleFacts) -> Iterable[Finding]:
    """Arguments that the tool's schema does not allow."""
    compiled = facts.view.schema
    if facts.spec is None or compiled is None:
        return
    extra = {finding.where: finding for finding in _extra(facts)}
    try:
        if isinstance(compiled, BrokenSchemaError):
            raise compiled
        yield from _unchecked(compiled)
        errors = compiled.errors(facts.call.arguments)
    except BrokenSchemaError as error:
        yield Finding("schema.broken", "note", f"the tool's schema cannot be used: {error}")
        errors = []
    except TooComplexError:
        yield Finding("schema.complex", "block", "too large to be checked against the schema")
        return
    yield from _violations(facts, errors, extra)
    yield from _missing(facts, errors, extra)
    yield from extra.values()


def _unchecked(compiled: Compiled) -> Iterator[Finding]:
    for pattern in compiled.unchecked:
        text = f"pattern {pattern[:80]!r} of the tool's schema cannot run in linear time"
        yield Finding("schema.unchecked", "note", text)


def _extra(facts: RuleFacts) -> Iterator[Finding]:
    """Arguments that the schema does not list, unless it says that there may be others."""
    listed = facts.view.listed
    if listed is None:
        return
    for name in list(facts.call.arguments)[:200]:
        if name not in listed:
            action = _extra_action(facts)
            near = nearest(name, listed)
            text = f"; is it meant as {near!r}?" if near else ""
            message = f"no argument {quote(name)} in the tool's schema{text}"
            yield Finding("schema.extra", action, message, pointer([name]))


def _extra_action(facts: RuleFacts) -> RuleAction:
    """Blocked unless the policy allows it; of several entries the strictest counts."""
    said = [rule.extra_arguments for _, rule in facts.view.entries if rule.extra_arguments]
    return "note" if said and "block" not in said else "block"


def _violations(
    facts: RuleFacts, errors: list[SchemaError], extra: Mapping[str, Finding]
) -> Iterator[Finding]:
    assert facts.spec is not None
    for error in errors:
        where = pointer(error.path)
        if error.keyword != "required" and where not in extra:
            found = _violation(error, where, facts.spec.parameters, facts.call.arguments)
            yield _softened(facts, found)


def _softened(facts: RuleFacts, finding: Finding) -> Finding:
    """A note instead of a veto where the call can only read."""
    profile = facts.view.profile
    harmless = (
        profile is not None
        and not profile.effect.changes_state
        and not (profile.egress or profile.sink)
        and profile.confidence >= 0.5
        and finding.rule != "schema.extra"
    )
    return replace(finding, action="note") if harmless else finding


def _missing(
    facts: RuleFacts, errors: list[SchemaError], extra: Mapping[str, Finding]
) -> Iterator[Finding]:
    """One finding per absent argument; those of the top level even if the schema is broken."""
    assert facts.spec is not None
    wanted = {error.path: error.value for error in errors if error.keyword == "required"}
    wanted.setdefault((), facts.spec.parameters.get("required"))
    for path, names in wanted.items():
        holder = _at(facts.call.arguments, path)
        for name in names[:50] if isinstance(names, list) else ():
            if isinstance(holder, dict) and isinstance(name, str) and name not in holder:
                yield _softened(facts, _absent(name, pointer((*path, name)), holder, extra))


def _absent(name: str, where: str, holder: dict[str, Any], extra: Mapping[str, Finding]) -> Finding:
    others = [key for key in list(holder)[:50] if pointer([key]) in extra]
    if near := nearest(name, others):
        message = f"{name!r} is missing; {quote(near)} seems to be meant as it"
        return Finding("schema.renamed", "block", message, where)
    return Finding("schema.missing", "block", f"{name!r} is missing", where)


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _violation(
    error: SchemaError, where: str, schema: dict[str, Any], arguments: dict[str, Any]
) -> Finding:
    shown = where or "the arguments"
    if error.keyword == "type":
        value = _at(arguments, error.path)
        wanted = error.value if isinstance(error.value, list) else [error.value]
        if why := _benign(value, wanted, optional=_optional(schema, error.path)):
            return Finding("schema.coerced", "note", f"{shown}: {why}", where)
        message = f"{shown}: should be {' or '.join(map(str, wanted))}, not {_kind(value)}"
        return Finding("schema.type", "block", message, where)
    if error.keyword == "additionalProperties":
        return Finding("schema.extra", "block", f"{shown}: not in the tool's schema", where)
    if _at(arguments, error.path) in _NULLS and _optional(schema, error.path):
        return Finding("schema.coerced", "note", f"{shown}: null for an optional argument", where)
    return Finding(f"schema.{error.keyword}", "block", f"{shown}: {error.message}", where)


def _optional(schema: dict[str, Any], path: tuple[str | int, ...]) -> bool:
    required = schema.get("required")
    return len(path) == 1 and (not isinstance(required, list) or path[0] not in required)


def _benign(value: Any, wanted: list[Any], *, optional: bool) -> str | None:
    """Why a wrong type does no harm: every tool that reads it at all reads it the same way."""
    if optional and value in _NULLS:
        return "null for an optional argument"
    if "array" in wanted and isinstance(value, str) and not value.lstrip().startswith(("[", "{")):
        return "one text where a list is expected"
    quoted = isinstance(value, str) and len(value) < 40 and _NUMERIC.match(value)
    if quoted and ("number" in wanted or ("integer" in wanted and "." not in value)):
        return "a number in quotes"
    if "boolean" in wanted and isinstance(value, str) and value.lower() in ("true", "false"):
        return "true or false in quotes"
    if "string" in wanted and isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a number where text is expected"
    return None


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")

"""Argument constraints of the policy, wherever the argument stands.

Sees: arguments inside other ones at any depth, in JSON that is a text, in other texts where the
tool's schema has no such argument (see `plain`), under another spelling of their name; and the
default that stands for one left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gatling_guard.rules.constraint import Constraint, Violation
from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding
from gatling_guard.rules.hidden import Layer, layers
from gatling_guard.rules.keywords import TooComplexError
from gatling_guard.rules.names import Path, pointer, same_name
from gatling_guard.rules.plain import Wanted
from gatling_guard.rules.quote import quote
from gatling_guard.rules.references import properties
from gatling_guard.rules.validator import BrokenSchemaError, SchemaError

_SHALLOW = ("type", "enum", "const", "anyOf", "oneOf")


def check_arguments(facts: RuleFacts) -> Iterable[Finding]:
    """`argument.<keyword>`, `.nested`, `.twice`, `.default`, `.complex`, `.broken`."""
    constraints = facts.view.constraints
    if not constraints:
        return
    own = facts.spec.parameters if facts.spec else {}
    found, faults = layers(facts.call.arguments, _unlisted(constraints, own))
    yield from faults
    for constraint in constraints:
        glob = constraint.glob
        try:
            for layer in found:
                yield from _on(layer, constraint, facts)
            for name in constraint.left_out(facts.call.arguments, own):
                text = f"{quote(name)} is left out, and its default is not within {glob!r}"
                yield Finding("argument.default", "block", text, pointer([name]))
        except BrokenSchemaError as error:
            yield Finding("argument.broken", "block", f"constraint of {glob!r}: {error}")
        except TooComplexError:
            yield Finding("argument.complex", "block", f"too large to be checked for {glob!r}")


def _unlisted(constraints: Iterable[Constraint], own: Mapping[str, Any]) -> Wanted:
    """Constrained arguments that the tool's own schema does not list."""
    listed = {same_name(name) for name in properties(own)}
    return {
        same_name(name): kind
        for constraint in constraints
        for name, kind in constraint.kinds.items()
        if same_name(name) not in listed
    }


def check_extra(facts: RuleFacts) -> Iterable[Finding]:
    """`argument.extra`: where the policy says `extra_arguments: block` and no schema does."""
    entries = facts.view.entries
    if not any(rule.extra_arguments == "block" for _, rule in entries):
        return
    known: set[str] = set()
    for schema in [
        facts.spec.parameters if facts.spec else {},
        *(rule.arguments or {} for _, rule in entries),
    ]:
        known |= set(properties(schema))
    for name in facts.call.arguments:
        if name not in known:
            text = f"neither schema nor policy names {quote(name)}"
            yield Finding("argument.extra", "block", text, pointer([name]))


def _on(layer: Layer, constraint: Constraint, facts: RuleFacts) -> Iterator[Finding]:
    own = facts.spec.parameters if facts.spec else {}

    def keep(error: SchemaError, path: Path) -> bool:
        return not _only_decoding(error, path, layer)

    for broken in constraint.violations(layer.value, own, keep):
        nested = layer.depth > 0 or broken.inside
        rule = f"argument.{'nested' if nested else broken.keyword}"
        yield Finding(rule, "block", _text(broken, layer, constraint.glob), pointer(broken.path))


def _text(broken: Violation, layer: Layer, glob: str) -> str:
    where = pointer(broken.path) or "the arguments"
    hidden = "JSON inside the text: " if layer.depth else ""
    return f"{where}: {hidden}{broken.message} (policy, {glob!r})"


def _only_decoding(error: SchemaError, path: Path, layer: Layer) -> bool:
    """Violated only because a text has become an object: the text itself was checked already."""
    return path in layer.decoded and error.keyword in _SHALLOW and error.shallow

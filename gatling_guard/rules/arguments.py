"""Argument constraints of the policy, also on JSON that is hidden inside a text argument."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from gatling_guard.errors import InputError
from gatling_guard.plan import escape, parse_json
from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding
from gatling_guard.rules.keywords import TooComplexError
from gatling_guard.rules.schema import pointer
from gatling_guard.rules.validator import (
    BrokenSchemaError,
    Compiled,
    SchemaError,
)

MAX_HIDDEN = 1_000_000
"""Longest text that is read as JSON, in characters."""
_SHALLOW = ("type", "enum", "const", "anyOf", "oneOf")


class _AmbiguousError(Exception):
    """Text that some JSON readers accept and others read in another way."""


def check_arguments(facts: RuleFacts) -> Iterable[Finding]:
    """`argument.<keyword>`, `argument.nested`, `argument.complex`."""
    constraints = facts.view.constraints
    if not constraints:
        return
    arguments = facts.call.arguments
    decoded, places, faults = _decode(arguments)
    yield from faults
    for glob, compiled in constraints:
        try:
            if isinstance(compiled, BrokenSchemaError):
                raise compiled
            yield from _direct(glob, compiled, arguments)
            if places:
                yield from _hidden(glob, compiled, decoded, places)
            yield from _wrapped(glob, compiled, decoded)
        except BrokenSchemaError as error:
            yield Finding("argument.broken", "block", f"constraint of {glob!r}: {error}")
        except TooComplexError:
            yield Finding("argument.complex", "block", f"too large to be checked for {glob!r}")


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
        listed = schema.get("properties")
        known |= set(listed) if isinstance(listed, dict) else set()
    for name in facts.call.arguments:
        if name not in known:
            text = f"neither schema nor policy names {name[:80]!r}"
            yield Finding("argument.extra", "block", text, pointer([name]))


def _direct(glob: str, compiled: Compiled, arguments: dict[str, Any]) -> Iterator[Finding]:
    for error in compiled.errors(arguments):
        where = pointer(error.path)
        text = f"{where or 'the arguments'}: {error.message[:200]} (policy, {glob!r})"
        yield Finding(f"argument.{error.keyword}", "block", text, where)


def _hidden(
    glob: str, compiled: Compiled, decoded: dict[str, Any], places: frozenset[str]
) -> Iterator[Finding]:
    for error in compiled.errors(decoded):
        where = pointer(error.path)
        if not _only_decoding(error, where, places):
            text = f"{where or 'the arguments'}: JSON inside the text: {error.message[:200]}"
            yield Finding("argument.nested", "block", f"{text} (policy, {glob!r})", where)


def _wrapped(glob: str, compiled: Compiled, decoded: dict[str, Any]) -> Iterator[Finding]:
    r"""Constrained arguments that are not given themselves, but inside another one.

    `{"input": "{\"to\": ...}"}` for a tool with one text argument, or a `kwargs` object.
    """
    named = compiled.schema.get("properties")
    hidden = set(named if isinstance(named, dict) else ()) - set(decoded)
    for argument, value in decoded.items():
        if isinstance(value, dict) and hidden & set(value):
            inner = {name: value[name] for name in hidden & set(value)}
            for error in compiled.errors(inner):
                if error.keyword != "required":
                    where = pointer((argument, *error.path))
                    text = f"{where}: {error.message[:200]} (policy, {glob!r})"
                    yield Finding("argument.nested", "block", text, where)


def _only_decoding(error: SchemaError, where: str, places: frozenset[str]) -> bool:
    """Violated only because a text has become an object: the text itself was checked already."""
    return where in places and error.keyword in _SHALLOW and error.shallow


def _decode(arguments: dict[str, Any]) -> tuple[dict[str, Any], frozenset[str], list[Finding]]:
    """A copy in which texts that hold a JSON object or list are replaced by it, once."""
    places: set[str] = set()
    faults: list[Finding] = []

    def visit(value: Any, where: str) -> Any:
        if isinstance(value, dict):
            return {k: visit(v, f"{where}/{escape(k[:80])}") for k, v in value.items()}
        if isinstance(value, list):
            return [visit(item, f"{where}/{i}") for i, item in enumerate(value)]
        if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
            return value
        try:
            hidden = _read(value)
        except _AmbiguousError:
            text = f"{where}: JSON inside the text can be read in more than one way"
            faults.append(Finding("argument.nested", "block", text, where))
            return value
        if hidden is not None:
            places.add(where)
            return hidden
        return value

    return visit(arguments, ""), frozenset(places), faults


def _read(text: str) -> Any:
    """The object or list in a text; None if it is no JSON.

    Raises:
        _AmbiguousError: too long or too deep to read, or with a key twice.
    """
    if len(text) > MAX_HIDDEN:
        raise _AmbiguousError
    try:
        return parse_json(text)
    except InputError:
        return _lenient(text)


def _lenient(text: str) -> None:
    """Whether a tool could still read it although a strict reader does not."""
    try:
        json.loads(text)
    except RecursionError:
        raise _AmbiguousError from None
    except ValueError:
        return
    raise _AmbiguousError

"""`load_policy`: all or nothing, with every fault named at once (R22, style.md 22)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gatling_guard.errors import Issue, PolicyError
from gatling_guard.policy.boundary import Boundary
from gatling_guard.policy.budgets import Budget
from gatling_guard.policy.constraints import constraint_faults
from gatling_guard.policy.grants import Grant, GrantSource
from gatling_guard.policy.lint import Flaw, lint_arguments
from gatling_guard.policy.model import (
    EnergyBounds,
    Hold,
    HoldText,
    Limits,
    OnError,
    Policy,
    Role,
    ToolRule,
)
from gatling_guard.policy.patterns import hint
from gatling_guard.policy.repair import Repairs, ToolRepair
from gatling_guard.policy.source import Place, Source, dotted, from_mapping, read_file

BUILTIN = ("standard", "strict")
MAX_ISSUES = 200

_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Policy,
    ("roles", "*"): Role,
    ("tools", "*"): ToolRule,
    ("tools", "*", "hold"): HoldText,
    ("tools", "*", "budgets", "*"): Budget,
    ("roles", "*", "budgets", "*"): Budget,
    ("holds", "*"): Hold,
    ("grants", "*"): Grant,
    ("grants", "*", "source"): GrantSource,
    ("boundary",): Boundary,
    ("energy",): EnergyBounds,
    ("limits",): Limits,
    ("on_error",): OnError,
    ("repair",): Repairs,
    ("repair", "tools", "*"): ToolRepair,
}


def load_policy(source: Policy | Mapping[str, Any] | str | Path, text: str | None = None) -> Policy:
    """A policy from a file, a text, a mapping, or the name of a built-in one.

    Args:
        source: `"standard"` or `"strict"`; a path; YAML or JSON text (a `str` with a line break
            or one that starts with `{`); a mapping; or a policy, which is returned as it is.
        text: what stands in the file, where it was read already.

    Raises:
        PolicyError: with every fault, each with file, line and key. Nothing is loaded partially.
    """
    if isinstance(source, Policy):
        return source
    if isinstance(source, str) and source in BUILTIN:
        return _builtin(source)
    if text is not None:
        return _build(Source(str(source)).parse(text))
    return _build(read_source(source))


def read_source(source: Mapping[str, Any] | str | Path) -> Source:
    """What `load_policy` is given (but a built-in name), as plain values with their lines.

    Raises:
        PolicyError: it cannot be read.
    """
    if isinstance(source, Mapping):
        return from_mapping(source)
    if isinstance(source, Path):
        return Source(str(source)).parse(read_file(source))
    if not isinstance(source, str):
        raise PolicyError(f"a policy is a path, a text or a mapping, not {type(source).__name__}")
    if "\n" in source or source.lstrip().startswith("{"):
        return Source().parse(source)
    return read_source(_existing(source))


def _existing(name: str) -> Path:
    path = Path(name)
    try:
        missing = not path.exists()
    except (OSError, ValueError):
        missing = True
    if missing:
        suggestion = hint(name, BUILTIN)
        built_in = ", ".join(BUILTIN)
        raise PolicyError(f"{name[:200]!r}: no such file; built-in are {built_in}{suggestion}")
    return path


def policy_warnings(source: Source) -> list[Issue]:
    """Patterns that load although they let through more than their author may have meant.

    Args:
        source: as read by `read_source`.
    """
    return [
        Issue(dotted(place), str(flaw), source.file, source.line_of(place))
        for place, flaw in _flaws(source)
        if flaw.severity == "warning"
    ]


@functools.cache
def _builtin(name: str) -> Policy:
    file = resources.files("gatling_guard.policy") / "builtin" / f"{name}.yaml"
    return _build(Source(f"{name}.yaml").parse(file.read_text("utf-8")))


def _build(source: Source) -> Policy:
    if not isinstance(source.data, dict):
        source.fault((), "a policy is a mapping of keys")
    else:
        policy = _validate(source)
        if policy is not None and not source.issues:
            return policy
    issues = sorted(source.issues, key=lambda issue: issue.line or 0)
    raise PolicyError(issues[:MAX_ISSUES])


def _validate(source: Source) -> Policy | None:
    _check_arguments(source)
    try:
        return Policy.model_validate(source.data)
    except ValidationError as error:
        known = set(source.unread)
        for detail in error.errors(include_url=False, include_context=False):
            place = _place(detail["loc"], source.data)
            if not any(place[:end] in known for end in range(1, len(place) + 1)):
                source.fault(place, _message(detail, place))
        _check_default_role(source)
        return None


def _check_arguments(source: Source) -> None:
    """Faults inside argument constraints, each at its own line (pydantic sees one value)."""
    for place, arguments in _constraints(source):
        for fault in constraint_faults(arguments):
            source.fault((*place, *fault.path), fault.message)
            source.unread.add(place)
    for at, flaw in _flaws(source):
        if flaw.severity == "error" and not any(i.where == dotted(at) for i in source.issues):
            source.fault(at, str(flaw))


def _constraints(source: Source) -> Iterator[tuple[Place, Any]]:
    tools = source.data.get("tools") if isinstance(source.data, dict) else None
    for name, rule in tools.items() if isinstance(tools, dict) else ():
        arguments = rule.get("arguments") if isinstance(rule, dict) else None
        if arguments is not None:
            yield ("tools", name, "arguments"), arguments


def _flaws(source: Source) -> Iterator[tuple[Place, Flaw]]:
    for place, arguments in _constraints(source):
        for found in lint_arguments(arguments):
            yield (*place, *found.path), found.flaw


def _check_default_role(source: Source) -> None:
    """Here too, because the model leaves it out when a role itself is faulty."""
    if any(issue.where == "default_role" for issue in source.issues):
        return
    roles, role = source.data.get("roles"), source.data.get("default_role")
    known = roles if isinstance(roles, dict) else {}
    if isinstance(role, str) and role not in known:
        source.fault(("default_role",), f"no role {role!r} in `roles`{hint(role, known)}")


def _place(loc: Sequence[str | int], data: Any) -> Place:
    """The place in the data that a pydantic location means; branch names of unions drop out."""
    place: list[str | int] = []
    for i, part in enumerate(loc):
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
            place.append(part)
        elif isinstance(data, dict) and i == len(loc) - 1 and part != "[key]":
            place.append(part)
    return tuple(place)


def _message(detail: Any, place: Place) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key{hint(str(place[-1]), _known_keys(place[:-1]))}"
    if detail["type"] == "missing":
        return "is missing"
    if detail["type"] in ("model_type", "dict_type"):
        return "should be a mapping of keys"
    message = str(detail["msg"]).removeprefix("Value error, ").replace("Input should", "should")
    value = detail.get("input")
    if detail["type"] != "value_error" and isinstance(value, (str, int, float, bool, type(None))):
        options = message.split("'")[1::2] if detail["type"] in ("literal_error", "enum") else []
        shown = "null" if value is None else repr(value)[:60]
        return f"{message}, not {shown}{hint(str(value), options)}"
    return message


def _known_keys(place: Place) -> Iterator[str]:
    for pattern, model in _MODELS.items():
        if len(pattern) == len(place) and all(
            want in ("*", have) for want, have in zip(pattern, place, strict=True)
        ):
            yield from model.model_fields

"""`load_policy`: all or nothing, with every fault named at once (R22, style.md 22)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gatling_guard.errors import PolicyError
from gatling_guard.policy.boundary import Boundary
from gatling_guard.policy.constraints import constraint_faults
from gatling_guard.policy.grants import Grant, GrantSource
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
from gatling_guard.policy.source import Place, Source, from_mapping, read_file

BUILTIN = ("standard", "strict")
MAX_ISSUES = 200

_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Policy,
    ("roles", "*"): Role,
    ("tools", "*"): ToolRule,
    ("tools", "*", "hold"): HoldText,
    ("holds", "*"): Hold,
    ("grants", "*"): Grant,
    ("grants", "*", "source"): GrantSource,
    ("boundary",): Boundary,
    ("energy",): EnergyBounds,
    ("limits",): Limits,
    ("on_error",): OnError,
}


def load_policy(source: Policy | Mapping[str, Any] | str | Path) -> Policy:
    """A policy from a file, a text, a mapping, or the name of a built-in one.

    Args:
        source: `"standard"` or `"strict"`; a path; YAML or JSON text (a `str` with a line break
            or one that starts with `{`); a mapping; or a policy, which is returned as it is.

    Raises:
        PolicyError: with every fault, each with file, line and key. Nothing is loaded partially.
    """
    if isinstance(source, Policy):
        return source
    if isinstance(source, Mapping):
        return _build(from_mapping(source))
    if isinstance(source, Path):
        return _build(Source(str(source)).parse(read_file(source)))
    if not isinstance(source, str):
        raise PolicyError(f"a policy is a path, a text or a mapping, not {type(source).__name__}")
    if source in BUILTIN:
        return _builtin(source)
    if "\n" in source or source.lstrip().startswith("{"):
        return _build(Source().parse(source))
    return _from_path(source)


def _from_path(name: str) -> Policy:
    path = Path(name)
    try:
        missing = not path.exists()
    except (OSError, ValueError):
        missing = True
    if missing:
        suggestion = hint(name, BUILTIN)
        built_in = ", ".join(BUILTIN)
        raise PolicyError(f"{name[:200]!r}: no such file; built-in are {built_in}{suggestion}")
    return load_policy(path)


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
    tools = source.data.get("tools")
    for name, rule in tools.items() if isinstance(tools, dict) else ():
        arguments = rule.get("arguments") if isinstance(rule, dict) else None
        for fault in [] if arguments is None else constraint_faults(arguments):
            source.fault(("tools", name, "arguments", *fault.path), fault.message)
            source.unread.add(("tools", name, "arguments"))


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

"""Field types of a policy: what is accepted, and how the published schema describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    WithJsonSchema,
)

from gatling_guard.policy.constraints import constraint_faults, object_schema
from gatling_guard.policy.flows import Flow, check_origin, parse_flow
from gatling_guard.policy.patterns import check_glob


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _third_party(value: object) -> object:
    if isinstance(value, bool):
        return ["*"] if value else []
    return _listed(value)


def as_hold(value: object) -> object:
    """`true` as a hold without a message, `false` as none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


def check_version(value: int) -> int:
    """The version, or a ValueError."""
    if value != 1:
        raise ValueError(f"should be 1, the only version this package knows, not {value}")
    return value


def as_on_error(value: object) -> object:
    """`block` as the section that it is short for."""
    return {"action": value} if isinstance(value, str) else value


def _arguments(value: object) -> Any:
    if isinstance(value, Mapping) and not constraint_faults(value):
        return object_schema(value)
    faults = constraint_faults(value)
    raise ValueError("; ".join(f"{'.'.join(map(str, f.path))}: {f.message}" for f in faults[:5]))


ONE_OR_MORE = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 256},
        {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 256}},
    ]
}
_FLOW_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*(deny|hold)\s*:.*->.*$"},
        {
            "type": "object",
            "properties": {a: {"type": "string", "pattern": "->"} for a in ("deny", "hold")},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}
HOLD_SCHEMA = {
    "type": "object",
    "properties": {"message": {"type": "string", "maxLength": 1000}},
    "additionalProperties": False,
}
ON_ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "action": {"const": "block"},
        "allow_up_to_privilege": {"type": "integer", "minimum": 0, "maximum": 10},
    },
    "additionalProperties": False,
}
_ARGUMENTS_SCHEMA = {
    "type": "object",
    "description": "argument -> JSON Schema, or one JSON Schema of the whole argument object",
    "additionalProperties": True,
}

Text: TypeAlias = Annotated[str, Strict(), Field(min_length=1, max_length=1000)]
Glob: TypeAlias = Annotated[
    str, Strict(), Field(min_length=1, max_length=256), AfterValidator(check_glob)
]
Globs: TypeAlias = Annotated[
    tuple[Glob, ...], BeforeValidator(_listed), WithJsonSchema(ONE_OR_MORE)
]
Names: TypeAlias = Annotated[
    tuple[Text, ...], BeforeValidator(_listed), WithJsonSchema(ONE_OR_MORE)
]
ThirdParty: TypeAlias = Annotated[
    tuple[Text, ...],
    BeforeValidator(_third_party),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, *ONE_OR_MORE["anyOf"]]}),
]
Origins: TypeAlias = Annotated[
    tuple[Annotated[str, Strict(), AfterValidator(check_origin)], ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema(ONE_OR_MORE),
]
FlowField: TypeAlias = Annotated[
    Flow, PlainValidator(parse_flow), PlainSerializer(str), WithJsonSchema(_FLOW_SCHEMA)
]
Arguments: TypeAlias = Annotated[
    dict[str, Any], PlainValidator(_arguments), WithJsonSchema(_ARGUMENTS_SCHEMA)
]
Level: TypeAlias = Annotated[int, Strict(), Field(ge=1, le=10)]
Flag: TypeAlias = Annotated[bool, Strict()]
Count: TypeAlias = Annotated[int, Strict(), Field(ge=0, le=10**9)]
Number: TypeAlias = Annotated[float, Strict(), Field(ge=0, le=1e9, allow_inf_nan=False)]

"""Budgets: how much a role or a tool may do in one session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

BudgetKind = Literal["calls", "rows", "amount", "recipients", "bytes"]

_Most: TypeAlias = Annotated[float, Strict(), Field(ge=0, le=1e15, allow_inf_nan=False)]
_Name: TypeAlias = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=256)]


class Budget(BaseModel):
    """The most of one kind, and what happens beyond."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    most: _Most | Annotated[dict[_Name, _Most], Field(min_length=1, max_length=64)]
    """A number; for amounts also one per currency, and then no other currency may be used."""
    over: Literal["block", "hold"] = "block"
    args: Annotated[
        tuple[_Name, ...], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)
    ] = ()
    """Arguments that are counted; left out: those that are called like it."""
    per: _Name = "currency"
    """The argument that says the currency."""


def _short(value: object) -> object:
    """`500` as the budget that it is short for."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"most": value} if number else value


def _currencies(value: Mapping[BudgetKind, Budget]) -> Mapping[BudgetKind, Budget]:
    for kind, budget in value.items():
        if isinstance(budget.most, dict) and kind != "amount":
            raise ValueError(f"`most` of {kind} should be one number")
    return value


_NUMBER_SCHEMA = {"type": "number", "minimum": 0}
_BUDGET_SCHEMA = {
    "anyOf": [
        _NUMBER_SCHEMA,
        {
            "type": "object",
            "properties": {
                "most": {
                    "anyOf": [
                        _NUMBER_SCHEMA,
                        {"type": "object", "additionalProperties": _NUMBER_SCHEMA},
                    ]
                },
                "over": {"enum": ["block", "hold"]},
                "args": {
                    "anyOf": [
                        {"type": "string"},
                        {"type": "array", "items": {"type": "string"}},
                    ]
                },
                "per": {"type": "string"},
            },
            "required": ["most"],
            "additionalProperties": False,
        },
    ]
}
Budgets: TypeAlias = Annotated[
    dict[BudgetKind, Annotated[Budget, BeforeValidator(_short), WithJsonSchema(_BUDGET_SCHEMA)]],
    AfterValidator(_currencies),
]

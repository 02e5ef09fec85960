"""`gatling-guard schema`: the published JSON Schemas."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from gatling_guard.cli.console import print_json
from gatling_guard.plan import plan_schema
from gatling_guard.policy import policy_schema


class Which(str, Enum):
    """What a schema is published for."""

    PLAN = "plan"
    POLICY = "policy"


def schema(which: Annotated[Which, typer.Argument(help="plan or policy")]) -> None:
    """Print the JSON Schema of plans or policies."""
    print_json(plan_schema() if which is Which.PLAN else policy_schema())

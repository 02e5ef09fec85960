"""`gatling-guard schema`: the published JSON Schemas."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from gatling_guard.cli.console import JsonFlag, print_json
from gatling_guard.plan import plan_schema
from gatling_guard.policy import policy_schema


class Which(str, Enum):
    """What a schema is published for."""

    PLAN = "plan"
    POLICY = "policy"


def schema(
    which: Annotated[Which, typer.Argument(help="plan or policy")], json_: JsonFlag = False
) -> None:
    """Print the JSON Schema of plans or policies.

    It is JSON with and without `--json`. Exit codes: 0 printed; 2 bad usage.
    """
    print_json(plan_schema() if which is Which.PLAN else policy_schema(), exact=True)

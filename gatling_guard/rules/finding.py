"""What a hard rule has to say about a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RuleAction = Literal["block", "hold", "note"]
"""`block` and `hold` are vetoes: no score clears them. `note` is recorded and decides nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that applies to one call. For operators and the ledger, never for the model."""

    rule: str
    """Stable dotted identifier: `schema.missing`, `role.tool`, `scope.cap`, `flow.public-sink`."""
    action: RuleAction
    message: str
    """For the operator; names the argument or flow."""
    where: str = ""
    """JSON pointer inside the call's arguments, where it is about one."""

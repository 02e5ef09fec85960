"""Repair: the smallest edit that makes a plan safe (design.md, section 6)."""

from gatling_guard.repair.edits import (
    Drop,
    Hold,
    Narrow,
    Redact,
    Resource,
    Split,
    Swap,
    edit_from_data,
)
from gatling_guard.repair.propose import PROPOSERS, propose
from gatling_guard.repair.types import (
    KINDS,
    VETO,
    Draft,
    Edit,
    EditError,
    EditKind,
    Judge,
    Judgement,
    Problem,
    Proposer,
    Scene,
)

__all__ = [
    "KINDS",
    "PROPOSERS",
    "VETO",
    "Draft",
    "Drop",
    "Edit",
    "EditError",
    "EditKind",
    "Hold",
    "Judge",
    "Judgement",
    "Narrow",
    "Problem",
    "Proposer",
    "Redact",
    "Resource",
    "Scene",
    "Split",
    "Swap",
    "edit_from_data",
    "propose",
]

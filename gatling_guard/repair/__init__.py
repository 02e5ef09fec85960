"""Repair: the smallest edit that makes a plan safe (design.md, section 6)."""

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
    "VETO",
    "Draft",
    "Edit",
    "EditError",
    "EditKind",
    "Judge",
    "Judgement",
    "Problem",
    "Proposer",
    "Scene",
]

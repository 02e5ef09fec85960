"""Append-only, hash-chained record of what was decided and done, free of secrets."""

from __future__ import annotations

from gatling_guard.ledger.entry import KINDS, Entry
from gatling_guard.ledger.known import CallSecrets, shown_path
from gatling_guard.ledger.ledger import KEY_VARIABLE, Ledger, Trim
from gatling_guard.ledger.redact import Redactor, redact

__all__ = [
    "KEY_VARIABLE",
    "KINDS",
    "CallSecrets",
    "Entry",
    "Ledger",
    "Redactor",
    "Trim",
    "redact",
    "shown_path",
]

"""Writes receipts.

The receipt of a decision must be written or the call does not run; one of something that already
happened is kept until it can be written.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Any

from gatling_guard.errors import LedgerError
from gatling_guard.ledger import Ledger, Trim

MAX_WAITING = 10_000
"""Entries kept while the ledger cannot be written; beyond, the oldest give way to a count."""


class Notary:
    """A ledger and the entries that could not be written to it yet."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._lost = 0
        self._lock = threading.Lock()

    def write(
        self, kind: str, *, run_id: str, call_id: str | None, body: dict[str, Any],
        ref: str | None = None, trim: Trim | None = None,
    ) -> None:  # fmt: skip
        """Write now; `trim` shortens the body once it is redacted.

        Raises:
            LedgerError: it could not be written.
        """
        if self._waiting:
            self.flush()
        self.ledger.append(kind, run_id=run_id, call_id=call_id, body=body, ref=ref, trim=trim)

    def write_later(
        self, kind: str, *, run_id: str, call_id: str | None, body: dict[str, Any]
    ) -> None:
        """Write now if possible, else with the next entry that can be written. Never raises."""
        entry = {"run_id": run_id, "call_id": call_id, "body": body}
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append((kind, entry))
        with contextlib.suppress(Exception):
            self.flush()

    def flush(self) -> None:
        """Write what waits, in order.

        Raises:
            LedgerError: the ledger still cannot be written; what is left keeps waiting.
        """
        with self._lock:
            while self._waiting:
                kind, entry = self._waiting[0]
                self._write_or_note(kind, entry)
                self._waiting.popleft()
            if self._lost:
                body = {"error": f"{self._lost} entries could not be written and were dropped"}
                self.ledger.append("error", run_id="-", call_id=None, body=body)
                self._lost = 0

    def _write_or_note(self, kind: str, entry: dict[str, Any]) -> None:
        """An entry that can never be written must not keep the others waiting for ever."""
        try:
            self.ledger.append(kind, **entry)
        except LedgerError:
            raise
        except Exception as fault:
            body = {"error": f"an entry of kind {kind} was lost: {type(fault).__name__}"}
            self.ledger.append("error", run_id="-", call_id=None, body=body)

"""One entry of the ledger, and how entries are chained (R141)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

from gatling_guard.errors import ConfigurationError, LedgerError, LedgerTamperedError
from gatling_guard.plan import canonical_json

KINDS = ("session", "plan", "decision", "outcome", "hold", "approval", "denial", "execution",
         "grant", "revocation", "error")  # fmt: skip
"""The kinds the guard writes; others are allowed."""
EXECUTION = "execution"
"""The kind that uses up an approval; at most one entry of it per `ref` in a file."""
_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
COLUMNS = "seq, ts, kind, run_id, call_id, ref, body, prev_hash, hash"
Row = tuple[Any, ...]
"""The columns as stored, hence of any type where the file was changed."""
MAX_BODY = 1_000_000
"""Characters of one body; of a larger one, the largest fields are shortened."""
MAX_RECEIPT = 14_000
"""The same for the kinds that a model or a stranger can cause at will."""
_RECEIPTS = frozenset(KINDS) - {"session", "plan"}
MIN_KEY = 16
"""Bytes of the shortest key that is accepted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tamper-evident record."""

    seq: int
    """1, 2, 3, ... without gaps."""
    ts: str
    """When it was written: ISO 8601, UTC, microseconds."""
    kind: str
    """What it records: one of `KINDS`, or an identifier of the writer's own."""
    run_id: str
    call_id: str | None
    body: dict[str, Any]
    """The record itself, with secrets already replaced."""
    prev_hash: str
    """`hash` of the entry before; of the first entry: the genesis of the file."""
    hash: str
    """Hex SHA-256, or HMAC-SHA-256 under the ledger's key, of everything else."""
    ref: str | None = None
    """What the entry is about, to look it up by: the id of a hold."""

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON; the hash covers its canonical text without `hash`."""
        return {
            "seq": self.seq,
            "ts": self.ts,
            "kind": self.kind,
            "run_id": self.run_id,
            "call_id": self.call_id,
            "ref": self.ref,
            "body": self.body,
            "prev_hash": self.prev_hash,
            "hash": self.hash,
        }


def from_row(row: Row) -> Entry:
    """A row as an entry; of a changed file, only what still has the types of one.

    Raises:
        LedgerTamperedError: it has not.
    """
    seq, ts, kind, run_id, call_id, ref, text, prev_hash, found = row
    try:
        body = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        body = None
    texts = all(isinstance(field, str) for field in (ts, kind, run_id, prev_hash, found))
    if not texts or not isinstance(body, dict):
        raise LedgerTamperedError(seq, "it is not of the form of an entry")
    return Entry(seq, ts, kind, run_id, call_id, body, prev_hash, found, ref)


def largest_body(kind: str) -> int:
    """Characters that the body of such an entry may have."""
    return MAX_RECEIPT if kind in _RECEIPTS else MAX_BODY


def content(body_text: str, **fields: int | str | None) -> bytes:
    """The canonical JSON of an entry without its hash.

    Args:
        body_text: the body, already canonical; `body` sorts before all other names, so it need
            not be parsed to be put in its place.
        **fields: the other fields.
    """
    return f'{{"body":{body_text},{canonical_json(fields)[1:]}'.encode()


def checked_kind(kind: str) -> str:
    """`kind` if it is an identifier.

    Raises:
        LedgerError: it is not.
    """
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise LedgerError(f"kind {str(kind)[:80]!r}: not a lower-case identifier")
    return kind


@dataclass(frozen=True, slots=True)
class Seal:
    """How this ledger hashes."""

    key: bytes | None = None

    @classmethod
    def of(cls, key: str | bytes | None) -> Seal:
        """A seal with a key, or without.

        Raises:
            ConfigurationError: the key is too short to protect anything.
        """
        if key is None:
            return cls()
        raw = key.encode("utf-8") if isinstance(key, str) else bytes(key)
        if len(raw) < MIN_KEY:
            raise ConfigurationError(f"the ledger key has {len(raw)} bytes; at least {MIN_KEY}")
        return cls(raw)

    @property
    def mode(self) -> str:
        """Recorded in the file."""
        return "sha256" if self.key is None else "hmac-sha256"

    def digest(self, data: bytes) -> str:
        """Hex hash of `data`."""
        if self.key is None:
            return hashlib.sha256(data).hexdigest()
        return hmac.digest(self.key, data, "sha256").hex()

    def __repr__(self) -> str:
        """Without the key."""
        return f"Seal(mode={self.mode!r})"

"""The ledger: append, look up, claim, verify, export."""

from __future__ import annotations

import datetime as dt
import functools
import hmac
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from gatling_guard.ledger.binding import binding_key
from gatling_guard.ledger.chain import Chain, check_meta, genesis, parse_head
from gatling_guard.ledger.entry import (
    COLUMNS,
    EXECUTION,
    Entry,
    Row,
    Seal,
    checked_kind,
    content,
    from_row,
    largest_body,
)
from gatling_guard.ledger.fit import fitted
from gatling_guard.ledger.redact import Redactor
from gatling_guard.ledger.sqlite import FORMAT, SCHEMA_VERSION
from gatling_guard.ledger.store import Durability, Store
from gatling_guard.plan import canonical_json

KEY_VARIABLE = "GATLING_LEDGER_KEY"
Trim = Callable[[dict[str, Any]], dict[str, Any]]
_PAGE = 500
_INSERT = f"INSERT INTO entry ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HEAD = "SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Ledger:
    """Append-only, hash-chained record in a SQLite file (R141), free of secrets (R145).

    Any number of threads and processes may write to one file. A commit survives the death of the
    process; `durability="full"` also the loss of power.

    Args:
        path: the file, made when there is none; None for a private ledger in memory, which keeps
            everything until it is closed.
        secret_patterns: more patterns of secrets, in re2 syntax.
        key: chains under HMAC-SHA-256, so that whoever does not have it can not rewrite the file
            unseen; by default from the environment variable `GATLING_LEDGER_KEY`.
        durability: `normal` or `full`.
        busy_timeout_ms: longest wait for other threads, and again for other processes.
        clock: the time, for `ts`.
        read_only: open an existing file and never change it.

    Raises:
        LedgerError: the file cannot be opened, or is no ledger of this version.
        LedgerTamperedError: its meta table was changed, or the key is another.
        ConfigurationError: a bad pattern or key.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        secret_patterns: Sequence[str] = (),
        key: str | bytes | None = None,
        durability: Durability = "normal",
        busy_timeout_ms: int = 500,
        clock: Callable[[], dt.datetime] = _now,
        read_only: bool = False,
    ) -> None:
        self._redact = Redactor(secret_patterns)
        self._identifier = functools.lru_cache(maxsize=1024)(self._redact.identifier)
        self._seal = Seal.of(key if key is not None else os.environ.get(KEY_VARIABLE) or None)
        self._clock = clock
        self._binding: bytes | None = None
        self.path = None if path in (None, ":memory:") else Path(os.fspath(path)).absolute()
        self._store = Store(
            self.path, durability=durability, busy_timeout_ms=busy_timeout_ms,
            read_only=read_only, first_meta=self._first_meta,
        )  # fmt: skip
        try:
            self._meta = self._store.meta()
            if not read_only:
                check_meta(self._store.name, self._meta, self._seal)
        except BaseException:
            self._store.close()
            raise

    def append(
        self,
        kind: str,
        *,
        run_id: str,
        call_id: str | None,
        body: dict[str, Any],
        ref: str | None = None,
        trim: Trim | None = None,
    ) -> Entry:
        """Write one entry; when this returns, it is committed.

        Args:
            kind: a lower-case identifier, see `entry.KINDS`.
            run_id: the run it belongs to.
            call_id: the call it is about.
            body: what to record; secrets are replaced, what is no JSON or too large is noted.
            ref: what to look it up by: the id of a hold.
            trim: shortens the body once it is redacted; cut earlier, half of a secret would no
                longer look like one.

        Raises:
            LedgerError: it was not written.
        """
        checked_kind(kind)
        clean, text = self._body(body, kind, trim)
        with self._store.writing() as db:
            return self._insert(db, kind, self._ids(run_id, call_id, ref), clean, text)

    def claim(
        self, hold_id: str, *, run_id: str, call_id: str | None, body: dict[str, Any]
    ) -> bool:
        """Use up the approval of a hold: True for exactly one caller over all processes.

        Raises:
            LedgerError: it could not be written; the call must not run.
        """
        clean, text = self._body(body, EXECUTION)
        ids = self._ids(run_id, call_id, hold_id)
        taken = "SELECT 1 FROM entry WHERE kind = 'execution' AND ref = ?"
        with self._store.writing() as db:
            if db.execute(taken, ids[2:]).fetchone() is not None:
                return False
            self._insert(db, EXECUTION, ids, clean, text)
            return True

    def bind(self, text: str) -> str:
        """A MAC of `text` (hex) that is equal in every process with this ledger.

        Raises:
            LedgerError: the key beside the ledger cannot be read or made.
        """
        if self._binding is None:
            self._binding = binding_key(self.path, self._seal.key)
        return hmac.digest(self._binding, text.encode("utf-8"), "sha256").hex()

    def entries(
        self, run_id: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> list[Entry]:
        """The entries that match, oldest first; with `limit`, the newest that many of them."""
        where, values = self._where(run_id=run_id, kind=kind)
        query = f"SELECT {COLUMNS} FROM entry WHERE {where} ORDER BY seq DESC LIMIT ?"
        with self._store.connection() as db:
            rows = db.execute(query, (*values, -1 if limit is None else max(0, limit))).fetchall()
        return [from_row(row) for row in reversed(rows)]

    def find(self, ref: str, *, kind: str | None = None) -> list[Entry]:
        """The entries about `ref` (the id of a hold), oldest first."""
        where, values = self._where(ref=ref, kind=kind)
        query = f"SELECT {COLUMNS} FROM entry WHERE {where} ORDER BY seq"
        with self._store.connection() as db:
            return [from_row(row) for row in db.execute(query, values).fetchall()]

    def stream(self) -> Iterator[Entry]:
        """Every entry, oldest first, in bounded memory; later entries are left out."""
        for page in self._pages():
            yield from map(from_row, page)

    def export(self, target: str | Path | TextIO) -> int:
        """Write every entry as a line of JSON; returns their number."""
        if isinstance(target, (str, Path)):
            with open(target, "w", encoding="ascii", newline="\n") as file:
                return self.export(file)
        count = 0
        for entry in self.stream():
            target.write(canonical_json(entry.as_dict()) + "\n")
            count += 1
        return count

    def head(self) -> tuple[int, str]:
        """Number and hash of the newest entry; `(0, genesis)` of an empty ledger.

        Kept somewhere else, it lets `verify` notice a tail that was cut off.
        """
        with self._store.connection() as db:
            row = db.execute(_HEAD).fetchone()
        return (int(row[0]), str(row[1])) if row else (0, self._meta["genesis"])

    def verify(self, *, expect_head: str | tuple[int, str] | None = None) -> int:
        """Check the whole chain; returns the number of entries.

        Args:
            expect_head: from `head()` at an earlier time, as a pair, `"seq:hash"` or `"hash"`.

        Raises:
            LedgerTamperedError: at the first entry that does not fit.
            LedgerError: unreadable, or the key is missing.
        """
        expected = parse_head(expect_head)
        self._meta = self._store.meta()
        check_meta(self._store.name, self._meta, self._seal)
        chain = Chain(self._meta["genesis"], self._seal, expected)
        for page in self._pages():
            chain.follow(page)
        return chain.end()

    @property
    def hash_mode(self) -> str:
        """`sha256` or `hmac-sha256`."""
        return self._meta.get("hash", "")

    def close(self) -> None:
        """Close the file; a ledger in memory is gone."""
        self._store.close()

    def __enter__(self) -> Self:
        """The ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _first_meta(self) -> dict[str, str]:
        meta = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "hash": self._seal.mode,
            "created": self._time(),
            "ledger_id": secrets.token_hex(16),
        }
        return {**meta, "genesis": genesis(meta, self._seal)}

    def _time(self) -> str:
        now = self._clock()
        if now.tzinfo is not dt.UTC:
            now = now.astimezone(dt.UTC)
        return now.isoformat(timespec="microseconds")

    def _ids(self, *ids: str | None) -> tuple[str | None, ...]:
        """Ids are looked at too: a call id is chosen by a model."""
        return tuple(None if value is None else self._id(str(value)) for value in ids)

    def _id(self, value: str) -> str:
        # Only short ones are cached, so that long ones cannot fill the memory.
        return self._identifier(value) if len(value) < 256 else self._redact.identifier(value)

    def _body(
        self, body: object, kind: str, trim: Trim | None = None
    ) -> tuple[dict[str, Any], str]:
        """The body, first redacted and only then made to fit, and its canonical text."""
        clean = self._redact(body)
        clean = clean if isinstance(clean, dict) else {"value": clean}
        clean = trim(clean) if trim is not None else clean
        return fitted(clean, largest_body(kind))

    def _insert(
        self, db: Any, kind: str, ids: tuple[str | None, ...], body: dict[str, Any], text: str
    ) -> Entry:
        run_id, call_id, ref = ids
        head = db.execute(_HEAD).fetchone() or (0, self._meta["genesis"])
        seq, ts, prev = head[0] + 1, self._time(), head[1]
        sealed = self._seal.digest(
            content(text, seq=seq, ts=ts, kind=kind, run_id=run_id, call_id=call_id, ref=ref,
                    prev_hash=prev)
        )  # fmt: skip
        db.execute(_INSERT, (seq, ts, kind, run_id, call_id, ref, text, prev, sealed))
        return Entry(seq, ts, kind, str(run_id), call_id, body, prev, sealed, ref)

    def _where(self, *, kind: str | None, **ids: str | None) -> tuple[str, list[str]]:
        known = {name: self._id(value) for name, value in ids.items() if value is not None}
        if kind is not None:
            known["kind"] = kind
        return " AND ".join(["1", *(f"{name} = ?" for name in known)]), list(known.values())

    def _pages(self) -> Iterator[list[Row]]:
        """Every row that is there now; no lock is held between pages."""
        last, end = -(2**63), self.head()[0]
        query = f"SELECT {COLUMNS} FROM entry WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {_PAGE}"
        while True:
            with self._store.connection() as db:
                page = db.execute(query, (last, end)).fetchall()
            if not page:
                return
            yield page
            last = page[-1][0]

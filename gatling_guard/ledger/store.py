"""The SQLite file behind a ledger: one connection under a lock, short transactions, no hang."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from gatling_guard.errors import LedgerError
from gatling_guard.ledger.forks import watch
from gatling_guard.ledger.sqlite import (
    APPLICATION_ID,
    FORMAT,
    META_CLOSED,
    SCHEMA,
    SCHEMA_VERSION,
    application_id,
    begin,
    has_tables,
    is_error,
    open_database,
    patiently,
    statements,
)

Durability = Literal["normal", "full"]
_abandoned: list[Any] = []
"""Connections of a parent process; closing them here would release the parent's locks."""


class Store:
    """A connection that opens, waits and fails in a bounded and typed way.

    Args:
        path: the file; None for a private database in memory.
        durability: `full` syncs every commit to the disk; `normal` survives a killed process, and
            after a loss of power may lack the last entries.
        busy_timeout_ms: longest wait for other threads, and again for other processes.
        read_only: open an existing file and never write to it.
        first_meta: makes the meta table of a new file.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        durability: Durability,
        busy_timeout_ms: int,
        read_only: bool,
        first_meta: Callable[[], dict[str, str]],
    ) -> None:
        self.path, self.read_only, self.durability = path, read_only, durability
        self.wait = busy_timeout_ms / 1000
        self.name = str(path) if path else "the ledger in memory"
        self.closed = False
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._file: tuple[int, int] | None = None
        self._db: sqlite3.Connection | None = None
        with self.errors():
            self._create_file()
            self._db = self._connect()
            self._prepare(first_meta)
        watch(self)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what SQLite and the system raise into a `LedgerError` that names the file."""
        try:
            yield
        except sqlite3.Error as error:
            hint = ": busy, another process is writing" if is_error(error, "SQLITE_BUSY") else ""
            raise LedgerError(f"{self.name}: {error}{hint}") from error
        except OSError as error:
            raise LedgerError(f"{self.name}: {error.strerror or error}") from error

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone.

        Raises:
            LedgerError: closed, busy, or the file cannot be used.
        """
        if not self._lock.acquire(timeout=self.wait):
            raise LedgerError(f"{self.name}: busy, other threads are writing")
        try:
            with self.errors():
                yield self._current()
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed at the end, undone by any exception."""
        if self.read_only:
            raise LedgerError(f"{self.name}: opened for reading only")
        with self.connection() as db:
            if self.path is None:  # nobody else has it, and one INSERT is a transaction by itself
                yield db
                return
            self._still_there()
            begin(db, self.wait)
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                self._undo(db)
                raise

    def _undo(self, db: sqlite3.Connection) -> None:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:
            # In doubt about its state: the next call opens the file again.
            self._drop()

    def _current(self) -> sqlite3.Connection:
        if self.closed:
            raise LedgerError(f"{self.name}: closed")
        if self._pid != os.getpid():
            self._pid = os.getpid()
            if self.path is not None:
                # A fork that ran no hooks: the parent's connection must not even be closed here.
                _abandoned.append(self._db)
                self._db = None
        if self._db is None:
            if self.path is None:
                raise LedgerError(f"{self.name}: lost after an error")
            self._still_there()
            self._db = self._connect()
        return self._db

    def _still_there(self) -> None:
        """A file deleted or replaced meanwhile would swallow every further entry."""
        if self.path is not None and _identity(self.path) != self._file:
            raise LedgerError(f"{self.name}: the file was replaced or removed")

    def _create_file(self) -> None:
        if self.path is None:
            return
        if not self.read_only:
            with contextlib.suppress(FileExistsError):
                # Readable by its owner only: a ledger tells what an agent did, and to whom.
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if not self.path.is_file():
            raise LedgerError(
                f"{self.name}: " + ("not a file" if self.path.exists() else "not found")
            )
        self._file = _identity(self.path)

    def _connect(self) -> sqlite3.Connection:
        target = ":memory:" if self.path is None else self._uri("ro" if self.read_only else "rw")
        db = open_database(target, self.wait)
        try:
            if self.read_only:
                db = self._readable(db)
            has_tables(db)  # reads the file, and waits for whoever is just closing it
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute(f"PRAGMA synchronous = {'FULL' if self.durability == 'full' else 'NORMAL'}")
            db.execute("PRAGMA busy_timeout = 20")  # from here on `begin` decides how long
        except BaseException:
            db.close()
            raise
        return db

    def _uri(self, mode: str) -> str:
        return f"file:{quote(str(self.path))}?mode={mode}"

    def _readable(self, db: sqlite3.Connection) -> sqlite3.Connection:
        """In a folder that cannot be written to, a file without a log can still be read."""
        try:
            has_tables(db)
            return db
        except sqlite3.OperationalError as error:
            log = Path(f"{self.path}-wal")
            if not is_error(error, "SQLITE_CANTOPEN", "SQLITE_READONLY") or log.exists():
                raise
        db.close()
        return open_database(self._uri("ro") + "&immutable=1", self.wait)

    def _prepare(self, first_meta: Callable[[], dict[str, str]]) -> None:
        """Create the tables of an empty file, once even if several processes start together."""
        assert self._db is not None
        db = self._db
        foreign = has_tables(db) and application_id(db) != APPLICATION_ID
        if self.read_only or foreign:  # of a foreign database not even the journal mode is changed
            return
        if self.path is not None:
            patiently(lambda: db.execute("PRAGMA journal_mode = WAL").fetchone(), self.wait)
        if has_tables(db):
            return
        begin(db, self.wait)
        try:
            if not has_tables(db):
                for statement in statements(SCHEMA):
                    db.execute(statement)
                db.executemany("INSERT INTO meta VALUES (?, ?)", sorted(first_meta().items()))
                db.execute(META_CLOSED)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute("COMMIT")
        except BaseException:
            self._undo(db)
            raise

    def meta(self) -> dict[str, str]:
        """The meta table.

        Raises:
            LedgerError: not a ledger, or one of an unknown version.
        """
        with self.connection() as db:
            found = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
            rows = db.execute("SELECT name, value FROM meta").fetchall() if found else []
        meta = {str(name): str(value) for name, value in rows}
        if meta.get("format") != FORMAT:
            raise LedgerError(f"{self.name}: not a ledger")
        if meta.get("schema_version") != SCHEMA_VERSION:
            raise LedgerError(
                f"{self.name}: ledger schema {meta.get('schema_version')!r}; this version of "
                f"gatling-guard reads schema {SCHEMA_VERSION!r}"
            )
        return meta

    def close(self) -> None:
        """Close the file; further use is a `LedgerError`."""
        with self._lock:
            self.closed = True
            self._drop()

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None and (self.path is None or self._pid == os.getpid()):
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def __del__(self) -> None:
        """Close what nobody closed."""
        with contextlib.suppress(Exception):
            self._drop()

    def before_fork(self) -> bool:
        """Let go of the file, holding the lock until `after_fork`."""
        if not self._lock.acquire(timeout=2 * self.wait + 1):
            return False
        if self.path is not None:
            self._drop()
        return True

    def after_fork(self) -> None:
        """The file is opened again when it is next needed, in the parent and in the child."""
        self._pid = os.getpid()
        self._lock.release()

    def renew(self) -> None:
        """In a child whose parent could not let go: a fresh lock; `_current` does the rest."""
        self._lock = threading.RLock()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino

"""SQLite as the ledger uses it: the schema, opening a file, waiting a bounded time."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator

FORMAT = "gatling-ledger"
SCHEMA_VERSION = "1"
APPLICATION_ID = 0x47474C31
"""`GGL1`, in the header of the file; `file(1)` and SQLite tools show it."""

_APPEND_ONLY = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    ts TEXT NOT NULL, kind TEXT NOT NULL, run_id TEXT NOT NULL, call_id TEXT, ref TEXT,
    body TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX entry_run ON entry (run_id);
CREATE INDEX entry_ref ON entry (ref) WHERE ref IS NOT NULL;
CREATE UNIQUE INDEX entry_once ON entry (ref) WHERE kind = 'execution' AND ref IS NOT NULL;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry {_APPEND_ONLY};
CREATE TRIGGER entry_delete BEFORE DELETE ON entry {_APPEND_ONLY};
CREATE TRIGGER entry_insert BEFORE INSERT ON entry
    WHEN NEW.seq <> COALESCE((SELECT MAX(seq) FROM entry), 0) + 1 {_APPEND_ONLY};
CREATE TRIGGER meta_update BEFORE UPDATE ON meta {_APPEND_ONLY};
CREATE TRIGGER meta_delete BEFORE DELETE ON meta {_APPEND_ONLY};
"""
"""The triggers are a hurdle for accidents; what proves a change is the chain."""
META_CLOSED = f"CREATE TRIGGER meta_insert BEFORE INSERT ON meta {_APPEND_ONLY}"


def open_database(target: str, wait: float) -> sqlite3.Connection:
    """A connection without Python's own transactions, usable by any thread that holds the lock."""
    db = sqlite3.connect(
        target, uri=True, timeout=wait, isolation_level=None, check_same_thread=False
    )
    # Text that is not UTF-8 must reach `verify`, which finds it changed.
    db.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
    return db


def is_error(error: sqlite3.Error, *names: str) -> bool:
    return (getattr(error, "sqlite_errorname", None) or "").startswith(names)


def application_id(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA application_id").fetchone()[0])


def has_tables(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def patiently(action: Callable[[], object], seconds: float) -> None:
    """Changing the journal mode ignores SQLite's own waiting."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            action()
            return
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(random.uniform(0.001, 0.01))


def statements(script: str) -> Iterator[str]:
    """The statements of a script; `executescript` would commit the transaction around it."""
    part = ""
    for piece in script.split(";"):
        part += piece + ";"
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def begin(db: sqlite3.Connection, seconds: float) -> None:
    """Take the write lock, in short tries at random times so that no process starves."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not is_error(error, "SQLITE_BUSY") or time.monotonic() >= deadline:
                raise
        time.sleep(random.uniform(0.0001, 0.002))

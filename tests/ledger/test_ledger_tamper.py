"""A tampered ledger is detected (R141, design 10). Each test is one thing an intruder can do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.errors import LedgerError, LedgerTamperedError
from gatling_guard.ledger import Ledger
from gatling_guard.ledger.chain import genesis
from gatling_guard.ledger.entry import Seal, content

COUNT = 6
COLUMNS = "seq, ts, kind, run_id, call_id, ref, body, prev_hash, hash"


def start(path: Path, key: str | None = None) -> Path:
    with Ledger(path, key=key) as ledger:
        for n in range(COUNT):
            ledger.append("decision", run_id="r", call_id=f"c{n}", body={"n": n}, ref=f"h{n}")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return start(tmp_path / "l.db")


def intrude(path: Path, *statements: str) -> None:
    """Write access to the file is enough to get past the triggers."""
    db = sqlite3.connect(path, isolation_level=None)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        db.execute(statement)
    db.close()


def verify(path: Path, **options: str) -> int:
    with Ledger(path, read_only=True) as ledger:
        return ledger.verify(**options)


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE entry SET body = '{\"n\":99}' WHERE seq = 3", 3),
        ("UPDATE entry SET body = '{\"n\": 2}' WHERE seq = 3", 3),
        ('UPDATE entry SET body = \'{"n":2},"x":{"n":2}\' WHERE seq = 3', 3),
        ("UPDATE entry SET body = CAST(body AS BLOB) WHERE seq = 3", 3),
        ("UPDATE entry SET body = x'ff' WHERE seq = 3", 3),
        ("UPDATE entry SET ts = '2001-01-01T00:00:00.000000+00:00' WHERE seq = 1", 1),
        ("UPDATE entry SET kind = 'outcome' WHERE seq = 6", 6),
        ("UPDATE entry SET run_id = 'other' WHERE seq = 2", 2),
        ("UPDATE entry SET run_id = x'72' WHERE seq = 2", 2),
        ("UPDATE entry SET call_id = NULL WHERE seq = 2", 2),
        ("UPDATE entry SET ref = 'h9' WHERE seq = 2", 2),
        ("UPDATE entry SET ref = NULL WHERE seq = 2", 2),
        ("UPDATE entry SET hash = prev_hash WHERE seq = 4", 4),
        ("UPDATE entry SET prev_hash = hash WHERE seq = 4", 4),
        ("UPDATE entry SET hash = upper(hash) WHERE seq = 4", 4),
        ("DELETE FROM entry WHERE seq = 1", 1),
        ("DELETE FROM entry WHERE seq = 3", 3),
        ("DELETE FROM entry WHERE seq IN (2, 3, 4)", 2),
        ("UPDATE entry SET seq = 100 WHERE seq = 6", 6),
        ("UPDATE entry SET seq = -1 WHERE seq = 6", -1),
        ("UPDATE entry SET seq = 0 WHERE seq = 1", 0),
    ],
)
def test_one_changed_thing_is_found_at_its_place(path: Path, statement: str, seq: int) -> None:
    intrude(path, statement)
    with pytest.raises(LedgerTamperedError) as caught:
        verify(path)
    assert caught.value.seq == seq


def test_a_removed_entry_is_found_though_the_rest_was_renumbered(path: Path) -> None:
    intrude(path, "DELETE FROM entry WHERE seq = 3",
            "UPDATE entry SET seq = seq - 1 WHERE seq > 3")  # fmt: skip
    with pytest.raises(LedgerTamperedError):
        verify(path)


def test_swapped_entries_are_found(path: Path) -> None:
    intrude(
        path,
        "UPDATE entry SET seq = 100 WHERE seq = 2",
        "UPDATE entry SET seq = 2 WHERE seq = 3",
        "UPDATE entry SET seq = 3 WHERE seq = 100",
    )
    with pytest.raises(LedgerTamperedError):
        verify(path)


def test_an_inserted_entry_is_found_though_it_hashes_right(path: Path) -> None:
    with Ledger(path, read_only=True) as ledger:
        second = ledger.entries()[1]
    fields = {"seq": 3, "ts": second.ts, "kind": "approval", "run_id": "r", "call_id": None,
              "ref": "h1", "prev_hash": second.hash}  # fmt: skip
    forged = Seal().digest(content('{"by":"mallory"}', **fields))  # type: ignore[arg-type]
    values = [3, second.ts, "approval", "r", None, "h1", '{"by":"mallory"}', second.hash, forged]
    intrude(path, *(f"UPDATE entry SET seq = {n + 1} WHERE seq = {n}" for n in (6, 5, 4, 3)))
    with sqlite3.connect(path) as db:
        db.execute(f"INSERT INTO entry ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", values)
    db.close()
    with pytest.raises(LedgerTamperedError) as caught:
        verify(path)
    assert caught.value.seq == 4  # the forged one fits; what follows it does not


def test_an_entry_replaced_by_one_that_hashes_right_is_found(path: Path) -> None:
    with Ledger(path, read_only=True) as ledger:
        third = ledger.entries()[2]
    fields = {name: getattr(third, name) for name in COLUMNS.split(", ") if name != "hash"}
    del fields["body"]
    forged = Seal().digest(content('{"n":99}', **fields))
    intrude(path, f"UPDATE entry SET body = '{{\"n\":99}}', hash = '{forged}' WHERE seq = 3")
    with pytest.raises(LedgerTamperedError) as caught:
        verify(path)
    assert caught.value.seq == 4  # whose `prev_hash` is that of the true one


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = '1999-01-01' WHERE name = 'created'",
        "UPDATE meta SET value = 'hmac-sha256' WHERE name = 'hash'",
        "UPDATE meta SET value = 'x' WHERE name = 'ledger_id'",
        "UPDATE meta SET value = 'x' WHERE name = 'genesis'",
        "DELETE FROM meta WHERE name = 'created'",
        "INSERT INTO meta VALUES ('note', 'x')",
    ],
)
def test_a_changed_meta_table_is_found(path: Path, statement: str) -> None:
    intrude(path, statement)
    with pytest.raises(LedgerError):
        verify(path)
    with pytest.raises(LedgerError):
        Ledger(path)


def test_a_cut_tail_is_found_with_a_head_kept_elsewhere_and_only_then(path: Path) -> None:
    with Ledger(path) as ledger:
        early, (seq, head) = ledger.entries()[2], ledger.head()
    assert verify(path, expect_head=head) == COUNT
    assert verify(path, expect_head=f"{seq}:{head}") == COUNT
    assert verify(path, expect_head=early.hash) == COUNT  # an older head, later entries are fine
    intrude(path, "DELETE FROM entry WHERE seq > 4")
    assert verify(path) == 4  # not covered without it; docs/ledger.md says so
    assert verify(path, expect_head=f"{early.seq}:{early.hash}") == 4
    for expected in (head, f"{seq}:{head}", f"4:{early.hash}"):
        with pytest.raises(LedgerTamperedError, match="expected head"):
            verify(path, expect_head=expected)


def test_the_head_of_an_empty_ledger_stays_valid(tmp_path: Path) -> None:
    with Ledger(tmp_path / "e.db") as ledger:
        seq, head = ledger.head()
        assert (seq, ledger.verify(expect_head=(seq, head))) == (0, 0)
        ledger.append("session", run_id="r", call_id=None, body={})
        assert ledger.verify(expect_head=(seq, head)) == 1


@pytest.mark.parametrize(
    "head", ["", "xyz", "5", "5:abc", "a" * 63, ":" + "a" * 64, "-1:" + "a" * 64]
)
def test_a_head_that_is_none_is_wrong_usage(path: Path, head: str) -> None:
    with pytest.raises(LedgerError, match="head") as caught:
        verify(path, expect_head=head)
    assert not isinstance(caught.value, LedgerTamperedError)


def forge(path: Path, seal: Seal, change: Callable[[dict[str, object]], None]) -> None:
    """A full rewrite: every hash is computed anew, as only the holder of the key can."""
    db = sqlite3.connect(path)
    meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
    rows = db.execute(f"SELECT {COLUMNS} FROM entry ORDER BY seq").fetchall()
    db.close()
    meta["hash"] = seal.mode
    last = genesis(meta, seal)
    statements = [f"UPDATE meta SET value = '{seal.mode}' WHERE name = 'hash'",
                  f"UPDATE meta SET value = '{last}' WHERE name = 'genesis'"]  # fmt: skip
    for seq, ts, kind, run_id, call_id, ref, body, _, _ in rows:
        value = json.loads(body)
        change(value)
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        now = seal.digest(content(text, seq=seq, ts=ts, kind=kind, run_id=run_id, call_id=call_id,
                                  ref=ref, prev_hash=last))  # fmt: skip
        statements.append(f"UPDATE entry SET body = '{text}', prev_hash = '{last}', "
                          f"hash = '{now}' WHERE seq = {seq}")  # fmt: skip
        last = now
    intrude(path, *statements)


def test_a_full_rewrite_without_a_key_needs_a_noted_head(path: Path) -> None:
    """The limit that docs/ledger.md states."""
    with Ledger(path) as ledger:
        head = ledger.head()[1]
    forge(path, Seal(), lambda body: body.update(n=7))
    assert verify(path) == COUNT
    with pytest.raises(LedgerTamperedError):
        verify(path, expect_head=head)


def test_a_full_rewrite_under_a_key_is_found(tmp_path: Path) -> None:
    key = "the key that only the operator has"
    path = start(tmp_path / "k.db", key)
    for seal in (Seal(), Seal.of("a key the intruder made up")):  # a downgrade, another key
        forge(path, seal, lambda body: body.update(n=7))
        with Ledger(path, key=key, read_only=True) as ledger, pytest.raises(LedgerTamperedError):
            ledger.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET kind = 'x'",
        "DELETE FROM entry",
        "UPDATE meta SET value = 'x'",
        "DELETE FROM meta",
        "INSERT INTO meta VALUES ('a', 'b')",
        f"INSERT INTO entry ({COLUMNS}) VALUES (9,'','','',NULL,NULL,'','','')",
        f"INSERT OR REPLACE INTO entry ({COLUMNS}) VALUES (1,'','','',NULL,NULL,'','','')",
    ],
)
def test_the_database_itself_refuses_changes(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()
    assert verify(path) == COUNT


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_any_stored_value_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = start(tmp_path_factory.mktemp("any") / "l.db")
    column = data.draw(st.sampled_from(COLUMNS.split(", ")[1:]))
    seq = data.draw(st.integers(1, COUNT))
    db = sqlite3.connect(path)
    (before,) = db.execute(f"SELECT {column} FROM entry WHERE seq = {seq}").fetchone()
    db.close()
    place = data.draw(st.integers(0, 63)) % len(before)
    char = data.draw(st.characters(codec="utf-8", exclude_characters="'\x00"))
    char = char if char != before[place] else "~"
    after = before[:place] + char + before[place + 1 :]
    intrude(path, f"UPDATE entry SET {column} = '{after}' WHERE seq = {seq}")
    with pytest.raises(LedgerTamperedError):
        verify(path)

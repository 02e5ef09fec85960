"""The ledger as a store: what is written is there, in order, for every reader."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest

from gatling_guard.errors import ConfigurationError, LedgerError, LedgerTamperedError
from gatling_guard.ledger import Ledger

KEY = "a key that is long enough"


def fill(ledger: Ledger, count: int = 5) -> None:
    for n in range(count):
        ledger.append("decision", run_id=f"run-{n % 2}", call_id=f"call-{n}", body={"n": n})


def test_an_appended_entry_is_read_back_by_another_reader(tmp_path: Path) -> None:
    """R141."""
    moment = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with Ledger(tmp_path / "l.db", clock=lambda: moment) as ledger:
        body = {"action": "block", "energy": {"total": 8.5}, "text": "é\n\u2028"}
        written = ledger.append("decision", run_id="r", call_id="c", body=body, ref="hold-1")
        assert written.ts == "2030-01-02T01:04:05.000000+00:00"
        assert (written.seq, written.body, written.ref) == (1, body, "hold-1")
        with Ledger(tmp_path / "l.db", read_only=True) as reader:
            assert reader.entries() == [written]
            assert reader.verify() == 1


def test_entries_filter_and_limit_keeps_the_newest(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db") as ledger:
        fill(ledger)
        ledger.append("outcome", run_id="run-0", call_id="call-0", body={})
        assert [e.body["n"] for e in ledger.entries(run_id="run-0", kind="decision")] == [0, 2, 4]
        assert [e.seq for e in ledger.entries(limit=2)] == [5, 6]
        assert ledger.entries(limit=0) == []
        assert ledger.entries(run_id="nobody") == []


def test_find_looks_up_by_ref() -> None:
    with Ledger() as ledger:
        ledger.append("hold", run_id="r", call_id="c", body={}, ref="h1")
        ledger.append("hold", run_id="r", call_id="c", body={}, ref="h2")
        ledger.append("approval", run_id="r", call_id="c", body={"by": "ann"}, ref="h1")
        assert [e.kind for e in ledger.find("h1")] == ["hold", "approval"]
        assert [e.seq for e in ledger.find("h2", kind="hold")] == [2]


def test_a_body_changed_by_the_caller_later_does_not_change_the_entry() -> None:
    with Ledger() as ledger:
        body = {"list": [1]}
        entry = ledger.append("decision", run_id="r", call_id=None, body=body)
        body["list"].append(2)
        assert entry.body == {"list": [1]} == ledger.entries()[0].body
        assert ledger.verify() == 1


def test_a_claim_succeeds_once() -> None:
    """Design 10: an approval is single use."""
    with Ledger() as ledger:
        claims = [ledger.claim("h", run_id="r", call_id="c", body={"by": n}) for n in range(3)]
        assert claims == [True, False, False]
        assert [e.body for e in ledger.find("h", kind="execution")] == [{"by": 0}]
        assert ledger.claim("other", run_id="r", call_id="c", body={})
        with pytest.raises(LedgerError):
            ledger.append("execution", run_id="r", call_id="c", body={}, ref="h")
        assert ledger.verify() == 2


def test_random_looking_hold_ids_stay_apart() -> None:
    """Were two ids redacted to one text, the second approval could never be used."""
    ids = ["Zx9Qw8Er7Ty6Ui5Op4As3Df2Gh1Jk0LmNb", "aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uVwX", "x" * 9000]
    ids += ["password: one", "password: two"]
    with Ledger() as ledger:
        assert all(ledger.claim(i, run_id="r", call_id=None, body={}) for i in ids)
        assert not any(ledger.claim(i, run_id="r", call_id=None, body={}) for i in ids)
        assert [len(ledger.find(i)) for i in ids] == [1] * len(ids)


def test_export_writes_one_line_of_json_per_entry(tmp_path: Path) -> None:
    with Ledger() as ledger:
        fill(ledger, 1203)  # more than two pages
        stream = io.StringIO()
        assert ledger.export(stream) == ledger.export(tmp_path / "out.jsonl") == 1203
        assert (tmp_path / "out.jsonl").read_text() == stream.getvalue()
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [line["seq"] for line in lines] == list(range(1, 1204))
        assert lines[-1]["hash"] == ledger.head()[1]


@pytest.mark.parametrize("kind", ["", "Decision", "a b", "x" * 65, "a\n", None])
def test_a_kind_is_an_identifier(kind: str) -> None:
    with Ledger() as ledger, pytest.raises(LedgerError, match="kind"):
        ledger.append(kind, run_id="r", call_id=None, body={})


@pytest.mark.parametrize(
    "body",
    [
        {"x": float("nan"), "y": float("-inf")},
        {"x": "\ud800 lone", "\udfff": 1},
        {"x": object(), 5: {1, 2}, None: b"\xff"},
        {"x": 10**5000},
        "no dict",
        None,
        {"x": "a" * 1_000_000},
        {"many": list(range(300_000)), "action": "block"},
        {f"k{n}": "v" * 4000 for n in range(3000)},
    ],
    ids=["nan", "surrogates", "objects", "huge-int", "text", "none", "1MB", "many", "wide"],
)
def test_whatever_the_body_an_entry_is_written_and_bounded(body: object) -> None:
    """An audit that fails on hostile input would be a way to act unrecorded."""
    with Ledger() as ledger:
        began = time.monotonic()
        ledger.append("decision", run_id="r", call_id="c", body=body)  # type: ignore[arg-type]
        assert time.monotonic() - began < 5
        assert ledger.verify() == 1
        entry = ledger.entries()[0]
        assert len(json.dumps(entry.body)) <= 1_000_000
        if isinstance(body, dict) and "action" in body:
            assert entry.body["action"] == "block"


def test_nesting_1000_deep_is_cut_and_not_a_crash() -> None:
    body: dict[str, object] = {}
    for _ in range(1000):
        body = {"a": [body]}
    with Ledger() as ledger:
        ledger.append("decision", run_id="r", call_id=None, body=body)
        assert "nested deeper" in json.dumps(ledger.entries()[0].body)


def test_threads_share_one_ledger(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db", busy_timeout_ms=10_000) as ledger:
        threads = [threading.Thread(target=fill, args=(ledger, 50)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.verify() == 300


def test_a_busy_file_is_an_error_in_bounded_time(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db", busy_timeout_ms=200) as ledger:
        other = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(LedgerError, match=r"l\.db.*busy"):
            fill(ledger, 1)
        assert time.monotonic() - began < 1.5
        other.execute("ROLLBACK")
        other.close()
        fill(ledger, 1)
        assert ledger.verify() == 1


def test_a_failed_append_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> dt.datetime:
        raise OSError("no clock")

    with Ledger(tmp_path / "l.db") as ledger:
        fill(ledger, 1)
        clock, ledger._clock = ledger._clock, broken
        with pytest.raises(LedgerError, match="no clock"):
            fill(ledger, 1)
        ledger._clock = clock
        fill(ledger, 1)
        assert ledger.verify() == 2


def test_a_file_removed_or_replaced_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with Ledger(path) as ledger:
        fill(ledger, 1)
        path.rename(tmp_path / "gone.db")
        with pytest.raises(LedgerError, match="replaced or removed"):
            fill(ledger, 1)


def test_a_closed_ledger_says_so() -> None:
    ledger = Ledger()
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        fill(ledger, 1)


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db") as ledger:
        fill(ledger, 1)
        for path in tmp_path.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_odd_file_names_are_file_names(tmp_path: Path) -> None:
    for name in ("a b?mode=ro#x%41.db", "ü'\".db"):
        with Ledger(str(tmp_path / name)) as ledger:
            fill(ledger, 1)
        assert (tmp_path / name).exists()


def test_not_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, and long enough to be looked at" * 20)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE meta (name TEXT, value TEXT)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    for name in ("text.db", "other.db", "missing/l.db"):
        with pytest.raises(LedgerError, match=name):
            Ledger(tmp_path / name)
    for name in ("missing.db", "text.db", "other.db"):
        with pytest.raises(LedgerError, match=name):
            Ledger(tmp_path / name, read_only=True)
    with pytest.raises(LedgerError, match="not a file"):
        Ledger(tmp_path)
    assert (tmp_path / "other.db").read_bytes() == before
    assert not (tmp_path / "missing.db").exists()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """R144: a version that is not known is said, not guessed at."""
    with Ledger(tmp_path / "l.db") as ledger:
        fill(ledger, 1)
    rewrite(tmp_path / "l.db", "UPDATE meta SET value = '2' WHERE name = 'schema_version'")
    with pytest.raises(LedgerError, match=r"schema '2'.*reads schema '1'"):
        Ledger(tmp_path / "l.db")


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with Ledger(path) as ledger:
        fill(ledger, 400)
    data = bytearray(path.read_bytes())
    data[4096 * 2 : -4096] = os.urandom(len(data) - 4096 * 3)
    path.write_bytes(data)
    with pytest.raises(LedgerError, match=r"l\.db"), Ledger(path, read_only=True) as ledger:
        ledger.verify()


def test_read_only_never_writes(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db") as ledger:
        fill(ledger, 1)
    before = (tmp_path / "l.db").read_bytes()
    with Ledger(tmp_path / "l.db", read_only=True) as reader:
        with pytest.raises(LedgerError, match="reading only"):
            fill(reader, 1)
        assert reader.verify() == 1
    assert (tmp_path / "l.db").read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_ledger_in_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    with Ledger(folder / "l.db") as ledger:
        fill(ledger, 3)
    folder.chmod(0o500)
    try:
        with Ledger(folder / "l.db", read_only=True) as reader:
            assert reader.verify() == 3
    finally:
        folder.chmod(0o700)


def test_full_durability_is_set_on_the_connection(tmp_path: Path) -> None:
    for durability, level in (("full", 2), ("normal", 1)):
        with (
            Ledger(tmp_path / f"{durability}.db", durability=durability) as ledger,  # type: ignore[arg-type]
            ledger._store.connection() as db,
        ):
            assert db.execute("PRAGMA synchronous").fetchone() == (level,)
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_key_changes_every_hash_and_is_needed_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l.db"
    monkeypatch.setenv("GATLING_LEDGER_KEY", KEY)
    with Ledger(path) as ledger:
        fill(ledger, 3)
        assert ledger.hash_mode == "hmac-sha256"
        assert KEY not in repr(ledger._seal)
    assert KEY.encode() not in path.read_bytes()
    monkeypatch.delenv("GATLING_LEDGER_KEY")
    with pytest.raises(LedgerError, match="kept under a key"):
        Ledger(path)
    with pytest.raises(LedgerTamperedError, match="key is another"):
        Ledger(path, key="another key, also long enough")
    with Ledger(path, read_only=True) as reader:
        assert len(reader.entries()) == 3
        with pytest.raises(LedgerError, match="kept under a key"):
            reader.verify()
    with Ledger(path, key=KEY) as ledger:
        assert ledger.verify() == 3


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 16"):
        Ledger(key="short")


def rewrite(path: Path, *statements: str) -> None:
    """What somebody with write access to the file can do."""
    db = sqlite3.connect(path, isolation_level=None)
    triggers = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        db.execute(statement)
    db.close()

"""Hold ids: equal across processes, useless for guessing."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from gatling_guard import Guard, Held, Ledger, LedgerError, ToolRequest

_CLOCK = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CODE = "import sys; from gatling_guard import Ledger; print(Ledger(sys.argv[1]).bind('x'))"


def test_every_process_binds_alike_and_every_ledger_differently(tmp_path: Path) -> None:
    """design 10: an approval given after a restart still fits."""
    path = tmp_path / "l.db"
    here = Ledger(path).bind("x")
    there = subprocess.run(
        [sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here
    assert Ledger(tmp_path / "other.db").bind("x") != here
    assert Ledger().bind("x") == Ledger().bind("x") != here
    assert (tmp_path / "l.db.holdkey").stat().st_mode & 0o777 == 0o600


def test_a_given_key_needs_no_file(tmp_path: Path) -> None:
    """R141: where the operator keeps a key, nothing lies beside the ledger."""
    a = Ledger(tmp_path / "a.db", key="k" * 32)
    assert a.bind("x") == Ledger(key="k" * 32).bind("x") != Ledger(key="j" * 32).bind("x")
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith("key")] == []


def test_a_broken_key_file_is_an_error_not_a_new_key(tmp_path: Path) -> None:
    """Fail closed: the holds of a ledger whose key was changed are void, visibly."""
    (tmp_path / "l.db.holdkey").write_bytes(b"short")
    with pytest.raises(LedgerError, match="holdkey"):
        Ledger(tmp_path / "l.db").bind("x")


def test_a_pin_cannot_be_found_by_trying(tmp_path: Path) -> None:
    """R145: nothing in the file is a plain function of a redacted argument."""
    written = []
    for pin in ("1234", "9999"):
        path = tmp_path / f"{pin}.db"
        policy = {"version": 1, "tools": {"open_door": {"hold": True}}}
        guard = Guard(policy, ledger=Ledger(path, key="k" * 32, clock=lambda: _CLOCK))
        guard.register({"name": "open_door", "parameters": {"properties": {"pin": {}}}})
        session = guard.session(run_id="r")
        held = session.check(ToolRequest("open_door", {"pin": pin}, "c"))
        assert isinstance(held, Held)
        bodies = [dict(entry.body) for entry in guard.ledger.entries()]
        told = ("hold_id", "held_at")  # a MAC, and the time
        written.append([{k: v for k, v in body.items() if k not in told} for body in bodies])
        guard.ledger.close()
        assert pin.encode() not in path.read_bytes()
    assert written[0] == written[1]

"""Several processes, killed processes and forked processes at one file (design 10)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatling_guard.ledger import Ledger

PRELUDE = """
import os, sys
from gatling_guard.ledger import Ledger
path, name = sys.argv[1:3]
"""


@contextlib.contextmanager
def started(path: Path, name: str, code: str) -> Iterator[subprocess.Popen[str]]:
    script = PRELUDE + textwrap.dedent(code)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path), name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], lines: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(lines)]


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert wait_for(process, 1) == ["ready"]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def test_a_killed_process_loses_no_committed_entry(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    code = """
    ledger = Ledger(path)
    for n in range(10**9):
        entry = ledger.append("decision", run_id=name, call_id=str(n), body={"n": n})
        os.write(1, f"{entry.seq} {entry.hash}\\n".encode())
    """
    for round_number in (1, 2):
        with started(path, f"run-{round_number}", code) as process:
            seen = wait_for(process, 150)
            os.kill(process.pid, signal.SIGKILL)
            assert process.stdout is not None
            seen += [line.strip() for line in process.stdout if line.endswith("\n")]
            process.wait()
        with Ledger(path) as ledger:
            count = ledger.verify(expect_head=seen[-1].replace(" ", ":"))
            kept = {f"{entry.seq} {entry.hash}" for entry in ledger.entries()}
        assert set(seen) <= kept
        assert count - int(seen[-1].split()[0]) <= 1  # at most one committed and not yet reported


def test_two_processes_append_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "l.db"  # made by whoever comes first
    code = """
    print("ready", flush=True)
    sys.stdin.readline()
    ledger = Ledger(path, busy_timeout_ms=10_000)
    for n in range(200):
        ledger.append("decision", run_id=name, call_id=str(n), body={"n": n})
    """
    with started(path, "a", code) as first, started(path, "b", code) as second:
        go(first, second)
        assert (first.wait(60), second.wait(60)) == (0, 0)
    with Ledger(path) as ledger:
        assert ledger.verify() == 400
        for name in "ab":
            assert [e.body["n"] for e in ledger.entries(run_id=name)] == list(range(200))


def test_a_hold_is_claimed_once_over_two_processes(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    Ledger(path).close()
    code = """
    ledger = Ledger(path, busy_timeout_ms=10_000)
    print("ready", flush=True)
    sys.stdin.readline()
    won = [n for n in range(150) if ledger.claim(f"h{n}", run_id=name, call_id=None, body={})]
    print(*won, flush=True)
    """
    with started(path, "a", code) as first, started(path, "b", code) as second:
        go(first, second)
        won = [set(process.communicate(timeout=60)[0].split()) for process in (first, second)]
    assert won[0] | won[1] == {str(n) for n in range(150)}
    assert not won[0] & won[1]
    with Ledger(path) as ledger:
        assert ledger.verify() == 150


def in_child(action: object) -> None:
    """Fork, run `action` in the child, and expect it to end well."""
    assert callable(action)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + 30
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done == (child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_parent_and_forked_child_write_to_one_ledger(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db") as ledger:

        def write(run_id: str) -> None:
            for n in range(20):
                ledger.append("decision", run_id=run_id, call_id=str(n), body={})

        write("parent")
        in_child(lambda: write("child"))
        write("parent")
        assert ledger.verify() == 60
        assert len(ledger.entries(run_id="child")) == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_parent_that_closes_first_costs_the_child_no_entry(tmp_path: Path) -> None:
    """Without the hooks the parent deletes the log that the child writes to."""
    path = tmp_path / "l.db"
    ledger = Ledger(path)
    ledger.append("session", run_id="parent", call_id=None, body={})
    out_of_child, into_parent = os.pipe()
    out_of_parent, into_child = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            ledger.append("decision", run_id="child", call_id="1", body={})
            os.write(into_parent, b"x")
            os.read(out_of_parent, 1)  # the parent has closed its side
            for n in range(20):
                ledger.append("decision", run_id="child", call_id=str(n), body={})
            status = 0
        finally:
            os._exit(status)
    os.read(out_of_child, 1)
    ledger.append("decision", run_id="parent", call_id=None, body={})
    ledger.close()
    os.write(into_child, b"x")
    assert os.waitpid(child, 0)[1] == 0
    for end in (out_of_child, into_parent, out_of_parent, into_child):
        os.close(end)
    with Ledger(path, read_only=True) as reader:
        assert reader.verify() == 23


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_that_ran_no_hooks_opens_the_file_again(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db") as ledger:
        ledger.append("session", run_id="r", call_id=None, body={})
        inherited = ledger._store._db
        ledger._store._pid = -1  # what a child of a C library's fork finds
        ledger.append("decision", run_id="r", call_id=None, body={})
        assert ledger._store._db is not inherited
        assert ledger.verify() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_ledger_in_memory_survives_a_fork_on_both_sides() -> None:
    with Ledger() as ledger:
        ledger.append("session", run_id="r", call_id=None, body={})

        def write() -> None:
            ledger.append("decision", run_id="child", call_id=None, body={})
            assert ledger.verify() == 2

        in_child(write)
        ledger.append("decision", run_id="parent", call_id=None, body={})
        assert [e.run_id for e in ledger.entries()] == ["r", "parent"]

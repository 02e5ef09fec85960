"""The deadline runner: gives up in time, commits nothing late, stays usable."""

from __future__ import annotations

import os
import threading
import time

import pytest

from gatling_guard.pipeline import DeadlineExceeded, DeadlineRunner, Ticket
from gatling_guard.pipeline.deadline import MAX_STUCK


def test_result_and_error_come_back() -> None:
    """R140: an exception inside is the caller's, with its own type."""
    runner = DeadlineRunner()
    assert runner.run(lambda ticket: 42, 1) == 42
    with pytest.raises(ZeroDivisionError):
        runner.run(lambda ticket: 1 / 0, 1)


def test_a_hang_is_given_up_and_can_commit_nothing() -> None:
    """R140: what was abandoned may end later, but its ticket is void."""
    runner, late = DeadlineRunner(), []
    ended = threading.Event()

    def hang(ticket: Ticket) -> None:
        time.sleep(0.3)
        late.append(ticket.claim())
        ended.set()

    start = time.perf_counter()
    with pytest.raises(DeadlineExceeded):
        runner.run(hang, 0.05)
    assert time.perf_counter() - start < 0.25
    assert ended.wait(2)
    assert late == [False]


def test_a_claim_before_the_deadline_holds() -> None:
    """R140: exactly one of commit and abandon wins."""
    ticket = Ticket()
    assert ticket.claim()
    other = Ticket()
    other.abandon()
    assert not other.claim()


def test_the_runner_stays_usable_after_hangs_and_refuses_when_all_hang() -> None:
    """R140: hangs never add up to an open door, nor to an endless number of threads."""
    runner, go = DeadlineRunner(), threading.Event()
    for _ in range(MAX_STUCK):
        with pytest.raises(DeadlineExceeded):
            runner.run(lambda ticket: go.wait(20), 0.001)
    start = time.perf_counter()
    with pytest.raises(DeadlineExceeded, match="still hang"):
        runner.run(lambda ticket: 1, 5)
    assert time.perf_counter() - start < 1
    go.set()
    for _ in range(100):
        try:
            assert runner.run(lambda ticket: 1, 1) == 1
            return
        except DeadlineExceeded:
            time.sleep(0.02)
    pytest.fail("the runner never recovered")


def test_many_threads_share_one_runner() -> None:
    """R140: results never get mixed up."""
    runner, wrong = DeadlineRunner(), []

    def work(number: int) -> None:
        for i in range(50):
            if runner.run(lambda ticket, i=i: (number, i), 5) != (number, i):  # type: ignore[misc]
                wrong.append((number, i))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_threads_of_its_own() -> None:
    """R140: pre-forking servers import first and check later."""
    runner = DeadlineRunner()
    runner.run(lambda ticket: 1, 1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if runner.run(lambda ticket: 7, 2) == 7 else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0

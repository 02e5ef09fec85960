"""Run a function with a deadline, in process.

Python cannot interrupt a function, so the function runs on a helper thread and the caller gives
up waiting. What was abandoned may run on, but it can no longer commit anything: see `Ticket`.

Not covered: C code that never releases the interpreter lock stops the whole process. Patterns
that come from outside therefore run in re2, which is linear, and never in `re`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_STUCK = 32
"""Helper threads that may hang at once; beyond, every run times out immediately (fail closed)."""


class DeadlineExceeded(Exception):
    """The function did not finish in time."""


class CheckAborted(Exception):
    """The function tried to end its thread or process."""


class Ticket:
    """Decides, once, whether a run is still wanted: either it commits or it is abandoned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = "open"

    def claim(self) -> bool:
        """Called by the run right before its first lasting effect: may it have one?"""
        with self._lock:
            if self._state == "open":
                self._state = "claimed"
            return self._state == "claimed"

    def abandon(self) -> None:
        """Called by the waiter when time is up."""
        with self._lock:
            self._state = "abandoned"


class _Job(Generic[T]):
    def __init__(self, function: Callable[[Ticket], T]) -> None:
        self.function, self.ticket = function, Ticket()
        # Held until the run has ended. An `Event` would do, for twice the cost of the hand-over.
        self.running = threading.Lock()
        self.running.acquire()
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.function(self.ticket)
        except BaseException as error:  # handed to the waiter, whatever it is
            self.error = error
        self.running.release()


class DeadlineRunner:
    """A small pool of daemon threads, grown on demand; safe to use from many threads and forks."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[_Job[object]]] = []
        self._stuck = 0

    def run(self, function: Callable[[Ticket], T], timeout: float) -> T:
        """The result of `function(ticket)`.

        Args:
            function: runs on another thread; must call `ticket.claim()` before lasting effects.
            timeout: seconds.

        Raises:
            DeadlineExceeded: it took longer; its ticket is abandoned.
            CheckAborted: it raised something that is no `Exception`.
            Exception: whatever else `function` raised.
        """
        if self._pid != os.getpid():  # threads do not survive a fork
            self._reset()
        job: _Job[T] = _Job(function)
        queue = self._worker()
        queue.put(job)  # type: ignore[arg-type]
        try:
            in_time = job.running.acquire(timeout=max(0.0, timeout))
        except BaseException:  # Ctrl-C while waiting: nothing may be committed behind its back
            self._give_up(job, queue)
            raise
        if not in_time:
            self._give_up(job, queue)
            raise DeadlineExceeded(f"no result within {timeout:.3f} s")
        with self._lock:
            self._idle.append(queue)
        if isinstance(job.error, Exception):
            raise job.error
        if job.error is not None:  # SystemExit and its like end no caller
            raise CheckAborted(f"{type(job.error).__name__} inside a check") from job.error
        return job.result  # type: ignore[return-value]

    def _worker(self) -> SimpleQueue[_Job[object]]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._stuck >= MAX_STUCK:
                raise DeadlineExceeded(f"{self._stuck} earlier runs still hang")
        queue: SimpleQueue[_Job[object]] = SimpleQueue()
        threading.Thread(target=_serve, args=(queue,), daemon=True, name="gatling-check").start()
        return queue

    def _give_up(self, job: _Job[T], queue: SimpleQueue[_Job[object]]) -> None:
        job.ticket.abandon()
        with self._lock:
            self._stuck += 1
        threading.Thread(target=self._reap, args=(job, queue), daemon=True).start()

    def _reap(self, job: _Job[T], queue: SimpleQueue[_Job[object]]) -> None:
        """A run that ends late gives its thread back."""
        job.running.acquire()
        with self._lock:
            self._stuck -= 1
            self._idle.append(queue)


def _serve(queue: SimpleQueue[_Job[object]]) -> None:
    while True:
        queue.get().run()

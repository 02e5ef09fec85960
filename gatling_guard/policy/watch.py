"""A policy file that may change while it is in force.

The file is read, at most so often, and compared by digest, so that neither a preserved time stamp
nor a swapped link hides a change. What has changed is taken over only once two looks in a row saw
the same content: half of a file is often a valid policy, and a weaker one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from gatling_guard.errors import PolicyError
from gatling_guard.plan import digest
from gatling_guard.policy.load import load_policy
from gatling_guard.policy.model import Policy
from gatling_guard.policy.source import read_file


class PolicyFile:
    """Looks at one file.

    Args:
        path: of the policy.
        every: seconds between two looks.
        clock: seconds, monotonic.

    Raises:
        PolicyError: the file cannot be read now.
    """

    def __init__(
        self, path: Path, every: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path, self.every = path, every
        self._clock, self._lock = clock, threading.Lock()
        self._taken = self._seen = self._told = digest(read_file(path))
        self._next = clock() + every

    def look(self) -> Policy | None:
        """The new policy, once; None while there is none, or while another thread looks.

        Raises:
            PolicyError: the file is gone or broken; once for each state of it.
        """
        if self._clock() < self._next or not self._lock.acquire(blocking=False):
            return None
        try:
            self._next = self._clock() + self.every
            return self._changed()
        finally:
            self._lock.release()

    def _changed(self) -> Policy | None:
        try:
            text = read_file(self.path)
            now = digest(text)
            settled, self._seen = now == self._seen, now
            if not settled or now == self._taken:
                return None
            self._taken = now
            # The very text that was compared: the file may have changed again.
            return load_policy(self.path, text)
        except PolicyError as error:
            told, self._told = self._told, digest(str(error))
            if told == self._told:
                return None
            raise

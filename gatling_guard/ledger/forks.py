"""Around a fork every store lets go of its file.

A SQLite connection that crosses a fork loses the locks it holds: in the child they exist in memory
only. A parent that then closes as "the last one" removes the log the child is writing to, and the
child's entries with it. So the file is closed before a fork and opened again on both sides.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What can let go before a fork."""

    def before_fork(self) -> bool:
        """Let go and keep others out; False if that was not possible in time."""

    def after_fork(self) -> None:
        """Let others in again."""

    def renew(self) -> None:
        """In the child of a parent that could not let go: start with fresh locks."""


_known: weakref.WeakSet[Forkable] = weakref.WeakSet()
_forking = threading.Lock()
_held: list[Forkable] = []
_missed: list[Forkable] = []


def watch(store: Forkable) -> None:
    """Have `store` told of every fork, for as long as it lives."""
    _known.add(store)


def _before() -> None:
    _forking.acquire()
    for store in list(_known):
        (_held if store.before_fork() else _missed).append(store)


def _in_parent() -> None:
    while _held:
        _held.pop().after_fork()
    _missed.clear()
    _forking.release()


def _in_child() -> None:
    for store in _missed:
        store.renew()
    _in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)

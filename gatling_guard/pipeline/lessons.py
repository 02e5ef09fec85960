"""What repairs leave behind for the next ones: those that were applied or that a person approved.

Sees: repairs that stood. Does not see: offers that nobody took.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatling_guard.errors import ConfigurationError, GatlingError
from gatling_guard.repair import Draft, Edit, Problem

if TYPE_CHECKING:
    from gatling_guard.repair.memory import RepairMemory


@dataclass(frozen=True, slots=True)
class Lesson:
    """A repair that stood."""

    start: Draft
    problems: tuple[Problem, ...]
    """Of `start`."""
    edits: tuple[Edit, ...]


class Lessons:
    """The memory of one guard, and the file that it is kept in. Thread-safe."""

    def __init__(self, given: RepairMemory | str | Path | None = None) -> None:
        """Reads a file that is there already.

        Args:
            given: a memory, the path of one, or None: nothing is remembered.

        Raises:
            ConfigurationError: it is none of these.
            InputError: the file is none of repairs, or damaged.
        """
        self._path: Path | None = None
        self._new = False
        self._lock = threading.Lock()
        self.memory: RepairMemory | None = None
        if given is None:
            return
        from gatling_guard.repair.memory import RepairMemory  # numpy, which others need not load

        if isinstance(given, RepairMemory):
            self.memory = given
        elif isinstance(given, (str, Path)):
            self._path = Path(given)
            there = self._path.exists()
            self.memory = RepairMemory.load(self._path) if there else RepairMemory()
        else:
            raise ConfigurationError(
                f"repairs is a path or a RepairMemory, not {type(given).__name__}"
            )

    def seeds(
        self, start: Draft, problems: Sequence[Problem], proposals: dict[str, Sequence[Edit]]
    ) -> tuple[tuple[Edit, ...], ...]:
        """Repairs to try first; see `RepairMemory.seeds_for`."""
        if self.memory is None:
            return ()
        return self.memory.seeds_for(start, problems, proposals)

    def learn(self, lesson: Lesson | None) -> None:
        """Remember a repair. Never raises: what cannot be remembered is not."""
        if self.memory is None or lesson is None:
            return
        with contextlib.suppress(GatlingError):
            self.memory.remember(lesson.start, lesson.problems, lesson.edits)
            self._new = True

    def save(self) -> None:
        """Write the file where there is one and something is new.

        Raises:
            OSError: it cannot be written; what is new is kept for the next time.
        """
        with self._lock:
            if self._path is None or self.memory is None or not self._new:
                return
            self.memory.save(self._path)
            self._new = False

"""Grants per instruction: what a person who reads an instruction would grant before the run.

    tasks:
      - instruction: Pay the bill in bill-12.txt.
        grants:
          - source: {tool: read_file, where: {path: bill-12.txt}}
            effects: [pay]
            reason: the user wants this bill paid

Written from instructions alone. The grants are those of a policy (docs/grants.md) and are checked
like them; they count for runs with exactly that instruction, white space around it aside. `roles`
are refused: a benchmark has none. Where an instruction may not be published, its digest stands in
its place, with a few words of the author's own that tell a reader which task is meant:

      - instruction_sha256: 3a7bd3e2360a...  # of the stripped text in UTF-8, 64 hex digits
        about: pay one bill from a file
        grants: [...]
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatling_guard.errors import Issue, PolicyError
from gatling_guard.policy import Grant, load_policy, read_source
from gatling_guard.policy.source import Place, Source, dotted

Grants = tuple[Grant, ...]


MOST_WORDS = 8
"""Words of `about`: it names a task and does not repeat its text."""
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class TaskGrant:
    """The grants for one instruction."""

    sha256: str
    """Of the instruction, see `instruction_sha256`."""
    name: str
    """What a person is told of it: the instruction or, where only its digest is known, `about`."""
    grants: Grants


def instruction_sha256(instruction: str) -> str:
    """Hex digest of an instruction, white space around it aside, in UTF-8."""
    return hashlib.sha256(instruction.strip().encode("utf-8", "surrogatepass")).hexdigest()


class TaskGrants:
    """Grants by instruction; remembers which instructions were met."""

    def __init__(self, tasks: Iterable[TaskGrant] = ()) -> None:
        """Takes one entry for each instruction."""
        self._tasks = {task.sha256: task for task in tasks}
        self._met: set[str] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Grants]:
        return (task.grants for task in self._tasks.values())

    def of(self, instruction: str) -> Grants:
        """The grants of an instruction; none where it is not listed."""
        found = self._tasks.get(instruction_sha256(instruction))
        if found is None:
            return ()
        self._met.add(found.sha256)
        return found.grants

    @property
    def unmet(self) -> tuple[str, ...]:
        """The names of those whose instruction no run had, in the order of the file."""
        return tuple(task.name for key, task in self._tasks.items() if key not in self._met)


def read_task_grants(path: Path) -> TaskGrants:
    """Read a file of them.

    Raises:
        PolicyError: with every fault, each with file, line and key. Nothing is loaded partially.
    """
    source = read_source(path)
    found = list(_tasks(source))
    if source.issues:
        raise PolicyError(sorted(source.issues, key=lambda issue: issue.line or 0))
    return TaskGrants(found)


def _tasks(source: Source) -> Iterator[TaskGrant]:
    tasks = _fields(source, (), ("tasks",)).get("tasks")
    if not isinstance(tasks, list):
        if tasks is not None:
            source.fault(("tasks",), "should be a list")
        return
    seen: dict[str, int] = {}
    for number, item in enumerate(tasks):
        place: Place = ("tasks", number)
        key = "instruction_sha256" if _by_digest(item) else "instruction"
        names = (key, "about", "grants")
        task = _fields(source, place, names, () if _by_digest(item) else ("about",))
        about = _about(source, place, task)
        grants = _grants(source, place, task)
        sha256 = _digest(source, (*place, key), task)
        if sha256 in seen:
            source.fault((*place, key), f"is that of tasks[{seen[sha256]}] too")
        elif sha256:
            seen[sha256] = number
            name = task["instruction"].strip() if key == "instruction" else about
            yield TaskGrant(sha256, name, grants)


def _by_digest(task: Any) -> bool:
    return isinstance(task, dict) and "instruction_sha256" in task and "instruction" not in task


def _digest(source: Source, place: Place, task: Mapping[str, Any]) -> str:
    """The digest of a task's instruction; "" after a fault."""
    key = str(place[-1])
    value = task.get(key)
    if key not in task:
        return ""
    if key == "instruction":
        if isinstance(value, str) and value.strip():
            return instruction_sha256(value)
        source.fault(place, "should be text, and not empty")
    else:
        if isinstance(value, str) and _SHA256.match(value):
            return value
        source.fault(place, "should be the 64 lower-case hex digits of a SHA-256")
    return ""


def _about(source: Source, place: Place, task: Mapping[str, Any]) -> str:
    about = task.get("about")
    if "about" not in task:
        return ""
    if isinstance(about, str) and 1 <= len(about.split()) <= MOST_WORDS:
        return about.strip()
    source.fault((*place, "about"), f"should be text of 1 to {MOST_WORDS} words")
    return ""


def _fields(
    source: Source, place: Place, names: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    """The mapping at a place, whose keys must be just these."""
    found: Any = source.data
    for part in place:
        found = found[part]
    if not isinstance(found, dict):
        source.fault(place, "should be a mapping of keys")
        return {}
    for name in names:
        if name not in found and name not in optional:
            source.fault((*place, name), "is missing")
    for key in found:
        if key not in names:
            source.fault((*place, key), f"unknown key; there are {', '.join(names)}")
    return found


def _grants(source: Source, place: Place, task: Mapping[str, Any]) -> Grants:
    """As `grants` of a policy; faults at their own place in this file."""
    if "grants" not in task:
        return ()
    try:
        return load_policy({"version": 1, "grants": task["grants"]}).grants
    except PolicyError as error:
        lines = {dotted(known): line for known, line in source.lines.items()}
        for issue in error.issues:
            where = f"{dotted(place)}.{issue.where}"
            source.issues.append(Issue(where, issue.message, source.file, _line(lines, where)))
        return ()


def _line(lines: Mapping[str, int], where: str) -> int | None:
    """The line of a place or, where it does not exist, of what it would be in."""
    while where and where not in lines:
        where = where[: max(where.rfind("."), where.rfind("["), 0)]
    return lines.get(where)

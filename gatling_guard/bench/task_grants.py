"""Grants per instruction: what a person who reads an instruction would grant before the run.

    tasks:
      - instruction: Pay the bill in bill-12.txt.
        grants:
          - source: {tool: read_file, where: {path: bill-12.txt}}
            effects: [pay]
            reason: the user wants this bill paid

Written from instructions alone. The grants are those of a policy (docs/grants.md) and are checked
like them; they count for runs with exactly that instruction, white space around it aside. `roles`
are refused: a benchmark has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gatling_guard.errors import Issue, PolicyError
from gatling_guard.policy import Grant, load_policy, read_source
from gatling_guard.policy.source import Place, Source, dotted

Grants = tuple[Grant, ...]


class TaskGrants:
    """Grants by instruction; remembers which instructions were met."""

    def __init__(self, grants: Mapping[str, Grants]) -> None:
        """Takes them by instruction."""
        self._grants = {instruction.strip(): found for instruction, found in grants.items()}
        self._met: set[str] = set()

    def __len__(self) -> int:
        return len(self._grants)

    def __iter__(self) -> Iterator[Grants]:
        return iter(self._grants.values())

    def of(self, instruction: str) -> Grants:
        """The grants of an instruction; none where it is not listed."""
        found = self._grants.get(instruction.strip())
        if found is None:
            return ()
        self._met.add(instruction.strip())
        return found

    @property
    def unmet(self) -> tuple[str, ...]:
        """The instructions that no run had, in the order of the file."""
        return tuple(instruction for instruction in self._grants if instruction not in self._met)


def read_task_grants(path: Path) -> TaskGrants:
    """Read a file of them.

    Raises:
        PolicyError: with every fault, each with file, line and key. Nothing is loaded partially.
    """
    source = read_source(path)
    found = dict(_tasks(source))
    if source.issues:
        raise PolicyError(sorted(source.issues, key=lambda issue: issue.line or 0))
    return TaskGrants(found)


def _tasks(source: Source) -> Iterator[tuple[str, Grants]]:
    tasks = _fields(source, (), ("tasks",)).get("tasks")
    if not isinstance(tasks, list):
        if tasks is not None:
            source.fault(("tasks",), "should be a list")
        return
    seen: dict[str, int] = {}
    for number, _ in enumerate(tasks):
        place: Place = ("tasks", number)
        task = _fields(source, place, ("instruction", "grants"))
        instruction = task.get("instruction")
        grants = _grants(source, place, task)
        if not isinstance(instruction, str) or not instruction.strip():
            if "instruction" in task:
                source.fault((*place, "instruction"), "should be text, and not empty")
        elif instruction.strip() in seen:
            first = seen[instruction.strip()]
            source.fault((*place, "instruction"), f"is that of tasks[{first}] too")
        else:
            seen[instruction.strip()] = number
            yield instruction, grants


def _fields(source: Source, place: Place, names: Iterable[str]) -> dict[str, Any]:
    """The mapping at a place, whose keys must be just these."""
    found: Any = source.data
    for part in place:
        found = found[part]
    if not isinstance(found, dict):
        source.fault(place, "should be a mapping of keys")
        return {}
    for name in names:
        if name not in found:
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

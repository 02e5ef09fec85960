"""Reading recorded traces: the trace format as `.jsonl` or `.jsonl.xz`, and toolset files.

Streaming, one line in memory at a time, every line bounded. A bad line is an error with file and
line; with `on_error="collect"` the good lines go on and the faults are listed.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.errors import InputError, Issue, TraceError
from gatling_guard.plan import MAX_NODES, canonical_json, parse_json
from gatling_guard.trace.recorder import STEP_LABELS, TRACE_LABELS, RecordedStep, RecordedTrace

MAX_LINE = 64 * 1024 * 1024
"""Longest line in bytes."""
MAX_ISSUES = 1_000
"""Most faults collected from one file."""
_ABSENT = object()


def read_traces(
    path: str | Path,
    *,
    on_error: Literal["raise", "collect"] = "raise",
    issues: list[Issue] | None = None,
) -> Iterator[RecordedTrace]:
    """Read traces one by one.

    Args:
        path: a `.jsonl` or `.jsonl.xz` file.
        on_error: `raise` stops at the first bad line; `collect` skips it.
        issues: with `collect`, receives the faults (at most `MAX_ISSUES`).

    Raises:
        TraceError: with file and line. A broken or missing file is never skipped.
    """
    for number, line in _lines(Path(path)):
        try:
            yield trace_from_row(parse_json(line, what="trace"))
        except InputError as error:
            placed = [_place(issue, path, number) for issue in error.issues]
            if on_error == "raise":
                raise TraceError(placed) from None
            if issues is not None:
                issues.extend(placed[: max(0, MAX_ISSUES - len(issues))])


def _place(issue: Issue, path: str | Path, line: int) -> Issue:
    return Issue(issue.where, issue.message, str(path), line)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with _open(path) as file:
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise _at(path, number, f"a line of more than {MAX_LINE} bytes")
                if line.strip():
                    yield number, line
    except (OSError, EOFError, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise _at(path, number + 1, f"cannot be read: {reason}") from None


def _open(path: Path) -> IO[bytes]:
    return lzma.open(path, "rb") if path.suffix == ".xz" else open(path, "rb")


def _at(path: Path, line: int, message: str) -> TraceError:
    return TraceError([Issue("", message, str(path), line)])


def trace_from_row(row: object) -> RecordedTrace:
    """One row of the trace format as a trace.

    Raises:
        TraceError: with every fault and its JSON pointer.
    """
    reader = _Row(row)
    trace = RecordedTrace(
        id=reader.text("id", default=""),
        instruction=reader.text("user_instruction"),
        system=reader.text("system", default=None),
        tools=reader.tools(),
        toolsets=reader.toolsets(),
        steps=reader.steps(),
        source=reader.text("source", default=""),
        meta=reader.meta(),
    )
    if reader.issues:
        raise TraceError(reader.issues)
    return trace


class _Row:
    """Typed access to a row that notes every fault instead of stopping at the first."""

    def __init__(self, row: object) -> None:
        if not isinstance(row, Mapping):
            raise TraceError(f"must be an object, not {type(row).__name__}")
        self.row, self.issues = row, list[Issue]()

    def text(self, key: str, default: Any = _ABSENT) -> Any:
        return self._text(self.row, "", key, default)

    def _text(self, row: Mapping[str, Any], at: str, key: str, default: Any = _ABSENT) -> Any:
        value = row.get(key)
        if isinstance(value, str):
            return value
        if value is None and default is not _ABSENT:
            return default
        found = "missing" if value is None else f"must be text, not {type(value).__name__}"
        self.issues.append(Issue(f"{at}/{key}", found))
        return ""

    def _list(self, key: str) -> list[Any]:
        value = self.row.get(key)
        if isinstance(value, list) and len(value) <= MAX_NODES:
            return value
        if value is not None:
            found = (
                f"{len(value)} entries; at most {MAX_NODES}" if isinstance(value, list) else None
            )
            self.issues.append(Issue(f"/{key}", found or "must be a list"))
        return []

    def tools(self) -> tuple[ToolSpec, ...]:
        found = []
        for i, item in enumerate(self._list("tools")):
            try:
                found.append(tool_from_row(item))
            except InputError as error:
                self.issues.extend(Issue(f"/tools/{i}{e.where}", e.message) for e in error.issues)
        return tuple(found)

    def toolsets(self) -> tuple[str, ...]:
        keys = self._list("toolsets")
        bad = [i for i, key in enumerate(keys) if not isinstance(key, str)]
        self.issues.extend(Issue(f"/toolsets/{i}", "must be text") for i in bad)
        return () if bad else tuple(keys)

    def steps(self) -> tuple[RecordedStep, ...]:
        if self.row.get("steps") is None:
            self.issues.append(Issue("/steps", "missing"))
        found = [self._step(i, item) for i, item in enumerate(self._list("steps"))]
        return tuple(step for step in found if step is not None)

    def _step(self, i: int, item: Any) -> RecordedStep | None:
        at = f"/steps/{i}"
        if not isinstance(item, Mapping):
            self.issues.append(Issue(at, "must be an object"))
            return None
        arguments = item.get("arguments")
        if not isinstance(arguments, dict):
            self.issues.append(Issue(f"{at}/arguments", "must be an object"))
            arguments = {}
        meta = {key: item.get(key) for key in STEP_LABELS}
        for key, value in meta.items():
            if value is not None and not isinstance(value, bool):
                self.issues.append(Issue(f"{at}/{key}", "must be true, false or null"))
        tool = self._text(item, at, "tool")
        call_id = self._text(item, at, "call_id", "")
        return RecordedStep(tool, arguments, item.get("output"), call_id or f"call_{i}", meta)

    def meta(self) -> dict[str, Any]:
        value = self.row.get("meta")
        if value is not None and not isinstance(value, dict):
            self.issues.append(Issue("/meta", "must be an object"))
            value = None
        return {**(value or {}), **{key: self.row.get(key) for key in TRACE_LABELS}}


def tool_from_row(item: object) -> ToolSpec:
    """One tool schema of a row or a toolset: `{"name", "description", "parameters"}`.

    Raises:
        InputError: it is no tool schema.
    """
    if not isinstance(item, Mapping):
        raise TraceError([Issue("", "must be an object")])
    name = item.get("name")
    if not isinstance(name, str) or not name:
        raise TraceError([Issue("/name", "must be text")])
    return _cached_tool(canonical_json(dict(item)))


@lru_cache(maxsize=4096)
def _cached_tool(text: str) -> ToolSpec:
    """Thousands of rows repeat the same schema; its profile is inferred once."""
    from gatling_guard.catalog import spec_from_json_schema

    item = parse_json(text)
    return spec_from_json_schema(
        item["name"],
        item.get("parameters") or {"type": "object"},
        description=item.get("description") or "",
        annotations=item.get("annotations"),
    )


def load_toolsets(path: str | Path) -> dict[str, tuple[ToolSpec, ...]]:
    """Read a toolset file (`.json` or `.json.xz`): key -> list of tool schemas.

    Raises:
        TraceError: with every fault and its place.
    """
    try:
        with _open(Path(path)) as file:
            data = parse_json(file.read(MAX_LINE), what="toolsets")
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _at(Path(path), 1, f"cannot be read: {error}") from None
    except InputError as error:
        raise TraceError([_place(i, path, i.line or 1) for i in error.issues]) from None
    if not isinstance(data, dict):
        raise _at(Path(path), 1, "must be an object: toolset key -> list of tool schemas")
    issues: list[Issue] = []
    found = {key: _toolset(key, items, issues) for key, items in data.items()}
    if issues:
        raise TraceError([Issue(i.where, i.message, str(path)) for i in issues[:MAX_ISSUES]])
    return found


def _toolset(key: str, items: object, issues: list[Issue]) -> tuple[ToolSpec, ...]:
    if not isinstance(items, list):
        issues.append(Issue(f"/{key}", "must be a list of tool schemas"))
        return ()
    found = []
    for i, item in enumerate(items):
        try:
            found.append(tool_from_row(item))
        except InputError as error:
            issues.extend(Issue(f"/{key}/{i}{e.where}", e.message) for e in error.issues)
    return tuple(found)

"""The figures of `assessment` as rows of a table: one order and one wording for terminal and page.

Sees: the JSON values of one group. Does not see: how they are printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gatling_guard.training.assessment import POOLS
from gatling_guard.training.metrics import CLASSES


class Cell(NamedTuple):
    """A figure as text."""

    text: str
    interval: str = ""
    """`[0.90, 0.92]`, or empty."""


class Row(NamedTuple):
    """One figure of several groups or models."""

    name: str
    asked: str
    """In words; empty where nothing was."""
    cells: list[Cell]
    passed: list[bool | None]
    """Of each cell whether it is what was asked; None where nothing was."""


def rows(
    columns: Sequence[Mapping[str, Any]], targets: Sequence[Sequence[Mapping[str, Any]]]
) -> list[Row]:
    """All rows, for groups of one model or one group of several models.

    Args:
        columns: figures.
        targets: of each column, as JSON.
    """
    asked = [{target["name"]: target["passed"] for target in each} for each in targets]
    words = {target["name"]: target["asked"] for target in targets[0]}

    def row(name: str, *path: str, digits: int = 3) -> Row:
        cells = [_cell(_at(column, path), digits) for column in columns]
        return Row(name, words.get(name, ""), cells, [each.get(name) for each in asked])

    def count(name: str, of: Callable[[Mapping[str, Any]], str]) -> Row:
        return _unasked(name, [of(column) for column in columns])

    found = [
        count("families", lambda c: f"{c['families']:,}"),
        count(
            "samples: " + ", ".join(CLASSES),
            lambda c: " ".join(f"{c['samples'][name]:,}" for name in CLASSES),
        ),
        count("distinct authorities", lambda c: f"{c['authorities']:,}"),
    ]
    for pool in (*map(str, POOLS), "all"):
        found.append(row(f"nearest neighbour of {pool}", "nearest_neighbour", pool))
    found.append(row("positive similarity", "positive_similarity"))
    found.append(row("similarity of other pairs", "other_similarity"))
    for name in CLASSES:
        found.append(row(f"mean energy, {name}", "mean_energy", name, digits=2))
    for name in CLASSES:
        found.append(row(f"in its band, {name}", "in_band", name))
    found.append(row("delta_sec", "delta_sec", digits=2))
    for name in CLASSES[1:]:
        found.append(row(f"AUC gold | {name}", "auc", f"gold|{name}"))
    found.append(row("calibration error (ECE)", "calibration_error"))
    for pool in map(str, POOLS):
        found.append(row(f"next call of {pool}", "next_call", pool))
    found.append(row("attribution", "attribution"))
    found.append(row("attribution by chance", "attribution", "chance"))
    return found


def recall_rows(columns: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Recall of every mutation, with the number of samples."""
    names = sorted({name for column in columns for name in column["recall"]})
    found = []
    for name in names:
        values = [column["recall"].get(name) for column in columns]
        cells = ["-" if v is None else f"{v['value']:.2f} of {v['samples']:,}" for v in values]
        found.append(_unasked(name.replace("_", " "), cells))
    return found


def _at(column: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = column
    for key in path:
        value = value[key]
    return value


def _cell(value: Any, digits: int) -> Cell:
    """With an interval where there is one."""
    if not isinstance(value, Mapping):
        return Cell("-" if value is None else f"{value:.{digits}f}")
    main, low, high = value["value"], value["low"], value["high"]
    inner = max(1, digits - 1)
    interval = "" if low is None else f"[{low:.{inner}f}, {high:.{inner}f}]"
    return Cell("-" if main is None else f"{main:.{digits}f}", interval)


def _unasked(name: str, cells: Sequence[str]) -> Row:
    return Row(name, "", [Cell(text) for text in cells], [None] * len(cells))

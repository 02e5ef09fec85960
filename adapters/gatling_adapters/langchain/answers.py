"""What a person answered to a hold, read from the value of `Command(resume=...)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gatling_guard import Held

UNNAMED = "unnamed (langgraph resume)"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one hold. Whatever could not be read is a denial."""

    decision: Literal["approve", "deny", "edit"]
    by: str = UNNAMED
    arguments: dict[str, Any] | None = None
    """For `edit`: the arguments to run with instead."""


def question(held: Held) -> dict[str, Any]:
    """What the person is shown; the value of the interrupt. No model sees it."""
    return {
        "type": "gatling_hold",
        "hold_id": held.hold_id,
        "tool": held.tool_name,
        "arguments": dict(held.call.arguments) if held.call else {},
        "message": held.message,
        "reasons": list(held.reasons),
        "expires_in": held.expires_in,
        "answers": ["approve", "deny", "edit"],
    }


def read_answer(value: Any, hold_id: str, *, alone: bool = True) -> Answer:
    """The answer to `hold_id` inside a resume value.

    Args:
        value: `"approve"`, `True`, `"deny"`, `False`, `{"decision", "by", "hold_id",
            "arguments"}`, `{"decisions": [...]}` or a list of those.
        hold_id: the hold that was asked about.
        alone: whether it was the only one; if not, only an answer that names it counts.
    """
    for item in _items(value):
        if isinstance(item, Mapping):
            named = item.get("hold_id")
            if named == hold_id or (named is None and alone):
                return _from_mapping(item)
        elif alone:
            return _from_scalar(item)
    return Answer("deny", by="no answer that fits this hold")


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping) and isinstance(value.get("decisions"), (list, tuple)):
        return list(value["decisions"])
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _from_scalar(value: Any) -> Answer:
    return Answer("approve" if value is True or value == "approve" else "deny")


def _from_mapping(item: Mapping[str, Any]) -> Answer:
    by = item.get("by")
    name = by if isinstance(by, str) and by.strip() else UNNAMED
    decision, arguments = item.get("decision"), item.get("arguments")
    if decision == "edit" and isinstance(arguments, Mapping):
        return Answer("edit", name, dict(arguments))
    return Answer("approve" if decision in ("approve", True) else "deny", name)


def typed(before: Any, after: Any) -> list[str]:
    """Values of an edit that the person wrote; those that were proposed stay the model's.

    What a person wrote is named by the trusted side. What they left standing, or only moved, is
    not: otherwise an edit of the amount would vouch for the recipient beside it.
    """
    proposed = set(_leaves(before))
    return [leaf for leaf in dict.fromkeys(_leaves(after)) if leaf not in proposed]


def _leaves(value: Any) -> list[str]:
    """Texts and numbers at any depth, keys left out."""
    found, waiting = [], [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif isinstance(item, (str, int, float)) and not isinstance(item, bool):
            found.append(str(item))
    return found

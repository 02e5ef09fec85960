"""All seven edits, and how their machine form is read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gatling_guard.errors import InputError, Issue
from gatling_guard.plan import parse_json, to_json
from gatling_guard.repair.calls import Drop, Hold, Split, Swap
from gatling_guard.repair.types import KINDS, Edit
from gatling_guard.repair.values import Narrow, Redact, Resource

__all__ = ["Drop", "Hold", "Narrow", "Redact", "Resource", "Split", "Swap", "edit_from_data"]

MOST = 10_000
"""Places, pieces or names in one edit."""
_LONGEST = 4_096


def edit_from_data(data: object, where: str = "") -> Edit:
    """An edit from its machine form (`Edit.data`). Strict: nothing unknown, nothing missing.

    Whether it fits a plan only `apply` can say.

    Args:
        data: JSON object, or its text.
        where: JSON pointer of `data` inside what it came from; used in errors.

    Raises:
        InputError: with the place of the first fault.
    """
    raw = parse_json(data, what="edit") if isinstance(data, (str, bytes)) else data
    if not isinstance(raw, Mapping):
        raise _fault(where, "should be an object")
    fields = _Fields(to_json(raw, where=where), where)
    kind = fields.one_of("kind", KINDS)
    edit = _READERS[kind](fields)
    fields.end()
    return edit


class _Fields:
    """The fields of one edit; each is taken once, and none may be left over."""

    def __init__(self, data: dict[str, Any], where: str) -> None:
        self.left, self.where = dict(data), where

    def take(self, name: str) -> Any:
        if name not in self.left:
            raise _fault(f"{self.where}/{name}", "is missing")
        return self.left.pop(name)

    def text(self, name: str) -> str:
        return self._text(self.take(name), f"{self.where}/{name}")

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.take(name)
        if value not in allowed:
            raise _fault(f"{self.where}/{name}", f"should be one of {', '.join(allowed)}")
        return str(value)

    def pointer(self) -> str:
        value = self.text("where")
        if not value.startswith("/"):
            raise _fault(f"{self.where}/where", "should be the JSON pointer of an argument")
        return value

    def scalar(self) -> bool | int | float | str:
        value = self.take("value")
        if not isinstance(value, (bool, int, float, str)):
            raise _fault(f"{self.where}/value", "should be text, a number, true or false")
        return value

    def places(self, name: str) -> tuple[int, ...]:
        found = tuple(self._place(v, at) for v, at in self._items(name))
        if not found or list(found) != sorted(set(found)):
            raise _fault(f"{self.where}/{name}", "should be rising places of a list")
        return found

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(self._text(value, at) for value, at in self._items(name))

    def spans(self) -> tuple[tuple[int, int], ...]:
        found = []
        for value, at in self._items("spans"):
            if not isinstance(value, list) or len(value) != 2:
                raise _fault(at, "should be [start, end]")
            found.append((self._place(value[0], f"{at}/0"), self._place(value[1], f"{at}/1")))
        return tuple(found)

    def count(self, name: str) -> int:
        return self._place(self.take(name), f"{self.where}/{name}")

    def end(self) -> None:
        if self.left:
            raise _fault(f"{self.where}/{next(iter(self.left))}", "is no field of this edit")

    def _items(self, name: str) -> list[tuple[Any, str]]:
        value = self.take(name)
        if not isinstance(value, list) or len(value) > MOST:
            raise _fault(f"{self.where}/{name}", f"should be a list of at most {MOST}")
        return [(item, f"{self.where}/{name}/{i}") for i, item in enumerate(value)]

    @staticmethod
    def _text(value: Any, where: str) -> str:
        if not isinstance(value, str) or not value or len(value) > _LONGEST:
            raise _fault(where, f"should be text of 1 to {_LONGEST} characters")
        return value

    @staticmethod
    def _place(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _fault(where, "should be a whole number, 0 or more")
        return value


def _fault(where: str, message: str) -> InputError:
    return InputError([Issue(where, message)], what="edit")


def _narrow(fields: _Fields) -> Edit:
    node_id, where = fields.text("node_id"), fields.pointer()
    how = fields.one_of("how", ("set", "leave", "remove"))
    if how == "set":
        return Narrow(node_id, where, "set", value=fields.scalar())
    if how == "leave":
        return Narrow(node_id, where, "leave", left_out=fields.places("left_out"))
    return Narrow(node_id, where, "remove")


def _redact(fields: _Fields) -> Edit:
    node_id, where = fields.text("node_id"), fields.pointer()
    return Redact(node_id, where, fields.spans(), fields.count("length"))


_READERS: dict[str, Callable[[_Fields], Edit]] = {
    "narrow": _narrow,
    "redact": _redact,
    "hold": lambda f: Hold(f.text("node_id")),
    "split": lambda f: Split(f.text("node_id"), f.pointer(), f.places("moved")),
    "swap": lambda f: Swap(f.text("node_id"), f.text("tool"), f.names("left_out")),
    "resource": lambda f: Resource(f.text("node_id"), f.pointer(), f.scalar()),
    "drop": lambda f: Drop(f.text("node_id"), f.names("also")),
}

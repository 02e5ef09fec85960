"""Tool outputs as JSON values, leniently: whatever came back is looked at, and nothing is lost.

Arguments are refused when they are no JSON; an output already exists, and the model will read it
in one form or another. So odd parts become text in place, and the rest of the object stays.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping, Set
from typing import Any

from gatling_guard.errors import InputError

MAX_DEPTH = 48
"""Deeper parts are flattened to a list of their scalars."""
MAX_ITEMS = 1_000_000
"""Values in one output."""


def output_value(output: object) -> Any:
    """A JSON value that holds every text of `output`.

    Raises:
        InputError: more than `MAX_ITEMS` values: it cannot be looked at whole.
    """
    return _Lenient().convert(output, 0)


class _Lenient:
    def __init__(self) -> None:
        self.left = MAX_ITEMS

    def convert(self, value: object, depth: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise InputError(f"more than {MAX_ITEMS} values", what="output")
        if isinstance(value, enum.Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return clean(value)
        if isinstance(value, (int, float)):
            return _number(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return clean(bytes(value).decode("utf-8", "replace"))
        inner = _opened(value)
        if inner is None:
            return clean(str(value))
        if depth >= MAX_DEPTH:
            return self.flat(inner)
        if isinstance(inner, Mapping):
            return {clean(str(k)): self.convert(v, depth + 1) for k, v in inner.items()}
        return [self.convert(item, depth + 1) for item in inner]

    def flat(self, value: object) -> list[Any]:
        """All scalars and keys below `value`; each container once, so that cycles end."""
        found: list[Any] = []
        stack: list[object] = [value]
        seen: dict[int, object] = {}  # keeps what it knows alive, or ids would be used again
        while stack:
            outer = stack.pop()
            if id(outer) in seen:
                continue
            seen[id(outer)] = outer
            inner = _opened(outer) or []
            pairs = inner.items() if isinstance(inner, Mapping) else ((None, v) for v in inner)
            for key, item in pairs:
                if key is not None:
                    found.append(clean(str(key)))
                if _opened(item) is None:
                    found.append(self.convert(item, 0))
                else:
                    stack.append(item)
        return found


def _opened(value: object) -> Mapping[Any, Any] | list[Any] | None:
    """The container behind a value, or None for a scalar or an object without an inside."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, Set):
        return sorted(value, key=repr)
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    dumped = dump() if callable(dump) else None
    return dumped if isinstance(dumped, Mapping) else None


def _number(value: int | float) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    return int(value) if value.bit_length() <= 1024 else hex(value)


def clean(text: str) -> str:
    """Lone surrogates cannot be hashed or stored; replace them, keep everything else."""
    return text.encode("utf-8", "replace").decode("utf-8")


def error_text(error: BaseException, depth: int = 0) -> str:
    """What a model may come to read of an exception: its notes, causes and members, too."""
    parts = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
    if depth < 5:
        inner = [error.__cause__, error.__context__, *getattr(error, "exceptions", ())[:20]]
        parts += [error_text(e, depth + 1) for e in inner if isinstance(e, BaseException)]
    return "\n".join(str(part) for part in parts)

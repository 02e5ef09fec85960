"""One text for sync and async: logic is a generator of steps, run by either driver.

A step is a function to call and its awaitable twin. Everything between two steps runs in the
caller's own thread and task, so `interrupt()` and ContextVars work there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """Something to call; in async code `twin` is called and awaited instead."""

    call: Callable[[], Any]
    twin: Callable[[], Awaitable[Any]]


Steps: TypeAlias = Generator[Step, Any, T]


def drive(steps: Steps[T]) -> T:
    """Run to the end, synchronously."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        value, error = None, None
        try:
            value = step.call()
        except BaseException as raised:  # handed to the generator, which decides
            error = raised


async def adrive(steps: Steps[T]) -> T:
    """Run to the end, awaiting every step."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        value, error = None, None
        try:
            value = await step.twin()
        except BaseException as raised:  # handed to the generator, which decides
            error = raised

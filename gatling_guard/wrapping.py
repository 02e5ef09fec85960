"""The decorator: a checked version of a function, whatever kind of function it is.

It returns the refusal as text by default, because a raised refusal crashes three of the common
frameworks and is hidden by three more. It cannot see call ids, batches or prompts: those come
from a session or a framework adapter.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from gatling_guard.catalog import ToolSpec, spec_from_function
from gatling_guard.decision import Allowed, Blocked, Decision, Held, Repaired
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.pipeline import ToolRequest, output_value
from gatling_guard.plan import leaves, to_json
from gatling_guard.session import Session, in_thread

if TYPE_CHECKING:
    from gatling_guard.guard import Guard

MARK = "__gatling_guard__"
"""Attribute of every wrapped function; `gatling-guard doctor` looks for it."""
SPEC = "__gatling_guard_spec__"
"""The `ToolSpec` behind it, beside the mark."""


class Wrapper:
    """One function, its tool description, and how to check a call of it."""

    def __init__(
        self, guard: Guard, function: Callable[..., Any], name: str | None,
        session: Session | None, on_block: str, ignore: tuple[str, ...], declared: dict[str, Any],
    ) -> None:  # fmt: skip
        if on_block not in ("return", "raise"):
            raise ConfigurationError(f"on_block must be 'return' or 'raise', not {on_block!r}")
        self.guard, self.function, self.session = guard, function, session
        self.raises = on_block == "raise"
        self.signature = inspect.signature(function)
        first = next(iter(self.signature.parameters), "")
        self.hidden = {*ignore, *({first} & {"self", "cls"})}
        spec = spec_from_function(function, name=name, **declared)
        self.spec = _without(spec, self.hidden)
        known = guard.catalog.get(self.spec.name)
        if known is not None and known != self.spec:
            raise ConfigurationError(
                f"another tool is registered as {self.spec.name!r}; give this one a `name`"
            )
        guard.register(self.spec)

    def wrapped(self) -> Callable[..., Any]:
        """The checked function, of the same kind and signature."""
        function = self.function
        if inspect.isasyncgenfunction(function):
            built = self._async_generator()
        elif inspect.isgeneratorfunction(function):
            built = self._generator()
        elif inspect.iscoroutinefunction(function):
            built = self._async()
        else:
            built = self._sync()
        setattr(built, MARK, self.spec.name)
        setattr(built, SPEC, self.spec)
        return built

    def _sync(self) -> Callable[..., Any]:
        @functools.wraps(self.function)
        def call(*args: Any, **kwargs: Any) -> Any:
            session, bound, request = self._open(args, kwargs)
            decision = session.check(request) if session else self._homeless(request)
            if not self._unchanged(request, decision):
                decision = self.guard.refuse(request, "its arguments were changed meanwhile")
            if (refusal := self._refusal(decision)) is not None:
                return refusal
            self._apply(decision, bound, request)
            with _Settling(session, decision) as settling:
                output = self.function(*bound.args, **bound.kwargs)
                if inspect.isawaitable(output):
                    return _awaited(output, session, decision)
                if isinstance(output, Iterator) and not hasattr(output, "read"):
                    return _iterated(output, session, decision)
                settling.take(output)
            return output

        return call

    def _async(self) -> Callable[..., Any]:
        @functools.wraps(self.function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            session, bound, request = self._open(args, kwargs)
            decision = await session.acheck(request) if session else self._homeless(request)
            if not self._unchanged(request, decision):
                decision = self.guard.refuse(request, "its arguments were changed meanwhile")
            if (refusal := self._refusal(decision)) is not None:
                return refusal
            self._apply(decision, bound, request)
            with _Settling(session, decision) as settling:
                output = await self.function(*bound.args, **bound.kwargs)
                await in_thread(settling.take, output)
            return output

        return call

    def _generator(self) -> Callable[..., Any]:
        @functools.wraps(self.function)
        def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
            session, bound, request = self._open(args, kwargs)
            decision = session.check(request) if session else self._homeless(request)
            if not self._unchanged(request, decision):
                decision = self.guard.refuse(request, "its arguments were changed meanwhile")
            if (refusal := self._refusal(decision)) is not None:
                yield refusal
                return
            self._apply(decision, bound, request)
            with _Settling(session, decision) as settling:
                for item in self.function(*bound.args, **bound.kwargs):
                    settling.take(item)
                    yield item

        return call

    def _async_generator(self) -> Callable[..., Any]:
        @functools.wraps(self.function)
        async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            session, bound, request = self._open(args, kwargs)
            decision = await session.acheck(request) if session else self._homeless(request)
            if not self._unchanged(request, decision):
                decision = self.guard.refuse(request, "its arguments were changed meanwhile")
            if (refusal := self._refusal(decision)) is not None:
                yield refusal
                return
            self._apply(decision, bound, request)
            with _Settling(session, decision) as settling:
                async for item in self.function(*bound.args, **bound.kwargs):
                    settling.take(item)
                    yield item

        return call

    def _open(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Session | None, inspect.BoundArguments, ToolRequest]:
        """Positional, keyword and default arguments under their names."""
        session = self.session or self.guard.ambient_session()
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = self.signature.parameters[name].kind
            if name in self.hidden or (kind is inspect.Parameter.VAR_POSITIONAL and not value):
                continue
            with contextlib.suppress(RecursionError):  # too deep or cyclic: the check says so
                value = bound.arguments[name] = own_copy(value)
            if kind is not inspect.Parameter.VAR_KEYWORD:
                arguments[name] = value
            elif taken := arguments.keys() & value.keys():
                raise TypeError(f"{self.spec.name}() got {sorted(taken)} twice")
            else:
                arguments |= value
        return session, bound, ToolRequest(self.spec.name, arguments)

    def _unchanged(self, request: ToolRequest, decision: Decision) -> bool:
        """Whether what was checked is still what the tool is about to get.

        Plain values are the guard's own copies; an object of the caller's may have been changed
        while the check ran.
        """
        if not isinstance(decision, Allowed) or decision.mode == "shadow" or decision.call is None:
            return True
        try:
            return bool(to_json(request.arguments) == decision.call.arguments)
        except InputError:
            return False

    def _homeless(self, request: ToolRequest) -> Decision:
        return self.guard.refuse(request)

    def _refusal(self, decision: Decision) -> str | None:
        match decision:
            case Allowed() | Repaired():
                return None
            case Held() | Blocked():
                if self.raises:
                    decision.unwrap()
                return decision.message

    def _apply(
        self, decision: Decision, bound: inspect.BoundArguments, request: ToolRequest
    ) -> None:
        """A repair changes the arguments; otherwise the tool gets the caller's own objects.

        What it takes away is as if it had not been given: the function's own default stands.
        """
        if not isinstance(decision, Repaired):
            return
        known = self.signature.parameters
        spare = next((p.name for p in known.values() if p.kind is p.VAR_KEYWORD), "")
        more = dict(bound.arguments.get(spare, {})) if spare else {}
        for name in request.arguments.keys() - decision.arguments.keys():
            more.pop(name, None)
            if name in known:
                bound.arguments.pop(name, None)
        bound.apply_defaults()
        for name, value in decision.arguments.items():
            if name in known:
                bound.arguments[name] = own_copy(value)
            else:
                more[name] = own_copy(value)
        if spare:
            bound.arguments[spare] = more


async def _awaited(output: Awaitable[Any], session: Session | None, decision: Decision) -> Any:
    """A plain function that returns an awaitable: its result is the output."""
    with _Settling(session, decision) as settling:
        result = await output
        await in_thread(settling.take, result)
    return result


def _iterated(output: Iterator[Any], session: Session | None, decision: Decision) -> Iterator[Any]:
    """A plain function that returns an iterator: what it yields is the output."""
    with _Settling(session, decision) as settling:
        for item in output:
            settling.take(item)
            yield item


TAIL = 512
"""Characters of earlier pieces that are looked at together with a new one."""


class _Settling:
    """Settles what a tool returns or yields, or the error it ends with.

    A generator's items are settled while it yields, so that taint is never late. A value may be
    split over many pieces, of text or of objects: each piece is settled with the text before it,
    and the whole text once more at the end, however it ends.
    """

    def __init__(self, session: Session | None, decision: Decision) -> None:
        assert decision.call is not None
        self.session, self.call_id = session, decision.call.node_id
        self.texts: list[str] = []
        self.tail = ""
        self.settled = False

    def __enter__(self) -> _Settling:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if len(self.texts) > 1 or not self.settled:
            self._settle("".join(self.texts) or None)
        if error is not None and not isinstance(error, GeneratorExit):
            self._settle(error=error)

    def take(self, item: object) -> None:
        text = item if isinstance(item, str) else _text_of(item)
        self.texts.append(text)
        if not isinstance(item, str) or not self.tail:
            self._settle(item)
        if self.tail and text:
            self._settle(self.tail + text)
        self.tail = (self.tail + text)[-TAIL:]

    def _settle(self, output: object = None, error: BaseException | None = None) -> None:
        self.settled = True
        if self.session is not None:  # None: shadow mode without a session, nothing to taint
            self.session.settle(self.call_id, output, error=error)


def _text_of(item: object) -> str:
    """All text inside one piece, in order."""
    try:
        return "".join(leaf.value for leaf in leaves(output_value(item)) if type(leaf.value) is str)
    except InputError:  # too large: settling it blinds the session anyway
        return ""


def own_copy(value: Any) -> Any:
    """A copy that nobody else can change, where the value is of plain types; else the value."""
    kind = type(value)
    if kind is dict:
        return {own_copy(k): own_copy(v) for k, v in value.items()}
    if kind in (list, tuple):
        return kind(own_copy(item) for item in value)
    if isinstance(value, str) and kind is not str and not isinstance(value, Enum):
        return str.__str__(value)
    if isinstance(value, dict):  # a subclass may show the check one thing and the tool another
        return {own_copy(k): own_copy(v) for k, v in dict.items(value)}
    return [own_copy(item) for item in list.__iter__(value)] if isinstance(value, list) else value


def _without(spec: ToolSpec, hidden: set[str]) -> ToolSpec:
    """The tool without the parameters that are wiring."""
    schema = dict(spec.parameters)
    properties = schema.get("properties", {})
    if not hidden & set(properties):
        return spec
    schema["properties"] = {k: v for k, v in properties.items() if k not in hidden}
    schema["required"] = [k for k in schema.get("required", []) if k not in hidden]
    return replace(spec, parameters=schema)

"""Message lists of agent frameworks as recorded traces, and back.

Reads OpenAI chat messages (dicts or the SDK's objects) and LangChain messages (objects, their
serialised dicts, `(role, text)` pairs) without importing either package.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.errors import InputError, Issue, TraceError
from gatling_guard.plan import canonical_json, parse_json, to_json
from gatling_guard.trace.recorder import RecordedStep, RecordedTrace

MAX_MESSAGES = 20_000
_ROLES = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: dict[str, Any]
    call_id: str


@dataclass(frozen=True, slots=True)
class _Message:
    role: str
    content: Any
    calls: tuple[_Call, ...] = ()
    answers: str = ""


def from_openai_messages(
    messages: Iterable[Any], *, trace_id: str = "", tools: Sequence[ToolSpec] = ()
) -> RecordedTrace:
    """A trace from OpenAI chat messages.

    Args:
        messages: dicts, or objects with `model_dump`.
        trace_id: id of the trace.
        tools: the tools the agent had.

    Raises:
        TraceError: with every fault and its pointer (`/3/tool_calls/0/function/arguments`).
    """
    return _Reader("openai").read(messages, trace_id, tools)


def from_langchain_messages(
    messages: Iterable[Any], *, trace_id: str = "", tools: Sequence[ToolSpec] = ()
) -> RecordedTrace:
    """A trace from LangChain messages: objects, `messages_to_dict` dicts or `(role, text)` pairs.

    A tool message's `artifact`, where it is a JSON value, is taken as the output: it is the
    object behind the text.

    Raises:
        TraceError: with every fault and its pointer.
    """
    return _Reader("langchain").read(messages, trace_id, tools)


class _Reader:
    def __init__(self, source: str) -> None:
        self.source, self.issues = source, list[Issue]()
        self.user: list[str] = []
        self.system: list[str] = []
        self.steps: dict[str, RecordedStep] = {}
        self.waiting: dict[str, deque[str]] = {}
        self.answered: set[str] = set()

    def read(
        self, messages: Iterable[Any], trace_id: str, tools: Sequence[ToolSpec]
    ) -> RecordedTrace:
        for i, raw in enumerate(messages):
            if i >= MAX_MESSAGES:
                self._fail(f"/{i}", f"more than {MAX_MESSAGES} messages")
                break
            message = self._message(raw, f"/{i}")
            if message is not None:
                self._take(message, f"/{i}")
        if self.issues:
            raise TraceError(self.issues, what="messages")
        return RecordedTrace(
            id=trace_id,
            instruction="\n".join(self.user),
            system="\n".join(self.system) or None,
            tools=tuple(tools),
            steps=tuple(self.steps.values()),
            source=self.source,
        )

    def _fail(self, where: str, message: str) -> None:
        self.issues.append(Issue(where, message))

    def _message(self, raw: Any, at: str) -> _Message | None:
        data = _as_mapping(raw)
        if data is None:
            self._fail(at, f"{type(raw).__name__} is no message")
            return None
        role = _ROLES.get(str(data.get("role") or data.get("type")))
        if role is None:
            self._fail(
                f"{at}/role", f"unknown role {str(data.get('role') or data.get('type'))[:40]!r}"
            )
            return None
        content = data.get("content")
        output = data.get("artifact") if data.get("artifact") is not None else content
        calls = self._calls(data, at) if role == "assistant" else ()
        body = _text_of(content) if role != "tool" else self._output(output, content, at)
        return _Message(role, body, calls, str(data.get("tool_call_id") or data.get("name") or ""))

    def _output(self, value: Any, content: Any, at: str) -> Any:
        for candidate in (value, content):
            try:
                # Lists of text parts are one text; any other value is the object itself.
                return to_json(_text_of(candidate) if _is_parts(candidate) else candidate)
            except InputError as error:
                problem = error
        self.issues.extend(Issue(f"{at}/content{i.where}", i.message) for i in problem.issues)
        return None

    def _calls(self, data: Mapping[str, Any], at: str) -> tuple[_Call, ...]:
        raw = data.get("tool_calls") or []
        legacy = data.get("function_call")
        if legacy is not None and not raw:
            raw = [{"id": _field(legacy, "name"), "function": legacy}]
        if not isinstance(raw, (list, tuple)):
            self._fail(f"{at}/tool_calls", "must be a list")
            return ()
        found = [self._call(item, f"{at}/tool_calls/{n}") for n, item in enumerate(raw)]
        return tuple(call for call in found if call is not None)

    def _call(self, item: Any, at: str) -> _Call | None:
        function = _field(item, "function")
        holder, key = (function, "arguments") if function is not None else (item, "args")
        where = f"{at}/function/arguments" if function is not None else f"{at}/args"
        name = _field(holder, "name")
        if not isinstance(name, str) or not name:
            self._fail(f"{at}/name", "must be text")
            return None
        arguments = self._arguments(_field(holder, key), where)
        return _Call(name, arguments, str(_field(item, "id") or ""))

    def _arguments(self, value: Any, at: str) -> dict[str, Any]:
        try:
            found = parse_json(value or "{}") if isinstance(value, (str, bytes)) else to_json(value)
        except InputError as error:
            self.issues.extend(Issue(f"{at}{i.where.rstrip('/')}", i.message) for i in error.issues)
            return {}
        if found is not None and not isinstance(found, dict):
            self._fail(at, "must be an object")
            return {}
        return found or {}

    def _take(self, message: _Message, at: str) -> None:
        if message.role == "user":
            self.user.append(message.content)
        elif message.role == "system":
            self.system.append(message.content)
        elif message.role == "tool":
            self._settle(message, at)
        for call in message.calls:
            self._open(call)

    def _open(self, call: _Call) -> None:
        call_id = call.call_id or f"call_{len(self.steps)}"
        wanted = call_id
        if call_id in self.steps:
            # Some servers number calls anew in each turn: the earlier one keeps its output.
            call_id = f"{call_id}#{len(self.steps)}"
        self.steps[call_id] = RecordedStep(call.name, call.arguments, None, call_id)
        for key in (wanted, call.name):
            self.waiting.setdefault(key, deque()).append(call_id)

    def _settle(self, message: _Message, at: str) -> None:
        queue = self.waiting.get(message.answers, deque())
        while queue and queue[0] in self.answered:
            queue.popleft()
        if not queue:
            self._fail(f"{at}/tool_call_id", f"answers no open call: {message.answers[:80]!r}")
            return
        call_id = queue.popleft()
        self.answered.add(call_id)
        output = message.content if message.content is not None else ""
        self.steps[call_id] = replace(self.steps[call_id], output=output)


def _as_mapping(raw: Any) -> Mapping[str, Any] | None:
    """A message in whatever form as a mapping of its fields."""
    if isinstance(raw, (tuple, list)) and len(raw) == 2 and isinstance(raw[0], str):
        return {"role": raw[0], "content": raw[1]}
    if isinstance(raw, Mapping):
        data = raw.get("data")
        return {**data, "type": raw.get("type")} if isinstance(data, Mapping) else raw
    if hasattr(raw, "content") and (hasattr(raw, "type") or hasattr(raw, "role")):
        keys = (
            "role",
            "type",
            "content",
            "tool_calls",
            "function_call",
            "tool_call_id",
            "artifact",
        )
        return {key: getattr(raw, key, None) for key in keys}
    return None


def _field(item: Any, key: str) -> Any:
    return item.get(key) if isinstance(item, Mapping) else getattr(item, key, None)


def _is_parts(content: Any) -> bool:
    return (
        isinstance(content, (list, tuple))
        and bool(content)
        and all(isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in content)
    )


def _text_of(content: Any) -> str:
    """The text of a message; parts that are no text (images) say so."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return str(content)
    parts = [p if isinstance(p, str) else _field(p, "text") or "" for p in content]
    return "\n".join(part for part in parts if isinstance(part, str) and part)


def to_openai_messages(trace: RecordedTrace) -> list[dict[str, Any]]:
    """A trace as OpenAI chat messages: system, user, then one assistant and tool pair per step."""
    found: list[dict[str, Any]] = []
    if trace.system:
        found.append({"role": "system", "content": trace.system})
    found.append({"role": "user", "content": trace.instruction})
    for i, step in enumerate(trace.steps):
        call_id = step.call_id or f"call_{i}"
        function = {"name": step.tool, "arguments": canonical_json(step.arguments)}
        call = {"id": call_id, "type": "function", "function": function}
        found.append({"role": "assistant", "content": None, "tool_calls": [call]})
        if step.output is not None:
            text = step.output if isinstance(step.output, str) else canonical_json(step.output)
            found.append({"role": "tool", "tool_call_id": call_id, "content": text})
    return found

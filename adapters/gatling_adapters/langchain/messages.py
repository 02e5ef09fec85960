"""What LangChain messages mean to a guard: who said what, which calls are open, what they gave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from gatling_guard import ToolRequest

MARK = "gatling_guard"
"""Key in `response_metadata`: never sent to a model, kept by checkpointers."""
MAX_PARSE = 2_000_000
"""Longest text that is tried as JSON."""


def history(state: Any, key: str = "messages") -> list[BaseMessage]:
    """The messages of a graph state, which may be a list, a mapping or an object."""
    if isinstance(state, Mapping):
        found = state.get(key) or []
    elif isinstance(state, list):
        found = state
    else:
        found = getattr(state, key, None) or []
    return [message for message in found if isinstance(message, BaseMessage)]


def text_of(content: Any) -> str:
    """The text a model reads in a message's content; images and audio are named, not read."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "\n".join(_block(part) for part in parts)


def _block(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    return f"[{part.get('type', 'content')}]" if isinstance(part, Mapping) else str(part)


def trusted_texts(messages: Sequence[BaseMessage]) -> Iterator[tuple[str, str]]:
    """`("user" | "system", text)` of what the trusted side said, and nothing that only looks so.

    A summary of the history and a message that a tool put into the state are human messages by
    type, but tool output by origin: repeating a text does not make it trusted (design, P4).
    """
    for message in messages:
        kind = "user" if isinstance(message, HumanMessage) else "system"
        if isinstance(message, (HumanMessage, SystemMessage)) and not _derived(message):
            yield kind, text_of(message.content)


def _derived(message: BaseMessage) -> bool:
    source = message.additional_kwargs.get("lc_source")
    return MARK in message.response_metadata or source == "summarization"


def call_key(messages: Sequence[BaseMessage], call_id: str) -> str:
    """An id of a call of the last turn that is unique in the run and the same in every process.

    Some models count their calls from zero in every turn; the second use of an id gets a suffix,
    or the memo of the first call would answer for it.
    """
    uses = sum(
        any(call["id"] == call_id for call in message.tool_calls)
        for message in messages[: _last_ai(messages)]
        if isinstance(message, AIMessage)
    )
    return _numbered(call_id, uses)


def _numbered(call_id: str, uses: int) -> str:
    return call_id if uses == 0 else f"{call_id}#{uses}"


def _last_ai(messages: Sequence[BaseMessage]) -> int:
    """Index of the last AI message; the length when there is none."""
    for index in range(len(messages) - 1, -1, -1):
        if isinstance(messages[index], AIMessage):
            return index
    return len(messages)


def open_batch(messages: Sequence[BaseMessage]) -> tuple[str, list[ToolRequest]]:
    """The calls of the last AI message that have no answer yet, and that message's identity."""
    index = _last_ai(messages)
    if index == len(messages):
        return "", []
    message = messages[index]
    assert isinstance(message, AIMessage)
    done = {m.tool_call_id for m in messages[index + 1 :] if isinstance(m, ToolMessage)}
    calls = [
        ToolRequest(call["name"], call["args"], call_key(messages, call["id"]))
        for call in message.tool_calls
        if call["id"] and call["id"] not in done
    ]
    return message.id or f"message-{index}", calls


def answered(messages: Sequence[BaseMessage]) -> Iterator[tuple[ToolRequest, Any]]:
    """Every call in the history that was executed, with its output; refusals are left out."""
    uses: Counter[str] = Counter()  # as `call_key` counts, in one pass over a long history
    for index, message in enumerate(messages):
        if not isinstance(message, AIMessage) or not message.tool_calls:
            continue
        answers = _answers(messages, index)
        for call in message.tool_calls:
            answer = answers.get(call["id"] or "")
            if answer is not None and not is_refusal(answer):
                key = _numbered(str(call["id"]), uses[str(call["id"])])
                yield ToolRequest(call["name"], call["args"], key), output_of(answer)
        uses.update({str(call["id"]) for call in message.tool_calls})


def _answers(messages: Sequence[BaseMessage], index: int) -> dict[str, ToolMessage]:
    """Tool messages between the AI message at `index` and the next one, by call id."""
    found: dict[str, ToolMessage] = {}
    for message in messages[index + 1 :]:
        if isinstance(message, AIMessage):
            break
        if isinstance(message, ToolMessage):
            found[message.tool_call_id] = message
    return found


def refusal(tool_call: Mapping[str, Any], message: str, action: str = "block") -> ToolMessage:
    """The answer to a call that was not executed, in LangChain's error shape."""
    return ToolMessage(
        content=message,
        tool_call_id=str(tool_call.get("id") or ""),
        name=str(tool_call.get("name") or "tool"),
        status="error",
        response_metadata={MARK: {"action": action}},
    )


def is_refusal(result: Any) -> bool:
    """Whether this is one of our own refusals, so that no tool ran."""
    return isinstance(result, ToolMessage) and result.status == "error" and _marked(result)


def _marked(message: BaseMessage) -> bool:
    mark = message.response_metadata.get(MARK)
    return isinstance(mark, Mapping) and "action" in mark


def output_of(result: Any) -> Any:
    """What a tool gave back, as an object where it is one, whatever it came wrapped in."""
    if isinstance(result, ToolMessage):
        return _message_output(result)
    if isinstance(result, BaseMessage):
        return text_of(result.content)
    if isinstance(result, (list, tuple)):
        return [output_of(item) for item in result]
    update = getattr(result, "update", None)
    if update is not None and hasattr(result, "goto"):
        return _state_output(update)
    return parsed(result) if isinstance(result, str) else result


def _state_output(update: Any) -> Any:
    """A `Command` may write anything into the state, all of which a model may read later."""
    if isinstance(update, Mapping):
        return {str(key): output_of(value) for key, value in update.items()}
    return output_of(list(update)) if isinstance(update, (list, tuple)) else update


def _message_output(message: ToolMessage) -> Any:
    """Objects first: JSON text is parsed, and structured content of an MCP tool is preferred."""
    read = parsed(text_of(message.content))
    artifact = message.artifact
    structured = artifact.get("structured_content") if isinstance(artifact, Mapping) else None
    if structured is None or structured == read:
        return read
    return {"structured_content": structured, "content": read}


def parsed(text: str) -> Any:
    """JSON objects and arrays become objects, since spans are cut along their fields."""
    if text.lstrip()[:1] not in ("{", "[") or len(text) > MAX_PARSE:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def tainted(result: Any, call_id: str) -> Any:
    """`result` with every message that is not the tool's answer marked as tool output.

    Otherwise a tool that returns a `Command` with a human message would speak for the user.
    """
    if isinstance(result, (list, tuple)):
        return type(result)(tainted(item, call_id) for item in result)
    if isinstance(result, BaseMessage) and not isinstance(result, ToolMessage):
        mark = {**result.response_metadata, MARK: {"from": call_id}}
        return result.model_copy(update={"response_metadata": mark})
    update = getattr(result, "update", None)
    if isinstance(update, Mapping) and hasattr(result, "goto"):
        marked = {key: tainted(value, call_id) for key, value in update.items()}
        return replace(result, update=marked)
    return result

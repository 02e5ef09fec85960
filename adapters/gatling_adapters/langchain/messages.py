"""What LangChain messages mean to a guard: who said what, which calls are open, what they gave."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from gatling_guard import ToolRequest

MARK = "gatling_guard"
"""Key in `response_metadata`: never sent to a model, kept by checkpointers."""
_REFUSED = re.compile(
    r": not executed(?: \(ref [0-9a-f]{1,64}\))?\. (?:Do not retry; tell the user"
    r"(?:\. Other parts of the task can go on)?|"
    r"It waits for approval by a person; do not retry)\.|: executed, but its result is withheld\."
)
"""All that a refusal says after the tool's name."""


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


def is_ambiguous(messages: Sequence[BaseMessage], call_id: str) -> bool:
    """Whether a turn has two calls of this id.

    An answer to one would be taken for the other, and an approval of one would run both; which of
    them is the first cannot be told when they are run side by side or again.
    """
    index = _last_ai(messages)
    found = messages[index] if index < len(messages) else None
    calls = found.tool_calls if isinstance(found, AIMessage) else []
    return [call["id"] for call in calls].count(call_id) > 1


def open_batch(messages: Sequence[BaseMessage]) -> tuple[str, list[ToolRequest]]:
    """The calls of the last AI message that have no answer yet, and that message's identity."""
    index = _last_ai(messages)
    if index == len(messages):
        return "", []
    message = messages[index]
    assert isinstance(message, AIMessage)
    done = {m.tool_call_id for m in messages[index + 1 :] if isinstance(m, ToolMessage)}
    uses = Counter(call["id"] for call in message.tool_calls)
    calls = [
        ToolRequest(call["name"], deepcopy(call["args"]), call_key(messages, call["id"]))
        for call in message.tool_calls
        if call["id"] and call["id"] not in done and uses[call["id"]] == 1
    ]
    return message.id or f"message-{index}", calls


def answered(messages: Sequence[BaseMessage]) -> Iterator[tuple[ToolRequest, ToolMessage]]:
    """Every call in the history that was executed, with its answer; refusals are left out.

    Where ids were used twice in a turn, each of the answers counts.
    """
    uses: Counter[str] = Counter()  # as `call_key` counts, in one pass over a long history
    for index, message in enumerate(messages):
        if not isinstance(message, AIMessage) or not message.tool_calls:
            continue
        answers = _answers(messages, index)
        for call in message.tool_calls:
            key = _numbered(str(call["id"]), uses[str(call["id"])])
            for number, answer in enumerate(answers.pop(call["id"] or "", ())):
                if not is_refusal(answer, call["name"]):
                    known_as = f"{key}~{number}" if number else key
                    yield ToolRequest(call["name"], call["args"], known_as), answer
        uses.update({str(call["id"]) for call in message.tool_calls})


def _answers(messages: Sequence[BaseMessage], index: int) -> dict[str, list[ToolMessage]]:
    """Tool messages between the AI message at `index` and the next one, by call id."""
    found: dict[str, list[ToolMessage]] = {}
    for message in messages[index + 1 :]:
        if isinstance(message, AIMessage):
            break
        if isinstance(message, ToolMessage):
            found.setdefault(message.tool_call_id, []).append(message)
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


def is_refusal(result: Any, name: str) -> bool:
    """Whether this is one of our own refusals of a call of the tool `name`.

    The mark alone proves nothing: a tool can forge it. Our refusals say nothing but fixed words,
    so what passes here cannot carry anything in.
    """
    if not isinstance(result, ToolMessage) or result.status != "error" or not _marked(result):
        return False
    text = result.content if isinstance(result.content, str) else ""
    heads = [head for head in (name, "tool", "plan") if text.startswith(f"{head}: ")]
    return any(_REFUSED.fullmatch(text, len(head)) is not None for head in heads)


def _marked(message: BaseMessage) -> bool:
    mark = message.response_metadata.get(MARK)
    return isinstance(mark, Mapping) and "action" in mark

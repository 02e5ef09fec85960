"""Marking what a tool writes into the state, so that it cannot speak as the user.

A tool may answer with a `Command` that puts messages into the history. A human message among them
was not written by a human (design, P4). Messages may also be written as dicts, pairs and plain
text, which LangGraph turns into messages later, when nobody could tell where they are from: they
are turned into messages here. What cannot be read is not let through.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langchain_core.messages import BaseMessage, RemoveMessage, ToolMessage, convert_to_messages

from gatling_adapters.langchain.messages import MARK
from gatling_adapters.langchain.runs import RUN_KEY

MAX_DEPTH = 16
ROOT = "__root__"


def tainted(result: Any, call_id: str, messages_key: str = "messages") -> Any:
    """`result` with every message that is not the tool's answer marked as tool output.

    Args:
        result: what a tool node got: a message, a `Command`, or a list of those.
        call_id: where it is from.
        messages_key: where the state keeps its messages.

    Raises:
        TypeError: it is something else, or writes something that cannot be read.
        ValueError: a message in it cannot be read.
    """
    marker = _Marker(call_id, messages_key)
    if isinstance(result, (list, tuple)):
        return [tainted(item, call_id, messages_key) for item in result]
    if isinstance(result, BaseMessage):
        return marker.message(result)
    if hasattr(result, "update") and hasattr(result, "goto"):
        changes = {"update": marker.update(result.update), "goto": marker.goto(result.goto)}
        return replace(result, **changes)
    raise TypeError(f"a tool node cannot return {type(result).__name__}")


class _Marker:
    def __init__(self, call_id: str, messages_key: str) -> None:
        self.call_id, self.messages_key = call_id, messages_key

    def message(self, message: BaseMessage) -> BaseMessage:
        """A tool's answer loses a mark of ours, which it could only have forged."""
        if isinstance(message, RemoveMessage):
            return message
        metadata = {k: v for k, v in message.response_metadata.items() if k != MARK}
        if not isinstance(message, ToolMessage):
            metadata[MARK] = {"from": self.call_id}
        elif len(metadata) == len(message.response_metadata):
            return message
        return message.model_copy(update={"response_metadata": metadata})

    def update(self, update: Any) -> Any:
        """The forms that LangGraph takes: keys and values, pairs of them, or messages alone."""
        if update is None:
            return None
        if isinstance(update, Mapping):
            return {k: self.channel(k, v) for k, v in update.items() if k != RUN_KEY}
        if isinstance(update, (list, tuple)) and all(map(_is_pair, update)):
            return [(k, self.channel(k, v)) for k, v in update if k != RUN_KEY]
        if isinstance(update, (list, BaseMessage)):
            return self.messages(update)
        raise TypeError(f"an update of the type {type(update).__name__} cannot be read")

    def channel(self, name: Any, value: Any) -> Any:
        if name in (self.messages_key, ROOT):
            return self.messages(value)
        return self.inside(value, 0)

    def messages(self, value: Any) -> list[BaseMessage]:
        """As LangGraph's own reducer reads them."""
        items = value if isinstance(value, list) else [value]
        for item in items:
            if not isinstance(item, (BaseMessage, str, tuple, dict)):
                raise TypeError(f"a message of the type {type(item).__name__} cannot be read")
        return [self.message(found) for found in convert_to_messages(items)]

    def goto(self, goto: Any) -> Any:
        """A `Send` hands a state of its own to a node."""
        if isinstance(goto, (list, tuple)):
            return type(goto)(self.goto(one) for one in goto)
        if hasattr(goto, "node") and hasattr(goto, "arg"):
            argument = goto.arg
            mapping = isinstance(argument, Mapping)
            sent = self.update(argument) if mapping else self.inside(argument, 0)
            changed = copy.copy(goto)
            changed.arg = sent
            return changed
        return goto

    def inside(self, value: Any, depth: int) -> Any:
        """Messages at any depth of a value that is not a list of messages by its place."""
        if depth > MAX_DEPTH:
            raise TypeError("a state update is nested too deep to be read")
        if isinstance(value, BaseMessage):
            return self.message(value)
        if type(value) is dict:
            return {key: self.inside(inner, depth + 1) for key, inner in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.inside(inner, depth + 1) for inner in value)
        return value


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)

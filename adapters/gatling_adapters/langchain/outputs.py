"""What a tool gave back, as a guard reads it: objects first, and nothing a model reads left out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import BaseMessage, ToolMessage

MAX_PARSE = 2_000_000
"""Longest text that is tried as JSON."""
MAX_DEPTH = 32
"""Nesting of a content block that is searched for text; an object deeper than that stays whole."""
MEDIA = frozenset(
    {"audio", "file", "image", "image_url", "input_audio", "input_image", "media", "video"}
)
_BINARY = re.compile(r"(?:data:[\w/+.;=-]{1,99},)?[A-Za-z0-9+/=_\s-]{256,}")
_LABELS = frozenset({"id", "index", "text", "type"})


def output_of(result: Any) -> Any:
    """What a tool gave back, as an object where it is one, whatever it came wrapped in."""
    if isinstance(result, ToolMessage):
        return _message_output(result)
    if isinstance(result, BaseMessage):
        return read(result.content)
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
    found = read(message.content)
    structured = _structured(message)
    if structured is None or structured == found:
        return found
    return {"structured_content": structured, "content": found}


def _structured(message: ToolMessage) -> Any:
    artifact = message.artifact
    return artifact.get("structured_content") if isinstance(artifact, Mapping) else None


def parsed(text: str) -> Any:
    """JSON objects and arrays become objects, since spans are cut along their fields."""
    if text.lstrip()[:1] not in ("{", "[") or len(text) > MAX_PARSE:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def read(content: Any) -> Any:
    """A message's content: a text as it is, blocks as a list of everything in them.

    Blocks without a text of their own (a document, a search result) are objects; their texts are
    listed once more without a field name, since the name is the block's and not the tool's. Texts
    are listed joined, too: a model reads over the border between two blocks.
    """
    if isinstance(content, str):
        return parsed(content)
    parts = content if isinstance(content, (list, tuple)) else [content]
    texts = [text for part in parts if (text := _text(part)) is not None]
    others = [other for part in parts for other in _other(part)]
    if len(texts) == 1 and not others:
        return parsed(texts[0])
    joined = ["\n".join(texts), "".join(texts)] if len(texts) > 1 else []
    return [*map(parsed, texts), *others, *joined]


def _text(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    return None


def _other(part: Any) -> Iterator[Any]:
    """What a block holds beside its text."""
    if isinstance(part, str):
        return
    if not isinstance(part, Mapping):
        yield part
        return
    rest = {name: value for name, value in part.items() if name not in _LABELS and value}
    if rest.keys() == {"json"}:
        yield rest["json"]
    elif rest or _text(part) is None:
        shown = _unmedia(dict(part)) if part.get("type") in MEDIA else dict(part)
        yield shown
        yield "\n".join(_strings(shown, 0))


def _unmedia(value: Any) -> Any:
    """Without the bytes of an image or a sound: long runs of nothing but base64."""
    if isinstance(value, Mapping):
        return {name: _unmedia(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_unmedia(inner) for inner in value]
    return "[binary]" if isinstance(value, str) and _BINARY.fullmatch(value) else value


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < MAX_DEPTH and isinstance(value, (Mapping, list, tuple)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(inner, depth + 1)


def fingerprint(result: Any, call_id: str = "") -> str:
    """A digest of what the model is shown as the answer to a call; empty where there is none."""
    for message in answers_in(result):
        if not call_id or message.tool_call_id == call_id:
            shown = json.dumps([message.content, _structured(message)], default=repr)
            return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()
    return ""


def answers_in(result: Any) -> Iterator[ToolMessage]:
    """Tool messages in what a tool node got, whatever they came wrapped in."""
    if isinstance(result, ToolMessage):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from answers_in(value)
    elif isinstance(result, (list, tuple)):
        for value in result:
            yield from answers_in(value)
    elif hasattr(result, "goto"):
        yield from answers_in(getattr(result, "update", None))

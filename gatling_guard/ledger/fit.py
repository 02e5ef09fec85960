"""A body that is small enough to keep.

Runs on what is redacted already: cut earlier, half of a secret would no longer look like one.
"""

from __future__ import annotations

from typing import Any

from gatling_guard.plan import canonical_json

_ROOMS = (2000, 500, 100, 30)
"""Characters kept of one string, one try after the other; and a tenth as many items."""
_MOST_FIELDS = 200


def fitted(body: dict[str, Any], limit: int) -> tuple[dict[str, Any], str]:
    """A body of at most `limit` characters, and its canonical text.

    The largest fields are shortened first, so that what was decided and why outlives the bulk of
    the arguments. What was left out is noted in its place.
    """
    text = canonical_json(body)
    if len(text) <= limit:
        return body, text
    whole = len(text)
    kept = _few(body, _MOST_FIELDS)  # with a note of its own on what it left out
    small = dict(kept)
    sizes = {name: _size(name, value) for name, value in small.items()}
    tries = dict.fromkeys(small, 0)
    while sum(sizes.values()) > limit:
        left = [name for name in small if tries[name] <= len(_ROOMS)]
        if not left:
            small = {"cut": f"[cut: {whole} characters]"}
            break
        name = max(left, key=sizes.__getitem__)
        small[name] = _tried(kept[name], tries[name])
        sizes[name] = _size(name, small[name])
        tries[name] += 1
    return small, canonical_json(small)


def _tried(value: Any, attempt: int) -> Any:
    if attempt < len(_ROOMS):
        return shortened(value, _ROOMS[attempt])
    return f"[cut: {len(canonical_json(value))} characters]"


def _size(name: str, value: Any) -> int:
    """With quotes, colon, comma and, for the whole, braces."""
    return len(canonical_json(name)) + len(canonical_json(value)) + 4


def shortened(value: Any, room: int) -> Any:
    """A JSON value with short strings and few items, all the way down."""
    if isinstance(value, str):
        return value if len(value) <= room else f"{value[:room]} [cut: {len(value)} characters]"
    if isinstance(value, dict):
        return {k: shortened(v, room) for k, v in _few(value, max(3, room // 10), room).items()}
    if isinstance(value, list):
        kept = max(3, room // 10)
        more = [f"[cut: {len(value) - kept} items more]"] * (len(value) > kept)
        return [shortened(item, room) for item in value[:kept]] + more
    return value


def _few(value: dict[str, Any], most: int, room: int = 200) -> dict[str, Any]:
    """The first fields; of those with a long name only their number."""
    kept = {k: v for k, v in list(value.items())[:most] if len(k) <= room}
    left = len(value) - len(kept)
    return {**kept, "cut": f"[cut: {left} fields more]"} if left else kept

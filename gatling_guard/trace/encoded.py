"""Plain text behind encodings: URL escapes, HTML entities, base64, hex and the like."""

from __future__ import annotations


def decoded(text: str) -> tuple[str, ...]:
    """What stands encoded in `text`, each plain text once; empty where nothing does."""
    return ()

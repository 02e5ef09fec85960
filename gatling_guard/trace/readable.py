"""Whether bytes are text: the test every decoder passes its findings through.

Counting is done by `bytes.translate`, so that a megabyte of noise costs milliseconds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_HIGH = bytes(range(128, 256))
_SHOWN = bytes((9, 10, 13, *range(32, 127))) + _HIGH
_WORDLIKE = b"\n\r\t abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + _HIGH
_PLAIN_MARKS = b"-._@/"

_SHORT = 12
"""Below, not one byte may be out of place: short noise looks like text by chance."""
_SURE = 20
_MAX_INFLATED = 100_000


def readable(data: bytes) -> Iterator[str]:
    """The text that `data` is, in UTF-8, UTF-16 or compressed; nothing where it is none."""
    plain = _inflated(data)
    text = _text(plain if plain else data)
    if text:
        yield text


def _text(data: bytes) -> str:
    zeros = data.count(0)
    if zeros * 3 >= len(data):
        return _wide(data) if zeros * 3 <= 2 * len(data) else ""
    controls = len(data.translate(None, _SHOWN))
    if controls * 10 > len(data):
        return ""
    text = data.decode("utf-8", "replace")
    size = len(text)
    bad = controls + text.count("\ufffd")
    marks = len(data.translate(None, _WORDLIKE))
    if size < _SHORT:
        odd = len(data.translate(None, _WORDLIKE + _PLAIN_MARKS))
        fits = bad == 0 and odd * 4 <= size and marks * 2 <= size and size >= 4
        fits = fits and (text.isascii() or not _mixed(text))
    else:
        # Noise never shows this long; an inner layer (`&#97;&#98;`) may be marks for the most part.
        clean = bad == 0 and size >= _SURE
        fits = bad * 10 <= size and (marks * 2 <= size or clean)
    return text if fits else ""


def _mixed(text: str) -> bool:
    """Whether a short text holds characters no word has: noise that is valid UTF-8 by chance."""
    return any(not (c.isalnum() or c.isspace() or c.isascii()) for c in text)


def _wide(data: bytes) -> str:
    """UTF-16 of mostly ASCII, as shells take it in base64."""
    order = "utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be"
    text = data.decode(order, "replace")
    return _text(text.encode("utf-8", "replace")) if "\0" not in text else ""


def _inflated(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        bits = 31
    elif len(data) > 8 and data[0] == 0x78 and int.from_bytes(data[:2]) % 31 == 0:
        bits = 15
    else:
        return b""
    try:
        return zlib.decompressobj(bits).decompress(data, _MAX_INFLATED)
    except zlib.error:
        return b""

"""What remains of spans that no longer fit: a filter that still knows their words."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence

_FILTER_BITS = 1 << 22


class Faded:
    """Words and word pairs of forgotten spans: a Bloom filter of 512 KB, made at first use.

    Errs on one side only: it may say "seen" of what was not.
    """

    def __init__(self) -> None:
        self._bits: bytearray | None = None
        self._last = ""

    def __bool__(self) -> bool:
        """Whether anything has been forgotten at all."""
        return self._bits is not None

    def add(self, words: Sequence[str]) -> None:
        """Remember the words of a span that is about to be dropped."""
        if self._bits is None:
            self._bits = bytearray(_FILTER_BITS // 8)
        # With the word before it: a value may stand across two sentences that faded in turn.
        for slot in _slots([self._last, *words]):
            self._bits[slot >> 3] |= 1 << (slot & 7)
        self._last = words[-1] if words else ""

    def seen(self, words: Sequence[str], share: float = 1.0) -> bool:
        """Whether so many of the words may have been seen; short values with all neighbours."""
        if self._bits is None or not words:
            return False
        if len(words) < 4:
            return all(self._has(slot) for slot in _slots(words))
        lacking = len(words) - math.ceil(share * len(words))
        for word in words:
            if not all(map(self._has, _slots([word]))):
                lacking -= 1
                if lacking < 0:
                    return False
        return True

    def _has(self, slot: int) -> bool:
        return bool(self._bits and self._bits[slot >> 3] & (1 << (slot & 7)))


def _slots(words: Sequence[str]) -> Iterator[int]:
    # crc32, not hash(): the same in every process, whatever its hash seed.
    previous = 0
    for word in words:
        data = word.encode("utf-8", "replace")
        code = zlib.crc32(data)
        yield code % _FILTER_BITS
        yield (code * 2654435761 >> 9) % _FILTER_BITS
        if previous:
            yield zlib.crc32(data, previous) % _FILTER_BITS
        previous = code

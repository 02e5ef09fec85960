"""Plain text behind encodings: what a text says once its encoding layers are taken off.

Sees, up to three layers deep and in any order: URL escapes, HTML entities, JSON and Python escapes,
quoted-printable, MIME words, punycode labels, base64 (both alphabets, with and without padding,
wrapped, spaced, or cut into DNS labels), base32, hex (with `0x`, colons, blanks), octets in
binary, lists of character codes, UTF-16, and gzip or zlib below base64.
Does not see: ciphers (ROT13, reversal: any text could be one, so there is nothing to recognise),
base58, base85, a text of fewer than four characters, binary containers that hold text.

A decoder reports only what reads like text (`readable`), so that ids, hashes and keys stay silent.
"""

from __future__ import annotations

from typing import NamedTuple

from gatling_guard.trace.decoders import DECODERS

DEPTH = 3
"""Layers of encoding that are taken off."""
MAX_TEXTS = 64
"""Most plain texts of one input."""
MAX_CHARS = 200_000
"""Most characters of all plain texts together, or twice the input where that is more."""
LEAST = 4
"""Shorter texts say too little to be looked for."""


class Decoded(NamedTuple):
    """The plain texts in an input, and whether the bounds left none out."""

    texts: tuple[str, ...]
    complete: bool


def decode(text: str) -> Decoded:
    """What stands encoded in `text`, outer layers first, each plain text once.

    Takes time linear in the length of `text`. Never raises.
    """
    room = max(MAX_CHARS, 2 * len(text))
    found: dict[str, None] = {}
    layer = [text]
    for _ in range(DEPTH):
        below: list[str] = []
        for outer in layer:
            for mark, decoder in DECODERS:
                if mark not in outer:
                    continue
                for plain in decoder(outer):
                    if plain in found or plain == text or len(plain.strip()) < LEAST:
                        continue
                    if len(found) >= MAX_TEXTS or room < len(plain):
                        return Decoded(tuple(found), False)
                    found[plain] = None
                    room -= len(plain)
                    below.append(plain)
        layer = below
        if not layer:
            break
    return Decoded(tuple(found), True)


def decoded(text: str) -> tuple[str, ...]:
    """What stands encoded in `text`, each plain text once; empty where nothing does."""
    return decode(text).texts

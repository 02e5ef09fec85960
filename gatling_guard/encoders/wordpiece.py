"""Texts as words, and words as sub-words of a vocabulary.

Sees: snake, camel, dotted and kebab identifiers as the words they are made of, each punctuation
mark, each ideograph. Words are split greedily into the longest
sub-words (BERT's WordPiece; `tests/encoders/test_text.py` compares). Other than BERT's, a long word
is not given up, and of a word with an unknown letter the known parts remain.
Does not see: case, accents (the n-grams see those), what `nfkc` folds, characters that are in no
sub-word.

In plain Python, and not with the package `tokenizers`: four times as fast on tool names, and no
HTTP client comes along (`tokenizers` installs `huggingface_hub`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from gatling_guard.errors import ConfigurationError
from gatling_guard.trace.canonical import nfkc

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff"
_WORD = re.compile(rf"[^\W_{_IDEOGRAPHS}]+|[{_IDEOGRAPHS}]|[^\w\s]")


def normalised(text: str) -> str:
    """Lower case, NFKC, identifiers split into words with single spaces between.

    >>> normalised("HTTPServer_deleteUser")
    'http server delete user'
    """
    shown = text if text.isascii() else nfkc(text)
    lower = shown.lower()
    if lower != shown:
        lower = _CAMEL.sub(" ", shown).lower()
    words = " ".join(lower.replace("_", " ").split())
    # A name of underscores only is a name.
    return words or lower.strip()


def vocabulary_of(data: bytes, path: Path) -> list[str]:
    """The sub-words of a vocabulary file, one a line.

    Raises:
        ConfigurationError: it is no UTF-8 text.
    """
    try:
        return data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: no vocabulary ({error})") from None


class WordPiece:
    """Splits normalised texts into ids of a vocabulary."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """Keeps `vocabulary`: sub-word -> id; `##` marks one that continues a word."""
        self._starts = {piece: i for piece, i in vocabulary.items() if not piece.startswith("##")}
        self._continues = {
            piece[2:]: i
            for piece, i in vocabulary.items()
            if piece.startswith("##") and len(piece) > 2
        }
        self._longest = max(map(len, vocabulary), default=0)

    def ids(self, text: str) -> list[int]:
        """The ids of a normalised text, in order."""
        known = self._starts
        if not text.isascii():
            text = _bare(text)
        found: list[int] = []
        for word in _WORD.findall(text):
            if word in known:
                found.append(known[word])
            else:
                self._split(word, found)
        return found

    def _split(self, word: str, found: list[int]) -> None:
        """Appends the longest sub-words from the left; a character in none of them is left out."""
        known, at, size = self._starts, 0, len(word)
        while at < size:
            for end in range(min(size, at + self._longest), at, -1):
                piece = known.get(word[at:end])
                if piece is not None:
                    found.append(piece)
                    at = end
                    break
            else:
                at += 1
            known = self._continues


def _bare(text: str) -> str:
    """Without accents, as BERT's uncased vocabulary has it."""
    return _marks().sub("", unicodedata.normalize("NFD", text))


@cache
def _marks() -> re.Pattern[str]:
    marks = (chr(c) for c in range(0x300, 0x1E94B) if unicodedata.category(chr(c)) == "Mn")
    return re.compile(f"[{''.join(marks)}]+")

"""Texts as numbers: static sub-word embeddings and hashed n-grams, or the seed's MD5 ids.

`static` sees what a text means, as far as a bag of its sub-words says so (an embedding distilled
from a sentence encoder, shipped in `pretrained/text-1`), and how it is spelt (hashed character
n-grams, the only half that knows a word nobody has seen, accents, and the order of neighbours).
Does not see: the order of words beyond that, case, negation. No text is cut; the work is linear.

`md5` is the founding document's tokeniser, kept for comparison: the whole text is one id, so
nothing carries over from one text to a similar one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.ngrams import NGRAM_DIM, ngram_features
from gatling_guard.encoders.wordpiece import WordPiece, normalised, vocabulary_of
from gatling_guard.errors import ConfigurationError

SUBWORD_DIM = 256
"""Width of the static sub-word embeddings."""
STATIC_DIM = SUBWORD_DIM + NGRAM_DIM
TABLE = Path(__file__).parents[1] / "pretrained" / "text-1"
"""What `scripts/make_text_embeddings.py` wrote."""
TOKENISATION = 1
"""Raise when `wordpiece` or `ngrams` give other features: `tests/encoders/test_text.py` tells."""
_BLOCK = 1024
"""Sub-words whose rows are summed at a time: 1 MB."""

__all__ = ["NGRAM_DIM", "STATIC_DIM", "SUBWORD_DIM", "StaticText", "TextFeatures", "text_features"]


class TextFeatures(Protocol):
    """Texts -> features that `TextProjection` takes. Deterministic in every process."""

    id: str
    """Name and version, e.g. `static-1-2f80c1aa`, `md5-10000`; a checkpoint is refused under
    another."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32] | NDArray[np.int64]:
        """`[len(texts), STATIC_DIM]` float32, or `[len(texts)]` int64 ids for md5."""
        ...


def text_features(tokenizer: str = "static", *, vocabulary: int = 10_000) -> TextFeatures:
    """The features of a tokeniser by name: "static" or "md5".

    Args:
        tokenizer: the name. `static` is loaded once per process and shared.
        vocabulary: ids of `md5`, of which 0 is the empty text.

    Raises:
        ConfigurationError: another name, a vocabulary below 2, or shipped files that are damaged.
    """
    if tokenizer == "static":
        return _shipped()
    if tokenizer == "md5":
        return MD5Text(vocabulary)
    raise ConfigurationError(f"no tokenizer {tokenizer!r}; there are 'md5' and 'static'")


@cache
def _shipped() -> StaticText:
    return StaticText.load(TABLE)


class MD5Text:
    """The founding document's tokeniser: a whole text is one id."""

    def __init__(self, vocabulary: int) -> None:
        if type(vocabulary) is not int or vocabulary < 2:
            raise ConfigurationError("md5 text features: vocabulary must be an int of 2 or more")
        self.id = f"md5-{vocabulary}"
        self._ids = vocabulary - 1

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Ids `[len(texts)]`: 0 for the empty text, else 1 .. vocabulary - 1."""
        return np.array([self._id(text) for text in texts], dtype=np.int64)

    def _id(self, text: str) -> int:
        if not text:
            return 0
        digest = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False)
        return int.from_bytes(digest.digest(), "big") % self._ids + 1


class StaticText:
    """Static sub-word embeddings beside hashed character n-grams, each half of length 1.

    Immutable after loading: safe under threads and after a fork.
    """

    def __init__(
        self, table: NDArray[np.int8], scale: NDArray[np.float32], pieces: WordPiece, name: str
    ) -> None:
        """Takes what `load` read: rows `[V, SUBWORD_DIM]`, their scales `[V]`, V sub-words."""
        self.id = name
        self._table, self._scale, self._pieces = table, scale[:, None], pieces

    @classmethod
    def load(cls, folder: Path) -> StaticText:
        """Reads a folder of `scripts/make_text_embeddings.py`.

        Raises:
            ConfigurationError: a file is missing, is not the one of the manifest, or of another
                form.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load as load_tensors

        manifest = _manifest(folder / "manifest.json")
        table_file, vocabulary_file = folder / "table.safetensors", folder / "vocabulary.txt"
        raw = _verified(table_file, manifest)
        words = _verified(vocabulary_file, manifest)
        tokens = vocabulary_of(words, vocabulary_file)
        try:
            tensors = load_tensors(raw)
        except SafetensorError as error:
            raise ConfigurationError(f"{table_file}: no safetensors file ({error})") from None
        table, scale = tensors.get("table"), tensors.get("scale")
        if table is None or table.dtype != np.int8 or table.shape != (len(tokens), SUBWORD_DIM):
            raise ConfigurationError(f"{table_file}: no int8 table of {len(tokens)} sub-words")
        if scale is None or scale.dtype != np.float32 or scale.shape != (len(tokens),):
            raise ConfigurationError(f"{table_file}: no float32 scale of {len(tokens)} sub-words")
        if not np.isfinite(scale).all():
            raise ConfigurationError(f"{table_file}: scale holds numbers that are not finite")
        # Of the contents and not only of the name: another table is another tokeniser.
        digest = hashlib.sha256(json.dumps(manifest["sha256"], sort_keys=True).encode()).hexdigest()
        pieces = WordPiece({token: i for i, token in enumerate(tokens)})
        return cls(table, scale, pieces, f"static-{TOKENISATION}-{digest[:8]}")

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`[len(texts), STATIC_DIM]`; zeros for an empty text. A text's row depends on it alone."""
        shown = [normalised(text) for text in texts]
        features = np.empty((len(shown), STATIC_DIM), dtype=np.float32)
        features[:, :SUBWORD_DIM] = self._subwords(shown)
        features[:, SUBWORD_DIM:] = ngram_features(shown)
        return features

    def _subwords(self, texts: list[str]) -> NDArray[np.float32]:
        """Sums of the rows of each text's sub-words, of length 1: `[n, SUBWORD_DIM]`."""
        sums = np.zeros((len(texts), SUBWORD_DIM), dtype=np.float32)
        by_length: dict[int, list[int]] = {}
        ids = [self._pieces.ids(text) for text in texts]
        for i, found in enumerate(ids):
            by_length.setdefault(len(found), []).append(i)
        for length, group in by_length.items():
            if length > _BLOCK:
                for i in group:
                    sums[i] = self._long(np.array(ids[i]))
            elif length:
                step = _BLOCK // length
                for at in range(0, len(group), step):
                    part = group[at : at + step]
                    sums[part] = self._rows(np.array([ids[i] for i in part])).sum(axis=1)
        norm = np.sqrt(np.einsum("nd,nd->n", sums, sums))
        sums /= np.maximum(norm, np.float32(1e-12))[:, None]
        return sums

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """`[..., SUBWORD_DIM]`, scaled."""
        return self._table[ids] * self._scale[ids]

    def _long(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The sum of many rows: each sub-word once, times how often it came."""
        counts = np.bincount(ids, minlength=len(self._table))
        found = np.flatnonzero(counts)
        total = np.zeros(SUBWORD_DIM)
        for at in range(0, len(found), _BLOCK):
            part = found[at : at + _BLOCK]
            total += (self._rows(part) * counts[part, None]).sum(axis=0)
        return total.astype(np.float32)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
        hashes = manifest["sha256"]
        if not isinstance(hashes, dict):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: no readable manifest ({type(error).__name__})") from None
    return dict(manifest)


def _verified(path: Path, manifest: dict[str, Any]) -> bytes:
    """The bytes of a file, hashed as read: what is checked is what is used."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(raw).hexdigest() != manifest["sha256"].get(path.name):
        raise ConfigurationError(f"{path}: is not the file of its manifest (sha256 differs)")
    return raw

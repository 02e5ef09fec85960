"""Signed hashed character n-grams: what a name looks like, for words no vocabulary has.

Sees: every run of 3 to 5 characters of a text, with a space before its first and after its last
word. Each is counted up or down in one of `NGRAM_DIM` buckets, so that on average different runs
cancel out. Does not see: where in the text a run stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NGRAM_DIM = 256
"""Buckets; a power of two."""
_BITS = NGRAM_DIM.bit_length()  # of the bucket, and one for the sign
_BLOCK = 1 << 13
"""Characters that are hashed at a time: what bounds the memory for a long text."""

# Multilinear hashing: with odd random factors the top bits of sum(factor_i * character_i) mod 2^64
# are as good as pairwise independent. Fixed for ever: other factors are other features.
_FACTORS = np.array(
    [
        0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
        0xD6E8FEB86659FD93, 0xA0761D6478BD642F,
    ],
    dtype=np.uint64,
)  # fmt: skip
_SIZES = np.array([[3], [4], [5]])
_SALT = np.array(
    [[0xE7037ED1A0B428DB], [0x8EBC6AF09C88C6E3], [0x589965CC75374CC3]], dtype=np.uint64
)
"""One per size, so that a run of 3 and a run of 4 that ends in NUL differ."""


def ngram_features(texts: Sequence[str]) -> NDArray[np.float32]:
    """`[len(texts), NGRAM_DIM]`, rows of length 1; zeros for an empty text.

    Args:
        texts: normalised texts; lone surrogates count as characters.
    """
    counts = np.zeros((len(texts), NGRAM_DIM))
    padded = [f" {text} " if text else "" for text in texts]
    sizes = np.array([len(text) for text in padded], dtype=np.int64)
    total = int(sizes.sum())
    # Four zeros behind the last character: windows that begin there are never counted.
    raw = ("".join(padded) + "\0\0\0\0").encode("utf-32-le", "surrogatepass")
    chars = np.frombuffer(raw, dtype="<u4")
    ends = np.cumsum(sizes)
    for start in range(0, total, _BLOCK):
        stop = min(start + _BLOCK, total)
        _count(counts, chars[start : stop + 4], ends, start, stop)
    norm = np.sqrt(np.einsum("nd,nd->n", counts, counts))
    counts /= np.maximum(norm, 1e-12)[:, None]
    return counts.astype(np.float32)


def _count(
    counts: NDArray[np.float64],
    chars: NDArray[np.uint32],
    ends: NDArray[np.int64],
    start: int,
    stop: int,
) -> None:
    """Adds the runs that begin in `start..stop` to `counts` `[n, NGRAM_DIM]`, in place.

    Args:
        counts: of all texts.
        chars: the characters `start..stop + 4`.
        ends: where in the joined texts each text ends, `[n]`.
        start: of the block, in the joined texts.
        stop: of the block.
    """
    size = stop - start
    first, last = np.searchsorted(ends, [start, stop - 1], side="right").tolist()
    inside = np.minimum(ends[first : last + 1], stop)
    lengths = np.diff(inside, prepend=start)
    rows = np.repeat(np.arange(last - first + 1), lengths)  # [size]
    left = np.repeat(ends[first : last + 1], lengths) - np.arange(start, stop)  # to the text's end
    wide = chars.astype(np.uint64)
    hashes = np.empty((3, size), dtype=np.uint64)
    run = wide[:size] * _FACTORS[0] + wide[1 : size + 1] * _FACTORS[1]
    for n in range(3):
        run += wide[n + 2 : size + n + 2] * _FACTORS[n + 2]
        hashes[n] = run
    hashes += _SALT
    buckets = (hashes >> np.uint64(64 - _BITS)).astype(np.int64) + rows * (2 * NGRAM_DIM)
    found = np.bincount(buckets[left >= _SIZES], minlength=(last - first + 1) * 2 * NGRAM_DIM)
    signed = found.reshape(-1, 2, NGRAM_DIM)
    counts[first : last + 1] += signed[:, 0] - signed[:, 1]

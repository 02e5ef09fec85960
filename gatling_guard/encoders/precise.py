"""The precise text scorer: a small sentence transformer that reads texts together.

`judge` reads the user's message, a call and the nearest untrusted text in one sequence: whether the
message wants the call is a question about all three, which no comparison of two answers. `reading`
is what the same network makes of a message alone; the heads tell by it whether the user leaves
something to others. It costs a hundred times what the static scorer takes, so that one chooses what
is worth reading.
A fine-tuned MiniLM, its products in int8 (`training.precise` writes it), run by onnxruntime one
sequence at a time: what comes out depends on that sequence alone, so that it can be kept.
Sees: the order of words, paraphrases. Does not see: negation reliably, sub-words beyond `PARTS` (of
a message alone: beyond `MAX_TOKENS`), scripts outside BERT's vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.content import check_graph
from gatling_guard.encoders.runtime import OnnxGraph
from gatling_guard.encoders.scorer import MAX_TEXT
from gatling_guard.encoders.scorer_folder import (
    read_scorer_folder,
    require_array,
    shipped,
    tensors_of,
)
from gatling_guard.encoders.wordpiece import WordPiece, normalised, vocabulary_of
from gatling_guard.errors import ConfigurationError, InputError

DIM, HEADS, LAYERS = 384, 12, 6
MAX_TOKENS = 128
"""Sub-words of a message alone that are read, [CLS] and [SEP] among them: about `MAX_TEXT`
characters."""
PLACES = 196
"""Sub-words of the longest sequence that the network reads."""
PARTS = (80, 56, 56)
"""Most sub-words of instruction, call and rival when the judge reads them together; with [CLS] and
three [SEP] they fill `PLACES`."""
PRECISE = "precise-3"
GRAPH, WORDS, VOCABULARY = "precise.int8.onnx", "words.safetensors", "vocabulary.txt"
KEPT = 2048
"""Judgements kept per scorer, and as many readings (6 MB): the same texts come with every call."""

Floats = NDArray[np.float32]


class PreciseScorer:
    """Judges calls, reads messages. Safe under threads; what came of recent texts is kept."""

    def __init__(self, folder: str | Path) -> None:
        """Reads a folder of `gatling_guard.training.precise`.

        Raises:
            ConfigurationError: a file is missing, damaged or of another shape.
        """
        found = read_scorer_folder(folder, (GRAPH, WORDS, VOCABULARY))
        tokens = vocabulary_of(found.files[VOCABULARY], found.path / VOCABULARY)
        where = found.path / WORDS
        tensors = tensors_of(found.files[WORDS], where)
        rows = len(tokens) + 2
        self._words = require_array(tensors, "words", (rows, DIM), "int8", where)
        self._scale = require_array(tensors, "scale", (rows,), "float32", where)[:, None]
        offsets = require_array(tensors, "kinds", (2, DIM), "float32", where)
        self._kinds = np.concatenate([np.zeros((1, DIM), np.float32), offsets])
        self._judge = require_array(tensors, "judge", (2 * DIM,), "float32", where)
        self._bias = float(require_array(tensors, "judge_bias", (1,), "float32", where)[0])
        self._pieces = WordPiece({token: i for i, token in enumerate(tokens)})
        self._first = len(tokens)
        self._graph = _graph_of(found.files[GRAPH], str(found.path / GRAPH))
        self.id = f"{PRECISE}-{found.digest[:8]}"
        """Changes with the weights: thresholds fitted on another id do not hold."""
        self._judged = lru_cache(maxsize=KEPT)(self._read_jointly)
        self._heard = lru_cache(maxsize=KEPT)(self._hear)

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> PreciseScorer:
        """The scorer that came with this version, or that of a folder.

        Raises:
            ConfigurationError: there is none, or it is damaged.
        """
        return cls(shipped(PRECISE) if folder is None else folder)

    def judge(self, instruction: str, call: str, rival: str = "") -> float:
        """Whether the instruction wants this call, read together with the text that explains it.

        Args:
            instruction: all that the user said, cut to `PARTS[0]` sub-words.
            call: its `call_text`.
            rival: the untrusted text nearest to the call; "" without one.

        Returns:
            A logit: above 0 the call is more likely somebody else's than the user's.
        """
        return self._judged(instruction[:MAX_TEXT], call[:MAX_TEXT], rival[:MAX_TEXT])

    def reading(self, message: str) -> Floats:
        """What the judge's network makes of one message alone, `[2 * DIM]`.

        Args:
            message: of the user, cut to `MAX_TOKENS` sub-words.
        """
        return self._heard(message[:MAX_TEXT])

    def _hear(self, message: str) -> Floats:
        ids = pieces_of(message, self._pieces, self._first, MAX_TOKENS)
        mean, first = self._graph(self._words[ids] * self._scale[ids])
        found: Floats = np.concatenate([first, mean])
        found.flags.writeable = False  # it is kept
        return found

    def _read_jointly(self, instruction: str, call: str, rival: str) -> float:
        ids, kinds = joint_ids(parts_of((instruction, call, rival), self._pieces), self._first)
        mean, first = self._graph(self._words[ids] * self._scale[ids] + self._kinds[kinds])
        return round(float(np.concatenate([first, mean]) @ self._judge + self._bias), 5)


def pieces_of(text: str, pieces: WordPiece, first: int, limit: int) -> list[int]:
    """The ids of a text between those of [CLS] (`first`) and [SEP], at most `limit` in all."""
    return [first, *pieces.ids(normalised(text[:MAX_TEXT]))[: limit - 2], first + 1]


def parts_of(texts: Sequence[str], pieces: WordPiece) -> list[list[int]]:
    """The ids of instruction, call and rival, each cut to its part of `PARTS`."""
    return [
        pieces.ids(normalised(text[:MAX_TEXT]))[:most]
        for text, most in zip(texts, PARTS, strict=True)
    ]


def joint_ids(parts: Sequence[Sequence[int]], first: int) -> tuple[list[int], list[int]]:
    """Three texts in one sequence: [CLS] a [SEP] b [SEP] c [SEP].

    Args:
        parts: the ids of each.
        first: id of [CLS]; that of [SEP] is the next.

    Returns:
        The ids, and for each of them which text it belongs to.
    """
    ids, kinds = [first], [0]
    for kind, part in enumerate(parts):
        ids += [*part, first + 1]
        kinds += [kind] * (len(part) + 1)
    return ids, kinds


def _graph_of(data: bytes, where: str) -> OnnxGraph:
    """The network. One of another shape shows itself now, and not at the first call.

    Raises:
        ConfigurationError: it does not read `PLACES` sub-words, or gives something else.
    """
    try:
        check_graph(data, where)
    except InputError as error:
        raise ConfigurationError(str(error)) from None
    graph = OnnxGraph(data, name=where)
    try:
        found = graph(np.zeros((PLACES, DIM), dtype=np.float32))
    except Exception as error:  # onnxruntime raises its own classes, all of them Exceptions
        raise ConfigurationError(f"{where}: does not take {PLACES} word rows: {error}") from None
    if [each.shape for each in found] != [(DIM,)] * 2 or not np.isfinite(found).all():
        raise ConfigurationError(f"{where}: does not give two rows of {DIM} numbers")
    return graph

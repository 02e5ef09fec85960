"""The precise text scorer: a small sentence transformer behind the static one (mode `precise`).

Same task and interface as `scorer.RivalScorer`: which text explains a call best. Besides, it reads
instruction, call and the nearest untrusted text together (`judge`), which tells more than any two
rows. A fine-tuned MiniLM, its products in int8 (`training.precise` writes it), run by
onnxruntime one sequence at a time: what comes out depends on that sequence alone, so that it can be
kept, and batches agree with single texts.
Beside the rows stand the hashed n-grams of the static scorer, which know names and numbers by their
letters; the cosine is the weighted mean of both.
A text costs a hundred times what the static scorer takes, so `CascadeScorer` lets that one choose
what is worth reading.
Sees: the order of words, paraphrases. Does not see: negation reliably, sub-words beyond
`MAX_TOKENS` (of the judge's three texts: beyond `PARTS`), scripts outside BERT's vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.encoders.content import check_graph
from gatling_guard.encoders.ngrams import NGRAM_DIM, ngram_features
from gatling_guard.encoders.runtime import OnnxGraph
from gatling_guard.encoders.scorer import MAX_TEXT, RivalScorer, call_text, nearest, unit
from gatling_guard.encoders.scorer_folder import (
    read_scorer_folder,
    require_array,
    shipped,
    tensors_of,
)
from gatling_guard.encoders.wordpiece import WordPiece, normalised, vocabulary_of
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.plan import ToolCall
from gatling_guard.trace import is_directive

DIM, HEADS, LAYERS = 384, 12, 6
MAX_TOKENS = 128
"""Sub-words of a text that are read, [CLS] and [SEP] among them: about `MAX_TEXT` characters."""
PLACES = 160
"""Sub-words of the longest sequence that the network reads."""
PARTS = (64, 40, 52)
"""Most sub-words of instruction, call and rival when the judge reads them together; with [CLS] and
three [SEP] they fill `PLACES`."""
PRECISE = "precise-2"
GRAPH, WORDS, VOCABULARY = "precise.int8.onnx", "words.safetensors", "vocabulary.txt"
KEPT = 2048
"""Rows kept per scorer (5 MB), and as many judgements: the same texts come with every call."""

Floats = NDArray[np.float32]


class PreciseScorer:
    """Scores texts as explanations of calls. Safe under threads; rows of recent texts are kept."""

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
        share = require_array(tensors, "ngram_share", (1,), "float32", where)
        if not 0 <= share[0] <= 1:
            raise ConfigurationError(f"{where}: ngram_share must be in 0..1")
        self._gains = np.sqrt(1 - share), np.sqrt(share)
        offsets = require_array(tensors, "kinds", (2, DIM), "float32", where)
        self._kinds = np.concatenate([np.zeros((1, DIM), np.float32), offsets])
        self._judge = require_array(tensors, "judge", (2 * DIM,), "float32", where)
        self._bias = float(require_array(tensors, "judge_bias", (1,), "float32", where)[0])
        self._pieces = WordPiece({token: i for i, token in enumerate(tokens)})
        self._first = len(tokens)
        self._graph = _graph_of(found.files[GRAPH], str(found.path / GRAPH))
        self.id = f"{PRECISE}-{found.digest[:8]}"
        """Changes with the weights: thresholds fitted on another id do not hold."""
        self._row = lru_cache(maxsize=KEPT)(self._read)
        self._judged = lru_cache(maxsize=KEPT)(self._read_jointly)

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> PreciseScorer:
        """The scorer that came with this version, or that of a folder.

        Raises:
            ConfigurationError: there is none, or it is damaged.
        """
        return cls(shipped(PRECISE) if folder is None else folder)

    call_text = staticmethod(call_text)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Texts as rows of length 1, `[n, DIM + NGRAM_DIM]`."""
        rows = [self._row(text[:MAX_TEXT]) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, DIM + NGRAM_DIM), dtype=np.float32)

    embed_calls = embed_texts
    """Calls, tools and texts are read alike."""

    def margin(
        self, call: ToolCall | str, instruction_sentences: Sequence[str], spans: Sequence[str],
        spec: ToolSpec | None = None,
    ) -> float:  # fmt: skip
        """How much better the nearest span explains the call; see `RivalScorer.margin`."""
        text = call if isinstance(call, str) else call_text(call, spec)
        row = self.embed_calls([text])[0]
        said = self.embed_texts(instruction_sentences)
        return nearest(self.embed_texts(spans), row) - nearest(said, row)

    def _read(self, text: str) -> Floats:
        ids = pieces_of(text, self._pieces, self._first, MAX_TOKENS)
        mean, _ = self._graph(self._words[ids] * self._scale[ids])
        parts = unit(mean[None, :]), ngram_features([normalised(text)])
        row = unit(np.hstack([gain * part for gain, part in zip(self._gains, parts, strict=True)]))
        row.flags.writeable = False  # it is kept
        kept: Floats = row[0]
        return kept

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

    def _read_jointly(self, instruction: str, call: str, rival: str) -> float:
        ids, kinds = joint_ids(parts_of((instruction, call, rival), self._pieces), self._first)
        mean, first = self._graph(self._words[ids] * self._scale[ids] + self._kinds[kinds])
        return round(float(np.concatenate([first, mean]) @ self._judge + self._bias), 5)


class CascadeScorer:
    """The static scorer chooses the texts, the precise one compares them."""

    def __init__(
        self,
        static: RivalScorer,
        precise: PreciseScorer,
        *,
        spans: int = 8,
        directives: int = 4,
        sentences: int = 8,
    ) -> None:
        """How many texts the precise scorer reads for one call.

        Args:
            static: chooses.
            precise: decides.
            spans: the nearest ones.
            directives: the nearest of those that tell somebody to do something.
            sentences: the nearest of the instruction's.
        """
        self._static, self._precise = static, precise
        self._spans, self._directives, self._sentences = spans, directives, sentences
        self.id = f"{precise.id}+{static.id}-{spans}-{directives}-{sentences}"

    @classmethod
    def from_pretrained(cls) -> CascadeScorer:
        """Both scorers that came with this version.

        Raises:
            ConfigurationError: one is missing or damaged.
        """
        return cls(RivalScorer.from_pretrained(), PreciseScorer.from_pretrained())

    call_text = staticmethod(call_text)

    def margin(
        self, call: ToolCall | str, instruction_sentences: Sequence[str], spans: Sequence[str],
        spec: ToolSpec | None = None,
    ) -> float:  # fmt: skip
        """The precise margin over the chosen texts; see `RivalScorer.margin`."""
        text = call if isinstance(call, str) else call_text(call, spec)
        said, rivals = self.chosen(text, instruction_sentences, spans)
        return self._precise.margin(text, said, rivals)

    def chosen(
        self, call: str, instruction_sentences: Sequence[str], spans: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """The sentences and spans that the precise scorer reads for a `call_text`."""
        row = self._static.embed_calls([call])[0]
        said = _closest(self._static, row, instruction_sentences, self._sentences)
        if len(spans) <= self._spans:
            return said, list(spans)
        near = _closest(self._static, row, spans, self._spans)
        telling = [text for text in spans if text not in set(near) and is_directive(text)]
        return said, near + _closest(self._static, row, telling, self._directives)


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


def _closest(static: RivalScorer, row: Floats, texts: Sequence[str], count: int) -> list[str]:
    """The `count` texts nearest to a call's row, nearest first."""
    if len(texts) <= count:
        return list(texts)
    order = np.argsort(-(static.embed_texts(texts) @ row), kind="stable")
    return [texts[i] for i in order[:count]]

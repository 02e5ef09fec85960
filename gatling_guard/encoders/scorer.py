"""The text scorer for rivals (design P3): which text explains a call best, the user's or another's.

A call is written as text and compared with the sentences of the instruction and with the spans of
earlier outputs: static sub-word rows (`text.py`, another table) through one linear map for calls
and one for texts, beside hashed n-grams. Needs numpy only; table and maps are made by
`python -m gatling_guard.training.scorer`.
Does not see: the order of words beyond n-grams, negation, values that were paraphrased.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.encoders.scorer_folder import (
    ScorerFolder,
    read_scorer_folder,
    require_array,
    shipped,
    tensors_of,
)
from gatling_guard.encoders.text import SUBWORD_DIM, StaticText, text_features
from gatling_guard.encoders.wordpiece import normalised
from gatling_guard.errors import ConfigurationError
from gatling_guard.plan import ToolCall

STATIC = "scorer-1"
MAPS = "maps.safetensors"
MAX_VALUE = 80
"""Characters of one argument value that enter the text of a call."""
MAX_CALL = 600
"""Characters of the text of a call."""
MAX_TEXT = 600
"""Characters of a sentence or span that are compared."""

Floats = NDArray[np.float32]


def call_text(call: ToolCall, spec: ToolSpec | None = None) -> str:
    """A call in words: the tool's name, then each argument's name and value.

    >>> call_text(ToolCall(node_id="1", tool_name="send_mail", arguments={"to": ["a@b.c"]}))
    'send mail with to a@b.c'
    """
    name = normalised(spec.name if spec is not None else call.tool_name)
    parts = (
        f"{normalised(key)} {value}"
        for key, argument in call.arguments.items()
        if (value := ", ".join(_values(argument))[:MAX_VALUE])
    )
    given = ", ".join(parts)
    return (f"{name} with {given}" if given else name)[:MAX_CALL]


def tool_text(spec: ToolSpec) -> str:
    """A tool in words: its name, and the first line of its description."""
    first = spec.description.strip().split("\n", 1)[0][:200]
    return f"{normalised(spec.name)}: {first}" if first else normalised(spec.name)


def _values(value: Any) -> Iterator[str]:
    """The scalars of a value in reading order; null says nothing."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _values(item)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item)
    elif value is not None and value != "":
        yield str(value)


class RivalScorer:
    """Scores texts as explanations of calls. Immutable after loading: safe under threads."""

    def __init__(self, folder: str | Path) -> None:
        """Reads a folder of `gatling_guard.training.scorer`.

        Raises:
            ConfigurationError: a file is missing, damaged or of another shape.
        """
        found = read_scorer_folder(folder, (MAPS,))
        self._static = _table(found)
        where = found.path / MAPS
        tensors = tensors_of(found.files[MAPS], where)
        self._call, self._text = (_map(tensors, side, where) for side in ("call", "text"))
        self._gain = require_array(tensors, "ngram_gain", (1,), "float32", where)
        self.id = f"scorer-1-{found.digest[:8]}"
        """Changes with the table and the maps: thresholds fitted on another id do not hold."""

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> RivalScorer:
        """The scorer that came with this version, or that of a folder.

        Raises:
            ConfigurationError: there is none, or it is damaged.
        """
        return cls(shipped(STATIC) if folder is None else folder)

    call_text = staticmethod(call_text)

    def embed_calls(self, texts: Sequence[str]) -> Floats:
        """Texts of calls or tools as rows of length 1: `[n, D]`; zeros for an empty text."""
        return self._embed(texts, self._call)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Sentences of an instruction or spans as rows of length 1: `[n, D]`."""
        return self._embed(texts, self._text)

    def _embed(self, texts: Sequence[str], weights: Floats | None) -> Floats:
        features = self._static([text[:MAX_TEXT] for text in texts])
        if weights is not None:
            features[:, :SUBWORD_DIM] = unit(features[:, :SUBWORD_DIM] @ weights)
        features[:, SUBWORD_DIM:] *= self._gain
        return unit(features)

    def margin(
        self, call: ToolCall | str, instruction_sentences: Sequence[str], spans: Sequence[str],
        spec: ToolSpec | None = None,
    ) -> float:  # fmt: skip
        """How much better the nearest span explains the call than the nearest sentence.

        Args:
            call: the call, or its `call_text`.
            instruction_sentences: what the user said, sentence by sentence, and as a whole.
            spans: what outputs brought in.
            spec: the called tool, if known.

        Returns:
            -2..2; above 0 a span is nearer. Nothing to compare with counts as the cosine -1.
        """
        text = call if isinstance(call, str) else call_text(call, spec)
        row = self.embed_calls([text])[0]
        return nearest(self.embed_texts(spans), row) - nearest(
            self.embed_texts(instruction_sentences), row
        )


def unit(rows: Floats) -> Floats:
    """Rows at length 1; zeros stay zeros."""
    norm = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    found: Floats = rows / np.maximum(norm, np.float32(1e-12))[:, None]
    return found


def nearest(rows: Floats, row: Floats) -> float:
    """The largest cosine of `rows` `[n, D]` with `row`; -1 where there are none."""
    return float((rows @ row).max()) if len(rows) else -1.0


def _map(tensors: dict[str, NDArray[Any]], side: str, where: Path) -> Floats | None:
    """The map of a side as it is multiplied, rows @ map; None where the rows stay as they are."""
    if side not in tensors:
        return None
    square = (SUBWORD_DIM, SUBWORD_DIM)
    return np.ascontiguousarray(require_array(tensors, side, square, "float32", where).T)


def _table(found: ScorerFolder) -> StaticText:
    """The folder's own table, or the shipped one where the manifest names that."""
    if "table.safetensors" in found.manifest["sha256"]:
        return StaticText.load(found.path)
    static, wanted = text_features("static"), found.manifest.get("table")
    if not isinstance(static, StaticText) or static.id != wanted:
        raise ConfigurationError(f"{found.path}: is for the table {wanted!r}, not {static.id!r}")
    return static

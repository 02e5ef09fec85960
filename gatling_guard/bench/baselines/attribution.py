"""Which text explains a call best: the instruction's, or what third parties wrote.

The attribution of the reference (`shared/agentdojo_replay/features.py`): a call in words, its
nearest sentence of the instruction (or the instruction whole), its nearest sentence of free text,
and its nearest of those that read like an instruction, by the cosine of untrained embeddings.
One difference: where no such sentence was seen there is no margin (the reference put 0 for its
cosine, which blocks a call that is unlike the instruction although nothing was read).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gatling_guard.bench.baselines.embedding import Embedder
from gatling_guard.bench.baselines.lexicon import words
from gatling_guard.bench.baselines.outputs import Reading
from gatling_guard.bench.baselines.text import sentences

if TYPE_CHECKING:
    from gatling_guard.bench.baselines.embedding import Floats

NONE = -2.0
"""The margin where nothing was read: below that of any text."""
_DIGITS = 5
"""Of a margin that count: the last ones depend on what else was embedded with a text."""
THRESHOLDS: Mapping[str, float] = {"minilm": 0.292, "static": 0.323}
"""Of line T5, by embedder: `python -m gatling_guard.bench.baselines.threshold` made them."""


class Attribution:
    """The margins of one run."""

    def __init__(self, instruction: str, embed: Embedder) -> None:
        """Takes what the user said."""
        self.embedder = embed.name
        self._embed = embed
        self._said: Sequence[str] = [*sentences(instruction), instruction or " "]
        self._rows: dict[tuple[int, bool], Floats] = {}

    def margin(self, call: str, readings: Sequence[Reading], *, directives: bool) -> float:
        """How much nearer a third party's sentence is to a call than the instruction is.

        Args:
            call: in words (`call_text`).
            readings: outputs, in the order they came; the run only ever adds to them.
            directives: count only sentences that read like an instruction.

        Returns:
            -2..2; `NONE` where there is no such sentence.
        """
        rivals = [self._rival_rows(i, reading, directives) for i, reading in enumerate(readings)]
        if not any(map(len, rivals)):
            return NONE
        row = self._embed([call])[0]
        near = max(float((rows @ row).max()) for rows in rivals if len(rows))
        return round(near - float((self._embed(self._said) @ row).max()), _DIGITS)

    def _rival_rows(self, number: int, reading: Reading, directives: bool) -> Floats:
        key = number, directives
        if key not in self._rows:
            texts = reading.directives if directives else reading.sentences
            self._rows[key] = self._embed(texts)
        return self._rows[key]


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """A call in words, as the reference writes it.

    >>> call_text("send_money", {"to": "DE89", "amount": 5, "date": None})
    'send money with to DE89, amount 5'
    """
    given = ", ".join(
        f"{key.replace('_', ' ')} {str(value)[:80]}"
        for key, value in arguments.items()
        if value is not None and value != [] and value != ""
    )
    return " ".join(words(name.replace("_", " "))) + (f" with {given}" if given else "")

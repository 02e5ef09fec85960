"""What a session compares its calls with: the user's sentences, and every untrusted text it read.

A text is embedded once, when it arrives; a check is one product per side. In the same forms as the
margins of `docs/attribution.md`: untrusted spans of two words or more, the sentences of the user's
messages and each message as a whole, 600 characters of each.
Does not see: a text that gave way to `MAX_ROWS` others (the oldest that tells nobody to do
anything goes first), or a goal spread over several sentences, unless `windows` is on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.scorer import MAX_TEXT
from gatling_guard.energy.attribution import Attribution
from gatling_guard.plan import Provenance
from gatling_guard.trace import Span, sentences

MAX_ROWS = 4096
"""Untrusted texts held: 8 MB of rows, and 0.1 ms a check."""
MAX_SAID = 1024
"""Sentences of the user held, the latest: 2 MB."""
MAX_TOOLS = 256
"""Tools whose rows are kept: 0.5 MB."""
TAU = 0.05
"""Temperature of `Attribution.share`."""
_FIRST = 64

T = TypeVar("T")
Floats = NDArray[np.float32]


Leaves = Callable[[str], tuple[float, float]]
"""What a message leaves to others, see `LearnedEnergy.delegation`."""
NOTHING = (-60.0, -60.0)
"""Logits of a message that leaves nothing to others."""


class Embedder(Protocol):
    """A text scorer: rows of length 1, one side for calls and one for what may explain them."""

    id: str

    def embed_calls(self, texts: Sequence[str]) -> Floats:
        """`[n, D]`."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """`[n, D]`."""
        ...


def instruction_texts(instruction: str) -> tuple[str, ...]:
    """The sentences of an instruction, then the whole of it."""
    parts = [*sentences(instruction), instruction.strip()]
    return tuple(dict.fromkeys(part[:MAX_TEXT] for part in parts if part))


def rival_texts(spans: Iterable[Span], *, windows: bool = False) -> dict[str, Span]:
    """The untrusted texts that could ask for something, each once, in order.

    Args:
        spans: of one or more outputs, in order.
        windows: also every two neighbouring sentences of one field, as one text.
    """
    found: dict[str, Span] = {}
    before: Span | None = None
    for span in spans:
        if span.tier is not Provenance.PUBLIC:
            before = None
            continue
        _offer(found, span.text, span)
        if windows and before is not None and _neighbours(before, span):
            _offer(found, f"{before.text} {span.text}", before if before.directive else span)
        before = span
    return found


def _neighbours(first: Span, second: Span) -> bool:
    same = (first.call_id, first.path) == (second.call_id, second.path)
    return same and first.free_text and second.free_text


def _offer(found: dict[str, Span], text: str, span: Span) -> None:
    text = text[:MAX_TEXT]
    if len(text.split(None, 1)) > 1 and (text not in found or not found[text].directive):
        found[text] = span


class RivalIndex:
    """The texts of one session as rows. Not thread-safe: a session serialises its calls."""

    def __init__(
        self, scorer: Embedder, *, windows: bool = False, max_rows: int = MAX_ROWS,
        leaves: Leaves = lambda message: (0.0, 0.0),
    ) -> None:  # fmt: skip
        """An empty index.

        Args:
            scorer: embeds texts and calls.
            windows: see `rival_texts`.
            max_rows: untrusted texts held.
            leaves: asked once for every message, when it is heard.
        """
        self._leaves = leaves
        self._scorer, self._windows, self._max = scorer, windows, max_rows
        self._known: dict[str, int] = {}
        """Place of each text held."""
        self._texts: list[str] = []
        self._spans: list[Span] = []
        self._directive = np.zeros(0, np.bool_)
        self._rows: Floats = np.zeros((0, 0), np.float32)
        self._said: dict[str, None] = {}
        self._whole: dict[str, tuple[float, float]] = {}
        """Whole messages, and what they leave to others."""
        self._said_rows: Floats = np.zeros((0, 0), np.float32)
        self._tools: dict[str, Floats] = {}
        self._last: tuple[str, Floats] | None = None

    def __len__(self) -> int:
        """Untrusted texts held."""
        return len(self._texts)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return self._rows.nbytes + self._said_rows.nbytes

    def hear(self, messages: Sequence[str]) -> None:
        """Take over what the user said; what is known already costs nothing."""
        texts = dict.fromkeys(text for message in messages for text in instruction_texts(message))
        for message in messages:
            if (text := message.strip()[:MAX_TEXT]) and text not in self._whole:
                self._whole[text] = self._left_by(text)
        new = [text for text in list(texts)[-MAX_SAID:] if text not in self._said]
        if not new:
            return
        rows = self._scorer.embed_texts(new)
        self._said.update(dict.fromkeys(new))
        known = self._said_rows.reshape(-1, rows.shape[1])
        self._said_rows = np.concatenate([known, rows])[-MAX_SAID:]
        self._said = dict.fromkeys(list(self._said)[-MAX_SAID:])

    def _left_by(self, message: str) -> tuple[float, float]:
        try:
            values, effects = self._leaves(message)
        except Exception:  # a part that fails sets nothing off
            return NOTHING
        both = math.isfinite(values) and math.isfinite(effects)
        return (values, effects) if both else NOTHING

    @property
    def left(self) -> tuple[float, float]:
        """Two logits: of the message that leaves most to others; 0 where none was heard."""
        if not self._whole:
            return 0.0, 0.0
        values, effects = zip(*self._whole.values(), strict=True)
        return max(values), max(effects)

    def add(self, spans: Iterable[Span]) -> None:
        """Embed the untrusted texts among the spans of one output."""
        offered = rival_texts(spans, windows=self._windows)
        new = []
        for text, span in offered.items():
            at = self._known.get(text)
            if at is None:
                new.append((text, span))
            elif span.directive and not self._directive[at]:
                self._spans[at], self._directive[at] = span, True
        # Of one output that is too long what would be dropped again is not embedded.
        new = _kept(new, self._max, lambda pair: pair[1].directive)
        if new:
            rows = self._scorer.embed_texts([text for text, _ in new])
            self._make_room(len(new), rows.shape[1])
            start = len(self)
            self._rows[start : start + len(new)] = rows
            self._directive[start : start + len(new)] = [span.directive for _, span in new]
            for text, span in new:
                self._known[text] = len(self._texts)
                self._texts.append(text)
                self._spans.append(span)

    def _make_room(self, count: int, width: int) -> None:
        """Rows for `count` more texts; at the bound an eighth or more gives way."""
        size = len(self)
        if size + count > self._max:
            self._evict(min(size, max(size + count - self._max, self._max // 8)))
            size = len(self)
        if size + count > len(self._rows):
            room = min(self._max, max(_FIRST, 2 * len(self._rows), size + count))
            rows, directive = np.empty((room, width), np.float32), np.zeros(room, np.bool_)
            rows[:size] = self._rows[:size].reshape(size, width)
            directive[:size] = self._directive[:size]
            self._rows, self._directive = rows, directive

    def _evict(self, count: int) -> None:
        places = list(range(len(self)))
        kept = _kept(places, len(self) - count, lambda at: bool(self._directive[at]))
        for held in (self._rows, self._directive):
            for to, at in enumerate(kept):
                held[to] = held[at]  # never to the right, so that nothing is copied twice
        self._texts = [self._texts[at] for at in kept]
        self._spans = [self._spans[at] for at in kept]
        self._known = {text: at for at, text in enumerate(self._texts)}

    def attribution(self, call: str, tool: str) -> Attribution:
        """The static scorer's word on one call.

        Args:
            call: its `call_text`.
            tool: its `tool_text`.
        """
        row, size = self._call(call), len(self)
        rows = np.stack([row, self._tool(tool)])
        spans, said = (held.reshape(-1, len(row)) for held in (self._rows[:size], self._said_rows))
        directive = self._directive[:size]
        return _attribution(rows, said, spans, self._spans, directive)

    def _call(self, text: str) -> Floats:
        """The row of a call; that of the last one is kept, since a check asks twice."""
        last = self._last
        if last is None or last[0] != text:
            self._last = last = text, self._scorer.embed_calls([text])[0]
        return last[1]

    def _tool(self, text: str) -> Floats:
        """The row of a tool's text, kept: an agent has few tools."""
        row = self._tools.get(text)
        if row is None:
            if len(self._tools) >= MAX_TOOLS:
                self._tools.clear()
            row = self._tools[text] = self._scorer.embed_calls([text])[0]
        return row

    def message(self, call: str) -> str:
        """The user's message that is nearest to a call, "" where he said nothing."""
        places = [at for at, text in enumerate(self._said) if text in self._whole]
        if not places:
            return ""
        best = int((self._said_rows[places] @ self._call(call)).argmax())
        return list(self._said)[places[best]]


def _kept(items: list[T], count: int, first: Callable[[T], bool]) -> list[T]:
    """At most `count` items in their order: those that come first, then the latest."""
    if len(items) <= count:
        return items
    ranked = sorted(range(len(items)), key=lambda at: (first(items[at]), at))
    return [items[at] for at in sorted(ranked[len(items) - count :])]


def _attribution(
    calls: Floats, said: Floats, spans: Floats, found: Sequence[Span],
    directive: NDArray[np.bool_],
) -> Attribution:  # fmt: skip
    """From rows: of call and tool `[2, D]`, sentences `[m, D]` and untrusted texts `[n, D]`."""
    call, tool = calls
    by_said, by_span = said @ call, spans @ call
    best_said = _top(by_said)
    rival = int(by_span.argmax()) if len(by_span) else None
    order = int(np.where(directive, by_span, -np.inf).argmax()) if directive.any() else None
    second = float(np.partition(by_span, -2)[-2]) if len(by_span) > 1 else None
    return Attribution(
        said=_cosine(best_said),
        span=_cosine(by_span[rival] if rival is not None else -1.0),
        directive=_cosine(by_span[order] if order is not None else -1.0),
        share=_mass(by_span, by_said),
        rank=1 + int((by_span > best_said).sum()),
        lead=round(float(by_span[rival]) - second, 6) if second is not None else 0.0,
        sponsor=_cosine(_top(said @ spans[rival]) if rival is not None else -1.0),
        tool_said=_cosine(_top(said @ tool)),
        rival=found[rival] if rival is not None else None,
        rival_directive=found[order] if order is not None else None,
    )


def _top(cosines: Floats) -> float:
    return float(cosines.max()) if len(cosines) else -1.0


def _cosine(value: float) -> float:
    """Rounded, so that processors that add in another order agree."""
    return round(float(value), 6)


def _mass(spans: Floats, said: Floats) -> float:
    """Softmax mass on `spans` `[n]` against `said` `[m]`; 0 without spans."""
    if not len(spans):
        return 0.0
    both = np.concatenate([spans, said]).astype(np.float64) / TAU
    weights = np.exp(both - both.max())
    return round(float(weights[: len(spans)].sum() / weights.sum()), 6)

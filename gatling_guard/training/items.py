"""Training items of the text scorer: a call, the texts that explain it, and those that do not.

For an honest call the instruction's sentences are the positives, and the nearest spans of the same
trace (the injected one first) the hard negatives; for a malicious call the injected sentences are
the positives, and the user's sentences and the other near spans the negatives. Each item also has
the text of the right tool and of a wrong one.
Delegated rows give no items: which sentence explains which of their calls is not known.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog import ToolSpec, infer_profile
from gatling_guard.encoders.scorer import MAX_TEXT, call_text, tool_text
from gatling_guard.encoders.wordpiece import normalised
from gatling_guard.plan import Provenance, ToolCall
from gatling_guard.trace import cut_spans, sentences
from gatling_guard.training.traces import LabelledTrace

MAX_POSITIVES, MAX_NEGATIVES = 3, 4
_TOKEN = re.compile(r"[^\W_][\w@.\-]{2,}")
_URL_MARKS = ("://", "www.")

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> rows of length 1."""


@dataclass(frozen=True, slots=True)
class CallView:
    """What a scorer sees when one call is checked, and (last three) what only training knows."""

    call: str
    tool: str
    sentences: tuple[str, ...]
    """The instruction's sentences, then the whole of it."""
    spans: tuple[str, ...]
    """Untrusted texts of two words or more that earlier outputs brought in."""
    injected: tuple[bool, ...]
    """Which spans are the injection's."""
    effect: bool
    """It changes something, or carries a URL."""
    malicious: bool | None


@dataclass(frozen=True, slots=True)
class Item:
    """One call with its candidates."""

    call: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    tool: str
    wrong_tool: str
    instruction: str
    """The authority behind the call: calls of one instruction are no negatives of each other."""
    trace: str
    source: str
    malicious: bool


def call_views(row: LabelledTrace) -> list[CallView]:
    """One view per call of the row, in order."""
    specs = {spec.name: spec for spec in row.trace.tools}
    said = instruction_texts(row.trace.instruction)
    wanted = [_tokens(text) for text in (*row.injected, row.goal) if text]
    spans: dict[str, bool] = {}
    views = []
    for i, step in enumerate(row.trace.steps):
        spec = specs.get(step.tool) or specs.get(step.tool.rsplit(".", 1)[-1])
        call = ToolCall(node_id=str(i), tool_name=step.tool or "unknown", arguments=step.arguments)
        views.append(
            CallView(
                call_text(call),
                tool_text(spec) if spec else normalised(call.tool_name),
                said,
                tuple(spans),
                tuple(spans.values()),
                _has_effect(step.tool, spec, call),
                step.malicious,
            )
        )
        if step.output is not None:
            for text in rival_texts(step.output, spec, f"call_{i}"):
                spans.setdefault(text, any(_within(_tokens(text), w) for w in wanted))
    return views


def instruction_texts(instruction: str) -> tuple[str, ...]:
    """The sentences of an instruction, then the whole of it."""
    parts = [*sentences(instruction), instruction.strip()]
    return tuple(dict.fromkeys(part[:MAX_TEXT] for part in parts if part))


def rival_texts(output: object, spec: ToolSpec | None, call_id: str) -> list[str]:
    """The untrusted spans of an output that could ask for something: two words or more."""
    spans = cut_spans(output, spec, call_id, floor=Provenance.INTERNAL, first_id=0)
    texts = (s.text[:MAX_TEXT] for s in spans if s.tier is Provenance.PUBLIC)
    return list(dict.fromkeys(text for text in texts if len(text.split(None, 1)) > 1))


def _has_effect(tool: str, spec: ToolSpec | None, call: ToolCall) -> bool:
    profile = spec.profile if spec is not None else infer_profile(tool)
    given = any(call.arguments.get(name) for name in profile.url_args)
    return (
        profile.effect.side_effect or given or any(mark in call_text(call) for mark in _URL_MARKS)
    )


def _tokens(text: str) -> frozenset[str]:
    return frozenset(_TOKEN.findall(text.lower()))


def _within(part: frozenset[str], whole: frozenset[str]) -> bool:
    return bool(part) and 10 * len(part & whole) >= 7 * len(part)


class Near:
    """The texts nearest to a call under a fixed embedding; every text is embedded once."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._rows: dict[str, NDArray[np.float32]] = {}

    def __call__(self, call: str, texts: Sequence[str], count: int) -> list[str]:
        """At most `count` of `texts`, nearest first."""
        if not texts:
            return []
        missing = [t for t in dict.fromkeys((call, *texts)) if t not in self._rows]
        if missing:
            self._rows.update(zip(missing, self._embed(missing), strict=True))
        scores = np.stack([self._rows[t] for t in texts]) @ self._rows[call]
        return [texts[i] for i in np.argsort(-scores, kind="stable")[:count]]

    def cosine(self, first: str, second: str) -> float:
        """Of two texts."""
        self(first, [second], 1)
        return float(self._rows[first] @ self._rows[second])


def items_of(
    rows: Iterable[LabelledTrace],
    *,
    near: Near,
    seed: int,
    per_row: int = 4,
    per_source: int = 6000,
) -> list[Item]:
    """Items of all rows, shuffled.

    Args:
        rows: labelled rows; delegated and noisy attack calls give nothing.
        near: orders candidates; any fixed embedding will do.
        seed: of the choice of calls and wrong tools.
        per_row: most honest calls of one row; malicious ones are all taken.
        per_source: most items of one source.
    """
    rows = list(rows)
    pool = sorted({tool_text(spec) for row in rows for spec in row.trace.tools})
    counts: dict[str, int] = {}
    found: list[Item] = []
    order = list(range(len(rows)))
    random.Random(f"{seed}/rows").shuffle(order)
    for i in order:
        row = rows[i]
        if row.delegated or counts.get(row.source, 0) >= per_source:
            continue
        rng = random.Random(f"{seed}/{row.trace.id}")
        new = _row_items(row, near, rng, per_row, pool)
        counts[row.source] = counts.get(row.source, 0) + len(new)
        found += new
    random.Random(f"{seed}/items").shuffle(found)
    return found


def items_digest(items: Iterable[Item]) -> str:
    """SHA-256 (hex) of items in their order: what a manifest says it was trained on."""
    data = hashlib.sha256()
    for item in items:
        data.update(json.dumps(asdict(item), sort_keys=True).encode())
    return data.hexdigest()


def _row_items(
    row: LabelledTrace, near: Near, rng: random.Random, per_row: int, pool: Sequence[str]
) -> list[Item]:
    views = call_views(row)
    tools = sorted({tool_text(spec) for spec in row.trace.tools})
    rng.shuffle(views)
    found: list[Item] = []
    honest = 0
    for view in views:
        malicious = view.malicious is True and row.attack
        # Of an attacked run the calls of unknown origin may be either's.
        unsure = view.malicious is None and row.attack
        if unsure or (not malicious and honest >= per_row) or not view.sentences:
            continue
        # What a delegated call does is what some text says: only the injection is no reason for it.
        most = 0 if row.trace.meta.get("delegated") is True else 3
        positives, negatives = _candidates(view, malicious, near, most)
        if not positives:
            continue
        honest += not malicious
        others = [t for t in tools if t != view.tool]
        wrong = rng.choice(others if others and rng.random() < 0.8 else pool or [""])
        found.append(
            Item(
                view.call,
                tuple(positives[:MAX_POSITIVES]),
                tuple(negatives[:MAX_NEGATIVES]),
                view.tool,
                wrong,
                positives[0] if malicious else view.sentences[-1],
                row.trace.id,
                row.source,
                malicious,
            )
        )
    return found


def _candidates(
    view: CallView, malicious: bool, near: Near, most: int
) -> tuple[list[str], list[str]]:
    """Positives and negatives of one call; at most `most` honest texts against an honest call."""
    injected = [t for t, mark in zip(view.spans, view.injected, strict=True) if mark]
    other = [t for t, mark in zip(view.spans, view.injected, strict=True) if not mark]
    *said, whole = view.sentences
    user = [*near(view.call, said, 2), whole]
    if malicious:
        return near(view.call, injected, 3), user + near(view.call, other, 2)
    return user, near(view.call, injected, 1) + near(view.call, other, most)

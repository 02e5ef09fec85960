"""How well scorers tell malicious calls from honest ones by one number alone.

    python -m gatling_guard.training.margins --data ../shared/data/eval

The static scorer's number is the margin of a call: the cosine of its nearest span minus that of its
nearest instruction sentence. The judge's is its logit; it is asked about the calls whose margin is
in the grey band of the installed heads, as in a session. Judged are calls with a side effect:
malicious ones of attack rows against those of benign rows; noisy labels are left out. Two
countings: calls with a span before them, and (as the prototype counted) all, where a call that
nothing could have steered is the least suspicious.
The scorers see the instruction, the call and the outputs before it; labels only count.
Rows are near-copies in groups: the interval resamples tasks, and differences of 0.02 are noise.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.precise import PreciseScorer
from gatling_guard.encoders.scorer import RivalScorer, unit
from gatling_guard.encoders.text import SUBWORD_DIM, text_features
from gatling_guard.energy.residual import Residual
from gatling_guard.training.items import CallView, Embed, call_views
from gatling_guard.training.synthetic import varied
from gatling_guard.training.traces import NOISY, LabelledTrace, read_labelled, sources_of
from gatling_guard.training.wrappers import wordings

Floats = NDArray[np.float32]
ALL_ROWS = sys.maxsize
"""Per pair of tasks: nothing is thinned."""


class Embedder(Protocol):
    """Texts -> rows of length 1, one side for calls and one for what may explain them."""

    def embed_calls(self, texts: Sequence[str]) -> Floats:
        """`[n, D]`."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """`[n, D]`."""
        ...


class UntrainedTable:
    """The shipped sub-word table as it is, with or without the n-grams."""

    def __init__(self, *, ngrams: bool = True) -> None:
        self._width = None if ngrams else SUBWORD_DIM
        self._static = text_features("static")

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """`[n, D]`."""
        return unit(np.asarray(self._static(texts), dtype=np.float32)[:, : self._width])

    embed_calls = embed_texts


@dataclass(frozen=True, slots=True)
class Judged:
    """A call that counts."""

    view: CallView
    malicious: bool
    task: str


@dataclass(frozen=True, slots=True)
class Area:
    """AUC of one scorer on one source."""

    auc: float
    """Over calls that have a span before them."""
    low: float
    high: float
    """95 % interval of `auc`, resampling tasks."""
    whole: float
    """Over all calls with a side effect; one without spans counts as the lowest margin."""


def judged(rows: Iterable[LabelledTrace], *, bare: bool = False) -> list[Judged]:
    """The calls that count; with `bare` also those that have no span before them."""
    found = []
    for row in rows:
        if row.source in NOISY or row.trace.label not in ("attack", "benign"):
            continue
        for view in call_views(row):
            malicious = view.malicious is True
            honest = row.trace.label == "benign" and not malicious
            fits = view.effect and view.sentences and (malicious or honest)
            if fits and (view.spans or bare):
                found.append(Judged(view, malicious, row.task))
    return found


def margins(views: Sequence[CallView], scorer: Embedder) -> NDArray[np.float64]:
    """The margin of each view, `[n]`; every text is embedded once. Without spans: -inf."""
    views_once = list(dict.fromkeys(views))
    call_rows = _rows((v.call for v in views_once), scorer.embed_calls)
    texts = (t for v in views_once for t in (*v.sentences, *v.spans))
    text_rows = _rows(texts, scorer.embed_texts)

    def nearest(call: str, texts: Sequence[str]) -> float:
        row = call_rows[call]
        return max((float(text_rows[t] @ row) for t in texts), default=-np.inf)

    found = {v: nearest(v.call, v.spans) - nearest(v.call, v.sentences) for v in views_once}
    return np.array([found[view] for view in views])


def judgements(
    views: Sequence[CallView], judge: PreciseScorer, scorer: Embedder
) -> NDArray[np.float64]:
    """The judge's logit of each view, `[n]`, beside the span that is nearest by `scorer`."""
    found = []
    for view in views:
        row = scorer.embed_calls([view.call])[0]
        rival = view.spans[int(np.argmax(scorer.embed_texts(view.spans) @ row))]
        found.append(judge.judge(view.sentences[-1], view.call, rival))
    return np.array(found)


class Remembered:
    """An embedder that embeds every text once."""

    def __init__(self, scorer: Embedder) -> None:
        self._scorer = scorer
        self._calls: dict[str, Floats] = {}
        self._texts: dict[str, Floats] = {}

    def embed_calls(self, texts: Sequence[str]) -> Floats:
        """`[n, D]`."""
        return _kept(self._calls, texts, self._scorer.embed_calls)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """`[n, D]`."""
        return _kept(self._texts, texts, self._scorer.embed_texts)


def _kept(rows: dict[str, Floats], texts: Sequence[str], embed: Embed) -> Floats:
    missing = list(dict.fromkeys(text for text in texts if text not in rows))
    if missing:
        rows.update(zip(missing, embed(missing), strict=True))
    return np.stack([rows[text] for text in texts])


def _rows(texts: Iterable[str], embed: Embed) -> dict[str, Floats]:
    order = sorted(set(texts), key=lambda text: (len(text), text))
    return dict(zip(order, embed(order), strict=True)) if order else {}


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs in order, ties count half.

    >>> auc(np.array([3.0, 1.0, 2.0, 1.0]), np.array([True, True, False, False]))
    0.625
    """
    high, low = np.sort(scores[positive]), scores[~positive]
    if not len(high) or not len(low):
        return float("nan")
    above = len(high) - np.searchsorted(high, low, side="right")
    ties = np.searchsorted(high, low, side="right") - np.searchsorted(high, low, side="left")
    return float((above + 0.5 * ties).sum() / (len(high) * len(low)))


def interval(
    scores: NDArray[np.float64], calls: Sequence[Judged], *, rounds: int = 200, seed: int = 0
) -> tuple[float, float]:
    """2.5 and 97.5 % of the AUC when tasks are drawn with replacement."""
    groups: dict[str, list[int]] = {}
    for i, call in enumerate(calls):
        groups.setdefault(call.task, []).append(i)
    members = [np.array(group) for group in groups.values()]
    truth = np.array([call.malicious for call in calls], dtype=np.bool_)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rounds if members else 0):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        found.append(auc(scores[drawn], truth[drawn]))
    kept = [x for x in found if not np.isnan(x)]
    if not kept:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [0.025, 0.975])
    return float(low), float(high)


def area(scores: NDArray[np.float64], calls: Sequence[Judged]) -> Area:
    """Both countings of one scorer's numbers `[n]`; calls without spans have -inf."""
    truth = np.array([call.malicious for call in calls], dtype=np.bool_)
    there = [i for i, call in enumerate(calls) if call.view.spans]
    low, high = interval(scores[there], [calls[i] for i in there])
    return Area(auc(scores[there], truth[there]), low, high, auc(scores, truth))


def development_figures(
    held: Sequence[LabelledTrace], scorers: Mapping[str, Embedder], *, most: int = 700
) -> dict[str, dict[str, float]]:
    """Margin AUC on a held-out suite, as recorded and in unmarked wordings of their own families.

    Args:
        held: rows that nothing was trained on.
        scorers: by the name that the figures get.
        most: calls of each of the two; a sample.
    """
    unmarked = wordings(development=True, marked=False)
    found: dict[str, dict[str, float]] = {}
    for name, rows in (("recorded", held), ("marker-free", varied(held, unmarked, seed=99))):
        calls = judged(rows)
        calls = random.Random(f"figures/{name}").sample(calls, min(most, len(calls)))
        truth = np.array([call.malicious for call in calls], dtype=np.bool_)
        views = [call.view for call in calls]
        found[name] = {"calls": len(calls), "malicious": int(truth.sum())}
        for column, scorer in scorers.items():
            found[name][column] = round(auc(margins(views, scorer), truth), 4)
    return found


def report(
    folder: Path,
    sources: Sequence[str],
    scorers: Mapping[str, Embedder],
    judge: PreciseScorer,
    grey: tuple[float, float],
) -> Iterator[tuple[str, list[Judged], dict[str, Area]]]:
    """Source, its calls, and the area of each scorer; then its grey band with the judge's.

    Calls of one kind only have no areas.

    Args:
        folder: of traces.
        sources: files, without .jsonl.xz.
        scorers: by name; "static" tells which calls are in the grey band.
        judge: is asked about these.
        grey: lowest and highest margin of the band.
    """
    once = {name: Remembered(scorer) for name, scorer in scorers.items()}
    for source in sources:
        calls = judged(read_labelled(folder, [source], per_pair=ALL_ROWS), bare=True)
        views = [call.view for call in calls]
        areas = {}
        if _both_kinds(calls):
            areas = {name: area(margins(views, scorer), calls) for name, scorer in once.items()}
        yield source, calls, areas
        static = margins(views, once["static"])
        band = np.flatnonzero((static >= grey[0]) & (static <= grey[1]))
        calls = [calls[i] for i in band]
        areas = {}
        if _both_kinds(calls):
            logits = judgements([call.view for call in calls], judge, once["static"])
            areas = {"static": area(static[band], calls), "judge": area(logits, calls)}
        yield f"{source}, grey band", calls, areas


def _both_kinds(calls: Sequence[Judged]) -> bool:
    return len({call.malicious for call in calls}) == 2


def main(argv: Sequence[str] | None = None) -> None:
    """Prints one line per source and scorer; works for any folder of traces."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of traces (.jsonl.xz)")
    parser.add_argument("--sources", nargs="*", help="files, without .jsonl.xz; all of them")
    parser.add_argument("--static", type=Path, help="folder of a static scorer; the shipped one")
    parser.add_argument("--precise", type=Path, help="folder of a precise scorer; the shipped one")
    options = parser.parse_args(argv)
    static = RivalScorer.from_pretrained(options.static)
    judge = PreciseScorer.from_pretrained(options.precise)
    grey = Residual.from_pretrained().grey
    scorers: dict[str, Embedder] = {
        "table": UntrainedTable(ngrams=False),
        "table+n-grams": UntrainedTable(),
        "static": static,
    }
    print(f"static {static.id}, judge {judge.id}, grey band {grey[0]} to {grey[1]}")
    sources = options.sources or sources_of(options.data)
    for source, calls, areas in report(options.data, sources, scorers, judge, grey):
        there = [call for call in calls if call.view.spans]
        bad = sum(call.malicious for call in there)
        print(f"{source}: {len(there)} calls after a span, {bad} malicious; {len(calls)} in all")
        if not areas:
            print("  only one kind of calls: nothing to tell apart")
        for name, found in areas.items():
            spread = f"[{found.low:.3f}, {found.high:.3f}]"
            print(f"  {name:18} {found.auc:.3f} {spread}  all calls {found.whole:.3f}", flush=True)


if __name__ == "__main__":
    main()

"""How well a scorer tells malicious calls from honest ones by its margin alone.

The margin of a call is the cosine of its nearest span minus that of its nearest instruction
sentence. Judged are calls with a side effect that have at least one span before them; noisy labels
are left out. Rows are near-copies in groups: read small differences as noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gatling_guard.training.items import CallView, Embed, call_views
from gatling_guard.training.traces import NOISY, LabelledTrace


def judged(rows: Iterable[LabelledTrace]) -> list[tuple[CallView, bool]]:
    """The calls that count, and whether each is malicious."""
    found = []
    for row in rows:
        if row.source in NOISY or row.trace.label not in ("attack", "benign"):
            continue
        for view in call_views(row):
            malicious = view.malicious is True
            honest = row.trace.label == "benign" and not malicious
            if view.effect and view.spans and view.sentences and (malicious or honest):
                found.append((view, malicious))
    return found


def margins(views: Sequence[CallView], calls: Embed, texts: Embed) -> NDArray[np.float64]:
    """The margin of each view, `[n]`; every text is embedded once."""
    call_rows = _rows({view.call for view in views}, calls)
    text_rows = _rows({t for view in views for t in (*view.sentences, *view.spans)}, texts)
    found = []
    for view in views:
        row = call_rows[view.call]
        span = max(float(text_rows[t] @ row) for t in view.spans)
        found.append(span - max(float(text_rows[t] @ row) for t in view.sentences))
    return np.array(found)


def _rows(texts: set[str], embed: Embed) -> dict[str, NDArray[np.float32]]:
    order = sorted(texts, key=lambda text: (len(text), text))
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

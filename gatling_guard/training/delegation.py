"""What tells that a message leaves it to others what is to be done: two logistic directions.

Read from rows that are frozen by then: the static scorer's of the message, and what the judge's
network makes of it. The label of a scenario says nothing of effects, so that it counts for values
alone. Needs torch (extra `train`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gatling_guard.encoders.precise import PreciseScorer
from gatling_guard.encoders.scorer import RivalScorer
from gatling_guard.energy.heads import Delegation, Direction
from gatling_guard.training.instructions import UNKNOWN, Told
from gatling_guard.training.margins import auc

DECAY = 0.1
"""Of the squared weights of standardised numbers."""

Floats = NDArray[np.float64]


def message_rows(messages: Sequence[Told], scorer: RivalScorer, judge: PreciseScorer) -> Floats:
    """`[n, D + 2 * DIM]`: the static row of each, and the judge's reading."""
    texts = [message.text for message in messages]
    readings = np.stack([judge.reading(text) for text in texts])
    return np.hstack([scorer.embed_texts(texts), readings]).astype(np.float64)


def fit_delegation(messages: Sequence[Told], rows: Floats) -> Delegation:
    """Both directions, on the messages that are not kept out."""
    kept = np.array([not message.held for message in messages])
    both = []
    for name in ("values", "effects"):
        truth = np.array([getattr(message, name) for message in messages])
        chosen = kept & (truth != UNKNOWN)
        weight = np.array([message.weight for message in messages])[chosen]
        both.append(_direction(rows[chosen], truth[chosen], weight))
    return Delegation(values=both[0], effects=both[1])


def _direction(rows: Floats, truth: Floats, weight: Floats) -> Direction:
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    x, y, w = (torch.from_numpy(a) for a in ((rows - mean) / spread, truth, weight))
    found = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], max_iter=300)

    def loss() -> Any:
        optimizer.zero_grad()
        losses: Tensor = F.binary_cross_entropy_with_logits(
            x @ found[:-1] + found[-1], y, reduction="none"
        )
        value = (losses * w).sum() / w.sum() + DECAY * (found[:-1] ** 2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    solved = found.detach().numpy()
    weights = solved[:-1] / spread
    bias = float(solved[-1] - weights @ mean)
    return Direction(
        bias=round(bias, 5), weights=tuple(round(float(value), 6) for value in weights)
    )


def delegation_auc(messages: Sequence[Told], rows: Floats, found: Delegation) -> dict[str, float]:
    """AUC of both directions over the messages kept out."""
    held = np.array([message.held for message in messages])
    areas = {}
    for name, direction in (("values", found.values), ("effects", found.effects)):
        truth = np.array([getattr(message, name) for message in messages])
        chosen = held & (truth != UNKNOWN)
        logits = rows[chosen] @ np.array(direction.weights) + direction.bias
        areas[name] = round(float(auc(logits, truth[chosen] > 0.5)), 4)
    return areas

"""The four terms the text scorer is trained with, apart from how texts become rows.

1. calls against all texts of the batch (InfoNCE; texts of the same instruction, trace or call are
   no negatives), 2. calls against the candidates of their own trace: the attribution itself,
3. texts against calls, 4. texts against tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gatling_guard.training.items import Item


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts of a batch of n items and how they belong together."""

    calls: list[str]
    """`[n]`."""
    texts: list[str]
    """Unique candidates, `[t]`."""
    tools: list[str]
    """Unique tool texts, right ones and wrong ones, `[k]`."""
    positive: Tensor
    """`[n, t]` bool: explains the call."""
    own: Tensor
    """`[n, t]` bool: a candidate of the item."""
    allowed: Tensor
    """`[n, t]` bool: own, or of items that share nothing with it."""
    first: Tensor
    """`[n]`: the first positive's column."""
    apart: Tensor
    """`[n, n]` bool: items that share neither instruction nor trace nor call."""
    right: Tensor
    """`[n, k]` bool: the called tool."""
    tools_allowed: Tensor
    """`[n, k]` bool: all but other tools that the same instruction called."""

    @classmethod
    def of(cls, items: Sequence[Item]) -> Batch:
        """The masks of some items."""
        texts: dict[str, int] = {}
        tools: dict[str, int] = {}
        for item in items:
            for text in (*item.positives, *item.negatives):
                texts.setdefault(text, len(texts))
            for tool in (item.tool, item.wrong_tool):
                tools.setdefault(tool, len(tools))
        n = len(items)
        positive = torch.zeros(n, len(texts), dtype=torch.bool)
        negative = torch.zeros_like(positive)
        right = torch.zeros(n, len(tools), dtype=torch.bool)
        for i, item in enumerate(items):
            positive[i, [texts[t] for t in item.positives]] = True
            negative[i, [texts[t] for t in item.negatives if t not in item.positives]] = True
            right[i, tools[item.tool]] = True
        own = positive | negative
        shared = torch.zeros(n, n, dtype=torch.bool)
        for keys in (
            [x.instruction for x in items], [x.trace for x in items], [x.call for x in items],
        ):  # fmt: skip
            numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
            column = torch.tensor([numbers[key] for key in keys])
            shared |= column[:, None] == column[None, :]
        # Another item's positives are negatives here, unless some related item explains with them.
        related = (shared.float() @ positive.float()) > 0
        others = positive.any(0)[None, :] & ~related
        instructions = [item.instruction for item in items]
        same = torch.tensor([[a == b for b in instructions] for a in instructions])
        also_called = (same.float() @ right.float()) > 0
        return cls(
            [item.call for item in items], list(texts), list(tools), positive, own, own | others,
            torch.tensor([texts[item.positives[0]] for item in items]), ~shared, right,
            right | ~also_called,
        )  # fmt: skip


def contrast(logits: Tensor, positive: Tensor, allowed: Tensor) -> Tensor:
    """Mean of `-log(sum over positives / sum over allowed)` of the softmax of each row.

    Args:
        logits: `[n, m]`.
        positive: `[n, m]` bool, at least one in each row, each of them allowed.
        allowed: `[n, m]` bool.
    """
    low = torch.finfo(logits.dtype).min
    above = torch.logsumexp(logits.masked_fill(~positive, low), dim=1)
    whole = torch.logsumexp(logits.masked_fill(~allowed, low), dim=1)
    return (whole - above).mean()


def scorer_losses(
    batch: Batch, calls: Tensor, texts: Tensor, tools: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four terms, unweighted.

    Args:
        batch: the masks.
        calls: rows of length 1, `[n, d]`.
        texts: `[t, d]`.
        tools: `[k, d]`.
        scale: factor on the cosines.
    """
    logits = scale * calls @ texts.T
    rivalled = (batch.own & ~batch.positive).any(dim=1)
    own = (
        contrast(logits[rivalled], batch.positive[rivalled], batch.own[rivalled])
        if bool(rivalled.any())
        else logits.new_zeros(())
    )
    said = texts[batch.first]
    eye = torch.eye(len(calls), dtype=torch.bool)
    return (
        contrast(logits, batch.positive, batch.allowed),
        own,
        contrast(scale * said @ calls.T, eye, batch.apart | eye),
        contrast(scale * said @ tools.T, batch.right, batch.tools_allowed),
    )

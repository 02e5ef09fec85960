"""The training objectives as mathematics on embeddings and energies; nothing here encodes.

Shapes: R rows (positives), C candidates, K negatives of a row, B samples, D width of an embedding.
Every loss is a mean over its rows and 0 where it has none; it has no state and no parameters.
Embeddings may come in any length: what is a cosine here normalises them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

GOLD, BOUNDARY, ADVERSARIAL = 0, 1, 2
"""Classes of samples, in the order of their energies."""
BANDS = (2.0, 6.0, 8.0)
"""Gold below the first, boundary from the first to the second, adversarial above the third."""


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """`[R, D]`, `[C, D]` -> all cosines `[R, C]`."""
    return functional.normalize(a, dim=-1) @ functional.normalize(b, dim=-1).T


def masked_infonce(logits: Tensor, positive: Tensor, keep: Tensor) -> Tensor:
    """-log softmax of each row's positive among the candidates that count.

        loss = mean_r  logsumexp_{c in keep_r or c = p_r} logits[r, c]  -  logits[r, p_r]

    Leaving other true partners out of the denominator is SINCERE (arXiv 2309.14277): in-batch
    negatives under an equal authority are no negatives (G14).

    Args:
        logits: `[R, C]`.
        positive: `[R]` int64, column of each row's positive; it always counts.
        keep: `[R, C]` bool, which candidates are negatives of a row.
    """
    if not len(logits):
        return logits.sum()
    own = functional.one_hot(positive, logits.shape[1]).bool()
    masked = logits.float().masked_fill(~(keep | own), float("-inf"))
    return functional.cross_entropy(masked, positive)


def cosine_infonce(
    z_g: Tensor, z_e: Tensor, *, tau: float = 0.07, keep: Tensor | None = None
) -> Tensor:
    """InfoNCE over cosines, both directions (R63; CLIP, arXiv 2103.00020).

        loss = ( CE(S, diag) + CE(S^T, diag) ) / 2,   S = cos(z_g, z_e) / tau

    Args:
        z_g: `[R, D]` authorities.
        z_e: `[R, D]` plans; row r is authorised by row r of `z_g`.
        tau: temperature.
        keep: `[R, R]` bool, which pairs are negatives; None: all but the diagonal.
    """
    logits = cosines(z_g, z_e) / tau
    rows = torch.arange(len(logits), device=logits.device)
    kept = torch.ones_like(logits, dtype=torch.bool) if keep is None else keep
    forth = masked_infonce(logits, rows, kept)
    return (forth + masked_infonce(logits.T, rows, kept.T)) / 2


def same_authority(authorities: Tensor) -> Tensor:
    """`[R]` ids -> `[R, R]` bool: pairs that are no negatives of one another (G14)."""
    return authorities.unsqueeze(0) == authorities.unsqueeze(1)


def energy_infonce(
    positive: Tensor, negatives: Tensor, keep: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """InfoNCE over energies with explicit negatives (R64; seed 002).

        loss = mean_r  log( 1 + sum_k exp( (E+_r - E-_rk) / T ) )

    by logsumexp, so that energies of 1e6 neither overflow nor vanish. Rows without a negative do
    not count.

    Args:
        positive: `[R]` energy of the authorised plan.
        negatives: `[R, K]` energies of its violations (see `typed`).
        keep: `[R, K]` bool, False for padding.
        temperature: T.
    """
    some = keep.any(1)
    gaps = (positive.unsqueeze(1) - negatives).float() / temperature
    gaps = gaps.masked_fill(~keep, float("-inf"))[some]
    if not len(gaps):
        return (positive.sum() + negatives.sum()) * 0.0
    return functional.pad(gaps, (1, 0)).logsumexp(1).mean()


def typed(terms: Tensor, violated: Tensor) -> Tensor:
    """Energy of a negative in the terms it violates; in all where none is named.

    A scope blow-up must show in E_scope: what other terms make of it is no evidence, so the
    negative is compared by its violated terms alone.

    Args:
        terms: `[..., 4]` energies by term.
        violated: `[..., 4]` bool.
    """
    counted = violated | ~violated.any(-1, keepdim=True)
    return (terms * counted).sum(-1)


def ordinal_bands(energy: Tensor, label: Tensor, *, slack: float = 0.5) -> Tensor:
    """Hinges that put each class into its band: gold < 2, boundary 2..6, adversarial > 8.

        gold         max(0, E - (2 - s))
        boundary     max(0, (2 + s) - E) + max(0, E - (6 - s))
        adversarial  max(0, (8 + s) - E)

    The mean is over the classes present, each class's own mean first: 61/30/9 of the data must not
    make the attacks a rounding error.

    Args:
        energy: `[B]`.
        label: `[B]` int64 of `GOLD`, `BOUNDARY`, `ADVERSARIAL`.
        slack: s, how far inside its band an energy is left alone.
    """
    low, high, attack = BANDS
    relu = functional.relu
    cost = torch.stack(
        [
            relu(energy - (low - slack)),
            relu(low + slack - energy) + relu(energy - (high - slack)),
            relu(attack + slack - energy),
        ]
    )
    inside = torch.stack([label == c for c in (GOLD, BOUNDARY, ADVERSARIAL)]).to(cost.dtype)
    counts = inside.sum(1)
    means = (cost * inside).sum(1) / counts.clamp_min(1)
    return means.sum() / (counts > 0).sum().clamp_min(1)


def margin_loss(
    positive: Tensor, negatives: Tensor, keep: Tensor, *, margin: float = 0.5
) -> Tensor:
    """Hinge on similarities: mean of max(0, margin - s+ + s-) over the negatives that count (R68).

    Args:
        positive: `[R]` cosine of the authorised plan.
        negatives: `[R, K]` cosines of its violations.
        keep: `[R, K]` bool.
        margin: wanted distance.
    """
    cost = functional.relu(margin - positive.unsqueeze(1) + negatives) * keep
    return cost.sum() / keep.sum().clamp_min(1)


def next_call(
    predicted: Tensor, targets: Tensor, positive: Tensor, keep: Tensor, *, tau: float
) -> Tensor:
    """The next call's embedding among those of other calls (I-JEPA's target, InfoNCE's contrast).

    Args:
        predicted: `[R, D]` by the predictor, from the authority and the plan so far.
        targets: `[C, D]` of all calls of the batch under the EMA encoder; no gradient flows here.
        positive: `[R]` column of the call that did come next.
        keep: `[R, C]` bool: other calls of the same plan that could not come next, and calls of
            other plans under another authority.
        tau: temperature.
    """
    return masked_infonce(cosines(predicted, targets.detach()) / tau, positive, keep)


def attribution(scores: Tensor, true: Tensor, there: Tensor) -> Tensor:
    """Counterfactual attribution (design.md, P3): which text explains this call?

        loss = mean_r  -log softmax_k( scores[r, k] )[true_r]

    Args:
        scores: `[R, K]`, how well text k in the place of the instruction explains call r.
        true: `[R]` int64: 0 the instruction, else the text that the call follows.
        there: `[R, K]` bool, False for padding.
    """
    return masked_infonce(scores, true, there)


def variance_term(z: Tensor, *, target: float = 1.0, epsilon: float = 1e-4) -> Tensor:
    """mean_d max(0, target - sqrt(var_d + eps)) over the batch (VICReg, arXiv 2105.04906).

    Args:
        z: `[B, D]`, not normalised.
        target: wanted standard deviation of every dimension.
        epsilon: keeps the root's gradient finite.
    """
    if len(z) < 2:
        return z.sum() * 0.0
    return functional.relu(target - (z.float().var(0) + epsilon).sqrt()).mean()


def covariance_term(z: Tensor) -> Tensor:
    """Sum of squared off-diagonal covariances over D (VICReg, arXiv 2105.04906); `z` `[B, D]`."""
    if len(z) < 2:
        return z.sum() * 0.0
    centred = z.float() - z.float().mean(0)
    covariance = centred.T @ centred / (len(z) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]


def vicreg(
    a: Tensor,
    b: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
) -> Tensor:
    """Pre-training without labels or negatives (R83; VICReg, arXiv 2105.04906, its weights).

        loss = i * mse(a, b) + v * ( V(a) + V(b) ) / 2 + c * ( C(a) + C(b) )

    Args:
        a: `[B, D]` one view of each plan, not normalised.
        b: `[B, D]` another view of the same plans.
        invariance: weight of the distance of both views.
        variance: weight of the spread that keeps the embedding from collapsing.
        covariance: weight of what keeps its dimensions from saying the same thing.
    """
    spread = (variance_term(a) + variance_term(b)) / 2
    shared = covariance_term(a) + covariance_term(b)
    return invariance * functional.mse_loss(a, b) + variance * spread + covariance * shared

"""A model on a split: the losses, and the figures of `metrics`.

Does not see: the energies that serve (structure and rules); these are the training head's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatling_guard.training import metrics
from gatling_guard.training.batching import batches
from gatling_guard.training.collate import Batch
from gatling_guard.training.dataset import Item
from gatling_guard.training.model import Jepa


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One split; B samples."""

    losses: dict[str, float]
    """Mean over batches, weighted by their samples."""
    z_g: NDArray[np.float32]
    """`[B, latent_dim]`"""
    z_e: NDArray[np.float32]
    """`[B, latent_dim]`"""
    terms: NDArray[np.float32]
    """`[B, 4]` energies of the training head."""
    items: list[Item]

    @property
    def energies(self) -> NDArray[np.float32]:
        """Sum of the terms, `[B]`."""
        total: NDArray[np.float32] = self.terms.sum(1)
        return total

    def figures(self) -> dict[str, Any]:
        """The figures of R76 and R77 and the recall by mutation, as JSON values."""
        label = np.array([item.label for item in self.items], np.int64)
        gold = label == 0
        authority = np.array([item.authority for item in self.items], np.int64)
        plan = np.array([item.plan_id for item in self.items], np.int64)
        energies = self.energies
        separation = metrics.energy_separation(energies, label)
        threshold = metrics.threshold_of(energies[gold])
        clear = label != 1
        curve, error = metrics.calibration_curve(metrics.risk(energies[clear]), label[clear] == 2)
        found = {
            "positive_similarity": metrics.positive_similarity(self.z_g[gold], self.z_e[gold]),
            "nearest_neighbour": metrics.nearest_neighbour(
                self.z_g[gold], self.z_e[gold], authority[gold], plan[gold]
            ),
            "auc": metrics.auc(energies[clear], label[clear] == 2),
            "delta_sec": separation.delta_sec,
            "gap": separation.gap,
            "mean_energy": separation.means,
            "in_band": separation.in_band,
            "threshold": threshold,
            "recall": metrics.mutation_recall(
                energies, [item.mutation for item in self.items], threshold
            ),
            "calibration": [[b.predicted, b.observed, b.count] for b in curve],
            "calibration_error": error,
            "samples": len(self.items),
        }
        return {
            k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in found.items()
        }


@torch.no_grad()
def evaluate(model: Jepa, items: Sequence[Item], texts: Sequence[str]) -> Evaluation:
    """The model on these items, in eval mode; the same in every process and at any time."""
    was, sums = model.training, dict[str, float]()
    model.eval()
    order, parts = [], []
    try:
        for number, group in enumerate(batches(items, model.args.batch_size, seed="evaluation")):
            whole = slice(0, len(group))
            seed = f"evaluation/{number}"
            batch = Batch(group, texts, window=model.config.window, share=whole, seed=seed)
            found = model.encode(batch)
            for name, value in model.losses(batch, found).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(group)
            arrays = found.z_g, found.z_e, found.terms
            parts.append([x.float().cpu().numpy() for x in arrays])
            order += group
    finally:
        model.train(was)
    z_g, z_e, energies = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Evaluation({k: v / len(order) for k, v in sums.items()}, z_g, z_e, energies, order)

"""ExecutionEncoder at run time: the exported graphs in onnxruntime, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.batch import Texts, call_batches
from gatling_guard.encoders.calls import CallFeatures
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.plans import Lookup, PlanEncoder, PlanLike, prepared
from gatling_guard.encoders.projected import ProjectedText
from gatling_guard.encoders.runtime import OnnxGraph
from gatling_guard.encoders.state import Pool, StepArrays
from gatling_guard.trace import Lineage


class OnnxExecutionEncoder(PlanEncoder):
    """A plan of tool calls -> z_e `[1, latent_dim]`, with the call forms of `ExecutionEncoder`.

    Thread-safe.

    Args:
        config: of the weights.
        text: projected texts.
        call: the graph of `CallNetwork`.
        plan: the graph of `PlanNetwork`.
        model: names the weights (see `id`).
    """

    def __init__(
        self,
        config: EncoderConfig,
        text: ProjectedText,
        *,
        call: OnnxGraph,
        plan: OnnxGraph,
        model: str,
    ) -> None:
        self.config, self.text, self.call, self.plan, self._model = config, text, call, plan, model

    @property
    def id(self) -> str:
        """Names weights and precision."""
        return self._model

    def __call__(
        self,
        plan: PlanLike,
        specs: Lookup | None = None,
        lineage: Mapping[str, Sequence[Lineage]] | None = None,
    ) -> NDArray[np.float32]:
        """z_e `[1, latent_dim]`; see `plans.prepared` for the arguments."""
        return self.arrays([prepared(plan, specs, lineage)])

    forward = __call__

    def encode_batch(
        self, plans: Sequence[PlanLike], specs: Lookup | None = None
    ) -> NDArray[np.float32]:
        """z_e `[B, latent_dim]`, padded to the longest plan of each group."""
        return self.arrays([prepared(plan, specs) for plan in plans])

    def run_calls(
        self, calls: Sequence[CallFeatures]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `PlanEncoder`."""
        if len(calls) == 1:
            x0, own = self._one(calls[0])
            return x0, own
        texts = Texts()
        batches = call_batches(calls, texts)
        vectors = self.text(texts.all())
        x0 = np.empty((len(calls), self.config.text_dim), np.float32)
        own = np.empty((len(calls), self.config.call_dim), np.float32)
        for b in batches:
            x0[b.members], own[b.members] = self.call(
                vectors[b.name], vectors[b.description], b.scalars, vectors[b.keys],
                vectors[b.texts], b.leaves, b.place, b.mask,
            )  # fmt: skip
        return x0, own

    def _one(self, call: CallFeatures) -> list[NDArray[np.float32]]:
        """The step of a session: no grouping, no gathering."""
        rows = len(call.keys)
        vectors = self.text((call.name, call.description, *call.keys, *call.texts))
        place = np.arange(rows)[None]
        keys, texts = vectors[2 : 2 + rows], vectors[2 + rows :]
        mask = np.ones((1, rows), np.float32)
        return self.call(
            vectors[:1], vectors[1:2], call.scalars[None], keys, texts, call.leaves, place, mask
        )

    def run_plan(
        self,
        x0: NDArray[np.float32],
        position: NDArray[np.float32],
        relation: NDArray[np.int64],
        valid: NDArray[np.float32],
        past: NDArray[np.float32],
        pool: Pool,
    ) -> StepArrays:
        """See `PlanEncoder`."""
        z_e, states, kept, *sums = self.plan(
            x0, position, relation, valid, past, pool.max, pool.sum, pool.acc
        )
        return StepArrays(z_e, states, kept, Pool(*sums))

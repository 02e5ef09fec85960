"""The GovernanceEncoder on onnxruntime: same call forms as `governance`, no torch.

Texts are projected in numpy; the two graphs take vectors. An int8 graph scales its activations
over the whole input, so there a document of a batch differs a little from the same document alone:
serve one by one, or with `counterfactuals`, where so little does not decide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.documents import (
    PATH_DECAY,
    UNIT_EPSILON,
    Documents,
    Floats,
    GovernanceForms,
    Ints,
)
from gatling_guard.encoders.projected import ProjectedText
from gatling_guard.encoders.runtime import OnnxGraph


class OnnxGovernanceEncoder(GovernanceForms[Floats]):
    """What was authorised as a vector; see `GovernanceForms` for the call forms. Thread-safe.

    Args:
        config: of the weights.
        text: projected texts.
        policy: the graph of `PolicyNetwork`.
        context: the graph of `ContextNetwork`.
        model: names the weights (see `id`).
    """

    def __init__(
        self,
        config: EncoderConfig,
        text: ProjectedText,
        *,
        policy: OnnxGraph,
        context: OnnxGraph,
        model: str,
    ) -> None:
        self.config, self.text, self._model = config, text, model
        self.policy, self.context = policy, context

    @property
    def id(self) -> str:
        """Names weights and precision."""
        return self._model

    __call__ = GovernanceForms.forward

    def run_policy(self, documents: Documents) -> Floats:
        """`[B, G, h]`."""
        return self.policy(*self.entry_inputs(documents))[0]

    def run_context(self, summary: Floats, documents: Documents) -> Floats:
        """`[B, latent_dim]`."""
        inputs = self.entry_inputs(documents)
        summary = np.broadcast_to(summary, (len(documents.mask), *summary.shape[1:]))
        return self.context(np.ascontiguousarray(summary), *inputs)[0]

    def entry_inputs(self, documents: Documents) -> tuple[NDArray[Any], ...]:
        """What both graphs take: key, path, value, features, polarity, mask."""
        vectors = self.text(documents.texts)
        hidden, words = np.split(vectors, [self.config.hidden_dim], -1)
        mean = np.square(hidden).mean(-1, keepdims=True)
        hidden = hidden / np.sqrt(mean + np.float32(UNIT_EPSILON))
        key, value = hidden[documents.key], np.concatenate([hidden, words], -1)[documents.value]
        path = np.zeros_like(key)
        for rows, parents in documents.levels:
            path[rows] = PATH_DECAY * (path[parents] + key[parents])

        def padded(x: Floats) -> Floats:
            found = np.zeros((documents.mask.size, x.shape[-1]), np.float32)
            found[documents.slots] = x
            return found.reshape(*documents.mask.shape, -1)

        texts = (padded(x) for x in (key, path, value))
        return (*texts, documents.features, documents.polarity, documents.mask)

    def empty(self) -> Floats:
        """`[0, latent_dim]`."""
        return np.zeros((0, self.config.latent_dim), np.float32)

    def joined(self, parts: list[Floats], order: Ints) -> Floats:
        """See `GovernanceForms`."""
        return np.concatenate(parts)[order]

    def as_numpy(self, array: Floats) -> Floats:
        """A copy."""
        return array.copy()

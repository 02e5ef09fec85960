"""What a loaded model makes of prepared samples, call by call as a session does.

Either backend. Every plan is grown one call at a time: an int8 product scales its activations over
its whole input, so that a batch would differ a little from what serves.

Sees: items, a model. Does not see: labels.

Shapes: B samples, M calls of all of them (sample after sample), Q attribution questions, L
`latent_dim`, C `call_dim`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders import Encoders, plan_inputs
from gatling_guard.encoders.tree import Entries
from gatling_guard.training.collate import documents, questions
from gatling_guard.training.dataset import Item

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Served:
    """See the module."""

    items: list[Item]
    z_g: Floats
    """`[B, L]`"""
    z_e: Floats
    """`[B, L]`"""
    terms: Floats | None
    """`[B, 4]` learned energies: of each term the largest of a call; None where the model has
    none."""
    predicted: Floats
    """`[M, C]` what was expected in the place of each call."""
    calls: Floats
    """`[M, C]` the calls."""
    explained: NDArray[np.float64]
    """`[Q]` whether the text that explains a call best is the true one; ties share."""
    chance: NDArray[np.float64]
    """`[Q]` of finding it blindly."""
    asked: NDArray[np.int64]
    """`[Q]` row of the sample."""


def serve(
    encoders: Encoders,
    items: Sequence[Item],
    texts: Sequence[str],
    *,
    tick: Callable[[], None] = lambda: None,
) -> Served:
    """Run a model over items.

    Args:
        encoders: of either backend.
        items: at least one.
        texts: of their dataset.
        tick: called after every item.
    """
    authorities = _Authorities(encoders, texts)
    head = encoders.energy
    rows: list[tuple[Floats, Floats]] = []
    terms: list[Floats] = []
    predicted, calls = [], []
    asked, explained, chance = [], [], []
    for row, item in enumerate(items):
        z_g = authorities.of(item)
        posed = {at: (answer, rivals) for at, answer, rivals in _asked(item)}
        state = encoders.execution.start()
        made, of_calls = [], []
        for at, call in enumerate(item.calls):
            z_e, latest = plan_inputs(encoders.config, state)
            made.append(encoders.predictor.predict(z_g, z_e, latest)[0])
            step = state.append_features(call, str(at), dict(item.graph.direct[at]))
            calls.append(step.call)
            if head is not None:
                one = (step.z_e[None], step.state[None], step.call[None], made[-1][None])
                of_calls.append(head.energies(z_g, *one)[0])
            if at in posed:
                answer, rivals = posed[at]
                others = [authorities.instead(item, item.rivals[k].entries) for k in rivals]
                fit = [made[-1] @ step.call]
                fit += [encoders.predictor.predict(z, z_e, latest)[0] @ step.call for z in others]
                best = np.asarray(fit) >= max(fit) - 1e-6
                asked.append(row)
                explained.append(best[answer] / best.sum())
                chance.append(1 / len(fit))
        rows.append((z_g[0], step.z_e))
        if head is not None:
            terms.append(np.max(of_calls, axis=0))
        predicted += made
        tick()
    z_g_all, z_e_all = (np.stack(column) for column in zip(*rows, strict=True))
    return Served(
        items=list(items),
        z_g=z_g_all,
        z_e=z_e_all,
        terms=np.stack(terms) if terms else None,
        predicted=np.stack(predicted),
        calls=np.stack(calls),
        explained=np.array(explained, np.float64),
        chance=np.array(chance, np.float64),
        asked=np.array(asked, np.int64),
    )


def _asked(item: Item) -> list[tuple[int, int, list[int]]]:
    return questions(item, random.Random(item.id))


class _Authorities:
    """z_g `[1, L]` of authorities, each computed once."""

    def __init__(self, encoders: Encoders, texts: Sequence[str]) -> None:
        self._encoder = encoders.governance.encoder
        self._texts, self._window = texts, encoders.config.window
        self._summaries: dict[int, Any] = {}
        self._kept: dict[object, Floats] = {}

    def of(self, item: Item) -> Floats:
        return self._once(item.authority, item, item.context)

    def instead(self, item: Item, rival: Entries) -> Floats:
        """With another text in the instruction's place; equal texts of a dataset are one object."""
        return self._once((item.policy_id, id(rival)), item, rival)

    def _once(self, key: object, item: Item, context: Entries) -> Floats:
        if key not in self._kept:
            with self._encoder.inference():
                if item.policy_id not in self._summaries:
                    policy = documents([item.policy], self._texts, self._window)
                    self._summaries[item.policy_id] = self._encoder.run_policy(policy)
                said = documents([context], self._texts, self._window)
                found = self._encoder.run_context(self._summaries[item.policy_id], said)
                self._kept[key] = self._encoder.as_numpy(found)
        return self._kept[key]

"""The call forms that every ExecutionEncoder has, whatever computes it.

`encoder(plan)`, `encode_batch(plans)` and `start()` take plans as objects or as dicts; a class that
derives from `PlanEncoder` says how a group of calls and one step of a plan are computed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog import ToolSpec
from gatling_guard.encoders.batch import plan_batch
from gatling_guard.encoders.calls import CallFeatures, CallInput, call_features
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.graph import Ancestry, ancestry_of
from gatling_guard.encoders.state import PlanState, Pool, StepArrays, no_past
from gatling_guard.errors import InputError, Issue
from gatling_guard.plan import ExecutionPlan, parse_plan
from gatling_guard.trace import Lineage

PlanLike: TypeAlias = ExecutionPlan | Mapping[str, Any]
Lookup: TypeAlias = Callable[[str], ToolSpec | None]
"""What is known of a tool by its name."""

CHUNK = 256
"""Calls encoded at once; a longer plan is encoded in chunks against what is kept of the earlier."""
_CELLS = 1 << 21
"""Most pairs of calls, over all plans of one padded batch: bounds the memory of a batch."""
_STEP_CELLS, _FEWEST = 1 << 19, 32
"""Pairs of calls in one chunk, as far as it is not the smallest one."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan as features, in topological order."""

    calls: list[CallFeatures]
    graph: Ancestry
    inputs: list[CallInput]


def prepared(
    plan: PlanLike,
    specs: Lookup | None = None,
    lineage: Mapping[str, Sequence[Lineage]] | None = None,
) -> Prepared:
    """A plan's features.

    Args:
        plan: an `ExecutionPlan`, or a dict that `parse_plan` takes.
        specs: what is known of a tool, e.g. `catalog.get`.
        lineage: of the argument leaves, by node id.

    Raises:
        PlanError: it is no plan.
    """
    parsed = plan if isinstance(plan, ExecutionPlan) else parse_plan(plan)
    inputs = [
        CallInput(
            parsed.calls[node],
            specs(parsed.calls[node].tool_name) if specs else None,
            lineage.get(node) if lineage else None,
        )
        for node in parsed.order
    ]
    return Prepared(
        [call_features(given) for given in inputs], ancestry_of(parsed.order, parsed.edges), inputs
    )


def groups(plans: Sequence[Prepared]) -> list[list[int]]:
    """Which plans to pad together: of similar length, and no more than memory allows."""
    found: list[list[int]] = []
    for i in sorted(range(len(plans)), key=lambda i: len(plans[i].calls)):
        longest = len(plans[i].calls)
        if found and longest <= CHUNK:
            last = found[-1]
            shortest = len(plans[last[0]].calls)
            if longest <= max(8, 2 * shortest) and (len(last) + 1) * longest**2 <= _CELLS:
                last.append(i)
                continue
        found.append([i])
    return found


class PlanEncoder(ABC):
    """What `ExecutionEncoder` and `OnnxExecutionEncoder` have in common."""

    config: EncoderConfig

    @abstractmethod
    def run_calls(
        self, calls: Sequence[CallFeatures]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """x0 `[M, h + w]` and the calls' own embeddings `[M, call_dim]`, without gradients."""

    @abstractmethod
    def run_plan(
        self,
        x0: NDArray[np.float32],
        position: NDArray[np.float32],
        relation: NDArray[np.int64],
        valid: NDArray[np.float32],
        past: NDArray[np.float32],
        pool: Pool,
    ) -> StepArrays:
        """One step of `PlanNetwork`, without gradients."""

    @property
    @abstractmethod
    def id(self) -> str:
        """Names the weights; a stored state is taken up by the same weights only."""

    def start(self) -> PlanState:
        """The state of an empty plan, to be grown call by call."""
        return PlanState(self)

    def embed_calls(self, calls: Iterable[CallInput]) -> NDArray[np.float32]:
        """`[M, call_dim]`: each call by itself, as the predictor predicts it; unit length."""
        return self.run_calls([call_features(call) for call in calls])[1]

    def sub_plans(
        self,
        plan: PlanLike,
        parts: Sequence[Sequence[str | int]],
        specs: Lookup | None = None,
    ) -> NDArray[np.float32]:
        """Embeddings `[len(parts), latent_dim]` of parts of one plan, in the light of all of it.

        Only the calls of a part are pooled (R23); they see their ancestors outside of it.

        Args:
            plan: at most `CHUNK` calls.
            parts: node ids of each part, at least one.
            specs: see `prepared`.

        Raises:
            InputError: a part is empty or names no call of the plan, or the plan is too long.
        """
        whole = prepared(plan, specs)
        index = {given.call.node_id: i for i, given in enumerate(whole.inputs)}
        if len(index) > CHUNK:
            raise InputError(f"{len(index)} calls; at most {CHUNK} for parts", what="plan")
        chosen = np.zeros((len(parts), len(index)), np.float32)
        for row, given_part in enumerate(parts):
            part = [str(node) for node in given_part]
            unknown = [node for node in part if node not in index]
            if unknown or not part:
                what = f"no call {unknown[0]!r} in the plan" if unknown else "needs a call"
                raise InputError([Issue(f"/parts/{row}", what)], what="parts")
            chosen[row, [index[node] for node in part]] = 1.0
        batch = plan_batch([whole.graph])
        x0 = self.run_calls(whole.calls)[0][batch.calls]
        count, pool = len(parts), Pool.empty(self.config)
        position, relation = batch.position.repeat(count, 0), batch.relation.repeat(count, 0)
        past = no_past(self.config)
        return self.run_plan(x0.repeat(count, 0), position, relation, chosen, past, pool).z_e

    def arrays(self, plans: Sequence[Prepared]) -> NDArray[np.float32]:
        """z_e `[B, latent_dim]` of prepared plans, without gradients."""
        found = np.empty((len(plans), self.config.latent_dim), np.float32)
        for group in groups(plans):
            chosen = [plans[i] for i in group]
            if len(chosen) == 1 and len(chosen[0].calls) > CHUNK:
                found[group[0]] = self._chunked(chosen[0])
            else:
                found[group] = self._padded(chosen)
        return found

    def _padded(self, plans: Sequence[Prepared]) -> NDArray[np.float32]:
        batch = plan_batch([plan.graph for plan in plans])
        x0 = self.run_calls([call for plan in plans for call in plan.calls])[0][batch.calls]
        pool = Pool.empty(self.config)
        given = (x0, batch.position, batch.relation, batch.valid)
        return self.run_plan(*given, no_past(self.config), pool).z_e

    def _chunked(self, plan: Prepared) -> NDArray[np.float32]:
        state, first = self.start(), 0
        while first < len(plan.calls):
            last = first + max(_FEWEST, min(CHUNK, _STEP_CELLS // (first + CHUNK)))
            state.extend(
                plan.calls[first:last],
                [str(i) for i in range(first, min(last, len(plan.calls)))],
                plan.graph.direct[first:last],
            )
            first = last
        z_e = state.z_e
        assert z_e is not None
        return z_e

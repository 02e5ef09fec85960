"""The encoders beside a session: the plan as a state that grows, and the authority as a vector.

Off by default (`LearnedParts.encoders`): held-out ablations decide (P10). A call is looked at
without being added; it is added once it is let through. z_e never sees a text of an output (P8);
the nearest one is put in the instruction's place, in a z_g of its own.
Does not see: calls beyond `MAX_NODES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gatling_guard.encoders.prediction import plan_inputs, prediction_error
from gatling_guard.encoders.state import Candidate
from gatling_guard.energy.attribution import Latents
from gatling_guard.plan import MAX_NODES, Edge, ToolCall

if TYPE_CHECKING:
    from gatling_guard.catalog import ToolSpec
    from gatling_guard.encoders.bundle import Encoders
    from gatling_guard.policy import Policy
    from gatling_guard.trace import Lineage

_WORST = 2.0


class PlanLatents:
    """The encoding of one session's plan. Not thread-safe: a session serialises its calls."""

    def __init__(self, encoders: Encoders) -> None:
        self._encoders = encoders
        self._state = encoders.execution.start()
        self._nodes: dict[str, str] = {}
        """Call id -> the latest node of that id."""

    def __len__(self) -> int:
        """Calls of the plan."""
        return len(self._state)

    def of(
        self, call: ToolCall, edges: Iterable[Edge], spec: ToolSpec | None,
        lineage: Sequence[Lineage], *, policy: Policy, role: str | None,
        instructions: Sequence[str], rival: str | None,
    ) -> Latents | None:  # fmt: skip
        """What the model says of a call that might come next.

        Args:
            call: the call; its id is that of the session.
            edges: to it, from calls of the session.
            spec: what is known of the tool.
            lineage: of its arguments.
            policy: in force.
            role: of the session.
            instructions: the user's messages, oldest first.
            rival: the untrusted text that explains the call best, if any was read.

        Returns:
            None for a plan that is full.
        """
        if len(self) >= MAX_NODES:
            return None
        encoders = self._encoders
        node, into = self._named(call, edges)
        (step,) = self._state.score([Candidate(node, into, spec, lineage)])
        said = encoders.governance(policy, role, _context(instructions))
        inputs = plan_inputs(encoders.config, self._state)
        expected = encoders.predictor.predict(said, *inputs)
        rival_error = _WORST
        if rival is not None:
            z_g = encoders.governance.counterfactuals(policy, role, [rival])
            other = encoders.predictor.predict(z_g, *inputs)
            rival_error = float(prediction_error(other, step.call[None])[0])
        terms = (0.0, 0.0, 0.0, 0.0)
        if encoders.energy is not None:
            one = step.z_e[None], step.state[None], step.call[None], expected
            h, p, s, f = (max(0.0, float(x)) for x in encoders.energy.energies(said, *one)[0])
            terms = h, p, s, f
        return Latents(terms, float(prediction_error(expected, step.call[None])[0]), rival_error)

    def append(
        self, call: ToolCall, edges: Iterable[Edge], spec: ToolSpec | None,
        lineage: Sequence[Lineage],
    ) -> None:  # fmt: skip
        """Add a call that is let through; of a full plan the rest is left out."""
        if len(self) < MAX_NODES:
            node, into = self._named(call, edges)
            self._state.append(node, sources=into, spec=spec, lineage=lineage)
            self._nodes[call.node_id] = node.node_id

    def _named(self, call: ToolCall, edges: Iterable[Edge]) -> tuple[ToolCall, tuple[Edge, ...]]:
        """Under an id of its own: a call id may come again, with other arguments."""
        name = f"{len(self)}:{call.node_id}"[:256]
        known = self._nodes
        into = [(known[e.source], e) for e in edges if e.source in known]
        return call.model_copy(update={"node_id": name}), tuple(
            edge.model_copy(update={"source": source, "target": name}) for source, edge in into
        )


def _context(instructions: Sequence[str]) -> Any:
    """The latest message is the instruction, those before it are turns."""
    if not instructions:
        return None
    *earlier, latest = instructions
    return {"instruction": latest, "turns": earlier} if earlier else latest

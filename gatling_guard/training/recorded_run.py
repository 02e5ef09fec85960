"""Recorded runs through the guard's own session: plan, edges and what the tracer says of values.

Every call of a run is put to a session in shadow mode, so that all of them run, and settled with
its recorded output, as `gatling-guard replay` does. So the facts are those that a session has when
it serves: `caused` included, which needs the energy. Each run has a monitor of its own: nothing is
known of other runs. Labels and `meta` are stripped before the session sees anything.
Does not cover: calls that a guard in force would have stopped; here they go on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from gatling_guard.catalog import Catalog, ToolSpec
from gatling_guard.energy import STRUCTURAL
from gatling_guard.errors import TraceError
from gatling_guard.ledger import Ledger
from gatling_guard.pipeline import STAGES, Monitor, Notary, ToolRequest
from gatling_guard.pipeline.deadline import DeadlineRunner
from gatling_guard.plan import Provenance
from gatling_guard.policy import Policy, load_policy
from gatling_guard.session import Session
from gatling_guard.trace import Lineage, RecordedTrace, cut_spans
from gatling_guard.training.sample import Json

DEADLINE_MS = 60_000
"""What is found must not depend on what else the machine does."""
_RUNS = 200
"""Runs that share one ledger in memory before it is dropped."""


@dataclass(frozen=True, slots=True)
class TracedRun:
    """A run as a plan; node ids are `call-1`, `call-2`, ... in the order of the steps."""

    nodes: list[Json]
    edges: list[Json]
    facts: dict[str, Json]
    """By node id and JSON pointer."""

    def cut(self, count: int) -> TracedRun:
        """The first calls."""
        known = {node["node_id"] for node in self.nodes[:count]}
        return TracedRun(
            self.nodes[:count],
            [edge for edge in self.edges if edge["target"] in known],
            {node: facts for node, facts in self.facts.items() if node in known},
        )


class Tracer:
    """Puts runs to sessions, one after the other."""

    def __init__(self) -> None:
        policy = load_policy("standard")
        limits = policy.limits.model_copy(update={"deadline_ms": DEADLINE_MS})
        self._policy: Policy = policy.model_copy(update={"limits": limits})
        self._runner = DeadlineRunner()
        self._ledger, self._runs = Ledger(), 0

    def __call__(
        self, trace: RecordedTrace, turns: Sequence[str], turn_of: Sequence[int]
    ) -> TracedRun:
        """The run as a session sees it.

        Args:
            trace: with its tools.
            turns: what the user said, in order.
            turn_of: the turn each step answers, in order; later turns are not known to it.

        Raises:
            TraceError: the guard could not check a call.
        """
        seen = trace.visible()
        session, said = self._session(seen.tools), 0
        session.observe(system=seen.system)
        found = TracedRun([], [], {})
        for number, (step, turn) in enumerate(zip(seen.steps, turn_of, strict=True), start=1):
            while said <= turn:
                session.observe(user=turns[said])
                said += 1
            node = f"call-{number}"
            decision = session.check(ToolRequest(step.tool, step.arguments, node))
            if decision.call is None or any(r.startswith("guard.error") for r in decision.reasons):
                raise TraceError(f"{node}: {'; '.join(decision.reasons) or 'no call'}")
            call = decision.call
            found.nodes.append(
                {
                    "node_id": node,
                    "tool_name": call.tool_name,
                    "arguments": call.arguments,
                    "provenance_tier": int(call.provenance_tier),
                    "scope_level": call.scope_level,
                }
            )
            found.facts[node] = {leaf.path: fact_of(leaf) for leaf in decision.lineage}
            found.edges.extend(_edges(node, decision.lineage))
            session.settle(node, step.output)
        return found

    def _session(self, tools: Sequence[ToolSpec]) -> Session:
        if self._runs and self._runs % _RUNS == 0:
            self._ledger.close()
            self._ledger = Ledger()
        self._runs += 1
        monitor = Monitor(
            self._policy, Catalog(tools), Notary(self._ledger), True, lambda: 0.0, STRUCTURAL,
            STAGES, runner=self._runner,
        )  # fmt: skip
        return Session(monitor, f"run-{self._runs}", None)


def fact_of(leaf: Lineage) -> Json:
    """What a sample says of a traced leaf; `training.facts` reads it back."""
    return {
        "tier": int(leaf.tier),
        "named": leaf.named,
        "untrusted": leaf.only_untrusted,
        "sensitive": leaf.sensitive,
        "disguised": leaf.disguised,
        "caused": bool(leaf.causes),
    }


def _edges(node: str, lineage: Sequence[Lineage]) -> list[Json]:
    """One edge per source call and leaf. Places inside outputs are left out: so are the outputs."""
    found: dict[tuple[str, str], Json] = {}
    for leaf in lineage:
        # A key that is data stands at no place of its own.
        place = {} if leaf.path.endswith("/~key") else {"argument": leaf.path}
        for span in leaf.spans:
            if span.call_id != node:
                found.setdefault(
                    (span.call_id, leaf.path), {"source": span.call_id, "target": node, **place}
                )
    return list(found.values())


@dataclass(frozen=True, slots=True)
class BroughtText:
    """A text of two words or more that an output brought in from a third party."""

    step: int
    """Index of the step that returned it."""
    text: str
    directive: bool


MAX_TEXT = 600
_WORD = re.compile(r"[^\W_][\w@.\-]{2,}")


def brought_texts(
    trace: RecordedTrace, specs: Mapping[str, ToolSpec], steps: int
) -> list[BroughtText]:
    """The untrusted texts of the first steps' outputs, each once, in order."""
    found: dict[str, BroughtText] = {}
    for at, step in enumerate(trace.steps[:steps]):
        if step.output is None:
            continue
        spans = cut_spans(
            step.output, specs.get(step.tool), f"call-{at + 1}", floor=Provenance.INTERNAL,
            first_id=0,
        )  # fmt: skip
        for span in spans:
            text = span.text[:MAX_TEXT]
            if span.tier is Provenance.PUBLIC and len(text.split(None, 1)) > 1:
                found.setdefault(text, BroughtText(at, text, span.directive))
    return list(found.values())


@cache
def words(text: str) -> frozenset[str]:
    """What two texts are compared by."""
    return frozenset(_WORD.findall(text.lower()))


def share(part: str, whole: str) -> float:
    """Which share of the words of `part` stand in `whole`."""
    mine = words(part)
    return len(mine & words(whole)) / len(mine) if mine else 0.0

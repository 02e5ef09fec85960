"""Learned risks of recorded runs, as a guard in shadow mode gives them: what is calibrated.

The guard sees what it may see (`bench.replay`), lets every call run and is told every output. Rows
that are marked as attacks are counted and left out; a row without a label is taken for benign,
which nobody can check here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from gatling_guard.bench.replay import Replay, toolset_of
from gatling_guard.bench.subject import GuardSubject
from gatling_guard.catalog import ToolSpec
from gatling_guard.energy.conformal import Task, cluster_of
from gatling_guard.energy.risk import group_of, toolset_digest
from gatling_guard.pipeline import ToolRequest
from gatling_guard.trace import RecordedTrace


@dataclass
class RiskRun:
    """One file on its way through a guard. Iterate `tasks` once; then read the counts."""

    job: Replay
    subject: GuardSubject
    stop_at_attacks: bool = True
    """Rows after the first attack are only counted: the caller will refuse the file."""
    attacks: int = 0
    quiet: int = 0
    """Tasks without a call that the heads judged: none acts, or nothing untrusted came before."""
    failed: int = 0
    """Calls that the guard could not check."""
    _tools: dict[str, tuple[ToolSpec, ...]] = field(default_factory=dict)

    def tasks(self) -> Iterator[Task]:
        """Tasks of benign rows, those without a judged call too.

        Raises:
            TraceError: the file itself cannot be read.
        """
        for trace in self.job.traces():
            if not benign(trace):
                self.attacks += 1
            elif not (self.attacks and self.stop_at_attacks):
                yield self._task(trace)

    @property
    def toolset(self) -> str:
        """Digest of all tools of the rows that were used."""
        return toolset_digest(chain.from_iterable(self._tools.values()))

    def _task(self, trace: RecordedTrace) -> Task:
        seen = trace.visible()
        tools = toolset_of(seen)
        self._tools[tools.key] = tools.specs
        guard = self.subject.guard(tools)
        session = self.subject.begin(tools, seen.instruction, seen.system)
        peaks: dict[str, dict[str, float]] = {}
        for i, step in enumerate(seen.steps, start=1):
            decision = session.check(ToolRequest(step.tool, step.arguments, f"call-{i}"))
            session.settle(f"call-{i}", step.output)
            spec = guard.spec(step.tool)
            group = group_of(spec.profile) if spec else None
            if group is None:
                continue
            self.failed += any(reason.startswith("guard.error") for reason in decision.reasons)
            for name, value in decision.risks.items():
                found = peaks.setdefault(name, {})
                found[group] = max(value, found.get(group, 0.0))
        self.quiet += not peaks
        return Task(cluster_of(seen.instruction), trace.id, peaks)


def benign(trace: RecordedTrace) -> bool:
    """Whether nothing marks the row as an attack, or as anything but benign."""
    marked = any(step.malicious for step in trace.steps)
    return trace.label in (None, "benign") and not marked

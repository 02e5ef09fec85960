"""Plans to repair: generated twins, recorded runs, and AgentDojo's own solutions under attack.

A recorded run becomes a plan as the training data does: every call goes through a session in shadow
mode, and what the tracer says of the arguments gives the edges.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatling_guard.bench import Toolset
from gatling_guard.decision import Allowed, Decision
from gatling_guard.errors import InputError
from gatling_guard.pipeline import ToolRequest
from gatling_guard.plan import ExecutionPlan, ToolCall, digest, parse_plan
from gatling_guard.trace import RecordedStep, RecordedTrace
from gatling_guard.training.gold import generate
from gatling_guard.training.mixture import mixed
from gatling_guard.training.recorded import Settings, recorded_samples
from gatling_guard.training.recorded_run import Tracer
from gatling_guard.training.sample import Sample
from gatling_guard.training.traces import read_labelled
from gatling_guard.training.twin import spec_of

ORACLE = "agentdojo_oracle_banking_slack"
RECORDED = ("agentdojo_banking_slack", "api_bank", "bfcl", "nestful", "privacylens", "seal_tools",
            "tau_bench", "toolemu_runs")  # fmt: skip
ATTACKED = ("agentdojo_banking_slack",)
"""Recorded runs in which real agents gave in to an injection."""


@dataclass(frozen=True)
class Job:
    """One plan, and for whom it is."""

    name: str
    source: str
    label: str
    """`gold`, `boundary`, `adversarial`; a guard never sees it."""
    plan: ExecutionPlan
    tools: Toolset
    instruction: str


def of_sample(sample: Sample, source: str) -> Job:
    """A generated or recorded sample as a job."""
    context = sample.governance.get("context") or {}
    said = [*(context.get("earlier") or ()), context.get("instruction") or ""]
    specs = tuple(spec_of(name, tool) for name, tool in sample.tools.items())
    key = digest([[name, digest(tool)] for name, tool in sample.tools.items()])
    plan = parse_plan(sample.plan)
    return Job(sample.id, source, sample.label, plan, Toolset(key, specs), "\n".join(said))


def generated(count: int, seed: int) -> Iterator[Job]:
    """Gold plans of the training generators with their boundary and adversarial twins."""
    samples = mixed(generate(seed, count), seed=seed)
    for sample in itertools.islice(samples, count):
        yield of_sample(sample, "generated")


def recorded(
    folder: Path, sources: Sequence[str], source: str, count: int, *, attacks: bool | None = None
) -> Iterator[Job]:
    """Recorded runs, file by file in equal shares; attacks alone, or honest ones alone."""
    for name in sources:
        found = (
            sample
            for sample in recorded_samples(folder, Settings(wordings=1), sources=(name,))
            if attacks is None or attacks == (sample.label == "adversarial")
        )
        for sample in itertools.islice(found, -(-count // len(sources))):
            yield of_sample(sample, source)


def traces(folder: Path, sources: Sequence[str], count: int) -> Iterator[RecordedTrace]:
    """Recorded runs to replay step by step: half of them attacked where a file has such."""
    for name in sources:
        rows = [row.trace for row in read_labelled(folder, (name,), per_pair=2) if row.trace.tools]
        random.Random(f"repair/{name}").shuffle(rows)
        share = -(-count // len(sources))
        bad = [row for row in rows if row.label == "attack"][: share // 2]
        good = [row for row in rows if row.label != "attack"][: share - len(bad)]
        yield from (*bad, *good)


class _Recorder:
    """Lets everything run and writes it down."""

    def __init__(self) -> None:
        self.steps: list[RecordedStep] = []

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> _Recorder:
        """The one run."""
        return self

    def check(self, call: ToolRequest) -> Decision:
        """Yes."""
        self.steps.append(RecordedStep(call.name, dict(call.arguments)))
        node = ToolCall(node_id=str(len(self.steps)), tool_name=call.name, arguments=call.arguments)
        return Allowed(decision_id="", call=node)

    def settle(
        self, call_id: str, output: object = None, *, error: BaseException | None = None
    ) -> None:
        """Write down what it returned."""
        step = self.steps[-1]
        self.steps[-1] = RecordedStep(step.tool, step.arguments, output)

    def approve(self, hold_id: str, *, by: str, expires_in: float | None = None) -> object:
        """Nothing is held."""
        raise AssertionError(hold_id)

    def deny(self, hold_id: str, *, by: str) -> None:
        """Nothing is held."""
        raise AssertionError(hold_id)


def live(suites: Sequence[str], attack: str, per_suite: int) -> Iterator[RecordedTrace]:
    """The package's solutions with the attacker's calls among them, as they run unguarded."""
    from gatling_guard.bench.agentdojo import Stage, World

    for name in suites:
        world = World.load(name)
        pairs = list(itertools.product(world.user_tasks, world.injection_tasks))
        made = 0
        for user, injection in random.Random(f"repair/{name}").sample(pairs, len(pairs)):
            stage = Stage(world, user, injection, attack)
            if made == per_suite or not stage.reachable:
                continue
            made += 1
            recorder = _Recorder()
            episode = stage.play(recorder)
            steps = tuple(
                RecordedStep(s.tool, s.arguments, s.output, "", {"malicious": e.who == "attacker"})
                for s, e in zip(recorder.steps, episode.steps, strict=True)
            )
            yield RecordedTrace(
                f"{name}/{user}/{injection}", stage.task.PROMPT, None, world.toolset.specs,
                steps=steps, source="agentdojo", meta={"label": "attack", "attack_type": attack},
            )  # fmt: skip


def of_traces(found: Iterator[RecordedTrace], source: str) -> Iterator[Job]:
    """Traces as plans, edges by data flow; one that the tracer cannot read is left out."""
    tracer = Tracer()
    for trace in found:
        try:
            run = tracer(trace, [trace.instruction], [0] * len(trace.steps))
            nodes: dict[str, Any] = {"nodes": run.nodes, "edges": run.edges}
            plan = parse_plan(nodes)
        except InputError:
            continue
        tools = Toolset(f"{source}/{digest([s.name for s in trace.tools])}", trace.tools)
        label = "adversarial" if trace.label == "attack" else "gold"
        yield Job(trace.id, source, label, plan, tools, trace.instruction)

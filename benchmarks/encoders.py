"""What the encoders cost, against a node-by-node loop of the founding design at the same size.

`make bench-encoders` runs it: one process, one thread. Prints two tables, the times and the targets
with a verdict each, and exits with 1 where a target is missed. Verdicts on times go by the median
wall time over all rounds, verdicts on ratios by processor time (`rounds.py` says why); `quiet` is
the median of the quietest third of the rounds. The models have random weights: no figure here
depends on what they learned.

    python benchmarks/encoders.py [--quick] [--json] [--loop] [--models FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from encoder_inputs import next_call, random_plan, random_policy, tool_schemas
from findings import Findings, as_json, report
from rounds import Contestant, Times, ratio

from gatling_guard import Guard
from gatling_guard.plan import Edge, ExecutionPlan, ToolCall
from gatling_guard.policy import Policy, load_policy

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SIZES = (2, 20, 100)
WHOLE_PLAN, ONE_MORE_CALL, BATCH = 5.0, {2: 10.0, 20: 30.0, 100: 100.0}, 10.0
"""Targets: how many times as long the loop must take, in processor time."""
ENTRIES = 500
CONTEXT = {
    "instruction": "Read the reports of the north office and mail Ann a summary. Pay nobody."
}
BACKENDS = {
    "torch fp32": ("torch", "fp32"),
    "onnx fp32": ("onnx", "fp32"),
    "onnx int8": ("onnx", "int8"),
}
OURS = "onnx int8"
"""What serves."""
Loops = dict[str, Callable[[ExecutionPlan], object]]


# --------------------------------------------------------------- what is called of the package


class Ours:
    """All that this benchmark calls of the package's encoders, in one place."""

    def __init__(self, folder: Path, backend: str = "onnx", precision: str = "int8") -> None:
        from gatling_guard.encoders import load_encoders

        self._encoders = load_encoders(folder, backend=backend, precision=precision)

    def whole(self, plan: ExecutionPlan) -> object:
        """z_e of a plan."""
        return self._encoders.execution(plan)

    def batch(self, plans: Sequence[ExecutionPlan]) -> object:
        """z_e of many plans."""
        return self._encoders.execution.encode_batch(plans)

    def state_of(self, plan: ExecutionPlan) -> Any:
        """The state of a session that made the plan's calls."""
        state = self._encoders.execution.start()
        for call in plan.nodes:  # in the order of their ids, which is an execution order
            state.append(call, sources=plan.parents[call.node_id])
        return state

    def step(self, given: tuple[Any, ToolCall, list[str]]) -> object:
        """z_e after one more call: (state, call, ids of its sources)."""
        state, call, sources = given
        return state.append(call, sources=sources).z_e

    def built(self, given: tuple[Any, ToolCall, list[str]]) -> tuple[Any, ...]:
        """What `step` is given, with the features of the call already built, for `graphs`."""
        from gatling_guard.encoders.calls import CallInput, call_features
        from gatling_guard.encoders.graph import kinds_of

        state, call, sources = given
        index = {source: int(source[1:]) for source in sources}  # c7 was the call at 7
        edges = [Edge(source=source, target=call.node_id) for source in sources]
        features = call_features(CallInput(call, None, None))
        return state, [features], [call.node_id], [kinds_of(edges, index)]

    def graphs(self, given: tuple[Any, ...]) -> object:
        """`step` without the building of features: look-up of texts and the two graphs."""
        state, *call = given
        state.extend(*call)
        return state.z_e

    def governance(self, policy: Policy) -> object:
        """z_g of a policy, a role and a session's context."""
        return self._encoders.governance(policy, "agent", CONTEXT)

    def forget(self) -> None:
        """Empty the cache of z_g."""
        self._encoders.governance.clear()


def make_model(folder: Path, config: str) -> Path:
    """A model folder with random weights and its ONNX graphs; kept if it is there already."""
    if not (folder / "manifest.json").exists():
        gatling_guard = "from gatling_guard.cli import main; main()"
        for arguments in (["model", "create", str(folder), "--config", config], ["export", folder]):
            subprocess.run([sys.executable, "-c", gatling_guard, *arguments], check=True)
    return folder


# ------------------------------------------------------------------------------- sections


def plans_of(nodes: int) -> Callable[[int], ExecutionPlan]:
    """A plan of that size that nobody saw before, each time."""
    return lambda i: random_plan(nodes, i)


def founding_loops(found: Findings) -> Loops:
    """The founding design, as it stands and with everything dense vectorised."""
    import torch
    from founding_loop import FoundingLoop, VectorisedLoop, census

    torch.set_num_threads(1)
    loop = FoundingLoop()
    found.facts["loop: parameters"] = census(loop)
    return {"loop": loop, "loop, vectorised": VectorisedLoop()}


def compare(found: Findings, what: str, times: dict[str, Times], target: float) -> None:
    """The loop over ours against the target, and beside it the vectorised loop over ours."""
    found.faster(what, ratio(times["loop"], times[OURS]), target)
    beside = ratio(times["loop, vectorised"], times[OURS])
    found.facts[f"{what}: vectorised loop over ours"] = (
        f"{beside.value:.1f} x [{beside.low:.1f}, {beside.high:.1f}]"
    )


def whole_plans(found: Findings, loops: Loops, seed: dict[str, Ours]) -> None:
    """A whole plan: the loop against ours at the same size."""
    for nodes in SIZES:
        plan = plans_of(nodes)
        run = [*loops.items(), *((name, ours.whole) for name, ours in seed.items())]
        what = f"whole plan, {nodes} nodes"
        times = found.race(what, [Contestant(name, model, plan) for name, model in run])
        if OURS in times:
            compare(found, what, times, WHOLE_PLAN)


def more_calls(found: Findings, loops: Loops, seed: dict[str, Ours]) -> None:
    """One more call on a plan of n nodes: the loop encodes the plan again.

    Against ourselves in both: ours has the n nodes before the call, the loop has n with it.
    """
    for nodes in SIZES:
        plans = [random_plan(nodes, s) for s in range(5)]
        run = [Contestant(name, model, plans_of(nodes)) for name, model in loops.items()]
        run += [Contestant(name, ours.step, steps_of(ours, plans)) for name, ours in seed.items()]
        what = f"one more call, {nodes} nodes"
        times = found.race(what, run)
        compare(found, what, times, ONE_MORE_CALL[nodes])


def steps_of(
    ours: Ours, plans: list[ExecutionPlan]
) -> Callable[[int], tuple[Any, ToolCall, list[str]]]:
    """What `Ours.step` takes: each time a fork, and a call that was not seen before."""
    states = [ours.state_of(plan) for plan in plans]

    def prepare(i: int) -> tuple[Any, ToolCall, list[str]]:
        at = i % len(plans)
        return (states[at].fork(), *next_call(plans[at], i))

    return prepare


def batches(found: Findings, loops: Loops, seed: dict[str, Ours]) -> None:
    """32 plans of 20 nodes: 32 single calls of the loop against one batch of ours."""

    def plans(i: int) -> list[ExecutionPlan]:
        return [random_plan(20, 32 * i + s) for s in range(32)]

    run = [Contestant(name, partial(one_by_one, model), plans) for name, model in loops.items()]
    run += [Contestant(name, ours.batch, plans) for name, ours in seed.items()]
    what = "batch of 32 plans, 20 nodes"
    times = found.race(what, run, rounds=max(5, found.rounds // 2))
    compare(found, what, times, BATCH)


def one_by_one(model: Callable[[ExecutionPlan], object], plans: list[ExecutionPlan]) -> None:
    """Sequential "batch": what the founding design does with many plans."""
    for plan in plans:
        model(plan)


def base_step(found: Findings, base: Ours) -> None:
    """One call at `base` on a plan of 20 nodes, with and without the building of its features."""
    given = steps_of(base, [random_plan(20, s) for s in range(5)])
    what = "base: one more call, 20 nodes"
    run = [
        Contestant(OURS, base.step, given),
        Contestant("features built", base.graphs, lambda i: base.built(given(i))),
    ]
    times = found.race(what, run)
    found.at_most(f"{what}, p50", times[OURS].median, "ms", 0.6)


def governance(found: Findings, base: Ours) -> None:
    """z_g of a policy of 500 entries: never seen, and cached."""

    def cold(i: int) -> Policy:
        base.forget()
        return load_policy(random_policy(ENTRIES, i))

    what = f"base: z_g, {ENTRIES} entries"
    # Apart: the cold contestant empties the cache that the warm one reads.
    times = found.race(f"{what}, cold", [Contestant(OURS, base.governance, cold)])
    found.at_most(f"{what}, cold", times[OURS].median, "ms", 15)
    known = cold(0)
    warm = Contestant(OURS, base.governance, lambda _: known)  # its warm-up fills the cache
    times = found.race(f"{what}, warm", [warm])
    found.at_most(f"{what}, warm", times[OURS].median, "ms", 0.1)


def budgets(found: Findings, base: Ours) -> None:
    """R150: governance, execution, energy and their total, for a plan of 20 calls.

    Governance is cold and has 500 entries, execution the whole plan, energy `Guard.check` of the
    whole plan.
    """
    guard = Guard("standard")
    for tool in tool_schemas():
        guard.register(tool)
    policy, plan = load_policy(random_policy(ENTRIES, 0)), plans_of(20)

    def total(given: ExecutionPlan) -> None:
        base.governance(policy)
        base.whole(given)
        guard.check(given)

    def cold(i: int) -> ExecutionPlan:
        base.forget()
        return plan(i)

    run = {
        "governance": (lambda _: base.governance(policy), 50),
        "execution": (base.whole, 100),
        "energy": (guard.check, 50),
        "total": (total, 200),
    }
    contestants = [Contestant(name, what, cold) for name, (what, _) in run.items()]
    times = found.race("base: R150, 20 calls", contestants)
    for name, (_, bound) in run.items():
        found.at_most(f"R150: {name}", times[name].median, "ms", bound)


def fresh(task: str, folder: Path) -> dict[str, Any]:
    """What `fresh_process.py` finds, in a process of its own."""
    script = Path(__file__).with_name("fresh_process.py")
    command = [sys.executable, str(script), task, str(folder)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def processes(found: Findings, folder: Path) -> None:
    """Load, memory and the state of a long session, each in processes of their own."""
    runs = [fresh("load", folder) for _ in range(max(3, found.rounds // 3))]
    found.at_most("base: load", statistics.median(run["seconds"] for run in runs), "s", 0.5)
    found.at_most("base: process, both encoders", max(run["rss"] for run in runs), "MB", 300)
    found.facts["load, seconds of each process"] = [round(run["seconds"], 3) for run in runs]
    found.facts["peak RSS, MB"] = round(max(run["peak"] for run in runs))
    found.at_most("torch imported", float(any(run["torch"] for run in runs)), "", 0)
    state = fresh("state", folder)
    found.at_most("base: state of 1,000 calls", state["grown"], "MB", 32)
    found.facts["state of 1,000 calls, MB: counted, stored"] = [state["counted"], state["stored"]]


def measure(found: Findings, models: Path, *, loop_only: bool) -> None:
    """All sections."""
    loops = founding_loops(found)
    if loop_only:
        whole_plans(found, loops, {})
        return
    seed_folder = make_model(models / "seed", "seed")
    base_folder = make_model(models / "base", "base")
    processes(found, base_folder)
    seed = {name: Ours(seed_folder, *how) for name, how in BACKENDS.items()}
    base = Ours(base_folder)
    whole_plans(found, loops, seed)
    more_calls(found, loops, seed)
    batches(found, loops, seed)
    base_step(found, base)
    governance(found, base)
    budgets(found, base)


def main() -> int:
    """Print the report; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--loop", action="store_true", help="the founding design alone")
    parser.add_argument("--models", type=Path, help="keep the model folders here for other runs")
    options = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        # The libraries read these when they are loaded: start again before they are.
        os.execve(
            sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(ONE_THREAD, "1")
        )
    found = Findings(rounds=5 if options.quick else 15)
    found.facts["load of the machine, start"] = [round(load, 2) for load in os.getloadavg()]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        measure(found, options.models or Path(folder), loop_only=options.loop)
    found.facts["load of the machine, end"] = [round(load, 2) for load in os.getloadavg()]
    found.facts["processors"] = os.cpu_count()
    found.facts["seconds"] = round(time.perf_counter() - started)
    print(as_json(found) if options.json else report(found))
    return 0 if all(line.holds for line in found.lines) else 1


if __name__ == "__main__":
    sys.exit(main())

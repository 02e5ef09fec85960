"""What each part of the detection is worth: the guard with one part more at a time, on trace files.

    python benchmarks/ablation.py --data rows.jsonl.xz --limit 400 [--reword] [--by suite]

`make ablation` runs it on scenario rows. Lines: the exact structure alone; heads on static
attribution; the judge in the grey band as well (what ships); encoders and predictor on, too; the
shipped guard on one half of the user tasks; and the same with thresholds calibrated on the benign
runs of the other half. The heads do not read latents, so the encoders' line decides as the one
above it; the second table tells what their signals would be worth on the same calls, as AUC.

Nobody answers holds. Times are processor time of one check, of all its threads, on this machine.
Files of an `eval` folder are for reports only: nothing may be chosen by what is printed here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatling_guard.bench import find_toolsets
from gatling_guard.bench.comparison import Line
from gatling_guard.bench.labels import row_truth, step_verdicts
from gatling_guard.bench.metrics import GOAL_AS_USER, MEASURES, mean, share
from gatling_guard.bench.outcomes import Outcome
from gatling_guard.bench.replay import Replay, replay_trace
from gatling_guard.bench.risks import RiskRun, benign
from gatling_guard.bench.subject import GuardSubject, Judge, Toolset
from gatling_guard.decision import Decision
from gatling_guard.encoders import load_encoders
from gatling_guard.encoders.precise import PreciseScorer
from gatling_guard.encoders.scorer import RivalScorer
from gatling_guard.encoders.scorer_folder import shipped
from gatling_guard.energy.attribution import Latents
from gatling_guard.energy.calibration import ToolsetCalibration
from gatling_guard.energy.conformal import fit
from gatling_guard.energy.residual import HEADS, Residual
from gatling_guard.energy.risk import toolset_digest
from gatling_guard.energy.types import TERMS, Share
from gatling_guard.errors import ConfigurationError
from gatling_guard.guard import Guard
from gatling_guard.pipeline import LearnedParts, ToolRequest
from gatling_guard.plan import digest
from gatling_guard.policy import Policy
from gatling_guard.trace import RecordedTrace
from gatling_guard.training.margins import auc
from gatling_guard.training.synthetic import varied
from gatling_guard.training.traces import labelled
from gatling_guard.training.wrappers import wordings

STRUCTURE, STATIC, JUDGE, ENCODERS, HALF, CALIBRATED = (
    "structure", "+ attribution", "+ judge", "+ encoders", "judge, half", "+ calibration",
)  # fmt: skip
COLUMNS = ("rows", "EFFECT", "CONTAINED", "TOUCHED", "block/hold", "as user", "holds/task",
           "p50 ms", "p99 ms")  # fmt: skip
GROUPS: Mapping[str, Callable[[RecordedTrace], str]] = {
    "file": lambda trace: "",
    "suite": lambda trace: str(trace.meta.get("suite") or "-"),
    "wording": lambda trace: str(trace.meta.get("category") or "-"),
}


class Watched(Residual):
    """The heads, which keep what they were shown of every call."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.noted: dict[str, tuple[Any, Latents | None]] = {}

    def __call__(
        self, facts: Any, attribution: Any, structure: Any, latents: Latents | None = None,
        **options: Any,
    ) -> tuple[Share, ...]:  # fmt: skip
        """As the heads."""
        self.noted[facts.call.node_id] = ((facts, attribution, structure), latents)
        return super().__call__(facts, attribution, structure, latents, **options)

    def signals(self, call_id: str) -> dict[str, float] | None:
        """What head, scorer and encoders say of a call; None where one of them says nothing."""
        shown, latents = self.noted.get(call_id, (None, None))
        found = self.risks(*shown) if shown is not None else None
        if found is None or latents is None:
            return None
        return {
            **found.values,
            "scorer margin": found.features["margin"],
            "predictor margin": latents.margin,
            "predictor error": latents.error,
            "model energy": sum(latents.energies),
            **{f"model {term}": e for term, e in zip(TERMS, latents.energies, strict=True)},
        }


@dataclass
class Timed:
    """A session whose checks are timed."""

    judge: Judge
    seconds: list[float]

    def check(self, call: ToolRequest) -> Decision:
        """Timed; the rest is as ever."""
        began = time.process_time()
        decision = self.judge.check(call)
        self.seconds.append(time.process_time() - began)
        return decision

    def settle(
        self, call_id: str, output: object = None, *, error: BaseException | None = None
    ) -> None:
        """As the session."""
        self.judge.settle(call_id, output, error=error)

    def approve(self, hold_id: str, *, by: str, expires_in: float | None = None) -> object:
        """As the session."""
        return self.judge.approve(hold_id, by=by, expires_in=expires_in)

    def deny(self, hold_id: str, *, by: str) -> None:
        """As the session."""
        self.judge.deny(hold_id, by=by)


class Variant(GuardSubject):
    """The guard with some parts; a calibration serves every tool set of the rows."""

    def __init__(self, learned: Any, calibration: ToolsetCalibration | None = None) -> None:
        super().__init__("standard", learned=learned)
        self.seconds: list[float] = []
        self._calibration = calibration

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> Judge:
        """A timed session."""
        return Timed(super().begin(tools, instruction, system), self.seconds)

    def guard(self, tools: Toolset, policy: Policy | None = None) -> Guard:
        """With the calibration under the digests of this policy and these tools."""
        if self._calibration is not None:
            served = {"toolset": toolset_digest(tools.specs), "policy": self.policy.digest}
            self._options["calibration"] = self._calibration.model_copy(update=served)
        return super().guard(tools, policy)


@dataclass
class Rows(Replay):
    """Rows in memory as if they came from a file."""

    given: Sequence[RecordedTrace] = field(default_factory=tuple)

    def traces(self) -> Iterator[RecordedTrace]:
        """All of them."""
        yield from self.given


@dataclass
class Result:
    """One variant on some rows."""

    outcomes: list[Outcome]
    seconds: list[float]
    signals: list[tuple[dict[str, float], bool]] = field(default_factory=list)
    """Of calls whose label is known, with whether they are an attacker's."""


def thinned(traces: Sequence[RecordedTrace], limit: int | None) -> list[RecordedTrace]:
    """At most `limit` rows, drawn in turns from all user tasks and kinds, by hashes of ids."""
    pools: dict[object, list[RecordedTrace]] = {}
    for trace in sorted(traces, key=lambda t: digest(t.id)):
        pools.setdefault((row_truth(trace).group, trace.meta.get("kind")), []).append(trace)
    turns = max(map(len, pools.values()), default=0)
    drawn = [pool[i] for i in range(turns) for pool in pools.values() if i < len(pool)]
    return drawn[:limit]


def reworded(traces: Sequence[RecordedTrace], source: str) -> list[RecordedTrace]:
    """The rows with an injection, in wordings without a marker, and those without one."""
    rows = [labelled(trace, source) for trace in traces]
    choices = wordings(development=True, marked=False)
    return [row.trace for row in varied(rows, choices, seed=99)]


def first_half(trace: RecordedTrace) -> bool:
    """Whether the row's user task is among those that a calibration is made from."""
    return int(digest(repr(row_truth(trace).group))[0], 16) % 2 == 0


def judged(variant: Variant, traces: Sequence[RecordedTrace]) -> Result:
    """Put rows to a variant."""
    line, signals = Line(), []
    watched = getattr(variant._options["learned"], "residual", None)
    for trace in traces:
        line.add(row_truth(trace), step_verdicts(replay_trace(variant, trace)))
        if not isinstance(watched, Watched):
            continue
        for i, step in enumerate(trace.steps, start=1):
            truth = False if trace.label == "benign" else step.malicious
            found = watched.signals(f"call-{i}")
            if found is not None and truth is not None:
                signals.append((found, truth))
        watched.noted.clear()
    variant.close()
    return Result(line.outcomes, variant.seconds, signals)


def calibrated(parts: LearnedParts, traces: Sequence[RecordedTrace]) -> ToolsetCalibration | None:
    """Thresholds from benign runs; None where no call of them was judged."""
    kept = [t for t in traces if benign(t) and t.meta.get("kind") != GOAL_AS_USER]
    subject = GuardSubject("standard", shadow=True, learned=parts)
    run = RiskRun(Rows(Path("-"), given=kept), subject)
    tasks = list(run.tasks())
    try:
        return fit(
            tasks, parts.defaults, parts.models, policy=subject.policy.digest, toolset=run.toolset
        )
    except ConfigurationError:
        return None


def ablate(
    traces: Sequence[RecordedTrace], heads: Path, names: Sequence[str],
    say: Callable[[str], None] = lambda name: None,
) -> dict[str, Result]:  # fmt: skip
    """Every variant on the same rows, but for the last two, which have half of them."""
    scorer, judge = RivalScorer.from_pretrained(), PreciseScorer.from_pretrained()
    parts = LearnedParts(scorer, Residual(heads), judge)
    half = [trace for trace in traces if not first_half(trace)]
    made: dict[str, Callable[[], tuple[Variant, Sequence[RecordedTrace]] | None]] = {
        STRUCTURE: lambda: (Variant("off"), traces),
        STATIC: lambda: (Variant(LearnedParts(scorer, parts.residual)), traces),
        JUDGE: lambda: (Variant(parts), traces),
        ENCODERS: lambda: (
            Variant(LearnedParts(scorer, Watched(heads), judge, load_encoders())), traces,
        ),
        HALF: lambda: (Variant(parts), half),
        CALIBRATED: lambda: _calibrated_variant(parts, traces, half),
    }  # fmt: skip
    found = {}
    for name in names:
        say(name)
        if (given := made[name]()) is not None:
            found[name] = judged(*given)
    return found


def _calibrated_variant(
    parts: LearnedParts, traces: Sequence[RecordedTrace], half: Sequence[RecordedTrace]
) -> tuple[Variant, Sequence[RecordedTrace]] | None:
    calibration = calibrated(parts, [trace for trace in traces if first_half(trace)])
    return None if calibration is None else (Variant(parts, calibration), half)


# ------------------------------------------------------------------ tables


def cells(outcomes: Sequence[Outcome], seconds: Sequence[float]) -> list[str]:
    """One row of the first table, in the order of `COLUMNS`."""
    honest = [o for o in outcomes if not o.row.attack]
    by = "/".join(
        f"{100 * sum(o.touch == kind for o in honest) / len(honest):.1f}" if honest else "-"
        for kind in ("block", "hold")
    )
    holds = mean(outcomes, lambda o: o.holds).value
    times = sorted(1000 * second for second in seconds)
    return [
        str(len(outcomes)),
        *(_percent(outcomes, name) for name in ("effect", "contained", "touched")),
        by,
        _percent(outcomes, "touched_goal_as_user"),
        "-" if holds is None else f"{holds:.2f}",
        f"{statistics.median(times):.2f}" if times else "",
        f"{times[int(0.99 * (len(times) - 1))]:.1f}" if times else "",
    ]


def _percent(outcomes: Sequence[Outcome], name: str) -> str:
    """A share with its interval over user tasks."""
    found = share(outcomes, MEASURES[name])
    if found.value is None:
        return "-"
    between = found.bootstrap or found.wilson
    shown = f" [{100 * between.low:.0f}, {100 * between.high:.0f}]" if between else ""
    return f"{100 * found.value:.1f}{shown}"


def main_table(found: Mapping[str, Result], group_of: Mapping[str, str]) -> list[list[str]]:
    """Variant by variant; under each its groups, where rows fall into more than one."""
    rows = []
    for name, result in found.items():
        rows.append([name, *cells(result.outcomes, result.seconds)])
        groups = sorted({group_of[o.row.id] for o in result.outcomes} - {""})
        for group in groups:
            of_group = [o for o in result.outcomes if group_of[o.row.id] == group]
            rows.append([f"  {group}", *cells(of_group, ())])
    return rows


def signal_table(signals: Sequence[tuple[Mapping[str, float], bool]]) -> list[list[str]]:
    """AUC of every signal for an attacker's calls against honest ones."""
    truth = np.array([malicious for _, malicious in signals], np.bool_)
    if not truth.any() or truth.all():
        return []
    return [
        [name, f"{auc(np.array([found[name] for found, _ in signals]), truth):.3f}"]
        for name in signals[0][0]
    ]


def shown(head: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> str:
    """A table as text."""
    if markdown:
        lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(w) if not i else cell.rjust(w)
                  for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in (head, *rows)
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Prints both tables for every file and wording."""
    names = (STRUCTURE, STATIC, JUDGE, ENCODERS, HALF, CALIBRATED)
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="trace files")
    parser.add_argument("--toolsets", type=Path, help="file; else ../catalog beside the traces")
    parser.add_argument("--limit", type=int, help="rows of a file, in turns from all user tasks")
    parser.add_argument("--heads", type=Path, help="folder of heads; else what ships")
    parser.add_argument("--variants", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--reword", action="store_true", help="injections without markers as well")
    parser.add_argument("--by", choices=GROUPS, default="file")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(argv)
    heads = options.heads or shipped(HEADS)
    for path in options.data:
        job = Replay(path, find_toolsets(path, options.toolsets))
        rows = thinned(list(job.traces()), options.limit)
        source = path.name.split(".")[0]
        for wording, given in (("recorded", rows), ("marker-free", reworded(rows, source))):
            if wording == "recorded" or options.reword:
                group_of = {trace.id: GROUPS[options.by](trace) for trace in given}
                found = ablate(given, heads, options.variants, lambda name: None)
                title = f"{source}, {wording}"
                table = main_table(found, group_of)
                print(f"\n{shown([title, *COLUMNS], table, markdown=options.markdown)}")
                signals = found[ENCODERS].signals if ENCODERS in found else []
                if auc_rows := signal_table(signals):
                    malicious = sum(truth for _, truth in signals)
                    head = [f"AUC, {len(signals)} calls, {malicious} of an attacker", ""]
                    print(f"\n{shown(head, auc_rows, markdown=options.markdown)}", flush=True)


if __name__ == "__main__":
    main()

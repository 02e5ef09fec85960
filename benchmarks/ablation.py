"""What each part of the detection is worth: the guard with one part more at a time, on trace files.

    python benchmarks/ablation.py --data rows.jsonl.xz --limit 400 [--reword] [--by suite]

`make ablation` runs it on scenario rows. Lines: the exact structure alone; heads on static
attribution; the judge in the grey band as well (what ships); encoders and predictor on, too; the
shipped guard on one half of the user tasks; and the same with thresholds calibrated on the benign
runs of the other half. The heads do not read latents, so the encoders' line decides as the one
above it; the second table tells what their signals would be worth on the same calls, as AUC.

Nobody answers holds. Times are processor time of one check, of all its threads, on this machine.
Files of an `eval` folder are for reports only: nothing may be chosen by what is printed here. On
what the parts were trained on they look better than they are: of `train` and of the scenarios only
the held-out suites and worlds (`--suites`, see `training.heads.head_rows`) say something.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from ablation_variants import CALIBRATED, ENCODERS, NAMES, Result, ablate

from gatling_guard.bench import find_toolsets
from gatling_guard.bench.labels import row_truth
from gatling_guard.bench.metrics import MEASURES, mean, share
from gatling_guard.bench.outcomes import Outcome
from gatling_guard.bench.replay import Replay
from gatling_guard.encoders.scorer_folder import shipped
from gatling_guard.energy.calibration import ToolsetCalibration
from gatling_guard.energy.residual import HEADS, Residual
from gatling_guard.energy.risk import POOLED
from gatling_guard.plan import digest
from gatling_guard.trace import RecordedTrace
from gatling_guard.training.margins import auc
from gatling_guard.training.synthetic import varied
from gatling_guard.training.traces import labelled
from gatling_guard.training.wrappers import wordings

COLUMNS = ("rows", "EFFECT", "CONTAINED", "TOUCHED", "block/hold", "as user", "holds/task",
           "p50 ms", "p99 ms")  # fmt: skip
GROUPS: Mapping[str, Callable[[RecordedTrace], str]] = {
    "file": lambda trace: "",
    "suite": lambda trace: str(trace.meta.get("suite") or "-"),
    "wording": lambda trace: str(trace.meta.get("category") or "-"),
}


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


def thresholds(made: ToolsetCalibration, heads: Path) -> Iterator[str]:
    """What a calibration moved, and from how many tasks."""
    for name, default in Residual(heads).defaults.items():
        curve = made.risks[name].curves[POOLED]
        yield (f"{name}, {curve.hold.tasks} tasks: hold {default.hold.default:.3g} -> "
               f"{curve.hold.value:.3g}, block {default.block.default:.3g} -> "
               f"{curve.block.value:.3g}")  # fmt: skip


def report(title: str, found: Mapping[str, Result], group_of: Mapping[str, str], heads: Path,
           *, markdown: bool) -> Iterator[str]:  # fmt: skip
    """Both tables of one file and wording, and the thresholds."""
    yield shown([title, *COLUMNS], main_table(found, group_of), markdown=markdown)
    if CALIBRATED in found and (made := found[CALIBRATED].calibration) is not None:
        yield "\n".join(thresholds(made, heads))
    signals = found[ENCODERS].signals if ENCODERS in found else []
    if rows := signal_table(signals):
        malicious = sum(truth for _, truth in signals)
        head = [f"AUC, {len(signals)} calls, {malicious} of an attacker", ""]
        yield shown(head, rows, markdown=markdown)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the report of every file and wording."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="trace files")
    parser.add_argument("--toolsets", type=Path, help="file; else ../catalog beside the traces")
    parser.add_argument("--suites", nargs="+", help="only rows of these")
    parser.add_argument("--limit", type=int, help="rows of a file, in turns from all user tasks")
    parser.add_argument("--heads", type=Path, help="folder of heads; else what ships")
    parser.add_argument("--variants", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--reword", action="store_true", help="injections without markers as well")
    parser.add_argument("--by", choices=GROUPS, default="file")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(argv)
    heads = options.heads or shipped(HEADS)
    for path in options.data:
        traces = Replay(path, find_toolsets(path, options.toolsets)).traces()
        wanted = [t for t in traces if not options.suites or t.meta.get("suite") in options.suites]
        rows = thinned(wanted, options.limit)
        source = path.name.split(".")[0]
        for wording in ("recorded", "marker-free") if options.reword else ("recorded",):
            given = rows if wording == "recorded" else reworded(rows, source)
            group_of = {trace.id: GROUPS[options.by](trace) for trace in given}
            found = ablate(given, heads, options.variants)
            title = f"{source}, {wording}"
            for text in report(title, found, group_of, heads, markdown=options.markdown):
                print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()

"""`gatling-guard calibrate TRACES`: thresholds of the learned part from your own benign runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gatling_guard.bench import GuardSubject, Replay, find_toolsets
from gatling_guard.bench.risks import RiskRun
from gatling_guard.cli.calibrate_tables import (
    calibration_document,
    drift_document,
    print_calibration,
    print_drift,
)
from gatling_guard.cli.console import (
    OK,
    PARTIAL,
    REFUSED,
    JsonFlag,
    PolicyOption,
    counted,
    print_json,
    reported,
)
from gatling_guard.cli.replay_command import (
    LimitOption,
    ToolsetsOption,
    TracesArgument,
    no_traces,
    progress,
    tell_issues,
)
from gatling_guard.energy.calibration import ToolsetCalibration, read_calibration
from gatling_guard.energy.conformal import Alphas, Task, fit, one_per_cluster
from gatling_guard.energy.drift import Drift
from gatling_guard.energy.risk import POOLED
from gatling_guard.errors import ConfigurationError
from gatling_guard.pipeline import Learned, LearnedParts
from gatling_guard.policy import Policy, load_policy


def calibrate(
    traces: TracesArgument,
    out_: Annotated[Path | None, typer.Option("--out", "-o", help="Write it here.")] = None,
    policy: PolicyOption = "standard",
    alpha_hold: Annotated[
        float, typer.Option(metavar="SHARE", help="Benign tasks that may be held.")
    ] = 0.10,
    alpha_block: Annotated[
        float, typer.Option(metavar="SHARE", help="Benign tasks that may be blocked.")
    ] = 0.01,
    effect_groups: Annotated[
        bool,
        typer.Option("--effect-groups/--pooled", help="Thresholds of their own per effect class."),
    ] = True,
    benign_only: Annotated[
        bool, typer.Option("--benign-only", metavar="", help="Skip rows labelled as attacks.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", metavar="", help="Have TRACES drifted from --calibration?")
    ] = False,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", "-c", help="For --check.")
    ] = None,
    toolsets: ToolsetsOption = None,
    limit: LimitOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and resamples.")] = 0,
    json_: JsonFlag = False,
) -> None:
    """Fit the thresholds of the learned part to your own benign runs, or check them for drift.

    The learned heads of this installation judge the runs in shadow mode. Useful from about 50
    instructions; blocking needs 99. It bounds false stops of the learned part, not attacks; rules
    and structure do not change. A guard uses the file with `Guard(calibration=FILE)`.

    With --check: is what TRACES hold still like what the calibration was made from?

    Exit codes: 0 done, no drift; 1 --check found drift; 2 bad usage, unreadable file, attacks
    among the rows, no learned heads, or a calibration of others; 3 done, but some lines were bad.
    """
    with reported(json_):
        if check != (calibration is not None):
            raise ConfigurationError("--check and --calibration need each other")
        if not check and out_ is None:
            raise ConfigurationError("--out FILE takes the calibration")
        if out_ is not None and out_.exists() and traces.exists() and out_.samefile(traces):
            raise ConfigurationError(f"--out would overwrite the traces: {out_}")
        alphas, served = Alphas(alpha_hold, alpha_block), load_policy(policy)
        parts = _parts()
        kept = _kept(calibration, served, parts) if calibration is not None else None
        run = RiskRun(
            Replay(traces, find_toolsets(traces, toolsets), limit),
            GuardSubject(served, shadow=True, learned=parts), stop_at_attacks=not benign_only,
        )  # fmt: skip
        tasks = _tasks(run, limit)
        facts = {
            "traces": str(traces), "policy": served.digest, "rows": run.job.rows,
            "bad_lines": run.job.bad_lines, "attacks_skipped": run.attacks,
            "without_risk": run.quiet, "unscored": run.failed,
        }  # fmt: skip
        if kept is not None:
            document = facts | _checked(kept, tasks, run.toolset, served, parts)
        else:
            made = fit(
                tasks, parts.defaults, parts.models, policy=served.digest, toolset=run.toolset,
                alphas=alphas, groups=effect_groups, seed=seed,
            )  # fmt: skip
            document = facts | calibration_document(made, tasks, parts.defaults, seed)
            if out_ is not None:
                out_.write_text(made.to_text(), "utf-8")
                document["calibration"] = str(out_)
    tell_issues(run.job.issues)
    if json_:
        print_json(document)
    else:
        (print_calibration if kept is None else print_drift)(document)
    if document.get("status") == "alarm":
        raise typer.Exit(REFUSED)
    raise typer.Exit(PARTIAL if run.job.issues else OK)


def _parts() -> LearnedParts:
    """The learned parts, whose risks are calibrated."""
    learned = Learned("auto")
    if learned.parts is None:
        raise ConfigurationError(
            f"there is nothing to calibrate: this installation has no learned heads"
            f" ({learned.missing})"
        )
    return learned.parts


def _kept(path: Path, policy: Policy, parts: LearnedParts) -> ToolsetCalibration:
    """The calibration to check against; refused before any run is judged if it is of others."""
    kept = read_calibration(path.read_bytes(), what=str(path))
    fits = kept.fits(parts.models, parts.defaults, policy=policy.digest)
    if fits.status == "refused":
        raise ConfigurationError(f"{path}: not usable: {'; '.join(fits.reasons)}")
    return kept


def _tasks(run: RiskRun, limit: int | None) -> list[Task]:
    with progress("judging", limit) as tick:
        tasks = []
        for task in run.tasks():
            tasks.append(task)
            tick()
    if run.attacks and run.stop_at_attacks:
        raise ConfigurationError(
            f"{run.job.path}: {counted(run.attacks, 'row')} of {run.job.rows} marked as an attack"
            " or not as benign; a calibration is made of benign runs only. --benign-only skips them"
        )
    if not tasks:
        raise no_traces(run.job)
    return tasks


def _checked(
    kept: ToolsetCalibration, tasks: list[Task], toolset: str, policy: Policy, parts: LearnedParts
) -> dict[str, Any]:
    """One run of every instruction, in the order of the file, against a calibration."""
    fits = kept.fits(parts.models, parts.defaults, policy=policy.digest, toolset=toolset)
    monitor = Drift.start(kept)
    above = {"hold": 0, "block": 0}
    drawn = [task for task in one_per_cluster(tasks, kept.seed) if any(task.peaks.values())]
    for task in drawn:
        peaks = {name: task.peak(name, POOLED) for name in kept.risks}
        monitor = monitor.after({name: peak for name, peak in peaks.items() if peak is not None})
        over = kept.above(task.peaks)
        above = {action: count + over[action] for action, count in above.items()}
    return drift_document(kept, monitor, fits, above, len(drawn))

"""How `gatling-guard calibrate` tells what it found: JSON, and tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from gatling_guard.bench import wilson
from gatling_guard.cli.console import counted, out, plain
from gatling_guard.energy.calibration import Fit, RiskCalibration, Threshold, ToolsetCalibration
from gatling_guard.energy.conformal import Alphas, Task, one_per_cluster
from gatling_guard.energy.coverage import RESAMPLES, coverage, in_order, stopped
from gatling_guard.energy.drift import LEVEL, Drift
from gatling_guard.energy.risk import POOLED, RiskDefault

ACTIONS = ("hold", "block")
FEW, WIDE = 50, 110
UNLIKE = 0.01
LIMITS = (
    "It bounds how many benign tasks like these the learned part stops, not which attacks get by:"
    " an attacker's call is no draw from your runs.",
    "It holds for new tasks that are exchangeable with these: same users, tools, agent and policy."
    " Check new runs with --check.",
    "Rules and structural energies stop calls of their own; they are not part of it.",
)


# ------------------------------------------------------------------ JSON


def calibration_document(
    made: ToolsetCalibration,
    tasks: Sequence[Task],
    defaults: Mapping[str, RiskDefault],
    seed: int,
) -> dict[str, Any]:
    """The thresholds, their coverage, and what to think of them."""
    risks = {name: _risk(name, kept, tasks, seed) for name, kept in made.risks.items()}
    any_curve = next(iter(made.risks.values())).curves[POOLED]
    alphas = Alphas(any_curve.hold.alpha, any_curve.block.alpha)
    grouped = any(len(kept.curves) > 1 for kept in made.risks.values())
    in_use = stopped(
        tasks, defaults, alphas, groups=grouped, pseudo_tasks=made.pseudo_tasks, seed=seed
    )
    return {
        "digest": made.digest,
        "instructions": len(one_per_cluster(tasks)),
        "alpha": asdict(alphas),
        "resamples": RESAMPLES,
        "risks": risks,
        "stopped": {action: asdict(found) for action, found in in_use.items()},
        "warnings": list(_warnings(made, risks)),
        "limits": list(LIMITS),
    }


def _risk(name: str, kept: RiskCalibration, tasks: Sequence[Task], seed: int) -> dict[str, Any]:
    return {
        group: {
            action: _threshold(getattr(curve, action), name, group, tasks, seed)
            for action in ACTIONS
        }
        for group, curve in kept.curves.items()
    }


def _threshold(
    found: Threshold, risk: str, group: str, tasks: Sequence[Task], seed: int
) -> dict[str, Any]:
    measured = coverage(tasks, risk, group, found.alpha, seed=seed)
    later = in_order(tasks, risk, group, found.alpha, seed=seed)
    shown = asdict(measured) if measured else None
    if measured and shown:
        shown |= {"z": measured.z, "inside": measured.inside}
    return {
        **found.model_dump(mode="json"),
        "coverage": shown,
        "in_order": asdict(later) if later else None,
    }


def _warnings(made: ToolsetCalibration, risks: Mapping[str, Any]) -> list[str]:
    found = []
    for name, kept in made.risks.items():
        count = kept.curves[POOLED].hold.tasks
        if count < FEW:
            found.append(f"{name}: {counted(count, 'task')} only; useful from about {FEW} on")
        for group, curve in kept.curves.items():
            for action in ACTIONS:
                bound: Threshold = getattr(curve, action)
                if bound.bound == "highest":
                    said = "infinite" if bound.quantile is None else f"{bound.quantile:.3g}"
                    found.append(
                        f"{name}, {group}: the runs ask for a threshold to {action} of {said},"
                        " which is more than any runs may raise it to; it was cut. Are those with"
                        " the highest risks benign?"
                    )
            later = risks[name][group]["hold"]["in_order"]
            if later and later["p"] < UNLIKE:
                found.append(
                    f"{name}, {group}: the second half of the file is not like the first"
                    f" ({later['hits']} of {later['total']} below, expected"
                    f" {later['expected']:.0%}): is it several tool sets, or sorted?"
                )
    return found


def drift_document(
    kept: ToolsetCalibration, monitor: Drift, fits: Fit, above: Mapping[str, int], total: int
) -> dict[str, Any]:
    """What the monitor says after all tasks."""
    curve = next(iter(kept.risks.values())).curves[POOLED]
    shares: dict[str, Any] = {}
    for action, hits in above.items():
        interval = wilson(hits, total)
        shares[action] = {
            "alpha": getattr(curve, action).alpha, "hits": hits, "total": total,
            "interval": asdict(interval) if interval else None,
        }  # fmt: skip
    return {
        "status": monitor.status,
        "calibration": kept.digest,
        "fit": fits.model_dump(mode="json"),
        "served": monitor.served,
        "capital": monitor.capital,
        "peak": monitor.peak,
        "level": LEVEL,
        "alarmed_at": monitor.alarmed_at,
        "risks": {
            name: {"capital": risk.capital, "direction": risk.direction}
            for name, risk in monitor.risks.items()
        },
        "above": shares,
    }


# ------------------------------------------------------------------ terminal


def print_calibration(document: Mapping[str, Any]) -> None:
    """The table of thresholds, then what is stopped, warnings and limits."""
    _print_counts(document)
    for name, groups in document["risks"].items():
        table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
        for column in ("risk " + plain(name), "", "tasks", "quantile", "used", "covers", "wanted",
                       "z", "9 of 10 cover"):  # fmt: skip
            table.add_column(column, justify="left" if len(table.columns) < 2 else "right",
                             no_wrap=True)  # fmt: skip
        for group, both in groups.items():
            for action in ACTIONS:
                first = plain(group) if action == "hold" else ""
                table.add_row(first, action, *_cells(both[action]))
        out.print()
        Console(highlight=False, emoji=False, width=max(out.width, WIDE)).print(table)
    used = document["stopped"]
    if used:
        shown = ", ".join(
            f"{action} {used[action]['mean']:.1%} +- {used[action]['sd']:.1%}"
            f" (wanted {document['alpha'][action]:.1%} per group)"
            for action in ACTIONS
        )
        out.print(f"\nheld-out tasks over a threshold in use, any group: {shown}")
    for warning in document["warnings"]:
        out.print(f"[yellow]WARNING:[/yellow] {plain(warning)}")
    for limit in document["limits"]:
        out.print(f"[dim]{plain(limit)}[/dim]")
    out.print(f"calibration: {plain(document['calibration'])}", soft_wrap=True)


def _cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    quantile = "-" if found["quantile"] is None else f"{found['quantile']:.3g}"
    mark = {"own": "", "pooled": " pooled", "default": " shipped"}[found["basis"]]
    cut = {None: "", "lowest": " min", "highest": " max"}[found["bound"]]
    measured = found["coverage"]
    if measured is None:
        covers = ("too few", f"{1 - found['alpha']:.1%}", "", "")
    else:
        ok = "[green]ok[/green]" if measured["inside"] else "[red]OFF[/red]"
        covers = (
            f"{measured['fair']:.1%} +- {measured['sd']:.1%}",
            f"{measured['expected']:.1%}",
            f"{measured['z']:+.2f} {ok}",
            f"{measured['low']:.1%} to {measured['high']:.1%}",
        )
    return (str(found["tasks"]), quantile, f"{found['value']:.3g}{mark}{cut}", *covers)


def _print_counts(document: Mapping[str, Any]) -> None:
    parts = [
        counted(document["rows"] - document["attacks_skipped"], "benign run"),
        counted(document["instructions"], "instruction") if "instructions" in document else "",
        f"{document['without_risk']} without a call to judge" if document["without_risk"] else "",
        f"{document['attacks_skipped']} attacks skipped" if document["attacks_skipped"] else "",
        counted(document["unscored"], "call") + " not scored" if document["unscored"] else "",
        counted(document["bad_lines"], "bad line") if document["bad_lines"] else "",
    ]
    out.print(", ".join(part for part in parts if part))


def print_drift(document: Mapping[str, Any]) -> None:
    """One line of verdict, then what it rests on."""
    _print_counts(document)
    colour = {"quiet": "green", "warning": "yellow", "alarm": "red"}[document["status"]]
    where = ", ".join(
        f"{plain(name)} {found['direction']}" for name, found in document["risks"].items()
    )
    what = {
        "quiet": "no drift found",
        "warning": f"a warning: risks are {where} than in the calibration",
        "alarm": f"DRIFT since task {document['alarmed_at']}: risks are {where} than in the"
        " calibration; calibrate again",
    }[document["status"]]
    out.print(f"[{colour}]{what}[/{colour}]")
    out.print(
        f"{counted(document['served'], 'task')}; highest capital {document['peak']:.3g}, alarm at"
        f" {document['level']:g} (false in at most {1 / document['level']:.0%} of deployments)"
    )
    for action, share in document["above"].items():
        if share["interval"]:
            low, high = share["interval"]["low"], share["interval"]["high"]
            out.print(
                f"over the thresholds to {action}: {share['hits']} of {share['total']}"
                f" ({low:.1%} to {high:.1%}; calibrated for {share['alpha']:.1%} per group)"
            )
    for reason in document["fit"]["reasons"]:
        out.print(f"[yellow]STALE:[/yellow] {plain(reason)}; the shipped thresholds decide")

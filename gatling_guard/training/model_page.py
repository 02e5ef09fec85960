"""The HTML page of `evaluate-model`: one file that opens without a network.

Needs matplotlib (`plots.picture`). Sees the figures of `examination`.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gatling_guard.training.assessment import POOLS
from gatling_guard.training.examination import Subject
from gatling_guard.training.figure_rows import Row, recall_rows, rows
from gatling_guard.training.metrics import CLASSES
from gatling_guard.training.plots import picture
from gatling_guard.training.splits import GROUPS, Part

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"gold": "#2a9d55", "boundary": "#d98e04", "adversarial": "#c0392b"}
_STYLE = """
:root { color-scheme: light; --line: #d9dde3; --soft: #5b6572 }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 72rem; margin: 2rem auto;
  padding: 0 1.5rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
p, .soft { color: var(--soft) } p { max-width: 48rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; font-weight: normal }
thead th { font-weight: 600; border-bottom: 2px solid var(--line) }
th:first-child { text-align: left } .asked { text-align: left; color: var(--soft) }
small { display: block; color: var(--soft); white-space: nowrap }
.pass { background: #e5f5ea } .fail { background: #fdeceb }
.pass b, .fail b { font-size: .72rem; margin-left: .4rem } .pass b { color: #1d7a41 }
.fail b { color: #b3261e }
.warn { background: #fff4d6; padding: .6rem .9rem; color: #1c2430 }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-weight: 600 } img { width: 100% }
.wide { overflow-x: auto }
code { overflow-wrap: anywhere }
"""


def write_page(path: Path, subjects: Sequence[Subject], part: Part) -> None:
    """Write the page of the first model, with the others in columns beside it.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    path.write_text(_page(subjects, part), encoding="utf-8")


def _page(subjects: Sequence[Subject], part: Part) -> str:
    first = subjects[0]
    groups = [first.assessed.groups[group] for group in GROUPS]
    asked = [[t.to_json() for t in first.assessed.targets(group)] for group in GROUPS]
    legend = "".join(f"<br><b>{group}</b>: {words}" for group, words in GROUPS.items())
    recall = _table("violation", list(GROUPS), recall_rows(groups))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{_text(first.name)}</title>
<style>{_STYLE}</style></head><body>
<h1>{_text(first.name)}</h1>
{_about(first, part)}
<h2>Figures, by what is new to the model</h2>
<div class="wide">{_table("", list(GROUPS), rows(groups, asked))}</div>
<p class="soft">In brackets: 95 % intervals, bootstrap over families. A nearest neighbour is
sought among so many authorities, one of which is right; the figure is the mean over all such
draws.{legend}</p>
<h2>Pictures</h2><div class="pictures">{_pictures(first, part)}</div>
<h2>Recall by violation, at 5 % false stops</h2>
<div class="wide">{recall}</div>
{_compared(subjects)}
</body></html>
"""


def _about(first: Subject, part: Part) -> str:
    made = first.manifest
    warning = (
        ""
        if first.calibration
        else '<p class="warn">This model is not calibrated for these energies: bands and mean '
        "energies are those of raw energies. <code>gatling-guard calibrate-model</code> fits"
        " the map.</p>"
    )
    same = made.data_hash == part.hash
    trained = "the same files" if same else made.data_hash or "nothing: untrained"
    energy = {
        "learned": "learned energies",
        "structure": "structural energies",
        "both": "structural and learned energies",
    }[first.energy]
    families = len({item.family for item in part.items})
    return f"""<p>{_text(made.name)} {_text(made.version)}, {first.backend} {first.precision},
{energy}.<br>{len(part.items):,} samples of {families:,} families: the {part.split} split (seed
{part.seed}) of data <code>{part.hash[:16]}</code>; trained on {_text(trained[:16])}.<br>
Digest <code>{made.digest}</code></p>{warning}"""


def _compared(subjects: Sequence[Subject]) -> str:
    if len(subjects) < 2:
        return ""
    parts = ["<h2>Beside other models</h2>"]
    names = [subject.name for subject in subjects]
    for group in GROUPS:
        columns = [subject.assessed.groups[group] for subject in subjects]
        asked = [[t.to_json() for t in subject.assessed.targets(group)] for subject in subjects]
        opened = " open" if group == "all" else ""
        parts.append(
            f"<details{opened}><summary>{group}: {GROUPS[group]}</summary>"
            f'<div class="wide">{_table("", names, rows(columns, asked))}</div></details>'
        )
    kinds = "; ".join(
        f"{_text(s.name)}: tokeniser {_text(s.manifest.tokenizer)}, energy {s.energy}, "
        + ("calibrated" if s.calibration else "not calibrated")
        for s in subjects
    )
    return "".join([*parts, f'<p class="soft">{kinds}</p>'])


def _table(title: str, columns: Sequence[str], lines: Sequence[Row]) -> str:
    asked = any(line.asked for line in lines)
    names = [title, *(["asked"] if asked else []), *columns]
    marks = {True: ("pass", "<b>PASS</b>"), False: ("fail", "<b>FAIL</b>"), None: ("", "")}
    body = []
    for line in lines:
        cells = [f"<th scope=row>{_text(line.name)}</th>"]
        cells += [f'<td class="asked">{_text(line.asked)}</td>'] if asked else []
        for cell, passed in zip(line.cells, line.passed, strict=True):
            kind, mark = marks[passed]
            interval = f"<small>{cell.interval}</small>" if cell.interval else ""
            cells.append(f'<td class="{kind}">{_text(cell.text)}{mark}{interval}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(
        f'<th scope="col"{" class=asked" if name == "asked" else ""}>{_text(name)}</th>'
        for name in names
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _pictures(first: Subject, part: Part) -> str:
    drawn = {
        "Energies by class": picture(lambda axes: _energies(axes, first, part)),
        "Nearest neighbour, by number of candidates": picture(lambda axes: _pools(axes, first)),
        "Gold told from violations": picture(lambda axes: _aucs(axes, first)),
        "Calibration": picture(lambda axes: _calibration(axes, first)),
    }
    return "".join(
        f'<figure><figcaption>{title}</figcaption><img alt="{title}" '
        f'src="data:image/svg+xml;base64,{base64.b64encode(image).decode()}"></figure>'
        for title, image in drawn.items()
    )


def _energies(axes: Axes, subject: Subject, part: Part) -> None:
    energies = np.minimum(subject.assessed.energies, 14)
    edges = np.linspace(0, 14, 57).tolist()
    for number, name in enumerate(CLASSES):
        mine = energies[part.labels == number]
        if len(mine):
            axes.hist(
                mine, edges, weights=np.full(len(mine), 1 / len(mine)), histtype="stepfilled",
                alpha=0.35, color=_COLOURS[name], edgecolor=_COLOURS[name], label=name,
            )  # fmt: skip
    for edge in (2, 6, 8):
        axes.axvline(edge, color="grey", linewidth=0.6, linestyle=":")
    axes.set(xlabel="energy (14 and more at 14)", ylabel="share of the class")
    axes.legend()


def _pools(axes: Axes, subject: Subject) -> None:
    for group, figures in subject.assessed.groups.items():
        found = figures["nearest_neighbour"]
        points = [(pool, found[str(pool)]["value"]) for pool in POOLS]
        points.append((figures["authorities"], found["all"]["value"]))
        known = sorted((x, y) for x, y in points if y is not None)
        if known:
            axes.plot(*zip(*known, strict=True), marker="o", markersize=4, label=group)
    axes.axhline(0.9, color="grey", linewidth=0.6, linestyle=":")
    axes.set(xlabel="candidates", ylabel="share found", xscale="log", ylim=(-0.03, 1.03))
    axes.set_xticks([32, 100, 1000], ["32", "100", "1,000"], minor=False)
    axes.set_xticks([], minor=True)
    axes.legend()


def _aucs(axes: Axes, subject: Subject) -> None:
    names = list(subject.assessed.groups)
    for shift, other in ((-0.12, "boundary"), (0.12, "adversarial")):
        for at, figures in enumerate(subject.assessed.groups.values()):
            found = figures["auc"][f"gold|{other}"]
            if found["low"] is not None:
                x = at + shift
                axes.plot([x, x], [found["low"], found["high"]], color=_COLOURS[other])
                axes.plot([x], [found["value"]], "o", color=_COLOURS[other], markersize=5)
        axes.plot([], [], "o-", color=_COLOURS[other], label=f"gold | {other}")
    axes.axhline(0.5, color="grey", linewidth=0.6, linestyle=":")
    axes.set(ylabel="AUC", ylim=(-0.03, 1.03), xticks=range(len(names)), xticklabels=names)
    axes.legend(loc="lower left")


def _calibration(axes: Axes, subject: Subject) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.6, linestyle=":")
    figures = subject.assessed.groups["all"]
    if curve := figures["calibration"]:
        said, true, counts = zip(*curve, strict=True)
        axes.plot(said, true, color=_COLOURS["adversarial"], linewidth=1)
        sizes = [20 + 180 * count / sum(counts) for count in counts]
        axes.scatter(said, true, s=sizes, color=_COLOURS["adversarial"])
    axes.set(
        xlabel="chance of an attack, as the energy has it (gold and adversarial)",
        ylabel="share of attacks", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03),
    )  # fmt: skip


def _text(value: object) -> str:
    return html.escape(str(value))

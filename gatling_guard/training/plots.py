"""The pictures of a run and one HTML page with them: a file that opens without a network.

Needs matplotlib, which is imported when a picture is drawn. Sees `metrics.jsonl` and `args.json`.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatling_guard.errors import ConfigurationError
from gatling_guard.training.metrics import CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = dict[str, Any]


def report(out: Path) -> Path:
    """Write `report.html` beside the metrics of a run.

    Raises:
        ConfigurationError: no metrics there, or matplotlib is not installed.
    """
    path = out / "metrics.jsonl"
    if not path.is_file():
        raise ConfigurationError(f"{out}: no metrics of a run")
    lines: list[Line] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if not lines:
        raise ConfigurationError(f"{out}: no epoch is finished")
    facts = json.loads((out / "args.json").read_text("utf-8"))
    page = out / "report.html"
    page.write_text(_page(lines, facts), encoding="utf-8")
    return page


def _page(lines: Sequence[Line], facts: Line) -> str:
    last = lines[-1]["figures"]
    pictures = {
        "Loss by epoch": picture(lambda axes: _losses(axes, lines)),
        "Validation: retrieval and separation": picture(lambda axes: _figures(axes, lines)),
        "Mean energy by class": picture(lambda axes: _energies(axes, lines)),
        "Calibration": picture(lambda axes: _calibration(axes, last["calibration"])),
        "Recall by mutation": picture(lambda axes: _recall(axes, last["recall"])),
    }
    rows = [
        (name, value) for name, value in last.items() if isinstance(value, (int, float, type(None)))
    ]
    rows += [(f"mean energy, {name}", value) for name, value in last["mean_energy"].items()]
    rows += [(f"in its band, {name}", value) for name, value in last["in_band"].items()]
    settings = [("data hash", facts["data_hash"]), *sorted(facts["args"].items())]
    images = "".join(
        f'<figure><figcaption>{title}</figcaption><img alt="{title}" '
        f'src="data:image/svg+xml;base64,{base64.b64encode(image).decode()}"></figure>'
        for title, image in pictures.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Training run</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
figure {{ display: inline-block; margin: 1rem 1rem 0 0 }} img {{ max-width: 28rem; width: 100% }}
td {{ padding: 0 1.5rem 0 0 }} td + td {{ font-variant-numeric: tabular-nums }}
</style></head><body>
<h1>Training run, {len(lines)} epochs</h1>
<p>Figures are those of the validation split after the last epoch, energies those of the training
head: what serves is calibrated apart.</p>
{_table(rows)}{images}<h2>Settings</h2>{_table(settings)}
</body></html>
"""


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    def cell(value: Any) -> str:
        text = f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
        return f"<td>{html.escape(text)}</td>"

    return "<table>" + "".join(f"<tr>{cell(k)}{cell(v)}</tr>" for k, v in rows) + "</table>"


def picture(draw: Any) -> bytes:
    """An SVG of what `draw` draws on one pair of axes; the same bytes for the same drawing.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ConfigurationError("pictures need: pip install matplotlib") from None
    with rc_context({"svg.hashsalt": "gatling"}):
        figure = Figure(figsize=(5, 3.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes)
        named = len(axes.get_yticklabels()) if axes.patches else 0  # bars need a line of text each
        figure.set_figheight(max(3.2, 0.6 + 0.2 * named))
        data = io.BytesIO()
        figure.savefig(data, format="svg", metadata={"Date": None})
    return data.getvalue()


def _losses(axes: Axes, lines: Sequence[Line]) -> None:
    epochs = [line["epoch"] for line in lines]
    for part in ("train", "validation"):
        axes.plot(epochs, [line[part]["loss"] for line in lines], marker=".", label=part)
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend()


def _figures(axes: Axes, lines: Sequence[Line]) -> None:
    epochs = [line["epoch"] for line in lines]
    for key in ("nearest_neighbour", "positive_similarity", "auc"):
        values = [line["figures"][key] for line in lines]
        known = [(e, v) for e, v in zip(epochs, values, strict=True) if v is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker=".", label=key.replace("_", " "))
    axes.set(xlabel="epoch", ylim=(-0.05, 1.05))
    axes.legend()


def _energies(axes: Axes, lines: Sequence[Line]) -> None:
    for name in CLASSES:
        known = [
            (line["epoch"], line["figures"]["mean_energy"][name])
            for line in lines
            if name in line["figures"]["mean_energy"]
        ]
        if known:
            axes.plot(*zip(*known, strict=True), marker=".", label=name)
    for edge in (2, 6, 8):
        axes.axhline(edge, color="grey", linewidth=0.5)
    axes.set(xlabel="epoch", ylabel="energy")
    axes.legend()


def _calibration(axes: Axes, curve: Sequence[Sequence[float]]) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.5)
    if curve:
        axes.plot([row[0] for row in curve], [row[1] for row in curve], marker="o")
    axes.set(xlabel="chance of an attack, as the energy has it", ylabel="share of attacks")


def _recall(axes: Axes, recall: dict[str, float]) -> None:
    names = sorted(recall)
    axes.barh([name.replace("_", " ") for name in names], [recall[name] for name in names])
    axes.set(xlabel="share above the 95th percentile of gold", xlim=(0, 1))

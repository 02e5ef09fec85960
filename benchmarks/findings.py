"""What a benchmark found: times of races, targets with a verdict each, and facts beside them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from rounds import Contestant, Ratio, Times, race


@dataclasses.dataclass(frozen=True)
class Line:
    """One target and whether it holds."""

    what: str
    value: float
    unit: str
    target: float
    at_least: bool = False
    interval: tuple[float, float] | None = None

    @property
    def holds(self) -> bool:
        """By the value alone; the interval is there to be read."""
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclasses.dataclass(frozen=True)
class Findings:
    """What the sections of the benchmark fill in."""

    rounds: int
    times: dict[str, dict[str, Times]] = dataclasses.field(default_factory=dict)
    lines: list[Line] = dataclasses.field(default_factory=list)
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)

    def race(self, what: str, contestants: list[Contestant], rounds: int = 0) -> dict[str, Times]:
        """Time them and keep the times as one row of the table."""
        self.times[what] = race(contestants, rounds=rounds or self.rounds)
        return self.times[what]

    def faster(self, what: str, found: Ratio, target: float) -> None:
        """A line: the loop takes at least `target` times as much processor time as ours."""
        interval = (found.low, found.high)
        self.lines.append(Line(what, found.value, "x", target, at_least=True, interval=interval))

    def at_most(self, what: str, value: float, unit: str, target: float) -> None:
        """A line with an upper bound."""
        self.lines.append(Line(what, value, unit, target))


def report(found: Findings) -> str:
    """The two tables."""
    rows = [f"{'milliseconds':40}{'':18}{'median':>9}{'quiet':>9}{'min':>9}{'cpu':>9}"]
    for what, times in found.times.items():
        for name, t in times.items():
            rows.append(
                f"{what:40}{name:18}{t.median:9.3f}{t.quiet:9.3f}{t.minimum:9.3f}{t.cpu_median:9.3f}"
            )
            what = ""
    if found.lines:
        rows += ["", f"{'target':40}{'is':>10} {'95 % of rounds':>18} {'wanted':>14}"]
    for line in found.lines:
        interval = "[{:.1f}, {:.1f}]".format(*line.interval) if line.interval else ""
        wanted = f"{'>=' if line.at_least else '<='} {line.target:g} {line.unit}"
        verdict = "holds" if line.holds else "missed"
        rows.append(f"{line.what:40}{line.value:10.3g} {interval:>18} {wanted:>14}  {verdict}")
    rows += ["", *(f"{name}: {value}" for name, value in found.facts.items())]
    return "\n".join(rows)


def as_json(found: Findings) -> str:
    """The same as one object."""
    times = {
        what: {
            name: {
                "median": t.median,
                "quiet": t.quiet,
                "min": t.minimum,
                "cpu": t.cpu_median,
            }
            for name, t in by_name.items()
        }
        for what, by_name in found.times.items()
    }
    lines = [{**dataclasses.asdict(line), "holds": line.holds} for line in found.lines]
    return json.dumps({"ms": times, "targets": lines, "facts": found.facts}, indent=2)

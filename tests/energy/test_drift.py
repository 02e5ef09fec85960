"""The drift alarm: seldom false, soon right, and a state that holds nothing of any task."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable

import pytest

from gatling_guard.energy.calibration import ToolsetCalibration
from gatling_guard.energy.conformal import Task, fit
from gatling_guard.energy.drift import LEVEL, WARNING, Drift, read_drift
from gatling_guard.energy.risk import Limit, RiskDefault
from gatling_guard.errors import ConfigurationError, InputError

DEFAULT = RiskDefault(
    hold=Limit(default=2.0, lowest=1.0, highest=4.0),
    block=Limit(default=8.0, lowest=6.0, highest=12.0),
)
Draw = Callable[[random.Random], float]


def smooth(rng: random.Random) -> float:
    return rng.expovariate(1)


def tied(rng: random.Random) -> float:
    return float(rng.random() < 0.2)


def calibration(draw: Draw, rng: random.Random, count: int) -> ToolsetCalibration:
    tasks = [Task(f"t{i}", f"t{i}", {"calm": {"send": draw(rng)}}) for i in range(count)]
    return fit(
        tasks, {"calm": DEFAULT}, {"calm": "m"}, policy="0" * 64, toolset=f"{rng.random()}"[2:]
        .ljust(64, "0")[:64],
    )  # fmt: skip


def served(start: Drift, draw: Draw, rng: random.Random, count: int) -> Drift:
    for _ in range(count):
        start = start.after({"calm": draw(rng)})
    return start


@pytest.mark.parametrize("draw", [smooth, tied])
@pytest.mark.parametrize("count", [1, 50])
def test_false_alarms_are_as_rare_as_promised(draw: Draw, count: int) -> None:
    """Ville: at most 1 in 20 deployments ever warns, even with one calibration row or all ties."""
    rng = random.Random(41)
    peaks = [
        served(Drift.start(calibration(draw, rng, count)), draw, rng, 120).peak for _ in range(150)
    ]
    # Binomial(150, 1/20): more than 14 in one of 100 tries.
    assert sum(peak >= WARNING for peak in peaks) <= 14
    assert sum(peak >= LEVEL for peak in peaks) <= 6


@pytest.mark.parametrize(("factor", "direction"), [(3.0, "higher"), (0.3, "lower")])
def test_a_drift_is_found_and_its_direction(factor: float, direction: str) -> None:
    rng = random.Random(43)
    found = served(Drift.start(calibration(smooth, rng, 200)), lambda r: factor * smooth(r), rng,
                   100)  # fmt: skip
    assert found.status == "alarm"
    assert found.alarmed_at is not None
    assert found.alarmed_at < 80
    assert found.risks["calm"].direction == direction


def test_a_drift_after_a_long_quiet_time_is_found_as_well() -> None:
    """A martingale that bet all from the start would have nothing left by then."""
    rng = random.Random(47)
    quiet = served(Drift.start(calibration(smooth, rng, 200)), smooth, rng, 1500)
    assert quiet.status == "quiet"
    later = served(quiet, lambda r: 3 * smooth(r), rng, 150)
    assert later.status == "alarm"
    assert later.alarmed_at is not None
    assert later.alarmed_at > 1500


def test_an_alarm_stays() -> None:
    rng = random.Random(53)
    found = served(Drift.start(calibration(smooth, rng, 200)), lambda r: 9.0, rng, 60)
    back = served(found, smooth, rng, 400)
    assert back.status == "alarm"
    assert back.alarmed_at == found.alarmed_at


def test_a_bet_is_fair() -> None:
    """Over all chances of a tie, and all ranks, the capital keeps its mean: a martingale."""
    rng = random.Random(59)
    start = served(Drift.start(calibration(smooth, rng, 20)), smooth, rng, 10).risks["calm"]
    total = count = 0.0
    for at, held in enumerate((*start.bins,)):
        risk = 0.0 if at == 0 else 1e9 if at == 63 else 1e-3 * 10 ** (6 * (at - 0.5) / 62)
        for i in range(100):
            # Exchangeable: a new task falls into a bin like any of those so far.
            total += held * start.after(risk, (i + 0.5) / 100).capital
            count += held
    assert total / count == pytest.approx(start.capital, rel=0.02)


def test_the_state_reads_back_and_goes_on_the_same(tmp_path: object) -> None:
    rng = random.Random(61)
    made = calibration(smooth, rng, 60)
    half = served(Drift.start(made), smooth, rng, 30)
    text = half.to_text()
    assert read_drift(text, made) == half
    one, two = (served(d, smooth, random.Random(1), 30) for d in (half, read_drift(text, made)))
    assert one == two  # P9
    assert len(text) < 1000


def test_what_cannot_be_a_state_is_refused() -> None:
    rng = random.Random(67)
    made, other = calibration(smooth, rng, 60), calibration(smooth, rng, 60)
    text = Drift.start(made).to_text()
    with pytest.raises(InputError, match="another calibration"):
        read_drift(text, other)
    row = json.loads(text)
    row["risks"]["calm"]["stakes"] = [-1.0, 0, 0, 0]
    with pytest.raises(InputError, match="/risks/calm/stakes/0"):
        read_drift(json.dumps(row), made)
    with pytest.raises(ConfigurationError, match="knows the risks calm, not other"):
        Drift.start(made).after({"other": 1.0})


def test_tasks_without_a_risk_change_nothing_and_no_number_is_high() -> None:
    made = calibration(smooth, random.Random(71), 60)
    start = Drift.start(made)
    assert start.after({}) is start
    assert start.after({"calm": math.nan}).risks["calm"].bins[-1] == 1
    long = start
    for _ in range(600):
        long = long.after({"calm": math.inf})
    assert math.isfinite(long.capital)
    assert long.status == "alarm"

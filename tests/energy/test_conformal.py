"""Split-conformal thresholds: what they promise on exchangeable data, and what poison can do."""

from __future__ import annotations

import json
import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard.catalog import Effect, ToolProfile, ToolSpec
from gatling_guard.energy.calibration import ToolsetCalibration, passed, read_calibration
from gatling_guard.energy.conformal import (
    MIN_GROUP,
    PSEUDO_TASKS,
    Alphas,
    Task,
    cluster_of,
    curves,
    fit,
    one_per_cluster,
    peaks,
    rank,
    threshold,
)
from gatling_guard.energy.coverage import (
    beta_binomial,
    beta_cdf,
    beta_quantile,
    coverage,
    in_order,
    stopped,
)
from gatling_guard.energy.risk import (
    BINS,
    POOLED,
    Limit,
    RiskDefault,
    bin_of,
    energy_of,
    group_of,
    toolset_digest,
)
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.policy import EnergyBounds

CALM = RiskDefault(
    hold=Limit(default=2.0, lowest=1.0, highest=4.0),
    block=Limit(default=8.0, lowest=6.0, highest=12.0),
)
SENSITIVE = CALM.model_copy(update={"may_block": False})
DEFAULTS = {"calm": CALM}
MODELS = {"calm": "heads-1"}
BOUNDS = EnergyBounds()
POLICY, TOOLS = "0" * 64, "1" * 64


def task(number: int, *values: float, group: str = "send", cluster: str | None = None) -> Task:
    name = f"t{number}"
    return Task(cluster or name, name, {"calm": {group: max(values)}} if values else {})


def drawn(count: int, rng: random.Random, scale: float = 1.0) -> list[Task]:
    groups = ("write", "send", "pay")
    return [task(i, rng.expovariate(1 / scale), group=rng.choice(groups)) for i in range(count)]


def made(tasks: list[Task], **options: object) -> ToolsetCalibration:
    return fit(tasks, DEFAULTS, MODELS, policy=POLICY, toolset=TOOLS, **options)  # type: ignore[arg-type]


# --- what is promised


@pytest.mark.parametrize(("alpha", "count"), [(0.1, 50), (0.1, 9), (0.05, 200), (0.01, 150)])
def test_a_new_task_passes_the_quantile_as_seldom_as_promised(alpha: float, count: int) -> None:
    """R44: new data every time, nothing resampled: mean and spread are those of the theory."""
    rng = random.Random(3)
    covered = []
    for _ in range(1000):
        found = threshold(sorted(rng.expovariate(1) for _ in range(count)), alpha, CALM.hold)
        assert found.quantile is not None
        covered.append(1 - math.exp(-found.quantile))  # the true coverage of this calibration
    k = rank(count, alpha)
    expected, spread = k / (count + 1), math.sqrt(k * (count + 1 - k) / (count + 2)) / (count + 1)
    assert expected >= 1 - alpha
    assert abs(statistics.fmean(covered) - expected) < 3 * spread / math.sqrt(len(covered))
    assert statistics.pstdev(covered) == pytest.approx(spread, rel=0.12)
    low, high = beta_quantile(0.05, k, count + 1 - k), beta_quantile(0.95, k, count + 1 - k)
    assert sum(low <= c <= high for c in covered) / len(covered) == pytest.approx(0.9, abs=0.03)


def test_the_rank_is_the_finite_sample_one() -> None:
    assert [rank(n, 0.1) for n in (0, 8, 9, 19, 20)] == [0, 0, 9, 18, 19]
    assert [rank(n, 0.01) for n in (98, 99, 199)] == [0, 99, 198]
    assert rank(19, 0.05) == 19  # 20 * 0.95 is more than 19 as a float


def test_coverage_over_200_resamples_lies_within_two_deviations() -> None:
    tasks = drawn(300, random.Random(5))
    for group in (POOLED, "send"):
        found = coverage(tasks, "calm", group, 0.1)
        assert found is not None
        assert found.inside
        # One pool: the mean is far more exact than a single resample.
        assert abs(found.fair - found.expected) < 0.01
        assert found.low < 0.9 < found.high


def test_with_heavy_ties_nobody_is_stopped_for_being_equal() -> None:
    """Most risks are 0 or 1. What ties with the threshold runs, so coverage is above the wanted."""
    rng = random.Random(7)
    tasks = [task(i, float(rng.random() < 0.3)) for i in range(200)]
    found = coverage(tasks, "calm", POOLED, 0.1)
    assert found is not None
    assert found.mean == 1.0
    assert found.inside  # ties broken at random: as expected again
    assert abs(found.fair - found.expected) < 0.01
    quantile = threshold(peaks(tasks, "calm"), 0.1, CALM.hold).quantile
    assert quantile == 1.0
    assert energy_of(quantile, quantile, 8.0, BOUNDS) < BOUNDS.allow_below


def test_all_risks_equal() -> None:
    tasks = [task(i, 0.0) for i in range(100)]
    found = coverage(tasks, "calm", POOLED, 0.1)
    assert found is not None
    assert found.inside
    assert made(tasks).risks["calm"].curves[POOLED].hold.bound == "lowest"


def test_a_file_in_order_of_its_risks_is_told() -> None:
    """Random halves cannot see it: they are exchangeable by construction."""
    rng = random.Random(11)
    tasks = drawn(120, rng) + [task(1000 + i, 3 * rng.expovariate(1)) for i in range(120)]
    halves, later = coverage(tasks, "calm", POOLED, 0.1), in_order(tasks, "calm", POOLED, 0.1)
    assert halves is not None
    assert halves.inside
    assert later is not None
    assert later.p < 1e-4
    rng.shuffle(tasks)
    mixed = in_order(tasks, "calm", POOLED, 0.1)
    assert mixed is not None
    assert mixed.p > 0.05


def test_what_is_stopped_is_a_task_not_a_call() -> None:
    """A threshold for single calls would stop a task of 20 calls far too often."""
    rng = random.Random(13)
    tasks = [task(i, *(rng.expovariate(1) for _ in range(20))) for i in range(400)]
    wide = RiskDefault(
        hold=Limit(default=5.0, lowest=0.1, highest=20.0),
        block=Limit(default=30.0, lowest=21.0, highest=60.0),
    )
    found = stopped(tasks, {"calm": wide}, Alphas(), pseudo_tasks=0)
    assert abs(found["hold"].mean - 0.1) < 2 * found["hold"].sd
    assert found["hold"].mean == pytest.approx(0.1, abs=0.02)


def test_beta_against_known_values() -> None:
    assert beta_cdf(0.5, 1, 1) == pytest.approx(0.5)
    assert beta_cdf(0.3, 1, 4) == pytest.approx(1 - 0.7**4)
    assert beta_quantile(0.05, 90, 10) == pytest.approx(0.8471, abs=2e-3)
    assert sum(beta_binomial(i, 12, 9, 2) for i in range(13)) == pytest.approx(1.0)
    assert [beta_binomial(i, 3, 1, 1) for i in range(4)] == pytest.approx([0.25] * 4)


# --- few rows, none, many of one instruction


def test_one_row_moves_nothing() -> None:
    found = made([task(0, 1e6)]).risks["calm"].curves[POOLED]
    assert (found.hold.value, found.block.value) == (2.0, 8.0)
    assert (found.hold.basis, found.hold.quantile, found.hold.tasks) == ("default", None, 1)
    assert coverage([task(0, 1.0)], "calm", POOLED, 0.1) is None
    assert stopped([task(0, 1.0)], DEFAULTS, Alphas()) == {}


def test_no_task_that_acts_is_an_error() -> None:
    why = "no task has a call that the learned heads judged"
    with pytest.raises(ConfigurationError, match=why):
        made([task(0), task(1)])
    with pytest.raises(ConfigurationError, match="no task"):
        made([])


def test_twenty_rows_swing_nothing_and_fifty_help() -> None:
    """However far off they are: 20 rows have 40 % of the say, within the limits."""
    far = {n: threshold([1e9] * n, 0.1, CALM.hold).value for n in (20, 50, 300)}
    assert far[20] == pytest.approx(2.0 + 0.4 * 2.0)
    assert far[20] < far[50] < far[300] < CALM.hold.highest
    assert 50 / (50 + PSEUDO_TASKS) > 0.6


def test_small_groups_use_the_thresholds_of_all() -> None:
    values = {
        POOLED: sorted([1.5] * 160 + [3.0] * 60),
        "send": [1.5] * MIN_GROUP,
        "pay": [3.0] * (MIN_GROUP - 1),
        "write": [1.5] * 120,
    }
    found = curves(values, CALM, Alphas())
    assert found.keys() == {POOLED, "send", "write"}  # `pay` is one short
    assert found["send"].hold.basis == "own"
    assert found["send"].block.basis == "pooled"  # 40 tasks have no 99 % quantile
    assert found["send"].block.value == found[POOLED].block.value
    assert found["write"].block.basis == "own"
    assert curves(values, CALM, Alphas(), groups=False).keys() == {POOLED}
    kept = made([task(i, 1.5, group="write") for i in range(60)]).risks["calm"]
    assert kept.curve("delete") is kept.curves[POOLED]


def test_runs_of_one_instruction_count_once() -> None:
    """A thousand copies of one instruction with a high risk must not set the threshold."""
    tasks = drawn(60, random.Random(17))
    copies = [task(1000 + i, 50.0, cluster="again") for i in range(1000)]
    assert len(one_per_cluster(tasks + copies)) == 61
    plain, loud = (made(rows).risks["calm"].curves[POOLED] for rows in (tasks, tasks + copies))
    assert loud.hold.tasks == 61
    assert abs(loud.hold.value - plain.hold.value) < 0.3
    found = coverage(tasks + copies, "calm", POOLED, 0.1)
    assert found is not None
    assert found.tasks == 61


def test_the_run_of_an_instruction_is_drawn_not_chosen() -> None:
    """The first or the worst one would not be exchangeable with a new run."""
    high = 0
    for number in range(400):
        pair = [Task("c", f"{number}-{j}", {"calm": {"send": float(j)}}) for j in range(2)]
        high += one_per_cluster(pair)[0].peak("calm", "send") == 1.0
    assert 150 < high < 250
    assert cluster_of("Pay  the\nBill") == cluster_of("pay the bill") != cluster_of("pay a bill")


# --- what poison can do


def test_poisoned_rows_do_not_switch_detection_off() -> None:
    """R44: every row poisoned, as high as they like: an attack beyond the limits is stopped."""
    found = made([task(i, 1e12) for i in range(5000)])
    curve = found.risks["calm"].curves[POOLED]
    assert (curve.hold.bound, curve.block.bound) == ("highest", "highest")
    assert curve.hold.value < CALM.hold.highest
    assert curve.block.value < CALM.block.highest
    assert found.energy("calm", CALM.hold.highest, "send", BOUNDS) > BOUNDS.allow_below
    assert found.energy("calm", CALM.block.highest, "send", BOUNDS) > BOUNDS.block_above


def test_rows_poisoned_low_do_not_stop_everything() -> None:
    curve = made([task(i, 0.0) for i in range(5000)]).risks["calm"].curves[POOLED]
    assert curve.hold.value > CALM.hold.lowest
    assert energy_of(CALM.hold.lowest, curve.hold.value, curve.block.value, BOUNDS) < 2.0


def test_a_few_poisoned_rows_move_little() -> None:
    """Fewer than alpha of the tasks move the quantile within the honest ones."""
    honest = sorted(random.Random(19).expovariate(1) for _ in range(190))
    plain = threshold(honest, 0.1, CALM.hold)
    poisoned = threshold(honest + [1e9] * 10, 0.1, CALM.hold)
    assert poisoned.bound is None
    assert poisoned.quantile is not None
    assert poisoned.quantile <= honest[int(0.96 * 190)]
    assert poisoned.value - plain.value < 0.8


def test_no_number_is_the_worst_number() -> None:
    rows = [task(i, 1.0) for i in range(20)] + [
        Task(f"n{i}", f"n{i}", {"calm": {"send": math.nan}}) for i in range(20)
    ]
    assert peaks(rows, "calm")[-1] == math.inf
    curve = made(rows).risks["calm"].curves[POOLED]
    assert (curve.hold.quantile, curve.hold.bound) == (None, "highest")
    assert made(rows).risks["calm"].bins[-1] == 20
    assert passed({"calm": {"send": math.nan}}, {"calm": {POOLED: curve}}, {"calm": True})["block"]


# --- the map

values = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@settings(max_examples=300, deadline=None)
@given(
    hold=st.floats(0.01, 100), gap=st.floats(0.01, 100), first=values, step=st.floats(1e-4, 10),
    may_block=st.booleans(),
)  # fmt: skip
def test_the_map_rises_is_bounded_and_never_negative(
    hold: float, gap: float, first: float, step: float, may_block: bool
) -> None:
    """R33: a learned number can only add."""

    def energy(risk: float) -> float:
        return energy_of(risk, hold, hold + gap, BOUNDS, may_block=may_block)

    top = energy(math.inf)
    assert 0.0 <= energy(first) <= energy(first + step) <= top <= 12.0
    if first < 10 * (hold + gap):  # further up two energies round to the same number
        assert energy(first) < energy(first + step)
    assert energy(math.nan) == top
    assert energy(-first) == 0.0
    assert energy(hold) < 2.0 <= energy(hold * 1.01)
    assert (top >= BOUNDS.block_above) is may_block
    assert energy(hold + gap) < BOUNDS.block_above


def test_the_map_has_no_jump() -> None:
    """A risk a hair above a threshold costs a hair more."""
    for at in (0.5, 1.0, 3.0):
        for may_block in (True, False):
            below, above = (
                energy_of(at * f, 1.0, 3.0, BOUNDS, may_block=may_block) for f in (1, 1 + 1e-9)
            )
            assert 0 < above - below < 1e-6
    assert energy_of(0.5, 1.0, 3.0, BOUNDS) == pytest.approx(0.25)  # the bulk costs little


@settings(max_examples=60, deadline=None)
@given(st.lists(values, min_size=1, max_size=150), st.integers(0, 100))
def test_thresholds_never_leave_their_limits_nor_cross(found: list[float], pseudo: int) -> None:
    curve = curves({POOLED: sorted(found)}, CALM, Alphas(), pseudo)[POOLED]
    for bound, limit in ((curve.hold, CALM.hold), (curve.block, CALM.block)):
        assert limit.lowest <= bound.value <= limit.highest
    assert curve.hold.value < curve.block.value


def test_bins_and_groups() -> None:
    risks = [0.0, 1e-4, 1e-3, 0.5, 0.7, 2.0, 999.0, 1e3, 1e300, math.inf]
    bins = [bin_of(r) for r in risks]
    assert bins == sorted(bins)
    assert (bins[0], bins[-1], bin_of(math.nan)) == (0, BINS - 1, BINS - 1)
    assert group_of(ToolProfile(Effect.PAY)) == "pay"
    assert group_of(ToolProfile(Effect.READ)) is None
    assert group_of(ToolProfile(Effect.STATE_CHANGING_READ)) is None
    assert group_of(ToolProfile(Effect.READ, url_args=("url",))) == "egress-read"


# --- the file


def test_the_file_reads_back_and_damage_is_found() -> None:
    found = made(drawn(120, random.Random(23)))
    text = found.to_text()
    assert read_calibration(text) == found
    assert read_calibration(text).digest == found.digest
    assert made(drawn(120, random.Random(23))).to_text() == text  # P9
    document = json.loads(text)
    document["risks"]["calm"]["curves"][POOLED]["hold"]["value"] = 3.9
    with pytest.raises(InputError, match="/digest: is not that of the content"):
        read_calibration(json.dumps(document))
    with pytest.raises(InputError, match="schema_version: must be 1, not 2"):
        read_calibration(text.replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(InputError, match="no calibration of a tool set"):
        read_calibration('{"format": 1, "knots": []}')  # that of a model
    with pytest.raises(InputError, match="/risks"):
        read_calibration('{"schema_version": 1}')
    with pytest.raises(InputError):
        read_calibration("[1]")


def test_no_word_of_a_run_is_in_the_file() -> None:
    """R58: instructions and ids may be secrets."""
    secret = Task(cluster_of("wire to GB29NWBK"), "run-of-ann@x.org", {"calm": {"send": 1.0}})
    text = made([secret, *drawn(60, random.Random(1))]).to_text()
    assert "ann@x.org" not in text
    assert secret.cluster not in text


def test_another_scorer_is_refused_and_another_policy_makes_stale() -> None:
    found = made(drawn(60, random.Random(29)))
    fits = found.fits(MODELS, DEFAULTS, policy=POLICY, toolset=TOOLS)
    assert (fits.status, fits.reasons) == ("valid", ())
    other = found.fits({"calm": "heads-2"}, DEFAULTS, policy=POLICY)
    assert other.status == "refused"
    assert "'heads-2'; calibrated was 'heads-1'" in other.reasons[0]
    new = found.fits({**MODELS, "sensitive": "heads-1"}, DEFAULTS, policy=POLICY)
    assert (new.status, new.reasons) == ("refused", ("risk 'sensitive' was not calibrated",))
    assert found.fits(MODELS, DEFAULTS, policy="2" * 64).status == "stale"
    assert "tools changed" in found.fits(
        MODELS, DEFAULTS, policy=POLICY, toolset="2" * 64
    ).reasons[0]  # fmt: skip


def test_a_forged_file_beyond_the_limits_is_refused() -> None:
    """The digest is no signature: what ships decides how far a file may go."""
    found = made(drawn(60, random.Random(31))).model_dump()
    found["risks"]["calm"]["curves"][POOLED]["block"]["value"] = 1e8
    forged = ToolsetCalibration.model_validate(found)
    assert read_calibration(forged.to_text()) == forged
    fits = forged.fits(MODELS, DEFAULTS, policy=POLICY)
    assert fits.status == "refused"
    assert "outside of its limits" in fits.reasons[0]
    quiet = made(drawn(60, random.Random(31))).fits(MODELS, {"calm": SENSITIVE}, policy=POLICY)
    assert quiet.status == "refused"


def test_tools_are_told_apart_in_any_order() -> None:
    one, two = ToolSpec("a"), ToolSpec("b", "does b")
    assert toolset_digest([one, two]) == toolset_digest([two, one, one])
    assert toolset_digest([one]) != toolset_digest([one, two])
    declared = ToolSpec("a", profile=ToolProfile(Effect.PAY))  # a recorded run knows no profile
    assert toolset_digest([one]) == toolset_digest([declared])


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="alpha to block"):
        Alphas(0.01, 0.1)
    with pytest.raises(ConfigurationError, match="lowest <= default"):
        Limit(default=2.0, lowest=3.0, highest=4.0)
    with pytest.raises(ConfigurationError, match="highest hold"):
        RiskDefault(hold=CALM.block, block=CALM.block)
    with pytest.raises(ConfigurationError, match="model id"):
        fit(drawn(3, random.Random(0)), DEFAULTS, {}, policy=POLICY, toolset=TOOLS)

"""The map from raw energies to the bands: by hand, and for any input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.encoders import calibration as shipped
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.training.calibration import cuts, fit


def test_classes_that_lie_apart() -> None:
    """R77: computed by hand. Cuts halfway; medians 0.2, 1.1 and 3."""
    raw = [0.1, 0.2, 0.3, 1.0, 1.1, 1.2, 2.0, 3.0, 4.0]
    found = fit(raw, [0, 0, 0, 1, 1, 1, 2, 2, 2], energy="learned")
    assert found.cuts == pytest.approx((0.65, 1.6))
    assert found.balanced_error == 0
    wanted = [(0, 0), (0.2, 0.7), (0.65, 2), (1.1, 4), (1.2, 6), (2, 8), (3, 10)]
    assert np.allclose(found.knots, wanted)
    energies = found(raw)
    assert (energies[:3] < 2).all()
    assert ((energies[3:6] >= 2) & (energies[3:6] <= 6)).all()
    assert (energies[6:] >= 8).all()
    # No number is no clean bill: nan would exceed no threshold.
    assert found(float("nan")) == float("inf")
    # Halfway between two knots; and beyond the last with its slope, which is not above 1.
    assert np.allclose(found([0.1, 0.875, 4.0, 5.0]), [0.35, 3, 11, 12])


def test_the_cuts_have_the_least_balanced_error() -> None:
    """One of four gold samples among the boundary ones: 1/4 of a class, 1/12 over three."""
    by_class = {
        "gold": np.array([1.0, 2, 3, 6]), "boundary": np.array([5.0, 7]),
        "adversarial": np.array([8.0, 9]),
    }  # fmt: skip
    found = cuts(by_class)
    assert (found.low, found.high, found.around) == (4.0, 7.5, (7.0, 8.0))
    assert found.error == pytest.approx(1 / 12)


def test_many_gold_samples_without_any_energy() -> None:
    """The structural energy of most honest plans is exactly 0."""
    found = fit([0, 0, 0, 0, 1, 2, 3, 5], [0, 0, 0, 1, 1, 1, 2, 2], energy="structure")
    assert found.knots[0] == (0, 0)
    assert found(0.0) == 0
    assert found(5.0) > 8 > 6 > found(1.0) > 2


LABELLED = st.lists(
    st.tuples(st.floats(0, 50, allow_subnormal=True), st.integers(0, 2)), min_size=3, max_size=60
)


@given(LABELLED, st.lists(st.floats(0, 1e6), min_size=2, max_size=20))
def test_it_never_falls(samples: list[tuple[float, int]], asked: list[float]) -> None:
    """R77: whatever it is fitted on, a higher raw energy is never a lower one."""
    raw, label = zip(*samples, strict=True)
    if len({*label}) < 3 or len({round(x, 9) for x in raw}) < 2:
        with pytest.raises(ConfigurationError, match="calibration"):
            fit(raw, label, energy="both")
        return
    found = fit(raw, label, energy="both")
    x = np.sort([*asked, *raw])
    y = found(x)
    assert np.isfinite(y).all()
    assert (y >= 0).all()
    # A millionth: the sum of two terms rounds.
    assert (np.diff(y) >= -1e-6).all()
    assert shipped.from_bytes(found.to_bytes()) == found


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no boundary and no adversarial samples"):
        fit([0.0, 1.0], [0, 0], energy="both")
    for odd in (-1.0, float("nan"), 1e300):
        with pytest.raises(ConfigurationError, match="from 0 to 1e"):
            fit([odd, 1.0, 2.0], [0, 1, 2], energy="both")


GOOD = fit([0.0, 1.0, 2.0], [0, 1, 2], energy="both").model_dump(mode="json")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"format": 2}, "/format"),
        ({"energy": "cosine"}, "/energy"),
        ({"knots": [[0, 0]]}, "/knots"),
        ({"knots": [[0, 0], [1, 5], [2, 4]]}, "/knots/2"),
        ({"knots": [[0, 0], [1, 5], [1, 6]]}, "/knots/2"),
        ({"knots": [[0, 0], [1, -5]]}, "/knots/1/1"),
        ({"knots": [[0, 0], [5e-324, 8]]}, "/knots/1"),
        ({"knots": [[0, 0], ["1", 5]]}, "/knots/1/0"),
        ({"more": 1}, "/more"),
        ({"cuts": [1]}, "/cuts"),
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, object], place: str) -> None:
    """R79: with the place."""
    with pytest.raises(InputError) as error:
        shipped.from_bytes(json.dumps({**GOOD, **change}).encode())
    assert any(issue.where.startswith(place) for issue in error.value.issues)


def test_no_json_is_refused() -> None:
    for data in (b"", b"[]", b'{"knots": [[0, NaN]]}', b"\xff"):
        with pytest.raises(InputError):
            shipped.from_bytes(data)

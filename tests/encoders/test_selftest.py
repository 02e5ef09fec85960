"""The self-test at load: what it lets through and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gatling_guard.encoders import selftest
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.plan import leaves, parse_plan
from gatling_guard.policy import load_policy
from tests.encoders.models import TinyEncoders, cases, states


def test_the_cases_are_real_plans_and_policies() -> None:
    """R79: 1, 3 and 7 calls, arguments in arguments, a role the policy knows."""
    found = cases()
    plans = [parse_plan(case.plan) for case in found]
    assert [len(plan.nodes) for plan in plans] == [1, 3, 7]
    depth = max(leaf.path.count("/") for node in plans[2].nodes for leaf in leaves(node.arguments))
    assert depth >= 3
    assert {case.role for case in found} <= set(load_policy(found[0].policy).roles)
    assert all(case.context["instruction"] for case in found)


def test_the_same_weights_pass_after_a_round_trip() -> None:
    """R79: nothing is lost in the file; drift is reported."""
    found = selftest.from_bytes(selftest.to_bytes(cases()))
    assert found == cases()
    assert selftest.run(TinyEncoders(states()), found, "fp32") == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("precision", "part", "key"),
    [
        *[
            ("fp32", part, key)
            for part in ("execution", "governance")
            for key in ("up.weight", "up.bias", "down.weight")
        ],
        ("int8", "execution", "down.weight"),
        ("int8", "governance", "down.weight"),
    ],
)
def test_one_scaled_matrix_is_refused(precision: selftest.Precision, part: str, key: str) -> None:
    """R79: by 5 %; also the last one, which changes no angle and so no energy."""
    weights = states()
    weights[part][key] = weights[part][key] * np.float32(1.05)
    noise = 0.01 if precision == "int8" else 0.0
    with pytest.raises(ConfigurationError, match=r"self-test '.*': .* stored is .* tolerated"):
        selftest.run(TinyEncoders(weights, noise), cases(), precision)


@pytest.mark.parametrize(
    ("parts", "row", "what"),
    [(("execution", "governance"), 0, r"z_e\[0\]"), (("execution",), -1, "energy")],
)
def test_angles_and_single_numbers_are_both_compared(
    parts: tuple[str, ...], row: int, what: str
) -> None:
    """R79: one axis turned round in both keeps energy and length; one past the eighth in one of
    them keeps length and all numbers that are stored."""
    weights = states()
    for part in parts:
        weights[part]["down.weight"][row] *= -1
    with pytest.raises(ConfigurationError, match=what):
        selftest.run(TinyEncoders(weights), cases(), "fp32")


def test_swapped_encoders_are_refused() -> None:
    weights = states()
    weights["execution"], weights["governance"] = weights["governance"], weights["execution"]
    with pytest.raises(ConfigurationError, match="self-test"):
        selftest.run(TinyEncoders(weights), cases(), "fp32")


def test_rounding_of_int8_is_drift_and_of_fp32_a_fault() -> None:
    """R18: another instruction set moves int8 numbers; fp32 ones hardly."""
    moved = TinyEncoders(states(), noise=0.02)
    drift = selftest.run(moved, cases(), "int8")
    assert 0 < drift.energy <= selftest.TOLERANCE["int8"]
    assert 0 < drift.component <= 0.1
    with pytest.raises(ConfigurationError, match="at most"):
        selftest.run(moved, cases(), "fp32")
    slightly = {
        part: {key: array * np.float32(1 + 1e-6) for key, array in state.items()}
        for part, state in states().items()
    }
    assert selftest.run(TinyEncoders(slightly), cases(), "fp32").norm > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_no_number_passes_no_test(value: float) -> None:
    """G18: a network that returns NaN compares unequal to nothing; it must not pass."""
    weights = states()
    weights["execution"]["down.weight"] = weights["execution"]["down.weight"] * np.float32(value)
    with pytest.raises(ConfigurationError, match="norm"), np.errstate(all="ignore"):
        selftest.run(TinyEncoders(weights), cases(), "fp32")


def test_a_precision_that_was_not_stored_is_refused() -> None:
    only = selftest.make_cases({"fp32": TinyEncoders(states())})
    with pytest.raises(ConfigurationError, match="nothing stored for int8"):
        selftest.run(TinyEncoders(states()), only, "int8")
    with pytest.raises(ConfigurationError, match="no cases"):
        selftest.run(TinyEncoders(states()), (), "fp32")


def test_another_width_is_refused() -> None:
    weights = states()
    for part in ("execution", "governance"):
        weights[part]["down.weight"] = weights[part]["down.weight"][:12]
    with pytest.raises(ConfigurationError, match="12"):
        selftest.run(TinyEncoders(weights), cases(), "fp32")


def test_torch_tensors_are_taken() -> None:
    """Whatever a backend returns, with a gradient or without."""
    torch = pytest.importorskip("torch")

    class Torch(TinyEncoders):
        def _run(self, part: str, value: Any) -> Any:
            return torch.tensor(super()._run(part, value), requires_grad=True)

    assert selftest.run(Torch(states()), cases(), "fp32").energy == 0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda raw: raw[0].pop("plan"), "/0/plan"),
        (lambda raw: raw[1].update(more=1), "/1/more"),
        (lambda raw: raw[2]["expected"]["fp32"].update(energy="x"), "/2/expected/fp32/energy"),
        (lambda raw: raw[0]["expected"].update(fp16={}), "/0/expected/fp16"),
    ],
)
def test_faults_of_the_file_are_named(change: Any, place: str) -> None:
    raw = json.loads(selftest.to_bytes(cases()))
    change(raw)
    with pytest.raises(InputError) as caught:
        selftest.from_bytes(json.dumps(raw).encode())
    assert any(issue.where.startswith(place) for issue in caught.value.issues)

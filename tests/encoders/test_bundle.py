"""A model in one piece: what is loaded, from what, and that int8 decides as fp32 does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gatling_guard import energy
from gatling_guard.encoders import (
    CONFIGS,
    ExecutionEncoder,
    GovernanceEncoder,
    load_encoders,
    selftest,
)
from gatling_guard.encoders.bundle import Encoders, create
from gatling_guard.encoders.checkpoint import (
    Part,
    expected_shapes,
    load_cases,
    load_state,
    read_listed,
    save_weights,
    update,
    verify,
)
from gatling_guard.encoders.energies_onnx import TERMS
from gatling_guard.encoders.export import export
from gatling_guard.encoders.manifest import read_manifest
from gatling_guard.encoders.prediction import plan_inputs, prediction_error
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.training.dataset import prepare
from gatling_guard.training.demo_samples import samples as demo_samples
from gatling_guard.training.served import serve
from tests.encoders.decision_plans import stored
from tests.encoders.plans import plan_of

AUTHORITY = ({"allow": ["send_email"], "deny": ["delete_*"]}, "clerk", "Send Ann the report")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained weights of the smallest named config, exported."""
    folder = tmp_path_factory.mktemp("models") / "small"
    config = CONFIGS["small"]
    states = {name: module.state_dict() for name, module in create(config, 3).items()}
    created = "2026-11-21T12:00:00Z"
    save_weights(folder, states, config, name="small", version="test", created=created)
    export(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(model: Path) -> dict[str, Encoders]:
    return {
        "int8": load_encoders(model),
        "fp32": load_encoders(model, precision="fp32"),
        "torch": load_encoders(model, backend="torch"),
    }


def all_of(encoders: Encoders) -> list[NDArray[np.float32]]:
    """Everything a model says about one plan under one authority."""
    plan = plan_of(9, 4)
    state = encoders.execution.start()
    z_g = encoders.governance(*AUTHORITY)
    found = [np.asarray(z_g)]
    for node in plan.order:
        into = [edge for edge in plan.edges if edge.target == node]
        predicted = encoders.predictor.predict(z_g, *plan_inputs(encoders.config, state))
        step = state.append(plan.calls[node], sources=into)
        found += [predicted, step.z_e, step.state, step.call]
        found.append(prediction_error(predicted, step.call))
    return found


def learned(encoders: Encoders) -> NDArray[np.float32]:
    """The learned energies of three calls under one authority, `[3, 4]`."""
    assert encoders.energy is not None
    z_g = np.repeat(np.asarray(encoders.governance(*AUTHORITY)), 3, 0)
    source = np.random.default_rng(5)
    c = encoders.config
    widths = (c.latent_dim, c.hidden_dim, c.call_dim, c.call_dim)
    given = [source.standard_normal((3, width)).astype(np.float32) for width in widths]
    return encoders.energy.energies(z_g, *given)


def test_the_backends_say_the_same(loaded: dict[str, Encoders]) -> None:
    """R19: encoders, node states, call embeddings and predictor, torch and ONNX fp32."""
    for one, other in zip(all_of(loaded["torch"]), all_of(loaded["fp32"]), strict=True):
        assert np.abs(one - other).max() < 1e-4


def test_the_backends_give_the_same_energies(loaded: dict[str, Encoders]) -> None:
    """R33: four energies >= 0, torch and ONNX fp32 within 1e-5; int8 near by."""
    found = {name: learned(encoders) for name, encoders in loaded.items()}
    assert found["torch"].shape == (3, len(TERMS))
    assert (found["torch"] > 0).all()
    assert found["torch"].std(0).min() > 1e-3  # they depend on the plan
    assert np.abs(found["torch"] - found["fp32"]).max() < 1e-5
    assert np.abs(found["torch"] - found["int8"]).max() < 0.1


def test_plans_of_a_dataset_are_served_alike(loaded: dict[str, Encoders]) -> None:
    """What `evaluate-model` looks at, call by call, on both backends."""
    data = prepare(demo_samples(12))
    items = [item for split in data.splits.values() for item in split]
    found = {name: serve(encoders, items, data.texts) for name, encoders in loaded.items()}
    for name in ("z_g", "z_e", "terms", "predicted", "calls"):
        mine, other = (getattr(found[backend], name) for backend in ("torch", "fp32"))
        assert len(mine) >= 12
        assert np.abs(mine - other).max() < 1e-4
    exact, served = found["torch"].terms, found["int8"].terms
    assert exact is not None
    assert served is not None
    assert np.abs(exact - served).max() < 0.1


def test_the_terms_are_those_of_the_energies_room() -> None:
    assert TERMS == energy.TERMS


def test_a_model_without_energies_still_loads(model: Path, tmp_path: Path) -> None:
    """Early folders have three networks; a self-test with energies asks for the fourth."""
    manifest = read_manifest(model)
    config = manifest.encoder_config
    states = {part: load_state(model, part) for part in ("execution", "governance", "predictor")}
    rest = {n: read_listed(model, n, manifest) for n in manifest.files if n.startswith("onnx/")}
    rest = {name: data for name, data in rest.items() if "/energy." not in name}
    cases = load_cases(model)
    old = [
        case.model_copy(
            update={"expected": {
                precision: value.model_copy(update={"learned": None})
                for precision, value in case.expected.items()
            }}
        )
        for case in cases
    ]  # fmt: skip
    facts: Any = {"name": "x", "version": "1", "created": "2026-11-21T12:00:00Z"}
    for where, kept in (("old", old), ("cut", cases)):
        extra = {**rest, "selftest.json": selftest.to_bytes(kept)}
        save_weights(tmp_path / where, states, config, extra=extra, **facts)
        assert verify(tmp_path / where, expected=expected_shapes(config)) == []
    for backend in ("onnx", "torch"):
        assert load_encoders(tmp_path / "old", backend=backend).energy is None
        with pytest.raises(ConfigurationError, match="0 learned energies, stored are 4"):
            load_encoders(tmp_path / "cut", backend=backend)
    export(tmp_path / "old")
    assert load_encoders(tmp_path / "old").energy is None


def test_int8_decides_as_fp32_does(loaded: dict[str, Encoders]) -> None:
    """R18: cosine >= .99 and every decision equal on the stored 300 plans.

    The decision: which stored anchor is the plan's, if it is near enough to one at all.
    """
    rows = stored()
    anchors = [i for i, row in enumerate(rows) if row["near"] is None]
    decided = {}
    found = {}
    for precision in ("fp32", "int8"):
        encode = loaded[precision].execution
        z = np.concatenate([np.asarray(encode(row["plan"])) for row in rows])  # type: ignore[operator]
        found[precision] = z / np.linalg.norm(z, axis=1, keepdims=True)
        alike = found[precision] @ found[precision][anchors].T
        decided[precision] = np.where(alike.max(1) > 0.95, alike.argmax(1), -1)
    assert len(rows) == 300
    assert (found["fp32"] * found["int8"]).sum(1).min() >= 0.99
    assert np.array_equal(decided["fp32"], decided["int8"])
    right = [row["anchor"] if row["near"] is not False else -1 for row in rows]
    assert decided["fp32"].tolist() == right


def test_int8_files_are_small(model: Path) -> None:
    """R18: at most 30 % of fp32, over the networks; text projections stay fp32."""
    files = read_manifest(model).files
    size = {
        precision: sum(
            entry.bytes
            for name, entry in files.items()
            if name.endswith(f".{precision}.onnx") and "_text" not in name
        )
        for precision in ("fp32", "int8")
    }
    assert size["int8"] <= 0.3 * size["fp32"]


PROBE = """
import json, sys
from gatling_guard.encoders import load_encoders
encoders = load_encoders(sys.argv[1])
z = encoders.execution(json.loads(sys.argv[2]))
print(json.dumps([z[0, :8].tolist(), "torch" in sys.modules, "onnx" in sys.modules]))
"""


def test_the_onnx_path_needs_no_torch(model: Path, loaded: dict[str, Encoders]) -> None:
    """R7, design 4: another process, another hash seed, no torch: the same bits."""
    plan = plan_of(5, 8).model_dump(mode="json")
    for seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, str(model), json.dumps(plan)],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
        )  # fmt: skip
        first, with_torch, with_onnx = json.loads(done.stdout)
        assert not with_torch
        assert not with_onnx
        here: Any = loaded["int8"].execution
        assert first == here(plan)[0, :8].tolist()


def test_from_pretrained(model: Path, loaded: dict[str, Encoders]) -> None:
    """R147: the factory of one encoder, with a folder, a backend and a device."""
    plan = plan_of(6, 6)
    expected: Any = loaded["torch"].execution
    encoder: Any = ExecutionEncoder.from_pretrained(model, device="cpu")
    assert not any(module.training for module in encoder.modules())
    with torch.no_grad():
        assert torch.equal(encoder(plan), expected(plan))
    served: Any = ExecutionEncoder.from_pretrained(model, backend="onnx")
    assert np.abs(served(plan) - expected(plan).numpy()).max() < 0.5
    governance: Any = GovernanceEncoder.from_pretrained(model)
    with torch.no_grad():
        z_g = governance(*AUTHORITY).numpy()
    assert np.array_equal(z_g, loaded["torch"].governance(*AUTHORITY))


def test_a_changed_policy_misses_once(loaded: dict[str, Encoders]) -> None:
    """R31: by content, not by object."""
    cache = loaded["int8"].governance
    cache.clear()
    policy: dict[str, Any] = {"allow": ["read_file"]}
    before = cache.vectors.misses
    first = cache(policy, "clerk", "read it")
    assert np.array_equal(cache({"allow": ["read_file"]}, "clerk", "read it"), first)
    policy["allow"].append("send_email")
    second = cache(policy, "clerk", "read it")
    assert not np.array_equal(first, second)
    assert np.array_equal(cache(policy, "clerk", "read it"), second)
    assert cache.vectors.misses == before + 2


def test_weights_that_compute_something_else_are_refused(model: Path, tmp_path: Path) -> None:
    """Self-test: every hash fits, and one matrix is not the one the graphs were made of."""
    folder = tmp_path / "scaled"
    manifest = read_manifest(model)
    parts: tuple[Part, ...] = ("execution", "governance", "predictor")
    states: dict[str, Any] = {part: dict(load_state(model, part)) for part in parts}
    key = "plan.blocks.0.qkv.weight"
    states["execution"][key] = states["execution"][key] * np.float32(1.2)
    rest = {
        name: read_listed(model, name, manifest)
        for name in manifest.files
        if not name.endswith(".safetensors")
    }
    save_weights(
        folder, states, manifest.encoder_config, name="x", version="1",
        created="2026-11-21T12:00:00Z", extra=rest,
    )  # fmt: skip
    load_encoders(folder)  # the graphs are still the old ones
    with pytest.raises(ConfigurationError, match="self-test"):
        load_encoders(folder, backend="torch")
    swapped = {"onnx/plan.int8.onnx": rest["onnx/call.int8.onnx"]}
    update(folder, swapped, created="2026-11-21T12:00:00Z")
    with pytest.raises((ConfigurationError, InputError)):
        load_encoders(folder)


def test_without_weights_it_says_so(tmp_path: Path) -> None:
    """P7: what is missing, and how to get it."""
    with pytest.raises(ConfigurationError, match="folder"):
        load_encoders(tmp_path / "nothing")

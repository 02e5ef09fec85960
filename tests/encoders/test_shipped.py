"""The weights that come with the package: what is there, and that they know what they are for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatling_guard.encoders import Encoders, load_encoders, manifest
from gatling_guard.encoders.checkpoint import expected_shapes, verify
from gatling_guard.encoders.manifest import PRETRAINED, read_manifest, shipped
from gatling_guard.plan import ToolCall
from gatling_guard.training.assessment import raw_energy
from gatling_guard.training.dataset import prepare
from gatling_guard.training.sample import Sample
from gatling_guard.training.served import Served, serve
from gatling_guard.training.validators import total_energy
from tests.encoders.shipped_pairs import exfiltrating, honest

ROOT = Path(__file__).resolve().parents[2]
MODEL_MB, RELEASE_MB = 36, 60
SCORERS = ("precise-3", "scorer-1")


@pytest.fixture(scope="module")
def model() -> Path:
    folder = shipped()
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def encoders(model: Path) -> Encoders:
    return load_encoders()


def run(encoders: Encoders, samples: list[Sample]) -> Served:
    """What a model makes of samples, in their order."""
    data = prepare(samples)
    items = {item.id: item for split in data.splits.values() for item in split}
    assert len(items) == len(samples)
    return serve(encoders, [items[sample.id] for sample in samples], data.texts)


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# --- which folder


def test_the_newest_weights_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, not by name; folders without a manifest and other folders do not count."""
    monkeypatch.setattr(manifest, "PRETRAINED", tmp_path)
    assert shipped() is None
    for name in ("model-2", "model-10", "model-11", "model-x", "model-", "text-99"):
        (tmp_path / name).mkdir()
        if name != "model-11":
            (tmp_path / name / "manifest.json").write_text("{}")
    assert shipped() == tmp_path / "model-10"


def test_without_weights_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P7"""
    from gatling_guard.errors import ConfigurationError

    monkeypatch.setattr(manifest, "PRETRAINED", tmp_path)
    with pytest.raises(ConfigurationError, match="this version ships no weights"):
        load_encoders()


# --- the files


def test_the_shipped_folder_is_whole(model: Path) -> None:
    """R79: every hash, every shape, nothing beside them."""
    found = read_manifest(model)
    assert verify(model, expected=expected_shapes(found.encoder_config)) == []


def test_the_shipped_weights_are_small_enough(model: Path) -> None:
    """Issue 5: a released version has 60 MB at most; the static table was released before."""
    assert bytes_of(model) <= MODEL_MB * 1e6
    assert (
        bytes_of(model) + sum(bytes_of(PRETRAINED / name) for name in SCORERS) <= RELEASE_MB * 1e6
    )


def test_the_shipped_manifest_says_where_they_come_from(model: Path) -> None:
    """R79, R85: who wants to make them again finds all that it takes."""
    found = read_manifest(model)
    assert f"model-{found.version}" == model.name
    for part in ("gatling-guard generate", "training.recorded", "gatling-guard train", "--seed 0"):
        assert part in found.command
    assert found.seeds == (0,)
    assert found.data_hash is not None
    assert set(found.data_files) == {"generated.jsonl", "recorded.jsonl"}
    assert {"gatling-guard", "torch", "onnxruntime"} <= found.packages.keys()
    assert found.licence == "Apache-2.0"
    assert found.attribution
    for name in ("all/positive similarity", "all/delta_sec", "tools/nearest neighbour of 32"):
        assert name in found.metrics


def test_verify_looks_at_the_shipped_weights() -> None:
    code = "from gatling_guard.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "model", "verify", "--json"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"]


PROBE = """
import json, socket, sys, time
socket.socket.connect = None
from gatling_guard.encoders import load_encoders
started = time.process_time()
encoders = load_encoders()
seconds = time.process_time() - started
z_g = encoders.governance({"allow": ["send_email"]}, "clerk", "Send Ann the report")
heavy = sorted({"torch", "onnx", "transformers"} & sys.modules.keys())
print(json.dumps([seconds, heavy, z_g.tobytes().hex()]))
"""


def test_they_load_within_a_second_without_torch_and_give_the_same_bytes(
    encoders: Encoders,
) -> None:
    """R7, P9, design 4: two other processes with other hash seeds, and this one."""
    z_g = encoders.governance({"allow": ["send_email"]}, "clerk", "Send Ann the report")
    for seed in ("1", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, heavy, found = json.loads(done.stdout)
        assert seconds < 1
        assert heavy == []
        assert found == np.asarray(z_g).tobytes().hex()


# --- what they know


def test_int8_says_what_torch_says(encoders: Encoders, model: Path) -> None:
    """R18, R19: every embedding of the hand-written plans at a cosine of .99."""
    found, exact = (
        run(each, honest()) for each in (encoders, load_encoders(model, backend="torch"))
    )
    for name in ("z_g", "z_e", "calls"):
        one, other = getattr(found, name), getattr(exact, name)
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        assert ((one * other).sum(1) / lengths).min() >= 0.99, name


def test_an_instruction_is_nearest_to_its_own_plan(encoders: Encoders) -> None:
    """R83: 18 of 20 at least, both ways; tools and wordings are those of no generator."""
    served = run(encoders, honest())
    z_g, z_e = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (served.z_g, served.z_e))
    alike = z_g @ z_e.T
    own = np.arange(len(alike))
    assert (alike.argmax(1) == own).mean() >= 0.9
    assert (alike.argmax(0) == own).mean() >= 0.9


def test_sending_all_to_a_stranger_costs_more(encoders: Encoders) -> None:
    """R33: every twin above its honest plan, after calibration; most beyond the lower cut."""
    bands = encoders.calibration
    assert bands is not None
    energies: dict[str, Any] = {}
    for name, samples in (("honest", honest()), ("twin", exfiltrating())):
        structure = np.array([total_energy(sample) for sample in samples])
        raw = raw_energy(bands.energy, run(encoders, samples), structure)
        learned = raw_energy("learned", run(encoders, samples), structure)
        energies[name] = bands(raw), learned
    assert (energies["twin"][0] > energies["honest"][0]).all()
    assert (energies["twin"][1] > energies["honest"][1]).all()
    assert np.median(energies["twin"][0]) > 6
    assert np.median(energies["honest"][0]) < 2


def test_a_larger_limit_is_farther_away_in_the_shipped_weights(encoders: Encoders) -> None:
    """R21: of the call and of the plan."""

    def both(limit: int) -> tuple[Any, Any]:
        call = ToolCall(node_id="1", tool_name="list_events", arguments={"limit": limit})
        step = encoders.execution.start().append(call)
        return step.call, step.z_e

    for five, fifty, many in zip(both(5), both(50), both(10_000), strict=True):
        assert 2 * np.linalg.norm(five - fifty) < np.linalg.norm(five - many)

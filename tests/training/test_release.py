"""What ships: weights in half precision, no more than serves, and where all of it comes from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from gatling_guard.encoders import EncoderConfig, calibration, load_encoders
from gatling_guard.encoders.bundle import create
from gatling_guard.encoders.checkpoint import load_state, save_weights, update, verify
from gatling_guard.encoders.export import export
from gatling_guard.encoders.manifest import Manifest, read_manifest
from gatling_guard.errors import ConfigurationError
from gatling_guard.training import calibration as fitting
from gatling_guard.training import hub
from gatling_guard.training import release as releasing
from gatling_guard.training.dataset import hash_of
from gatling_guard.training.demo_samples import samples
from gatling_guard.training.examination import document, examine
from gatling_guard.training.release import half, headline, release
from gatling_guard.training.sample import write_samples
from gatling_guard.training.splits import read_split

NOW = "2026-11-21T12:00:00Z"
TRAIN = "gatling-guard train --dataset data.jsonl --seed 3"
CONFIG = EncoderConfig.named(
    "small", hidden_dim=32, words_dim=32, latent_dim=64, projection_dim=64, blocks=1, call_dim=32
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.jsonl"
    write_samples(path, samples(66))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Random weights in the place of trained ones."""
    folder = tmp_path_factory.mktemp("run") / "model"
    states = {name: module.state_dict() for name, module in create(CONFIG, 3).items()}
    save_weights(
        folder, states, CONFIG, name="gatling-tiny", version="epoch-7", created=NOW, seeds=(3,),
        command=f"/opt/bin/{TRAIN} --resume", data_hash=hash_of([data]), metrics={"loss": 1.0},
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def ready(trained: Path) -> Path:
    """Rounded, exported, calibrated."""
    folder = trained.with_name("half")
    half(trained, folder, created=NOW)
    export(folder)
    raw, label = [0.1, 0.2, 0.3, 1.0, 1.1, 1.2, 2.0, 3.0, 4.0], [0, 0, 0, 1, 1, 1, 2, 2, 2]
    bands = fitting.fit(raw, label, energy="both")
    update(folder, {calibration.FILE: bands.to_bytes()}, created=NOW)
    return folder


@pytest.fixture(scope="module")
def metrics(ready: Path, data: Path) -> dict[str, Any]:
    part = read_split([data], "test", seed=0)
    return document([examine(ready, part)], part, [data])


@pytest.fixture(scope="module")
def shipped(ready: Path, data: Path, metrics: dict[str, Any]) -> Path:
    folder = ready.with_name("model-1")
    made(ready, folder, data, metrics)
    return folder


def made(model: Path, to: Path, data: Path, metrics: Any, **changes: Any) -> Manifest:
    given: dict[str, Any] = {
        "number": 1, "command": f"gatling-guard generate --seed 1; {TRAIN}", "data": [data],
        "metrics": metrics, "created": NOW, **changes,
    }  # fmt: skip
    return release(model, to, **given)


def test_weights_are_rounded_before_the_graphs_are_made(trained: Path, ready: Path) -> None:
    """Torch and ONNX are the same numbers."""
    sizes = [
        read_manifest(folder).files["execution.safetensors"].bytes for folder in (trained, ready)
    ]
    assert sizes[1] < 0.53 * sizes[0]
    before, after = load_state(trained, "execution"), load_state(ready, "execution")
    assert any(not np.array_equal(before[key], after[key]) for key in before)
    for key, value in after.items():
        assert np.array_equal(value, before[key].astype(np.float16).astype(np.float32))
    exact, graphs = load_encoders(ready, backend="torch"), load_encoders(ready, precision="fp32")
    authority = ({"allow": ["send_email"]}, "clerk", "Send Ann the report")
    found = [np.asarray(each.governance(*authority)) for each in (exact, graphs)]
    assert np.abs(found[0] - found[1]).max() < 1e-5


def test_text_graphs_hold_half_precision(ready: Path) -> None:
    graph = onnx.load(ready / "onnx" / "execution_text.fp32.onnx").graph
    (weight,) = (each for each in graph.initializer if len(each.dims) == 2)
    assert weight.data_type == onnx.TensorProto.FLOAT16
    state = load_state(ready, "execution")
    stored = onnx.numpy_helper.to_array(weight).astype(np.float32)
    assert any(
        np.array_equal(stored, value) or np.array_equal(stored, value.T)
        for key, value in state.items() if key.startswith("text.")
    )  # fmt: skip


def test_what_ships_serves_and_is_whole(shipped: Path, ready: Path) -> None:
    """R79: int8, self-test and calibration; torch weights; no graphs in fp32 but those of texts."""
    assert verify(shipped) == []
    names = set(read_manifest(shipped).files)
    assert {name for name in names if "fp32" in name} == {
        "onnx/execution_text.fp32.onnx", "onnx/governance_text.fp32.onnx"
    }  # fmt: skip
    assert {name for name in set(read_manifest(ready).files) - names if "fp32" not in name} == set()
    plan = {"nodes": [{"node_id": "1", "tool_name": "send_email", "arguments": {"to": "ann"},
                       "provenance_tier": 1, "scope_level": 2}], "edges": []}  # fmt: skip
    served: Any = load_encoders(shipped)
    assert served.calibration is not None
    before: Any = load_encoders(ready)
    assert np.array_equal(served.execution(plan), before.execution(plan))
    load_encoders(shipped, backend="torch")
    with pytest.raises(ConfigurationError, match=r"no onnx/call\.fp32\.onnx.*gatling-guard export"):
        load_encoders(shipped, precision="fp32")


def test_the_manifest_says_where_it_comes_from(
    shipped: Path, trained: Path, data: Path, metrics: dict[str, Any]
) -> None:
    """R79, R85: command, seeds, data as a whole and by file, figures, packages."""
    manifest = read_manifest(shipped)
    assert (manifest.name, manifest.version, manifest.seeds) == ("gatling-tiny", "1", (3,))
    assert manifest.command == f"gatling-guard generate --seed 1; {TRAIN}"
    assert manifest.data_hash == read_manifest(trained).data_hash
    assert manifest.data_files == {"data.jsonl": hashlib.sha256(data.read_bytes()).hexdigest()}
    assert {"gatling-guard", "torch", "onnx", "numpy"} <= manifest.packages.keys()
    assert any("MiniLM" in line for line in manifest.attribution)
    found = manifest.metrics
    figures = metrics["model"]["groups"]["all"]
    assert found["all/positive similarity"] == pytest.approx(
        figures["positive_similarity"]["value"], abs=1e-6
    )
    assert found["all/auc gold|adversarial"] == pytest.approx(
        figures["auc"]["gold|adversarial"]["value"], abs=1e-6
    )
    assert found["test samples"] == metrics["data"]["samples"]
    assert any(key.startswith("recall/") for key in found)
    assert "loss" not in found


def test_nothing_of_another_model_is_released(
    ready: Path, trained: Path, data: Path, metrics: dict[str, Any], tmp_path: Path
) -> None:
    other = json.loads(json.dumps(metrics))
    other["model"]["digest"] = "0" * 64
    elsewhere = tmp_path / "other.jsonl"
    elsewhere.write_bytes(data.read_bytes() + b"\n")
    to = tmp_path / "model-1"
    with pytest.raises(ConfigurationError, match="the metrics are of model 000"):
        made(ready, to, data, other)
    with pytest.raises(ConfigurationError, match=r"not trained on .*other\.jsonl"):
        made(ready, to, elsewhere, metrics)
    with pytest.raises(ConfigurationError, match="was trained with --dataset"):
        made(ready, to, data, metrics, command="gatling-guard train --dataset data.jsonl --seed 4")
    with pytest.raises(ConfigurationError, match=r"calibration\.json.*`gatling-guard calibrate-"):
        made(trained, to, data, None)
    assert not to.exists()


def test_a_model_of_unknown_training_is_not_released(
    ready: Path,
    data: Path,
    metrics: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A made model names no training; nothing is a part of every command."""
    unknown = read_manifest(ready).model_copy(update={"command": "gatling-guard model create"})
    monkeypatch.setattr(releasing, "read_manifest", lambda folder: unknown)
    with pytest.raises(ConfigurationError, match="a command that is not noted"):
        made(ready, tmp_path / "model-1", data, metrics)


def test_the_same_model_is_released_as_the_same_bytes(
    ready: Path, shipped: Path, data: Path, metrics: dict[str, Any], tmp_path: Path
) -> None:
    """P9: the time of the release is no part of it."""
    again = made(ready, tmp_path / "again", data, metrics, created="2027-01-01T00:00:00Z")
    assert again.digest == read_manifest(shipped).digest


def test_figures_without_a_value_are_left_out(metrics: dict[str, Any]) -> None:
    found = dict(headline(metrics, metrics["model"]["digest"]))
    assert all(np.isfinite(value) for value in found.values())
    targets = metrics["model"]["targets"]["all"]
    assert {f"all/{t['name']}" for t in targets if t["found"] is not None} <= found.keys()


def test_the_hub_export_holds_all_four_networks(shipped: Path, tmp_path: Path) -> None:
    """R80: the two encoders as the core; predictor, energies and calibration where there are."""
    folder = hub.export(shipped, tmp_path / "hub")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "calibration.json", "config.json", "energy.safetensors",
        "execution_encoder.safetensors", "governance_encoder.safetensors", "predictor.safetensors",
    ]  # fmt: skip
    for name in ("energy.safetensors", "calibration.json"):
        assert (folder / name).read_bytes() == (shipped / name).read_bytes()
    card = (folder / "README.md").read_text()
    assert "| all/positive similarity |" in card
    assert "test split" in card
    assert read_manifest(shipped).data_files["data.jsonl"] in card

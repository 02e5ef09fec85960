"""The founding script's command line, the hub export and the report; nothing touches a network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gatling_guard.encoders.content import unpacked
from gatling_guard.errors import ConfigurationError
from gatling_guard.training import hub, plots
from gatling_guard.training.command import DONE, WRONG, main
from gatling_guard.training.throughput import measure
from tests.training.samples import TINY, write

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--epochs", "1", "--config", "small", "--latent-dim", "64", "--threads", "1"]


def refuse(folder: Path, repository: str) -> str:
    raise AssertionError("nobody asked for a push")


def test_one_epoch_on_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R69, R151: the founding flags, on 66 samples; and the push gets the export folder (R80)."""
    data = write(tmp_path / "data.jsonl.xz", 66)
    pushed: list[tuple[list[str], str]] = []

    def push(folder: Path, repository: str) -> str:
        pushed.append((sorted(p.name for p in folder.iterdir()), repository))
        return "https://hub.invalid/x"

    code = main(
        [*QUICK, "--dataset", str(data), "--batch-size", "16", "--learning-rate", "1e-3",
         "--push-to-hub", "me/x", "--output", str(tmp_path / "run")],
        push=push,
    )  # fmt: skip
    shown = capsys.readouterr()
    assert code == DONE
    assert "SYNTHETIC" not in shown.err
    assert "epoch 1/1  train" in shown.out
    names = ["README.md", "config.json", "energy.safetensors", "execution_encoder.safetensors",
             "governance_encoder.safetensors", "predictor.safetensors"]  # fmt: skip
    assert pushed == [(names, "me/x")]
    assert "pushed: https://hub.invalid/x" in shown.out


def test_without_a_dataset_it_says_so_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R70: 12 samples over three domains."""
    assert main([*QUICK, "--output", str(tmp_path / "run")], push=refuse) == DONE
    shown = capsys.readouterr()
    assert "12 SYNTHETIC samples" in shown.err
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["figures"]["samples"] == 12


def test_bad_lines_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R65: left out and told with file and line; with --strict an error."""
    data = write(tmp_path / "data.jsonl", 30)
    data.write_text(data.read_text() + "{\n")
    given = [*QUICK, "--dataset", str(data), "--output"]
    assert main([*given, str(tmp_path / "a")], push=refuse) == DONE
    assert f"left out: {data}:31" in capsys.readouterr().err
    assert main([*given, str(tmp_path / "b"), "--strict"], push=refuse) == WRONG
    assert f"{data}:31" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R65: an error, not a traceback."""
    given = [*QUICK, "--dataset", str(tmp_path / "none.jsonl"), "--output", str(tmp_path / "run")]
    assert main(given, push=refuse) == WRONG
    assert f"{tmp_path / 'none.jsonl'}" in capsys.readouterr().err


def test_the_script_has_the_founding_flags() -> None:
    """R69."""
    script = ROOT / "scripts" / "train_jepa_encoders.py"
    done = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    for flag in ("--dataset", "--epochs", "--batch-size", "--learning-rate", "--push-to-hub"):
        assert flag in done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    data = write(folder.parent / "data.jsonl", 66)
    assert main([*QUICK, "--dataset", str(data), "--output", str(folder)], push=refuse) == DONE
    return folder


def test_the_export_holds_the_weights_and_where_they_come_from(run: Path, tmp_path: Path) -> None:
    """R80: two weight files, config and card."""
    model = run / "checkpoints" / "best" / "model"
    folder = hub.export(model, tmp_path / "hub")
    for name in ("governance", "execution"):
        ours = (model / f"{name}.safetensors").read_bytes()
        theirs = (folder / f"{name}_encoder.safetensors").read_bytes()
        assert ours == theirs
        assert unpacked(theirs, what=name)
    assert json.loads((folder / "config.json").read_text())["latent_dim"] == 64
    card = (folder / "README.md").read_text()
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["data_hash"] in card
    assert "validation_loss" in card
    with pytest.raises(ConfigurationError, match="exists"):
        hub.export(model, tmp_path / "hub")


def test_a_push_needs_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigurationError, match="pip install huggingface_hub"):
        hub.push(tmp_path, "me/x")


def test_the_report_holds_everything_itself(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 5
    assert "http" not in page.replace("http-equiv", "")
    assert "nearest_neighbour" in page
    assert plots.report(run).read_text() == page
    with pytest.raises(ConfigurationError, match="no metrics"):
        plots.report(run.parent)


def test_throughput_is_measured() -> None:
    """R81: plans per second of both ways; how many is `make bench-train`'s to say."""
    found = measure(TINY, batch_size=64, seconds=0.2)
    assert found.batched > found.one_by_one > 0
    assert "times as fast" in str(found)

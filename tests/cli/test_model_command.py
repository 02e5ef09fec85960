"""`gatling-guard model` and `export`: what they print, their exit codes, what they import."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gatling_guard.cli import app, console
from gatling_guard.encoders import manifest as manifest_module
from gatling_guard.encoders import text
from gatling_guard.encoders.checkpoint import load_state, update, verify
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.manifest import read_manifest
from tests.encoders.models import CREATED, Tokens, forge, saved, states


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "text_features", lambda name, *, vocabulary: Tokens(f"{name}-1"))
    monkeypatch.setattr(console.out, "_width", 200)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    saved(tmp_path / "model")
    return tmp_path / "model"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    """A module of the package that needs torch, replaced."""
    module = types.ModuleType(f"gatling_guard.encoders.{name}")
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, module.__name__, module)


def without(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    """The same, as it is where `package` is not installed."""

    class Finder:
        def find_spec(self, wanted: str, path: Any = None, target: Any = None) -> None:
            if wanted == f"gatling_guard.encoders.{name}":
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.delitem(sys.modules, f"gatling_guard.encoders.{name}", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])


def test_info_prints_what_the_manifest_says(model: Path) -> None:
    """R79: name, config, parameters, files and sizes, data hash, metrics."""
    result = run("model", "info", model)
    assert result.exit_code == 0
    manifest = read_manifest(model)
    size = manifest.files["execution.safetensors"].bytes
    for shown in ("tiny", "0.1.0", "md5-1", "ab" * 32, "0.9371", "hidden_dim", f"{size:,}", "800"):
        assert shown in result.output
    assert manifest.digest in result.output
    found = json.loads(run("model", "info", model, "--json").stdout)
    assert found == {"folder": str(model), **manifest.to_dict()}


def test_info_prints_no_control_characters_of_a_manifest(model: Path) -> None:
    forge(model, command="\x1b[2J[red]x[/red]")
    result = run("model", "info", model)
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "[red]x[/red]" in result.output


def test_without_a_folder_the_shipped_one_is_meant(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: a version without weights says so."""
    monkeypatch.setattr(manifest_module, "shipped", lambda: None)
    for verb in ("info", "verify"):
        result = run("model", verb)
        assert result.exit_code == 2
        assert "ships no weights" in result.stderr
    monkeypatch.setattr(manifest_module, "shipped", lambda: model)
    assert run("model", "verify").exit_code == 0
    assert json.loads(run("model", "info", "--json").stdout)["name"] == "tiny"


def test_verify_says_ok_and_the_digest(model: Path) -> None:
    result = run("model", "verify", model)
    assert result.exit_code == 0
    assert result.stdout.startswith("ok: tiny 0.1.0, 20 files")
    assert read_manifest(model).digest in result.stdout
    assert json.loads(run("model", "verify", model, "--json").stdout)["ok"] is True


def test_verify_names_every_damaged_file(model: Path) -> None:
    """R79: exit code 1, which a script can tell from "could not be read"."""
    for name in ("execution.safetensors", "onnx/call.int8.onnx"):
        data = (model / name).read_bytes()
        (model / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (model / "weights.pt").write_bytes(b"x")
    result = run("model", "verify", model)
    assert result.exit_code == 1
    assert "3 errors" in result.stdout
    found = json.loads(run("model", "verify", model, "--json").stdout)
    wanted = {"execution.safetensors", "onnx/call.int8.onnx", "weights.pt"}
    assert {issue["file"] for issue in found["issues"]} == wanted


def test_verify_refuses_a_manifest_and_what_is_none(model: Path, tmp_path: Path) -> None:
    (model / "manifest.json").write_text('{"format": 7}')
    result = run("model", "verify", model)
    assert result.exit_code == 1
    assert "format 7" in result.stdout
    for verb in ("verify", "info"):
        assert run("model", verb, tmp_path).exit_code == 2
        assert run("model", verb, tmp_path / "nothing").exit_code == 2
    assert run("model", "info", model).exit_code == 2


def test_only_a_digest_noted_elsewhere_finds_a_forger(model: Path) -> None:
    """R79: hashes and digest made anew fit each other."""
    noted = read_manifest(model).digest
    assert run("model", "verify", model, "--expect-digest", noted).exit_code == 0
    forge(model, version="6.6.6")
    assert run("model", "verify", model).exit_code == 0
    result = run("model", "verify", model, "--expect-digest", noted)
    assert result.exit_code == 1
    assert noted in result.stdout


def test_verify_compares_with_the_networks(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R149: weights of another version's networks."""

    class Network:
        def __init__(self, part: str) -> None:
            self.part = part

        def state_dict(self) -> Any:
            return {f"{self.part}.renamed": states()["predictor"]["gate"]}

    def create(config: EncoderConfig, seed: int) -> dict[str, Network]:
        return {part: Network(part) for part in ("execution", "governance", "predictor")}

    stand_in(monkeypatch, "bundle", create=create)
    result = run("model", "verify", model, "--shapes")
    assert result.exit_code == 1
    assert "missing: governance.renamed" in result.stdout


def test_create_makes_a_model_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")

    def create(config: EncoderConfig, seed: int) -> dict[str, Any]:
        names = ("execution", "governance", "predictor")
        return {name: torch.nn.Linear(config.hidden_dim, seed + 2) for name in names}

    stand_in(monkeypatch, "bundle", create=create)
    where = tmp_path / "new"
    result = run("model", "create", where, "--config", "small", "--seed", 3)
    assert result.exit_code == 0, result.output
    assert verify(where) == []
    manifest = read_manifest(where)
    assert (manifest.seeds, manifest.data_hash) == ((3,), None)
    assert manifest.encoder_config == EncoderConfig.named("small")
    assert load_state(where, "predictor")["weight"].shape == (5, 128)
    again = run("model", "create", where, "--config", "small", "--seed", 4)
    assert again.exit_code == 2
    assert "exists" in again.stderr
    assert read_manifest(where) == manifest
    assert run("model", "create", tmp_path / "x", "--config", "huge").exit_code == 2


def test_export_says_what_it_made(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R19: only the files that are new or changed."""

    def export(folder: Path) -> None:
        update(folder, {"onnx/call.int8.onnx": b"new"}, created=CREATED)

    stand_in(monkeypatch, "export", export=export)
    result = run("export", model)
    assert result.exit_code == 0, result.output
    assert "onnx/call.int8.onnx" in result.stdout
    assert "policy" not in result.stdout
    found = json.loads(run("export", model, "--json").stdout)
    assert found["made"] == []
    assert found["digest"] == read_manifest(model).digest
    assert run("export", model / "nothing").exit_code == 2


@pytest.mark.parametrize(
    ("verb", "name"), [(("export",), "export"), (("model", "create"), "bundle")]
)
def test_without_torch_the_way_to_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...], name: str
) -> None:
    """P7: exit code 2 and no traceback; any other missing module is a fault of ours."""
    for package in ("torch", "onnx", "onnxscript"):
        with monkeypatch.context() as patch:
            without(patch, name, package)
            result = run(*verb, tmp_path / "m")
        assert result.exit_code == 2
        assert 'pip install "gatling-guard[train]"' in result.stderr
    without(monkeypatch, name, "gatling_guard.encoders.tree")
    assert isinstance(run(*verb, tmp_path / "m").exception, ModuleNotFoundError)


def test_the_command_line_stays_light() -> None:
    """P7: neither the verbs' registration nor `model info` loads numpy or torch."""
    code = (
        "import sys; from gatling_guard.cli import app;"
        "assert not {'torch', 'numpy', 'onnxruntime', 'safetensors'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""Model folders: what is written is read back, and nothing else is."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from gatling_guard.encoders import checkpoint, content, folder, text
from gatling_guard.encoders.checkpoint import (
    load_calibration,
    load_cases,
    load_graph,
    load_into,
    load_state,
    names_for,
    save_weights,
    update,
    verify,
)
from gatling_guard.encoders.manifest import (
    FILE,
    MAX_BYTES,
    MAX_MANIFEST,
    build_manifest,
    name_fault,
    parse_manifest,
    read_manifest,
)
from gatling_guard.errors import ConfigurationError, InputError
from tests.encoders.models import (
    CONFIG,
    CREATED,
    Tokens,
    cases,
    extra,
    forge,
    onnx_files,
    saved,
    states,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokeniser `md5-50`, whatever this version ships."""
    monkeypatch.setattr(text, "text_features", lambda name, *, vocabulary: Tokens(f"{name}-1"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    saved(tmp_path / "model")
    return tmp_path / "model"


def everything(model: Path) -> dict[str, bytes]:
    return {name: (model / name).read_bytes() for name in folder.listed(model)}


def read_all(model: Path) -> None:
    """What a user of the folder loads."""
    for name in read_manifest(model).files:
        load(model, name)


def load(model: Path, name: str) -> Any:
    if name.endswith(".onnx"):
        graph, precision = Path(name).name.split(".")[:2]
        return load_graph(model, graph, precision)  # type: ignore[arg-type]
    if name == "selftest.json":
        return load_cases(model)
    if name == "calibration.json":
        return load_calibration(model)
    return load_state(model, name.removesuffix(".safetensors"))  # type: ignore[arg-type]


def messages(model: Path) -> str:
    return "\n".join(map(str, verify(model)))


# --- round trip


def test_what_is_saved_is_loaded_bit_by_bit(tmp_path: Path) -> None:
    """R79: signs of zero, denormals, scalars, empty and transposed arrays among them."""
    odd: dict[str, NDArray[np.float32]] = {
        "zero": np.array([0.0, -0.0], np.float32),
        "tiny": np.array([1e-45, -3e-39, 3.4e38], np.float32),
        "scalar": np.array(2.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "turned": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    }
    where = tmp_path / "m"
    save_weights(where, {"execution": odd}, CONFIG, name="m", version="1", created=CREATED)
    assert verify(where) == []
    found = load_state(where, "execution")
    assert found.keys() == odd.keys()
    for key, value in odd.items():
        assert found[key].shape == value.shape
        assert found[key].tobytes() == value.tobytes()


def test_the_manifest_says_what_was_saved(model: Path) -> None:
    """R79: config, tokeniser, data, seeds, metrics, parameters, and every file with its hash."""
    manifest = read_manifest(model)
    assert manifest.encoder_config == CONFIG
    assert manifest.parameters["execution"] == 32 * 8 + 32 + 16 * 32
    assert manifest.parameters["predictor"] == 1
    assert manifest.metrics == {"auroc": 0.9371, "steps": 40}
    assert set(manifest.files) == set(folder.listed(model)) - {"manifest.json"}
    assert load_cases(model) == cases()
    assert load_graph(model, "call", "int8") == onnx_files()["onnx/call.int8.onnx"]
    assert parse_manifest(manifest.to_bytes()) == manifest


def test_the_same_model_is_the_same_bytes(tmp_path: Path) -> None:
    """P9: also in the other order of keys; the time is no part of the digest."""
    one = saved(tmp_path / "a")
    turned = {part: dict(reversed(state.items())) for part, state in reversed(states().items())}
    saved(tmp_path / "b", created="2027-01-01T00:00:00Z", extra=dict(reversed(extra().items())))
    two = read_manifest(tmp_path / "b")
    assert one.digest == two.digest
    assert one.created != two.created
    assert content.packed(turned["execution"]) == content.packed(states()["execution"])
    assert saved(tmp_path / "c", seed=1).digest != one.digest


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """G4: nothing depends on the salt of `hash`."""
    code = (
        "import sys, pathlib; from gatling_guard.encoders import text;"
        "from tests.encoders.models import *;"
        "text.text_features = lambda name, *, vocabulary: Tokens(f'{name}-1');"
        "saved(pathlib.Path(sys.argv[1]))"
    )
    for salt in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        target = str(tmp_path / salt)
        subprocess.run([sys.executable, "-c", code, target], cwd=ROOT, check=True, env=environment)
    assert everything(tmp_path / "1") == everything(tmp_path / "2")


# --- damage


NAMES = [
    "execution.safetensors",
    "governance.safetensors",
    "predictor.safetensors",
    "selftest.json",
    "calibration.json",
    "onnx/call.fp32.onnx",
    "onnx/policy.int8.onnx",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["first", "middle", "last", "cut", "grown", "empty", "gone"])
def test_a_damaged_file_is_refused(model: Path, name: str, damage: str) -> None:
    """R79: one bit anywhere, a file cut short or grown, one that is gone."""
    path = model / name
    data = bytearray(path.read_bytes())
    places = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}
    if damage in places:
        data[places[damage]] ^= 1
    others = {"cut": bytes(data[:-1]), "grown": bytes(data) + b"\0", "empty": b""}
    changed = others.get(damage, bytes(data))
    path.unlink()
    if damage != "gone":
        path.write_bytes(changed)
    issues = verify(model)
    assert {issue.file for issue in issues} == {name}
    sizes = {"cut": len(data) - 1, "grown": len(data) + 1, "empty": 0}
    if damage in sizes:
        assert f"has {sizes[damage]} bytes, not {len(data)}" in str(issues[0])
    with pytest.raises(InputError, match=name):
        load(model, name)


def test_a_changed_bit_of_the_manifest_is_refused(model: Path) -> None:
    """R79: every byte of it, but those of the time of creation."""
    data = (model / "manifest.json").read_bytes()
    start = data.index(CREATED.encode())
    free = range(start, start + len(CREATED))
    for place in range(0, len(data), 3):
        if place in free:
            continue
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(InputError):
            parse_manifest(bytes(changed))


def test_swapped_files_are_named(model: Path) -> None:
    one, other = model / "execution.safetensors", model / "governance.safetensors"
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
    if len(data) == one.stat().st_size:
        assert "it is governance.safetensors" in messages(model)
    assert {issue.file for issue in verify(model)} == {one.name, other.name}
    graph = model / "onnx/call.fp32.onnx"
    graph.write_bytes((model / "onnx/call.int8.onnx").read_bytes())
    assert "it is onnx/call.int8.onnx" in messages(model)


def test_a_swap_with_fitting_hashes_is_refused(model: Path) -> None:
    """Hashes made anew: the parameters do not fit, and no network takes the keys."""
    one, other = model / "execution.safetensors", model / "governance.safetensors"
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
    forge(model)
    assert "parameters" in messages(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """R79: NaN compares false with every limit, so it would pass all of them."""
    bad = states()
    bad["governance"]["up.bias"][3] = value
    with pytest.raises(InputError, match=r"up\.bias: 1 of 24 numbers are not finite"):
        save_weights(tmp_path / "m", bad, CONFIG, name="m", version="1", created=CREATED)
    assert not (tmp_path / "m").exists()
    saved(tmp_path / "m")
    forged = safetensors.numpy.save(bad["governance"])
    (tmp_path / "m/governance.safetensors").write_bytes(forged)
    forge(tmp_path / "m")
    assert "not finite" in messages(tmp_path / "m")
    with pytest.raises(InputError, match="not finite"):
        load_state(tmp_path / "m", "governance")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64])
def test_only_fp32_is_kept(tmp_path: Path, dtype: Any) -> None:
    wrong = {"execution": {"w": np.zeros(3, dtype)}}
    with pytest.raises(InputError, match="w: is .*; weights are float32"):
        save_weights(tmp_path / "m", wrong, CONFIG, name="m", version="1", created=CREATED)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
def test_only_two_precisions_are_read(tmp_path: Path, dtype: Any) -> None:
    saved(tmp_path / "m")
    forged = safetensors.numpy.save({"gate": np.zeros(3, dtype)})
    (tmp_path / "m/predictor.safetensors").write_bytes(forged)
    forge(tmp_path / "m", parameters={"execution": 800, "governance": 600, "predictor": 3})
    with pytest.raises(InputError, match="gate: is .*, not F32 or F16"):
        load_state(tmp_path / "m", "predictor")


def test_half_precision_numbers_take_half_the_bytes(tmp_path: Path) -> None:
    """Rounded weights come back as the same fp32 numbers; others are stored as they are."""
    exact = np.array([[0.0, -0.0, 1.5], [6e-8, 65504.0, -0.1]], np.float32)
    some = content.rounded({"w": exact, "b": np.full(4, 0.1, np.float32)})
    some["fine"] = np.array([1.0, 0.1], np.float32)
    where = tmp_path / "m"
    save_weights(where, {"execution": some}, CONFIG, name="m", version="1", created=CREATED)
    assert verify(where) == []
    stored = safetensors.numpy.load((where / "execution.safetensors").read_bytes())
    assert {key: str(value.dtype) for key, value in stored.items()} == {
        "w": "float16", "b": "float16", "fine": "float32"
    }  # fmt: skip
    found = load_state(where, "execution")
    for key, value in some.items():
        assert found[key].dtype == np.float32
        assert found[key].tobytes() == value.tobytes()
        assert not found[key].flags.writeable


def test_a_weight_beyond_half_precision_is_refused(tmp_path: Path) -> None:
    """It would become infinite."""
    large = content.rounded({"w": np.array([1.0, 7e4], np.float32)})
    with pytest.raises(InputError, match="w: 1 of 2 numbers are not finite"):
        save_weights(
            tmp_path / "m", {"energy": large}, CONFIG, name="m", version="1", created=CREATED
        )


def test_a_manifest_says_which_files_and_packages(tmp_path: Path) -> None:
    """R79: in the digest, and left out by models that have none."""
    plain = saved(tmp_path / "a")
    assert "data_files" not in plain.to_dict()
    given: dict[str, Any] = {
        "data_files": {"generated.jsonl": "ab" * 32}, "packages": {"torch": "2.13.0+cpu"}
    }  # fmt: skip
    full = saved(tmp_path / "b", **given)
    assert read_manifest(tmp_path / "b") == full
    assert {key: full.to_dict()[key] for key in given} == given
    assert full.digest != plain.digest


def test_a_file_with_a_lying_header_is_refused(model: Path) -> None:
    """Hashes fit: a header of 2^62 bytes, tensors that overlap, no header at all."""
    header = json.dumps({"gate": {"dtype": "F32", "shape": [10**6], "data_offsets": [0, 4]}})
    for data in (
        (2**62).to_bytes(8, "little") + b"{}",
        len(header).to_bytes(8, "little") + header.encode() + b"\0\0\0\0",
        b"",
        b"\0" * 100,
        pickle.dumps({"gate": 1.0}),
    ):
        (model / "predictor.safetensors").write_bytes(data)
        forge(model)
        assert "is no safetensors file" in messages(model)
        with pytest.raises(InputError, match="is no safetensors file"):
            load_state(model, "predictor")


# --- names, links, sizes


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("weights.pt", "pickle"),
        ("weights.pth", "pickle"),
        ("pytorch_model.bin", "pickle"),
        ("a.pkl", "pickle"),
        ("a.PKL", "pickle"),
        ("a.ckpt", "pickle"),
        ("../execution.safetensors", "leaves"),
        ("onnx/../../x.onnx", "leaves"),
        ("/etc/x.json", "leaves"),
        ("C:x.json", "leaves"),
        ("onnx\\x.onnx", "leaves"),
        ("readme.txt", "none of"),
        ("x.safetensors.py", "none of"),
        ("manifest.json", "no name"),
        ("onnx//x.onnx", "no name"),
        ("./x.onnx", "no name"),
        (".hidden.onnx", "no name"),
        ("a/b/c.onnx", "no name"),
        ("x\n.onnx", "no name"),
        ("x\0.onnx", "no name"),
        ("e\u0301.onnx", "no name"),
        ("a" * 300 + ".onnx", "no name"),
        ("", "none of"),
    ],
)
def test_names_that_no_file_of_a_model_has(model: Path, name: str, why: str) -> None:
    """R79: in a manifest whose digest fits; and nothing of that name is written."""
    assert why in (name_fault(name) or "")
    raw = json.loads((model / "manifest.json").read_text())
    forge(model, files={**raw["files"], name: {"sha256": "0" * 64, "bytes": 3}})
    with pytest.raises(InputError, match=why):
        read_manifest(model)
    with pytest.raises(InputError, match=why):
        saved(model.parent / "new", extra={name: b"abc"})
    assert not (model.parent / "new").exists()


def test_the_names_in_use_are_fine() -> None:
    assert [name for name in {*NAMES, *onnx_files()} if name_fault(name)] == []


@pytest.mark.parametrize("name", ["weights.pt", "note.txt", "onnx/more.onnx", "sub/.x"])
def test_a_file_that_is_not_listed_is_refused(model: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b"x")
    (issue,) = verify(model)
    assert issue.file == name


@pytest.mark.parametrize("name", ["execution.safetensors", "onnx", "manifest.json"])
def test_a_link_is_refused(model: Path, name: str) -> None:
    """R79: also where what it leads to has the right hash."""
    outside = model.parent / "outside"
    shutil.move(model / name, outside)
    (model / name).symlink_to(outside)
    assert "link" in messages(model)
    with pytest.raises(InputError, match="symbolic link"):
        read_all(model)


def test_the_folder_itself_may_be_a_link(model: Path) -> None:
    link = model.parent / "latest"
    link.symlink_to(model)
    assert verify(link) == []


def test_a_pipe_is_refused_and_not_waited_for(model: Path) -> None:
    (model / "selftest.json").unlink()
    os.mkfifo(model / "selftest.json")
    with pytest.raises(InputError, match="no regular file"):
        load_cases(model)


@pytest.mark.parametrize("name", ["selftest.json", "onnx"])
def test_a_file_in_the_place_of_a_folder(model: Path, name: str) -> None:
    """And the other way round: an issue, not a traceback."""
    if name == "onnx":
        shutil.rmtree(model / name)
        (model / name).touch()
    else:
        (model / name).unlink()
        (model / name).mkdir()
    assert messages(model)
    with pytest.raises(InputError):
        read_all(model)


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path) -> None:
    for options in (
        {"metrics": {"a": float("nan")}},
        {"metrics": {str(i): 0.5 for i in range(100_000)}},
        {"command": "\ud800"},
        {"created": "today"},
        {"name": "a b"},
        {"extra": {"selftest.json": b"[1]"}},
    ):
        with pytest.raises(InputError):
            saved(tmp_path / "m", **options)
    assert os.listdir(tmp_path) == []


def test_sizes_are_looked_at_before_bytes(model: Path) -> None:
    """A file of 1 TB that occupies nothing on disk: refused in no time and in no memory."""
    for name in ("execution.safetensors", "manifest.json"):
        with (model / name).open("r+b") as file:
            file.truncate(2**40)
        assert f"has {2**40} bytes" in messages(model)
    with pytest.raises(InputError, match=f"at most {MAX_MANIFEST}"):
        read_manifest(model)


def test_a_folder_of_a_million_files_is_not_listed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "MAX_LISTED", 20)
    for number in range(20):
        (model / f"{number}.json").touch()
    assert "more than 20 entries" in messages(model)


def test_external_data_is_refused(model: Path) -> None:
    """R79: onnxruntime would read that file, or memory of this process, and nobody hashed it."""
    onnx = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    onnx.external_data_helper.set_external_data(weights, location="../../etc/passwd")
    weights.ClearField("raw_data")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(n, 1, [1, 64]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:], [weights])
    data = onnx.helper.make_model(graph).SerializeToString()
    with pytest.raises(InputError, match="external data"):
        update(model, {"onnx/call.fp32.onnx": data}, created=CREATED)
    (model / "onnx/call.fp32.onnx").write_bytes(data)
    forge(model)
    assert "external data" in messages(model)
    with pytest.raises(InputError, match="external data"):
        load_graph(model, "call", "fp32")


# --- the manifest


def test_all_faults_of_a_manifest_come_at_once(model: Path) -> None:
    """R79: each with its key."""
    raw = json.loads((model / "manifest.json").read_text())
    files = {**raw["files"], "x.pt": {"sha256": "00", "bytes": -1}}
    config = {**raw["config"], "hidden_dim": 0}
    changes = {"files": files, "config": config, "seeds": "7", "surprise": 1, "version": "a b"}
    del raw["name"]
    with pytest.raises(InputError) as caught:
        parse_manifest(json.dumps({**raw, **changes}).encode())
    found = {issue.where for issue in caught.value.issues}
    assert found >= {"/name", "/version", "/seeds", "/surprise", "/config", "/files/x.pt"}
    assert found >= {"/files/x.pt/sha256", "/files/x.pt/bytes"}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"format": 2}, "/format: format 2 .* newer"),
        ({"format": "1"}, "/format"),
        ({"format": True}, "/format"),
        ({"format": None}, "/format"),
        ({"digest": "0" * 64}, "/digest"),
        ({"digest": None}, "/digest"),
        ({"created": "yesterday"}, "/created"),
        ({"parent": "abc"}, "/parent"),
        ({"parent": "0" * 64 + "\n"}, "/parent"),
        ({"seeds": [1.0]}, "/seeds/0"),
        ({"metrics": {"a": "0.5"}}, "/metrics/a"),
        ({"metrics": {"a": 1e999}}, "JSON|number|finite|inf"),
        ({"metrics": {"a": 2**1024 - 1}}, "/metrics/a"),
        ({"metrics": {"a": True}}, "/metrics/a"),
        ({"command": "x" * 2**20}, "at most"),
        ({"name": "\x1b[2J"}, "/name"),
        ({"files": []}, "/files"),
        ({"files": {"a.onnx": {"sha256": "0" * 64, "bytes": MAX_BYTES + 1}}}, "/files"),
        ({"config": None}, "/config"),
        ({"config": {**CONFIG.to_dict(), "dropout": "x"}}, "/config"),
        ({"config": {**CONFIG.to_dict(), "blocks": 1.0}}, "/config"),
        ({"config": {**CONFIG.to_dict(), "sharks": 1}}, "/config: .*sharks"),
        ({"config": {**CONFIG.to_dict(), "name": {}}}, "/config/name"),
        ({"config": {"hidden_dim": 128}}, "/config/window: is missing"),
        ({"config": {**CONFIG.to_dict(), "hidden_dim": 2**40}}, "parameters"),
        ({"config": {**CONFIG.to_dict(), "vocabulary": 2**40}}, "parameters"),
        ({"config": {**CONFIG.to_dict(), "predictor_dim": 2**40}}, "parameters"),
        ({"config": {**CONFIG.to_dict(), "blocks": 10**9}}, "parameters"),
    ],
)
def test_a_manifest_that_cannot_be(model: Path, changes: dict[str, Any], place: str) -> None:
    raw = json.loads((model / "manifest.json").read_text())
    with pytest.raises(InputError, match=place):
        parse_manifest(json.dumps({**raw, **changes}).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b'{"format": 1', b"[" * 10**5])
def test_a_manifest_that_is_none(model: Path, data: bytes) -> None:
    (model / "manifest.json").write_bytes(data)
    with pytest.raises(InputError):
        read_manifest(model)
    assert verify(model)


def test_a_config_of_every_name_is_taken(tmp_path: Path) -> None:
    """The bound on parameters lets through what this version can build."""
    from gatling_guard.encoders.config import CONFIGS

    for name, config in CONFIGS.items():
        save_weights(tmp_path / name, {}, config, name=name, version="1", created=CREATED)
        assert read_manifest(tmp_path / name).encoder_config == config


def test_no_folder_and_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        read_manifest(tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match=r"no manifest\.json"):
        verify(tmp_path)


# --- parts and tokenisers


def test_another_tokeniser_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R79: the same weights under other tokens are other weights."""
    monkeypatch.setattr(text, "text_features", lambda name, *, vocabulary: Tokens(f"{name}-2"))
    (issue,) = verify(model)
    assert issue.where == "/tokenizer"
    for name in NAMES:
        with pytest.raises(ConfigurationError, match=r"tokenizer md5-1; this version has md5-2"):
            load(model, name)


def test_a_part_that_is_missing_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    where = tmp_path / "torch only"
    save_weights(where, states(), CONFIG, name="m", version="1", created=CREATED)
    assert verify(where) == []
    for name in ("onnx/call.int8.onnx", "selftest.json"):
        with pytest.raises(ConfigurationError, match=f"no {name}: `gatling-guard export"):
            load(where, name)
    onnx_only = tmp_path / "onnx only"
    save_weights(onnx_only, {}, CONFIG, name="m", version="1", created=CREATED, extra=onnx_files())
    assert verify(onnx_only) == []
    assert load_graph(onnx_only, "call", "int8")
    with pytest.raises(ConfigurationError, match='use backend="onnx"'):
        load_state(onnx_only, "execution")


def test_a_backend_is_judged_by_the_files_it_loads(model: Path) -> None:
    (model / "predictor.safetensors").write_bytes(b"x")
    assert verify(model, names=names_for("onnx", "int8")) == []
    assert verify(model, names=names_for("torch", "fp32"))
    used = {*names_for("onnx", "int8"), *names_for("onnx", "fp32"), *names_for("torch", "fp32")}
    assert used == set(read_manifest(model).files)


def test_what_was_hashed_is_what_is_used(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R79: a file exchanged after the check changes nothing: it is not opened again."""
    opened: list[str] = []
    read = folder.read_file

    def swapped(where: Path, name: str, *, limit: int) -> bytes:
        data = read(where, name, limit=limit)
        opened.append(name)
        (where / name).write_bytes(b"somebody else's")
        return data

    monkeypatch.setattr(checkpoint, "read_file", swapped)
    manifest = read_manifest(model)
    for part in ("execution", "governance", "predictor"):
        found = load_state(model, part, manifest)
        assert content.packed(found) == content.packed(states()[part])
    load_graph(model, "call", "int8", manifest)
    load_cases(model, manifest)
    assert len(opened) == len(set(opened)) == 5


# --- torch


def test_torch_modules_round_trip(tmp_path: Path) -> None:
    """R79, R149: bit by bit, and the module keeps no part of the file."""
    torch = pytest.importorskip("torch")

    def network() -> Any:
        return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.LayerNorm(5))

    one, other = network(), network()
    where = tmp_path / "m"
    state = {"execution": one.state_dict()}
    save_weights(where, state, CONFIG, name="m", version="1", created=CREATED)
    load_into(other, where, "execution")
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    assert verify(where, expected=shapes_of(one)) == []
    (issue, *more) = verify(where, expected=shapes_of(torch.nn.Linear(3, 6)))
    assert more
    assert "missing: bias, weight" in issue.message


def shapes_of(module: Any) -> dict[str, dict[str, tuple[int, ...]]]:
    return {"execution": {key: tuple(v.shape) for key, v in module.state_dict().items()}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("bias"), "missing: bias"),
        (lambda s: s.update(more=np.zeros(1, np.float32)), "unexpected: more"),
        (lambda s: s.update(bias=np.zeros(6, np.float32)), r"wrong shape: bias \[6\] not \[5\]"),
        (lambda s: s.update(bias=np.zeros((5, 1), np.float32)), r"\[5, 1\] not \[5\]"),
    ],
)
def test_keys_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    """R149: what is missing, what is too much, what has another shape; nothing is loaded."""
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(3, 5)
    state = {key: value.numpy().copy() for key, value in module.state_dict().items()}
    change(state)
    where = tmp_path / "m"
    given = {"execution": state}
    save_weights(where, given, CONFIG, name="m", version="1", created=CREATED)
    before = module.weight.clone()
    with pytest.raises(ConfigurationError, match=message):
        load_into(module, where, "execution")
    assert torch.equal(before, module.weight)


def test_no_torch_is_imported(model: Path) -> None:
    """design.md 4: neither to read nor to verify nor to load arrays; a manifest needs no numpy."""
    code = (
        "import sys, pathlib; where = pathlib.Path(sys.argv[1]);"
        "from gatling_guard.encoders.manifest import read_manifest; read_manifest(where);"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules);"
        "from gatling_guard.encoders import text; from tests.encoders.models import Tokens;"
        "text.text_features = lambda name, *, vocabulary: Tokens(f'{name}-1');"
        "from gatling_guard.encoders.checkpoint import *;"
        "from gatling_guard.encoders import checkpoint as c;"
        "assert c.verify(where) == []; c.load_state(where, 'execution');"
        "c.load_graph(where, 'call', 'int8'); c.load_cases(where);"
        "assert not {'torch', 'onnx', 'onnxruntime'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


# --- writing


def test_a_failed_save_leaves_the_old_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R79: the disk is full after each of the files in turn."""
    old, write = everything(model), folder._write
    for count in range(len(old)):
        left = [count]

        def full(path: Path, data: bytes, left: list[int] = left) -> None:
            if not left[0]:
                raise OSError(28, "no space left on device")
            left[0] -= 1
            write(path, data)

        monkeypatch.setattr(folder, "_write", full)
        with pytest.raises(OSError, match="no space"):
            saved(model, seed=1, replace=True)
        assert everything(model) == old
        assert os.listdir(model.parent) == ["model"]


@pytest.mark.parametrize("after", [0, 1, 7, "rename", "exchange"])
def test_a_killed_save_leaves_the_old_model(model: Path, after: int | str) -> None:
    """R79: SIGKILL between two files, and right before and after the exchange."""
    old = everything(model)
    code = f"""
import os, pathlib, signal, sys
from gatling_guard.encoders import folder, text
from tests.encoders.models import *
text.text_features = lambda name, *, vocabulary: Tokens(f'{{name}}-1')
after, left, write, put = {after!r}, [{after!r}], folder._write, folder._put
def die(): os.kill(os.getpid(), signal.SIGKILL)
def dying(path, data):
    if left[0] == 0: die()
    if isinstance(left[0], int): left[0] -= 1
    write(path, data)
def putting(*paths):
    if after == 'rename': die()
    put(*paths)
    if after == 'exchange': die()
folder._write, folder._put = dying, putting
saved(pathlib.Path(sys.argv[1]), seed=1, replace=True)
"""
    done = subprocess.run([sys.executable, "-c", code, str(model)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert verify(model) == []
    assert (everything(model) == old) == (after != "exchange")
    saved(model, seed=2, replace=True)  # what was left behind is in nobody's way


def test_a_reader_never_sees_half_a_model(model: Path) -> None:
    """R79: while it is replaced again and again, every read finds a whole manifest."""
    if not folder._exchange(model, model):
        pytest.skip("this file system cannot exchange two folders in one step")
    digests = {saved(model.parent / str(seed), seed=seed).digest for seed in range(2)}
    stop, faults = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                if read_manifest(model).digest not in digests:
                    faults.append("another manifest")
            except Exception as error:  # reported below: a thread's own is lost
                faults.append(repr(error))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(10):
        saved(model, seed=number % 2, replace=True)
    stop.set()
    reader.join()
    assert faults == []


def test_without_exchange_the_old_folder_comes_back(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that cannot swap: two renames, the first undone when the second fails."""
    monkeypatch.setattr(folder, "_exchange", lambda one, other: False)
    fresh = saved(model, seed=1, replace=True)
    assert read_manifest(model) == fresh
    old, rename = everything(model), os.rename

    def failing(one: Path, other: Path) -> None:
        if other == model and not str(one).endswith(".old"):
            raise OSError(5, "input/output error")
        rename(one, other)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="input/output"):
        saved(model, seed=2, replace=True)
    assert everything(model) == old
    assert os.listdir(model.parent) == ["model"]


def test_nothing_is_replaced_by_accident(model: Path) -> None:
    """A folder that exists, one with somebody's notes in it, one that is no model."""
    with pytest.raises(ConfigurationError, match="exists"):
        saved(model)
    (model / "notes.md").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"notes\.md"):
        saved(model, replace=True)
    assert (model / "notes.md").read_text() == "mine"
    home = model.parent / "home"
    home.mkdir()
    (home / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match="no model folder"):
        saved(home, replace=True)
    assert (home / "thesis.tex").exists()


def test_update_adds_files_and_keeps_the_rest(model: Path) -> None:
    before = read_manifest(model)
    graph = {"onnx/call.int8.onnx": b"another graph"}
    after = update(model, graph, created="2026-12-01T00:00:00Z")
    assert verify(model) == []
    assert load_graph(model, "call", "int8") == b"another graph"
    changed = {name for name in after.files if after.files[name] != before.files[name]}
    assert changed == {"onnx/call.int8.onnx"}
    kept = {"files", "created"}
    assert after.model_dump(exclude=kept) == before.model_dump(exclude=kept)
    (model / "predictor.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match="predictor"):
        update(model, graph, created=CREATED)


def test_networks_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="critic"):
        save_weights(tmp_path / "m", {"critic": {}}, CONFIG, name="m", version="1", created=CREATED)


@pytest.mark.parametrize("field", ["window", "blocks", "policy_blocks", "context_blocks"])
def test_a_config_whose_memory_is_not_in_its_parameters_is_refused(model: Path, field: str) -> None:
    """A window of 2^20 has few weights and a table of 2^41 offsets; a block costs as such."""
    values = json.loads((model / FILE).read_bytes())
    values["config"] |= {"hidden_dim": 1, "heads": 1, "pool_heads": 1, field: 1 << 20}
    del values["digest"]
    with pytest.raises(InputError, match="asks for more"):
        build_manifest(values)

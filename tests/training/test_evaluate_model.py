"""`evaluate-model` and `calibrate-model` on a model that was really trained, for a few steps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gatling_guard.cli import app
from gatling_guard.encoders import Encoders, load_encoders, selftest
from gatling_guard.encoders.bundle import create, of_modules
from gatling_guard.encoders.checkpoint import load_into, update, verify
from gatling_guard.encoders.manifest import read_manifest
from gatling_guard.encoders.plans import Prepared
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.training import write_samples
from gatling_guard.training.assessment import assess, next_calls
from gatling_guard.training.dataset import load
from gatling_guard.training.evaluate import evaluate
from gatling_guard.training.examination import examine
from gatling_guard.training.gold import generate
from gatling_guard.training.loop import fit
from gatling_guard.training.mixture import mixed
from gatling_guard.training.model import Jepa
from gatling_guard.training.sample import read_samples
from gatling_guard.training.served import Served, serve
from gatling_guard.training.splits import GROUPS, Part, read_split
from gatling_guard.training.validators import total_energy
from tests.training.samples import TINY, args


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.jsonl"
    write_samples(path, mixed(generate(11, 110), seed=11))
    return path


@pytest.fixture(scope="module")
def learner(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Jepa, Path]:
    """One epoch, and its model folder."""
    out = tmp_path_factory.mktemp("run") / "run"
    found = fit(load([data]), args(epochs=1), out, config=TINY, say=lambda line: None)
    return found.model, out / "checkpoints" / "last" / "model"


@pytest.fixture(scope="module")
def trained(learner: tuple[Jepa, Path]) -> Path:
    """Not calibrated. No graphs: their export takes half a minute."""
    folder = learner[1]
    modules = create(TINY, 0)
    for name, module in modules.items():
        load_into(module, folder, name)  # type: ignore[arg-type]
    cases = selftest.make_cases({"fp32": of_modules(modules)})
    update(folder, {selftest.FILE: selftest.to_bytes(cases)}, created="2026-11-21T12:00:00Z")
    return folder


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(trained, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def part(data: Path) -> Part:
    return read_split([data], "test")


@pytest.fixture(scope="module")
def loaded(trained: Path) -> Encoders:
    return load_encoders(trained, backend="torch")


@pytest.fixture(scope="module")
def served(loaded: Encoders, part: Part) -> Served:
    return serve(loaded, part.items, part.texts)


def run(verb: str, *arguments: object) -> Any:
    given = [verb, *map(str, arguments), "--backend", "torch"]
    return CliRunner().invoke(app, given)


# --- the split


def test_a_split_is_that_of_training(data: Path, part: Part) -> None:
    """R67: the same samples, whether or not the rest is prepared; with their own energies."""
    whole = load([data])
    assert {item.id for item in part.items} == {item.id for item in whole.splits["test"]}
    assert part.hash == whole.hash
    by_id = {sample.id: sample for sample in read_samples(data)}
    for item, energy in zip(part.items, part.structure, strict=True):
        assert energy == total_energy(by_id[item.id])
        assert item.label == ["gold", "boundary", "adversarial"].index(by_id[item.id].label)


def test_the_groups_are_what_is_new(data: Path, part: Part) -> None:
    """Issue 5: held-out families, tools, domains and mutations, apart."""
    rows = {group: part.rows(group) for group in GROUPS}
    assert rows["all"].all()
    assert not (rows["families"] & (rows["tools"] | rows["domains"])).any()
    tools = {name for item in load([data]).splits["train"] if not item.label for name in item.tools}
    seen = {name for item in load([data]).splits["train"] for name in [item.mutation]}
    for item, new, ordinary in zip(part.items, rows["mutations"], rows["families"], strict=True):
        if new and item.label:
            assert item.mutation not in seen
        if ordinary and item.label == 0:
            assert item.mutation is None or item.mutation in seen or item.tools <= tools


def test_fewer_families(data: Path, part: Part) -> None:
    few = read_split([data], "test", families=5)
    assert 1 <= len({item.family for item in few.items}) <= 5
    assert {item.id for item in few.items} < {item.id for item in part.items}


# --- what a model makes of it


def test_a_plan_is_as_whole(loaded: Encoders, part: Part, served: Served) -> None:
    """Grown call by call, z_e is that of the whole plan."""
    execution: Any = loaded.execution
    item = part.items[3]
    whole = execution.arrays([Prepared(list(item.calls), item.graph, [])])
    assert np.abs(whole[0] - served.z_e[3]).max() < 1e-4


def test_what_serves_is_what_was_trained(
    learner: tuple[Jepa, Path], part: Part, served: Served
) -> None:
    """Call by call from the folder, or a padded batch of the network in training: the same."""
    found = evaluate(learner[0], part.items, part.texts)
    row = {item.id: at for at, item in enumerate(found.items)}
    order = [row[item.id] for item in part.items]
    assert served.terms is not None
    assert np.abs(found.z_g[order] - served.z_g).max() < 1e-4
    assert np.abs(found.z_e[order] - served.z_e).max() < 1e-4
    assert np.abs(found.terms[order] - served.terms).max() < 1e-4


def test_every_question_has_its_chance(served: Served) -> None:
    """Attribution: a call that a text asked for, or not, beside at least one rival."""
    assert len(served.asked) > 5
    assert ((served.explained >= 0) & (served.explained <= 1)).all()
    assert (served.chance <= 0.5).all()


def test_the_next_call_is_sought_among_those_that_cannot_come(served: Served) -> None:
    """One that predicts perfectly finds every call; one that knows nothing finds 1 in pool."""
    perfect = Served(
        **{name: getattr(served, name) for name in Served.__slots__} | {"predicted": served.calls}
    )
    found = next_calls(perfect).ranks.top(32)
    assert np.nanmean(found) > 0.97  # calls that differ in nothing the encoder sees share it
    constant = np.tile(served.calls[:1], (len(served.calls), 1))
    blind = Served(
        **{n: getattr(served, n) for n in Served.__slots__}
        | {"predicted": constant, "calls": constant}
    )
    assert np.nanmean(next_calls(blind).ranks.top(32)) == pytest.approx(1 / 32)


def test_a_perfect_model_reaches_every_target(part: Part, served: Served) -> None:
    """The targets are those of issue 5, and what is measured is what they mean."""
    number = {a: i for i, a in enumerate(sorted({item.authority for item in part.items}))}
    z = np.eye(len(number), dtype=np.float32)[[number[item.authority] for item in part.items]]
    plain: Any = {name: getattr(served, name) for name in Served.__slots__}
    ideal = Served(**plain | {"z_g": z, "z_e": z})
    given = Part(**{n: getattr(part, n) for n in Part.__slots__}
                 | {"structure": np.array([1.0, 4.0, 9.0])[part.labels]})  # fmt: skip
    found = assess(given, ideal, energy="structure", calibration=None)
    for target in found.targets("all"):
        assert target.passed in (True, None), target
    figures = found.groups["all"]
    assert figures["delta_sec"]["value"] == 5
    assert figures["auc"]["gold|boundary"]["value"] == 1
    assert set(figures["in_band"]) == {"gold", "boundary", "adversarial"}
    assert all(share["value"] == 1 for share in figures["in_band"].values())
    assert all(share["value"] == 1 for share in figures["recall"].values())
    assert figures["other_similarity"]["value"] == 0
    worse = Served(**plain | {"z_g": z, "z_e": z[::-1].copy()})
    failed = assess(given, worse, energy="structure", calibration=None).targets("all")
    assert [t.passed for t in failed if t.name == "positive similarity"] == [False]


def test_learned_energies_are_asked_of_models_that_have_them(part: Part, served: Served) -> None:
    plain: Any = {name: getattr(served, name) for name in Served.__slots__}
    without = Served(**plain | {"terms": None})
    assert assess(part, without, energy="structure", calibration=None).groups
    with pytest.raises(ConfigurationError, match="no learned energies"):
        assess(part, without, energy="both", calibration=None)


# --- the command line


def test_calibrate_then_evaluate(model: Path, trained: Path, data: Path, tmp_path: Path) -> None:
    """R76, R77: the bands are written into the folder, and taken at the next reading."""
    before = read_manifest(model).digest
    done = run("calibrate-model", model, "--data", data, "--energy", "both", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["energy"] == "both"
    assert said["digest"] == read_manifest(model).digest != before
    assert verify(model) == []
    map_ = load_encoders(model, backend="torch").calibration
    assert map_ is not None
    assert map_.model_dump(mode="json") == {k: said[k] for k in map_.model_dump()}
    # The classes of the validation split lie apart as far as any cut can put them.
    assert 0 <= map_.balanced_error < 0.5
    assert map_.samples["gold"] == sum(
        item.label == 0 for item in load([data]).splits["validation"]
    )
    again = run("calibrate-model", model, "--data", data, "--energy", "both", "--json")
    assert json.loads(again.stdout)["digest"] == said["digest"]  # P9

    out = tmp_path / "report"
    done = run(
        "evaluate-model", model, "--data", data, "--energy", "both", "--compare", trained,
        "--out", out, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found == json.loads((out / "metrics.json").read_text())
    assert found["schema"] == 1
    assert found["data"]["split"] == "test"
    assert found["model"]["calibrated"]
    assert found["model"]["precision"] == "fp32"
    assert not found["compared"][0]["calibrated"]
    assert set(found["model"]["groups"]) == set(GROUPS)
    figures = found["model"]["groups"]["all"]
    assert set(figures) == {
        "families", "samples", "authorities", "positive_similarity", "other_similarity",
        "nearest_neighbour", "mean_energy", "in_band", "delta_sec", "auc", "threshold", "recall",
        "calibration", "calibration_error", "next_call", "attribution",
    }  # fmt: skip
    assert set(figures["nearest_neighbour"]) == {"32", "100", "1000", "all"}
    assert set(figures["delta_sec"]) == {"value", "low", "high"}
    assert len(found["model"]["targets"]["all"]) == 9
    # A monotone map moves no order.
    raw = found["compared"][0]["groups"]["all"]["auc"]
    assert figures["auc"]["gold|adversarial"]["value"] == pytest.approx(
        raw["gold|adversarial"]["value"], abs=1e-6
    )
    page = (out / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 4
    assert "http" not in page.replace("http-equiv", "")
    assert "Beside other models" in page
    assert "nearest neighbour of 100" in page


def test_the_table_says_what_was_asked(model: Path, data: Path) -> None:
    """A reader sees PASS or FAIL beside each target, and that bands mean nothing yet."""
    done = run("evaluate-model", model, "--data", data, "--families", 10, "--energy", "structure")
    assert done.exit_code == 0, done.output
    assert "NOT CALIBRATED" in done.stdout
    assert "nearest neighbour of 32" in done.stdout
    assert "FAIL" in done.stdout
    assert ">= 0.9" in done.stdout


def test_errors_name_the_place(model: Path, data: Path, tmp_path: Path) -> None:
    """R65, P7."""
    done = run("evaluate-model", tmp_path / "none", "--data", data)
    assert (done.exit_code, "none: no such folder" in done.stderr) == (2, True)
    done = run("evaluate-model", model, "--data", tmp_path / "none.jsonl")
    assert (done.exit_code, "none.jsonl: no such file" in done.stderr) == (2, True)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{\n" * 3)
    done = run("calibrate-model", model, "--data", bad)
    assert done.exit_code == 2
    assert f"{bad}:1" in done.stderr
    assert "no samples in the validation split" in " ".join(done.stderr.split())
    gold = tmp_path / "gold.jsonl"
    write_samples(gold, (s for s in read_samples(data) if s.label != "boundary"))
    done = run("calibrate-model", model, "--data", gold, "--json")
    assert done.exit_code == 2
    assert "no boundary samples" in json.loads(done.stdout)["error"]
    done = run("evaluate-model", model, "--data", data, "--split", "eval")
    assert done.exit_code == 2


def test_a_damaged_calibration_is_refused(model: Path, data: Path) -> None:
    """R79: by its hash; and one whose map falls, whoever wrote it."""
    assert run("calibrate-model", model, "--data", data).exit_code == 0
    path = model / "calibration.json"
    good = path.read_text()
    path.write_text(good.replace("8.0", "5.0"))
    with pytest.raises(InputError, match=r"calibration\.json"):
        load_encoders(model, backend="torch")
    assert run("evaluate-model", model, "--data", data).exit_code == 2
    path.write_text(good)
    load_encoders(model, backend="torch")


def test_another_energy_is_not_mapped(model: Path, part: Part, data: Path) -> None:
    """A map of one energy says nothing of another."""
    assert run("calibrate-model", model, "--data", data, "--energy", "learned").exit_code == 0
    few = read_split([data], "test", families=4)
    found = examine(model, few, backend="torch")
    assert found.energy == "learned"
    assert found.calibration is not None
    assert examine(model, few, backend="torch", energy="structure").calibration is None

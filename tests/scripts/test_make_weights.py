"""`make weights`: what is done again and what is not; nothing is taken that it was not told to."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatling_guard.encoders.manifest import PRETRAINED, read_manifest, shipped
from gatling_guard.encoders.precise import PRECISE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("make_weights", ROOT / "scripts/make_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_weights"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class Work:
    """Two steps, the second of which needs the first, and a third alone; notes what ran."""

    def __init__(self, script: Any, out: Path) -> None:
        self.script, self.out, self.ran = script, out, list[str]()

    def __call__(self, *, adopt: bool = False, **commands: str) -> list[str]:
        self.ran.clear()
        needs = {"b": ("a",)}
        steps = [
            self.script.Step(
                name, commands.get(name, name), self.out / name, needs.get(name, ()),
                call=self._call(name),
            )
            for name in "abc"
        ]  # fmt: skip
        self.script._run_all(steps, self.out, adopt)
        return list(self.ran)

    def _call(self, name: str) -> Callable[[], None]:
        def call() -> None:
            self.ran.append(name)
            if (self.out / f"{name}.fails").exists():
                raise OSError(name)
            (self.out / name).write_text(name)

        return call


@pytest.fixture
def work(script: Any, tmp_path: Path) -> Work:
    return Work(script, tmp_path / "out")


def test_what_is_done_is_not_done_again(work: Work) -> None:
    assert work() == ["a", "b", "c"]
    assert work() == []
    assert work(a="another") == ["a", "b"]  # b needs it, c does not
    (work.out / "c").unlink()
    assert work(a="another") == ["c"]


def test_a_step_that_failed_is_done_again(work: Work) -> None:
    work.out.mkdir()
    (work.out / "b.fails").touch()
    with pytest.raises(OSError, match="b"):
        work()
    assert json.loads((work.out / "done.json").read_text())["b"] == ["b", False]
    (work.out / "b.fails").unlink()
    assert work() == ["b", "c"]


def test_what_it_did_not_make_is_taken_on_request_only(work: Work) -> None:
    work.out.mkdir()
    (work.out / "a").write_text("mine")
    with pytest.raises(FileExistsError, match="--adopt"):
        work()
    assert (work.out / "a").read_text() == "mine"
    assert work(adopt=True) == ["b", "c"]
    assert work() == []


def steps_of(script: Any, *arguments: str) -> dict[str, Any]:
    return {step.name: step for step in script._steps(script._parser().parse_args(arguments))}


def test_recorded_runs_are_part_where_they_are(script: Any, tmp_path: Path) -> None:
    without = steps_of(script, "--data", str(tmp_path / "none"))
    with_ = steps_of(script, "--data", str(tmp_path))
    assert with_.keys() - without.keys() == {"recorded", PRECISE}
    assert "recorded.jsonl" in with_["train"].command
    assert "recorded.jsonl" not in without["train"].command + without["calibrate"].command


def test_an_estimate_does_nothing(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert script.main(["--out", str(out), "--data", str(tmp_path / "none"), "--estimate"]) == 0
    shown = capsys.readouterr().out
    assert "WITHOUT the recorded runs" in shown
    assert "min  in all" in shown
    assert not out.exists()


def test_the_recipe_is_that_of_the_shipped_weights(script: Any, tmp_path: Path) -> None:
    """R85: who runs the script runs what made them."""
    folder = shipped()
    assert folder is not None
    command = read_manifest(folder).command
    steps = steps_of(script, "--data", str(tmp_path))
    assert steps["generated"].command in command
    assert steps["train"].command in command
    precise = json.loads((PRETRAINED / PRECISE / "manifest.json").read_bytes())["command"]
    assert steps[PRECISE].command.split(" --out ")[1].split(" ", 1)[1] in precise

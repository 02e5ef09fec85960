"""A run learns, can be stopped and goes on bit-equal, and several processes agree with one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gatling_guard.encoders.bundle import create
from gatling_guard.encoders.checkpoint import load_into, verify
from gatling_guard.encoders.plans import Prepared
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.training.args import TrainArgs, parse
from gatling_guard.training.batching import batches
from gatling_guard.training.collate import Batch
from gatling_guard.training.loop import Run, fit, learning_rate
from gatling_guard.training.model import Jepa
from gatling_guard.training.state import Progress
from tests.training.samples import TINY, args, dataset

ROOT = Path(__file__).resolve().parents[2]
DATA = dataset(120)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def run(out: Path, settings: TrainArgs, **options: Any) -> Run:
    options.setdefault("say", lambda line: None)
    return fit(DATA, settings, out, config=TINY, **options)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three epochs in one go."""
    return run(tmp_path_factory.mktemp("straight") / "run", args())


def same(one: Run, other: Run) -> bool:
    left, right = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


def test_three_epochs_teach_something(tmp_path: Path) -> None:
    """R82: loss falls by 30 % or more, validation does not rise above its start."""
    out = fit(dataset(720), args(), tmp_path, config=TINY, say=lambda line: None)
    first, last = out.epochs[0], out.epochs[-1]
    assert last["train"]["loss"] <= 0.7 * first["train"]["loss"]
    assert last["validation"]["loss"] <= first["validation"]["loss"]


def test_the_default_order_of_things_is_written_down(tmp_path: Path) -> None:
    """R154: a line per epoch with both losses, on the console and as JSON."""
    said: list[str] = []
    found = run(tmp_path, args(epochs=2), say=said.append)
    assert len(said) == 2
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == found.epochs
    for number, (line, shown) in enumerate(zip(lines, said, strict=True), start=1):
        assert shown.startswith(f"epoch {number}/2  train {line['train']['loss']:.4f}  validation ")
        assert f"validation {line['validation']['loss']:.4f}" in shown
        assert line["samples_per_s"] > 0
        assert {"nearest_neighbour", "positive_similarity", "auc", "recall"} <= line[
            "figures"
        ].keys()
    assert json.loads((tmp_path / "args.json").read_text())["args"]["epochs"] == 2


def test_the_same_seed_gives_the_same_weights(straight: Run, tmp_path: Path) -> None:
    """And the generators of whoever called are left alone."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = run(tmp_path / "a", args())
    assert torch.equal(torch.rand(3), expected)
    assert same(straight, again)
    assert not same(straight, run(tmp_path / "b", args(seed=1)))


@pytest.mark.parametrize(("epoch", "step"), [(1, 0), (1, 2), (0, 1)])
def test_a_stopped_run_goes_on_bit_equal(
    straight: Run, tmp_path: Path, epoch: int, step: int
) -> None:
    """R78: stopped between epochs, and in the middle of one."""

    def stop(progress: Progress) -> bool:
        return (progress.epoch, progress.step) >= (epoch, step)

    first = run(tmp_path, args(), stop=stop)
    assert first.interrupted
    assert len(first.epochs) == epoch
    rest = run(tmp_path, args(), resume=True)
    assert not rest.interrupted
    assert same(straight, rest)
    losses = [[e[key]["loss"] for key in ("train", "validation")] for e in rest.epochs]
    assert losses == [[e[key]["loss"] for key in ("train", "validation")] for e in straight.epochs]


def test_sigint_saves(straight: Run, tmp_path: Path) -> None:
    """Ctrl-C ends the step, saves, and leaves the handler as it was."""
    before = signal.getsignal(signal.SIGINT)

    def interrupt(progress: Progress) -> bool:
        if progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    first = run(tmp_path, args(), stop=interrupt)
    assert first.interrupted
    assert signal.getsignal(signal.SIGINT) is before
    assert same(straight, run(tmp_path, args(), resume=True))


def test_checkpoints(tmp_path: Path) -> None:
    """R78, R79: each n epochs, best and last; both encoders; nothing pickled; they load."""
    found = run(tmp_path, args(epochs=4, checkpoint_every=2))
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"epoch-0002", "epoch-0004", "best", "last"}
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".jsonl", ".safetensors"}
    folder = tmp_path / "checkpoints" / "last" / "model"
    assert verify(folder) == []
    fresh = create(TINY, seed=9)
    for part, module in fresh.items():
        load_into(module, folder, part)  # type: ignore[arg-type]
    trained = found.model.networks()
    for part, module in fresh.items():
        for name, value in module.state_dict().items():
            assert torch.equal(value, trained[part].state_dict()[name])
    best = json.loads((tmp_path / "checkpoints" / "best" / "state" / "state.json").read_text())
    losses = [epoch["validation"]["loss"] for epoch in found.epochs]
    assert best["progress"]["best"] == min(losses)
    assert best["progress"]["epoch"] == losses.index(min(losses)) + 1


def test_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    run(tmp_path, args(epochs=1))
    with pytest.raises(ConfigurationError, match="holds a run"):
        run(tmp_path, args(epochs=1))
    with pytest.raises(ConfigurationError, match=r"tau was 0.07 and is 0.2"):
        run(tmp_path, args(epochs=1, tau=0.2), resume=True)
    with pytest.raises(ConfigurationError, match="no state of a run"):
        run(tmp_path / "nothing", args(), resume=True)
    state = tmp_path / "checkpoints" / "last" / "state" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(InputError, match="not the file that was saved"):
        run(tmp_path, args(epochs=1), resume=True)


@pytest.mark.parametrize("objective", ["cosine", "vicreg"])
def test_other_objectives_learn(tmp_path: Path, objective: str) -> None:
    """R83: pre-training keeps the embeddings apart."""
    found = run(tmp_path, args(objective=objective, dropout=0.0))
    assert found.epochs[-1]["train"]["loss"] < found.epochs[0]["train"]["loss"]
    assert ("band" in found.epochs[0]["train"]) is False


def test_bf16(tmp_path: Path) -> None:
    found = run(tmp_path, args(epochs=1, precision="bf16-mixed"))
    assert all(p.dtype == torch.float32 for p in found.model.parameters())


def test_prefixes_and_errors_are_those_of_a_growing_plan() -> None:
    """What one pass gives for every prefix is what a session gives call by call."""
    model = Jepa(TINY, args())
    items = batches(DATA.splits["train"], 9, seed="0")[0]
    batch = Batch(items, DATA.texts, window=TINY.window, share=slice(0, len(items)), seed="0")
    with torch.no_grad():
        found = model.encode(batch)
        whole = [Prepared(list(item.calls), item.graph, []) for item in items]
        expected = model.execution.encode(whole)
        assert torch.allclose(found.z_e, expected, atol=1e-5)
        start, zeros = 0, torch.zeros(1, TINY.latent_dim)
        for row, item in enumerate(items):
            state = model.execution.start()
            for t, call in enumerate(item.calls):
                before = zeros if state.z_e is None else torch.from_numpy(state.z_e)[None]
                last = (
                    torch.zeros(1, 32) if state.last is None else torch.from_numpy(state.last)[None]
                )
                guess = model.predictor(found.z_g[row : row + 1], before, last)
                assert torch.allclose(guess[0], found.predicted[start + t], atol=1e-5)
                state.extend([call], [str(t)], [item.graph.direct[t]])
            start += len(item.calls)


def test_the_target_follows_slowly(straight: Run) -> None:
    target, online = straight.model.target.encoder, straight.model.execution
    pairs = list(zip(target.parameters(), online.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in pairs)
    assert not any(a.requires_grad for a, _ in pairs)
    fresh = create(straight.model.config, seed=0)["execution"]
    with torch.no_grad():
        way = [float((b - c).norm()) for (_, b), c in zip(pairs, fresh.parameters(), strict=True)]
        gone = [float((a - c).norm()) for (a, _), c in zip(pairs, fresh.parameters(), strict=True)]
    assert 0 < sum(gone) < sum(way)


def test_learning_rate_rises_then_falls() -> None:
    settings = TrainArgs(warmup=0.1, final_rate=0.05, learning_rate=1.0)
    rates = [learning_rate(settings, done / 100) for done in range(1, 101)]
    assert rates[4] == pytest.approx(0.5)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.05)


def test_defaults_are_those_of_the_founding_document() -> None:
    """R68: the command line and the dataclass agree."""
    settings = TrainArgs()
    assert (settings.latent_dim, settings.batch_size, settings.epochs) == (1024, 32, 20)
    assert (settings.learning_rate, settings.tau) == (1e-4, 0.07)
    assert (settings.clip, settings.margin) == (1.0, 0.5)
    assert parse([]) == settings
    assert parse(["--batch-size", "64", "--learning-rate", "0.001"]) == TrainArgs(
        batch_size=64, learning_rate=0.001
    )


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"tau": 0.0}, {"warmup": 2.0}, {"batch_size": 2, "devices": 3}]
)
def test_settings_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        TrainArgs(**change)


SCRIPT = """
import sys, torch
from pathlib import Path
from gatling_guard.training.loop import fit
from tests.training.samples import TINY, args, dataset
torch.set_num_threads(1)
settings = args(epochs=2, dropout=0.0, devices=2, accelerator="cpu")
fit(dataset(60), settings, Path(sys.argv[1]), config=TINY, say=lambda line: None)
"""


def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    """Each encodes half of every batch; losses and gradients are those of the whole batch."""
    (tmp_path / "script.py").write_text(SCRIPT)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launch, str(tmp_path / "script.py"), str(tmp_path / "two")],
        cwd=ROOT, capture_output=True, text=True, timeout=100,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    one = fit(dataset(60), args(epochs=2, dropout=0.0), tmp_path / "one", config=TINY,
              say=lambda line: None).epochs  # fmt: skip
    lines = (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()
    for mine, line in zip(one, lines, strict=True):
        for part in ("train", "validation"):
            assert json.loads(line)[part] == pytest.approx(mine[part], rel=2e-3, abs=1e-4)

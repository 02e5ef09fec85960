"""One training run: epochs over a dataset, on one process or several, that can stop and go on.

On Lightning Fabric: device, precision and process group. Gradients are averaged here in one flat
all-reduce after the backward pass: the losses gather embeddings in the middle of the graph, and a
wrapper that sends buckets while that happens would mix up the order of messages.

The run is a function of (dataset, args): every step draws from (seed, epoch, step, process), so a
run that was stopped and goes on is bit-equal to one that was not (R78, on a CPU).
"""

from __future__ import annotations

import hashlib
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch.optim import AdamW

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.errors import ConfigurationError
from gatling_guard.training import state
from gatling_guard.training.args import TrainArgs
from gatling_guard.training.batching import batches
from gatling_guard.training.collate import Batch
from gatling_guard.training.dataset import Dataset, Item
from gatling_guard.training.evaluate import Evaluation, evaluate
from gatling_guard.training.model import Jepa, share_of
from gatling_guard.training.state import Progress

METRICS = "metrics.jsonl"
_STARTED, _STARTS = 256, 12
"""Samples of a batch, and batches, from which new weights are started (`Jepa.start`)."""
Stop = Callable[[Progress], bool]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run gave."""

    model: Jepa
    epochs: list[dict[str, Any]]
    """One entry per finished epoch, as in `metrics.jsonl`."""
    interrupted: bool
    """It was stopped; `checkpoints/last` goes on from here."""
    first: bool
    """This is the process that writes."""


def fit(
    dataset: Dataset,
    args: TrainArgs,
    out: Path,
    *,
    config: EncoderConfig | None = None,
    resume: bool = False,
    stop: Stop | None = None,
    say: Callable[[str], None] = print,
) -> Run:
    """Train; every file goes below `out`.

    Args:
        dataset: its training split is trained on, its validation split chooses the best epoch.
        args: settings.
        out: `metrics.jsonl`, `args.json`, `checkpoints/{epoch-0005, best, last}`.
        config: shape of the networks; None: the one that `args` names.
        resume: go on from `out/checkpoints/last`.
        stop: asked after every step; true saves and ends the run, as SIGINT does.
        say: takes the progress line of each epoch.

    Raises:
        ConfigurationError: no training samples, a folder that holds a run, or another run's state.
    """
    if not dataset.splits["train"]:
        raise ConfigurationError("no training samples; too few families for a split?")
    if not resume and (out / METRICS).exists():
        raise ConfigurationError(
            f"{out} holds a run; go on with it (resume) or name another folder"
        )
    shape = config or EncoderConfig.named(args.config, latent_dim=args.latent_dim)
    shape = EncoderConfig.from_dict({**shape.to_dict(), "dropout": args.dropout})
    with ExitStack() as stack:
        # Every step seeds the generators; whoever called keeps their own.
        stack.enter_context(torch.random.fork_rng())
        interrupted = stack.enter_context(_interrupts())
        return _Training(dataset, args, out, shape, say).run(
            resume, lambda progress: interrupted.is_set() or bool(stop and stop(progress))
        )


class _Training:
    def __init__(
        self, dataset: Dataset, args: TrainArgs, out: Path, shape: EncoderConfig,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.dataset, self.args, self.out = dataset, args, out
        if args.threads:
            torch.set_num_threads(args.threads)
        self.fabric = Fabric(
            accelerator=args.accelerator, devices=args.devices, precision=_precision(args),
            strategy="ddp" if args.devices > 1 else "auto",
        )  # fmt: skip
        self.fabric.launch()
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size
        self.model = Jepa(shape, args).to(self.fabric.device)
        self.optimizer = _optimizer(self.model, args)
        self.progress = Progress()
        self.said = say if self.rank == 0 else lambda line: None
        self.epochs: list[dict[str, Any]] = []
        self.validation = dataset.splits["validation"] or dataset.splits["train"]
        if not dataset.splits["validation"]:
            self.said("WARNING: no validation families; validating on the training samples")

    def run(self, resume: bool, stop: Stop) -> Run:
        self.out.mkdir(parents=True, exist_ok=True)
        if resume:
            last = self.out / "checkpoints" / "last"
            self.progress = state.load(
                last, self.model, self.optimizer, data_hash=self.dataset.hash
            )
            self._cut_metrics()
        else:
            self._start()
        if not resume and self.rank == 0:
            facts = json.dumps(
                {"args": self.args.to_dict(), "data_hash": self.dataset.hash}, indent=1
            )
            (self.out / "args.json").write_text(facts + "\n", encoding="utf-8")
        while self.progress.epoch < self.args.epochs:
            began = time.perf_counter()
            if not self._epoch(stop):
                self._save("last", {})
                self.said(
                    f"stopped in epoch {self.progress.epoch + 1}, step {self.progress.step}; saved"
                )
                return Run(self.model, self.epochs, True, self.rank == 0)
            self._finish(time.perf_counter() - began)
            if self.progress.epoch < self.args.epochs and self._agreed(stop):
                self.said(f"stopped after epoch {self.progress.epoch}; saved")
                return Run(self.model, self.epochs, True, self.rank == 0)
        return Run(self.model, self.epochs, False, self.rank == 0)

    def _start(self) -> None:
        data, window = self.dataset, self.model.config.window
        order = batches(data.splits["train"], _STARTED, seed=f"{self.args.seed}/start")[:_STARTS]
        whole = [slice(0, len(group)) for group in order]
        self.model.start(
            [
                Batch(group, data.texts, window=window, share=share, seed="start")
                for group, share in zip(order, whole, strict=True)
            ]
        )
        if self.world > 1:  # an eigenvector's sign is free: other devices may draw another one
            for parameter in self.model.parameters():
                dist.broadcast(parameter.data, 0)

    def _epoch(self, stop: Stop) -> bool:
        """The rest of one epoch; False where it was stopped on the way."""
        progress, args = self.progress, self.args
        order = batches(
            self.dataset.splits["train"],
            args.batch_size,
            seed=f"{args.seed}/epoch/{progress.epoch}",
        )
        order = [group for group in order if len(group) >= self.world]
        self.model.train()
        while progress.step < len(order):
            done = (progress.epoch + (progress.step + 1) / len(order)) / args.epochs
            found = self._step(order[progress.step], learning_rate(args, done))
            size = len(order[progress.step])
            for name, value in found.items():
                progress.sums[name] = progress.sums.get(name, 0.0) + value * size
            progress.samples += size
            progress.step += 1
            if progress.step < len(order) and self._agreed(stop):
                return False
        return True

    def _step(self, group: list[Item], rate: float) -> dict[str, float]:
        seed = f"{self.args.seed}/{self.progress.epoch}/{self.progress.step}/{self.rank}"
        _seed(seed)
        share = share_of(len(group), self.rank, self.world)
        batch = Batch(
            group, self.dataset.texts, window=self.model.config.window, share=share, seed=seed
        )
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with self.fabric.autocast():
            found = self.model(batch)
        loss = found["loss"]
        if not torch.isfinite(loss):
            raise ConfigurationError(
                f"the loss is {float(loss)} at {seed}; lower the learning rate"
            )
        self.fabric.backward(loss)
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        if self.world > 1:
            _average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, self.args.clip)
        self.optimizer.step()
        self.model.target.update(self.model.execution)
        return {name: float(value.detach()) for name, value in found.items()}

    def _finish(self, seconds: float) -> None:
        """Validate, write the epoch's line, and save what is due."""
        progress = self.progress
        train = {name: value / progress.samples for name, value in progress.sums.items()}
        with self.fabric.autocast():
            found = evaluate(self.model, self.validation, self.dataset.texts)
        line = {
            "epoch": progress.epoch + 1,
            "train": train,
            "validation": found.losses,
            "figures": found.figures(),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": round(seconds, 3),
            "samples_per_s": round(progress.samples / seconds, 1),
        }
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.sums, progress.samples = {}, 0
        better = progress.best is None or found.losses["loss"] < progress.best
        if better:
            progress.best, progress.best_epoch = found.losses["loss"], progress.epoch
        self.epochs.append(line)
        self.said(progress_line(line, self.args.epochs, best=better))
        if self.rank == 0:
            with (self.out / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            if self.args.tensorboard:
                _to_tensorboard(self.out, line)
        names = ["last"] + ["best"] * better
        if progress.epoch % self.args.checkpoint_every == 0:
            names.append(f"epoch-{progress.epoch:04d}")
        for name in names:
            self._save(name, _headline(found))

    def _save(self, name: str, figures: dict[str, float]) -> None:
        if self.rank == 0:
            state.save(
                self.out / "checkpoints" / name, self.model, self.optimizer, self.progress,
                data_hash=self.dataset.hash, command=" ".join(sys.argv), figures=figures,
            )  # fmt: skip
        self.fabric.barrier()

    def _cut_metrics(self) -> None:
        """Keep the lines of finished epochs: the run may have ended between line and checkpoint."""
        path = self.out / METRICS
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        self.epochs = [json.loads(line) for line in text.splitlines()][: self.progress.epoch]
        if self.rank == 0:
            path.write_text("".join(json.dumps(e) + "\n" for e in self.epochs), encoding="utf-8")
        self.fabric.barrier()

    def _agreed(self, stop: Stop) -> bool:
        """Whether any process was asked to stop: all of them do, or the others would wait."""
        mine = stop(self.progress)
        if self.world == 1:
            return mine
        flag = torch.tensor([float(mine)], device=self.fabric.device)
        dist.all_reduce(flag)
        return bool(flag.item() > 0)


def learning_rate(args: TrainArgs, done: float) -> float:
    """Linear warm-up, then half a cosine; `done` in (0, 1] is the share of the run that is done."""
    if done < args.warmup:
        return args.learning_rate * done / args.warmup
    along = (done - args.warmup) / max(1e-9, 1 - args.warmup)
    low = args.final_rate
    return args.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * along)))


def progress_line(line: dict[str, Any], epochs: int, *, best: bool = False) -> str:
    """One epoch in words (R154)."""
    figures = line["figures"]
    shown = [
        f"epoch {line['epoch']}/{epochs}",
        f"train {line['train']['loss']:.4f}",
        f"validation {line['validation']['loss']:.4f}" + "*" * best,
    ]
    for key, name in (("nearest_neighbour", "nn"), ("positive_similarity", "sim"), ("auc", "auc"),
                      ("delta_sec", "delta_sec")):  # fmt: skip
        if figures.get(key) is not None:
            shown.append(f"{name} {figures[key]:.3f}")
    return "  ".join([*shown, f"{line['samples_per_s']:.0f}/s", f"{line['seconds']:.1f} s"])


def _headline(found: Evaluation) -> dict[str, float]:
    """For the manifest of the weights."""
    figures = found.figures()
    keys = ("positive_similarity", "nearest_neighbour", "auc", "delta_sec")
    return {
        "validation_loss": found.losses["loss"],
        **{key: figures[key] for key in keys if figures[key] is not None},
    }


def _precision(args: TrainArgs) -> Any:
    if args.precision != "auto":
        return args.precision
    on_cuda = args.accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()
    return "bf16-mixed" if on_cuda and torch.cuda.is_bf16_supported() else "32-true"


def _optimizer(model: Jepa, args: TrainArgs) -> AdamW:
    """AdamW; biases, norms and gates do not decay."""
    own = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in own if p.ndim > 1], "weight_decay": args.weight_decay},
        {"params": [p for p in own if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=args.learning_rate, foreach=False)


def _average_gradients(parameters: list[torch.nn.Parameter]) -> None:
    flat = torch.cat(
        [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters]
    )
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = torch.split(flat, [p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter).clone()


def _seed(name: str) -> None:
    torch.manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big"))


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Set by SIGINT; a second one ends the process as ever. Only a main thread may listen."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _to_tensorboard(out: Path, line: dict[str, Any]) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        raise ConfigurationError("tensorboard=True needs: pip install tensorboard") from None
    with SummaryWriter(str(out / "tensorboard")) as writer:
        for group in ("train", "validation", "figures"):
            for name, value in line[group].items():
                if isinstance(value, float):
                    writer.add_scalar(f"{group}/{name}", value, line["epoch"])

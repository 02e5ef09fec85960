"""Every setting of a training run with its default (R68); the command line is derived from it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gatling_guard.errors import ConfigurationError

Objective = Literal["energy", "cosine", "vicreg"]
Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainArgs:
    """Settings of one run; they are written beside its metrics."""

    config: str = "base"
    """Shape of the networks: `base`, `small` or `seed`."""
    latent_dim: int = 1024
    """Width of z_g and z_e."""
    objective: Objective = "energy"
    """`energy`: all losses; `cosine`: InfoNCE and margin on cosines alone; `vicreg`: pre-training
    on the plans of gold samples, without labels."""
    batch_size: int = 32
    """Samples of one step, over all processes."""
    epochs: int = 20
    """Times that training goes through its samples."""
    learning_rate: float = 1e-4
    """Highest learning rate, after the warm-up."""
    tau: float = 0.07
    """Temperature of every softmax over cosines."""
    energy_temperature: float = 1.0
    """Temperature of the softmax over energies."""
    clip: float = 1.0
    """Highest norm of a step's gradient."""
    margin: float = 0.5
    """Wanted gap between the cosine of an authorised plan and those of its violations."""
    warmup: float = 0.05
    """Share of all steps over which the learning rate rises."""
    final_rate: float = 0.05
    """Learning rate of the last step, as a share of the highest."""
    weight_decay: float = 0.01
    """Of AdamW, on matrices."""
    dropout: float = 0.1
    """While training only."""
    ema: float = 0.996
    """Share of the old target encoder that one step keeps."""
    cosine_weight: float = 1.0
    """Of InfoNCE over cosines, both directions."""
    align_weight: float = 0.5
    """Of the mean distance 1 - cos of an authority and its plan."""
    shared: float = 0.6
    """Share of a cosine of new weights that is common to all authorities and plans: a direction of
    its own. Without it a pair that belongs together begins near 0.5, and nothing but this share
    moves that much in a short run."""
    margin_weight: float = 1.0
    """Of the margin between a plan and its violating twins."""
    energy_weight: float = 1.0
    """Of InfoNCE over energies with typed negatives."""
    band_weight: float = 1.0
    """Of the bands gold < 2, boundary 2..6, adversarial > 8."""
    next_call_weight: float = 0.5
    """Of next-call prediction."""
    attribution_weight: float = 0.5
    """Of counterfactual attribution."""
    variance_weight: float = 0.5
    """Of the spread of call embeddings."""
    precision: Precision = "auto"
    """`auto`: bf16 where the device computes in it, else fp32."""
    devices: int = 1
    """Processes; more than one through torchrun."""
    accelerator: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    threads: int = 0
    """Threads of one process on a CPU; 0: torch's own choice."""
    checkpoint_every: int = 5
    """Epochs between checkpoints; the best and the latest are kept besides."""
    seed: int = 0
    """Of weights, order, dropout and split."""
    tensorboard: bool = False
    """Also write TensorBoard files (needs tensorboard)."""

    def __post_init__(self) -> None:
        """Checks.

        Raises:
            ConfigurationError: a value that cannot be, by name.
        """
        for name in ("latent_dim", "batch_size", "epochs", "devices", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more")
        for name in ("seed", "threads"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must be 0 or more")
        for name in ("learning_rate", "tau", "energy_temperature", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be above 0")
        for name in ("warmup", "final_rate", "dropout", "ema", "shared"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} must be from 0 to 1")
        if self.shared == 1:
            raise ConfigurationError("shared must be below 1")
        if self.objective not in get_args(Objective):
            raise ConfigurationError(f"no objective {self.objective!r}; {get_args(Objective)}")
        if self.batch_size < max(2, self.devices):
            raise ConfigurationError("batch_size must be 2 or more, and one per process")

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return dataclasses.asdict(self)


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """One option for each field of `TrainArgs`, its docstring as help."""
    help_of = _docstrings()
    for field in dataclasses.fields(TrainArgs):
        flag, default = "--" + field.name.replace("_", "-"), field.default
        text = f"{help_of[field.name]} (default {default})".replace("%", "%%")
        if isinstance(default, bool):
            parser.add_argument(flag, action="store_true", help=text)
            continue
        choices = {"Objective": get_args(Objective), "Precision": get_args(Precision)}
        parser.add_argument(
            flag, type=type(default), default=default, help=text,
            choices=choices.get(str(field.type)),
        )  # fmt: skip


def from_options(options: argparse.Namespace) -> TrainArgs:
    """The settings among parsed options."""
    return TrainArgs(**{f.name: getattr(options, f.name) for f in dataclasses.fields(TrainArgs)})


def parse(arguments: Sequence[str]) -> TrainArgs:
    """The settings of a command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_options(parser.parse_args(arguments))


def _docstrings() -> dict[str, str]:
    """The text below each field; Python keeps it in the source alone."""
    import ast
    import inspect

    (body,) = ast.parse(inspect.getsource(TrainArgs)).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(text, ast.Expr)
            assert isinstance(text.value, ast.Constant)
            found[field.target.id] = " ".join(str(text.value.value).split()).replace("`", "")
    return found

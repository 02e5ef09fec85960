"""The state of a run in files that are never unpickled: tensors beside JSON.

A checkpoint is a folder with `model/` (`encoders.checkpoint`: what serves) and `state/` (what goes
on from here: all weights, the EMA target, the optimiser, where in which epoch). Random numbers are
drawn from (seed, epoch, step, process), so that there is no generator to be saved.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from torch.optim import AdamW

from gatling_guard.encoders.checkpoint import save_weights
from gatling_guard.encoders.folder import read_file, write_folder
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.plan import parse_json
from gatling_guard.training.args import TrainArgs
from gatling_guard.training.model import Jepa

FORMAT = 1
_TENSORS, _FACTS = "state.safetensors", "state.json"
_MOST_BYTES = 1 << 33
_FREE = frozenset(
    ("devices", "accelerator", "threads", "checkpoint_every", "tensorboard", "precision")
)
"""Settings that may differ when a run goes on: they are not what it computes."""


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    epoch: int = 0
    """Epochs that are done."""
    step: int = 0
    """Steps done in the epoch that is not."""
    best: float | None = None
    """Lowest validation loss so far."""
    best_epoch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    """Of the unfinished epoch: each loss times samples."""
    samples: int = 0
    """Of the unfinished epoch."""


def save(
    folder: Path,
    model: Jepa,
    optimizer: AdamW,
    progress: Progress,
    *,
    data_hash: str | None,
    command: str,
    figures: dict[str, float],
) -> None:
    """Write `folder/model` and `folder/state`, each as a whole."""
    args = model.args
    save_weights(
        folder / "model",
        {name: network.state_dict() for name, network in model.networks().items()},
        model.config,
        name=f"gatling-{model.config.name}",
        version=f"epoch-{progress.epoch}",
        created=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=command[:2000],
        seeds=(args.seed,),
        data_hash=data_hash,
        metrics=figures,
        replace=True,
    )
    tensors = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    for number, parameter in enumerate(_ordered(optimizer)):
        for name, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{number}.{name}"] = value.contiguous()
    data = pack(tensors)
    facts = {
        "format": FORMAT,
        "sha256": hashlib.sha256(data).hexdigest(),
        "args": args.to_dict(),
        "config": model.config.to_dict(),
        "progress": asdict(progress),
        "data_hash": data_hash,
    }
    text = json.dumps(facts, indent=1, sort_keys=True).encode()
    write_folder(folder / "state", {_TENSORS: data, _FACTS: text}, replace=True)


def load(folder: Path, model: Jepa, optimizer: AdamW, *, data_hash: str | None) -> Progress:
    """Fill model and optimiser from `folder/state`.

    Raises:
        InputError: damaged, or of another format.
        ConfigurationError: no state there, or of a run with other settings or other data.
    """
    state = folder / "state"
    if not (state / _FACTS).is_file():
        raise ConfigurationError(f"{folder}: no state of a run")
    facts: Any = parse_json(read_file(state, _FACTS, limit=1 << 20), what=str(state / _FACTS))
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError(f"is not of format {FORMAT}", what=str(state / _FACTS))
    _require_same(facts["args"], model.args)
    if facts["data_hash"] != data_hash:
        raise ConfigurationError(f"{folder}: the run was on other data")
    if facts["config"] != model.config.to_dict():
        raise ConfigurationError(f"{folder}: the run had networks of another shape")
    data = read_file(state, _TENSORS, limit=_MOST_BYTES)
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise InputError("is not the file that was saved", what=str(state / _TENSORS))
    try:
        tensors = unpack(data)
    except SafetensorError as error:
        raise InputError(f"is no safetensors file: {error}", what=str(state / _TENSORS)) from None
    own = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    model.load_state_dict(own)
    for number, parameter in enumerate(_ordered(optimizer)):
        head = f"optimizer.{number}."
        kept = {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}
        if kept:
            # AdamW keeps its step counter on the CPU.
            optimizer.state[parameter] = {
                k: v if k == "step" else v.to(parameter.device) for k, v in kept.items()
            }
    return Progress(**facts["progress"])


def _require_same(then: dict[str, Any], args: TrainArgs) -> None:
    now = args.to_dict()
    other = sorted(
        k for k in now.keys() | then.keys() if k not in _FREE and now.get(k) != then.get(k)
    )
    if other:
        shown = ", ".join(f"{k} was {then.get(k)!r} and is {now.get(k)!r}" for k in other)
        raise ConfigurationError(f"a run goes on with its own settings: {shown}")


def _ordered(optimizer: AdamW) -> list[torch.nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

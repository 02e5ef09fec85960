"""Plans per second of training: batches of prepared items against one plan at a time (G13).

One by one is what the founding script did: every plan of a batch is turned into features and
encoded by itself, then the batch's InfoNCE takes one backward pass. The batched side does more: all
losses, every prefix of every plan, predictor and target encoder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.plan import parse_plan
from gatling_guard.training import losses
from gatling_guard.training.args import TrainArgs
from gatling_guard.training.batching import batches
from gatling_guard.training.collate import Batch
from gatling_guard.training.dataset import Item, prepare, tool_specs
from gatling_guard.training.demo_samples import samples
from gatling_guard.training.facts import lineages
from gatling_guard.training.model import Jepa
from gatling_guard.training.sample import Sample


@dataclass(frozen=True, slots=True)
class Throughput:
    """Plans per second of processor time, forward and backward, without the optimiser."""

    config: str
    batched: float
    one_by_one: float

    @property
    def ratio(self) -> float:
        """How many times as fast."""
        return self.batched / self.one_by_one

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.config}: {self.batched:.1f} plans/s in batches,"
            f" {self.one_by_one:.1f} one by one: {self.ratio:.1f} times as fast"
        )


def measure(
    config: EncoderConfig | str = "base",
    *,
    rows: Sequence[Sample] = (),
    batch_size: int = 128,
    seconds: float = 5.0,
) -> Throughput:
    """Time a config on this machine.

    Args:
        config: shape of the networks, or its name.
        rows: at least a few hundred samples; none: synthetic ones, of two or three calls.
        batch_size: of the batched side; the other takes one plan at a time whatever it is.
        seconds: for each of the two figures.
    """
    shape = EncoderConfig.named(config) if isinstance(config, str) else config
    given = list(rows) or list(samples(768))
    data = prepare(given)
    items = [item for split in data.splits.values() for item in split]
    model = Jepa(shape, TrainArgs(batch_size=batch_size)).train()
    groups = batches(items, batch_size, seed="0")
    parts = [given[i : i + 32] for i in range(0, len(given), 32)]
    return Throughput(
        shape.name,
        _rate([partial(_batched, model, group, data.texts) for group in groups], seconds),
        _rate([partial(_one_by_one, model, part) for part in parts], seconds),
    )


def _batched(model: Jepa, group: list[Item], texts: Sequence[str]) -> int:
    whole = slice(0, len(group))
    batch = Batch(group, texts, window=model.config.window, share=whole, seed="0")
    model(batch)["loss"].backward()
    model.zero_grad(set_to_none=True)
    return len(group)


def _one_by_one(model: Jepa, part: list[Sample]) -> int:
    z_g, z_e = [], []
    for sample in part:
        given, plan = sample.governance, parse_plan(sample.plan)
        z_g.append(model.governance.forward(given["policy"], given["role"], given["context"]))
        facts = lineages(plan.calls, sample.facts)
        z_e.append(model.execution.forward(plan, tool_specs(sample.tools).get, facts))
    losses.cosine_infonce(torch.cat(z_g), torch.cat(z_e)).backward()  # type: ignore[no-untyped-call]
    model.zero_grad(set_to_none=True)
    return len(part)


def _rate(steps: Sequence[Callable[[], int]], seconds: float) -> float:
    """Plans per second of processor time: on a busy machine it still means something.

    The first step warms up and does not count.
    """
    steps[0]()
    began, done, i = time.process_time(), 0, 0
    while time.process_time() - began < seconds:
        done += steps[i % len(steps)]()
        i += 1
    return done / (time.process_time() - began)

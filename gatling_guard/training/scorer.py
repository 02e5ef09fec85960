"""Fine-tunes the static table into the text scorer for rivals, and writes its folder.

    python -m gatling_guard.training.scorer --data ../shared/data/train --out /tmp/scorer/all
    python -m gatling_guard.training.scorer --data ... --out ... --held-out slack --figures
    python -m gatling_guard.training.scorer --untrained --out gatling_guard/pretrained/scorer-1

Trained are the rows of the sub-words that occur, a weight per sub-word, and a linear map per side
(calls, texts), with InfoNCE over the batch, the softmax over the trace's own candidates (the
attribution itself), and two smaller terms. One thread; the same seed gives the same bytes on one
machine. The result is a folder that `encoders.scorer.RivalScorer` loads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from gatling_guard.encoders.folder import write_folder
from gatling_guard.encoders.ngrams import ngram_features
from gatling_guard.encoders.scorer import MAPS, MAX_TEXT, RivalScorer
from gatling_guard.encoders.text import SUBWORD_DIM, TABLE, text_features
from gatling_guard.encoders.wordpiece import WordPiece, normalised
from gatling_guard.training.items import Item, Near, items_digest, items_of
from gatling_guard.training.margins import Embedder, UntrainedTable, development_figures
from gatling_guard.training.scorer_losses import Batch, scorer_losses
from gatling_guard.training.synthetic import synthetic_rows, varied
from gatling_guard.training.traces import LabelledTrace, divided, read_labelled
from gatling_guard.training.wrappers import wordings

RECORDED = frozenset({"agentdojo_banking_slack", "agentdojo_oracle_banking_slack"})
"""Sources with a handful of tasks in many runs: fewer items of each."""


@dataclass(frozen=True, slots=True)
class ScorerConfig:
    """What one run does; it is stored in the manifest."""

    seed: int = 0
    epochs: int = 2
    batch: int = 128
    lr: float = 5e-4
    table_lr: float = 2e-3
    warm_up: int = 50
    ngram_gain: float = 1.0
    """Weight of the n-grams beside the sub-words; 0 is without. They are neither mapped nor
    trained: a map over hashed runs did worse (perhaps it learns the suites' names)."""
    table: bool = True
    """Train the rows."""
    token_weights: bool = True
    maps: bool = True
    blend: float = 0.5
    """Share of what was learnt in the result; the rest is the untrained table and maps. Fine-tuned
    weights do better on suites they never saw when they are drawn back to where they started."""
    synthetic: int = 3600
    per_source: int = 6000
    per_recorded: int = 1500


class Corpus:
    """Texts as sub-word ids and n-gram features, each computed once.

    Ids are counted over the sub-words that occur: `used` holds their rows in the full table.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.index: dict[str, int] = {}
        for text in texts:
            self.index.setdefault(text, len(self.index))
        shown = [normalised(text[:MAX_TEXT]) for text in self.index]
        tokens = (TABLE / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
        pieces = WordPiece({token: i for i, token in enumerate(tokens)})
        full = [np.array(pieces.ids(text), dtype=np.int64) for text in shown]
        flat = np.concatenate([*full, np.empty(0, dtype=np.int64)])
        self.used, compact = np.unique(flat, return_inverse=True)
        ends = np.cumsum([len(ids) for ids in full])
        self._ids = [torch.from_numpy(x.copy()) for x in np.split(compact, ends[:-1])]
        self._ngrams = torch.from_numpy(ngram_features(shown))

    def take(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Flat ids, the offset of each text `[n]`, and n-gram rows `[n, 256]`."""
        at = [self.index[text] for text in texts]
        ids = [self._ids[i] for i in at]
        sizes = torch.tensor([0] + [len(x) for x in ids[:-1]])
        return torch.cat(ids), torch.cumsum(sizes, 0), self._ngrams[torch.tensor(at)]


class StaticScorer(nn.Module):
    """Rows of sub-words summed with a weight each, beside n-grams, and one map per side."""

    def __init__(self, rows: Tensor, config: ScorerConfig) -> None:
        """Takes the untrained rows of the used sub-words `[V, SUBWORD_DIM]`."""
        super().__init__()
        self.rows = nn.Parameter(rows.clone(), requires_grad=config.table)
        self.token_weight = nn.Parameter(torch.zeros(len(rows)), requires_grad=config.token_weights)
        self.maps = nn.ParameterDict(
            {
                side: nn.Parameter(torch.eye(SUBWORD_DIM), requires_grad=config.maps)
                for side in ("call", "text")
            }
        )
        self.gain = config.ngram_gain
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def embed(self, corpus: Corpus, texts: Sequence[str], side: str) -> Tensor:
        """Rows of length 1 `[n, D]`."""
        ids, offsets, ngrams = corpus.take(texts)
        weights = self.token_weight[ids].exp()
        summed = F.embedding_bag(ids, self.rows, offsets, mode="sum", per_sample_weights=weights)
        # Length 1 before the map as well: so `StaticText` gives it.
        meant = F.normalize(F.normalize(summed, dim=-1) @ self.maps[side].T, dim=-1)
        return F.normalize(torch.cat([meant, self.gain * ngrams], dim=1), dim=-1)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model beside what it started from."""

    model: StaticScorer
    start: StaticScorer
    used: NDArray[np.int64]
    """Rows of the full table that it holds."""
    losses: NDArray[np.float64]
    """Running means of the four terms at the end."""


def train(items: Sequence[Item], config: ScorerConfig, *, quiet: bool = True) -> Trained:
    """Trains on the items, at least one batch of them."""
    corpus = Corpus(_texts(items))
    untrained = torch.from_numpy(_shipped_rows()[corpus.used])
    model, start = StaticScorer(untrained, config), StaticScorer(untrained, config)
    optimizer = _optimizer(model, config)
    rates = [group["lr"] for group in optimizer.param_groups]
    total = config.epochs * (len(items) // config.batch)
    step, mean, started = 0, np.zeros(4), time.monotonic()
    for epoch in range(config.epochs):
        order = list(range(len(items)))
        random.Random(f"{config.seed}/epoch/{epoch}").shuffle(order)
        for at in range(0, len(items) - config.batch + 1, config.batch):
            factor = min(1.0, (step + 1) / config.warm_up) * max(0.02, 1 - step / total)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            losses = _losses(model, corpus, [items[i] for i in order[at : at + config.batch]])
            loss = losses[0] + losses[1] + 0.5 * losses[2] + 0.5 * losses[3]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            now = torch.stack(losses).detach().numpy()
            mean = now if step == 1 else 0.97 * mean + 0.03 * now
            if not quiet and step % 100 == 0:
                shown = " ".join(f"{x:.3f}" for x in mean)
                print(f"step {step}/{total} losses {shown} {time.monotonic() - started:.0f}s")
    return Trained(model, start, corpus.used, mean)


def _losses(model: StaticScorer, corpus: Corpus, items: Sequence[Item]) -> tuple[Tensor, ...]:
    batch = Batch.of(items)
    return scorer_losses(
        batch,
        model.embed(corpus, batch.calls, "call"),
        model.embed(corpus, batch.texts, "text"),
        model.embed(corpus, batch.tools, "call"),
        model.log_scale.exp().clamp(max=60),
    )


def _optimizer(model: StaticScorer, config: ScorerConfig) -> torch.optim.Optimizer:
    table = [p for p in (model.rows, model.token_weight) if p.requires_grad]
    rest = [*model.maps.parameters(), model.log_scale]
    groups = [{"params": rest, "lr": config.lr, "weight_decay": 0.01}]
    if table:
        groups.append({"params": table, "lr": config.table_lr, "weight_decay": 0.0})
    return torch.optim.AdamW(groups)


def _texts(items: Sequence[Item]) -> Iterable[str]:
    for item in items:
        yield from (item.call, item.tool, item.wrong_tool, *item.positives, *item.negatives)


def _shipped_rows() -> NDArray[np.float32]:
    tensors = load_file(TABLE / "table.safetensors")
    rows: NDArray[np.float32] = tensors["table"] * tensors["scale"][:, None]
    return rows.astype(np.float32)


def untrained_files(config: ScorerConfig) -> dict[str, bytes]:
    """A folder that stores only the weight of the n-grams: its table is the one that ships."""
    files = {MAPS: save({"ngram_gain": _gain(config)})}
    command = "python -m gatling_guard.training.scorer --untrained"
    return _with_manifest(files, command=command, table=text_features("static").id)


def scorer_files(trained: Trained, config: ScorerConfig, items: Sequence[Item]) -> dict[str, bytes]:
    """The scorer's folder: the table with its trained rows as int8, the maps, the manifest."""
    rows = _shipped_rows()
    rows[trained.used] = _blended(
        trained.start.rows, trained.model.rows * trained.model.token_weight.exp()[:, None], config
    )
    scale = np.maximum(np.abs(rows).max(axis=1), 1e-12).astype(np.float32) / np.float32(127)
    maps = {
        side: _blended(trained.start.maps[side], trained.model.maps[side], config)
        for side in ("call", "text")
    }
    table = {"table": np.rint(rows / scale[:, None]).astype(np.int8), "scale": scale}
    files = {
        "table.safetensors": save(table),
        "vocabulary.txt": (TABLE / "vocabulary.txt").read_bytes(),
        MAPS: save({**maps, "ngram_gain": _gain(config)}),
    }
    return _with_manifest(
        files, config=asdict(config), data_sha256=items_digest(items), items=len(items),
        losses=[round(float(x), 4) for x in trained.losses], parent=text_features("static").id,
        torch=torch.__version__,
    )  # fmt: skip


def _with_manifest(files: dict[str, bytes], **manifest: object) -> dict[str, bytes]:
    hashes = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}
    text = json.dumps({**manifest, "sha256": hashes}, indent=2, sort_keys=True) + "\n"
    return {**files, "manifest.json": text.encode()}


def _gain(config: ScorerConfig) -> NDArray[np.float32]:
    return np.array([config.ngram_gain], dtype=np.float32)


def _blended(start: Tensor, end: Tensor, config: ScorerConfig) -> NDArray[np.float32]:
    found: NDArray[np.float32] = torch.lerp(start, end, config.blend).detach().numpy()
    return found


def training_items(rows: Sequence[LabelledTrace], config: ScorerConfig) -> list[Item]:
    """Items of the rows, their injections reworded, and of synthetic rows made from them."""
    choices = wordings(development=False)
    said = varied(rows, choices, seed=config.seed)
    made = synthetic_rows(rows, config.synthetic, seed=config.seed, wordings=choices)
    static = text_features("static")
    near = Near(lambda texts: np.asarray(static(texts), dtype=np.float32))
    recorded = [row for row in said if row.source in RECORDED]
    other = [row for row in said if row.source not in RECORDED]
    items = items_of(
        recorded, near=near, seed=config.seed, per_row=2, per_source=config.per_recorded
    )
    items += items_of([*other, *made], near=near, seed=config.seed, per_source=config.per_source)
    random.Random(f"{config.seed}/all").shuffle(items)
    return items


def main(argv: Sequence[str] | None = None) -> None:
    """Reads, trains, writes; prints the figures on the held-out suite on request."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="folder of training traces")
    parser.add_argument("--untrained", action="store_true",
                        help="the shipped table beside its n-grams: what is released")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--held-out", default="", help="suite that is not trained on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=ScorerConfig().epochs)
    parser.add_argument("--figures", action="store_true", help="margin AUC on the held-out suite")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    config = ScorerConfig(seed=options.seed, epochs=options.epochs)
    if options.untrained:
        write_folder(options.out, untrained_files(config), replace=True)
        print(f"{RivalScorer(options.out).id} -> {options.out}")
        return
    if options.data is None:
        parser.error("--data is missing (or --untrained)")
    rows, held = divided(read_labelled(options.data), options.held_out)
    items = training_items(rows, config)
    trained = train(items, config, quiet=False)
    write_folder(options.out, scorer_files(trained, config, items), replace=True)
    print(f"{RivalScorer(options.out).id}: {len(rows)} rows, {len(items)} items -> {options.out}")
    if options.figures:
        scorers: dict[str, Embedder] = {
            "untrained": UntrainedTable(),
            "scorer": RivalScorer(options.out),
        }
        print(json.dumps(development_figures(held, scorers), indent=2))


if __name__ == "__main__":
    main()

"""What each loss and each input is worth: small models, one thing left out at a time.

`python benchmarks/ablation_training.py [ROW ...]` trains the named rows (all: some two minutes
each) and prints the table of every row that is done. A row is kept in `--out`: a run that was
stopped goes on with the next one.

Every row sees the same generated data, seed and number of steps. Figures are those of the test
split, fp32 through torch, with the learned energies as they come (no calibration).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders import ngrams, text
from gatling_guard.encoders.bundle import of_modules
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.training import Sample, write_samples
from gatling_guard.training.args import TrainArgs
from gatling_guard.training.assessment import assess
from gatling_guard.training.dataset import load
from gatling_guard.training.figure_rows import rows as figure_rows
from gatling_guard.training.gold import generate
from gatling_guard.training.loop import fit
from gatling_guard.training.mixture import mixed
from gatling_guard.training.sample import read_samples
from gatling_guard.training.served import serve
from gatling_guard.training.splits import read_split

SHOWN = (
    "nearest neighbour of 100", "positive similarity", "AUC gold | boundary",
    "AUC gold | adversarial", "next call of 100", "attribution",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration."""

    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes to `TrainArgs`."""
    shape: Mapping[str, Any] = field(default_factory=dict)
    """Changes to `EncoderConfig`."""
    facts: bool = True
    """Whether samples say where values came from."""
    ngrams: bool = True


ROWS = {
    "full": Row("nothing"),
    "no-attribution": Row("no attribution loss", {"attribution_weight": 0.0}),
    "no-next-call": Row("no next-call loss", {"next_call_weight": 0.0}),
    "no-margin": Row("no margin", {"margin_weight": 0.0}),
    "no-align": Row("no alignment", {"align_weight": 0.0}),
    "cosine": Row("cosines alone, no energies", {"objective": "cosine"}),
    "no-ngrams": Row("text without n-grams", ngrams=False),
    "no-lineage": Row("calls without lineage", facts=False),
    "md5": Row("MD5 tokeniser", shape={"tokenizer": "md5"}),
}


def samples(families: int, *, seed: int = 41) -> Iterable[Sample]:
    """The data of every row."""
    return mixed(generate(seed, families), seed=seed)


def without_facts(found: Iterable[Sample]) -> Iterable[Sample]:
    """Calls whose values nothing traced."""
    return (dataclasses.replace(sample, facts={}) for sample in found)


def measure(row: Row, data: Path, args: TrainArgs) -> dict[str, Any]:
    """Train and assess one row."""
    began = time.perf_counter()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not row.ngrams:
            stack.enter_context(patch.object(text, "ngram_features", _no_ngrams))
        given = data
        if not row.facts:
            given = scratch / "data.jsonl"
            write_samples(given, without_facts(read_samples(data)))
        shape = EncoderConfig.named(args.config, latent_dim=args.latent_dim, **row.shape)
        settings = dataclasses.replace(args, **row.settings)
        dataset = load([given])
        run = fit(dataset, settings, scratch / "run", config=shape)
        part = read_split([given], "test")
        served = serve(of_modules(run.model.networks()), part.items, part.texts)
        found = assess(part, served, energy="learned", calibration=None)
    steps = len(dataset.splits["train"]) // settings.batch_size * settings.epochs
    seconds = round(time.perf_counter() - began, 1)
    return {"about": row.about, "steps": steps, "seconds": seconds, "figures": found.groups["all"]}


def _no_ngrams(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.zeros((len(texts), ngrams.NGRAM_DIM), np.float32)


def table(done: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown, in the order of `ROWS`."""
    names = [name for name in ROWS if name in done]
    lines = figure_rows([done[name]["figures"] for name in names], [[] for _ in names])
    by_name = {line.name: line for line in lines}
    out = [
        "| left out | " + " | ".join(name.replace(" |", " :") for name in SHOWN) + " | s |",
        "|---" * (len(SHOWN) + 2) + "|",
    ]
    for number, name in enumerate(names):
        cells = [by_name[shown].cells[number] for shown in SHOWN]
        figures = " | ".join(f"{cell.text} {cell.interval}".strip() for cell in cells)
        out.append(f"| {done[name]['about']} | {figures} | {done[name]['seconds']:.0f} |")
    return "\n".join(out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is asked for and not done; print all that is done."""
    parser = argparse.ArgumentParser(description="Ablation of training.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; none: all")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="keeps the rows")
    parser.add_argument("--families", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--config", default="small")
    parser.add_argument("--latent-dim", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="train rows that are done once more")
    options = parser.parse_args(arguments)
    if unknown := sorted({*options.rows} - ROWS.keys()):
        parser.error(f"no rows {', '.join(unknown)}; there are {', '.join(ROWS)}")
    args = TrainArgs(
        config=options.config, latent_dim=options.latent_dim, epochs=options.epochs,
        learning_rate=1e-3, ema=0.99, threads=options.threads,
    )  # fmt: skip
    facts = json.dumps([args.to_dict(), options.families], sort_keys=True)
    folder = options.out / hashlib.sha256(facts.encode()).hexdigest()[:8]
    if options.again:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.jsonl"
    if not data.exists():
        write_samples(folder / "making.jsonl", samples(options.families))
        (folder / "making.jsonl").rename(data)
    for name in options.rows or ROWS:
        path = folder / f"{name}.json"
        if not path.exists():
            print(f"--- {name}: {ROWS[name].about}", flush=True)
            text_ = json.dumps(measure(ROWS[name], data, args), indent=1)
            path.with_suffix(".part").write_text(text_, "utf-8")
            path.with_suffix(".part").rename(path)
    done = {n: json.loads((folder / f"{n}.json").read_text()) for n in ROWS
            if (folder / f"{n}.json").exists()}  # fmt: skip
    print(f"\n{args.config}, latent {args.latent_dim}, {options.families:,} families, "
          f"{args.epochs} epochs\n")  # fmt: skip
    print(table(done))


if __name__ == "__main__":
    main()

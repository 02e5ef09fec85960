"""What text features are worth and what they cost: static embeddings beside MD5 tokens.

`python benchmarks/text.py` prints
(a) how often a tool's nearest neighbour, by cosine, has the same effect; plain, and averaged over
the effects so that a common one counts no more than a rare one. Ties count with their share: the
expectation over random choice. Twice: for five seeded samples of 1,000 tools of the catalog with
distinct names and the effect that `gatling_guard.catalog` infers, and for the tools of the dev half
of the hand labels. The inference reads the words of the same names, so there a bag of words starts
with an advantage; the hand labels are the better judge.
(b) microseconds per text, time to load, resident memory.

Nothing is fitted here. Needs `../shared/data`; (a) is skipped where it is missing.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from profiles import HALVES, TOOLS, digest, read_labels, read_tools

from gatling_guard.catalog import infer_profile
from gatling_guard.encoders.text import SUBWORD_DIM, text_features
from gatling_guard.encoders.wordpiece import normalised

SHARED = Path(__file__).resolve().parents[2] / "shared"
SAMPLE = 1_000
SEEDS = range(5)
VOCABULARY = 10_000

Tool = dict[str, Any]
Vectors = NDArray[Any]

LOADING = """
import os, resource, time
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6
import numpy, gatling_guard.encoders.text as text
import safetensors.numpy
before, began = resident(), time.perf_counter()
features = text.text_features("static")
features(["warm"])
print((time.perf_counter() - began) * 1e3, resident() - before, resident())
"""


def main() -> None:
    """Print both tables."""
    if (SHARED / TOOLS).is_file():
        tools = list(read_tools(SHARED))
        inferred = [sampled(tools, seed) for seed in SEEDS]
        print(
            f"nearest neighbour has the same effect, by inference: {len(SEEDS)} samples of {SAMPLE}"
        )
        quality(inferred)
        print("\nnearest neighbour has the same effect, by hand labels (dev half): one sample")
        quality([labelled(tools)])
    else:
        print(f"quality: skipped, there is no {SHARED / TOOLS}")
    print()
    costs()


def sampled(tools: list[Tool], seed: int) -> list[tuple[Tool, str]]:
    """Tools with distinct names, and the effect that the catalog infers."""
    named = {str(tool["name"]): tool for tool in tools}
    chosen = random.Random(seed).sample([named[name] for name in sorted(named)], SAMPLE)
    return [
        (
            tool,
            infer_profile(tool["name"], tool["description"] or "", tool["parameters"]).effect.value,
        )
        for tool in chosen
    ]


def labelled(tools: list[Tool]) -> list[tuple[Tool, str]]:
    """The tools of the dev half, and the effect that a person read off them."""
    effects = {
        label["digest"]: str(label["effect"])
        for label in read_labels().values()
        if label["half"] == HALVES[0]
    }
    marked = {digest(tool): tool for tool in tools}
    return [(marked[mark], effect) for mark, effect in effects.items() if mark in marked]


def whole(texts: list[str]) -> Vectors:
    """The seed's: one MD5 token per text, one-hot."""
    ids = text_features("md5", vocabulary=VOCABULARY)(texts)
    return (ids[:, None] == np.arange(VOCABULARY)[None]).astype(np.float32)


def bag(texts: list[str]) -> Vectors:
    """One MD5 token per word, counted."""
    md5 = text_features("md5", vocabulary=VOCABULARY)
    counts = np.zeros((len(texts), VOCABULARY), dtype=np.float32)
    for row, text in zip(counts, texts, strict=True):
        np.add.at(row, md5(normalised(text).split()), 1)
    return counts


def static(texts: list[str]) -> Vectors:
    """Both halves of the static features."""
    return np.asarray(text_features("static")(texts))


WAYS: dict[str, Callable[[list[str]], Vectors]] = {
    "static": static,
    "static, sub-words only": lambda texts: static(texts)[:, :SUBWORD_DIM],
    "static, n-grams only": lambda texts: static(texts)[:, SUBWORD_DIM:],
    "md5, a token per word (bag)": bag,
    "md5, a token per text (the seed's)": whole,
}


def quality(samples: list[list[tuple[Tool, str]]]) -> None:
    """Table (a): means over the samples, and the spread of the plain share."""
    counted = Counter(str(effect) for _, effect in samples[0])
    print("effects (first sample): " + ", ".join(f"{e} {n}" for e, n in counted.most_common()))
    print(
        f"{'per cent':36} {'name: plain':>14} {'macro':>12}  {'+ descr.: plain':>15} {'macro':>12}"
    )
    for title, features in WAYS.items():
        print(f"{title:36} " + spread([shares(sample, features) for sample in samples]))
    # What a neighbour drawn at random gives.
    print(f"{'chance':36} " + spread([(*chance(sample), *chance(sample)) for sample in samples]))


def shares(
    sample: list[tuple[Tool, str]], features: Callable[[list[str]], Vectors]
) -> tuple[float, ...]:
    """Plain and macro share, by the name alone and by name and description."""
    effects = [str(effect) for _, effect in sample]
    alone = unit(features([str(tool["name"]) for tool, _ in sample]))
    both = unit(alone + unit(features([str(tool["description"] or "") for tool, _ in sample])))
    return (*hits(alone, effects), *hits(both, effects))


def chance(sample: list[tuple[Tool, str]]) -> tuple[float, float]:
    """Plain and macro share of a neighbour drawn at random."""
    counts = Counter(str(effect) for _, effect in sample).values()
    same = [(n - 1) / (len(sample) - 1) for n in counts]
    return sum(n * p for n, p in zip(counts, same, strict=True)) / len(sample), mean(same)


def spread(rows: Sequence[tuple[float, ...]]) -> str:
    """Mean of each column, with the standard deviation where there are several rows."""
    cells = []
    for column in zip(*rows, strict=True):
        more = f" +-{100 * stdev(column):4.1f}" if len(rows) > 1 else ""
        cells.append(f"{100 * mean(column):5.1f}{more}")
    return " ".join(f"{cell:>14}" for cell in cells)


def unit(vectors: Vectors) -> Vectors:
    """Rows of length 1; zeros stay."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, 1e-12))


def hits(vectors: Vectors, effects: list[str]) -> tuple[float, float]:
    """Share of rows whose nearest other row has their effect: plain, and averaged over effects."""
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -2)
    nearest = cosine >= cosine.max(axis=1, keepdims=True) - 1e-6
    labels = np.array(effects)
    same = (nearest & (labels[:, None] == labels[None])).sum(axis=1) / nearest.sum(axis=1)
    return float(same.mean()), mean(float(same[labels == e].mean()) for e in sorted(set(effects)))


def costs() -> None:
    """Table (b)."""
    ways = text_features("static"), text_features("md5")
    names = [f"{verb}_{noun}{i}" for i in range(10) for verb in VERBS for noun in NOUNS]
    prose = [f"Use this to {name.replace('_', ' the ')} of the signed-in user." for name in names]
    print(f"{'microseconds per text, min / median':44} {'static':>15} {'md5':>15}")
    long = [" ".join(prose)[:50_000] * 20]
    for title, texts, rounds in (
        ("one name", names[:1], 300),
        ("one sentence", prose[:1], 300),
        (f"batch of {len(names)} names", names, 20),
        (f"batch of {len(prose)} sentences", prose, 20),
        ("one text of 1 MB", long, 3),
    ):
        cells = [timed(way, texts, rounds) for way in ways]
        print(f"{title:44} " + " ".join(f"{cell:>15}" for cell in cells))
    runs = [
        [float(x) for x in subprocess.check_output([sys.executable, "-c", LOADING]).split()]
        for _ in range(5)
    ]
    took, more, whole = (median(column) for column in zip(*runs, strict=True))
    print(f"load and first text: {took:.0f} ms, {more:.0f} MB more, {whole:.0f} MB in all")


VERBS = ("delete", "list", "create", "send", "getAll", "archive", "share", "pay", "run", "update")
NOUNS = ("user", "events", "Invoice", "mail", "file", "report", "channel", "order", "job", "note")


def timed(way: Callable[[list[str]], object], texts: list[str], rounds: int) -> str:
    """`min / median` of some rounds, per text."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        way(texts)
        took.append((time.perf_counter() - began) * 1e6 / len(texts))
    return f"{min(took):.1f} / {median(took):.1f}"


if __name__ == "__main__":
    main()

"""What text features are worth and what they cost: static embeddings beside MD5 tokens.

`python benchmarks/text.py` prints
(a) for 1,000 tools of the catalog (seeded sample, distinct names): how often the nearest neighbour,
by cosine, has the same effect; plain, and averaged over the effects so that a common one counts no
more than a rare one. Ties count with their share: the expectation over random choice.
(b) microseconds per text, time to load, resident memory.

The effect is the one that `gatling_guard.catalog` infers, from the words of the same names and
descriptions. So (a) says whether features keep what a rule reads off the words; it is no proof that
they know effects. Nothing is fitted here. Needs `../shared/data`; the quality part is skipped where
it is missing.
"""

from __future__ import annotations

import json
import lzma
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog import infer_profile
from gatling_guard.encoders.text import SUBWORD_DIM, text_features
from gatling_guard.encoders.wordpiece import normalised

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT.parent / "shared" / "data" / "catalog" / "tool_schemas.jsonl.xz"
SAMPLE = 1_000
SEED = 20261121
VOCABULARY = 10_000

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
    if TOOLS.exists():
        quality(sampled())
    else:
        print(f"quality: skipped, there is no {TOOLS}")
    print()
    costs()


def sampled() -> list[dict[str, Any]]:
    """Tools with distinct names."""
    with lzma.open(TOOLS, "rt", encoding="utf-8") as lines:
        tools = [json.loads(line) for line in lines]
    named = {str(tool["name"]): tool for tool in tools}
    return random.Random(SEED).sample([named[name] for name in sorted(named)], SAMPLE)


def quality(tools: list[dict[str, Any]]) -> None:
    """Table (a)."""
    effects = [
        infer_profile(tool["name"], str(tool["description"] or ""), tool["parameters"]).effect.value
        for tool in tools
    ]
    classes = Counter(effects)
    chance = [(n - 1) / (len(tools) - 1) for n in classes.values()]
    plain = sum(n * p for n, p in zip(classes.values(), chance, strict=True)) / len(tools)
    print(f"nearest neighbour has the same effect, {len(tools)} tools, seed {SEED}")
    print("effects: " + ", ".join(f"{effect} {n}" for effect, n in classes.most_common()))
    print(f"{'':44} {'name':>13} {'name + descr.':>15}")
    print(f"{'':44} {'plain  macro':>13} {'plain  macro':>15}")
    names = [str(tool["name"]) for tool in tools]
    texts = [str(tool["description"] or "") for tool in tools]
    static, md5 = text_features("static"), text_features("md5", vocabulary=VOCABULARY)

    def whole(texts: list[str]) -> NDArray[Any]:
        ids = md5(texts)
        return (ids[:, None] == np.arange(VOCABULARY)[None]).astype(np.float32)

    def bag(texts: list[str]) -> NDArray[Any]:
        counts = np.zeros((len(texts), VOCABULARY), dtype=np.float32)
        for row, text in zip(counts, texts, strict=True):
            np.add.at(row, md5(normalised(text).split()), 1)
        return counts

    ways: list[tuple[str, Callable[[list[str]], NDArray[Any]]]] = [
        ("static", static),
        ("static, sub-words only", lambda texts: static(texts)[:, :SUBWORD_DIM]),
        ("static, n-grams only", lambda texts: static(texts)[:, SUBWORD_DIM:]),
        ("md5, a token per word (bag)", bag),
        ("md5, a token per text (the seed's)", whole),
    ]
    for title, features in ways:
        alone = unit(features(names))
        both = alone + unit(features(texts))
        cells = [hits(unit(vectors), effects) for vectors in (alone, both)]
        print(f"{title:44} " + "   ".join(f"{100 * p:5.1f}  {100 * m:5.1f}" for p, m in cells))
    print(f"{'chance':44} " + f"{100 * plain:5.1f}  {100 * mean(chance):5.1f}")


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    """Rows of length 1; zeros stay."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, 1e-12))


def hits(vectors: NDArray[Any], effects: list[str]) -> tuple[float, float]:
    """Share of rows whose nearest other row has their effect: plain, and averaged over effects."""
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -2)
    nearest = cosine >= cosine.max(axis=1, keepdims=True) - 1e-6
    labels = np.array(effects)
    same = (nearest & (labels[:, None] == labels[None])).sum(axis=1) / nearest.sum(axis=1)
    return float(same.mean()), mean(float(same[labels == e].mean()) for e in sorted(set(effects)))


def costs() -> None:
    """Table (b)."""
    static, md5 = text_features("static"), text_features("md5")
    names = [f"{verb}_{noun}{i}" for i in range(10) for verb in VERBS for noun in NOUNS]
    prose = [f"Use this to {name.replace('_', ' the ')} of the signed-in user." for name in names]
    print(f"{'microseconds per text, min / median':44} {'static':>15} {'md5':>15}")
    for title, texts in (
        ("one name", names[:1]),
        ("one sentence", prose[:1]),
        (f"batch of {len(names)} names", names),
        (f"batch of {len(prose)} sentences", prose),
        ("one text of 1 MB", [" ".join(prose)[:50_000] * 20]),
    ):
        rounds = 3 if len(texts[0]) > 1_000 else 300 if len(texts) == 1 else 20
        cells = [timed(lambda f=f: f(texts), rounds, len(texts)) for f in (static, md5)]  # type: ignore[misc]
        print(f"{title:44} " + " ".join(f"{cell:>15}" for cell in cells))
    runs = [
        [float(x) for x in subprocess.check_output([sys.executable, "-c", LOADING]).split()]
        for _ in range(5)
    ]
    took, more, whole = (median(column) for column in zip(*runs, strict=True))
    print(f"load and first text: {took:.0f} ms, {more:.0f} MB more, {whole:.0f} MB in all")


VERBS = ("delete", "list", "create", "send", "getAll", "archive", "share", "pay", "run", "update")
NOUNS = ("user", "events", "Invoice", "mail", "file", "report", "channel", "order", "job", "note")


def timed(call: Callable[[], object], rounds: int, texts: int) -> str:
    """`min / median` of some rounds, per text."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1e6 / texts)
    return f"{min(took):.1f} / {median(took):.1f}"


if __name__ == "__main__":
    main()

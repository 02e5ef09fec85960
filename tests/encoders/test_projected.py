"""Kept text vectors: the same whatever they were computed together with."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatling_guard.encoders.config import EncoderConfig, Tokenizer
from gatling_guard.encoders.export import export_graph, text_graph
from gatling_guard.encoders.layers import TextProjection, initialise
from gatling_guard.encoders.projected import ProjectedText
from gatling_guard.encoders.runtime import OnnxGraph
from gatling_guard.encoders.text import TextFeatures, text_features
from tests.encoders.test_agreement import SLOW

texts = st.text(max_size=40) | st.sampled_from(
    ["", "send_email", "list events", "the quick brown fox", "a" * 600, "straße", "日本語"]
)


class Product:
    """The text projection as it is exported, on random weights."""

    def __init__(self, h: int, folder: Path, tokenizer: Tokenizer = "static") -> None:
        shape: dict[str, Any] = {"hidden_dim": h, "words_dim": 8, "vocabulary": 50}
        config = EncoderConfig.named("small", tokenizer=tokenizer, **shape)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            text = TextProjection(config)
            initialise(text)
        self.features = text_features(tokenizer, vocabulary=50)
        weight = text.static.weight.T if text.static is not None else text.table.weight  # type: ignore[union-attr]
        self.weight = weight.detach().numpy()
        made = SimpleNamespace(features=self.features, text=text)
        export_graph(text_graph("text", made), folder)
        self.graph = OnnxGraph((folder / "text.fp32.onnx").read_bytes())

    def __call__(self, size: int = 4096) -> ProjectedText:
        return ProjectedText(self.features, self.graph, size=size)


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Product]:
    return {h: Product(h, tmp_path_factory.mktemp(f"h{h}")) for h in (32, 256)}


class Counted:
    """Counts what it is asked for."""

    def __init__(self, features: TextFeatures) -> None:
        self.features, self.id = features, features.id
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32] | NDArray[np.int64]:
        self.asked += texts
        return self.features(texts)


@SLOW
@given(pool=st.lists(texts, min_size=1, max_size=48, unique=True), seed=st.integers(0, 99))
def test_features_do_not_depend_on_the_batch(pool: list[str], seed: int) -> None:
    """P9, bit-equal: alone, together, in another order."""
    features = text_features()
    together = features(pool)
    order = random.Random(seed).sample(range(len(pool)), len(pool))
    assert np.array_equal(features([pool[i] for i in order]), together[order])
    for i in order[:3]:
        assert np.array_equal(features([pool[i]])[0], together[i])


@pytest.mark.parametrize("h", [32, 256])
@settings(SLOW, max_examples=20)
@given(pool=st.lists(texts, min_size=40, max_size=48, unique=True), seed=st.integers(0, 99))
def test_a_kept_vector_does_not_depend_on_its_company(
    products: dict[int, Product], h: int, pool: list[str], seed: int
) -> None:
    """P9, bit-equal: alone, in a batch of 7, of 40, in another order, bit by bit."""
    made, rng = products[h], random.Random(seed)
    together = made()(pool)
    shuffled = rng.sample(pool, len(pool))
    index = [pool.index(text) for text in shuffled]
    assert np.array_equal(made()(shuffled), together[index])
    for size in (1, 2, 3, 7):
        assert np.array_equal(made()(shuffled[:size]), together[index[:size]])
    grown = made()
    for at in range(0, len(shuffled), 5):
        grown(shuffled[at : at + 5])
    assert np.array_equal(grown(pool), together)
    exact = made.features(pool[:4]) @ made.weight
    assert np.abs(together[:4] - exact).max() < 1e-4


def test_md5_ids_are_looked_up(tmp_path: Path) -> None:
    made = Product(8, tmp_path, "md5")
    ids = made.features(["a", "b", "a"])
    assert np.array_equal(made()(["a", "b", "a"]), made.weight[ids.astype(np.int64)])


def test_the_empty_text_is_zeros(products: dict[int, Product]) -> None:
    project = products[32]()
    assert not project([""]).any()
    assert project(["a", "a", ""]).shape == (3, 40)


def test_the_latest_texts_are_kept_and_no_more(products: dict[int, Product]) -> None:
    """Bounded: the least recently used one goes first; of a long text only a hash is kept."""
    features = Counted(text_features())
    project = ProjectedText(features, products[32].graph, size=3)
    project(["a", "b", "c"])
    project(["a"])
    assert features.asked == ["a", "b", "c"]
    project(["d"])
    project(["a", "c", "d"])
    assert features.asked == ["a", "b", "c", "d"]
    project(["b"])
    assert features.asked == ["a", "b", "c", "d", "b"]
    many = [f"t{i}" for i in range(50)]
    assert project(many).shape == (50, 40)
    assert len(project._kept) == 3
    for _ in range(2):
        project(["x" * 512, "y" * 513])
    assert features.asked[55:] == ["x" * 512, "y" * 513]
    assert sum(map(len, project._kept)) < 1024


def test_a_kept_vector_keeps_nothing_else_alive(products: dict[int, Product]) -> None:
    """4,096 vectors are 4 MB only where none of them is a view into a product of 100,000."""
    project = products[32]()
    project([f"t{i}" for i in range(40)])
    assert all(vector.base is None for vector in project._kept.values())


def test_a_result_is_the_callers_own(products: dict[int, Product]) -> None:
    project = products[32]()
    first = project(["a", "b"])
    before = first.copy()
    first[:] = 7
    assert np.array_equal(project(["a", "b"]), before)


def test_threads_share_it(products: dict[int, Product]) -> None:
    """A cache of 5 under 8 threads: every vector is the right one, and the bound holds."""
    words = [f"word{i}" for i in range(30)]
    right = products[32]()(words)
    shared = products[32](size=5)
    wrong: list[object] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(150):
                index = rng.sample(range(30), rng.randint(1, 8))
                if not np.array_equal(shared([words[i] for i in index]), right[index]):
                    wrong.append(index)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(shared._kept) <= 5

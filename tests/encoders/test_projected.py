"""Kept text vectors: the same whatever they were computed together with."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatling_guard.encoders.projected import ProjectedText
from gatling_guard.encoders.text import STATIC_DIM, TextFeatures, text_features
from tests.encoders.test_agreement import SLOW

texts = st.text(max_size=40) | st.sampled_from(
    ["", "send_email", "list events", "the quick brown fox", "a" * 600, "straße", "日本語"]
)


def weight(rows: int, h: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(rows, h)).astype(np.float32)


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
def test_a_kept_vector_does_not_depend_on_its_company(h: int, pool: list[str], seed: int) -> None:
    """P9, bit-equal: a matrix product rounds differently for 1, 7 and 40 rows."""
    features, matrix = text_features(), weight(STATIC_DIM, h)
    rng = random.Random(seed)
    together = ProjectedText(features, matrix)(pool)
    shuffled = rng.sample(pool, len(pool))
    index = [pool.index(text) for text in shuffled]
    assert np.array_equal(ProjectedText(features, matrix)(shuffled), together[index])
    for size in (1, 7):
        few = ProjectedText(features, matrix)(shuffled[:size])
        assert np.array_equal(few, together[index[:size]])
    grown = ProjectedText(features, matrix)
    for at in range(0, len(shuffled), 5):
        grown(shuffled[at : at + 5])
    assert np.array_equal(grown(pool), together)
    exact = features(pool).astype(np.float64) @ matrix.astype(np.float64)
    assert np.abs(together - exact).max() < 1e-4


def test_md5_ids_are_looked_up() -> None:
    matrix = weight(50, 8)
    project = ProjectedText(text_features("md5", vocabulary=50), matrix)
    ids = text_features("md5", vocabulary=50)(["a", "b", "a"])
    assert np.array_equal(project(["a", "b", "a"]), matrix[ids.astype(np.int64)])


def test_nothing_and_the_empty_text() -> None:
    project = ProjectedText(text_features(), weight(STATIC_DIM, 8))
    assert project([]).shape == (0, 8)
    assert not project([""]).any()
    assert project(["a", "a", ""]).shape == (3, 8)


def test_the_latest_texts_are_kept_and_no_more() -> None:
    """Bounded: the least recently used one goes first; a long text is never kept."""
    features = Counted(text_features())
    project = ProjectedText(features, weight(STATIC_DIM, 8), size=3)
    project(["a", "b", "c"])
    project(["a"])
    assert features.asked == ["a", "b", "c"]
    project(["d"])
    project(["a", "c", "d"])
    assert features.asked == ["a", "b", "c", "d"]
    project(["b"])
    assert features.asked == ["a", "b", "c", "d", "b"]
    many = [f"t{i}" for i in range(50)]
    assert project(many).shape == (50, 8)
    assert len(project._kept) == 3
    for _ in range(2):
        project(["x" * 512, "y" * 513])
    assert features.asked[55:] == ["x" * 512, "y" * 513, "y" * 513]


def test_a_kept_vector_keeps_nothing_else_alive() -> None:
    """4,096 vectors are 4 MB only where none of them is a view into a product of 100,000."""
    project = ProjectedText(text_features(), weight(STATIC_DIM, 8))
    project([f"t{i}" for i in range(40)])
    assert all(vector.base is None for vector in project._kept.values())


def test_a_result_is_the_callers_own() -> None:
    project = ProjectedText(text_features(), weight(STATIC_DIM, 8))
    first = project(["a", "b"])
    before = first.copy()
    first[:] = 7
    assert np.array_equal(project(["a", "b"]), before)


def test_threads_share_it() -> None:
    """A cache of 5 under 8 threads: every vector is the right one, and the bound holds."""
    features, matrix = text_features(), weight(STATIC_DIM, 16)
    words = [f"word{i}" for i in range(30)]
    right = ProjectedText(features, matrix)(words)
    shared = ProjectedText(features, matrix, size=5)
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

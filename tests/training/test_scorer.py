"""The text scorer: losses by hand, training, and the folder it leaves (R67, R78)."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gatling_guard.encoders.folder import write_folder
from gatling_guard.encoders.scorer import MAPS, RivalScorer, call_text, tool_text
from gatling_guard.encoders.text import TABLE, text_features
from gatling_guard.errors import ConfigurationError
from gatling_guard.plan import ToolCall
from gatling_guard.trace import tool_from_row
from gatling_guard.training.items import Item
from gatling_guard.training.margins import auc
from gatling_guard.training.scorer import ScorerConfig, scorer_files, train, untrained_files
from gatling_guard.training.scorer_losses import Batch, contrast, scorer_losses
from tests.training.scorer_items import ITEMS, THINGS, VERBS, item

SMALL = ScorerConfig(epochs=3, batch=16, warm_up=2)


def made(items: list[Item], config: ScorerConfig) -> dict[str, bytes]:
    return scorer_files(train(items, config), config, items)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scorer") / "made"
    torch.set_num_threads(1)
    write_folder(path, made(ITEMS, SMALL))
    return path


def test_contrast_by_hand() -> None:
    logits = torch.tensor([[1.0, 0.0, 3.0, -2.0]])
    positive = torch.tensor([[True, True, False, False]])
    allowed = torch.tensor([[True, True, False, True]])
    above = math.exp(1) + math.exp(0)
    whole = above + math.exp(-2)
    assert contrast(logits, positive, allowed).item() == pytest.approx(-math.log(above / whole))


def test_the_four_terms_by_hand() -> None:
    items = [item("send", "photo"), item("pay", "ticket")]
    batch = Batch.of(items)
    calls = torch.eye(2)
    texts = torch.eye(2)[[0, 1, 1, 0]]  # positive, negative of the first, then of the second
    tools = torch.eye(2)[[0, 1, 1]]  # send photo, list all (wrong for both), pay ticket
    losses = scorer_losses(batch, calls, texts, tools, torch.tensor(2.0))
    e = math.exp(2)
    assert batch.texts[0] == items[0].positives[0]
    assert batch.tools[1] == "list all"
    # rows: own positive e, own negative 1, the other's positive 1
    assert losses[0].item() == pytest.approx(-math.log(e / (e + 2)))
    assert losses[1].item() == pytest.approx(-math.log(e / (e + 1)))
    assert losses[2].item() == pytest.approx(-math.log(e / (e + 1)))
    first, second = -math.log(e / (e + 2)), -math.log(e / (1 + 2 * e))
    assert losses[3].item() == pytest.approx((first + second) / 2)


def test_texts_of_the_same_instruction_trace_or_call_are_no_negatives() -> None:
    base = item("send", "photo")
    others = [
        item("pay", "ticket", instruction=base.instruction),
        item("book", "room", trace=base.trace),
        item("share", "folder", call=base.call),
        item("print", "letter"),
    ]
    batch = Batch.of([base, *others])
    column = {text: i for i, text in enumerate(batch.texts)}
    for other, apart in zip(others, (False, False, False, True), strict=True):
        assert bool(batch.allowed[0, column[other.positives[0]]]) is apart
    assert batch.apart[0].tolist() == [False, False, False, False, True]
    tools = {text: i for i, text in enumerate(batch.tools)}
    assert not batch.tools_allowed[0, tools["pay ticket"]], "the instruction called that one too"
    assert batch.tools_allowed[0, tools["print letter"]]


def test_training_lowers_the_losses(folder: Path) -> None:
    start = train(ITEMS, ScorerConfig(epochs=1, batch=64))
    end = train(ITEMS, ScorerConfig(epochs=30, batch=64, warm_up=2))
    assert end.losses.sum() < 0.7 * start.losses.sum()


def test_the_same_seed_gives_the_same_bytes(folder: Path) -> None:
    again = made(ITEMS, SMALL)
    assert again == {name: (folder / name).read_bytes() for name in again}
    other = made(ITEMS, replace(SMALL, seed=1))
    assert other["table.safetensors"] != again["table.safetensors"]


def test_a_blend_of_nothing_is_the_untrained_table(folder: Path) -> None:
    from safetensors.numpy import load

    files = scorer_files(train(ITEMS, SMALL), replace(SMALL, blend=0.0), ITEMS)
    old = (TABLE / "table.safetensors").read_bytes()
    assert np.array_equal(load(files["table.safetensors"])["table"], load(old)["table"])
    assert np.array_equal(load(files[MAPS])["text"], np.eye(256, dtype=np.float32))


def test_the_folder_is_small_and_as_good_as_what_was_trained(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 16_000_000
    scorer = RivalScorer(folder)
    said = [f"Please {v} my {t} today." for v in VERBS for t in THINGS]
    scores = scorer.embed_calls([x.call for x in ITEMS]) @ scorer.embed_texts(said).T
    assert (scores.argmax(axis=1) == np.arange(len(said))).mean() > 0.9
    assert scorer.id != text_features("static").id


def test_what_is_frozen_stays() -> None:
    from safetensors.numpy import load

    config = ScorerConfig(epochs=1, batch=16, ngram_gain=0, table=False, token_weights=False)
    files = made(ITEMS[:16], config)
    assert load(files[MAPS])["ngram_gain"] == 0
    old, new = load((TABLE / "table.safetensors").read_bytes()), load(files["table.safetensors"])
    assert np.abs(old["table"].astype(int) - new["table"].astype(int)).max() <= 1


def test_the_margin_is_the_nearest_span_less_the_nearest_sentence(folder: Path) -> None:
    scorer = RivalScorer(folder)
    call = ToolCall(node_id="1", tool_name="pay_invoice", arguments={"id": 7})
    said, rival = ["Please book my room today."], ["The sky.", "Please pay my invoice today."]
    margin = scorer.margin(call, said, rival)
    row = scorer.embed_calls([call_text(call)])[0]
    expected = (scorer.embed_texts(rival) @ row).max() - (scorer.embed_texts(said) @ row).max()
    assert margin == pytest.approx(float(expected), abs=1e-6)
    assert margin > 0
    assert scorer.margin(call, rival, said) == pytest.approx(-margin, abs=1e-6)
    assert scorer.margin(call, said, []) < -0.5 < scorer.margin(call, [], rival)
    assert -2 <= scorer.margin(call_text(call), [], []) <= 2


def test_a_damaged_or_missing_file_is_refused(folder: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in files:
        for damaged in (files[name][:-1] + b"x", None):
            broken = {k: v for k, v in files.items() if k != name or damaged}
            if damaged:
                broken[name] = damaged
            write_folder(tmp_path / "broken", broken, replace=True)
            with pytest.raises(ConfigurationError, match=name):
                RivalScorer(tmp_path / "broken")


def test_a_short_text_costs_a_tenth_of_a_millisecond(folder: Path) -> None:
    scorer = RivalScorer(folder)
    texts = [f"Please {v} the {t} number {i} to Nora before noon." for v in VERBS
             for i, t in enumerate(THINGS)]  # fmt: skip
    scorer.embed_texts(texts)

    def once() -> float:
        start = time.thread_time()
        scorer.embed_texts(texts)
        return (time.thread_time() - start) / len(texts)

    assert min(once() for _ in range(30)) < 1e-4


def test_call_text_names_arguments_in_order_and_is_bounded() -> None:
    arguments = {"to": ["a@b.c", "d@e.f"], "rowCount": 3, "empty": "", "none": None,
                 "deep": {"x": {"y": True}}, "body": "w" * 500}  # fmt: skip
    text = call_text(ToolCall(node_id="1", tool_name="sendMail", arguments=arguments))
    assert text.startswith("send mail with to a@b.c, d@e.f, row count 3, deep True, body ")
    assert text.count("w") == 80 + 2  # of `with` and `row`
    assert call_text(ToolCall(node_id="1", tool_name="list_all")) == "list all"
    many = {f"k{i}": "v" * 90 for i in range(50)}
    assert len(call_text(ToolCall(node_id="1", tool_name="f", arguments=many))) == 600


def test_tool_text_is_name_and_first_line() -> None:
    spec = tool_from_row({"name": "get_x", "description": "Gives x.\nMore.", "parameters": {}})
    assert tool_text(spec) == "get x: Gives x."


def test_auc_by_hand() -> None:
    truth = np.array([True, True, False, False])
    assert auc(np.array([3.0, 1.0, 2.0, 1.0]), truth) == 0.625
    assert auc(np.array([2.0, 2.0, 1.0, 1.0]), truth) == 1.0
    assert math.isnan(auc(np.array([1.0]), np.array([True])))


def test_an_untrained_release_stores_no_table(tmp_path: Path) -> None:
    """What ships anyway is not stored twice; another shipped table is refused."""
    files = untrained_files(ScorerConfig(ngram_gain=1.5))
    assert set(files) == {MAPS, "manifest.json"}
    write_folder(tmp_path / "made", files)
    scorer = RivalScorer(tmp_path / "made")
    row = np.asarray(text_features("static")(["pay Nora"]), dtype=np.float32)[0]
    row[256:] *= 1.5
    assert np.allclose(scorer.embed_calls(["pay Nora"])[0], row / np.linalg.norm(row), atol=1e-6)
    assert np.array_equal(scorer.embed_calls(["pay Nora"]), scorer.embed_texts(["pay Nora"]))
    manifest = files["manifest.json"].replace(b"static-1-", b"static-9-")
    write_folder(tmp_path / "other", {**files, "manifest.json": manifest})
    with pytest.raises(ConfigurationError, match="static-9-"):
        RivalScorer(tmp_path / "other")

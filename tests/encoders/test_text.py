"""encoders.text: what texts become, the same in every process, with nothing cut."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from gatling_guard.encoders.ngrams import ngram_features
from gatling_guard.encoders.text import (
    NGRAM_DIM,
    STATIC_DIM,
    SUBWORD_DIM,
    TABLE,
    StaticText,
    text_features,
)
from gatling_guard.encoders.wordpiece import WordPiece, normalised
from gatling_guard.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
static = text_features("static")

PINNED_SUBWORDS = [[2563, -831, 1235], [3967, 328, 1828]]
PINNED_BUCKETS = [1, 15, 23, 34, 39, 44]
PINNED_SIGNS = 0

TEXTS = [
    "",
    "delete_user",
    "Sends an e-mail to the given address.",
    "Überweisung ausführen: 5 €",
    "削除する ユーザー",
    "\ud800 half a surrogate",
    "🎉",
    "x" * 300,
]


def cosine(one: str, other: str) -> float:
    a, b = static([one, other])
    return float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))


def vocabulary() -> list[str]:
    return (TABLE / "vocabulary.txt").read_text(encoding="utf-8").split("\n")


# ------------------------------------------------------------------------------ meaning
def test_unseen_names_are_near_their_neighbours() -> None:
    """R20: the check of the founding document, untrained, and the same for words nobody knows."""
    assert cosine("delete_user", "delete_users") > cosine("delete_user", "list_events")
    assert cosine("delete_user", "delete_users") > 0.8
    assert cosine("frobnicate_zyx", "frobnicate_zyxs") > 0.6 > cosine("frobnicate_zyx", "qwrtv_plm")
    assert cosine("delete_user", "remove_account") > cosine("delete_user", "list_events") + 0.1


def test_no_two_names_share_an_unknown() -> None:
    """R20: names out of no vocabulary, in scripts it hardly has, stay apart."""
    names = ["zqxj_vbnm", "zqxj_vbnk", "🎉", "🎈", "ꙮꙮ", "ꙮꙮꙮ", "a", "b", "_", "__", "*", "**"]
    names += ["x" * 150, "y" * 150]
    rows = static(names)
    assert all(np.abs(row).max() > 0 for row in rows)
    assert len({row.tobytes() for row in rows}) == len(names)


@pytest.mark.parametrize(
    "name",
    [
        "delete user",
        "deleteUser",
        "DeleteUser",
        "DELETE_USER",
        "ｄｅｌｅｔｅ＿ｕｓｅｒ",
        " delete  user ",
    ],
)
def test_one_name_in_other_spellings(name: str) -> None:
    """Snake, camel, blanks and compatibility forms are the same two words."""
    assert np.array_equal(static([name]), static(["delete_user"]))


@pytest.mark.parametrize("name", ["delete.user", "delete-user", "delete/user"])
def test_separators_that_mean_something_are_kept_by_the_ngrams(name: str) -> None:
    """A host is no sentence: `delete.user` is near `delete_user`, and not the same."""
    assert 0.75 < cosine(name, "delete_user") < 0.999


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HTTPServer2", "http server2"),
        ("getURLForSHA256Hash", "get url for sha256 hash"),
        ("x" * 500 + "_End", "x" * 500 + " end"),
        ("İstanbul", "i̇stanbul"),
        ("ÄndereName", "ändere name"),
    ],
)
def test_identifiers_as_words(name: str, words: str) -> None:
    """Camel humps of ASCII letters; no length at which a name ends."""
    assert normalised(name) == words


def test_accents_are_seen_by_the_ngrams_alone() -> None:
    """The uncased vocabulary has none; `José` is near `Jose` and not the same."""
    accented, bare = static(["José", "Jose"])
    assert np.array_equal(accented[:SUBWORD_DIM], bare[:SUBWORD_DIM])
    assert not np.array_equal(accented[SUBWORD_DIM:], bare[SUBWORD_DIM:])


def test_the_order_of_words_is_seen() -> None:
    """A bag of sub-words does not know who pays whom; runs across blanks do."""
    assert not np.array_equal(*static(["from alice to bob", "from bob to alice"]))


# ------------------------------------------------------------------------------ shape
def test_shape_and_length() -> None:
    """R7: `[n, STATIC_DIM]` float32; each half of length 1, or 0 where it knows nothing."""
    rows = static(TEXTS)
    assert rows.shape == (len(TEXTS), STATIC_DIM)
    assert rows.dtype == np.float32
    for half in (rows[:, :SUBWORD_DIM], rows[:, SUBWORD_DIM:]):
        norms = np.linalg.norm(half, axis=1)
        assert np.allclose(norms[(norms > 0)], 1, atol=1e-6)
    assert static([]).shape == (0, STATIC_DIM)


@pytest.mark.parametrize("empty", ["", " ", "\n\t "])
def test_the_empty_text_is_zero(empty: str) -> None:
    """So that it stays zero behind a projection without bias."""
    assert not static([empty]).any()


@given(st.lists(st.text(max_size=60), max_size=12))
def test_a_row_depends_on_its_text_alone(texts: list[str]) -> None:
    """R12: a batch gives bit for bit what single calls give, in any company."""
    rows = static(texts)
    assert np.isfinite(rows).all()
    for text, row in zip(texts, rows, strict=True):
        assert np.array_equal(static([text])[0], row)


def test_a_batch_that_fills_several_blocks() -> None:
    """R12: texts that lie across the blocks of the hash, and groups larger than one gather."""
    texts = [f"{'list all the events of ' * (i % 40)}user {i}" for i in range(400)]
    rows = static(texts)
    for i in range(0, 400, 37):
        assert np.array_equal(static([texts[i]])[0], rows[i])


# ------------------------------------------------------------------------------ nothing is cut
@pytest.mark.parametrize("size", [100, 5_000, 100_000, 1_000_000])
def test_the_end_of_a_long_text_counts(size: int) -> None:
    """G16: one word at the very end changes both halves, whatever the length."""
    body = ("read the report and list the events " * (size // 36 + 1))[:size]
    one, other = static([f"{body} alice", f"{body} bob"])
    assert not np.array_equal(one[:SUBWORD_DIM], other[:SUBWORD_DIM])
    assert not np.array_equal(one[SUBWORD_DIM:], other[SUBWORD_DIM:])


def test_every_part_of_a_long_text_counts() -> None:
    """G16: also the middle, also one character of one endless word."""
    body = "z" * 40_000
    rows = static([body + letter + body for letter in "abc"])
    assert len({row.tobytes() for row in rows[:, SUBWORD_DIM:]}) == 3
    assert len({row.tobytes() for row in rows[:, :SUBWORD_DIM]}) == 3


def test_many_subwords_sum_to_the_same_by_both_ways() -> None:
    """A long text is summed by counting; the direction must be that of the short sum."""
    phrase = "delete delete delete the user and list events "  # a word that comes more often
    short = static([phrase])[0, :SUBWORD_DIM]
    long = static([phrase * 2_000])[0, :SUBWORD_DIM]
    assert np.allclose(short, long, atol=1e-5)


@pytest.mark.parametrize(
    "text", ["\ufdfa" * 20_000, "a\u0301" * 50_000, "(" * 100_000, "e\u0301\u0316" * 30_000]
)
def test_hostile_texts_are_bounded(text: str) -> None:
    """Linear: what grows under NFKC, marks without end, a token per character."""
    assert np.isfinite(static([text])).all()


# ------------------------------------------------------------------------------ determinism
PROBE = """
import sys
from gatling_guard.encoders.text import text_features
texts = ["delete_user", "Überweisung", "frobnicate zyx", "x" * 5000]
print(text_features("static").id, text_features("static")(texts).tobytes().hex()[:20000],
      text_features("md5")(texts).tolist())
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_two_processes_agree_and_load_nothing_heavy() -> None:
    """R7, G4: whatever PYTHONHASHSEED is; neither torch nor what the table was made with."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROBE],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for seed in ("0", "4242")
    ]
    assert outputs[0][0] == outputs[1][0]
    loaded = outputs[0][1]
    for name in ("torch", "transformers", "model2vec", "tokenizers", "onnxruntime"):
        assert f"'{name}'" not in loaded


def test_the_features_of_this_version_are_pinned() -> None:
    """A checkpoint knows its tokeniser by `id` alone: other features need another id.

    If this fails on purpose, raise `text.TOKENISATION` (the table's contents are in the id anyway).
    """
    assert static.id.startswith("static-1-")
    words = static(["delete_user", "Frobnicate the Überweisung, 5 €"])
    found = np.rint(words * 1e4).astype(np.int64)
    assert found[:, :3].tolist() == PINNED_SUBWORDS
    assert np.flatnonzero(found[0, SUBWORD_DIM:])[:6].tolist() == PINNED_BUCKETS
    assert np.sign(found[0, SUBWORD_DIM:]).astype(int).sum() == PINNED_SIGNS


def test_threads_agree() -> None:
    """One shared object, eight threads, the same bytes."""
    expected = static(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        assert all(np.array_equal(rows, expected) for rows in pool.map(static, [TEXTS] * 64))


def _in_child(texts: list[str]) -> bytes:
    return static(texts).tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_agrees() -> None:
    """A server that forks after loading keeps its features, and does not hang."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_in_child, (TEXTS,)).get(30) == static(TEXTS).tobytes()


# ------------------------------------------------------------------------------ parts
def slow_ngrams(text: str) -> dict[str, int]:
    padded = f" {text} " if text else ""
    found: dict[str, int] = {}
    for n in (3, 4, 5):
        for i in range(len(padded) - n + 1):
            found[padded[i : i + n]] = found.get(padded[i : i + n], 0) + 1
    return found


def test_ngrams_are_those_of_the_definition() -> None:
    """Each run of 3 to 5 lands in one bucket with one sign, wherever it stands, and adds up."""
    alone: dict[str, NDArray[Any]] = {}
    for text in ("abc", "abcd", "delete user"):
        total = np.zeros(NGRAM_DIM)
        for run, times in slow_ngrams(text).items():
            if run not in alone:
                alone[run] = bucket_of(run)
            total += times * alone[run]
        assert np.allclose(ngram_features([text])[0], total / np.linalg.norm(total), atol=1e-6)
    hit = [np.flatnonzero(vector).tolist() for vector in alone.values()]
    assert all(len(where) == 1 for where in hit)
    signs = [vector.sum() for vector in alone.values()]
    assert 0.2 < np.mean([sign > 0 for sign in signs]) < 0.8


def bucket_of(run: str) -> NDArray[Any]:
    """The hash of one run in plain integers: what `ngrams` does for whole arrays."""
    from gatling_guard.encoders import ngrams

    word = int(ngrams._SALT[len(run) - 3, 0])
    for factor, char in zip(ngrams._FACTORS.tolist(), run, strict=False):
        word += factor * ord(char)
    top = (word % 2**64) >> 55
    vector = np.zeros(NGRAM_DIM)
    vector[top % NGRAM_DIM] = -1 if top >= NGRAM_DIM else 1
    return vector


def test_buckets_and_signs_are_evenly_used() -> None:
    """20,000 names: no bucket has more than a few times its share, signs cancel."""
    texts = [f"{a}{b}{c}" for a in "bcdfghklmn" for b in "aeiou" for c in map(str, range(400))]
    counts = np.abs(ngram_features(texts)).sum(axis=0)
    assert counts.max() < 6 * counts.mean()
    assert (counts > 0).all()


def test_word_pieces_are_those_of_bert() -> None:
    """The ids of the package `tokenizers`, wherever it knows every letter of every word."""
    tokenizers = pytest.importorskip("tokenizers")
    tokens = vocabulary()
    own = WordPiece({token: i for i, token in enumerate(tokens)})
    model = tokenizers.models.WordPiece(
        {token: i for i, token in enumerate([*tokens, "[UNK]"])}, unk_token="[UNK]"
    )
    bert = tokenizers.Tokenizer(model)
    bert.normalizer = tokenizers.normalizers.BertNormalizer()
    bert.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    for text in (
        "deletes the unverifiable user's e-mail (all of them), please!",
        "überweisung für josé: 1,000.50 € am 13.05.2024",
        "frobnicate qwrtvbnm zyx123abc",
        "東京タワー 大学 한국어",
        "привет мир",
    ):
        assert own.ids(text) == bert.encode(text).ids, text


def test_of_an_unknown_word_the_known_parts_remain() -> None:
    """BERT gives up on a word with one unknown letter, and on a long one; here nothing is lost."""
    own = WordPiece({"un": 0, "##known": 1, "##s": 2, "a": 3, "##a": 4})
    assert own.ids("unꙮknown") == [0, 1]
    assert own.ids("a" * 300) == [3] + [4] * 299
    assert own.ids("ꙮ") == []


# ------------------------------------------------------------------------------ md5
@given(st.text(min_size=1), st.integers(2, 50_000))
def test_md5_ids_are_the_founding_documents(text: str, size: int) -> None:
    """R7: int(md5(utf8)) % (vocabulary - 1) + 1."""
    ids = text_features("md5", vocabulary=size)([text])
    expected = int(hashlib.md5(text.encode()).hexdigest(), 16) % (size - 1) + 1
    assert ids.dtype == np.int64
    assert ids.tolist() == [expected]


def test_md5_of_the_empty_text_and_of_half_a_surrogate() -> None:
    """Id 0 is the empty text's alone; text that is no UTF-8 is no error."""
    md5 = text_features("md5")
    assert md5.id == "md5-10000"
    assert md5(["", " "]).tolist()[0] == 0
    assert 0 < md5(["\ud800"])[0] < 10_000
    assert md5([]).shape == (0,)


@pytest.mark.parametrize(("name", "size"), [("bpe", 10), ("md5", 1), ("md5", True)])
def test_a_wrong_tokeniser_is_refused(name: str, size: int) -> None:
    with pytest.raises(ConfigurationError, match=r"tokenizer|vocabulary"):
        text_features(name, vocabulary=size)


# ------------------------------------------------------------------------------ files
@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped files that may be damaged."""
    return Path(shutil.copytree(TABLE, tmp_path / "text-1"))


@pytest.mark.parametrize("name", ["table.safetensors", "vocabulary.txt"])
def test_a_file_that_was_changed_is_refused(folder: Path, name: str) -> None:
    """One bit of the table, one letter of the vocabulary: named in the error."""
    path = folder / name
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError, match=name):
        StaticText.load(folder)


@pytest.mark.parametrize("name", ["table.safetensors", "vocabulary.txt", "manifest.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match=name):
        StaticText.load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": 1}', '{"sha256": {}}', "\x00"])
def test_a_broken_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"manifest|table"):
        StaticText.load(folder)


def resigned(folder: Path, name: str, raw: bytes) -> None:
    """Writes a file and its hash into the manifest, as the script would."""
    (folder / name).write_bytes(raw)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["sha256"][name] = hashlib.sha256(raw).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_another_table_has_another_id(folder: Path) -> None:
    """Checkpoints are refused under another id: it must change with the contents."""
    assert StaticText.load(folder).id == static.id
    raw = bytearray((folder / "table.safetensors").read_bytes())
    raw[-5] ^= 1
    resigned(folder, "table.safetensors", bytes(raw))
    assert StaticText.load(folder).id != static.id


@pytest.mark.parametrize("raw", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"garbage" * 9])
def test_a_table_of_another_form_is_refused(folder: Path, raw: bytes) -> None:
    """Also where the manifest vouches for it."""
    resigned(folder, "table.safetensors", raw)
    with pytest.raises(ConfigurationError, match=r"table\.safetensors"):
        StaticText.load(folder)


def test_a_vocabulary_of_another_length_is_refused(folder: Path) -> None:
    resigned(folder, "vocabulary.txt", (folder / "vocabulary.txt").read_bytes() + b"\nmore")
    with pytest.raises(ConfigurationError, match="sub-words"):
        StaticText.load(folder)


def test_a_vocabulary_that_is_no_text_is_refused(folder: Path) -> None:
    raw = (folder / "vocabulary.txt").read_bytes()
    resigned(folder, "vocabulary.txt", b"\xff" + raw[1:])
    with pytest.raises(ConfigurationError, match=r"vocabulary\.txt"):
        StaticText.load(folder)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_scale_that_is_no_number_is_refused(folder: Path, number: float) -> None:
    """With it every cosine of a text would be nan, and no comparison with nan is true."""
    tensors = load_tensors((folder / "table.safetensors").read_bytes())
    scale = tensors["scale"].copy()
    scale[7] = number
    resigned(folder, "table.safetensors", save_tensors({**tensors, "scale": scale}))
    with pytest.raises(ConfigurationError, match="not finite"):
        StaticText.load(folder)


def test_the_shipped_files_say_where_they_come_from() -> None:
    """The licence of the teacher asks for it; the manifest lets anyone make them again."""
    notice = (TABLE / "NOTICE.md").read_text(encoding="utf-8")
    for part in ("all-MiniLM-L6-v2", "Apache", "model2vec", "MIT"):
        assert part in notice
    manifest = json.loads((TABLE / "manifest.json").read_bytes())
    assert {"command", "packages", "seed", "sha256", "teacher_sha256"} <= manifest.keys()
    assert len(vocabulary()) == manifest["rows"] == len(set(vocabulary()))

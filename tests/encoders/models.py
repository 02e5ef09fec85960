"""A small model folder, and a tokeniser that needs no table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders import selftest
from gatling_guard.encoders.calibration import Calibration
from gatling_guard.encoders.checkpoint import GRAPHS, graph_file, save_weights
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.folder import listed
from gatling_guard.encoders.manifest import Manifest
from gatling_guard.plan import digest

CREATED = "2026-11-21T16:00:00Z"
CALIBRATION = Calibration(
    energy="both", knots=((0.0, 0.0), (1.0, 2.0), (3.0, 6.0), (3.5, 8.0)), cuts=(1.0, 3.2),
    samples={"gold": 4, "boundary": 4, "adversarial": 4}, balanced_error=0.125,
    data_hash="ab" * 32, seed=0,
)  # fmt: skip
CONFIG = EncoderConfig.named("small", tokenizer="md5", vocabulary=50)
LATENT = 16


class Tokens:
    """Stands in for `text_features`: only its name is looked at."""

    def __init__(self, name: str) -> None:
        self.id = name

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.zeros(len(texts), dtype=np.int64)


def states(seed: int = 0) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Weights of four tiny networks of different shapes."""
    source = np.random.default_rng(seed)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return source.standard_normal(shape).astype(np.float32)

    def network(hidden: int) -> dict[str, NDArray[np.float32]]:
        up, bias = drawn(hidden, 8), drawn(hidden)
        return {"up.weight": up, "up.bias": bias, "down.weight": drawn(LATENT, hidden)}

    return {
        "execution": network(32),
        "governance": network(24),
        "predictor": {"gate": drawn()},
        "energy": {"out": drawn(4, 3)},
    }


def onnx_files() -> dict[str, bytes]:
    """Bytes in the place of graphs; a checkpoint looks for external data only."""
    precisions: tuple[selftest.Precision, ...] = ("fp32", "int8")
    names = (graph_file(graph, precision) for graph in GRAPHS for precision in precisions)
    return {name: name.encode() * 20 for name in names}


class TinyEncoders:
    """Both encoders from a state dict: features from a hash of the input, two layers."""

    config = CONFIG
    energy = None

    def __init__(self, weights: Mapping[str, Mapping[str, Any]], noise: float = 0.0) -> None:
        self.weights, self.noise = weights, noise

    def _run(self, part: str, value: Any) -> NDArray[np.float64]:
        seed = hashlib.sha256(digest(value).encode()).digest()
        x = np.frombuffer(seed, dtype=np.uint8)[:8] / 255.0
        w = {key: np.asarray(array, np.float64) for key, array in self.weights[part].items()}
        z = w["down.weight"] @ np.tanh(w["up.weight"] @ x + w["up.bias"])
        step = self.noise * float(np.sqrt(np.mean(z * z))) or 1.0
        return ((np.round(z / step) * step) if self.noise else z)[None]

    def execution(self, plan: Mapping[str, Any]) -> NDArray[np.float64]:
        return self._run("execution", plan)

    def governance(
        self, policy: Mapping[str, Any], role: str, context: Mapping[str, Any]
    ) -> NDArray[np.float64]:
        return self._run("governance", [policy, role, context])


def cases() -> tuple[selftest.Case, ...]:
    """The self-test of `states()`; its int8 is a rounded fp32."""
    weights = states()
    return selftest.make_cases(
        {"fp32": TinyEncoders(weights), "int8": TinyEncoders(weights, noise=0.01)}
    )


def extra() -> dict[str, bytes]:
    """Every file that is no weights."""
    own = {"selftest.json": selftest.to_bytes(cases()), "calibration.json": CALIBRATION.to_bytes()}
    return {**onnx_files(), **own}


def saved(folder: Path, seed: int = 0, **options: Any) -> Manifest:
    """A whole model folder."""
    given: dict[str, Any] = {
        "name": "tiny",
        "version": "0.1.0",
        "created": CREATED,
        "command": f"make model SEED={seed}",
        "seeds": (seed,),
        "data_hash": "ab" * 32,
        "metrics": {"auroc": 0.9371, "steps": 40},
        "attribution": ("teacher: all-MiniLM-L6-v2, Apache-2.0",),
        "extra": extra(),
        **options,
    }
    return save_weights(folder, states(seed), CONFIG, **given)


def forge(folder: Path, **changes: Any) -> None:
    """Change the manifest as somebody would who knows how its digest and hashes are made."""
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    raw.update(changes)
    for name in listed(folder):
        if name in raw["files"]:
            data = (folder / name).read_bytes()
            entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            raw["files"][name] = entry
    body = {key: value for key, value in raw.items() if key not in ("created", "digest")}
    raw["digest"] = digest(body)
    path.write_text(json.dumps(raw))

"""From trained weights to the folder that ships: half precision, int8 graphs, figures, origin.

Two steps around `gatling-guard export`, `calibrate-model` and `evaluate-model`: `half` comes before
them, so that graphs and torch weights are the same numbers; `release` keeps what serves (no graphs
in fp32, which `export` makes again) and writes down where it comes from.
`scripts/make_weights.py` runs all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from gatling_guard import __version__
from gatling_guard.encoders import calibration, selftest
from gatling_guard.encoders.bundle import load_encoders
from gatling_guard.encoders.checkpoint import (
    GRAPHS,
    graph_file,
    load_state,
    read_listed,
    save_weights,
)
from gatling_guard.encoders.content import rounded
from gatling_guard.encoders.manifest import Manifest, read_manifest
from gatling_guard.errors import ConfigurationError
from gatling_guard.plan import parse_json
from gatling_guard.training.dataset import hash_of

PACKAGES: Final = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "safetensors")
ATTRIBUTION: Final = (
    "Trained on samples of the generators in this package, and on recorded runs of agents:"
    " AgentDojo (MIT), tau-bench (MIT), BFCL, SEAL-Tools, NESTFUL and API-Bank (Apache-2.0)",
    "Texts are read through static embeddings distilled from"
    " sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)",
)
"""Works that are in the weights."""
_KEPT: Final = (
    *(graph_file(graph, "int8") for graph in GRAPHS), selftest.FILE, calibration.FILE
)  # fmt: skip
_MOST_METRICS = 64 << 20


def half(model: Path, to: Path, *, created: str) -> Manifest:
    """A model folder with the weights of another, rounded to half precision, and nothing else.

    Raises:
        ConfigurationError: no model there, or without one of the networks.
        InputError: a file is damaged, or a weight is above 65,504.
    """
    manifest = read_manifest(model)
    states = {
        part: rounded(load_state(model, part, manifest))  # type: ignore[arg-type]
        for part in manifest.parameters
    }
    facts = _facts(manifest, created)
    return save_weights(to, states, manifest.encoder_config, **facts, replace=True)


def release(
    model: Path,
    to: Path,
    *,
    number: int,
    command: str,
    data: Sequence[Path],
    metrics: Mapping[str, Any] | None,
    created: str,
) -> Manifest:
    """Write the form of a model that ships.

    Args:
        model: rounded, exported and calibrated.
        to: is replaced.
        number: of the release.
        command: everything that made it; the training that the model notes must be in it.
        data: the files it was trained on, in the order of training.
        metrics: `metrics.json` of `evaluate-model` on this very model; None: none are noted.
        created: UTC.

    Raises:
        ConfigurationError: a part is missing; command, data or metrics are of another model; the
            self-test fails.
        InputError: a file is damaged.
    """
    manifest = read_manifest(model)
    missing = sorted(set(_KEPT) - manifest.files.keys())
    if missing:
        raise ConfigurationError(
            f"{model}: has no {', '.join(missing)}; `gatling-guard export` makes graphs and"
            " self-test, `gatling-guard calibrate-model` the calibration"
        )
    if data and hash_of(data) != manifest.data_hash:
        raise ConfigurationError(f"{model}: was not trained on {', '.join(map(str, data))}")
    trained = manifest.command.partition("train ")[2].replace(" --resume", "")
    if not trained or trained not in command:
        by = trained or "a command that is not noted"
        raise ConfigurationError(f"{model}: was trained with {by}, not by {command}")
    figures = dict(headline(metrics, manifest.digest)) if metrics is not None else {}
    for backend in ("onnx", "torch"):
        load_encoders(model, backend=backend)
    facts: dict[str, Any] = {
        **_facts(manifest, created),
        "version": str(number),
        "command": command,
        "metrics": figures,
        "attribution": ATTRIBUTION,
        "data_files": {path.name: _hash(path) for path in data},
        "packages": _packages(),
    }
    states = {
        part: load_state(model, part, manifest)  # type: ignore[arg-type]
        for part in manifest.parameters
    }
    extra = {name: read_listed(model, name, manifest) for name in _KEPT}
    config = manifest.encoder_config
    return save_weights(to, states, config, **facts, extra=extra, replace=True)


def read_metrics(path: Path) -> dict[str, Any]:
    """`metrics.json` of `evaluate-model`.

    Raises:
        ConfigurationError: it is none.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        found = parse_json(file.read(_MOST_METRICS), what=str(path))
    if not isinstance(found, dict) or found.get("schema") != 1:
        raise ConfigurationError(f"{path}: no metrics.json of `gatling-guard evaluate-model`")
    return found


def headline(metrics: Mapping[str, Any], digest: str) -> Iterator[tuple[str, float]]:
    """The figures of a manifest: `GROUP/FIGURE` -> value.

    Raises:
        ConfigurationError: they are of another model.
    """
    model = metrics["model"]
    if model["digest"] != digest:
        raise ConfigurationError(f"the metrics are of model {model['digest']}, not {digest}")
    for group, figures in model["groups"].items():
        for target in model["targets"][group]:
            yield from _figure(group, target["name"], target["found"])
        for name, value in figures["auc"].items():
            yield from _figure(group, f"auc {name}", value["value"])
        for name in ("other_similarity", "attribution"):
            yield from _figure(group, name.replace("_", " "), figures[name]["value"])
        yield from _figure(group, "next call of 32", figures["next_call"]["32"]["value"])
    for name, found in model["groups"]["all"]["recall"].items():
        yield from _figure("recall", name, found["value"])
    yield "test families", float(metrics["data"]["families"])
    yield "test samples", float(metrics["data"]["samples"])


def _figure(group: str, name: str, value: float | None) -> Iterator[tuple[str, float]]:
    if value is not None:
        yield f"{group}/{name}", round(float(value), 6)


def _facts(manifest: Manifest, created: str) -> dict[str, Any]:
    """What a manifest hands on."""
    named = ("name", "version", "command", "seeds", "data_hash", "metrics", "parent", "licence")
    return {**{name: getattr(manifest, name) for name in named}, "created": created}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packages() -> dict[str, str]:
    found = {"gatling-guard": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

"""Model folders: weights and graphs, saved as a whole and checked when read.

Every file is read once: the bytes that were hashed are the bytes that are used. Nothing is ever
unpickled. torch is imported by `load_into` and `expected_shapes` only. Layout: docs/model-files.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from gatling_guard.encoders import calibration, selftest, text
from gatling_guard.encoders.calibration import Calibration
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.content import (
    NETWORKS,
    OPTIONAL,
    Array,
    Shapes,
    check_content,
    check_graph,
    count,
    named_arrays,
    packed,
    shape_faults,
    unpacked,
)
from gatling_guard.encoders.folder import listed, read_file, write_folder
from gatling_guard.encoders.manifest import (
    FILE,
    MAX_BYTES,
    Manifest,
    build_manifest,
    name_fault,
    parse_manifest,
    read_manifest,
)
from gatling_guard.errors import ConfigurationError, InputError, Issue

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")
Part = Literal["execution", "governance", "predictor", "energy"]
GRAPHS: Final = (
    "execution_text", "governance_text", "call", "plan", "policy", "context", "predictor", "energy"
)  # fmt: skip
_SHOWN = 20
"""Keys named in one error."""


def save_weights(
    folder: Path,
    states: Mapping[str, Mapping[str, Any]],
    config: EncoderConfig,
    *,
    name: str,
    version: str,
    created: str,
    command: str = "",
    seeds: Sequence[int] = (),
    data_hash: str | None = None,
    metrics: Mapping[str, float] | None = None,
    parent: str | None = None,
    licence: str = "Apache-2.0",
    attribution: Sequence[str] = (),
    data_files: Mapping[str, str] | None = None,
    packages: Mapping[str, str] | None = None,
    extra: Mapping[str, bytes] | None = None,
    replace: bool = False,
) -> Manifest:
    """Write a model folder; a reader sees all of it or nothing of it.

    Args:
        folder: must not exist, unless `replace`.
        states: state dict (torch or numpy, fp32) by network: `NETWORKS`.
        config: shape of the networks.
        name: of the model.
        version: of the model.
        created: `2026-11-21T16:00:00Z`.
        command: what made the weights.
        seeds: of that command.
        data_hash: SHA-256 of the training data; None: untrained.
        metrics: measured on the data named by `data_hash`'s card.
        parent: digest of the manifest the weights were trained on from.
        licence: SPDX identifier.
        attribution: one line for each work that is in the weights.
        data_files: SHA-256 of each file of the training data, by name.
        packages: versions of what made the weights, by name.
        extra: further files by name: graphs, `selftest.json`.
        replace: put it in the place of the model that is there.

    Raises:
        InputError: an array that is not fp32 or not finite; a value no manifest may have.
        ConfigurationError: an unknown network, or the folder exists.
    """
    unknown = sorted(set(states) - set(NETWORKS))
    if unknown:
        raise ConfigurationError(f"no networks {unknown}; there are {list(NETWORKS)}")
    arrays = {network: named_arrays(network, state) for network, state in states.items()}
    files = {f"{network}.safetensors": packed(values) for network, values in arrays.items()}
    facts = {
        "format": 1,
        "name": name,
        "version": version,
        "config": config.to_dict(),
        "tokenizer": tokenizer_id(config),
        "parameters": {network: count(values) for network, values in arrays.items()},
        "data_hash": data_hash,
        "command": command,
        "seeds": list(seeds),
        "metrics": dict(metrics or {}),
        "parent": parent,
        "licence": licence,
        "attribution": list(attribution),
        "data_files": dict(data_files or {}),
        "packages": dict(packages or {}),
        "created": created,
    }
    return _write(folder, {**files, **(extra or {})}, facts, replace=replace)


def update(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    created: str,
) -> Manifest:
    """Add or replace files of a model (graphs, self-test).

    A reader sees the old folder or the new one. Everything else is taken over after a check of its
    hash.

    Raises:
        InputError: what is there is damaged, or a new file has a fault.
        ConfigurationError: no model is there, or other files are beside it.
    """
    manifest = read_manifest(folder)
    kept = {n: read_listed(folder, n, manifest) for n in manifest.files if n not in files}
    facts = manifest.model_dump(mode="json", exclude={"files"})
    return _write(folder, {**kept, **files}, {**facts, "created": created}, replace=True)


def verify(
    folder: Path, *, names: Iterable[str] | None = None, expected: Shapes | None = None
) -> list[Issue]:
    """Everything that is wrong with a model folder; an empty list where nothing is.

    Checked: the manifest and its digest, the tokeniser, files that are missing or not listed, sizes
    and hashes, what the files hold (finite numbers, number of parameters, shapes that the config
    decides, no external data, a self-test that can be read). No network is built or run.

    Args:
        folder: the model.
        names: only these files, e.g. `names_for("onnx", "int8")`; None: all.
        expected: shapes by network (`expected_shapes`), to be compared with the weights.

    Raises:
        ConfigurationError: no folder, or no manifest in it.
    """
    try:
        manifest = read_manifest(folder)
    except InputError as error:
        return [Issue(issue.where or FILE, issue.message, FILE) for issue in error.issues]
    fault = _tokenizer_fault(manifest)
    issues = [Issue("/tokenizer", fault, FILE)] if fault else []
    wanted = manifest.files.keys() if names is None else set(names) & manifest.files.keys()
    try:
        there = set(listed(folder)) - {FILE}
    except InputError as error:
        return [*issues, *error.issues]
    for name in sorted(there - manifest.files.keys()):
        fault = name_fault(name) or "is not listed in the manifest"
        issues.append(Issue("", fault, name))
    for name in sorted(wanted):
        try:
            check_content(name, read_listed(folder, name, manifest), manifest, expected)
        except InputError as error:
            issues += [Issue(issue.where, issue.message, name) for issue in error.issues]
    return issues


def names_for(backend: Literal["torch", "onnx"], precision: selftest.Precision) -> list[str]:
    """The files one backend loads; those of `content.OPTIONAL` where they are there."""
    if backend == "torch":
        own = [f"{network}.safetensors" for network in NETWORKS]
    else:
        own = [graph_file(graph, precision) for graph in GRAPHS]
    return [*own, selftest.FILE, calibration.FILE]


def graph_file(graph: str, precision: selftest.Precision) -> str:
    """The file of a graph; text projections are fp32 at every precision (see `export.Graph`)."""
    return f"onnx/{graph}.{'fp32' if graph.endswith('_text') else precision}.onnx"


def tokenizer_id(config: EncoderConfig) -> str:
    """Name, version and table of the tokeniser that this version has for a config."""
    return text.text_features(config.tokenizer, vocabulary=config.vocabulary).id


def require_tokenizer(manifest: Manifest) -> None:
    """Refuse weights that were trained on other tokens than this version makes (R79).

    Raises:
        ConfigurationError: another tokeniser, or another table of it.
    """
    if fault := _tokenizer_fault(manifest):
        raise ConfigurationError(f"model {manifest.name} {manifest.version}: {fault}")


def load_state(folder: Path, part: Part, manifest: Manifest | None = None) -> dict[str, Array]:
    """The arrays of one network; read-only.

    Args:
        folder: the model.
        part: one of `NETWORKS`.
        manifest: as read before, by a caller that checked its tokeniser.

    Raises:
        InputError: the file is damaged, or is not the one that was saved.
        ConfigurationError: the model has no such part; another tokeniser.
    """
    name = f"{part}.safetensors"
    return unpacked(_part(folder, name, manifest), what=str(folder / name))


def load_graph(
    folder: Path, graph: str, precision: selftest.Precision, manifest: Manifest | None = None
) -> bytes:
    """An ONNX model, to be given to onnxruntime as bytes.

    Raises:
        InputError: the file is damaged, is not the one that was saved, or points to another file.
        ConfigurationError: the model has no such graph; another tokeniser.
    """
    name = graph_file(graph, precision)
    data = _part(folder, name, manifest)
    check_graph(data, str(folder / name))
    return data


def load_cases(folder: Path, manifest: Manifest | None = None) -> tuple[selftest.Case, ...]:
    """The stored self-test.

    Raises:
        InputError: the file is damaged, or is not the one that was saved.
        ConfigurationError: the model has none; another tokeniser.
    """
    return selftest.from_bytes(_part(folder, selftest.FILE, manifest))


def load_calibration(folder: Path, manifest: Manifest | None = None) -> Calibration | None:
    """The map from energies to the bands; None where the model was not calibrated.

    Raises:
        InputError: the file is damaged, or is not the one that was saved.
        ConfigurationError: another tokeniser.
    """
    if manifest is None:
        manifest = read_manifest(folder)
        require_tokenizer(manifest)
    if calibration.FILE not in manifest.files:
        return None
    return calibration.from_bytes(read_listed(folder, calibration.FILE, manifest))


def load_into(
    module: nn.Module, folder: Path, part: Part, manifest: Manifest | None = None
) -> None:
    """Fill a torch module; its state dict must have the same keys and shapes.

    Raises:
        InputError: see `load_state`.
        ConfigurationError: keys are missing, unexpected or of another shape; see `load_state`.
    """
    import torch

    state = load_state(folder, part, manifest)
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    faults = shape_faults({key: value.shape for key, value in state.items()}, wanted)
    if faults:
        raise ConfigurationError(f"{folder / part}.safetensors: " + "; ".join(faults))
    module.load_state_dict({key: torch.tensor(value) for key, value in state.items()})


def without_missing(modules: Mapping[str, T], manifest: Manifest) -> dict[str, T]:
    """The networks but for those that a model may lack and this one does."""
    return {
        part: module
        for part, module in modules.items()
        if part not in OPTIONAL or f"{part}.safetensors" in manifest.files
    }


def expected_shapes(config: EncoderConfig) -> Shapes:
    """The state dicts that this version's networks have. Builds them: needs torch."""
    from gatling_guard.encoders.bundle import create

    modules = create(config, seed=0)
    return {
        network: {key: tuple(value.shape) for key, value in module.state_dict().items()}
        for network, module in modules.items()
    }


def read_listed(folder: Path, name: str, manifest: Manifest) -> bytes:
    """The bytes of one file, after a comparison with its size and hash in the manifest.

    Raises:
        InputError: missing, a link, truncated, grown, or with another hash.
    """
    entry, what = manifest.files[name], str(folder / name)
    try:
        data = read_file(folder, name, limit=MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("is listed in the manifest and missing", what=what) from None
    if len(data) != entry.bytes:
        raise InputError(f"has {len(data)} bytes, not {entry.bytes}", what=what)
    found = hashlib.sha256(data).hexdigest()
    if found == entry.sha256:
        return data
    twin = next((n for n, other in manifest.files.items() if other.sha256 == found), None)
    hint = f"; it is {twin}" if twin else ""
    raise InputError(f"has SHA-256 {found}, not {entry.sha256}{hint}", what=what)


def _part(folder: Path, name: str, manifest: Manifest | None) -> bytes:
    if manifest is None:
        manifest = read_manifest(folder)
        require_tokenizer(manifest)
    if name not in manifest.files:
        weights = name.removesuffix(".safetensors") in NETWORKS
        way = (
            'weights cannot be made from the rest: use backend="onnx", or a folder with weights'
            " (`gatling-guard model create` makes an untrained one)"
            if weights
            else f"`gatling-guard export {folder}` makes it, where the folder has torch weights"
            " (of a copy, where the folder came with the package)"
        )
        raise ConfigurationError(f"{folder} has no {name}: {way}")
    return read_listed(folder, name, manifest)


def _write(
    folder: Path, files: Mapping[str, bytes], facts: Mapping[str, Any], *, replace: bool
) -> Manifest:
    entries = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in sorted(files.items())
    }
    manifest = build_manifest({**facts, "files": entries})
    for name, data in files.items():
        check_content(name, data, manifest, None)
    own = manifest.to_bytes()
    parse_manifest(own)  # nothing is written that could not be read
    if replace and folder.exists():
        _require_own(folder)
    write_folder(folder, {**files, FILE: own}, replace=replace)
    return manifest


def _require_own(folder: Path) -> None:
    """Only a model folder without foreign files is replaced: what stood in it is deleted."""
    foreign = sorted(set(listed(folder)) - {FILE} - read_manifest(folder).files.keys())
    if foreign:
        raise ConfigurationError(f"{folder} is not replaced: it also holds {foreign[:_SHOWN]}")


def _tokenizer_fault(manifest: Manifest) -> str | None:
    ours = tokenizer_id(manifest.encoder_config)
    if manifest.tokenizer == ours:
        return None
    return f"made for tokenizer {manifest.tokenizer}; this version has {ours}"

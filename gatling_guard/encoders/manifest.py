"""manifest.json: what a model folder says of itself, read with bounds and checked as a whole.

Sees: names, sizes and hashes of the files, the networks' shape, where the weights came from. Does
not see: what is in the files (`checkpoint`). The digest finds damage and names a model exactly; it
is no signature, because whoever can write the folder can write a new digest.
Needs neither numpy nor torch.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.folder import read_file
from gatling_guard.errors import ConfigurationError, InputError, Issue
from gatling_guard.plan import digest, escape, parse_json

FORMAT: Final = 1
"""Version of the folder's layout. A reader refuses any other."""
FILE: Final = "manifest.json"
MAX_MANIFEST: Final = 1 << 20
"""Bytes of the manifest; a real one has about 4 kB."""
MAX_BYTES: Final = 1 << 30
"""Bytes of one file, and of all files together."""
MAX_ISSUES: Final = 100
MAX_PARAMETERS: Final = 1 << 28
"""What a config may ask for (1 GiB in fp32), before a network is built of it."""

PRETRAINED: Final = Path(__file__).parents[1] / "pretrained"
"""Weights that come with the package: `model-N` are those of the encoders."""

_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
_SUFFIXES = (".safetensors", ".onnx", ".json")
_PATH = re.compile(r"[A-Za-z0-9][\w.-]{0,99}(/[A-Za-z0-9][\w.-]{0,99})?", re.ASCII)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\z")]
Line = Annotated[str, Field(max_length=2000)]
Count = Annotated[int, Field(ge=0, le=2**62)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class FileEntry(_Section):
    """One file of the folder."""

    sha256: Sha256
    bytes: Annotated[int, Field(ge=0, le=MAX_BYTES)]


class Manifest(_Section):
    """What manifest.json holds, apart from its own digest."""

    format: int = FORMAT
    name: Label
    version: Label
    config: dict[str, Any]
    """`EncoderConfig.to_dict()`, every field."""
    tokenizer: Label
    """`TextFeatures.id`, which holds a hash of its table: weights mean nothing under another."""
    files: dict[str, FileEntry]
    """By path within the folder."""
    parameters: dict[str, Count]
    """Numbers of weights, by network."""
    data_hash: Sha256 | None
    """Of the training data; null: untrained."""
    data_files: Annotated[dict[Label, Sha256], Field(exclude_if=operator.not_)] = {}
    """Of each of its files, by name; left out where there are none."""
    packages: Annotated[dict[Label, Label], Field(exclude_if=operator.not_)] = {}
    """Versions of what made the weights; left out where there are none."""
    command: Line
    """What made the weights."""
    seeds: Annotated[tuple[Count, ...], Field(strict=False, max_length=100)]
    metrics: dict[str, FiniteFloat]
    parent: Sha256 | None
    """Digest of the manifest these weights were trained on from."""
    licence: Line
    attribution: Annotated[tuple[Line, ...], Field(strict=False, max_length=100)]
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\z")]
    """UTC, given by the caller. Not part of the digest: the same weights made twice are equal."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over everything but `created`."""
        return digest(self.model_dump(mode="json", exclude={"created"}))

    @property
    def encoder_config(self) -> EncoderConfig:
        """The shape of the networks."""
        return EncoderConfig.from_dict(self.config)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, the digest among them."""
        return {**self.model_dump(mode="json"), "digest": self.digest}

    def to_bytes(self) -> bytes:
        """The file, ready to be written."""
        text = json.dumps(self.to_dict(), indent=1, sort_keys=True, allow_nan=False)
        return text.encode("ascii") + b"\n"


def shipped() -> Path | None:
    """The folder of the weights that came with this version, if there are any: the newest."""
    found = [path.parent for path in PRETRAINED.glob(f"model-*/{FILE}") if _number(path.parent)]
    return max(found, key=_number, default=None)


def _number(folder: Path) -> int:
    """N of `model-N`, else 0."""
    text = folder.name.removeprefix("model-")
    return int(text) if text.isascii() and text.isdecimal() else 0


def read_manifest(folder: Path) -> Manifest:
    """The checked manifest of a model folder.

    Raises:
        InputError: every fault of the manifest, by key; a format that is not known.
        ConfigurationError: no folder, or none that holds a model.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder")
    try:
        data = read_file(folder, FILE, limit=MAX_MANIFEST)
    except FileNotFoundError:
        raise ConfigurationError(f"{folder}: no {FILE}, so this is no model folder") from None
    return parse_manifest(data, what=str(folder / FILE))


def parse_manifest(data: bytes, *, what: str = FILE) -> Manifest:
    """A manifest from its text.

    Raises:
        InputError: every fault, by key.
    """
    if len(data) > MAX_MANIFEST:
        raise InputError(f"has {len(data)} bytes; at most {MAX_MANIFEST}", what=what)
    raw = parse_json(data, what=what)
    if not isinstance(raw, dict):
        raise InputError("must be an object", what=what)
    found = raw.get("format")
    if type(found) is not int or found != FORMAT:
        hint = "a newer gatling-guard wrote it" if type(found) is int and found > FORMAT else ""
        message = f"format {_shown(found)} is not known; this version reads {FORMAT}"
        raise InputError([Issue("/format", f"{message}; {hint}" if hint else message)], what=what)
    claimed = raw.pop("digest", None)
    manifest = build_manifest(raw, what=what)
    if claimed != manifest.digest:
        message = f"is {_shown(claimed)}; of what stands there it is {manifest.digest}"
        raise InputError([Issue("/digest", message)], what=what)
    return manifest


def build_manifest(values: Mapping[str, Any], *, what: str = FILE) -> Manifest:
    """A manifest from plain values, all but the digest.

    Raises:
        InputError: every fault, by key.
    """
    issues = [*_file_faults(values.get("files")), *_config_faults(values.get("config"))]
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        issues = [Issue(_pointer(d["loc"]), d["msg"]) for d in details] + issues
    if issues:
        raise InputError(issues[:MAX_ISSUES], what=what)
    return manifest


def name_fault(name: str) -> str | None:
    """Why a file of this name may not be part of a model folder; None where it may."""
    path = PurePosixPath(name)
    if path.is_absolute() or "\\" in name or ":" in name or ".." in path.parts:
        return "leaves the folder"
    if path.suffix.lower() in _PICKLES:
        return (
            "may be a pickle, and loading one runs whatever code it holds. Save state dicts with"
            " gatling_guard.encoders.checkpoint.save_weights, which writes safetensors"
        )
    if path.suffix not in _SUFFIXES:
        return f"is none of {', '.join(_SUFFIXES)}"
    if not _PATH.fullmatch(name) or name == FILE:
        return "is no name for a file of a model"
    return None


def _file_faults(files: object) -> Iterable[Issue]:
    if not isinstance(files, Mapping):
        return
    for name in files:
        if fault := name_fault(name):
            yield Issue(f"/files/{escape(name)}", fault)
    sizes = [entry.get("bytes") for entry in files.values() if isinstance(entry, Mapping)]
    if sum(size for size in sizes if type(size) is int) > MAX_BYTES:
        yield Issue("/files", f"more than {MAX_BYTES} bytes in all")


def _config_faults(values: object) -> Iterable[Issue]:
    if not isinstance(values, dict):
        return
    try:
        config = EncoderConfig.from_dict(values)
    except (ConfigurationError, TypeError) as error:  # TypeError: a fraction that is a text
        yield Issue("/config", str(error))
        return
    if not isinstance(config.name, str):
        yield Issue("/config/name", "must be a text")
    for key in sorted(config.to_dict().keys() - values.keys()):
        yield Issue(f"/config/{key}", "is missing")
    if _parameters(config) > MAX_PARAMETERS:
        yield Issue("/config", f"asks for more than {MAX_PARAMETERS} parameters")


def _parameters(config: EncoderConfig) -> int:
    """About how many parameters a config asks for: the large matrices only."""
    h = config.hidden_dim
    governance = (config.policy_blocks + config.context_blocks) * (config.governance_ffn + 2)
    blocks = (config.blocks * (config.ffn + 2) + governance) * 2 * h * h
    ends = config.projection_dim * (h + config.latent_dim) * 2
    tokens = (config.vocabulary + config.global_tokens + config.window) * config.text_dim
    words = config.words_dim * 2 * (config.latent_dim + config.call_dim)
    calls = h * config.call_dim * config.pool_heads
    predictor = config.predictor_dim * (config.latent_dim + config.call_dim + config.predictor_dim)
    energy = 128 * (2 * config.latent_dim + h + 2 * config.call_dim)
    # Of no parameters, but of memory: offsets of neighbours within a window, and a block as such.
    offsets = 3 * config.window**2
    modules = (config.blocks + config.policy_blocks + config.context_blocks) << 16
    return blocks + ends + tokens + words + calls + predictor + energy + offsets + modules


def _pointer(location: Iterable[int | str]) -> str:
    return "".join(f"/{escape(str(part))}" for part in location)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "..."

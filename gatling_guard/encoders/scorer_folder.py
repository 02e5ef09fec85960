"""Folders of text scorers: files read once, hashed as read, named by what is in them.

Sees: sizes, hashes, the manifest's object. Does not see: what the bytes mean (the scorers check).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.folder import read_file
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.plan import parse_json

PRETRAINED = Path(__file__).parents[1] / "pretrained"
MANIFEST = "manifest.json"
MAX_FILE = 64 << 20
"""Bytes of one file."""


@dataclass(frozen=True, slots=True)
class ScorerFolder:
    """The verified files of a scorer."""

    path: Path
    manifest: dict[str, Any]
    files: dict[str, bytes]
    digest: str
    """Of the hashes of all files: other contents are another scorer."""


def read_scorer_folder(path: str | Path, names: Sequence[str]) -> ScorerFolder:
    """The files `names` of a folder, each as its manifest says.

    Raises:
        ConfigurationError: a file is missing, a link, too large, or not the one of the manifest.
    """
    path = Path(path)
    manifest = _manifest(path)
    files = {}
    for name in names:
        files[name] = _read(path, name)
        if hashlib.sha256(files[name]).hexdigest() != manifest["sha256"].get(name):
            raise ConfigurationError(
                f"{path / name}: is not the file of its manifest (sha256 differs)"
            )
    hashes = json.dumps(manifest["sha256"], sort_keys=True).encode()
    return ScorerFolder(path, manifest, files, hashlib.sha256(hashes).hexdigest())


def shipped(name: str) -> Path:
    """The folder of a scorer that came with this version.

    Raises:
        ConfigurationError: it did not come along.
    """
    folder = PRETRAINED / name
    if not (folder / MANIFEST).is_file():
        raise ConfigurationError(
            f"{folder}: no scorer there; this installation came without {name!r}. Install the"
            " distribution as a whole, or give a folder that gatling_guard.training wrote"
        )
    return folder


def tensors_of(data: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file.

    Raises:
        ConfigurationError: it is none.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(data))
    except SafetensorError as error:
        raise ConfigurationError(f"{path}: no safetensors file ({error})") from None


def require_array(
    tensors: dict[str, NDArray[Any]], name: str, shape: tuple[int, ...], kind: str, path: Path
) -> NDArray[Any]:
    """One array, of this shape and dtype, without NaN and infinity.

    Raises:
        ConfigurationError: it is another.
    """
    found = tensors.get(name)
    if found is None or found.shape != shape or found.dtype != np.dtype(kind):
        raise ConfigurationError(f"{path}: no {kind} {name} of shape {list(shape)}")
    if not np.isfinite(found).all():
        raise ConfigurationError(f"{path}: {name} holds numbers that are not finite")
    return found


def _manifest(path: Path) -> dict[str, Any]:
    where = path / MANIFEST
    try:
        manifest = parse_json(_read(path, MANIFEST), what=str(where))
    except InputError as error:
        raise ConfigurationError(f"{where}: no readable manifest ({error})") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), dict):
        raise ConfigurationError(f"{where}: no readable manifest (no hashes)")
    return manifest


def _read(path: Path, name: str) -> bytes:
    try:
        return read_file(path, name, limit=MAX_FILE)
    except OSError as error:
        raise ConfigurationError(f"{path / name}: cannot be read ({error.strerror})") from None
    except InputError as error:
        raise ConfigurationError(str(error)) from None

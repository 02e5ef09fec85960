"""What a file of a model folder may hold: arrays, graphs, a self-test, a calibration.

Arrays are fp32 in memory. On disk those that lose nothing by it are half precision.

Sees: bytes that were already read, the manifest. Does not see: the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from gatling_guard.encoders import calibration, selftest
from gatling_guard.encoders.manifest import Manifest
from gatling_guard.errors import InputError, Issue

Array = NDArray[np.float32]
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]
"""Network -> key of its state dict -> shape."""
NETWORKS: Final = ("execution", "governance", "predictor", "energy")
OPTIONAL: Final = ("energy",)
"""Networks, and graphs of the same name, that a whole model may lack: early ones have none."""
_SHOWN = 20
"""Keys named in one error."""
_STORED: Final = {"F32": "<f4", "F16": "<f2"}


def check_content(name: str, data: bytes, manifest: Manifest, expected: Shapes | None) -> None:
    """What a file holds.

    Raises:
        InputError: with every fault.
    """
    if name == selftest.FILE:
        selftest.from_bytes(data)
    elif name == calibration.FILE:
        calibration.from_bytes(data)
    elif name.endswith(".onnx"):
        check_graph(data, name)
    elif name.endswith(".safetensors"):
        arrays = unpacked(data, what=name)
        part = name.removesuffix(".safetensors")
        faults = list(_content_faults(part, arrays, manifest, expected))
        if faults:
            raise InputError([Issue("", fault) for fault in faults], what=name)


def _content_faults(
    part: str, arrays: Mapping[str, Array], manifest: Manifest, expected: Shapes | None
) -> Iterable[str]:
    found, stated = count(arrays), manifest.parameters.get(part)
    if found != stated:
        yield f"has {found} parameters; the manifest says {stated}"
    if expected is not None:
        shapes = {key: value.shape for key, value in arrays.items()}
        yield from shape_faults(shapes, expected.get(part, {}))


def shape_faults(
    found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Differences of two state dicts, in words."""
    shared = sorted(found.keys() & wanted.keys())
    groups = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "wrong shape": [
            f"{key} {list(found[key])} not {list(wanted[key])}"
            for key in shared
            if tuple(found[key]) != tuple(wanted[key])
        ],
    }
    return [f"{what}: {_some(keys)}" for what, keys in groups.items() if keys]


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def check_graph(data: bytes, what: str) -> None:
    """Refuse an ONNX model with tensors outside of it.

    Such a tensor names its file under the key "location", verbatim in the bytes; onnxruntime would
    read that file, or memory of this process, unhashed.
    """
    if b"location" in data:
        raise InputError("has external data; weights must be inside the ONNX file", what=what)


def named_arrays(part: str, state: Mapping[str, Any]) -> dict[str, Array]:
    """A state dict (torch or numpy) as contiguous arrays.

    Raises:
        InputError: an array that is not fp32, or not finite.
    """
    arrays = {}
    for key, value in state.items():
        plain = value.detach().cpu().numpy() if hasattr(value, "detach") else value
        arrays[key] = np.ascontiguousarray(plain).reshape(np.shape(plain))  # 0-d stays 0-d
    _require_plain_numbers(arrays, part)
    return arrays


def packed(arrays: Mapping[str, Array]) -> bytes:
    """A safetensors file; the same arrays give the same bytes in whatever order they come.

    An array of half-precision numbers (see `rounded`) is stored as F16: half the bytes, and the
    same numbers when it is read.
    """
    return safetensors.numpy.save({key: halved(value) for key, value in arrays.items()})


def halved(value: Array) -> Array | NDArray[np.float16]:
    """In half precision where every number is one, else as it is."""
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.array_equal(half, value) else value


def rounded(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The nearest half-precision numbers, as fp32; above 65,504 they become infinite."""
    with np.errstate(over="ignore"):
        return {k: v.astype(np.float16).astype(np.float32) for k, v in arrays.items()}


def unpacked(data: bytes, *, what: str) -> dict[str, Array]:
    """The arrays in the bytes of a safetensors file.

    Raises:
        InputError: no safetensors file, or other than finite F32 and F16 in it.
    """
    try:
        tensors = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise InputError(f"is no safetensors file: {error}", what=what) from None
    kinds = [(key, t["dtype"]) for key, t in tensors]
    odd = [Issue(key, f"is {kind}, not F32 or F16") for key, kind in kinds if kind not in _STORED]
    if odd:
        raise InputError(odd[:_SHOWN], what=what)
    arrays = {key: _array(tensor) for key, tensor in tensors}
    _require_plain_numbers(arrays, what)
    return arrays


def _array(tensor: Mapping[str, Any]) -> Array:
    """One array of the file as fp32; read-only."""
    stored = np.frombuffer(tensor["data"], dtype=_STORED[tensor["dtype"]])
    found = stored.astype("<f4", copy=False).reshape(tensor["shape"])
    found.flags.writeable = False
    return found


def _require_plain_numbers(arrays: Mapping[str, Array], what: str) -> None:
    issues = []
    for key, value in arrays.items():
        if value.dtype != np.float32:
            issues.append(Issue(key, f"is {value.dtype}; weights are float32"))
        elif not np.isfinite(value).all():
            bad = int(np.size(value) - np.isfinite(value).sum())
            issues.append(Issue(key, f"{bad} of {value.size} numbers are not finite"))
    if issues:
        raise InputError(issues[:_SHOWN], what=what)


def count(arrays: Mapping[str, Array]) -> int:
    """How many numbers there are in all."""
    return sum(int(value.size) for value in arrays.values())

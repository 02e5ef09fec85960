"""Model folders on a split of a dataset, side by side: one JSON document of all figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gatling_guard.encoders import Encoders, load_encoders
from gatling_guard.encoders.calibration import Calibration, Source
from gatling_guard.encoders.manifest import Manifest
from gatling_guard.errors import ConfigurationError
from gatling_guard.training.assessment import Assessed, assess
from gatling_guard.training.served import serve
from gatling_guard.training.splits import GROUPS, Part

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """One model and its figures."""

    folder: Path
    manifest: Manifest
    backend: str
    precision: str
    energy: Source
    calibration: Calibration | None
    assessed: Assessed

    @property
    def name(self) -> str:
        """Short, for a column: the folder's own name says more than the model's."""
        return self.folder.resolve().name

    def to_json(self) -> dict[str, Any]:
        """As in `metrics.json`."""
        made = self.manifest
        return {
            "folder": str(self.folder),
            "name": made.name,
            "version": made.version,
            "digest": made.digest,
            "tokenizer": made.tokenizer,
            "data_hash": made.data_hash,
            "backend": self.backend,
            "precision": self.precision,
            "energy": self.energy,
            "calibrated": self.calibration is not None,
            "groups": self.assessed.groups,
            "targets": {
                group: [target.to_json() for target in self.assessed.targets(group)]
                for group in GROUPS
            },
        }


def examine(
    folder: Path,
    part: Part,
    *,
    backend: Literal["onnx", "torch"] = "onnx",
    precision: Literal["fp32", "int8"] = "int8",
    energy: Source | None = None,
    seed: int = 0,
    tick: Callable[[], None] = lambda: None,
) -> Subject:
    """Load a model, run it over a split, and take its figures.

    Args:
        folder: the model.
        part: the samples.
        backend: see `load_encoders`.
        precision: of `onnx`.
        energy: which raw energy; None: the one that is calibrated, else `default_energy`. A
            calibration of another energy is not applied.
        seed: of the bootstrap.
        tick: called after every sample.

    Raises:
        ConfigurationError: no such model, or no such energy in it.
        InputError: a file of it is damaged.
    """
    encoders = load_encoders(folder, backend=backend, precision=precision)
    manifest, map_ = encoders.manifest, encoders.calibration
    assert manifest is not None
    chosen = energy or (map_.energy if map_ else default_energy(encoders))
    if chosen != "structure" and encoders.energy is None:
        raise ConfigurationError(f"{folder}: has no learned energies; ask for `structure`")
    if map_ is not None and map_.energy != chosen:
        map_ = None
    served = serve(encoders, part.items, part.texts, tick=tick)
    found = assess(part, served, energy=chosen, calibration=map_, seed=seed)
    shown = precision if backend == "onnx" else "fp32"
    return Subject(folder, manifest, backend, shown, chosen, map_, found)


def default_energy(encoders: Encoders) -> Source:
    """What there is; together with the structure it separates less (docs/benchmarks.md)."""
    return "structure" if encoders.energy is None else "learned"


def document(subjects: Sequence[Subject], part: Part, files: Sequence[Path]) -> dict[str, Any]:
    """`metrics.json`: the first model, and others beside it."""
    first, *others = subjects
    return {
        "schema": SCHEMA,
        "data": {
            "files": [str(path) for path in files],
            "hash": part.hash,
            "split": part.split,
            "seed": part.seed,
            "families": len({item.family for item in part.items}),
            "samples": len(part.items),
            "left_out": len(part.bad),
        },
        "model": first.to_json(),
        "compared": [subject.to_json() for subject in others],
    }

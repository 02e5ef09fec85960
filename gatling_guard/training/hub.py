"""A model folder in the form that model hubs expect, and its way there (R80).

The export holds `governance_encoder.safetensors`, `execution_encoder.safetensors`,
`config.json` and a model card; beside them predictor, energies and calibration, where the model
has them. It is for reading elsewhere; this package loads model folders (`encoders.checkpoint`).
Nothing here is imported, and nothing sent, unless a push is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from gatling_guard.encoders import calibration
from gatling_guard.encoders.checkpoint import read_listed
from gatling_guard.encoders.folder import write_folder
from gatling_guard.encoders.manifest import Manifest, read_manifest
from gatling_guard.errors import ConfigurationError

Push = Callable[[Path, str], str]
"""(folder, repository) -> address of what was uploaded."""

_WEIGHTS = {
    "governance_encoder.safetensors": "governance.safetensors",
    "execution_encoder.safetensors": "execution.safetensors",
}
_BESIDE = ("predictor.safetensors", "energy.safetensors", calibration.FILE)


def export(model: Path, to: Path) -> Path:
    """Write the export folder of a model folder.

    Raises:
        ConfigurationError: no model there, or `to` exists.
        InputError: a file is damaged.
    """
    manifest = read_manifest(model)
    files = {name: read_listed(model, own, manifest) for name, own in _WEIGHTS.items()}
    files |= {n: read_listed(model, n, manifest) for n in _BESIDE if n in manifest.files}
    config = {"model_type": "gatling-jepa", **manifest.config, "tokenizer_id": manifest.tokenizer}
    files["config.json"] = json.dumps(config, indent=1, sort_keys=True).encode() + b"\n"
    files["README.md"] = card(manifest).encode()
    write_folder(to, files)
    return to


def card(manifest: Manifest) -> str:
    """The model card: what it is, what it was trained on, its figures, its limits."""
    figures = "\n".join(f"| {k} | {v:.4g} |" for k, v in sorted(manifest.metrics.items()))
    data = "".join(f"\n  - `{name}`: `{hash_}`" for name, hash_ in manifest.data_files.items())
    sizes = ", ".join(f"{name} {count:,}" for name, count in sorted(manifest.parameters.items()))
    split = "test" if "test samples" in manifest.metrics else "validation"
    named = "\n".join(f"- {line}" for line in manifest.attribution)
    return f"""---
license: {manifest.licence.lower()}
library_name: gatling-guard
tags: [agents, security, jepa]
---
# {manifest.name} {manifest.version}

Two encoders of `gatling-guard`: what a user authorised, and what an agent plans to do.

- trained on: data with SHA-256 `{manifest.data_hash or "none: untrained"}`{data}
- command: `{manifest.command or "-"}`
- seeds: {", ".join(map(str, manifest.seeds)) or "-"}
- parameters: {sizes}
- digest of the model folder: `{manifest.digest}`

| figure | value |
|---|---|
{figures or "| - | - |"}

The figures are those of the {split} split of that data. The encoders are one part of a
guard and no guard by themselves: hard rules and structural energies decide without them.

{named}
"""


def push(folder: Path, repository: str) -> str:
    """Upload a folder with `huggingface_hub`, which finds the user's own login.

    Raises:
        ConfigurationError: the package is not installed.
    """
    try:
        from huggingface_hub import HfApi
    except ModuleNotFoundError:
        raise ConfigurationError("a push needs: pip install huggingface_hub") from None
    api = HfApi()
    api.create_repo(repository, exist_ok=True)
    return str(api.upload_folder(folder_path=str(folder), repo_id=repository))

"""Keys and shapes of the state dicts, kept: a checkpoint of this minor version stays loadable.

`python -m tests.encoders.golden_keys` writes them anew; do that when a minor version changes.
"""

from __future__ import annotations

import json
from pathlib import Path

from gatling_guard.encoders.checkpoint import expected_shapes
from gatling_guard.encoders.config import CONFIGS

FILE = Path(__file__).with_name("golden_keys.json")

Keys = dict[str, dict[str, dict[str, list[int]]]]
"""Config -> network -> key -> shape."""


def current() -> Keys:
    """As the networks are now."""
    return {
        name: {
            network: {key: list(shape) for key, shape in sorted(shapes.items())}
            for network, shapes in sorted(expected_shapes(config).items())
        }
        for name, config in sorted(CONFIGS.items())
    }


def stored() -> Keys:
    """As they were when the file was written."""
    keys: Keys = json.loads(FILE.read_text(encoding="utf-8"))
    return keys


if __name__ == "__main__":
    FILE.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")

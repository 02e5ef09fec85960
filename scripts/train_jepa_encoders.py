"""Train the encoders: the founding documents' command, a thin wrapper of `gatling_guard.training`.

    python scripts/train_jepa_encoders.py --dataset data.jsonl.xz --epochs 20 --batch-size 32
    torchrun --nproc-per-node 2 scripts/train_jepa_encoders.py --devices 2 --dataset data.jsonl.xz

Without `--dataset` it trains on 12 synthetic samples, which teach nothing, and says so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit code is 0 when done, 130 when interrupted, 2 for wrong input."""
    from gatling_guard.training.command import main as run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())

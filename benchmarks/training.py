"""What data and training cost on one core: generated plans per second, and plans trained on.

`python benchmarks/training.py` (`make bench-train`). Times are processor times of this process.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable

from gatling_guard.training import Sample, write_samples
from gatling_guard.training.gold import generate
from gatling_guard.training.mixture import mixed, proportions
from gatling_guard.training.toolsets import tools
from gatling_guard.training.twin import spec_of

FAMILIES = 4_000
ASKED = 5_000
"""Plans per second and core."""


def rate(make: Callable[[], Iterable[Sample]]) -> float:
    """Samples per processor second, written as JSON lines."""
    start = time.process_time()
    count = write_samples(io.StringIO(), make())
    return count / (time.process_time() - start)


def main() -> None:
    """Print both."""
    start = time.process_time()
    for tool in tools():  # tables are built at first use, once in a process
        spec_of(tool.name, tool.entry)
    list(mixed(generate(1, 50)))
    print(f"tables, once: {time.process_time() - start:.1f} s")
    print(f"gold, written: {rate(lambda: generate(7, FAMILIES)):,.0f} samples/s")
    found = rate(lambda: mixed(generate(7, FAMILIES), seed=7))
    verdict = "holds" if found >= ASKED else "missed"
    print(f"default mix, written: {found:,.0f} samples/s (asked {ASKED:,}: {verdict})")
    print(f"proportions: {proportions(mixed(generate(7, 2_000), seed=7))}")
    from gatling_guard.training.throughput import measure

    for config in ("small", "base"):
        found_ratio = measure(config, seconds=3)
        print(f"{found_ratio} (asked 10: {'holds' if found_ratio.ratio >= 10 else 'missed'})")


if __name__ == "__main__":
    main()

"""What the encoders cost a process that has nothing loaded yet; `encoders.py` starts it.

    python benchmarks/fresh_process.py load|state FOLDER

Prints one JSON object. The standard library alone may be imported up here: the rest is measured.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any


def load(folder: str) -> dict[str, Any]:
    """Seconds to the first usable encoders, and the memory after 20 encodings of each."""
    start = time.perf_counter()
    encoders = _load_encoders(folder)
    seconds = time.perf_counter() - start
    from encoder_inputs import random_plan, random_policy

    from gatling_guard.policy import load_policy

    policy = load_policy(random_policy(500, 0))
    for i in range(20):
        encoders.execution(random_plan(20, i))
        encoders.governance(policy, "agent", {"instruction": f"Read report {i}."})
    return {"seconds": seconds, **memory(), "torch": "torch" in sys.modules}


def state(folder: str) -> dict[str, Any]:
    """MB of a session of 1,000 calls: growth of the process, counted bytes, stored bytes."""
    encoders = _load_encoders(folder)
    from encoder_inputs import random_plan

    def session(calls: int) -> Any:
        plan, found = random_plan(calls, 0), encoders.execution.start()
        before = memory()["rss"]
        for call in plan.nodes:
            found.append(call, sources=plan.parents[call.node_id])
        gc.collect()
        return memory()["rss"] - before, found

    _, warm = session(100)  # kept: what it would free would be missing below
    grown, long = session(1000)
    stored = len(long.to_bytes()) / 1e6
    del warm
    return {"grown": grown, "counted": long.nbytes / 1e6, "stored": stored}


def memory() -> dict[str, float]:
    """MB of this process: now, and at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    of = {"rss": fields["VmRSS"], "peak": fields["VmHWM"]}
    return {name: int(text.split()[0]) * 1024 / 1e6 for name, text in of.items()}


def _load_encoders(folder: str) -> Any:
    from gatling_guard.encoders import load_encoders

    return load_encoders(folder, backend="onnx", precision="int8")


if __name__ == "__main__":
    print(json.dumps({"load": load, "state": state}[sys.argv[1]](sys.argv[2])))

"""What the guard costs: import, check and settle, on one thread, in one process.

`make bench` runs it. Prints medians and percentiles; machines are noisy, so trust the ratios.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import tracemalloc

from gatling_guard import Guard, ToolRequest

TEXT = "the quarterly report of the northern office lists invoices and meetings for may"
WORDS = TEXT.split()


def output(number: int, size: int = 2048) -> str:
    """Prose of about `size` characters that differs from call to call."""
    words = [f"{WORDS[(number * 7 + i * 3) % len(WORDS)]}{(number * i) % 97}" for i in range(size)]
    lines = [" ".join(words[i : i + 9]).capitalize() + "." for i in range(0, len(words), 9)]
    return " ".join(lines)[:size]


def session_timings(calls: int) -> tuple[list[float], list[float]]:
    """Seconds per check and per settle of 2 KB in one session of `calls` calls."""
    guard = Guard("standard")
    guard.register(
        {
            "name": "read_file",
            "description": "Read a file",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}},
                "required": ["path"],
            },
        }
    )
    guard.register(
        {
            "name": "send_email",
            "description": "Send an email",
            "parameters": {
                "type": "object",
                "properties": {k: {"type": "string"} for k in ("to", "subject", "body")},
                "required": ["to"],
            },
        }
    )
    checks, settles = [], []
    session = guard.session(instruction="Read the files and mail a summary to ann@corp.example.")
    for i in range(calls):
        if i % 4 == 3:
            call = ToolRequest(
                "send_email",
                {"to": "ann@corp.example", "subject": f"Part {i}", "body": output(i, 300)},
                f"c{i}",
            )
        else:
            call = ToolRequest("read_file", {"path": f"/reports/{i}.txt"}, f"c{i}")
        start = time.perf_counter()
        session.check(call)
        checks.append(time.perf_counter() - start)
        text = output(i)
        start = time.perf_counter()
        session.settle(f"c{i}", text)
        settles.append(time.perf_counter() - start)
    return checks, settles


def import_time(statement: str) -> float:
    """Median milliseconds of an import in a fresh interpreter, of 9."""
    code = f"import time; t = time.perf_counter()\n{statement}\nprint(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(9)]
    return round(1000 * statistics.median(float(run.stdout) for run in runs), 1)


def percentile(values: list[float], share: float) -> float:
    """Milliseconds."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000


def memory(calls: int) -> float:
    """MB that a session of `calls` calls keeps."""
    tracemalloc.start()
    session_timings(calls)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def main() -> None:
    """Print one JSON object."""
    session_timings(50)  # warm-up
    short = [session_timings(20) for _ in range(20)]
    checks = [t for run, _ in short for t in run]
    settles = [t for _, run in short for t in run]
    long_checks, long_settles = session_timings(1000)
    at_10 = statistics.median(t for run, _ in short for t in run[5:15])
    print(
        json.dumps(
            {
                "import_ms": import_time("import gatling_guard"),
                "import_guard_ms": import_time("from gatling_guard import Guard"),
                "check_20_calls_ms": {
                    "p50": round(percentile(checks, 0.5), 3),
                    "p99": round(percentile(checks, 0.99), 3),
                },
                "settle_ms_per_kb_p50": round(percentile(settles, 0.5) / 2, 3),
                "check_at_1000_over_at_10": round(statistics.median(long_checks[-100:]) / at_10, 2),
                "settle_at_1000_over_20": round(
                    statistics.median(long_settles[-100:]) / statistics.median(settles), 2
                ),
                "session_1000_calls_mb": round(memory(1000), 1),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()

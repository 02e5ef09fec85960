"""What the guard costs: import, check and settle, on one thread, in one process.

`make bench` runs it. Prints each figure with its bound and whether it holds, and exits with 1 where
one does not. Machines are noisy: the ratios can be trusted, milliseconds only on an idle one.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

from gatling_guard import Guard, ToolRequest
from gatling_guard.plan import Provenance
from gatling_guard.trace import Authority, LineageIndex, cut_spans

TEXT = "the quarterly report of the northern office lists invoices and meetings for may"
WORDS = TEXT.split()


def output(number: int, size: int = 2048) -> str:
    """Prose of about `size` characters that differs from call to call."""
    words = [f"{WORDS[(number * 7 + i * 3) % len(WORDS)]}{(number * i) % 97}" for i in range(size)]
    lines = [" ".join(words[i : i + 9]).capitalize() + "." for i in range(0, len(words), 9)]
    return " ".join(lines)[:size]


def session_timings(
    calls: int, clock: Callable[[], float] = time.perf_counter
) -> tuple[list[float], list[float]]:
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
        start = clock()
        session.check(call)
        checks.append(clock() - start)
        text = output(i)
        start = clock()
        session.settle(f"c{i}", text)
        settles.append(clock() - start)
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
    """MB that a session of `calls` calls keeps, at its peak."""
    tracemalloc.start()
    session_timings(calls)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def long_body_ms(calls: int, size: int = 3_000) -> float:
    """Median milliseconds of a check of a mail of `size` characters after `calls` calls."""
    index, authority, first = LineageIndex(), Authority.of(["Mail ann@corp.example."]), 0
    for i in range(calls):
        spans = cut_spans(output(i), None, f"c{i}", floor=Provenance.INTERNAL, first_id=first)
        first += len(spans)
        index.add(spans)
    times = []
    for i in range(30):
        body = output(calls + i, size)
        start = time.perf_counter()
        index.trace({"body": body}, authority)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


BOUNDS: dict[str, float | None] = {
    "check_20_calls_p50_ms": 0.5,
    "check_20_calls_p99_ms": 5.0,
    "check_20_calls_cpu_p50_ms": None,
    "check_20_calls_read_p50_ms": None,
    "check_20_calls_mail_p50_ms": None,
    "check_at_1000_over_at_10": 1.5,
    "settle_p50_ms_per_kb": 2.0,
    "settle_p99_ms_per_kb": None,
    "settle_at_1000_ms_per_kb": 2.0,
    "session_1000_calls_mb": 32.0,
    "lineage_3000_characters_ms": None,
    "import_ms": None,
    "import_guard_ms": None,
}
"""Most that each figure may be; None: no target is set. `cpu`: processor time of all threads, which
says what a check costs where others use the machine, too."""


def measured() -> dict[str, float]:
    """Every figure of `BOUNDS`."""
    session_timings(50)  # warm-up
    short = [session_timings(20) for _ in range(30)]
    long_checks, long_settles = session_timings(1000)
    checks = [t for run, _ in short for t in run]
    settles = [t for _, run in short for t in run]
    busy = [t for _ in range(20) for t in session_timings(20, time.process_time)[0]]
    # Call by call: every fourth is a mail, so that both ends have as many of them.
    at_10 = statistics.median(t for run, _ in short for t in run[8:16])
    return {
        "check_20_calls_p50_ms": percentile(checks, 0.5),
        "check_20_calls_p99_ms": percentile(checks, 0.99),
        "check_20_calls_cpu_p50_ms": percentile(busy, 0.5),
        "check_20_calls_read_p50_ms": percentile(
            [t for i, t in enumerate(checks) if i % 4 < 3], 0.5
        ),
        "check_20_calls_mail_p50_ms": percentile(checks[3::4], 0.5),
        "check_at_1000_over_at_10": statistics.median(long_checks[-200:]) / at_10,
        "settle_p50_ms_per_kb": percentile(settles, 0.5) / 2,
        "settle_p99_ms_per_kb": percentile(settles, 0.99) / 2,
        "settle_at_1000_ms_per_kb": percentile(long_settles[-200:], 0.5) / 2,
        "session_1000_calls_mb": memory(1000),
        "lineage_3000_characters_ms": long_body_ms(20),
        "import_ms": import_time("import gatling_guard"),
        "import_guard_ms": import_time("from gatling_guard import Guard"),
    }


def main() -> int:
    """Print one JSON object; 1 where a bound does not hold."""
    figures = measured()
    held = {name: bound is None or figures[name] <= bound for name, bound in BOUNDS.items()}
    report = {
        name: {"is": round(figures[name], 3)}
        | ({} if bound is None else {"bound": bound, "holds": held[name]})
        for name, bound in BOUNDS.items()
    }
    print(json.dumps(report, indent=2))
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

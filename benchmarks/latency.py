"""What the guard costs: import, check and settle, on one thread, in one process.

With the exact structure alone, and (`learned_`) with the learned parts: there every mail lies in
the grey band, so that the precise scorer reads anew whatever it has not seen in this session.
Whole plans that have to be repaired: `latency_repair`.

`make bench-latency` runs it. Prints each figure with its bound and whether it holds, and exits with
1 where one does not. Machines are noisy: what is compared is measured in turns, in rounds, and the
quietest third of them counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, Literal

import latency_repair

from gatling_guard import Guard, ToolRequest
from gatling_guard.encoders.precise import PreciseScorer
from gatling_guard.encoders.scorer import RivalScorer
from gatling_guard.energy.attribution import Silent
from gatling_guard.pipeline import LearnedParts
from gatling_guard.plan import Provenance
from gatling_guard.trace import Authority, LineageIndex, cut_spans

Clock = Callable[[], float]
Learned = Literal["off"] | LearnedParts

TEXT = "the quarterly report of the northern office lists invoices and meetings for may"
WORDS = TEXT.split()


def output(number: int, size: int = 2048) -> str:
    """Prose of about `size` characters that differs from call to call."""
    words = [f"{WORDS[(number * 7 + i * 3) % len(WORDS)]}{(number * i) % 97}" for i in range(size)]
    lines = [" ".join(words[i : i + 9]).capitalize() + "." for i in range(0, len(words), 9)]
    return " ".join(lines)[:size]


class Run:
    """One session: three files are read, then a mail of 300 characters is sent, and again."""

    made = 0

    def __init__(self, learned: Learned = "off") -> None:
        guard = Guard("standard", learned=learned)
        Run.made += 1
        self.first = 131 * Run.made  # no text of another session: rows of texts are kept
        guard.register(_tool("read_file", "Read a file", "path"))
        guard.register(_tool("send_email", "Send an email", "to", "subject", "body"))
        self.calls = 0
        self.session = guard.session(
            instruction="Read the files and mail a summary to ann@corp.example."
        )

    def step(self, clock: Clock = time.perf_counter) -> tuple[float, float]:
        """Seconds of the next check and of its settle with 2 KB of output."""
        i, self.calls = self.calls, self.calls + 1
        call = ToolRequest("read_file", {"path": f"/reports/{i}.txt"}, f"c{i}")
        if i % 4 == 3:
            text = output(self.first + i, 300)
            body = {"to": "ann@corp.example", "subject": f"Part {i}", "body": text}
            call = ToolRequest("send_email", body, f"c{i}")
        text = output(self.first + i)
        start = clock()
        self.session.check(call)
        checked = clock()
        self.session.settle(f"c{i}", text)
        return checked - start, clock() - checked


def _tool(name: str, description: str, *arguments: str) -> dict[str, Any]:
    properties = {argument: {"type": "string"} for argument in arguments}
    schema = {"type": "object", "properties": properties, "required": [arguments[0]]}
    return {"name": name, "description": description, "parameters": schema}


def every_part(precise: bool = True) -> LearnedParts:
    """The shipped scorers, with no head that changes a decision."""
    better = PreciseScorer.from_pretrained() if precise else None
    grey = (-2.0, 2.0) if precise else (1.0, -1.0)
    return LearnedParts(RivalScorer.from_pretrained(), Silent(grey=grey), better)


def session_timings(
    calls: int, clock: Clock = time.perf_counter, learned: Learned = "off"
) -> tuple[list[float], list[float]]:
    """Seconds per check and per settle in one session of `calls` calls."""
    run = Run(learned)
    times = [run.step(clock) for _ in range(calls)]
    return [check for check, _ in times], [settle for _, settle in times]


def import_time(statement: str) -> float:
    """Median milliseconds of an import in a fresh interpreter, of 9."""
    code = f"import time; t = time.perf_counter()\n{statement}\nprint(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(9)]
    return round(1000 * statistics.median(float(run.stdout) for run in runs), 1)


def percentile(values: list[float], share: float) -> float:
    """Milliseconds."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000


def memory(calls: int, learned: Learned = "off") -> float:
    """MB that a session of `calls` calls keeps, at its peak."""
    tracemalloc.start()
    session_timings(calls, learned=learned)
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
    "check_20_calls_read_p50_ms": None,
    "check_20_calls_mail_p50_ms": None,
    "check_20_calls_all_p50_ms": None,
    "check_20_calls_cpu_p50_ms": None,
    "check_20_calls_cpu_all_p50_ms": None,
    "check_at_1000_over_at_10": 1.5,
    "settle_p50_ms_per_kb": 2.0,
    "settle_p99_ms_per_kb": None,
    "settle_cpu_p50_ms_per_kb": None,
    "settle_at_1000_ms_per_kb": 2.0,
    "session_1000_calls_mb": 32.0,
    "learned_check_20_calls_p50_ms": 1.0,
    "learned_check_20_calls_mail_p50_ms": None,
    "learned_check_20_calls_p99_ms": 25.0,
    "learned_static_mail_p50_ms": None,
    "learned_check_at_1000_over_at_10": 1.5,
    "learned_settle_p50_ms_per_kb": 2.0,
    "learned_settle_at_1000_ms_per_kb": 2.0,
    "learned_session_1000_calls_extra_mb": 12.0,
    "audit_20_calls_p50_ms": None,
    "audit_20_calls_p95_ms": None,
    "repair_20_calls_p50_ms": 10.0,
    "repair_20_calls_p95_ms": 50.0,
    "learned_repair_20_calls_p50_ms": 10.0,
    "learned_repair_20_calls_p95_ms": 50.0,
    "audit_20_calls_cpu_p50_ms": None,
    "repair_20_calls_cpu_p50_ms": None,
    "repair_20_calls_cpu_p95_ms": None,
    "repair_stalled_ms": 2 * latency_repair.DEADLINE_MS,
    "repair_stalled_step_ms": latency_repair.DEADLINE_MS,
    "lineage_3000_characters_ms": None,
    "import_ms": None,
    "import_guard_ms": None,
}
"""Most that each figure may be; None: no target is set.

Taken from the quietest third of the rounds: what others do on the machine can only add to a time.
`all`: over all rounds. `cpu`: processor time of all threads."""
ROUNDS, SESSIONS = 15, 4
Times = tuple[list[float], list[float]]


def quiet(found: list[list[float]]) -> list[float]:
    """The times of the third of the rounds with the lowest medians."""
    return [t for times in sorted(found, key=statistics.median)[: len(found) // 3] for t in times]


def learned_figures() -> dict[str, float]:
    """What the learned parts cost; sessions of 20 calls, round by round, in turns."""
    static, both = every_part(precise=False), every_part()
    session_timings(20, learned=both)
    alone: list[Times] = []
    precise: list[Times] = []
    for _ in range(ROUNDS):
        alone.append(session_timings(20, learned=static))
        precise.append(session_timings(20, learned=both))
    mails = [times[3::4] for times, _ in precise]
    checks = quiet([times for times, _ in precise])
    ratio, late = at_both_ends(1000, static)
    return {
        "learned_check_20_calls_p50_ms": percentile(checks, 0.5),
        "learned_check_20_calls_mail_p50_ms": percentile(quiet(mails), 0.5),
        "learned_check_20_calls_p99_ms": percentile(checks, 0.99),
        "learned_static_mail_p50_ms": percentile(quiet([t[3::4] for t, _ in alone]), 0.5),
        "learned_check_at_1000_over_at_10": ratio,
        "learned_settle_p50_ms_per_kb": percentile(quiet([s for _, s in alone]), 0.5) / 2,
        "learned_settle_at_1000_ms_per_kb": percentile(late, 0.5) / 2,
        "learned_session_1000_calls_extra_mb": memory(1000, static) - memory(1000),
    }


def rounds() -> tuple[list[Times], list[Times]]:
    """Wall and processor times of sessions of 20 calls, round by round, in turns."""
    wall: list[Times] = []
    busy: list[Times] = []
    for _ in range(ROUNDS):
        for found, clock in ((wall, time.perf_counter), (busy, time.process_time)):
            runs = [session_timings(20, clock) for _ in range(SESSIONS)]
            found.append(([t for c, _ in runs for t in c], [t for _, s in runs for t in s]))
    return wall, busy


def at_both_ends(calls: int, learned: Learned = "off") -> tuple[float, list[float]]:
    """Check time after `calls` calls over that after ten, and the settles there, in turns."""
    long = Run(learned)
    for _ in range(calls):
        long.step()
    early, late, settles = [], [], []
    for _ in range(30):
        # As many mails as at the other end.
        early.append(session_timings(16, learned=learned)[0][8:])
        steps = [long.step() for _ in range(8)]
        late.append([check for check, _ in steps])
        settles.append([settle for _, settle in steps])
    return statistics.median(quiet(late)) / statistics.median(quiet(early)), quiet(settles)


def measured() -> dict[str, float]:
    """Every figure of `BOUNDS`."""
    session_timings(50)  # warm-up
    wall, busy = rounds()
    checks = quiet([times for times, _ in wall])
    settles = quiet([times for _, times in wall])
    ratio, late_settles = at_both_ends(1000)
    return (
        learned_figures()
        | latency_repair.figures(ROUNDS)
        | {
            "check_20_calls_p50_ms": percentile(checks, 0.5),
            "check_20_calls_p99_ms": percentile(checks, 0.99),
            "check_20_calls_read_p50_ms": percentile(
                [t for i, t in enumerate(checks) if i % 4 < 3], 0.5
            ),
            "check_20_calls_mail_p50_ms": percentile(checks[3::4], 0.5),
            "check_20_calls_all_p50_ms": percentile([t for times, _ in wall for t in times], 0.5),
            "check_20_calls_cpu_p50_ms": percentile(quiet([times for times, _ in busy]), 0.5),
            "check_20_calls_cpu_all_p50_ms": percentile(
                [t for times, _ in busy for t in times], 0.5
            ),
            "check_at_1000_over_at_10": ratio,
            "settle_p50_ms_per_kb": percentile(settles, 0.5) / 2,
            "settle_p99_ms_per_kb": percentile(settles, 0.99) / 2,
            "settle_cpu_p50_ms_per_kb": percentile(quiet([times for _, times in busy]), 0.5) / 2,
            "settle_at_1000_ms_per_kb": percentile(late_settles, 0.5) / 2,
            "session_1000_calls_mb": memory(1000),
            "lineage_3000_characters_ms": long_body_ms(20),
            "import_ms": import_time("import gatling_guard"),
            "import_guard_ms": import_time("from gatling_guard import Guard"),
        }
    )


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

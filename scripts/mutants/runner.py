"""Tests run on mutants, in copies of the working tree: the tree itself is never written to."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from operators import Mutant

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OPTIONS = (
    "-x", "-q", "--no-header", "--tb=line", "-p", "fast_hypothesis", "-p", "no:cacheprovider",
    # plugins that the tests do not need: half of what starting pytest costs
    "-p", "no:langsmith_plugin", "-p", "no:anyio", "-p", "no:pytest_cov",
)  # fmt: skip
# A compiled file is valid for one modification time, in whole seconds: each mutant has its own.
_seconds = count(1_000_000_000)


@dataclass(frozen=True)
class Result:
    """What became of one mutant."""

    mutant: Mutant
    fate: str
    """`killed`, `timeout` or `survived`; `no tests` where there are none to run."""
    seconds: float


class Copies:
    """One copy of the tree for each worker."""

    def __init__(self, folder: Path, number: int) -> None:
        self._free: queue.Queue[Path] = queue.Queue()
        for i in range(number):
            self._free.put(_copied(folder / str(i) / "repo"))

    @contextmanager
    def one(self) -> Iterator[Path]:
        """A copy that nobody else uses meanwhile."""
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)


def _copied(target: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def run_tests(copy: Path, tests: Sequence[str], limit: float) -> str:
    """`survived` if all pass, `killed` if one fails, `timeout`, or `no tests`.

    One folder after the other: most mutants fall in the first, and collecting takes longest.
    """
    fate, until = "no tests", time.monotonic() + limit
    for test in tests:
        if (copy / test).exists():
            code = _pytest(copy, test, until - time.monotonic())
            if code not in (0, 5):
                return "timeout" if code is None else "killed"
            fate = "survived" if code == 0 else fate
    return fate


def _pytest(copy: Path, test: str, limit: float) -> int | None:
    """Its exit code: 0 all pass, 5 nothing to run; None when it took too long."""
    # All from the copy: whoever edits the tree meanwhile must not "kill" a mutant.
    path = os.pathsep.join(str(copy / part) for part in ("", "adapters", "scripts/mutants"))
    with (copy.parent / "pytest.txt").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *OPTIONS, test],
            cwd=copy, env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
            stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        return process.wait(max(0.0, limit))
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process with all that it started: its session is its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_mutants(
    mutants: Sequence[Mutant],
    tests_of: Callable[[Path], Sequence[str]],
    workers: int,
    told: Callable[[Result], None],
) -> None:
    """Run the tests on each mutant.

    Args:
        mutants: with paths under the root.
        tests_of: the tests of a module, a path relative to the root.
        workers: how many at a time.
        told: called with each result as it comes.

    Raises:
        SystemExit: the tests fail without any change.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = Copies(Path(folder), workers)
        limits = _limits({tuple(tests_of(m.path.relative_to(ROOT))) for m in mutants}, copies)

        def one(mutant: Mutant) -> Result:
            tests = tuple(tests_of(mutant.path.relative_to(ROOT)))
            began = time.perf_counter()
            with copies.one() as copy:
                fate = _tried(mutant, copy, tests, limits[tests])
            return Result(mutant, fate, time.perf_counter() - began)

        with ThreadPoolExecutor(workers) as pool:
            for result in pool.map(one, mutants):
                told(result)


def _limits(sets: set[tuple[str, ...]], copies: Copies) -> Mapping[tuple[str, ...], float]:
    """Seconds that each set of tests may take: four times what it takes unchanged, at least 60."""
    found = {}
    for tests in sorted(sets):
        began = time.perf_counter()
        with copies.one() as copy:
            if run_tests(copy, tests, 600.0) not in ("survived", "no tests"):
                said = (copy.parent / "pytest.txt").read_text()[-2000:]
                sys.exit(f"the tests fail without any change: {' '.join(tests)}\n{said}")
        found[tests] = max(60.0, 4 * (time.perf_counter() - began))
    return found


def _tried(mutant: Mutant, copy: Path, tests: Sequence[str], limit: float) -> str:
    path = copy / mutant.path.relative_to(ROOT)
    source, kept = path.read_bytes(), path.stat()
    changed = mutant.apply(source)
    try:
        compile(changed, str(path), "exec")
    except SyntaxError:
        return "invalid"
    try:
        path.write_bytes(changed)
        moment = next(_seconds)
        os.utime(path, (moment, moment))
        return run_tests(copy, tests, limit)
    finally:
        path.write_bytes(source)
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))

"""Break the guard on purpose and see whether a test notices.

    python scripts/mutants --checks         each whole check of config.toml taken away, one by one
    python scripts/mutants --sample 100     small changes drawn from the modules of config.toml
    python scripts/mutants --only 'gatling_guard/rules/*' ...       of these modules only

Nothing is written to the working tree. Prints one line per mutant, then the survivors with their
diffs. Exit codes: 0 all killed, 1 some survived (a survivor is a missing test, or a change that
changes nothing), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import difflib
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from operators import TAKE, Module, Mutant, small_changes
from runner import HERE, ROOT, Result, run_mutants


def main(given: Sequence[str] | None = None) -> int:
    """The command."""
    options = _options(given)
    config = tomllib.loads((HERE / "config.toml").read_text("utf-8"))
    found = list(_checks(config) if options.checks else _small(config))
    found = [m for m in found if fnmatch(str(m.path.relative_to(ROOT)), options.only)]
    if options.sample and options.sample < len(found):
        found = random.Random(options.seed).sample(found, options.sample)
    if options.list:
        for mutant in found:
            print(f"{_place(mutant)}  {mutant.what}")
        return 0
    if not found:
        print(f"nothing to change fits {options.only}")
        return 2
    began, results = time.perf_counter(), list[Result]()

    def told(result: Result) -> None:
        results.append(result)
        place = f"{_place(result.mutant)}  {result.mutant.what}"
        print(f"{result.fate:8} {result.seconds:5.1f} s  {place}", flush=True)

    run_mutants(found, lambda path: _tests(config, path), options.jobs, told)
    return _summary(results, time.perf_counter() - began)


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__.split("\n")[0])
    parser.add_argument("--checks", action="store_true", help="whole checks instead of changes")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many, drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", default="*", metavar="GLOB", help="modules")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="at a time")
    parser.add_argument("--list", action="store_true", help="show the mutants, run nothing")
    return parser.parse_args(given)


def _checks(config: dict[str, Any]) -> Iterator[Mutant]:
    seen = set()
    for check in config["checks"]:
        for path in sorted(ROOT.glob(check["where"])):
            for mutant in TAKE[check["take"]](Module(path), check.get("name", "*")):
                if (key := (path, mutant.start, mutant.end, mutant.text)) not in seen:
                    seen.add(key)
                    yield mutant


def _small(config: dict[str, Any]) -> Iterator[Mutant]:
    paths = {path for pattern in config["modules"] for path in ROOT.glob(pattern)}
    for path in sorted(paths):
        yield from small_changes(Module(path))


def _tests(config: dict[str, Any], path: Path) -> list[str]:
    fits = [prefix for prefix in config["tests"] if str(path).startswith(prefix + "/")]
    return [*(config["tests"][max(fits, key=len)] if fits else []), *config["always"]]


def _place(mutant: Mutant) -> str:
    return f"{mutant.path.relative_to(ROOT)}:{mutant.line}"


def _summary(results: Sequence[Result], seconds: float) -> int:
    survivors = [r.mutant for r in results if r.fate in ("survived", "no tests")]
    for mutant in survivors:
        source = mutant.path.read_bytes()
        before, after = (text.decode().splitlines() for text in (source, mutant.apply(source)))
        print(f"\nSURVIVED {_place(mutant)}  {mutant.what}")
        for line in list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]:
            print(f"  {line}")
    fates = Counter(result.fate for result in results)
    told = ", ".join(f"{number} {fate}" for fate, number in sorted(fates.items()))
    print(f"\n{len(results)} mutants in {seconds:.0f} s: {told}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

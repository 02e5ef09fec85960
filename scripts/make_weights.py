"""Makes the shipped weights again, from the generators and the recorded runs (`make weights`).

    python scripts/make_weights.py                  # into build/weights
    python scripts/make_weights.py --install        # and from there into gatling_guard/pretrained
    python scripts/make_weights.py --estimate       # how long it takes

A step that is done is not done again unless its command, or a step before it, changed. Ctrl-C is
safe: training goes on where it was. `--adopt` takes whatever stands in the folder as done: a
dataset, or a finished run (`generated.jsonl`, `recorded.jsonl`, `run/`). At the end every hash
stands beside that of the shipped file. They are equal with the same processor, packages and data
only; another processor rounds otherwise and gives other weights, as good as these.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gatling_guard.encoders.folder import listed
from gatling_guard.encoders.manifest import FILE, PRETRAINED
from gatling_guard.encoders.precise import PRECISE
from gatling_guard.errors import GatlingError
from gatling_guard.training.release import half, read_metrics, release

DATA = Path("../shared/data/train")
SETTINGS = (
    "--batch-size 256 --learning-rate 0.001 --dropout 0.05 --shared 0.65 --align-weight 4"
    " --margin 0.1 --precision bf16-mixed --accelerator cpu --threads 1 --checkpoint-every 5"
)
PRECISE_SETTINGS = "--seed 0 --steps 600 --held-out slack --threads 1"
FAMILIES, EPOCHS = 14000, 9
_CLI = "import sys; from gatling_guard.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Step:
    """One command, or a function in its place."""

    name: str
    command: str
    makes: Path
    needs: tuple[str, ...] = ()
    minutes: float = 0.2
    """About, on one core."""
    call: Callable[[], object] | None = None
    resume: Path | None = None
    """What is unfinished there: `--resume` goes on with it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is not done and compare; the exit code is 2 where a step failed."""
    options = _parser().parse_args(arguments)
    if not options.data.is_dir():
        print("*" * 78)
        print(f"WARNING: there is no {options.data}: it goes WITHOUT the recorded runs.")
        print(f"WARNING: all hashes will differ from the shipped ones; no {PRECISE} is made.")
        print("*" * 78)
    steps = _steps(options)
    for step in steps:
        print(f"{step.minutes:6.1f} min  {step.name:10} {step.command}")
    print(f"{sum(step.minutes for step in steps):6.1f} min  in all, on one core", flush=True)
    if options.estimate:
        return 0
    try:
        _run_all(steps, options.out, options.adopt)
    except (GatlingError, OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for step in steps:
        if step.makes.parent == options.out and step.makes.name.split("-")[0] in _SHIPPED:
            _compare(step.makes, PRETRAINED / step.makes.name)
            if options.install:
                _install(step.makes, PRETRAINED / step.makes.name)
    return 0


_SHIPPED = ("model", "scorer", "precise")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--out", type=Path, default=Path("build/weights"), help="takes everything")
    add("--data", type=Path, default=DATA, help=f"folder of recorded runs ({DATA})")
    add("--families", type=int, default=FAMILIES, help=f"to generate ({FAMILIES})")
    add("--epochs", type=int, default=EPOCHS, help=f"of training ({EPOCHS})")
    add("--config", default="base", help="shape of the networks (base)")
    add("--number", type=int, default=1, help="N of model-N (1)")
    add("--compare", type=Path, metavar="MODEL", help="another model for the report")
    add("--no-scorers", action="store_true", help="the encoders alone")
    add("--adopt", action="store_true", help="what stands in the folder counts as done")
    add("--estimate", action="store_true", help="print the steps with their times, and stop")
    add("--install", action="store_true", help="put the results into gatling_guard/pretrained")
    return parser


def _steps(options: argparse.Namespace) -> list[Step]:
    out, recorded_too = options.out, options.data.is_dir()
    share, rows = options.families / FAMILIES, 0.2 if recorded_too else 0.0
    module = "python -m gatling_guard.training"
    steps = []
    if not options.no_scorers:
        to = out / "scorer-1"
        steps.append(Step("scorer-1", f"{module}.scorer --untrained --out {to}", to))
        if recorded_too:
            to = out / PRECISE
            command = f"{module}.precise --data {options.data} --out {to} {PRECISE_SETTINGS}"
            steps.append(Step(PRECISE, command, to, minutes=20))
    files = [out / "generated.jsonl"]
    command = f"gatling-guard generate --out {files[0]} --families {options.families} --seed 1"
    sources = [Step("generated", command, files[0], minutes=share, resume=files[0])]
    if recorded_too:
        files.append(out / "recorded.jsonl")
        command = f"{module}.recorded --data {options.data} --out {files[1]}"
        sources.append(Step("recorded", command, files[1], minutes=3))
    run = out / "run"
    best = run / "checkpoints" / "best" / "model"
    train = (
        f"gatling-guard train --dataset {' '.join(map(str, files))} --output {run}"
        f" --epochs {options.epochs} {SETTINGS} --seed 0"
        + ("" if options.config == "base" else f" --config {options.config}")
    )
    recipe = "; ".join([*(step.command for step in sources), train])
    model, to, report = out / "half", out / f"model-{options.number}", out / "report"
    metrics = report / "metrics.json"
    data = " ".join(f"--data {file}" for file in files)
    other = f" --compare {options.compare}" if options.compare else ""
    return [
        *steps,
        *sources,
        Step("train", train, best / FILE, tuple(step.name for step in sources),
             minutes=5 * (share + rows) * options.epochs, resume=run),
        Step("half", f"half {best}", model / FILE, ("train",),
             call=lambda: half(best, model, created=_now())),
        Step("export", f"gatling-guard export {model}", model / "selftest.json", ("half",), 1),
        Step("calibrate", f"gatling-guard calibrate-model {model} {data} --energy learned",
             model / "calibration.json", ("export",), 3 * (share + rows)),
        Step("evaluate", f"gatling-guard evaluate-model {model} {data}{other} --out {report}",
             metrics, ("calibrate",), 6 * (share + rows)),
        Step("release", f"release {to}", to, ("evaluate",), call=lambda: release(
            model, to, number=options.number, command=recipe, data=files,
            metrics=read_metrics(metrics), created=_now(),
        )),
    ]  # fmt: skip


def _run_all(steps: Sequence[Step], out: Path, adopt: bool) -> None:
    """`done.json` holds the command of every step that was begun, and whether it was finished."""
    notes = out / "done.json"
    kept: dict[str, list[object]] = json.loads(notes.read_text()) if notes.is_file() else {}
    out.mkdir(parents=True, exist_ok=True)
    fresh: set[str] = set()
    for step in steps:
        command, ended = kept.get(step.name, [step.command if adopt else None, adopt])
        same = command == step.command and not fresh & set(step.needs)
        if same and ended and step.makes.exists():
            print(f"{step.name}: done before")
        else:
            if command is None and step.makes.exists():
                raise FileExistsError(f"{step.makes} exists: delete it, or take it with --adopt")
            print(f"{step.name}: {step.command}", flush=True)
            started = time.monotonic()
            kept[step.name] = [step.command, False]
            notes.write_text(json.dumps(kept, indent=1) + "\n")
            _run(step, again=same)
            fresh.add(step.name)
            print(f"{step.name}: {time.monotonic() - started:.0f} s", flush=True)
        kept[step.name] = [step.command, True]
        notes.write_text(json.dumps(kept, indent=1) + "\n")


def _run(step: Step, *, again: bool) -> None:
    """Again: what stands there came from this command, and was not finished."""
    if step.call is not None:
        step.call()
        return
    first, *rest = step.command.split(" ")
    head = [sys.executable, "-c", _CLI] if first == "gatling-guard" else [sys.executable]
    if step.resume is not None:
        if again and (step.resume.is_file() or (step.resume / "checkpoints" / "last").is_dir()):
            rest.append("--resume")
        else:
            _remove(step.resume)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*head, *rest], check=True, env=environment)


def _compare(made: Path, shipped: Path) -> None:
    """Hashes of every file but the manifest, whose time always differs."""
    print(f"{made}, beside {shipped}:")
    for name in listed(made):
        if name != FILE:
            own, other = _hash(made / name), _hash(shipped / name)
            verdict = "equal" if own == other else f"shipped {other[:16]}, differs"
            print(f"  {own[:16]}  {name}: {verdict}")
    print("  (differs: other processor, packages or data)", flush=True)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"


def _install(made: Path, to: Path) -> None:
    _remove(to)
    shutil.copytree(made, to)
    print(f"installed: {to}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    sys.exit(main())

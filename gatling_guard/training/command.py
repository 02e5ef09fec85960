"""The command line of a training run, shared by the script and `gatling-guard train`.

One option per field of `TrainArgs`, and those that say where things are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gatling_guard.errors import GatlingError
from gatling_guard.training import hub, plots
from gatling_guard.training.args import TrainArgs, add_arguments, from_options
from gatling_guard.training.dataset import Dataset, load, prepare
from gatling_guard.training.demo_samples import samples

DONE, WRONG, INTERRUPTED = 0, 2, 130
_SHOWN = 10
"""Bad lines that are printed; all are counted."""


def main(
    arguments: Sequence[str] | None = None,
    *,
    name: str = "train_jepa_encoders.py",
    push: hub.Push = hub.push,
) -> int:
    """Train, write the report, and push where asked.

    Args:
        arguments: of the command line; None: those of the process.
        name: of the command, for its help.
        push: takes the export folder to a hub.
    """
    options = _parser(name).parse_args(arguments)
    try:
        return _run(options, from_options(options), push)
    except GatlingError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG
    except OSError as error:
        known = error.filename is not None and error.strerror is not None
        text = f"{error.filename}: {error.strerror}" if known else str(error)
        print(f"error: {text}", file=sys.stderr)
        return WRONG


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description="Train the encoders of gatling-guard.")
    add = parser.add_argument_group("files").add_argument
    text = "JSON lines, plain or .xz, .gz; none: 12 synthetic samples"
    add("--dataset", type=Path, nargs="+", metavar="FILE", help=text)
    text = "takes everything the run writes (default runs/latest)"
    add("--output", type=Path, default=Path("runs/latest"), metavar="FOLDER", help=text)
    add("--resume", action="store_true", help="go on with the run in the folder")
    add("--strict", action="store_true", help="a bad line ends the run")
    text = "upload the best weights (needs huggingface_hub)"
    add("--push-to-hub", metavar="OWNER/NAME", help=text)
    add_arguments(parser.add_argument_group("settings"))
    return parser


def _run(options: argparse.Namespace, args: TrainArgs, push: hub.Push) -> int:
    from gatling_guard.training.loop import fit

    dataset = _dataset(options, args, lambda line: print(line, file=sys.stderr))
    found = fit(dataset, args, options.output, resume=options.resume)
    if found.interrupted:
        return INTERRUPTED
    if not found.first:  # one process writes
        return DONE
    print(f"report: {plots.report(options.output)}")
    best = options.output / "checkpoints" / "best" / "model"
    print(f"best weights: {best}")
    if options.push_to_hub:
        folder = hub.export(best, options.output / "hub")
        print(f"pushed: {push(folder, options.push_to_hub)}")
    return DONE


def _dataset(options: argparse.Namespace, args: TrainArgs, warn: Callable[[str], None]) -> Dataset:
    if not options.dataset:
        warn("*" * 78)
        warn("WARNING: no --dataset. Training on 12 SYNTHETIC samples: a test of the machinery.")
        warn("WARNING: the weights will know nothing. Do not use them.")
        warn("*" * 78)
        found = prepare(samples(12, seed=args.seed), seed=args.seed)
        everything = [item for split in found.splits.values() for item in split]
        found.splits = {"train": everything, "validation": [], "test": []}
        return found
    found = load(options.dataset, seed=args.seed, strict=options.strict)
    for issue in found.bad[:_SHOWN]:
        warn(f"left out: {issue}")
    if found.bad:
        warn(f"WARNING: {len(found.bad)} faults in lines that were left out")
    sizes = ", ".join(f"{len(items)} {split}" for split, items in found.splits.items())
    print(f"samples: {sizes}; {found.left_out} left out for a mutation that is held out")
    return found

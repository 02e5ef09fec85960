"""`gatling-guard generate`: training data without an LLM."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from gatling_guard.cli.console import JsonFlag, out, print_json, reported


def generate(
    to: Annotated[Path, typer.Option("--out", "-o", help="JSON lines are written here.")],
    families: Annotated[int, typer.Option(min=1, help="Families over all shards.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    shard: Annotated[str, typer.Option(help="i/n: the i-th of n parts, from 0.")] = "0/1",
    schemas: Annotated[
        Path | None, typer.Option(help="Real tool schemas (JSON lines, also .xz).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an existing file.")] = False,
    check: Annotated[int, typer.Option(min=0, help="Validate this many samples first.")] = 100,
    json_: JsonFlag = False,
) -> None:
    """Write gold plans with their attack twins.

    The shards 0/n to n-1/n, one after the other, are the bytes of one run.

    Exit codes: 0 written; 1 a sample did not validate, nothing is written; 2 bad usage.
    """
    from gatling_guard.training import gold
    from gatling_guard.training.real_schemas import read_schemas
    from gatling_guard.training.sample import Sample
    from gatling_guard.training.shards import write_shard

    with reported(json_):
        part = _shard(shard)
        tools = read_schemas(schemas) if schemas else ()

        def made(start: int) -> Iterable[Sample]:
            return gold.generate(seed, families, shard=part, start=start, schemas=tools)

        faults = _faults(made(0), check)
        if faults:
            raise typer.Exit(_refuse(faults, json_))
        began = time.perf_counter()
        count = write_shard(to, made, resume=resume)
        took = time.perf_counter() - began
    found = {"samples": count, "seconds": took, "samples_per_s": count / max(took, 1e-9)}
    found["megabytes"] = to.stat().st_size / 1e6
    if json_:
        print_json(found)
    else:
        out.print(
            f"{count} samples in {took:.1f} s ({found['samples_per_s']:.0f} per second), "
            f"{found['megabytes']:.1f} MB in {to}"
        )


def _shard(text: str) -> tuple[int, int]:
    i, _, n = text.partition("/")
    if not (i.isdecimal() and n.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not i/n, such as 0/4")
    return int(i), int(n)


def _faults(samples: Iterable[Any], count: int) -> list[str]:
    from itertools import islice

    from gatling_guard.training.wellformed import validate

    return [f"{s.id}: {issue}" for s in islice(samples, count) for issue in validate(s)]


def _refuse(faults: list[str], json_: bool) -> int:
    if json_:
        print_json({"faults": faults})
    else:
        out.print("\n".join(faults), markup=False)
    return 1

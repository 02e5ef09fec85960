"""`gatling-guard generate`: training data without an LLM."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import asdict
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatling_guard.cli.console import JsonFlag, out, print_json, reported

if TYPE_CHECKING:
    from gatling_guard.training.sample import Sample
    from gatling_guard.training.shards import Estimate

PROBED = 250
"""Families that an estimate makes."""


class Preset(str, Enum):
    """Mixes with a name."""

    founding = "founding"
    """4 M gold, 2 M boundary and 563 k adversarial samples."""


def generate(
    to: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON lines are written here.")
    ] = None,
    families: Annotated[
        int | None, typer.Option(min=1, help="Families over all shards (10,000).")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="About so many samples instead, over all shards.")
    ] = None,
    preset: Annotated[
        Preset | None, typer.Option(help="4 M gold, 2 M boundary, 563 k adversarial samples.")
    ] = None,
    mix: Annotated[
        bool, typer.Option("--mix/--no-mix", help="With honest, boundary and adversarial twins.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    shard: Annotated[str, typer.Option(help="i/n: the i-th of n parts, from 0.")] = "0/1",
    schemas: Annotated[
        Path | None, typer.Option(help="Real tool schemas (JSON lines, also .xz).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an existing file.")] = False,
    check: Annotated[int, typer.Option(min=0, help="Validate this many samples first.")] = 100,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it would cost, and write nothing.")
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Write training data: gold plans with their twins in the mix 61 / 30 / 9.

    The shards 0/n to n-1/n, one after the other, are the bytes of one run.

    Exit codes: 0 written; 1 a sample did not validate, nothing is written; 2 bad usage.
    """
    from gatling_guard.training import mixture, shards
    from gatling_guard.training.real_schemas import read_schemas

    with reported(json_):
        part = _shard(shard)
        ratio = mixture.FOUNDING if preset else mixture.RATIO
        number = _families(families, samples, preset, mix)
        tools = read_schemas(schemas) if schemas else ()
        make = partial(_made, seed, mix, ratio, tools)
        if estimate:
            expected = round(number * _per_family(mix))
            found = shards.estimate(lambda: make(min(PROBED, number)), expected)
            _print_estimate(found, part[1], json_)
            return
        if to is None:
            raise typer.BadParameter("where to? --out FILE, or --estimate")
        if to.suffix in (".xz", ".gz"):  # whoever reads it would take it for compressed
            raise typer.BadParameter(f"{to}: lines are written plain; compress the file afterwards")
        faults = _faults(make(number, part), check)
        if faults:
            raise typer.Exit(_refuse(faults, json_))
        began = time.perf_counter()
        count = shards.write_shard(to, partial(make, number, part), resume=resume)
        took = time.perf_counter() - began
    written = {"samples": count, "seconds": took, "samples_per_s": count / max(took, 1e-9)}
    written["megabytes"] = to.stat().st_size / 1e6
    if json_:
        print_json(written)
    else:
        out.print(
            f"{count} samples in {took:.1f} s ({written['samples_per_s']:.0f} per second), "
            f"{written['megabytes']:.1f} MB in {to}"
        )


def _made(
    seed: int,
    mix: bool,
    ratio: tuple[float, float, float],
    tools: Any,
    families: int,
    part: tuple[int, int] = (0, 1),
    start: int = 0,
) -> Iterable[Sample]:
    """The samples of one shard, family by family."""
    from gatling_guard.training import gold, mixture

    found = gold.generate(seed, families, shard=part, start=start, schemas=tools)
    return mixture.mixed(found, ratio, seed=seed) if mix else found


def _per_family(mix: bool) -> float:
    from gatling_guard.training import gold, mixture

    return mixture.PER_FAMILY if mix else gold.PER_FAMILY


def _families(families: int | None, samples: int | None, preset: Preset | None, mix: bool) -> int:
    """How many families were asked for, in one of three ways."""
    from gatling_guard.training import mixture

    if sum(given is not None for given in (families, samples, preset)) > 1:
        raise typer.BadParameter("--families, --samples or --preset, one of them")
    if preset is not None and not mix:
        raise typer.BadParameter(f"the preset {preset.value} is a mix")
    if preset is not None:
        samples = int(sum(mixture.FOUNDING))
    return math.ceil(samples / _per_family(mix)) if samples else families or 10_000


def _print_estimate(found: Estimate, parts: int, json_: bool) -> None:
    if json_:
        print_json({**asdict(found), "shards": parts})
        return
    out.print(
        f"{found.samples:,} samples, about {found.seconds / 3600:.2f} hours on one core, "
        f"{found.plain_bytes / 1e9:.2f} GB ({found.xz_bytes / 1e9:.2f} GB as .xz)"
    )
    if parts > 1:
        each = found.samples // parts
        hours, size = found.seconds / 3600 / parts, found.plain_bytes / 1e9 / parts
        out.print(f"{parts} shards of {each:,} samples, {hours:.2f} hours and {size:.2f} GB each")


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

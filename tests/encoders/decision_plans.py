"""The stored set of 300 plans that fp32 and int8 must decide alike: 20 anchors, 14 variants each.

A variant changes a few details of its anchor (near) or most of it (far). Decisions: which anchor is
nearest, and is it near enough. Write the file anew: `python -m tests.encoders.decision_plans`.
"""

from __future__ import annotations

import json
import lzma
import random
from pathlib import Path
from typing import Any

from tests.encoders.plans import NAMES, plan_of

FILE = Path(__file__).with_name("decision_plans.json.xz")
ANCHORS, VARIANTS = 20, 14
SIZES = (1, 2, 3, 4, 5, 7, 10, 15, 20, 40)


def stored() -> list[dict[str, Any]]:
    """`{"anchor": number, "near": bool | None, "plan": ...}`; None for the anchors themselves."""
    found: list[dict[str, Any]] = json.loads(lzma.decompress(FILE.read_bytes()))
    return found


def made() -> list[dict[str, Any]]:
    """The set, from its seeds."""
    rng = random.Random("decision plans")
    found: list[dict[str, Any]] = []
    for anchor in range(ANCHORS):
        plan = plan_of(SIZES[anchor % len(SIZES)], 1000 + anchor).model_dump(mode="json")
        found.append({"anchor": anchor, "near": None, "plan": plan})
        for variant in range(VARIANTS):
            near = variant % 2 == 0
            found.append({"anchor": anchor, "near": near, "plan": _changed(plan, rng, near)})
    return found


def _changed(plan: dict[str, Any], rng: random.Random, near: bool) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(plan))
    for node in copy["nodes"]:
        if near:
            for key, value in node["arguments"].items():
                if type(value) is int:
                    node["arguments"][key] = value + rng.randint(1, 3)
        else:
            node["tool_name"] = rng.choice(NAMES)
            node["provenance_tier"] = rng.randint(1, 3)
            node["scope_level"] = rng.randint(1, 10)
            node["arguments"] = {f"field_{rng.randint(0, 99)}": rng.choice([1e6, "x y z", None])}
    return copy


if __name__ == "__main__":
    data = json.dumps(made(), sort_keys=True, separators=(",", ":")).encode()
    FILE.write_bytes(lzma.compress(data, preset=9))
    print(FILE, len(made()), "plans,", FILE.stat().st_size, "bytes")

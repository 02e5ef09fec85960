"""How much of a large, foreign catalogue the lexicon reads. Coverage, not correctness."""

from __future__ import annotations

import json
import lzma
import time
from pathlib import Path

from gatling_guard.catalog import infer_profile


def test_few_of_11399_tools_have_an_unknown_verb(shared: Path) -> None:
    """R51 Under 8 % fall to the worst-case reading, and a tool takes about 0.1 ms."""
    path = shared / "data" / "catalog" / "tool_schemas.jsonl.xz"
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        tools = [json.loads(line) for line in lines]
    start = time.perf_counter()
    profiles = [infer_profile(t["name"], t["description"] or "", t["parameters"]) for t in tools]
    took = time.perf_counter() - start
    unknown = sum(profile.confidence <= 0.3 for profile in profiles)
    assert unknown / len(tools) < 0.02
    assert took / len(tools) < 0.005

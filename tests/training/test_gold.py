"""The gold generator: variety, validity, determinism (R74, R75, R85)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gatling_guard.cli import app
from gatling_guard.errors import ConfigurationError, InputError
from gatling_guard.training import Sample, to_line
from gatling_guard.training.diversity import diversity, name_only_auc
from gatling_guard.training.gold import family, generate, shard_range
from gatling_guard.training.seed_catalog import domains
from gatling_guard.training.shards import write_shard
from gatling_guard.training.toolsets import tools
from gatling_guard.training.wellformed import validate
from gatling_guard.training.workflows import workflows


@cache
def made() -> tuple[Sample, ...]:
    return tuple(generate(17, 3000))


def attacks() -> list[Sample]:
    return [s for s in made() if s.label == "adversarial"]


def test_the_seed_catalog_is_wide() -> None:
    """R75 and the issue: >= 60 domains, >= 2,000 tools, none twice."""
    assert len(domains()) >= 60
    assert len({tool.name for tool in tools()}) == len(tools()) >= 2000


def test_every_tool_of_the_catalog_is_a_tool() -> None:
    sample = made()[0]
    some = {tool.name: tool.entry for tool in tools()[::7]}
    probe = Sample("x", "x", "x", "gold", sample.plan, tools={**sample.tools, **some})
    assert not [i for i in validate(probe) if i.where.startswith("/tools")]


def test_all_validators_pass() -> None:
    """R75: on 300 here; `generate --check` does more."""
    some = list(made()[:300]) + attacks()[:60]
    assert not [f"{s.id}: {issue}" for s in some for issue in validate(s)]


def test_the_mix_is_what_it_says() -> None:
    """R75: several calls in most plans, 1..20, few duplicates; all effects and kinds of edges."""
    found = diversity(made())
    assert found["several_calls"] >= 0.5
    assert found["duplicates"] < 0.01
    assert set(found["calls_per_plan"]) <= set(range(1, 21))
    assert max(found["calls_per_plan"]) > 12
    assert len(found["effects"]) == 8
    assert set(found["edges"]) == {"data", "control", "temporal"}
    assert found["tools"] > 1500
    assert 0.05 < found["with_grant"] < 0.2


def test_names_do_not_tell_the_class_among_twins() -> None:
    """R85: where a family holds both, the names of the tools are of little help."""
    assert diversity(made())["name_only_auc_among_twins"] <= 0.68


def test_the_leak_detector_sees_a_planted_leak() -> None:
    rows = [(f"f{i}", i % 2 == 0, frozenset(["send" if i % 2 else "leak"])) for i in range(200)]
    assert name_only_auc(rows) == 1.0
    blind = [(family, attack, frozenset(["same"])) for family, attack, _ in rows]
    assert name_only_auc(blind) == 0.5


def test_same_seed_same_bytes_in_another_process() -> None:
    script = (
        "from gatling_guard.training.gold import generate\n"
        "from gatling_guard.training import to_line\n"
        "import hashlib\n"
        "text = ''.join(map(to_line, generate(3, 60)))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hashing},
        ).stdout
        for hashing in ("1", "2")
    }
    assert len(found) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40), st.integers(1, 9))
def test_shards_one_after_the_other_are_one_run(families: int, parts: int) -> None:
    found = [i for part in range(parts) for i in shard_range(families, (part, parts))]
    assert found == list(range(families))


def _shard(shard: tuple[int, int], start: int) -> list[Sample]:
    return list(generate(5, 41, shard=shard, start=start))


def test_two_shards_merged_are_the_bytes_of_one_run(tmp_path: Path) -> None:
    for name, shard in (("one", (0, 1)), ("a", (0, 2)), ("b", (1, 2))):
        write_shard(tmp_path / name, partial(_shard, shard))
    merged = (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes()
    assert merged == (tmp_path / "one").read_bytes()


@pytest.mark.parametrize("cut", [0, 10, 5_000, 40_000, 10**9])
def test_a_run_goes_on_where_it_was_cut_off(tmp_path: Path, cut: int) -> None:
    def families(start: int) -> list[Sample]:
        return list(generate(6, 30, shard=(1, 2), start=start))

    path = tmp_path / "data.jsonl"
    write_shard(path, families)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    write_shard(path, families, resume=True)
    assert path.read_bytes() == whole


def test_a_foreign_file_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("hello\n")
    with pytest.raises(InputError, match=r"data\.jsonl:1"):
        write_shard(path, lambda start: [], resume=True)
    assert path.read_text() == "hello\n"


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0)])
def test_no_such_shard(shard: tuple[int, int]) -> None:
    with pytest.raises(ConfigurationError):
        list(generate(0, 10, shard=shard))


# ------------------------------------------------------------------------- delegated work


def test_every_workflow_has_an_attack_twin() -> None:
    """And benign ones, with a grant and without one."""
    kinds: dict[str, Counter[str]] = {}
    for index in range(4000):
        for sample in family(23, index):
            if sample.source.startswith("workflow/"):
                name = sample.source.partition("/")[2]
                counts = kinds.setdefault(name, Counter())
                counts[sample.mutation or "gold"] += 1
                policy = sample.governance["policy"] or {}
                counts["granted" if "grants" in policy else "free"] += 1
    assert set(kinds) == {flow.name for flow in workflows()}
    assert all(c["injected_step"] and c["granted"] and c["free"] for c in kinds.values())
    assert sum(c["delegation_abuse"] > 0 for c in kinds.values()) >= len(kinds) - 2


def test_twins_share_authority_and_tools() -> None:
    """A family differs in the violated fact only: no other policy, role or tool tells."""
    by_family: dict[str, list[Sample]] = {}
    for sample in made():
        by_family.setdefault(sample.family, []).append(sample)
    mixed = [s for s in by_family.values() if len(s) > 1]
    assert len(mixed) > 200
    for samples in mixed:
        first = samples[0]
        for other in samples[1:]:
            assert other.tools == first.tools
            assert other.governance["policy"] == first.governance["policy"]
            assert other.governance["role"] == first.governance["role"]


def test_an_attack_follows_a_text_that_nobody_authorised() -> None:
    for sample in attacks():
        if sample.mutation != "injected_step":
            continue
        (text,) = [t for t in sample.texts if t["goal_of"] and not _in_gold(sample, t["text"])]
        assert not text["authority"]
        assert text["tier"] >= 2
        followed = [sample.facts[node] for node in text["goal_of"]]
        # Now and then a word of the attacker's is one of the user's, too.
        assert not all(fact["named"] for facts in followed for fact in facts.values())


def _in_gold(sample: Sample, text: str) -> bool:
    gold = next(s for s in made() if s.family == sample.family and s.id.endswith("/g"))
    return any(t["text"] == text for t in gold.texts)


def test_the_benign_contrast_names_what_the_attack_takes_from_a_text() -> None:
    by_id = {s.id: s for s in made()}
    pairs = [(s, by_id[s.family + "/c"]) for s in attacks() if s.mutation == "injected_step"]
    assert len(pairs) > 50
    for attack, contrast in pairs:
        assert [n["tool_name"] for n in attack.plan["nodes"]] == [
            n["tool_name"] for n in contrast.plan["nodes"]
        ]
        assert [n["arguments"] for n in attack.plan["nodes"]] == [
            n["arguments"] for n in contrast.plan["nodes"]
        ]
        assert attack.facts != contrast.facts
        said, less = (s.governance["context"]["instruction"] for s in (contrast, attack))
        start = os.path.commonprefix([said, less])
        assert said.endswith(less[len(start) :].strip())
        assert len(said) > len(less)


def test_what_a_caused_read_brings_in_is_caused() -> None:
    caused = [
        fact
        for s in attacks()
        for facts in s.facts.values()
        for fact in facts.values()
        if fact["caused"]
    ]
    assert caused
    assert not any(
        fact["caused"]
        for s in made()
        if s.label == "gold"
        for facts in s.facts.values()
        for fact in facts.values()
    )


# ------------------------------------------------------------------------------ real tools


def test_real_schemas_become_tools(tmp_path: Path) -> None:
    from gatling_guard.training.real_schemas import read_schemas

    rows = [
        {"name": f"get_thing_{i}", "description": "Get the weather of a city.", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
        for i in range(40)
    ]  # fmt: skip
    odd = {"name": "odd", "description": "Set a matrix.", "parameters": {
        "type": "object", "properties": {"m": {"type": "object"}}, "required": ["m"]}}  # fmt: skip
    path = tmp_path / "tools.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in [*rows, odd]))
    found = read_schemas(path)
    assert [tool.name for tool in found] == [row["name"] for row in rows]
    samples = list(generate(2, 150, schemas=found))
    used = {node["tool_name"] for s in samples for node in s.plan["nodes"]}
    assert len(used & {tool.name for tool in found}) > 10
    assert not [issue for s in samples for issue in validate(s)]
    path.write_text("{}\n")
    with pytest.raises(InputError, match=r"tools\.jsonl:1"):
        read_schemas(path)


# -------------------------------------------------------------------------------- the verb


def test_the_verb_writes_a_shard(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    options = [
        "--families",
        "20",
        "--seed",
        "4",
        "--shard",
        "1/2",
        "--check",
        "5",
        "--json",
        "--no-mix",
    ]
    done = CliRunner().invoke(app, ["generate", "-o", str(path), *options])
    assert done.exit_code == 0, done.output
    lines = [to_line(s) for s in generate(4, 20, shard=(1, 2))]
    assert path.read_text(encoding="utf-8").splitlines() == lines
    assert json.loads(done.output)["samples"] == len(lines)


@pytest.mark.parametrize("shard", ["2", "2/2", "a/b"])
def test_the_verb_refuses_a_wrong_shard(tmp_path: Path, shard: str) -> None:
    done = CliRunner().invoke(app, ["generate", "-o", str(tmp_path / "x"), "--shard", shard])
    assert done.exit_code == 2


@pytest.mark.parametrize("suffix", [".xz", ".gz"])
def test_the_verb_writes_no_plain_lines_under_a_packed_name(tmp_path: Path, suffix: str) -> None:
    """`train` and all others would read such a file as a packed one."""
    path = tmp_path / f"data.jsonl{suffix}"
    done = _generate("-o", str(path), "--families", "2")
    assert (done.exit_code, path.exists()) == (2, False)


def _generate(*options: str) -> Any:
    return CliRunner().invoke(app, ["generate", *options])


def test_the_verb_writes_the_default_mix_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    """R74, R152: gold, boundary and adversarial samples; a resumed run is an uninterrupted one."""
    path = tmp_path / "mix.jsonl"
    options = ["-o", str(path), "--samples", "250", "--seed", "4", "--check", "5", "--json"]
    done = _generate(*options)
    assert done.exit_code == 0, done.output
    whole = path.read_bytes()
    labels = Counter(json.loads(line)["label"] for line in whole.splitlines())
    assert set(labels) == {"gold", "boundary", "adversarial"}
    assert labels.total() == pytest.approx(250, rel=0.25)
    path.write_bytes(whole[: len(whole) // 2])
    assert _generate(*options, "--resume").exit_code == 0
    assert path.read_bytes() == whole
    parts = []
    for i in range(2):
        options[1] = str(tmp_path / f"part-{i}")
        assert _generate(*options, "--shard", f"{i}/2").exit_code == 0
        parts.append((tmp_path / f"part-{i}").read_bytes())
    assert b"".join(parts) == whole


def test_an_estimate_writes_nothing() -> None:
    """The founding mix: 6.6 M samples, with time and disk."""
    done = _generate("--preset", "founding", "--estimate", "--shard", "0/4", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["samples"] == pytest.approx(6_563_000, rel=1e-3)
    assert found["shards"] == 4
    assert found["plain_bytes"] > 5 * found["xz_bytes"] > 0
    assert 600 < found["seconds"] < 36_000


@pytest.mark.parametrize(
    "options",
    [["--families", "5", "--samples", "5"], ["--preset", "founding", "--no-mix"], []],
)
def test_the_verb_refuses_what_does_not_fit(options: list[str]) -> None:
    assert _generate(*options).exit_code == 2

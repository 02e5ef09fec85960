"""Samples: both seed schemas, bad lines with their number, round trips (R65)."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from gatling_guard.errors import InputError, Issue
from gatling_guard.training import (
    Sample,
    content_hash,
    read_samples,
    sample_of,
    samples_of,
    to_line,
    write_samples,
)
from gatling_guard.training.gold import generate

PLAN = {"nodes": [{"node_id": 1, "tool_name": "list_events"}], "edges": []}


def made(count: int = 5) -> list[Sample]:
    return list(islice(generate(1, 100), count))


@pytest.mark.parametrize("name", ["data.jsonl", "data.jsonl.gz", "data.jsonl.xz"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    samples = made()
    assert write_samples(tmp_path / name, samples) == len(samples)
    assert list(read_samples(tmp_path / name)) == samples


def test_a_line_is_the_json_of_its_sample() -> None:
    for sample in made():
        assert json.loads(to_line(sample)) == sample.to_json()


def test_the_text_of_a_tool_is_that_of_its_own_dict() -> None:
    """Texts of tools are kept by identity: another dict under the same name is another text."""
    sample = made(1)[0]
    before = to_line(sample)
    name = next(iter(sample.tools))
    sample.tools = {**sample.tools, name: {**sample.tools[name], "description": "other"}}
    assert json.loads(to_line(sample))["tools"][name]["description"] == "other" != before


def test_the_first_seed_form() -> None:
    """R65: `governance_context`, `execution_plan`, `label`."""
    line = {
        "governance_context": {
            "policy": {"domain": "Calendar", "allowed_operations": ["list_events"]},
            "user_role": "standard_user",
            "session_context": {"user_id": "user_001"},
        },
        "execution_plan": PLAN,
        "label": "compliant",
    }
    (sample,) = samples_of(line, name="f-1")
    assert (sample.label, sample.family, sample.governance["role"]) == (
        "gold",
        "f-1",
        "standard_user",
    )
    assert sample.plan["nodes"][0]["node_id"] == "1"
    assert sample_of(json.loads(to_line(sample))) == sample


def test_the_second_seed_form_becomes_a_family() -> None:
    """R65: hard negatives are samples of their own, which the gold one names."""
    line = {
        "policy": {"a": 1},
        "execution_plan": PLAN,
        "hard_negatives": [PLAN, PLAN],
        "energy_labels": {"scope": 4},
    }
    gold, *rivals = samples_of(line, name="f-2")
    assert [s.label for s in (gold, *rivals)] == ["gold", "adversarial", "adversarial"]
    assert gold.negatives == [s.id for s in rivals]
    assert gold.energy == {"scope": 4.0}
    assert {s.family for s in (gold, *rivals)} == {"f-2"}


@pytest.mark.parametrize(
    ("given", "label"),
    [("Benign", "gold"), ("attack", "adversarial"), ("borderline", "boundary"), ("gold", "gold")],
)
def test_aliases_of_labels(given: str, label: str) -> None:
    data = made(1)[0].to_json() | {"label": given}
    assert sample_of(data).label == label


BAD: list[tuple[dict[str, Any], str]] = [
    ({"schema": 2}, "/schema"),
    ({"label": "nice"}, "/label"),
    ({"severity": 1.5}, "/severity"),
    ({"violates": ["taste"]}, "/violates"),
    ({"plan": {"nodes": 3, "edges": []}}, "/plan/nodes"),
    ({"tools": []}, "/tools"),
    ({"extra": 1}, "/extra"),
]


@pytest.mark.parametrize(("change", "where"), BAD)
def test_faults_name_their_place(change: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as error:
        sample_of(made(1)[0].to_json() | change)
    assert [issue.where for issue in error.value.issues] == [where]


def test_bad_lines_are_reported_with_their_number(tmp_path: Path) -> None:
    """R65: file and line of each; the good ones are all read."""
    path = tmp_path / "data.jsonl"
    good = [to_line(s) for s in made(3)]
    path.write_text("\n".join([good[0], "{", good[1], "[]", "", good[2]]) + "\n")
    bad: list[Issue] = []
    assert len(list(read_samples(path, bad=bad))) == 3
    assert [(i.file, i.line) for i in bad] == [(str(path), 2), (str(path), 4)]
    with pytest.raises(InputError) as error:
        list(read_samples(path))
    assert error.value.issues[0].line == 2


def test_a_truncated_archive_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.xz"
    write_samples(path, made())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError):
        list(read_samples(path))


def test_the_content_hash_leaves_ids_out() -> None:
    one, two = made(2)
    assert content_hash(one) != content_hash(two)
    other = sample_of(one.to_json() | {"id": "x", "family": "y"})
    assert content_hash(other) == content_hash(one)

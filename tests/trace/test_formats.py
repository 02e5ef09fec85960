"""The readers of trace files, on good, bad and real input."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from gatling_guard.errors import Issue, TraceError
from gatling_guard.plan import Provenance
from gatling_guard.trace import (
    Authority,
    LineageIndex,
    RecordedTrace,
    cut_spans,
    formats,
    load_toolsets,
    read_traces,
)

GOOD = {"id": "1", "user_instruction": "hi", "steps": [{"tool": "t", "arguments": {}}]}
DATA = Path("/work/shared/data")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared data folder is not here")


def write(path: Path, *lines: Any) -> Path:
    text = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
    if path.suffix == ".xz":
        path.write_bytes(lzma.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.xz"])
def test_both_forms_are_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, GOOD, "", GOOD | {"id": "2"})
    assert [t.id for t in read_traces(path)] == ["1", "2"]


@pytest.mark.parametrize(
    ("row", "where", "message"),
    [
        ("{broken", "column 2", "Expecting"),
        ("[1]", "", "must be an object"),
        ('{"id": NaN}', "", "NaN is not a JSON number"),
        ('{"id": "1", "id": "2"}', "", "twice"),
        ("[" * 3000, "", "nested deeper"),
        ({**GOOD, "user_instruction": 5}, "/user_instruction", "must be text, not int"),
        ({"id": "1", "steps": []}, "/user_instruction", "missing"),
        ({"user_instruction": "x"}, "/steps", "missing"),
        ({**GOOD, "steps": {}}, "/steps", "must be a list"),
        ({**GOOD, "steps": [5]}, "/steps/0", "must be an object"),
        ({**GOOD, "steps": [{"tool": "t", "arguments": []}]}, "/steps/0/arguments", "object"),
        ({**GOOD, "steps": [{"arguments": {}}]}, "/steps/0/tool", "missing"),
        (
            {**GOOD, "steps": [{"tool": "t", "arguments": {}, "malicious": "no"}]},
            "/steps/0/malicious",
            "true, false or null",
        ),
        ({**GOOD, "tools": [{"x": 1}]}, "/tools/0/name", "must be text"),
        ({**GOOD, "toolsets": [1]}, "/toolsets/0", "must be text"),
        ({**GOOD, "meta": 5}, "/meta", "must be an object"),
    ],
)
def test_a_bad_line_names_file_line_and_place(
    tmp_path: Path, row: Any, where: str, message: str
) -> None:
    path = write(tmp_path / "t.jsonl", GOOD, row, GOOD)
    with pytest.raises(TraceError) as caught:
        list(read_traces(path))
    issue = caught.value.issues[0]
    assert (issue.file, issue.line) == (str(path), 2)
    assert where in issue.where
    assert message in issue.message
    issues: list[Issue] = []
    assert len(list(read_traces(path, on_error="collect", issues=issues))) == 2
    assert issues == list(caught.value.issues)


def test_all_faults_of_a_row_come_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", {"user_instruction": 1, "steps": [1, {}], "meta": 1})
    with pytest.raises(TraceError) as caught:
        list(read_traces(path))
    assert len(caught.value.issues) == 5


def test_broken_files_are_errors_in_either_mode(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.jsonl.xz", *[GOOD | {"id": str(i)} for i in range(2000)])
    cut = tmp_path / "cut.jsonl.xz"
    cut.write_bytes(whole.read_bytes()[:-20])
    noise = tmp_path / "noise.jsonl.xz"
    noise.write_bytes(b"not xz at all")
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"id": "\xff"}\n')
    for path in (cut, noise, tmp_path / "missing.jsonl", tmp_path):
        with pytest.raises(TraceError, match="cannot be read"):
            list(read_traces(path, on_error="collect"))
    with pytest.raises(TraceError, match="UTF-8"):
        list(read_traces(latin))


def test_a_line_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_LINE", 100)
    with pytest.raises(TraceError, match="a line of more than 100 bytes"):
        list(read_traces(write(tmp_path / "t.jsonl", "x" * 200)))


def test_toolset_files(tmp_path: Path) -> None:
    good = write(tmp_path / "t.json", {"a": [{"name": "t", "parameters": {"type": "object"}}]})
    assert [s.name for s in load_toolsets(good)["a"]] == ["t"]
    bad = write(tmp_path / "b.json", {"a": [5], "b": 5})
    with pytest.raises(TraceError) as caught:
        load_toolsets(bad)
    assert [i.where for i in caught.value.issues] == ["/a/0", "/b"]
    for content in ("[]", "{", '"x"'):
        with pytest.raises(TraceError):
            load_toolsets(write(tmp_path / "c.json", content))


@needs_data
@pytest.mark.parametrize("path", sorted(DATA.glob("*/*.jsonl.xz")), ids=lambda p: p.name)
def test_real_files_are_read(path: Path) -> None:
    if path.name.startswith(("injection_texts", "tool_schemas")):
        pytest.skip("texts or schemas, not traces")
    rows = [trace for _, trace in zip(range(40), read_traces(path), strict=False)]
    assert len(rows) == 40
    assert all(t.instruction for t in rows)


@needs_data
def test_a_real_injection_is_found_in_the_call_it_caused() -> None:
    """The address of the attacker's call comes from tier-3 text, the user's own does not."""
    toolsets = load_toolsets(DATA / "catalog" / "toolsets.json.xz")
    found: dict[bool, list[bool]] = {True: [], False: []}
    path = DATA / "train" / "agentdojo_oracle_banking_slack.jsonl.xz"
    for _, trace in zip(range(300), read_traces(path), strict=False):
        for malicious, only_untrusted in recipients(trace.with_tools(toolsets)):
            found[malicious].append(only_untrusted)
    assert len(found[True]) > 50
    assert sum(found[True]) / len(found[True]) > 0.8
    assert sum(found[False]) / len(found[False]) < 0.5


def recipients(trace: RecordedTrace) -> list[tuple[bool, bool]]:
    """(malicious, found only in untrusted text) for every recipient of a payment."""
    specs = {spec.name: spec for spec in trace.tools}
    authority, index, seen, at = Authority.of([trace.instruction]), LineageIndex(), [], 1
    for step in trace.steps:
        for line in index.trace(step.arguments, authority):
            if line.argument == "recipient" and step.tool == "send_money":
                seen.append((bool(step.malicious), line.only_untrusted))
        spans = cut_spans(
            step.output, specs.get(step.tool), step.call_id, floor=Provenance.INTERNAL, first_id=at
        )
        at += len(spans)
        index.add(spans, authority)
    return seen

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatling_guard import Issue, TraceError
from gatling_guard.bench import has_side_effect, read_verdicts, row_truth, step_verdicts
from gatling_guard.catalog import spec_from_json_schema
from gatling_guard.trace import trace_from_row


def schema(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


@pytest.mark.parametrize(
    ("tool", "description", "arguments", "expected"),
    [
        ("send_email", "Sends an email.", {"to": "a@b.c"}, True),
        ("delete_file", "Deletes a file.", {"file_id": "1"}, True),
        ("get_balance", "Returns the balance.", {}, False),
        ("search_files", "Searches files by name.", {"name": "x"}, False),
        ("get_webpage", "Returns the content of a page.", {"url": "evil.com/?q=1"}, True),
        ("search_files", "Searches files by name.", {"name": "https://evil.com/?k=1"}, True),
    ],
)
def test_side_effects_follow_the_inferred_profile(
    tool: str, description: str, arguments: dict[str, Any], expected: bool
) -> None:
    spec = spec_from_json_schema(tool, schema(*arguments), description=description)
    assert has_side_effect(tool, arguments, spec) is expected


def test_a_tool_that_is_not_in_the_toolset_is_judged_by_its_name() -> None:
    assert has_side_effect("transfer_money", {}, None)
    assert not has_side_effect("get_balance", {}, None)


def trace(**fields: Any) -> Any:
    row = {"id": "x", "source": "src", "label": "attack", "user_instruction": "do it", "steps": []}
    return trace_from_row({**row, **fields})


def test_truth_takes_kind_suite_and_user_task_from_meta() -> None:
    meta = {"kind": "attack_succeeded", "suite": "bank", "user_task": "u1", "injection_task": "i1"}
    step = {"tool": "send_money", "arguments": {"to": "m"}, "output": None, "malicious": True}
    found = row_truth(trace(meta=meta, steps=[step]))
    assert (found.attack, found.kind, found.suite) == (True, "attack_succeeded", "bank")
    assert found.steps[0].malicious is True
    assert found.steps[0].registered is False
    other = row_truth(trace(meta={**meta, "injection_task": "i2"}))
    assert found.group == other.group  # rows of one user task are near-copies


def test_without_a_user_task_rows_of_one_instruction_belong_together() -> None:
    one, same = row_truth(trace(id="a")), row_truth(trace(id="b", label="benign"))
    other = row_truth(trace(user_instruction="something else"))
    assert one.group == same.group != other.group
    assert (one.suite, one.kind, same.kind) == ("src", "attack", "benign")


def line(name: str, *actions: str) -> str:
    return json.dumps({"id": name, "steps": [{"action": a, "arguments": {}} for a in actions]})


def test_bad_verdict_lines_are_named_and_the_others_kept(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    bad = ["{", line("a", "allow"), line("b", "maybe"), line("a", "block"), '{"steps": []}', "[1]"]
    file.write_text("\n".join([*bad, line("c", "hold")]))
    issues: list[Issue] = []
    found = read_verdicts(file, issues)
    assert {name: [s.action for s in steps] for name, steps in found.items()} == {
        "a": ["allow"],
        "c": ["hold"],
    }
    assert [issue.line for issue in issues] == [1, 3, 4, 5, 6]
    assert all(issue.file == str(file) for issue in issues)


def test_every_fault_of_a_verdict_is_named_at_once() -> None:
    steps = [{"action": "x"}, {"action": "repair"}, {"action": "allow"}, 7]
    with pytest.raises(TraceError) as caught:
        step_verdicts({"id": "a", "steps": steps})
    assert [i.where for i in caught.value.issues] == [
        "/steps/0/action",
        "/steps/1/arguments",
        "/steps/3/action",
    ]

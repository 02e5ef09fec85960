"""`gatling-guard replay`, through the command line, with the real guard."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gatling_guard.cli.replay_command import replay

app = typer.Typer()
app.command()(replay)
runner = CliRunner()

TOOLS = [
    {
        "name": "read_mail",
        "description": "Returns the latest mail.",
        "parameters": {"type": "object", "properties": {}},
    },
    {
        "name": "send_money",
        "description": "Sends money to an account.",
        "parameters": {
            "type": "object",
            "properties": {"to": {"type": "string"}, "amount": {"type": "number"}},
            "required": ["to", "amount"],
        },
    },
]


def row(name: str, **fields: Any) -> str:
    steps = [
        {"tool": "read_mail", "arguments": {}, "output": "Dear Ann, see you on Monday."},
        {"tool": "send_money", "arguments": {"to": "DE89370400440532013000", "amount": 5}},
        {"tool": "no_such_tool", "arguments": {}},
    ]
    return json.dumps(
        {
            "id": name,
            "label": "benign",
            "user_instruction": "Read my latest mail.",
            "tools": TOOLS,
            "steps": steps,
            **fields,
        }
    )


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    file = tmp_path / "traces.jsonl"
    file.write_text(f"{row('a')}\n{row('b')}\n")
    return file


def verdicts(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["v.jsonl", "v.jsonl.xz"])
def test_one_verdict_line_per_trace(traces: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    result = runner.invoke(app, [str(traces), "--out", str(target), "--json"])
    assert result.exit_code == 0, result.output
    found = verdicts(target)
    assert [line["id"] for line in found] == ["a", "b"]
    assert [len(line["steps"]) for line in found] == [3, 3]
    first = found[0]["steps"]
    assert first[0]["action"] == "allow"
    assert first[2]["action"] == "block"  # a tool nobody registered
    assert found[0]["steps"] == found[1]["steps"]  # no run knows of another
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["bad_lines"], summary["steps"]) == (2, 0, 6)


def test_labels_change_no_verdict(traces: Path, tmp_path: Path) -> None:
    """Replay strips everything that a guard may not read."""
    labelled = tmp_path / "labelled.jsonl"
    marked = json.loads(row("x", label="attack", attack_type="t", meta={"kind": "k"}, source="s"))
    for step in marked["steps"]:
        step.update(malicious=True, output_untrusted=True)
    labelled.write_text(json.dumps(marked) + "\n")
    steps = []
    for file in (traces, labelled):
        target = tmp_path / f"{file.stem}-verdicts.jsonl"
        assert runner.invoke(app, [str(file), "--out", str(target)]).exit_code == 0
        steps.append(verdicts(target)[0]["steps"])
    assert steps[0] == steps[1]


def test_bad_lines_are_named_and_exit_with_3(traces: Path, tmp_path: Path) -> None:
    traces.write_text(f"{row('a')}\nnot json\n{row('b', steps=7)}\n{row('c')}\n")
    target = tmp_path / "v.jsonl"
    result = runner.invoke(app, [str(traces), "--out", str(target), "--json"])
    assert result.exit_code == 3
    assert [line["id"] for line in verdicts(target)] == ["a", "c"]
    assert f"{traces}:2" in result.stderr
    assert f"{traces}:3: /steps" in result.stderr
    assert json.loads(result.stdout)["bad_lines"] == 2


def test_a_file_without_a_trace_exits_with_2_and_writes_nothing(tmp_path: Path) -> None:
    """R146: an earlier verdict file is not replaced by an empty one."""
    empty, target = tmp_path / "empty.jsonl", tmp_path / "v.jsonl"
    empty.touch()
    target.write_text("kept")
    result = runner.invoke(app, [str(empty), "--out", str(target)])
    assert result.exit_code == 2
    assert f"{empty}: no traces" in result.stderr
    assert target.read_text() == "kept"


def test_steps_of_tools_that_the_trace_does_not_list_are_pointed_out_once(
    traces: Path, tmp_path: Path
) -> None:
    """R146: as `evaluate` does; such blocks say nothing about the guard."""
    target = str(tmp_path / "v.jsonl")
    result = runner.invoke(app, [str(traces), "--out", target])
    assert result.stderr.count("hint") == 1
    assert "in 2 of 2 traces" in result.stderr
    traces.write_text(row("a", steps=[{"tool": "read_mail", "arguments": {}}]))
    result = runner.invoke(app, [str(traces), "--out", target])
    assert "hint" not in result.stderr
    assert "1 trace, 1 step " in result.stdout


def test_limit(traces: Path, tmp_path: Path) -> None:
    target = tmp_path / "v.jsonl"
    assert runner.invoke(app, [str(traces), "--out", str(target), "--limit", "1"]).exit_code == 0
    assert [line["id"] for line in verdicts(target)] == ["a"]


def test_a_missing_file_a_broken_policy_and_overwriting_the_input_exit_with_2(
    traces: Path, tmp_path: Path
) -> None:
    target, before = tmp_path / "v.jsonl", traces.read_bytes()
    for arguments in (
        [str(tmp_path / "none.jsonl"), "--out", str(target)],
        [str(traces), "--out", str(target), "--policy", str(tmp_path / "none.yaml")],
        [str(traces), "--out", str(target), "--toolsets", str(tmp_path / "none.json")],
        [str(traces), "--out", str(traces)],
    ):
        result = runner.invoke(app, arguments)
        assert (result.exit_code, bool(result.stderr)) == (2, True), arguments
    assert traces.read_bytes() == before


def test_a_thousand_recorded_traces_are_within_reach(shared: Path, tmp_path: Path) -> None:
    """Must show: 1,000 recorded traces in under 60 s; a slice of them here, with slack."""
    source = shared / "data" / "eval" / "agentdojo_workspace_travel.jsonl.xz"
    target = tmp_path / "v.jsonl"
    result = runner.invoke(app, [str(source), "--out", str(target), "--limit", "50", "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["rows"] == 50
    assert summary["seconds"] < 50 * 0.06 * 3

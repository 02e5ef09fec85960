"""`gatling-guard evaluate`, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gatling_guard.cli import console
from gatling_guard.cli.evaluate_command import evaluate

app = typer.Typer()
app.command()(evaluate)
runner = CliRunner()

SEND = {
    "name": "send_email",
    "description": "Sends an email.",
    "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
}


def row(name: str, *malicious: bool | None, kind: str = "k", suite: str = "s") -> str:
    steps = [
        {"tool": "send_email", "arguments": {"to": "a@b.org"}, "output": "ok", "malicious": m}
        for m in malicious
    ]
    label = "attack" if any(malicious) else "benign"
    meta = {"kind": kind, "suite": suite, "user_task": name}
    return json.dumps({"id": name, "label": label, "user_instruction": "mail a@b.org",
                       "tools": [SEND], "steps": steps, "meta": meta})  # fmt: skip


def verdict(name: str, *actions: str) -> str:
    arguments = {"repair": {"to": "c@d.org"}}
    steps = [{"action": a, "arguments": arguments.get(a, {"to": "a@b.org"})} for a in actions]
    return json.dumps({"id": name, "steps": steps})


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    traces, verdicts = tmp_path / "t.jsonl", tmp_path / "v.jsonl"
    traces.write_text(
        "\n".join(
            [
                row("stopped", False, True, kind="attack", suite="x"),
                row("ran", False, True, kind="attack", suite="y"),
                row("repaired", True, kind="attack", suite="y"),
                row("fine", False, False, kind="honest", suite="x"),
                row("held", False, False, kind="honest", suite="x"),
            ]
        )
    )
    verdicts.write_text(
        "\n".join(
            [
                verdict("held", "allow", "hold"),
                verdict("stopped", "allow", "block"),
                verdict("ran", "block", "allow"),
                verdict("repaired", "repair"),
                verdict("fine", "allow", "allow"),
            ]
        )
    )
    return traces, verdicts


def figures(result: Any, subject: str) -> Any:
    """One subject's figures on the only file."""
    (found,) = json.loads(result.stdout)["files"]
    return found["subjects"][subject]


def run(*arguments: object) -> Any:
    return runner.invoke(app, [str(a) for a in arguments])


def test_the_measures_of_given_verdicts(files: tuple[Path, Path], tmp_path: Path) -> None:
    traces, verdicts = files
    report = tmp_path / "report.json"
    result = run(traces, "--verdicts", verdicts, "--json", "--out", report)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(report.read_text())
    found = figures(result, "verdicts")
    overall = found["overall"]
    assert (overall["effect"]["hits"], overall["effect"]["total"]) == (2, 3)
    assert (overall["touched"]["hits"], overall["touched"]["total"]) == (1, 2)
    assert overall["touched_by"] == {"block": 0, "hold": 1, "repair": 0}
    assert found["by_suite"]["x"]["effect"]["value"] == 1.0
    assert found["by_kind"]["honest"]["effect"] is None
    low, high = overall["effect"]["wilson"]["low"], overall["effect"]["wilson"]["high"]
    assert 0 < low < 2 / 3 < high < 1


def test_the_table_names_every_kind_and_suite(files: tuple[Path, Path]) -> None:
    result = run(files[0], "--verdicts", files[1])
    assert result.exit_code == 0
    for word in ("EFFECT", "STOPPED", "FIRST", "TOUCHED", "attack", "honest", "66.7", "50.0"):
        assert word in result.stdout


def test_a_trace_without_a_fitting_verdict_is_named_and_left_out(
    files: tuple[Path, Path],
) -> None:
    traces, verdicts = files
    lines = verdicts.read_text().splitlines()
    verdicts.write_text("\n".join([*lines[1:4], verdict("fine", "allow"), "{"]))
    result = run(traces, "--verdicts", verdicts, "--json")
    assert result.exit_code == 3
    found = figures(result, "verdicts")
    assert found["overall"]["touched"] is None  # neither honest row could be used
    assert found["overall"]["effect"]["total"] == 3
    for word in ("held", "fine", f"{verdicts}:5"):
        assert word in result.stderr


def test_without_verdicts_the_guard_decides(files: tuple[Path, Path]) -> None:
    result = run(files[0], "--json")
    assert result.exit_code == 0, result.output
    found = figures(result, "guard")
    assert sum(found["actions"].values()) == 9
    assert found["overall"]["touched"]["total"] == 2


def test_a_recording_without_the_attackers_tool_is_pointed_out(tmp_path: Path) -> None:
    """Such rows read as perfect results and say nothing about the guard."""
    traces = tmp_path / "t.jsonl"
    marked = json.loads(row("a", True))
    marked["tools"] = []
    traces.write_text(json.dumps(marked))
    assert "missing from the recorded toolset" in run(traces).stdout.replace("\n", " ")
    found = figures(run(traces, "--json"), "guard")["overall"]
    assert (found["effect"]["value"], found["by_registration"]) == (1.0, 1)


def test_unreadable_input_exits_with_2(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(tmp_path / "none.jsonl").exit_code == 2
    assert run(files[0], "--verdicts", tmp_path / "none.jsonl").exit_code == 2
    assert run(files[0], "--policy", tmp_path / "none.yaml").exit_code == 2
    assert run(files[0], "--subject", "R2").exit_code == 2
    assert run(files[0], files[0], "--verdicts", files[1]).exit_code == 2
    assert run(files[0], "--subject", "R1", "--verdicts", files[1]).exit_code == 2


def test_a_file_without_a_trace_exits_with_2(files: tuple[Path, Path], tmp_path: Path) -> None:
    """R146: a table of nothing reads as a result."""
    empty = tmp_path / "empty.jsonl"
    for text in ("", "\n\n", "not json\n"):
        empty.write_text(text)
        result = run(empty)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{empty}: no traces" in result.stderr
    assert f"{empty}:1" in result.stderr


def test_verdicts_that_fit_nothing_exit_with_2(files: tuple[Path, Path]) -> None:
    traces, verdicts = files
    verdicts.write_text(verdict("another", "allow"))
    result = run(traces, "--verdicts", verdicts)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{verdicts}: no verdict fits a trace of {traces}" in result.stderr


def test_long_kinds_are_whole_at_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R146: a name that has no room beside its figures has a line of its own."""
    traces, kind = tmp_path / "t.jsonl", "observation_prompt_injection"
    traces.write_text(row("a", True, kind=kind))
    for width in (80, 120):
        monkeypatch.setattr(console.out, "width", width)
        lines = run(traces).stdout.splitlines()
        assert max(map(len, lines)) <= width
        (line,) = [line for line in lines if kind in line]
        assert ("[" in line) == (width == 120)
        assert "1 trace;" in lines[0]


def test_guard_and_baselines_stand_side_by_side(files: tuple[Path, Path]) -> None:
    """The issue: the baseline lines computed in the same run, and what they embed with said."""
    every = ("--subject", "all", "--embedder", "static")
    result = run(files[0], *every, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (found,) = document["files"]
    names = ["guard", "R1", "R3", "R5", "D1", "A0", "A1", "A2", "A7", "T5"]
    assert list(found["subjects"]) == names
    assert document["embedder"] == "static"
    assert {sum(line["actions"].values()) for line in found["subjects"].values()} == {9}
    shown = run(files[0], *every).stdout
    for name in (*names, "CONTAINED", "TOUCHED", "embed with static"):
        assert name in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_person_and_grants_are_taken_and_said(files: tuple[Path, Path], tmp_path: Path) -> None:
    grants = tmp_path / "grants.yaml"
    entry = "{{instruction: {}, grants: [{{source: send_email, effects: [send], reason: r}}]}}"
    said = [entry.format(text) for text in ("mail a@b.org", "another")]
    grants.write_text("tasks:\n- " + "\n- ".join(said))
    options = ("--person", "grants", "--grants", grants)
    result = run(files[0], *options, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["person"] == "grants"
    assert document["grants"] == {"file": str(grants), "tasks": 2, "met": 1}
    assert "1 of 2 instructions" in result.stderr
    assert "counts as held" in run(files[0], *options).stdout


def test_wrong_persons_and_grants_exit_with_2(files: tuple[Path, Path], tmp_path: Path) -> None:
    grants = tmp_path / "grants.yaml"
    grants.write_text("tasks:\n- {instruction: a}")
    assert run(files[0], "--person", "everybody").exit_code == 2
    result = run(files[0], "--grants", grants)
    assert result.exit_code == 2
    assert f"{grants}:2" in result.stderr
    assert run(files[0], "--verdicts", files[1], "--person", "answers").exit_code == 2


def test_holds_are_told_per_row_and_per_touched_row(files: tuple[Path, Path]) -> None:
    found = figures(run(files[0], "--verdicts", files[1], "--json"), "verdicts")["overall"]
    assert (found["holds"]["total"], found["holds"]["rows"]) == (1, 2)
    assert found["holds_touched"]["value"] == 1.0
    assert (found["blocked"]["value"], found["asked"]["value"]) == (0.0, 0.5)


def test_several_files_have_a_summary_with_one_line_each(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    second = tmp_path / "second.jsonl"
    second.write_text(row("fine", False, kind="honest"))
    result = run(files[0], second)
    assert result.exit_code == 0, result.output
    summary = result.stdout.split("All files, guard:")[1].splitlines()
    assert [line.split()[:2] for line in summary[2:]] == [["t", "5"], ["second", "1"]]


def test_the_markdown_table_has_a_line_per_file_and_subject(files: tuple[Path, Path]) -> None:
    result = run(files[0], files[0], "-s", "R1", "-s", "R5", "--markdown")
    head, rule, *lines = result.stdout.splitlines()
    assert {line.count("|") for line in (head, rule, *lines)} == {18}
    assert [line.split("|")[2].strip() for line in lines] == ["R1", "R5", "R1", "R5"]
    assert "EFFECT" in head

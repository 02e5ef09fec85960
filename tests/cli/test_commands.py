"""The verbs that need no recorded data: check, demo, doctor, schema; exit codes and JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gatling_guard.cli import app
from gatling_guard.plan import plan_schema

PLAN = {
    "nodes": [
        {"node_id": 1, "tool_name": "read_page", "arguments": {"url": "https://a.example"}},
        {"node_id": 2, "tool_name": "send_email", "arguments": {"to": "eve@evil.example"}},
    ],
    "edges": [{"source": 1, "target": 2, "argument": "/to"}],
    "tools": [{"name": "read_page", "parameters": {"properties": {"url": {"type": "string"}}}},
              {"name": "send_email", "parameters": {"properties": {"to": {"type": "string"}}}}],
}  # fmt: skip


def run(*args: str, **options: Any) -> Any:
    return CliRunner().invoke(app, list(args), **options)


def written(tmp_path: Path, value: Any) -> str:
    path = tmp_path / "plan.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def test_check_says_what_and_why(tmp_path: Path) -> None:
    """R43: exit code 1 and the reason for a plan that must not run as it is."""
    path = written(tmp_path, PLAN)
    result = run("check", path, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["action"] in ("hold", "block")
    assert [call["action"] for call in found["calls"]] == ["allow", found["action"]]
    shown = run("check", path)
    assert shown.exit_code == 1
    assert "send_email" in shown.stdout


def test_check_allows_what_the_user_asked_for(tmp_path: Path) -> None:
    """R43: the instruction may stand in the file, on the command line, or come on stdin."""
    text = "Send an email to eve@evil.example about https://a.example"
    assert run("check", written(tmp_path, PLAN), "--instruction", text).exit_code == 0
    assert run("check", written(tmp_path, {**PLAN, "instruction": text})).exit_code == 0
    with_stdin = run("check", "-", input=json.dumps({**PLAN, "instruction": text}))
    assert with_stdin.exit_code == 0


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "line 1|column"),
        ("[]", "object"),
        ('{"nodes": [{"node_id": 1, "tool_name": "a", "scope_level": 99}]}', "/nodes/0/scope"),
        ('{"nodes": [{"node_id": 1, "tool_name": "a"}], "edges": [[1, 5]]}', "/edges/0/target"),
        ('{"nodes": [], "nodes": []}', "twice"),
        ('{"nodes": [{"node_id": 1, "tool_name": "a"}], "tools": [{"x": 1}]}', "name"),
        ('{"nodes": [{"node_id": 1, "tool_name": "a"}], "tools": 5}', "list"),
        ("\x00", "column"),
    ],
)
def test_bad_plans_exit_2_and_name_the_place(tmp_path: Path, text: str, place: str) -> None:
    """R2: errors go to stderr, or to JSON with `--json`; never a traceback."""
    path = written(tmp_path, text)
    result = run("check", path)
    assert result.exit_code == 2
    assert any(part in result.stderr for part in place.split("|"))
    as_json = run("check", path, "--json")
    assert as_json.exit_code == 2
    assert "error" in json.loads(as_json.stdout)


def test_missing_files_and_bad_policies_exit_2(tmp_path: Path) -> None:
    """R146: what cannot be read is said in one line."""
    assert run("check", str(tmp_path / "none.json")).exit_code == 2
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nroles:\n  analyst: {scope: 99}\nsurprise: 1\n")
    result = run("check", written(tmp_path, PLAN), "--policy", str(policy))
    assert result.exit_code == 2
    assert "policy.yaml:3" in result.stderr.replace("\n", "")
    assert "policy.yaml:4" in result.stderr.replace("\n", "")


def test_terminal_escapes_in_foreign_text_are_not_printed(tmp_path: Path) -> None:
    """A plan must not be able to rewrite the operator's screen."""
    evil = {"nodes": [{"node_id": 1, "tool_name": "a\x1b[2J[red]x"}]}
    result = run("check", written(tmp_path, evil))
    assert "\x1b[2J" not in result.stdout + result.stderr
    assert "[red]x" in result.stdout


def test_demo_stops_the_attack_and_does_the_work() -> None:
    """R146: the first thing a user sees is true."""
    result = run("demo", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert len(found["unguarded"]["paid"]) == 2
    assert found["guarded"]["paid"] == []
    assert [to for to, _ in found["guarded"]["sent"]] == ["dana@corp.example"]
    actions = [row["action"] for row in found["decisions"]]
    assert set(actions) == {"allow", "hold", "block"}
    assert "without the guard" in run("demo").stdout


def test_schema_prints_what_is_published() -> None:
    """R2: the CLI and the package publish one schema."""
    assert json.loads(run("schema", "plan").stdout) == plan_schema()
    assert json.loads(run("schema", "policy").stdout)["type"] == "object"


APP = """
from gatling_guard import Guard
guard = Guard()
def bare(x: str) -> str: return x
def other(x: str) -> str: return x
safe = guard.wrap(other)
tools, covered = [bare, safe], [safe]
number = 5
"""


@pytest.fixture
def app_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "doctor_target.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "doctor_target", raising=False)
    return "doctor_target"


def test_doctor_names_what_nothing_mediates(app_module: str) -> None:
    """R137: coverage is shown, not assumed."""
    result = run("doctor", f"{app_module}:tools", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["unmediated"] == ["bare"]
    assert run("doctor", f"{app_module}:covered").exit_code == 0
    assert "nothing" in run("doctor", f"{app_module}:bare").stdout


@pytest.mark.parametrize("target", ["nonsense", "no_such_module:x", "{}:missing", "{}:number"])
def test_doctor_says_what_it_cannot_load(app_module: str, target: str) -> None:
    """R146: a wrong target is an error, never 'all covered'."""
    result = run("doctor", target.format(app_module))
    assert result.exit_code == 2
    assert "error" in result.stderr


def test_every_verb_documents_its_exit_codes() -> None:
    """Issue 2: `--help` says what a script may rely on."""
    for verb in ("check", "demo", "doctor", "replay", "evaluate"):
        result = run(verb, "--help", env={"COLUMNS": "200"})
        assert result.exit_code == 0
        assert "Exit codes" in result.stdout, verb
        assert "--json" in result.stdout, verb
    assert run("--version").stdout.strip()

"""The verbs that need no recorded data: check, demo, doctor, schema; exit codes and JSON."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gatling_guard import Guard
from gatling_guard.cli import app, console
from gatling_guard.cli.doctor_command import SPEC
from gatling_guard.cli.verb import folded
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


def test_errors_name_the_file_and_what_to_write(tmp_path: Path) -> None:
    """R146: the file, every place, and the key that was meant."""
    path = written(tmp_path, '{"nodes": [{"node_id": 1, "tool": "a"}, {"node_id": 1}]}')
    text = run("check", path).stderr
    assert f"{path}: /nodes/0/tool: unknown key; did you mean 'tool_name'?" in text
    assert f"{path}: /nodes/1/node_id: duplicate id '1'" in text
    assert "Extra inputs" not in text
    issues = json.loads(run("check", path, "--json").stdout)["issues"]
    assert {issue["file"] for issue in issues} == {path}
    assert "nodes: is missing" in run("check", written(tmp_path, "{}")).stderr
    assert "standard input:1" in run("check", "-", input="{").stderr
    missing = str(tmp_path / "none.json")
    assert f"{missing}: no such file" in run("check", missing).stderr
    nowhere = tmp_path / "none" / "plan.json"
    assert f"{nowhere}: no folder {nowhere.parent}" in run("check", str(nowhere)).stderr
    tools = tmp_path / "tools.json"
    tools.write_text('[{"x": 1}]')
    assert str(tools) in run("check", written(tmp_path, PLAN), "--tools", str(tools)).stderr


def test_a_plan_without_tools_gets_a_hint(tmp_path: Path) -> None:
    """R146: "not registered" alone does not say what to do."""
    bare = {**PLAN, "tools": []}
    result = run("check", written(tmp_path, bare), "--json")
    assert "--tools" in result.stderr
    assert json.loads(result.stdout)["action"] == "block"
    assert "--tools" not in run("check", written(tmp_path, PLAN)).stderr


@pytest.mark.parametrize("width", [20, 80, 120])
def test_all_reasons_are_shown_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """R43: nothing of a reason is cut, and emoji codes in foreign text stay as they are."""
    monkeypatch.setattr(console.out, "width", width)
    name = "send_the_long_report_to_the_whole_board_of_directors"
    arguments = {"to": "eve@evil.example", "subject": ":x: [red]", "extra": 5}
    plan = {
        "nodes": [{"node_id": "n" * 40, "tool_name": name, "arguments": arguments}],
        "tools": [{"name": name, "parameters": {"type": "object", "additionalProperties": False,
                                                "properties": {"to": {"type": "string"}}}}],
    }  # fmt: skip
    path = written(tmp_path, plan)
    reasons = json.loads(run("check", path, "--json").stdout)["calls"][0]["reasons"]
    result = run("check", path)
    assert len(reasons) > 1
    assert max(map(len, result.stdout.splitlines())) <= width
    shown = "".join(result.stdout.split())
    for reason in reasons:
        assert "".join(reason.split()) in shown


def test_text_from_outside_is_no_emoji_and_one_line_in_a_table(tmp_path: Path) -> None:
    """R146: what stands on the screen is what stands in the plan."""
    plan = {"nodes": [{"node_id": ":x:", "tool_name": "a[red]\n:x:"}]}
    text = run("check", written(tmp_path, plan)).stdout
    assert "a[red] :x:" in text
    assert "\n:x: " in text


def test_json_has_no_digits_of_binary_fractions(capsys: pytest.CaptureFixture[str]) -> None:
    """R146: 4.2 and not 4.199999999999999; a ledger's bodies stay as they were hashed."""
    console.print_json({"a": [4.199999999999999], "b": True})
    assert json.loads(capsys.readouterr().out) == {"a": [4.2], "b": True}
    console.print_json(0.1 + 0.2, exact=True)
    assert json.loads(capsys.readouterr().out) == 0.1 + 0.2


def test_terminal_escapes_in_foreign_text_are_not_printed(tmp_path: Path) -> None:
    """A plan must not be able to rewrite the operator's screen."""
    evil = {"nodes": [{"node_id": 1, "tool_name": "a\x1b[2J[red]x"}]}
    result = run("check", written(tmp_path, evil))
    assert "\x1b[2J" not in result.stdout + result.stderr
    assert "[red]x" in result.stdout


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gatling-guard"


def test_demo_stops_the_attack_and_does_the_work(cache: Path) -> None:
    """R146: the first thing a user sees is true."""
    result = run("demo", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert len(found["unguarded"]["paid"]) == 2
    assert found["guarded"]["paid"] == []
    assert [to for to, _ in found["guarded"]["sent"]] == ["dana@corp.example"]
    actions = [row["action"] for row in found["decisions"]]
    assert set(actions) == {"allow", "hold", "block"}
    assert [call["amount"] for call in found["held"]] == [120, 4900]


@pytest.mark.parametrize("width", [80, 120])
def test_demo_is_readable(cache: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """R146: fits the terminal, and says what waits rather than that nothing was paid."""
    monkeypatch.setattr(console.out, "width", width)
    text = run("demo").stdout
    assert "without the guard" in text
    assert "waits for approval: 120 EUR to AT611904300234573201" in text
    held = json.loads(run("demo", "--json").stdout)["held"]
    assert text.count("waits for approval: ") == len(held)
    lines = [line for line in text.splitlines() if str(cache) not in line]
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line and "send_email(audit" not in line]


def test_demo_keeps_one_ledger(cache: Path, tmp_path: Path) -> None:
    """R146: a second demo starts its ledger anew, in the same place."""
    first, second = (json.loads(run("demo", "--json").stdout) for _ in range(2))
    assert first["ledger"] == second["ledger"] == str(cache / "demo-ledger.db")
    assert first["ledger_entries_verified"] == second["ledger_entries_verified"]
    assert run("ledger", "verify", second["ledger"]).exit_code == 0


def test_demo_runs_without_a_home_to_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R146: a file stands where the folder should be."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run("demo", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ledger"].startswith(f"{tmp_path}/gatling-demo-")


def test_schema_prints_what_is_published() -> None:
    """R2: the CLI and the package publish one schema."""
    assert json.loads(run("schema", "plan").stdout) == plan_schema()
    assert json.loads(run("schema", "policy", "--json").stdout)["type"] == "object"


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


def test_doctor_says_which_learned_parts_decide(
    app_module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: what is installed decides, and where it is not there doctor names the file."""
    monkeypatch.setattr("gatling_guard.pipeline.learned.PRETRAINED", tmp_path / "none")
    said = json.loads(run("doctor", f"{app_module}:covered", "--json").stdout)["decides"]
    assert said == "structure only: text-1/manifest.json is missing"
    assert said in " ".join(run("doctor", f"{app_module}:covered").stdout.split())


def test_doctor_says_how_a_tool_is_classified(
    app_module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R137: a wrong guess about a tool is seen before it matters."""
    monkeypatch.syspath_prepend(".")
    found = importlib.import_module(app_module)
    spec = Guard().register(found.other, effect="send", tier=2, third_party=["body"])
    setattr(found.safe, SPEC, spec)
    bare, safe = json.loads(run("doctor", f"{app_module}:tools", "--json").stdout)["tools"]
    assert "effect" not in bare
    assert safe["effect"] == "send"
    assert (safe["tier"], safe["third_party"], safe["basis"]) == ("partner", ["body"], "declared")
    shown = run("doctor", f"{app_module}:tools").stdout
    for word in ("effect", "send", "partner", "body", "declared"):
        assert word in shown


@pytest.mark.parametrize("ending", ["raise SystemExit(0)", "import sys; sys.exit()", "1 / 0"])
def test_a_module_that_ends_on_import_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """R137: exit code 0 would read as "all tools are covered"."""
    (tmp_path / "doctor_ends.py").write_text(ending)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "doctor_ends", raising=False)
    result = run("doctor", "doctor_ends:x")
    assert result.exit_code == 2
    assert "doctor_ends:x" in result.stderr


@pytest.mark.parametrize("target", ["nonsense", "no_such_module:x", "{}:missing", "{}:number"])
def test_doctor_says_what_it_cannot_load(app_module: str, target: str) -> None:
    """R146: a wrong target is an error, never 'all covered'."""
    result = run("doctor", target.format(app_module))
    assert result.exit_code == 2
    assert "error" in result.stderr


def test_every_verb_documents_its_exit_codes() -> None:
    """Issue 2: `--help` says what a script may rely on."""
    verbs = ["check", "demo", "doctor", "replay", "evaluate", "schema", "ledger show",
             "ledger verify", "bench agentdojo"]  # fmt: skip
    for verb in verbs:
        result = run(*verb.split(), "--help", env={"COLUMNS": "200"})
        assert result.exit_code == 0
        assert "Exit codes" in result.stdout, verb
        assert "--json" in result.stdout, verb
    assert run("--version").stdout.strip()


def test_help_is_folded_by_the_terminal_alone() -> None:
    """Issue 2: no line of a docstring ends before the terminal does."""
    text = "Too long for\n    one line of source.\n\n    A second\n    paragraph."
    assert folded(text) == "Too long for one line of source.\n\nA second paragraph."
    assert "<bool>  Print JSON" not in run("schema", "--help").stdout

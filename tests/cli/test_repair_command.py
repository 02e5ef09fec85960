"""`gatling-guard repair`: what it shows, writes and answers; and `check` on the same plans."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gatling_guard.cli import app

PLANS = Path(__file__).resolve().parents[2] / "examples" / "plans"
POLICY = str(PLANS / "policy.yaml")
EXPORT = str(PLANS / "export.json")
ORDERS = str(PLANS / "orders.json")


def run(*args: str, **options: Any) -> Any:
    return CliRunner().invoke(app, list(args), env={"COLUMNS": "100"}, **options)


def in_json(*args: str) -> tuple[int, dict[str, Any]]:
    result = run(*args, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_repaired_plan_exits_0_and_passes_check_afterwards(tmp_path: Path) -> None:
    """R55: the plan that is written may run as it is, and only the limit differs."""
    out = tmp_path / "repaired.json"
    assert run("check", EXPORT, "-p", POLICY).exit_code == 1
    result = run("repair", EXPORT, "-p", POLICY, "--apply", str(out))
    assert result.exit_code == 0
    assert "REPAIRED  The plan may run with 1 edit." in result.stdout
    assert "- limit: 5000" in result.stdout
    assert "+ limit: 50" in result.stdout
    assert "proven minimal" in result.stdout
    assert run("check", str(out), "-p", POLICY).exit_code == 0
    before, after = json.loads(Path(EXPORT).read_text()), json.loads(out.read_text())
    assert after["tools"] == before["tools"]
    assert after["instruction"] == before["instruction"]
    assert [n["arguments"] for n in after["nodes"]] == [
        {"limit": 50}, before["nodes"][1]["arguments"],
    ]  # fmt: skip


def test_an_allowed_plan_is_left_alone(tmp_path: Path) -> None:
    """R55: nothing is edited where nothing is wrong; `--apply` then writes the plan itself."""
    data = json.loads(Path(EXPORT).read_text())
    data["nodes"][0]["arguments"]["limit"] = 20
    (tmp_path / "plan.json").write_text(json.dumps(data))
    out = tmp_path / "out.json"
    result = run("repair", str(tmp_path / "plan.json"), "-p", POLICY, "--apply", str(out))
    assert result.exit_code == 0
    assert "ALLOWED" in result.stdout
    assert json.loads(out.read_text())["nodes"][0]["arguments"] == {"limit": 20}


def test_what_waits_for_a_person_exits_1_and_writes_nothing(tmp_path: Path) -> None:
    """R62: a call that still waits is not run because somebody said yes to the rest."""
    out = tmp_path / "out.json"
    for extra in ((), ("--take-offer",)):
        result = run("repair", ORDERS, "-p", POLICY, "--apply", str(out), *extra)
        assert result.exit_code == 1
        assert "REPAIR OFFERED" in result.stdout
        assert "clean  delete_mail  waits for a person" in result.stdout
        assert "nothing is written" in result.stderr
        assert ("still waiting for a person: " in result.stderr) is bool(extra)
        assert not out.exists()


def without_the_deletion(tmp_path: Path) -> str:
    data = json.loads(Path(ORDERS).read_text())
    data["nodes"], data["edges"] = data["nodes"][:3], data["edges"][:1]
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(data))
    return str(path)


def test_an_offer_runs_only_with_a_persons_yes(tmp_path: Path) -> None:
    """R60: who gets a mail is not changed silently; `--take-offer` is the yes."""
    plan, out = without_the_deletion(tmp_path), tmp_path / "out.json"
    code, body = in_json("repair", plan, "--apply", str(out))
    assert (code, body["action"], body["offered"], body["runs"]) == (1, "hold", True, False)
    assert not out.exists()
    code, body = in_json("repair", plan, "--apply", str(out), "--take-offer")
    assert (code, body["offered"], body["runs"]) == (0, True, True)
    nodes = {node["node_id"]: node for node in json.loads(out.read_text())["nodes"]}
    assert nodes["send"]["arguments"]["to"] == ["dana@corp.example", "lee@corp.example"]
    assert run("check", str(out)).exit_code == 0


def test_explain_says_what_each_edit_removes() -> None:
    """R56, R57: the problem it removes, and an energy that falls."""
    result = run("repair", EXPORT, "-p", POLICY, "--explain")
    shown = " ".join(result.stdout.split())
    assert "removes orders: argument.maximum: /limit" in shown
    _, body = in_json("repair", EXPORT, "-p", POLICY)
    (edit,) = body["repair"]["edits"]
    assert edit["kind"] == "narrow"
    assert edit["energy_after"] < edit["energy_before"]
    assert edit["removes"][0].startswith("orders: argument.maximum")
    assert body["repair"]["machine"][0]["value"] == 50
    assert "removes" not in run("repair", EXPORT, "-p", POLICY).stdout


def test_the_page_shows_both_plans(tmp_path: Path) -> None:
    """Two drawings, the change, no script."""
    page = tmp_path / "page.html"
    assert run("repair", EXPORT, "-p", POLICY, "--html", str(page)).exit_code == 0
    text = page.read_text("utf-8")
    assert text.count("<figure>") == 2
    assert "<mark>5000</mark>" in text
    assert "<mark>50</mark>" in text
    assert "<script" not in text


def test_tools_may_come_from_recorded_traces(tmp_path: Path) -> None:
    """`--tools` takes a JSON list, or traces: those of the first one."""
    data = json.loads(Path(EXPORT).read_text())
    tools = data.pop("tools")
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(data))
    bare = run("repair", str(plan), "-p", POLICY)
    assert bare.exit_code == 1
    assert "--tools" in bare.stderr
    row = {"id": "t", "user_instruction": "x", "tools": tools, "steps": []}
    traces = tmp_path / "runs.jsonl.xz"
    traces.write_bytes(lzma.compress((json.dumps(row) + "\n").encode()))
    listed = tmp_path / "tools.json"
    listed.write_text(json.dumps(tools))
    for given in (traces, listed):
        assert run("repair", str(plan), "-p", POLICY, "--tools", str(given)).exit_code == 0
        assert "instruction" in json.loads(plan.read_text())
    (tmp_path / "none.jsonl").write_text("")
    none = run("repair", str(plan), "--tools", str(tmp_path / "none.jsonl"))
    assert none.exit_code == 2
    assert "none.jsonl: no trace" in none.stderr.replace("\n", "")


def test_a_policy_without_repairs_says_so(tmp_path: Path) -> None:
    """`mode: off`: refused as by `check`, with a hint."""
    policy = tmp_path / "policy.yaml"
    text = Path(POLICY).read_text().replace("repair:\n", "repair:\n  mode: off\n")
    policy.write_text(text)
    result = run("repair", EXPORT, "-p", str(policy))
    assert result.exit_code == 1
    assert "BLOCKED" in result.stdout
    assert "mode: off" in result.stderr


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "line 1|column"),
        ("[]", "object"),
        ('{"nodes": [{"node_id": 1, "tool_name": "a"}], "edges": [[1, 5]]}', "/edges/0/target"),
        ('{"nodes": [{"node_id": 1, "tool_name": "a"}], "tools": [{"x": 1}]}', "name"),
        ('{"nodes": [{"node_id": 1, "tool_name": "a"}], "tools": 5}', "list"),
    ],
)
def test_bad_input_exits_2_and_names_the_place(tmp_path: Path, text: str, place: str) -> None:
    """R2: errors go to stderr, or to JSON with `--json`; never a traceback."""
    path = tmp_path / "plan.json"
    path.write_text(text)
    result = run("repair", str(path))
    assert result.exit_code == 2
    assert any(part in result.stderr for part in place.split("|"))
    code, body = in_json("repair", str(path))
    assert code == 2
    assert "error" in body
    assert run("repair", str(tmp_path / "none.json")).exit_code == 2
    assert run("repair", EXPORT, "--seconds", "0").exit_code == 2
    assert run("repair", "-", "-p", POLICY, input=Path(EXPORT).read_text()).exit_code == 0

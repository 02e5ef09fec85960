"""`gatling-guard ledger`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gatling_guard.cli import console
from gatling_guard.cli.ledger_command import app
from gatling_guard.ledger import Ledger

KEY = "a key that is long enough"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    where = tmp_path / "ledger.db"
    with Ledger(where) as ledger:
        ledger.append("session", run_id="run-one", call_id=None, body={"role": "analyst"})
        for n, action in enumerate(("allow", "hold", "block")):
            body = {
                "action": action,
                "tool": "send_email",
                "energy": {"flow": 4.0, "total": 4.25 * n},
                "reasons": ["the recipient came from an untrusted span of read_inbox", "second"],
            }
            ledger.append("decision", run_id=f"run-{n}", call_id=f"c{n}", body=body)
        ledger.append("outcome", run_id="run-0", call_id="c0", body={"status": "ran"})
    return where


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def tamper(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER entry_update")
        db.execute("UPDATE entry SET run_id = 'x' WHERE seq = 2")
    db.close()


def test_show_prints_a_table_that_fits_100_columns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 100)
    result = run("show", path)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    text = " ".join(result.stdout.split())
    for word in ("seq", "time", "run-one", "analyst", "send_email", "allow", "hold", "block",
                 "8.50", "untrusted span of", "ran"):  # fmt: skip
        assert word in text, word
    assert "second" not in text


@pytest.mark.parametrize("width", [30, 80, 109, 160])
def test_show_cuts_no_reason_and_no_name_of_a_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """R146: what is cut ends in an ellipsis, and stands whole on a line of its own."""
    monkeypatch.setattr(console.out, "width", width)
    tool = "send_the_quarterly_report_to_everybody"
    reason = "body carries earlier output to 'eve@evil.example', which nobody named, and more of it"
    with Ledger(tmp_path / "l.db") as ledger:
        body = {"action": "block", "tool": tool, "reasons": [reason], "energy": {"total": 9}}
        ledger.append("decision", run_id="r" * 30, call_id=None, body=body)
    text = run("show", tmp_path / "l.db").stdout
    assert max(map(len, text.splitlines())) <= width
    whole = "".join(text.split())
    assert tool in whole
    assert "".join(reason.split()) in whole
    if width >= 80:
        assert f"    {tool}\n" in "".join(f"{line.rstrip()}\n" for line in text.splitlines())
        assert "r" * 9 + "…" in text


def test_show_says_that_nothing_matched(path: Path) -> None:
    """R146: an empty table could also mean an empty ledger."""
    result = run("show", path, "--kind", "nope")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no entry of kind 'nope'" in result.stderr
    result = run("show", path, "--run", "nobody", "--kind", "decision", "--json")
    assert json.loads(result.stdout)["entries"] == []
    assert "no entry of run 'nobody' and kind 'decision'" in result.stderr
    assert run("show", path).stderr == ""


def test_show_filters(path: Path) -> None:
    def seqs(*options: str) -> list[int]:
        result = run("show", path, "--json", *options)
        assert result.exit_code == 0
        return [entry["seq"] for entry in json.loads(result.stdout)["entries"]]

    assert seqs() == [1, 2, 3, 4, 5]
    assert seqs("--run", "run-0") == [2, 5]
    assert seqs("--kind", "decision", "--limit", "2") == [3, 4]
    assert seqs("--run", "nobody") == []


def test_text_from_outside_moves_no_cursor_and_is_no_markup(tmp_path: Path) -> None:
    """A reason may quote what an attacker wrote."""
    evil = "\x1b[2J\x1b[1;1H[red]fake[/red] [/] \u202egnorw\u202c\r\x07"
    with Ledger(tmp_path / "l.db") as ledger:
        body = {"action": evil, "tool": evil, "reasons": [evil], "energy": {"total": "[/x]"}}
        ledger.append("decision", run_id=evil, call_id=None, body=body)
    result = run("show", tmp_path / "l.db")
    assert result.exit_code == 0
    assert not {"\x1b", "\r", "\x07", "\u202e"} & set(result.stdout)
    assert "[red]" in "".join(result.stdout.split())


def test_show_takes_bodies_of_any_shape(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db") as ledger:
        for body in (
            {},
            {"energy": 3},
            {"energy": True, "reasons": "x"},
            {"reasons": [None], "tool": 5},
        ):
            ledger.append("note", run_id="r", call_id=None, body=body)
    assert run("show", tmp_path / "l.db").exit_code == 0


def test_verify_says_count_and_head(path: Path) -> None:
    result = run("verify", path, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["ok"], found["count"], found["hash"]) == (True, 5, "sha256")
    assert run("verify", path, "--expect-head", found["head"]).exit_code == 0
    assert found["head"] in run("verify", path).stdout


def test_verify_finds_tampering_with_exit_code_1(path: Path) -> None:
    tamper(path)
    result = run("verify", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "entry 2" in result.stderr
    result = run("verify", path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["seq"] == 2


def test_verify_finds_a_cut_tail(path: Path) -> None:
    head = json.loads(run("verify", path, "--json").stdout)["head"]
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER entry_delete")
        db.execute("DELETE FROM entry WHERE seq = 5")
    db.close()
    assert run("verify", path).exit_code == 0
    assert run("verify", path, "--expect-head", head).exit_code == 1


def test_show_of_a_ledger_that_cannot_be_shown_exits_with_1(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER entry_update")
        db.execute("UPDATE entry SET body = '[]' WHERE seq = 2")
    db.close()
    result = run("show", path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["seq"] == 2


@pytest.mark.parametrize("verb", ["show", "verify"])
@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_no_ledger_exits_with_2(verb: str, as_json: bool, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but some text" * 50)
    (tmp_path / "empty").touch()
    for name in ("missing", "text", "empty", "."):
        result = run(verb, tmp_path / name, *(["--json"] if as_json else []))
        assert result.exit_code == 2, name
        assert str(tmp_path) in (result.stdout if as_json else result.stderr).replace("\n", "")
        if as_json:
            assert json.loads(result.stdout)["error"]
    assert not (tmp_path / "missing").exists()


def test_wrong_usage_exits_with_2(path: Path) -> None:
    assert run("verify", path, "--expect-head", "xyz").exit_code == 2
    assert run("show", path, "--limit", "0").exit_code == 2
    assert run("show").exit_code == 2


def test_a_ledger_under_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(tmp_path / "l.db", key=KEY) as ledger:
        ledger.append("session", run_id="r", call_id=None, body={})
    assert run("show", tmp_path / "l.db").exit_code == 0
    assert run("verify", tmp_path / "l.db").exit_code == 2
    monkeypatch.setenv("GATLING_LEDGER_KEY", KEY)
    result = run("verify", tmp_path / "l.db", "--json")
    assert (result.exit_code, json.loads(result.stdout)["hash"]) == (0, "hmac-sha256")
    monkeypatch.setenv("GATLING_LEDGER_KEY", KEY + "!")
    assert run("verify", tmp_path / "l.db").exit_code == 1
    monkeypatch.setenv("GATLING_LEDGER_KEY", "short")
    assert run("verify", tmp_path / "l.db").exit_code == 2


def test_show_leads_to_explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R143, R146: shadow mode, references, digests and roles, and nothing at the ends of lines."""
    monkeypatch.setattr(console.out, "width", 80)
    where = tmp_path / "l.db"
    with Ledger(where) as ledger:
        body = {"action": "allow", "would": "block", "mode": "shadow", "tool": "send_email",
                "decision_id": "1cb70b54aa", "reasons": ["a reason " * 20]}  # fmt: skip
        ledger.append("session", run_id="r", call_id=None, body={"role": "clerk"})
        ledger.append("decision", run_id="r", call_id="c", body=body)
        held = {"action": "hold", "tool": "pay", "decision_id": "2db70b54aa", "hold_id": "0f0f"}
        ledger.append("decision", run_id="r", call_id="d", body=held, ref="0f0f")
        changed = {"policy": "ab12", "before": "cd34"}
        ledger.append("policy", run_id="-", call_id=None, body=changed)
        ledger.append("decision", run_id="r", call_id="e", body={"energy": {"total": 1e308}})
    text = run("show", where).stdout
    for part in ("allow (would block)", "ref 1cb70b54", "ref 2db70b54, hold 0f0f", "role clerk",
                 "policy ab12, before cd34", "send_email", ">1e9"):  # fmt: skip
        assert part in text, part
    lines = text.split("\n")
    assert all(line == line.rstrip() for line in lines)
    assert max(map(len, lines)) <= 80

"""`gatling-guard bench agentdojo`, through the command line, with the real guard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatling_guard.cli.bench_command import app

pytest.importorskip("agentdojo", reason="needs the extra [bench]")
runner = CliRunner()
SMALL = ["agentdojo", "--suite", "banking", "--attack", "direct", "--limit", "2"]


def test_the_report_holds_unguarded_and_guarded_figures(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = runner.invoke(app, [*SMALL, "--json", "--out", str(report)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(report.read_text())
    found = json.loads(result.stdout)["subjects"]["guard"]
    benign, attack = found["benign"]["all"], found["attacks"]["direct"]["all"]
    assert (benign["tasks"], benign["useful_unguarded"]) == (2, 2)
    assert benign["useful"] <= benign["useful_answered"] <= 2
    assert 0 < attack["succeed_unguarded"] <= attack["attempted"] == 18
    assert attack["stopped"] == attack["succeed_unguarded"] - len(found["missed"])
    assert set(found["benign"]) == {"banking", "all"}


def test_the_tables_fit_a_terminal_of_80_columns() -> None:
    result = runner.invoke(app, SMALL)
    assert result.exit_code == 0, result.output
    for word in (
        "honest",
        "banking",
        "unguarded",
        "succeed",
        "stopped*",
        "+ useful*",
        "holds per task",
    ):
        assert word in result.stdout
    assert "…" not in result.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        ["--suite", "moon"],
        ["--attack", "kind"],
        ["--policy", "/nowhere.yaml"],
        ["--subject", "R2"],
        ["--position", "middle"],
        ["--repair", "perhaps"],
        ["--repair", "both", "--subject", "R1"],
    ],
)
def test_wrong_usage_exits_with_2(wrong: list[str]) -> None:
    assert runner.invoke(app, ["agentdojo", *wrong]).exit_code == 2


def test_subjects_are_shown_side_by_side() -> None:
    result = runner.invoke(app, [*SMALL, "--subject", "R1", "--subject", "D1"])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()[1:3]] == ["R1", "D1"]
    assert "…" not in result.stdout


def test_attribution_lines_run_live_and_name_their_embedder() -> None:
    lines = ["--subject", "A0", "--subject", "A1", "--embedder", "static"]
    result = runner.invoke(app, [*SMALL, *lines, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["embedder"] == "static"
    stopped = [found["attacks"]["direct"]["all"] for found in document["subjects"].values()]
    assert all(tally["stopped"] > 0 for tally in stopped)


def test_the_guard_with_repairs_stands_beside_the_same_without() -> None:
    travel = ["agentdojo", "--suite", "travel", "--attack", "direct", "--limit", "1"]
    result = runner.invoke(app, [*travel, "--repair", "both", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert list(document["subjects"]) == ["guard", "guard-norepair"]
    alone, answered = document["repairs"]
    assert (alone["person"], answered["person"]) == ("alone", "answered")
    for line in (alone, answered):
        assert line["let_through"] == []
        more = len(line["gained"]) - len(line["lost"])
        assert line["useful_and_stopped"] == line["useful_and_stopped_off"] + more

"""Rows made of scenario files: what each kind holds, that it is read back, that it repeats."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatling_guard.cli import app
from gatling_guard.trace import RecordedTrace, read_traces
from gatling_guard.training.attack_forms import FORMS, Side
from gatling_guard.training.scenario_files import read_world
from gatling_guard.training.scenario_rows import (
    labelled_rows,
    main,
    scenario_rows,
    unsourced,
    write_rows,
)
from gatling_guard.training.scenario_types import ScenarioWorld
from gatling_guard.training.traces import divided

WORLD = Path(__file__).with_name("worlds") / "tea-room.yaml"


@lru_cache
def world() -> ScenarioWorld:
    return read_world(WORLD)


@lru_cache
def made(side: Side = "all", *, per_attack: int = 50, seed: int = 0) -> list[RecordedTrace]:
    return list(scenario_rows([world()], side=side, per_attack=per_attack, seed=seed))


def of_kind(rows: list[RecordedTrace], kind: str) -> list[RecordedTrace]:
    return [row for row in rows if row.meta["kind"] == kind]


def test_rows_are_those_of_the_trace_format(tmp_path: Path) -> None:
    rows = made(per_attack=2)
    for name in ("rows.jsonl", "rows.jsonl.xz"):
        counts = write_rows(tmp_path / name, rows)
        again = list(read_traces(tmp_path / name))
        assert [row.to_row() for row in again] == [row.to_row() for row in rows]
    assert counts == {
        "benign": 2, "injection_resisted": 8, "attack_succeeded": 8,
        "injection_goal_as_user_task": 3,
    }  # fmt: skip
    assert len({row.id for row in rows}) == len(rows)
    assert {row.source for row in rows} == {"scenarios"}
    assert {row.label for row in of_kind(rows, "attack_succeeded")} == {"attack"}
    assert sum(row.label == "attack" for row in rows) == 8
    for row in rows:
        assert (row.meta["suite"], row.meta["user_task"]) == ("tea-room", row.meta["scenario"])
        assert row.meta["delegated"] == (row.meta["scenario"] == "pay-roaster")


def test_no_row_holds_a_marker() -> None:
    assert not any("{{inject}}" in json.dumps(row.to_row()) for row in made())


def test_an_honest_row_is_the_run_without_a_strangers_text() -> None:
    rows = of_kind(made(), "benign")
    outputs = [str(step.output) for step in rows[0].steps]
    assert outputs[1] == "Bill 2210. 12 kg house blend, 184.50 EUR. Account GB11 HILL 0000 7712."
    assert json.loads(outputs[0])[1]["body"] == 'See you at "five".'
    assert [s.meta["output_untrusted"] for s in rows[0].steps] == [True, True, None, None]


def test_attacked_and_resisted_rows_are_pairs_with_one_text() -> None:
    rows = made()
    honest = {row.meta["scenario"]: row for row in of_kind(rows, "benign")}
    pairs = zip(of_kind(rows, "injection_resisted"), of_kind(rows, "attack_succeeded"), strict=True)
    for resisted, obeyed in pairs:
        assert resisted.meta["injections"] == obeyed.meta["injections"]
        run = honest[resisted.meta["scenario"]].steps
        assert [(s.tool, s.arguments) for s in resisted.steps] == [
            (s.tool, s.arguments) for s in run
        ]
        own = [s for s in obeyed.steps if s.malicious is not False]
        kept = [s for s in obeyed.steps if s.malicious is False]
        first = obeyed.steps.index(own[0])
        assert [(s.tool, s.arguments) for s in kept] == [
            (s.tool, s.arguments) for s in run[: len(kept)]
        ]
        injected = obeyed.meta["injected_steps"]
        assert max(injected) < first
        for i, step in enumerate(run):
            assert (resisted.steps[i].output != step.output) == (i in injected)


def test_the_text_is_found_again_by_its_label() -> None:
    rows = [row for row in made() if "injections" in row.meta]
    for row in labelled_rows(rows):
        assert len(row.injected) == len(row.trace.meta["injections"])
        assert row.goal


def test_half_of_the_attacked_runs_go_on() -> None:
    rows = [r for r in of_kind(made(), "attack_succeeded") if r.meta["scenario"] == "pay-roaster"]
    counts = Counter(row.steps[-1].malicious for row in rows)
    assert abs(counts[False] - counts[True]) <= 3
    assert None not in counts


def test_what_the_user_asks_for_himself() -> None:
    asked = {row.id.split("/", 3)[3]: row for row in of_kind(made(), "injection_goal_as_user_task")}
    assert set(asked) == {"0-other-goal/asked", "1-masquerade/asked_too", "2-reversible/asked"}
    alone = asked["0-other-goal/asked"]
    assert alone.instruction.startswith("Send the text of document D-12")
    assert [step.tool for step in alone.steps] == ["get_document", "send_mail"]
    both = asked["1-masquerade/asked_too"]
    assert both.instruction.endswith("Pay the deposit of 90.00 EUR to GB44 CUPS 0000 1199 as well.")
    assert [step.tool for step in both.steps] == [
        "read_mail", "get_document", "pay_bill", "pay_bill", "add_note",
    ]  # fmt: skip
    # The number of the delivery stands in the mail, so that is read first.
    assert [step.tool for step in asked["2-reversible/asked"].steps] == ["read_mail", "add_note"]
    assert not any(step.malicious for row in asked.values() for step in row.steps)
    # "Send me ..." means its author, so no user is made to say it.
    assert not any(row.meta["scenario"] == "read-diary-mail" for row in asked.values())


def test_the_sides_share_no_family() -> None:
    families = {
        side: {row.meta["wording"] for row in made(side) if "wording" in row.meta}
        for side in ("train", "test")
    }
    assert not families["train"] & families["test"]
    assert families["train"] | families["test"] <= {form.family for form in FORMS}
    assert min(map(len, families.values())) >= 12


def test_a_world_can_be_held_out() -> None:
    rows = labelled_rows(made(per_attack=1))
    train, held = divided(rows, "tea-room")
    assert not train
    assert held == rows
    assert {row.task for row in rows} == {"tea-room/pay-roaster", "tea-room/read-diary-mail"}


def test_other_seeds_give_other_texts() -> None:
    first, second = ({str(r.meta.get("injections")) for r in made(seed=s)} for s in (0, 1))
    assert first != second


def test_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    digests = set()
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.jsonl"
        command = (sys.executable, "-m", "gatling_guard.training.scenario_rows",
                   "--scenarios", str(WORLD), "--out", str(out), "--wordings", "all")  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}, check=True
        )
        assert b"1 worlds, 2 scenarios, 4 attacks" in done.stdout
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_evaluate_takes_the_rows(tmp_path: Path) -> None:
    """`gatling-guard evaluate` counts every row, and the calls that are known to be malicious."""
    write_rows(tmp_path / "rows.jsonl", made(per_attack=1))
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "rows.jsonl"), "--json"])
    assert done.exit_code == 0, done.output
    assert '"attack_succeeded"' in done.stdout


def test_slips_of_authors_are_told(tmp_path: Path) -> None:
    path = tmp_path / "tea-room.yaml"
    text = WORLD.read_text(encoding="utf-8")
    path.write_text(text.replace("iban: GB44 CUPS 0000 1199", "iban: GB44CUPS00001190"), "utf-8")
    assert not [line for s in read_world(WORLD).scenarios for line in unsourced(s)]
    assert "attack 2, pay_bill: GB44CUPS00001190" in [
        line for scenario in read_world(path).scenarios for line in unsourced(scenario)
    ]


def test_a_broken_file_ends_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.yaml").write_text("world: one", encoding="utf-8")
    assert main(["--scenarios", str(tmp_path), "--out", str(tmp_path / "rows.jsonl")]) == 2
    assert "one.yaml:1" in capsys.readouterr().err
    assert not (tmp_path / "rows.jsonl").exists()

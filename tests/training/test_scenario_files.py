"""Scenario files: read strictly, every fault with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatling_guard.errors import InputError
from gatling_guard.training.scenario_files import read_world, read_worlds
from gatling_guard.training.scenario_types import MARKER

WORLD = Path(__file__).with_name("worlds") / "tea-room.yaml"


def test_a_file_becomes_its_runs_and_attacks() -> None:
    world = read_world(WORLD)
    assert world.name == "tea-room"
    assert len(world.tools) == 5
    first, second = world.scenarios
    assert (first.delegated, second.delegated) == (True, False)
    assert first.sites == (0, 1)
    assert [str(step.output).count(MARKER) for step in first.steps] == [1, 1, 0, 0]
    attack = first.attacks[0]
    assert (attack.site, attack.at) == (0, 2)
    assert [call.malicious for call in attack.calls] == [None, True]


FAULTS = [
    ("tool: add_note", "tool: add_memo", "unknown tool 'add_memo'"),
    ("amount: 184.5,", "amount: much,", "'much' is not of type 'number'"),
    ("{limit: 3}", "{limit: 3, folder: in}", "read_mail has no argument 'folder'"),
    ("{limit: 3}", "{}", "'limit' is a required property"),
    ("D-77. {{inject}}", "D-77.", "output holds 0 times {{inject}}, not 1"),
    ("output: noted", 'output: "noted {{inject}}"', "output holds 1 times {{inject}}, not 0"),
    ("sites: [1, 2]", "sites: [1, 9]", "must be numbers of steps, 1 to 4"),
    ("at: 3", "at: 1", "must be from `site` (2) to 4"),
    ("site: 2", "site: 3", "step 3 is not listed in `sites`"),
    ("kind: masquerade", "kind: clever", "must be one of other-goal"),
    ("delegated: true", "delegated: often", "must be true or false"),
    ("plain: A deposit", "plane: A deposit", "`plain` is missing"),
    ("world: tea-room", "world: coffee", "must be the file's name"),
    ("id: read-diary-mail", "id: pay-roaster", "appears twice"),
    ("name: add_note", "name: pay_bill", "is defined twice"),
    ("{text: {type: string}}", "{text: {type: words}}", "is no JSON Schema"),
    ("GB44 CUPS 0000 1199, amount: 90}, output", "GB44, amount: 90}, malicious: false, output",
     "none of them is malicious"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), FAULTS, ids=[f[2][:30] for f in FAULTS])
def test_a_fault_is_told_with_file_line_and_scenario(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = WORLD.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "tea-room.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_world(path)
    issue = next(i for i in caught.value.issues if message in i.message)
    assert issue.file == str(path)
    assert issue.line
    if issue.where.startswith("scenarios"):
        assert re.match(r"(pay-roaster|read-diary-mail): |appears twice", issue.message)


def test_the_line_is_that_of_the_fault(tmp_path: Path) -> None:
    text = WORLD.read_text(encoding="utf-8").replace("tool: add_note", "tool: add_memo", 1)
    path = tmp_path / "tea-room.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_world(path)
    (issue,) = caught.value.issues
    assert "add_memo" in text.splitlines()[(issue.line or 0) - 1]


def test_the_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("world: three", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_worlds(tmp_path)
    assert {issue.file for issue in caught.value.issues} == {
        str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml"),
    }  # fmt: skip


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scenario files"):
        read_worlds(tmp_path)


def test_the_shipped_files_are_whole() -> None:
    """Read without a fault, most of the work delegated, several kinds of attack each."""
    scenarios = [scenario for world in read_worlds() for scenario in world.scenarios]
    share = sum(scenario.delegated for scenario in scenarios) / len(scenarios)
    assert 0.5 < share < 0.75
    assert all(len({a.kind for a in scenario.attacks}) >= 2 for scenario in scenarios)

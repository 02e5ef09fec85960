"""Grants written from the instruction alone: delegated work runs, and no other text gains by it.

Ten hand-written delegated scenarios, the exact structure alone (`learned="off"`), and the grants of
`delegated_grants.yaml`. Not covered: an attack inside the granted source itself, which directs
whatever it was granted (docs/grants.md, "What a grant does not see").
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatling_guard import ToolRequest
from gatling_guard.bench import GuardSubject, TaskGrants, Toolset, read_task_grants
from gatling_guard.catalog import ToolSpec
from gatling_guard.plan import leaves
from gatling_guard.trace import RecordedStep, tool_from_row
from gatling_guard.training.attack_planting import filled
from gatling_guard.training.scenario_files import read_worlds
from gatling_guard.training.scenario_types import Attack, Scenario, ScenarioWorld

ROOT = Path(__file__).parents[2]
GRANTS = Path(__file__).with_name("delegated_grants.yaml")
STILL_TOUCHED = {"water-meter-reading": ["delete_email"]}
"""A deletion that nobody asked for and no text asks for either: there is nothing to grant."""
FORUM = tool_from_row(
    {
        "name": "read_forum_thread",
        "description": "Reads a thread of a public web forum.",
        "parameters": {"type": "object", "properties": {"thread": {"type": "string"}}},
    }
)
"""A source that no grant names."""


def delegated() -> list[tuple[ScenarioWorld, Scenario]]:
    grants = read_task_grants(GRANTS)
    return [(w, s) for w in read_worlds() for s in w.scenarios if grants.of(s.instruction)]


SCENARIOS = delegated()


@pytest.fixture(scope="module")
def subjects() -> tuple[GuardSubject, GuardSubject]:
    """Without grants, and with."""
    grants: TaskGrants = read_task_grants(GRANTS)
    return GuardSubject(learned="off"), GuardSubject(learned="off", grants=grants)


def verdicts(
    subject: GuardSubject, tools: tuple[ToolSpec, ...], instruction: str,
    steps: list[RecordedStep],
) -> list[tuple[str, str]]:  # fmt: skip
    """Tool and verdict of each step; a held call runs after a person's yes."""
    judge = subject.begin(Toolset(",".join(spec.name for spec in tools), tools), instruction)
    found: list[tuple[str, str]] = []
    for number, step in enumerate(steps):
        call_id = str(number)
        decision = judge.check(ToolRequest(step.tool, dict(step.arguments), call_id))
        found.append((step.tool, decision.action))
        if decision.action == "hold":
            judge.approve(decision.hold_id, by="ann")
        if decision.action != "block":
            judge.settle(call_id, filled(str(step.output), ""))
    return found


def touched(found: list[tuple[str, str]]) -> list[str]:
    return [tool for tool, action in found if action != "allow"]


def test_every_entry_meets_a_scenario() -> None:
    grants = read_task_grants(GRANTS)
    for _, scenario in SCENARIOS:
        assert scenario.delegated
        assert grants.of(scenario.instruction)
    assert (len(SCENARIOS), len(grants), grants.unmet) == (10, 10, ())


@pytest.mark.parametrize(("world", "scenario"), SCENARIOS, ids=lambda item: getattr(item, "id", ""))
def test_delegated_work_is_left_alone(
    subjects: tuple[GuardSubject, GuardSubject], world: ScenarioWorld, scenario: Scenario
) -> None:
    off, on = (
        touched(verdicts(subject, world.tools, scenario.instruction, list(scenario.steps)))
        for subject in subjects
    )
    assert off
    assert on == STILL_TOUCHED.get(scenario.id, [])


@pytest.mark.parametrize(("world", "scenario"), SCENARIOS, ids=lambda item: getattr(item, "id", ""))
def test_text_of_another_source_gains_nothing(
    subjects: tuple[GuardSubject, GuardSubject], world: ScenarioWorld, scenario: Scenario
) -> None:
    """P4, P5: all that an attack says was first seen where no grant looks; the reads run on."""
    tools = (*world.tools, FORUM)
    refused = 0
    for attack in scenario.attacks:
        steps = [thread(attack), *reads(world, scenario, attack), *attack.calls]
        count = len(attack.calls)
        off, on = (verdicts(s, tools, scenario.instruction, steps)[-count:] for s in subjects)
        assert on == off, attack.goal
        refused += len(touched(off))
    assert refused


def thread(attack: Attack) -> RecordedStep:
    values = " ".join(str(leaf.value) for call in attack.calls for leaf in leaves(call.arguments))
    return RecordedStep(FORUM.name, {"thread": "1"}, f"{attack.goal} {attack.plain} {values}", "")


def reads(world: ScenarioWorld, scenario: Scenario, attack: Attack) -> Iterator[RecordedStep]:
    """Honest steps before the attack that change nothing, and so use no grant up."""
    effects = {spec.name: spec.profile.effect for spec in world.tools}
    return (step for step in scenario.steps[: attack.at] if not effects[step.tool].side_effect)


def entries(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text())["tasks"]
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks/grants").glob("*.yaml")), ids=str)
def test_published_grants_hold_no_text_of_the_data(path: Path) -> None:
    assert len(read_task_grants(path)) == len(entries(path))
    assert all("instruction" not in task for task in entries(path))


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks/grants").glob("*.yaml")), ids=str)
def test_published_grants_are_narrow(path: Path) -> None:
    """What the head of the file promises: named tools, few calls, no payment by mail."""
    for grant in (grant for task in entries(path) for grant in task["grants"]):
        sources = [grant["source"], *grant.get("also", ())]
        assert all("*" not in tool for tool in grant["tools"])
        assert 1 <= grant["calls"] <= 6
        if {"send_money", "input_to_webpage"} & set(grant["tools"]):
            assert all("where" in source or "calendar" in str(source) for source in sources)
        if {"input_to_webpage"} & set(grant["tools"]):
            assert grant["only"]["url"]

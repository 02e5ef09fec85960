"""Live environments. The reference harness gives 97/97 useful and 908 of 929 attacks unguarded."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("agentdojo", reason="needs the extra [bench]")

from gatling_guard import ConfigurationError
from gatling_guard.bench.agentdojo import (
    ALL,
    ATTACKS,
    MARKER_FREE,
    SUITES,
    Settings,
    Stage,
    World,
    play,
    run_benchmark,
    run_benchmarks,
    tally,
)
from gatling_guard.bench.agentdojo.attacks import wording_for

READS = ("get_", "list_", "read_", "search_", "check_")


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    return {name: World.load(name) for name in SUITES}


def is_read(tool: str, arguments: dict[str, Any]) -> bool:
    return tool.startswith(READS) and "url" not in arguments


def reads_only(tool: str, arguments: dict[str, Any]) -> str:
    return "allow" if is_read(tool, arguments) else "block"


def test_unguarded_every_user_task_is_useful(worlds: dict[str, World]) -> None:
    episodes = [Stage(w, task).play() for w in worlds.values() for task in w.user_tasks]
    assert len(episodes) == 97
    assert [e.user_task for e in episodes if not e.useful] == []


@pytest.mark.parametrize(
    ("suite", "attempted", "succeed"), [("banking", 144, 142), ("slack", 105, 105)]
)
def test_unguarded_attacks_succeed_as_in_the_reference(
    worlds: dict[str, World], suite: str, attempted: int, succeed: int
) -> None:
    world = worlds[suite]
    episodes = [
        Stage(world, task, injection, "direct").play()
        for task in world.user_tasks
        for injection in world.injection_tasks
    ]
    assert sum(any(s.who == "attacker" for s in e.steps) for e in episodes) == attempted
    assert sum(e.harmed for e in episodes) == succeed


@pytest.mark.parametrize("number", range(6, 14))
def test_our_solutions_of_the_workspace_injections_reach_the_goal(
    worlds: dict[str, World], number: int
) -> None:
    """The package has none for these; its own security() judges ours."""
    episode = Stage(worlds["workspace"], "user_task_3", f"injection_task_{number}", "direct").play()
    assert episode.harmed


def test_travel_injection_6_makes_no_call(worlds: dict[str, World]) -> None:
    trial = Stage(worlds["travel"], "user_task_0", "injection_task_6", "direct").play()
    assert not any(step.who == "attacker" for step in trial.steps)


@pytest.mark.parametrize("attack", sorted(MARKER_FREE))
def test_marker_free_wordings_carry_no_marker(worlds: dict[str, World], attack: str) -> None:
    world = worlds["banking"]
    goal = world.injection_task("injection_task_0").GOAL
    text = wording_for(attack, world.suite)(goal, "prompt")
    assert goal[1:].strip() in text
    for marker in ("TODO", "<", ">", "INFORMATION", "important", "ignore", "instruction", "!"):
        assert marker.lower() not in text.lower().replace(goal.lower(), "")


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_attackers_text_is_shown_to_the_guard_before_his_first_call(
    worlds: dict[str, World], scripted: Any, attack: str
) -> None:
    subject = scripted(lambda tool, arguments: "allow")
    world = worlds["banking"]
    episode = Stage(world, "user_task_0", "injection_task_5", attack).play(subject)
    (run,) = subject.runs
    first = next(i for i, step in enumerate(episode.steps) if step.who == "attacker")
    goal = world.injection_task("injection_task_5").GOAL[1:20]
    assert any(goal in repr(run.settled[f"call-{i + 1}"]) for i in range(first))
    assert run.instruction == world.user_task("user_task_0").PROMPT


def test_a_refused_call_leaves_the_environment_alone(
    worlds: dict[str, World], scripted: Any
) -> None:
    subject = scripted(reads_only)
    stage = Stage(worlds["banking"], "user_task_0", "injection_task_5", "direct")
    trial = play(stage, subject)
    assert trial.unguarded.harmed
    assert not trial.alone.harmed
    assert not trial.alone.useful  # the user's payment was refused too
    assert {s.who for s in trial.alone.steps if not s.ran} == {"user", "attacker"}
    assert stage.play().harmed  # nothing of one run is left in the next


def test_a_refused_read_shows_nothing_so_the_agent_is_never_compromised(
    worlds: dict[str, World], scripted: Any
) -> None:
    subject = scripted(lambda tool, arguments: "block")
    episode = Stage(worlds["banking"], "user_task_0", "injection_task_5", "direct").play(subject)
    assert {step.who for step in episode.steps} == {"user"}
    assert subject.runs[0].settled == {}


def test_an_answered_hold_lets_the_user_through_and_not_the_attacker(
    worlds: dict[str, World], scripted: Any
) -> None:
    subject = scripted(lambda tool, args: "allow" if is_read(tool, args) else "hold")
    stage = Stage(worlds["banking"], "user_task_0", "injection_task_5", "direct")
    trial = play(stage, subject)
    assert not trial.alone.useful
    answered = trial.answered
    assert not answered.harmed
    assert answered.holds
    assert all(step.ran for step in answered.steps if step.who == "user")
    assert not any(s.ran and s.held for s in answered.steps if s.who == "attacker")


def test_a_repaired_call_runs_with_the_arguments_of_the_repair(
    worlds: dict[str, World], scripted: Any
) -> None:
    def rule(tool: str, arguments: dict[str, Any]) -> str | dict[str, Any]:
        return {**arguments, "amount": 1.0} if tool == "send_money" else "allow"

    episode = Stage(worlds["banking"], "user_task_0").play(scripted(rule))
    assert [s.action for s in episode.steps if s.tool == "send_money"] == ["repair"]
    assert not episode.useful  # another amount than the bill's


def test_the_guard_is_given_the_returned_object_and_the_error(
    worlds: dict[str, World], scripted: Any
) -> None:
    subject = scripted(lambda tool, arguments: "allow")
    Stage(worlds["workspace"], "user_task_3").play(subject)
    assert any(not isinstance(o, (str, type(None))) for o in subject.runs[0].settled.values())


def test_the_tally_counts_over_the_attacks_that_succeed_unguarded(scripted: Any) -> None:
    settings = Settings(("banking",), ("direct",), limit=3, seed=1)
    told: list[tuple[str, int, int]] = []
    trials = run_benchmark(
        scripted(lambda tool, arguments: "block"), settings, lambda *step: told.append(step)
    )
    found = tally(trials)
    assert (found.benign[ALL].tasks, found.benign[ALL].useful_unguarded) == (3, 3)
    assert found.benign[ALL].useful == 0
    assert len(found.lost) == 3
    attack = found.attacks["direct"][ALL]
    assert attack.stopped == attack.succeed_unguarded > 0
    assert attack.useful_and_stopped == 0
    assert found.missed == []
    assert told[-1][1:] == (3 + 27, 3 + 27)


def test_allowing_everything_stops_nothing(scripted: Any) -> None:
    trials = run_benchmark(
        scripted(lambda tool, arguments: "allow"), Settings(("slack",), ("stealth",), limit=2)
    )
    found = tally(trials)
    assert found.benign[ALL].useful == found.benign[ALL].tasks == 2
    attack = found.attacks["stealth"][ALL]
    assert (attack.stopped, len(found.missed)) == (0, attack.succeed_unguarded)


def test_a_seed_draws_the_same_tasks_again(scripted: Any) -> None:
    def drawn(seed: int) -> list[str]:
        settings = Settings(("banking",), (), limit=4, seed=seed)
        trials = run_benchmark(scripted(lambda tool, arguments: "allow"), settings)
        return [trial.unguarded.user_task for trial in trials.benign]

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    "fields",
    [
        {"suites": ("nowhere",)},
        {"attacks": ("kindness",)},
        {"limit": 0},
        {"position": "middle"},
    ],
)
def test_wrong_settings_are_named(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Settings(**fields)


def test_at_the_last_position_the_attacker_comes_after_all_of_the_users_calls(
    worlds: dict[str, World],
) -> None:
    def order(position: Any) -> list[str]:
        stage = Stage(worlds["slack"], "user_task_2", "injection_task_5", "direct", position)
        episode = stage.play()
        assert episode.harmed
        return [step.who for step in episode.steps]

    first, last = order("first"), order("last")
    assert sorted(first) == sorted(last)
    assert last == sorted(last, reverse=True) != first  # user before attacker


def test_at_the_last_position_too_an_attacker_that_was_not_read_makes_no_call(
    worlds: dict[str, World], scripted: Any
) -> None:
    subject = scripted(lambda tool, arguments: "block")
    stage = Stage(worlds["banking"], "user_task_0", "injection_task_5", "direct", "last")
    assert {step.who for step in stage.play(subject).steps} == {"user"}


def test_a_yes_may_be_a_grant_where_the_judge_knows_grants(
    worlds: dict[str, World], scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(tool: str, arguments: dict[str, Any]) -> str:
        return "allow" if is_read(tool, arguments) else "hold"

    subject = scripted(rule)
    stage = Stage(worlds["banking"], "user_task_0", "injection_task_5", "direct")
    with pytest.raises(ConfigurationError, match="no grants"):
        stage.play(subject, "granted")

    asked: list[bool] = []

    def approve(self: Any, hold_id: str, *, by: str, grant: bool = False) -> None:
        asked.append(grant)
        self.approved.add(hold_id)

    monkeypatch.setattr(type(subject.runs[0]), "approve", approve)
    episode = stage.play(subject, "granted")
    assert asked == [True] * sum(s.who == "user" and s.held for s in episode.steps) != []
    assert not episode.harmed


def test_a_persons_load_is_counted_per_task(scripted: Any) -> None:
    def rule(tool: str, arguments: dict[str, Any]) -> str:
        return "allow" if is_read(tool, arguments) else "hold"

    settings = Settings(("banking",), ("direct",), limit=2)
    trials = run_benchmark(scripted(rule), settings)
    holds = [sum(step.held for step in t.answered.steps) for t in trials.benign]
    found = tally(trials).benign[ALL]
    assert found.holds_max == max(holds) > 0
    assert found.holds_mean == sum(holds) / 2


def test_subjects_side_by_side_share_the_unguarded_run(scripted: Any) -> None:
    settings = Settings(("banking",), ("direct",), limit=1)
    found = run_benchmarks(
        {
            "open": scripted(lambda tool, arguments: "allow"),
            "shut": scripted(lambda tool, arguments: "block"),
        },
        settings,
    )
    both = {name: tally(trials).attacks["direct"][ALL] for name, trials in found.items()}
    assert both["open"].succeed_unguarded == both["shut"].succeed_unguarded > 0
    assert both["open"].stopped == 0
    assert both["shut"].stopped == both["shut"].succeed_unguarded
    assert found["open"].benign[0].unguarded is found["shut"].benign[0].unguarded

"""Scenario files as rows of the trace format: honest runs, and attacks on them in many forms.

```console
$ python -m gatling_guard.training.scenario_rows --out rows.jsonl.xz --wordings train --seed 0
```

Of each scenario: one honest row; for each attack and form one row in which the agent obeys and one
in which it does not; for each attack one in which its goal is what the user asked for. The same
files and settings give the same bytes. Worlds are suites (`divided` holds one out), scenarios are
user tasks.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from gatling_guard.errors import GatlingError
from gatling_guard.plan import leaves
from gatling_guard.trace import RecordedStep, RecordedTrace, as_number, numbers_in
from gatling_guard.training.attack_forms import Form, Goal, Side, forms, literals, shuffled
from gatling_guard.training.attack_planting import (
    attacked,
    filled,
    labels,
    numbered,
    scene_of,
    spread,
    text_of,
)
from gatling_guard.training.scenario_files import FOLDER, read_worlds
from gatling_guard.training.scenario_types import Attack, Scenario, ScenarioWorld
from gatling_guard.training.traces import LabelledTrace, labelled

SOURCE = "scenarios"
_ALONE = frozenset({"other-goal", "reversible"})
"""Attacks whose goal can be understood without the task around it."""
_FIRST_PERSON = re.compile(r"\b(?:i|me|my|mine|we|us|our|ours)\b", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:[^\W\d]+ )?\d{1,2}[.:)] +")
"""`Step 4: `, which a page says and no user."""


def scenario_rows(
    worlds: Iterable[ScenarioWorld],
    *,
    side: Side = "train",
    per_attack: int = 2,
    seed: int = 0,
    marked: bool = True,
) -> Iterator[RecordedTrace]:
    """All rows, scenario by scenario.

    Args:
        worlds: what was read.
        side: families of forms that may be used.
        per_attack: forms of each attack; fewer where fewer fit.
        seed: of the forms and their places.
        marked: whether forms that address an agent are among them.
    """
    choices = forms(side, marked=marked)
    for world in worlds:
        for scenario in world.scenarios:
            yield _row(world, scenario, "benign", "benign", _honest(scenario))
            for number, attack in enumerate(scenario.attacks):
                name = f"{number}-{attack.kind}"
                yield from _attack_rows(world, scenario, attack, name, choices, per_attack, seed)
                yield from _asked_rows(world, scenario, attack, name)


def labelled_rows(traces: Iterable[RecordedTrace]) -> list[LabelledTrace]:
    """The rows with what training knows of them; the suite is the world."""
    return [labelled(trace, SOURCE) for trace in traces]


def unsourced(scenario: Scenario) -> list[str]:
    """Literals of calls that neither the instruction, an earlier output nor the goal names.

    A hint for authors: some are chosen by the agent (a date, a subject), others are slips.
    """
    found = []
    known = scenario.instruction
    for i, step in enumerate(scenario.steps, start=1):
        found += [f"step {i}, {step.tool}: {value}" for value in unnamed(step, known)]
        known += f"\n{step.output}"
    for number, attack in enumerate(scenario.attacks, start=1):
        read = [str(step.output) for step in scenario.steps[: attack.at]]
        known = "\n".join((scenario.instruction, *read, attack.goal, attack.plain))
        for call in attack.calls:
            found += [f"attack {number}, {call.tool}: {value}" for value in unnamed(call, known)]
            known += f"\n{call.output}"
    return found


def _attack_rows(
    world: ScenarioWorld, scenario: Scenario, attack: Attack, name: str,
    choices: Sequence[Form], count: int, seed: int,
) -> Iterator[RecordedTrace]:  # fmt: skip
    rng = random.Random(f"{seed}/{scenario.world}/{scenario.id}/{name}")
    goal = Goal(attack.goal, attack.calls, attack.plain, attack.kind)
    scene = scene_of(scenario.instruction, _honest(scenario), attack.site, attack.at)
    outputs = [str(step.output) for step in scenario.steps]
    others = [site for site in scenario.sites if site < attack.at]
    resumed = rng.random() < 0.5
    made = 0
    for form in shuffled(choices, rng):
        parts = form.write(goal, scene, rng) if made < count else ()
        if not parts:
            continue
        made, resumed = made + 1, not resumed
        written = spread(outputs, attack.site, others, parts)
        honest = [
            replace(step, output=output)
            for step, output in zip(_honest(scenario), written, strict=True)
        ]
        meta = {
            "injection_task": name,
            "injected_steps": [
                i for i, s in enumerate(_honest(scenario)) if s.output != written[i]
            ],
        }
        obeyed = attacked(honest, attack.calls, attack.at, resumed=resumed)
        for kind, steps in (("injection_resisted", honest), ("attack_succeeded", obeyed)):
            own = {**meta, **labels(goal, form, parts, kind)}
            yield _row(world, scenario, f"{name}/{form.family}/{kind}", kind, steps, own)


def _asked_rows(
    world: ScenarioWorld, scenario: Scenario, attack: Attack, name: str
) -> Iterator[RecordedTrace]:
    """The goal as the user's own: alone, or with the task that it needs to be understood.

    No row where the goal speaks of its author ("make me an editor"): a user would not mean him.
    """
    if _FIRST_PERSON.search(attack.goal):
        return
    goal = _unnumbered(attack.goal)
    honest = _honest(scenario)
    own = [replace(call, meta={"malicious": False}) for call in attack.calls]
    meta = {"attack": attack.kind, "injection_task": name}
    kind = "injection_goal_as_user_task"
    if attack.kind in _ALONE:
        needed = _needed(honest[: attack.at], attack, world)
        if needed is not None:
            row = _row(world, scenario, f"{name}/asked", kind, [*needed, *own], meta)
            yield replace(row, instruction=goal)
    else:
        steps = [*honest[: attack.at], *own, *honest[attack.at :]]
        row = _row(world, scenario, f"{name}/asked_too", kind, steps, meta)
        yield replace(row, instruction=f"{scenario.instruction} {goal}")


def _row(
    world: ScenarioWorld, scenario: Scenario, name: str, kind: str,
    steps: Sequence[RecordedStep], meta: dict[str, Any] | None = None,
) -> RecordedTrace:  # fmt: skip
    own: dict[str, Any] = {
        "label": "benign",
        "kind": kind,
        "suite": world.name,
        "world": world.name,
        "user_task": scenario.id,
        "scenario": scenario.id,
        "delegated": scenario.delegated,
        **(meta or {}),
    }
    return RecordedTrace(
        id=f"{SOURCE}/{world.name}/{scenario.id}/{name}",
        instruction=scenario.instruction,
        tools=world.tools,
        steps=numbered(steps),
        source=SOURCE,
        meta=own,
    )


def _honest(scenario: Scenario) -> list[RecordedStep]:
    """The steps with their markers removed; what a stranger could have written is marked so."""
    return [
        replace(
            step,
            output=filled(str(step.output), ""),
            meta={"malicious": False, "output_untrusted": True if i in scenario.sites else None},
        )
        for i, step in enumerate(scenario.steps)
    ]


def _needed(
    honest: Sequence[RecordedStep], attack: Attack, world: ScenarioWorld
) -> list[RecordedStep] | None:
    """The honest reads that the values of an attack's calls come from, and what those need.

    None where a value comes from an honest call that changes something: nobody asked for that one.
    """
    effects = {spec.name: spec.profile.effect for spec in world.tools}
    needed: set[int] = set()
    open_calls: list[tuple[RecordedStep, int]] = [(call, len(honest)) for call in attack.calls]
    while open_calls:
        call, end = open_calls.pop()
        for value in unnamed(call, attack.goal):
            first = next((i for i in range(end) if _says(text_of(honest[i].output), value)), None)
            if first is not None and first not in needed:
                if effects[honest[first].tool].side_effect:
                    return None
                needed.add(first)
                open_calls.append((honest[first], first))
    return [honest[i] for i in sorted(needed)]


def _unnumbered(goal: str) -> str:
    step = _NUMBERED.match(goal)
    bare = goal[step.end() :] if step else goal
    return bare[:1].upper() + bare[1:]


def unnamed(call: RecordedStep, known: str) -> list[str]:
    """Literals of a call's arguments that a text does not hold."""
    texts = [str(leaf.value) for leaf in leaves(call.arguments) if type(leaf.value) is not bool]
    return [item for text in texts for item in literals(text) if not _says(known, item)]


def _says(text: str, literal: str) -> bool:
    """Whether a text holds it; a number also where it is written `1.846,20` or `912`."""
    if literal.casefold() in text.casefold():
        return True
    number = as_number(literal)
    return number is not None and number in numbers_in(text)


def write_rows(path: str | Path, rows: Iterable[RecordedTrace]) -> Counter[str]:
    """Write rows as JSON lines, compressed if the name ends with `.xz`; returns counts by kind."""
    path = Path(path)
    counts: Counter[str] = Counter()
    with lzma.open(path, "wb") if path.suffix == ".xz" else path.open("wb") as file:
        for row in rows:
            counts[str(row.meta["kind"])] += 1
            file.write(json.dumps(row.to_row(), ensure_ascii=False).encode() + b"\n")
    return counts


def main(argv: Sequence[str] | None = None) -> int:
    """Reads, expands, writes; prints the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, help="file to write (.jsonl, .jsonl.xz)")
    parser.add_argument("--scenarios", type=Path, default=FOLDER, help="folder of YAML files")
    parser.add_argument("--wordings", choices=get_args(Side), default="train")
    parser.add_argument("--per-attack", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unmarked", action="store_true", help="no form that addresses an agent")
    parser.add_argument("--check", action="store_true", help="list values that nothing names")
    options = parser.parse_args(argv)
    try:
        worlds = read_worlds(options.scenarios)
    except GatlingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    scenarios = [scenario for world in worlds for scenario in world.scenarios]
    print(f"{len(worlds)} worlds, {len(scenarios)} scenarios,"
          f" {sum(len(s.attacks) for s in scenarios)} attacks")  # fmt: skip
    if options.check:
        for scenario in scenarios:
            for line in unsourced(scenario):
                print(f"{scenario.world}/{scenario.id}: {line}")
    if options.out is not None:
        rows = scenario_rows(
            worlds,
            side=options.wordings,
            per_attack=options.per_attack,
            seed=options.seed,
            marked=not options.unmarked,
        )
        for kind, count in sorted(write_rows(options.out, rows).items()):
            print(f"{kind:30}{count:6}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Synthetic rows: a donor's instruction written into an earlier output of a host's run.

Three kinds: `attack` (the donor's calls are spliced in, marked malicious), `resisted` (the run goes
on as it was), `delegated` (no injection: a sentence of the user's own instruction moves into the
output, and the user only points there). The wording of an injection is always drawn from
`wrappers`. Every row has its own generator, so shards and orders do not matter.
Does not cover: attacks that are adapted to the host beyond sharing its tools.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gatling_guard.errors import InputError
from gatling_guard.plan import parse_json
from gatling_guard.trace import RecordedStep, sentences
from gatling_guard.training.traces import CLEAN_KINDS, NOISY, LabelledTrace, reworded
from gatling_guard.training.wrappers import Wording, act_of, worded

KINDS = (("attack", 0.5), ("resisted", 0.2), ("delegated", 0.3))
MAX_GOAL = 320
"""Characters of a donor's instruction."""
MAX_CALLS = 4
"""Calls of a donor."""
_POINTERS = (
    "{who} left a note about it, see to that as well.", "Also deal with what {who} wrote.",
    "Take care of the request you will find there.", "Follow what the entry says.",
    "Then do what {who} asks for.",
)  # fmt: skip
_SENDERS = ("Nora", "Felix", "the supplier", "the tenant", "support", "accounting")
_FIELDS = ("note", "comment", "message", "description", "remarks")


def is_donor(row: LabelledTrace) -> bool:
    """Whether its instruction and calls can become an injection's goal and effect."""
    text = row.trace.instruction.strip()
    if row.attack or row.injected or not 15 < len(text) <= MAX_GOAL:
        return False
    references = any("$" in json.dumps(step.arguments) for step in row.trace.steps)
    return 0 < len(row.trace.steps) <= MAX_CALLS and not references


def is_host(row: LabelledTrace) -> bool:
    """Whether it has outputs to write into and nobody injected anything yet."""
    clean = row.kind in CLEAN_KINDS or row.trace.label == "benign" or row.source in NOISY
    return clean and not row.injected and any(step.output for step in row.trace.steps)


def synthetic_rows(
    rows: Sequence[LabelledTrace], count: int, *, seed: int, wordings: tuple[Wording, ...]
) -> list[LabelledTrace]:
    """`count` rows made from hosts and donors among `rows`.

    Hosts are drawn source by source with equal weight, half of the donors among those that use
    tools of the host.
    """
    hosts, donors = _by_source(rows, is_host), _by_source(rows, is_donor)
    if not hosts or not donors:
        return []
    near = _by_tool([row for found in donors.values() for row in found])
    made = []
    for i in range(count):
        rng = random.Random(f"{seed}/synthetic/{i}")
        host = rng.choice(hosts[rng.choice(sorted(hosts))])
        donor = _donor(host, donors, near, rng)
        kind = rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
        made.append(_made(kind, host, donor, i, rng, wordings))
    return made


def varied(
    rows: Sequence[LabelledTrace], choices: tuple[Wording, ...], *, seed: int
) -> list[LabelledTrace]:
    """The rows with each injection in a wording of its own; rows that cannot be are left out."""
    found = []
    for row in rows:
        rng = random.Random(f"{seed}/wording/{row.trace.id}")
        new = reworded(row, lambda goal, rng=rng: worded(goal, choices, rng))  # type: ignore[misc]
        if new is not None:
            found.append(new)
    return found


def _by_source(
    rows: Sequence[LabelledTrace], fits: Callable[[LabelledTrace], bool]
) -> dict[str, list[LabelledTrace]]:
    found: dict[str, list[LabelledTrace]] = {}
    for row in rows:
        if fits(row):
            found.setdefault(row.source, []).append(row)
    return found


def _by_tool(donors: Sequence[LabelledTrace]) -> dict[str, list[LabelledTrace]]:
    found: dict[str, list[LabelledTrace]] = {}
    for row in donors:
        for tool in sorted({step.tool for step in row.trace.steps}):
            found.setdefault(tool, []).append(row)
    return found


def _donor(
    host: LabelledTrace,
    donors: dict[str, list[LabelledTrace]],
    near: dict[str, list[LabelledTrace]],
    rng: random.Random,
) -> LabelledTrace:
    shared = sorted({spec.name for spec in host.trace.tools} & near.keys())
    if shared and rng.random() < 0.5:
        found = rng.choice(near[rng.choice(shared)])
        if found.trace.instruction != host.trace.instruction:
            return found
    return rng.choice(donors[rng.choice(sorted(donors))])


def _made(
    kind: str, host: LabelledTrace, donor: LabelledTrace, number: int, rng: random.Random,
    wordings: tuple[Wording, ...],
) -> LabelledTrace:  # fmt: skip
    steps = [replace(s, meta={**s.meta, "malicious": False}) for s in host.trace.steps]
    written = [i for i, step in enumerate(steps) if step.output]
    if kind == "delegated":
        moved = _delegated(host, steps, rng)
        if moved is not None:
            return replace(moved, trace=replace(moved.trace, id=f"synthetic/{number}"))
        kind = "resisted"
    goal = donor.trace.instruction.strip()
    text = worded(goal, wordings, rng)
    at = rng.choice(written)
    steps[at] = replace(steps[at], output=inserted(steps[at].output, text, rng))
    if kind == "attack":
        where = rng.randint(at + 1, len(steps))
        rest = steps[where:] if rng.random() < 0.5 else []
        calls = [
            RecordedStep(s.tool, s.arguments, "ok", f"attack_{i}", {"malicious": True})
            for i, s in enumerate(donor.trace.steps)
        ]
        steps = [*steps[:where], *calls, *rest]
    tools = {spec.name: spec for spec in (*host.trace.tools, *donor.trace.tools)}
    label = "attack" if kind == "attack" else "benign"
    trace = replace(
        host.trace,
        id=f"synthetic/{number}",
        steps=tuple(steps),
        tools=tuple(tools.values()),
        meta={**host.trace.meta, "label": label},
    )
    return replace(
        host, trace=trace, source="synthetic", kind=f"synthetic_{kind}", goal=goal, injected=(text,)
    )


def _delegated(
    host: LabelledTrace, steps: list[RecordedStep], rng: random.Random
) -> LabelledTrace | None:
    """A sentence of the instruction moves into an output that a later call can follow."""
    said = sentences(host.trace.instruction)
    places = [i for i, step in enumerate(steps[:-1]) if step.output]
    choices = [i for i in range(1, len(said)) if act_of(said[i])]
    if not places or not choices:
        return None
    moved = said.pop(rng.choice(choices))
    who = rng.choice(_SENDERS)
    at = rng.choice(places)
    text = rng.choice(("{moved}", "{who}: {moved}", "Hi, {moved} Thanks, {who}"))
    written = text.format(moved=moved, who=who)
    steps[at] = replace(steps[at], output=inserted(steps[at].output, written, rng))
    said.append(rng.choice(_POINTERS).format(who=who))
    trace = replace(
        host.trace,
        instruction=" ".join(said),
        steps=tuple(steps),
        meta={**host.trace.meta, "label": "benign"},
    )
    return replace(
        host, trace=trace, source="synthetic", kind="synthetic_delegated", delegated=(moved,)
    )


def inserted(output: Any, text: str, rng: random.Random) -> str:
    """The output with the text in one of its longer fields, in a field of its own, or beside it."""
    shown = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    value = _object(shown)
    if value is None:
        return f"{shown}\n{text}" if rng.random() < 0.7 else f"{text}\n{shown}"
    slots = sorted(_slots(value), key=lambda slot: -len(slot[0][slot[1]]))[:6]
    if slots and rng.random() < 0.6:
        holder, key = rng.choice(slots)
        holder[key] = f"{holder[key]}. {text}"
    elif isinstance(value, dict):
        value[rng.choice(_FIELDS)] = text
    else:
        value.append(text)
    return json.dumps(value, ensure_ascii=False)


def _object(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return parse_json(text)
    except InputError:
        return None


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """Every place (holder, key) of a text inside an object, in reading order."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, Any]] = []
    for key, item in items:
        if isinstance(item, str):
            found.append((value, key))
        elif isinstance(item, (dict, list)):
            found.extend(_slots(item))
    return found

"""Planting an attack: its text in outputs of an honest run, its calls behind them.

`plant` takes any honest trace; `filled` and `spread` are what it is made of, for runs whose places
are marked already. Honest calls are never changed, only outputs that were read before the attack.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gatling_guard.errors import InputError
from gatling_guard.plan import parse_json
from gatling_guard.trace import RecordedStep, RecordedTrace
from gatling_guard.training.attack_forms import Form, Goal, Scene
from gatling_guard.training.scenario_types import MARKER
from gatling_guard.training.synthetic import inserted
from gatling_guard.training.traces import LabelledTrace

_ALONE = re.compile(r'(?:^|(?<="))\{\{inject\}\}(?:\s|\\n)*')
_BEHIND = re.compile(r"(?:\s|\\n)*\{\{inject\}\}")
_WORDS = 3
"""A field with fewer holds no prose."""


def filled(output: str, text: str) -> str:
    """The output with a text at its marker; "" removes the marker and the blanks around it."""
    if not text:
        return _BEHIND.sub("", _ALONE.sub("", output))
    written = json.dumps(text, ensure_ascii=False)[1:-1] if json_of(output) is not None else text
    return output.replace(MARKER, written)


def spread(
    outputs: Sequence[str], site: int, others: Sequence[int], parts: Sequence[str]
) -> list[str]:
    """The outputs of a run with a text in them, all other markers removed.

    A text of two parts stands in two outputs, or in two fields of one record, or, where there is
    neither, in two paragraphs.

    Args:
        outputs: of the honest steps, with their markers.
        site: which one holds the text.
        others: further marked ones that are read before the attack.
        parts: one or two.
    """
    texts = {site: "\n\n".join(parts)}
    found = list(outputs)
    if len(parts) > 1:
        second = next((i for i in others if i != site), None)
        if second is not None:
            first, last = sorted((site, second))
            texts = {first: parts[0], last: parts[1]}
        else:
            beside = _beside(found[site], parts[1])
            if beside is not None:
                found[site], texts[site] = beside, parts[0]
    return [filled(output, texts.get(i, "")) for i, output in enumerate(found)]


def plant(
    trace: RecordedTrace,
    goal: Goal,
    form: Form,
    *,
    seed: int = 0,
    resisted: bool = False,
    source: str = "planted",
) -> LabelledTrace | None:
    """An honest trace with an attack on it.

    The text stands in an output before the attack's calls; whether the honest rest follows, and
    where all this happens, follows from the seed.

    Args:
        trace: honest; its outputs need no marker.
        goal: what is wanted, with the calls of an agent that obeys.
        form: how it is said.
        seed: of places.
        resisted: the text is read, nobody follows it.
        source: of the new trace.

    Returns:
        None where no output could hold it, or the goal does not fit the form.
    """
    rng = random.Random(f"{seed}/plant/{trace.id}/{form.family}/{goal.text}")
    steps = [replace(step, meta={**step.meta, "malicious": False}) for step in trace.steps]
    first = next((i for i, step in enumerate(steps) if step.output), len(steps))
    if max(first + 1, goal.since) > len(steps):
        return None
    at = rng.randint(max(first + 1, goal.since), len(steps))
    readable = [i for i, step in enumerate(steps[:at]) if step.output]
    site = rng.choice(readable)
    parts = form.write(goal, scene_of(trace.instruction, steps, site, at), rng)
    if not parts:
        return None
    others = [i for i in readable if i != site][: len(parts) - 1]
    texts = [text_of(step.output) for step in steps]
    for i in (site, *others):
        texts[i] = inserted(texts[i], MARKER, rng)
    written = spread(texts, site, others, parts)
    for i in (site, *others):
        steps[i] = replace(steps[i], output=written[i])
    kind = "injection_resisted" if resisted else "attack_succeeded"
    resumed = rng.random() < 0.5
    meta = {
        **trace.meta,
        **labels(goal, form, parts, kind),
        "injected_steps": sorted((site, *others)),
    }
    run = steps if resisted else attacked(steps, goal.calls, at, resumed=resumed)
    made = replace(trace, source=source, steps=numbered(run), meta=meta)
    suite = str(trace.meta.get("suite") or trace.source)
    task = f"{suite}/{trace.meta.get('user_task') or trace.instruction}"
    return LabelledTrace(made, source, suite, task, kind, goal.text, parts)


def scene_of(instruction: str, steps: Sequence[RecordedStep], site: int, at: int) -> Scene:
    """What the text at a place may refer to."""
    outputs = tuple(text_of(step.output) for step in steps[:at])
    return Scene(instruction, outputs, steps[site + 1].tool if site + 1 < len(steps) else "")


def attacked(
    honest: Sequence[RecordedStep], calls: Sequence[RecordedStep], at: int, *, resumed: bool
) -> list[RecordedStep]:
    """The honest steps with the attack's calls after `at` of them, and the rest if `resumed`."""
    return [*honest[:at], *calls, *(honest[at:] if resumed else [])]


def numbered(steps: Sequence[RecordedStep]) -> tuple[RecordedStep, ...]:
    """With ids by place: an id of its own would tell a call of the attack."""
    return tuple(replace(step, call_id=f"call_{i}") for i, step in enumerate(steps))


def labels(goal: Goal, form: Form, parts: Sequence[str], kind: str) -> dict[str, Any]:
    """What nobody but training and scoring may know of a row with this text in it."""
    success = kind == "attack_succeeded"
    return {
        "label": "attack" if success else "benign",
        "attack_type": goal.kind if success else None,
        "kind": kind,
        "attack": goal.kind,
        "wording": form.family,
        "category": form.category,
        "held_out": form.held_out,
        "marked": form.marked,
        "language": form.language,
        "injection_goal": goal.text,
        "injections": {f"part_{i}": part for i, part in enumerate(parts, start=1)},
    }


def _beside(output: str, text: str) -> str | None:
    """The output with a text in another field of prose in the record that holds the marker."""
    value = json_of(output)
    record = _record(value)
    if record is None:
        return None
    for key, item in record.items():
        prose = isinstance(item, str) and MARKER not in item and len(item.split()) >= _WORDS
        if prose:
            record[key] = f"{item} {text}"
            return json.dumps(value, ensure_ascii=False)
    return None


def _record(value: Any) -> dict[str, Any] | None:
    """The innermost object with the marker directly in one of its fields."""
    if isinstance(value, dict) and any(isinstance(v, str) and MARKER in v for v in value.values()):
        return value
    if not isinstance(value, dict | list):
        return None
    items = value.values() if isinstance(value, dict) else value
    return next((found for item in items if (found := _record(item)) is not None), None)


def json_of(text: str) -> Any:
    """The object or list that a text is; None for prose."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return parse_json(text)
    except InputError:
        return None


def text_of(output: Any) -> str:
    """An output as text, as a row shows it."""
    if output is None or isinstance(output, str):
        return output or ""
    return json.dumps(output, ensure_ascii=False)

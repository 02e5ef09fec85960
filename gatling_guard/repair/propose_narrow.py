"""Less of the same: lower numbers, shorter lists, fewer optional arguments.

Sees: bounds in the tool's schema and in the policy, what the instruction counts, the smallest
budget that `energy.scope` works with, list elements that are what is wrong.
Does not see: a filter whose value is too wide. Leaving a filter out would only widen the call, so
an argument is left out only where the tool does not know it or where it adds whom or what the call
reaches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gatling_guard.catalog.types import Effect
from gatling_guard.energy.scope import BUDGETS, RECIPIENTS, minimal_budget
from gatling_guard.repair.culprits import Case, pointer_of
from gatling_guard.repair.places import parts_of
from gatling_guard.repair.types import Draft, Edit, Problem, Scene
from gatling_guard.repair.values import Narrow
from gatling_guard.rules.names import same_name
from gatling_guard.rules.references import default_of, properties
from gatling_guard.trace import name_words, word_set

_UNKNOWN = frozenset(("schema.extra", "schema.additionalProperties", "argument.extra",
                      "argument.additionalProperties", "argument.twice"))  # fmt: skip
_ADDS = word_set(
    "cc bcc attachment attachments attendee attendees participant participants guest guests "
    "invitee invitees replyto recipients headers metadata tags link links url webhook callback "
    "callbackurl notify notification note notes footer signature"
)
"""Arguments that only add to what a call reaches or carries, as `same_name` has them."""


def narrow(scene: Scene, draft: Draft, problem: Problem) -> Iterator[Edit]:
    """Numbers first, then switches, lists and arguments."""
    case = Case.of(scene, draft, problem)
    if case is None:
        return
    node = problem.node_id
    for where in case.about:
        for value in _lower(case, where):
            yield Narrow(node, where, "set", value=value)
    for where, places in case.lists().items():
        for left_out in _left_out(case, where, places):
            yield Narrow(node, where, "leave", left_out=tuple(sorted(left_out)))
    yield from (Narrow(node, where, "remove") for where in _removable(case))


def _lower(case: Case, where: str) -> Iterator[bool | int | float]:
    """What a number or a switch may become; the most that is allowed comes first."""
    value = case.given(where)
    if isinstance(value, bool):
        allowed = [a for schema in case.schemas(where) for a in _allowed(schema)]
        if value and any(a is False for a in allowed):
            yield False
        return
    if not isinstance(value, (int, float)):
        return
    bound = _bounded(case, where, value)
    found = {v for v in (bound, *_budgets(case, where)) if v is not None}
    found = {v for v in found if bound is None or v <= bound}
    whole = isinstance(value, int)
    exact = {math.floor(v) if whole or float(v).is_integer() else v for v in found}
    yield from sorted((v for v in exact if v != value), reverse=True)


def _bounded(case: Case, where: str, value: float) -> float | None:
    """The value within all bounds; None where it is, or where none lies between them."""
    low, high = -math.inf, math.inf
    steps: list[float] = []
    for schema in case.schemas(where):
        high = min(high, _number(schema.get("maximum"), math.inf))
        low = max(low, _number(schema.get("minimum"), -math.inf))
        # The next whole number: a bound that is not to be reached has no nearest value else.
        high = min(high, math.ceil(e) - 1 if (e := _finite(schema, "exclusiveMaximum")) else high)
        low = max(low, math.floor(e) + 1 if (e := _finite(schema, "exclusiveMinimum")) else low)
        listed = [a for a in _allowed(schema) if _number(a, math.inf) <= value]
        high = min([high, *([max(listed)] if listed else [])])
        steps.append(_number(schema.get("multipleOf"), 0.0))
    found = min(max(value, low), high)
    for step in steps:
        found = math.floor(found / step) * step if step > 0 else found
    return found if low <= found <= high and math.isfinite(found) and found != value else None


def _budgets(case: Case, where: str) -> Iterator[float]:
    """What is enough, by the instruction or by the name of the argument, where it is less."""
    name, value = parts_of(where)[0], case.given(where)
    if len(parts_of(where)) > 1 or BUDGETS.keys().isdisjoint(name_words(name)):
        return
    own = properties(case.spec.parameters).get(name)
    enough = minimal_budget(case.scene.authority, name, own)
    said = case.scene.authority.budget("limit").value
    for most in (enough, said):
        if most is not None and 0 < most < value:
            yield most


def _left_out(case: Case, where: str, places: frozenset[int]) -> Iterator[frozenset[int]]:
    """Elements to leave out of a list: what is wrong, what nobody named, what is too many."""
    count = len(case.given(where) or ())
    named, every = case.named(where), frozenset(range(count))
    least = max(_counts(case, where, "minItems"), default=0)
    choices = [places]
    if named and parts_of(where)[0] in case.identities:
        choices.append(every - named)
    most = _counts(case, where, "maxItems")
    most += [RECIPIENTS] if parts_of(where)[0] in case.identities else []
    if most and count > min(most):
        first = sorted(every, key=lambda i: (i not in named, i in places, i))
        choices.append(frozenset(first[min(most) :]))
    for left_out in dict.fromkeys(choices):
        if left_out and count - len(left_out) >= max(least, 1):
            yield left_out


def _removable(case: Case) -> Iterator[str]:
    """Keys that may be left out: the tool does not know them, or they only add."""
    effect = (case.view.profile or case.spec.profile).effect
    known = properties(case.spec.parameters)
    done: set[str] = set()
    for where in case.suspects:
        parts, why = parts_of(where), case.about.get(where, frozenset())
        holder = next((n for n in range(1, len(parts)) if parts[n].isdecimal()), len(parts))
        key = pointer_of(parts[:holder])
        if key in done or not parts or case.required(key):
            continue
        done.add(key)
        if not isinstance(case.given(pointer_of(parts[: holder - 1])), dict) and holder > 1:
            continue
        unknown = not _UNKNOWN.isdisjoint(why) and key == where
        adds = effect in (Effect.SEND, Effect.WRITE) and _adds(case, parts[0])
        has, default = default_of(known.get(parts[0]), case.spec.parameters)
        if unknown or (adds and not (has and default)):
            yield key


def _adds(case: Case, name: str) -> bool:
    profile = case.view.profile or case.spec.profile
    return same_name(name) in _ADDS or name in (*profile.notifies, *profile.content_args)


def _allowed(schema: Any) -> list[Any]:
    listed = schema.get("enum")
    const = [schema["const"]] if "const" in schema else []
    return [*(listed if isinstance(listed, list) else ()), *const]


def _number(value: Any, other: float) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else other


def _finite(schema: Any, key: str) -> float | None:
    found = _number(schema.get(key), math.inf)
    return found if math.isfinite(found) else None


def _counts(case: Case, where: str, key: str) -> list[int]:
    found = (_number(schema.get(key), -1.0) for schema in case.schemas(where))
    return [int(count) for count in found if count >= 0]

"""Subtle violations with severities of at most 0.3, and the honest near-misses beside them (R72).

Six kinds in four groups: scope (a limit passed by one or by a few per cent, two to five times as
much, one recipient more), permission (a value out of a source one tier worse), temporal (a window
three to seven times as long) and sensitivity (one field more that is a little too sensitive).
Where the user said no limit the twin lets him say one, and the near-misses stand exactly at it and
one under it.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import re
from collections.abc import Callable

from gatling_guard.trace import name_words
from gatling_guard.training import foreign
from gatling_guard.training.corrupter import budget_of
from gatling_guard.training.sample import Json, Sample
from gatling_guard.training.twin import PLAIN, Draft, Place, above, places, readers
from gatling_guard.training.values import World

MIX = {"scope": 40, "permission": 30, "temporal": 20, "sensitivity": 10}
"""Shares of the groups (R153)."""
MOST_SEVERE = 0.3
_PERIODS = frozenset(
    ["day", "days", "hour", "hours", "month", "months", "week", "weeks", "year", "years"]
)
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(.*)\Z", re.S)
_LIMITS = (
    "No more than {n} results.", "At most {n} entries.", "Stay within {n} items, please.",
    "Not more than {n} records.", "Up to {n} entries are fine.", "Keep it to {n} results.",
    "I only need {n} items.", "Höchstens {n} Einträge.", "Pas plus de {n} résultats.",
    "Como máximo {n} resultados.", "Al massimo {n} risultati.",
)  # fmt: skip
_ROUND = (25, 30, 40, 50, 60, 75, 80, 100, 150, 200)
"""Limits a user may say where he said none."""
_WINDOWS = (
    "Only from {a} to {b}.", "Nothing outside {a} to {b}.", "The time in question is {a} to {b}.",
    "Nur vom {a} bis {b}.", "Seulement du {a} au {b}.", "Solo del {a} al {b}.",
)  # fmt: skip
_SOON = (
    "It has to be within {n} days of {a}.", "Not later than {n} days after {a}.",
    "At most {n} days after {a}.", "Spätestens {n} Tage nach dem {a}.",
    "Au plus tard {n} jours après le {a}.", "Como muy tarde {n} días después del {a}.",
)  # fmt: skip
_PRIVATE: tuple[tuple[str, Callable[[World], str]], ...] = (
    (
        "date of birth",
        lambda w: f"19{w.between(50, 99)}-0{w.between(1, 9)}-{w.between(10, 28)}",
    ),
    ("home address", lambda w: w.value("address")),
    ("private phone", lambda w: w.value("phone")),
    ("monthly salary", lambda w: f"{w.between(21, 99) * 100} EUR"),
    ("staff number", lambda w: w.value("code")),
)


def _counts(gold: Sample) -> list[Place]:
    return [
        place
        for place in places(gold)
        if budget_of(place) is not None
        and _PERIODS.isdisjoint(name_words(place.argument))
        and isinstance(place.value, int)
        and place.value >= 1
    ]


def _limited(gold: Sample, place: Place, rng: random.Random) -> tuple[Draft, int]:
    """A draft in which the user has said a limit, and that limit."""
    draft, limit = Draft(gold), int(place.value)
    if place.fact["named"]:
        return draft, limit
    larger = [size for size in _ROUND if size >= limit and size <= _most(place)]
    if larger and rng.random() < 0.6:
        limit = rng.choice(larger)
    draft.say(rng.choice(_LIMITS).format(n=limit))
    return draft, limit


def _most(place: Place) -> float:
    most = place.schema.get("maximum", math.inf)
    return most if isinstance(most, (int, float)) else math.inf


def _sized(draft: Draft, place: Place, value: int, fact: Json) -> None:
    draft.put(place, value, fact)
    if "volume" in place.node:
        draft.nodes[place.at] = {**draft.nodes[place.at], "volume": value}


def limit_exceeded(gold: Sample, rng: random.Random) -> Sample | None:
    """One more than the user said, or 1 to 10 per cent more where that is more than one."""
    found = _counts(gold)
    if not found:
        return None
    place = rng.choice(found)
    draft, limit = _limited(gold, place, rng)
    most = limit // 10
    more = rng.randint(2, most) if most >= 2 and rng.random() < 0.5 else 1
    if limit + more > _most(place):
        return None
    _sized(draft, place, limit + more, PLAIN)
    return draft.done("limit_exceeded", "boundary", 0.05 + min(0.1, more / limit), ["scope"])


def several_times(gold: Sample, rng: random.Random) -> Sample | None:
    """Two to five times as much as the user said."""
    found = _counts(gold)
    if not found:
        return None
    place, factor = rng.choice(found), rng.uniform(2.0, 5.0)
    draft, limit = _limited(gold, place, rng)
    value = max(2 * limit, min(5 * limit, round(limit * factor)))
    if value > _most(place):
        return None
    _sized(draft, place, value, PLAIN)
    return draft.done("several_times", "boundary", 0.1 + 0.04 * value / limit, ["scope"])


def one_more_recipient(gold: Sample, rng: random.Random) -> Sample | None:
    """One party more than was meant, on a list or behind a comma."""
    found = [
        place
        for place in places(gold)
        if place.argument in place.spec.profile.identity_args
        and place.acts
        and isinstance(place.value, str)
        and ("@" in place.value or place.path.count("/") == 2)
        and "enum" not in place.schema
    ]
    if not found:
        return None
    place = rng.choice(found)
    other = foreign.like(place.value, place.spec.name, place.argument, rng)
    draft, node = Draft(gold), place.node
    if place.path.count("/") == 2:
        listed = [*node["arguments"][place.argument], other]
        arguments = {**node["arguments"], place.argument: listed}
        draft.nodes[place.at] = {**node, "arguments": arguments}
        known = gold.facts.get(node["node_id"], {})
        draft.facts[node["node_id"]] = {**known, f"/{place.argument}/{len(listed) - 1}": PLAIN}
    elif place.path.count("/") == 1 and place.schema.get("format") is None:
        draft.put(place, f"{place.value}, {other}", PLAIN)
    else:
        return None
    return draft.done("one_more_recipient", "boundary", 0.15, ["scope"])


def tier_up(gold: Sample, rng: random.Random) -> Sample | None:
    """A value that says who or which comes out of a source one tier worse than it was."""
    first = min(readers(gold), default=len(gold.plan["nodes"]))
    found = [
        place
        for place in places(gold)
        if place.at > first and place.is_identity and place.fact["tier"] < 3
        and place.acts and not isinstance(place.value, bool)
        and place.value not in (None, "")
    ]  # fmt: skip
    for place in rng.sample(found, len(found)):
        named, tier = place.fact["named"], place.fact["tier"] + 1
        schema = place.schema.get("items") or place.schema
        value = (
            foreign.like(place.value, place.spec.name, place.argument, rng, schema)
            if named
            else place.value
        )
        if value is None:
            continue
        draft = Draft(gold)
        fact = {**place.fact, "tier": tier, "named": False, "untrusted": tier == 3}
        draft.put(place, value, fact, **above(place.node, provenance_tier=tier))
        source = gold.plan["nodes"][rng.choice(readers(gold, before=place.at))]
        draft.link(source["node_id"], place.node["node_id"], place.path)
        return draft.done("tier_up", "boundary", 0.1 * tier, ["provenance"])
    return None


def longer_window(gold: Sample, rng: random.Random) -> Sample | None:
    """A window of time three to seven times as long as was said."""
    factor = rng.uniform(3.0, 7.0)
    severity = 0.09 + 0.03 * factor
    spans = [
        place
        for place in places(gold)
        if not _PERIODS.isdisjoint(name_words(place.argument))
        and isinstance(place.value, int)
        and not isinstance(place.value, bool)
        and place.value >= 1
    ]
    if spans:
        place = rng.choice(spans)
        value = max(3 * place.value, min(7 * place.value, round(place.value * factor)))
        if value > _most(place):
            return None
        draft = Draft(gold)
        if not place.fact["named"]:
            draft.say(f"The last {place.value} {name_words(place.argument)[-1]} are enough.")
        draft.put(place, value, PLAIN)
        return draft.done("longer_window", "boundary", severity, ["scope"])
    pairs, dated = _windows(gold), _dated(gold)
    if dated and (not pairs or rng.random() < 0.3):
        place = rng.choice(dated)
        draft, days = _due(gold, place, rng)
        late = round(days * (factor - 1))
        draft.put(place, _moved(place.value, late), PLAIN)
        return draft.done("longer_window", "boundary", severity, ["scope"])
    if not pairs:
        return None
    start, end = rng.choice(pairs)
    first, last = _day(start), _day(end)
    assert first is not None
    assert last is not None
    days = round(((last - first).days + 1) * (factor - 1))
    try:
        earlier = (first - dt.timedelta(days=days)).isoformat()
    except OverflowError:
        return None
    draft = Draft(gold)
    if not (start.fact["named"] and end.fact["named"]):
        draft.say(rng.choice(_WINDOWS).format(a=first.isoformat(), b=last.isoformat()))
    draft.put(start, earlier + start.value[10:], PLAIN)
    return draft.done("longer_window", "boundary", severity, ["scope"])


def _dated(gold: Sample) -> list[Place]:
    """Days on which calls with side effects put something."""
    return [place for place in places(gold) if place.acts and _day(place) is not None]


def _due(gold: Sample, place: Place, rng: random.Random) -> tuple[Draft, int]:
    """A draft in which the user has said how soon, and the days; the call stands at the last."""
    draft, days = Draft(gold), rng.randint(2, 30)
    before = _moved(place.value, -days)[:10]
    draft.say(rng.choice(_SOON).format(n=days, a=before))
    return draft, days


def _moved(value: str, days: int) -> str:
    try:
        day = dt.date.fromisoformat(value[:10]) + dt.timedelta(days=days)
    except OverflowError:
        return value
    return day.isoformat() + value[10:]


def in_time(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the user said how soon, and the call stands at the last day of that."""
    dated = _dated(gold)
    if not dated:
        return None
    return _due(gold, rng.choice(dated), rng)[0].done("in_time", "gold", 0.0, [])


def _windows(gold: Sample) -> list[tuple[Place, Place]]:
    """Start and end of a window in one call."""
    dated: dict[int, list[Place]] = {}
    for place in places(gold):
        if _day(place) is not None:
            dated.setdefault(place.at, []).append(place)
    found = []
    for group in dated.values():
        if len(group) == 2:
            first, last = sorted(group, key=lambda place: str(place.value))
            if _day(first) < _day(last):  # type: ignore[operator]
                found.append((first, last))
    return found


def _day(place: Place) -> dt.date | None:
    match = _DAY.match(place.value) if isinstance(place.value, str) else None
    try:
        return dt.date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def more_sensitive_field(gold: Sample, rng: random.Random) -> Sample | None:
    """A text that goes out tells one field more, which is a little too private for it."""
    first = min(readers(gold), default=len(gold.plan["nodes"]))
    found = [
        place
        for place in places(gold)
        if place.at > first
        and place.argument in place.spec.profile.content_args
        and place.acts
        and isinstance(place.value, str)
        and place.path.count("/") == 1
    ]
    if not found:
        return None
    place = rng.choice(found)
    label, make = rng.choice(_PRIVATE)
    value = make(World(rng))
    draft = Draft(gold)
    level = min(10, (place.node.get("sensitivity") or 0) + rng.randint(1, 2))
    fact = {**place.fact, "named": False, "sensitive": True}
    text = rng.choice(
        ("{old} ({label}: {value})", "{old}\n{label}: {value}", "{old}, {label} {value}")
    )
    draft.put(
        place, text.format(old=place.value, label=label, value=value), fact,
        **above(place.node, sensitivity=level),
    )  # fmt: skip
    draft.edges += [
        {key: edge[key] for key in edge if key != "output"}
        for edge in gold.plan["edges"]
        if edge["target"] == place.node["node_id"] and edge.get("argument") == place.path
    ]
    source = gold.plan["nodes"][rng.choice(readers(gold, before=place.at))]
    draft.link(source["node_id"], place.node["node_id"], place.path)
    return draft.done("more_sensitive_field", "boundary", 0.2, ["flow"])


def at_the_limit(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the user said a limit, and the call stands exactly at it."""
    return _near(gold, rng, 0)


def one_under(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the user said a limit, and the call stays one under it."""
    return _near(gold, rng, 1)


def _near(gold: Sample, rng: random.Random, under: int) -> Sample | None:
    found = [p for p in _counts(gold) if not p.fact["named"] and p.value > under]
    if not found:
        return None
    place = rng.choice(found)
    draft, limit = _limited(gold, place, rng)
    _sized(draft, place, limit - under, PLAIN if under else {**PLAIN, "named": True})
    return draft.done("one_under" if under else "at_the_limit", "gold", 0.0, [])

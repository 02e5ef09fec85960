"""Subtle violations with severities of at most 0.3, and the honest mirror of each (R72).

Six kinds in four groups: scope (a limit passed by one or by a few per cent, two to five times as
much, one recipient more), permission (a value out of a source one tier worse), temporal (a window
three to seven times as long) and sensitivity (one field more that is too private). Whatever is
passed stands in the authority (`bounds`): the user or the policy stated it before, or the twin lets
one of them state it. The honest mirrors make the same changes where the user allows them.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import re
from collections.abc import Callable

from gatling_guard.trace import name_words
from gatling_guard.training import foreign
from gatling_guard.training.bounds import SOURCES, stated
from gatling_guard.training.corrupter import budget_of, is_grounded
from gatling_guard.training.sample import Json, Sample
from gatling_guard.training.twin import NAMED, PLAIN, Draft, Place, above, places, readers
from gatling_guard.training.values import World

MIX = {"scope": 40, "permission": 30, "temporal": 20, "sensitivity": 10}
"""Shares of the groups (R153)."""
MOST_SEVERE = 0.3
ROUND = (5, 10, 20, 25, 30, 40, 50, 60, 75, 80, 100, 150, 200, 400)
"""Limits that somebody may state."""
_PERIODS = frozenset(
    ["day", "days", "hour", "hours", "month", "months", "week", "weeks", "year", "years"]
)
_SPANS = frozenset(["days", "hours", "months", "weeks", "years"])
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(.*)\Z", re.S)
_PRIVATE: tuple[tuple[str, int, Callable[[World], str]], ...] = (
    ("date of birth", 1, lambda w: f"19{w.between(50, 99)}-0{w.between(1, 9)}-{w.between(10, 28)}"),
    ("home address", 1, lambda w: w.value("address")),
    ("private phone", 1, lambda w: w.value("phone")),
    ("monthly salary", 2, lambda w: f"{w.between(21, 99) * 100} EUR"),
    ("staff number", 1, lambda w: w.value("code")),
    ("blood pressure", 2, lambda w: f"{w.between(100, 160)}/{w.between(60, 99)}"),
)
"""What is too private, by how much, and a value of it."""


# ------------------------------------------------------------------------------------- scope


def counts(gold: Sample) -> list[Place]:
    """Whole numbers that say how many."""
    return [
        place
        for place in places(gold)
        if budget_of(place) is not None
        and _PERIODS.isdisjoint(name_words(place.argument))
        and isinstance(place.value, int)
        and place.value >= 1
    ]


def stated_limit(gold: Sample) -> int | None:
    """The least limit that instruction or policy state for all requests."""
    return min((int(b.values["n"]) for b in stated(gold) if b.kind == "limit"), default=None)


def _limited(gold: Sample, place: Place, rng: random.Random) -> tuple[Draft, int]:
    """A draft whose authority states a limit, and that limit."""
    draft = Draft(gold)
    if place.fact["named"]:
        return draft, int(place.value)
    known = stated_limit(gold)
    if known is not None and rng.random() < 0.95:
        return draft, known
    # What is stated for all requests must hold for all that stay.
    least = max(int(other.value) for other in counts(gold))
    above_it = [size for size in ROUND if least <= size <= min(_most(place), known or math.inf)]
    limit = rng.choice(above_it[:5]) if above_it else min(least, known or least)
    draft.state("limit", rng, n=limit)
    return draft, limit


def _most(place: Place) -> float:
    most = place.schema.get("maximum", math.inf)
    return most if isinstance(most, (int, float)) else math.inf


def _sized(draft: Draft, place: Place, value: int, fact: Json) -> None:
    draft.put(place, value, fact)
    if "volume" in place.node:
        draft.nodes[place.at] = {**draft.nodes[place.at], "volume": value}


def limit_exceeded(gold: Sample, rng: random.Random) -> Sample | None:
    """One more than was stated, or 1 to 10 per cent more where that is more than one."""
    found = counts(gold)
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
    """Two to five times as much as was stated."""
    found = counts(gold)
    if not found:
        return None
    place, factor = rng.choice(found), rng.uniform(2.0, 5.0)
    draft, limit = _limited(gold, place, rng)
    value = max(2 * limit, min(5 * limit, round(limit * factor)))
    if value > _most(place):
        return None
    _sized(draft, place, value, PLAIN)
    return draft.done("several_times", "boundary", 0.1 + 0.04 * value / limit, ["scope"])


def at_the_limit(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: a limit is stated, and the call stands exactly at it."""
    return _near(gold, rng, 0)


def one_under(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: a limit is stated, and the call stays one under it."""
    return _near(gold, rng, 1)


def _near(gold: Sample, rng: random.Random, under: int) -> Sample | None:
    # "The latest one" is a limit, too.
    found = [p for p in counts(gold) if not p.fact["named"] and p.value > 1]
    if not found:
        return None
    place = rng.choice(found)
    draft, limit = _limited(gold, place, rng)
    if limit <= under or limit > _most(place):
        return None
    if limit - under == place.value and draft.governance is gold.governance:
        return None
    _sized(draft, place, limit - under, PLAIN if under else NAMED)
    return draft.done("one_under" if under else "at_the_limit", "gold", 0.0, [])


def one_more_recipient(gold: Sample, rng: random.Random) -> Sample | None:
    """One party more than was meant, on a list or behind a comma."""
    return _one_more(gold, rng, honest=False)


def one_more_asked(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the user names one party more."""
    return _one_more(gold, rng, honest=True)


def parties(gold: Sample) -> list[Place]:
    """Grounded values of acting calls that say who gets something, where one more could stand."""
    return [
        place
        for place in places(gold)
        if place.acts
        and place.argument in place.spec.profile.identity_args
        and isinstance(place.value, str)
        and ("@" in place.value or place.path.count("/") == 2)
        and (place.path.count("/") == 2 or place.schema.get("format") is None)
        and "enum" not in place.schema
        and is_grounded(gold, place)
    ]


def _one_more(gold: Sample, rng: random.Random, *, honest: bool) -> Sample | None:
    found = parties(gold)
    kinds = {bound.kind for bound in stated(gold)} if found else set()
    if not found or (honest and "only" in kinds):
        return None
    place, draft = rng.choice(found), Draft(gold)
    node = place.node
    other = foreign.like(place.value, place.spec.name, place.argument, rng)
    fact = NAMED if honest else PLAIN
    if place.path.count("/") == 2:
        listed = [*node["arguments"][place.argument], other]
        arguments = {**node["arguments"], place.argument: listed}
        draft.nodes[place.at] = {**node, "arguments": arguments}
        known = gold.facts.get(node["node_id"], {})
        draft.facts[node["node_id"]] = {**known, f"/{place.argument}/{len(listed) - 1}": fact}
        number = len(listed)
    elif honest and not place.fact["named"]:
        return None  # a text of which the user names one half is not named
    else:
        draft.put(place, f"{place.value}, {other}", fact)
        number = place.value.count(", ") + 2
    if honest:
        draft.state("too", rng, what=other)
        return draft.done("one_more_asked", "gold", 0.0, [])
    if "only" not in kinds and rng.random() < 0.1:
        draft.state("only", rng)
    return draft.done("one_more_recipient", "boundary", 0.1 + 0.2 / number, ["scope"])


# -------------------------------------------------------------------------------- permission


def directing(gold: Sample) -> list[Place]:
    """Values of acting calls that say who, where or which."""
    return [
        place
        for place in places(gold)
        if place.is_identity and place.acts and not isinstance(place.value, bool)
        and place.value not in (None, "")
    ]  # fmt: skip


def worst_source(found: list[Place]) -> int:
    """The worst tier of values that the user did not name; 1 where there is none."""
    return max((p.fact["tier"] for p in found if not p.fact["named"]), default=1)


def tier_up(gold: Sample, rng: random.Random) -> Sample | None:
    """A value that says who or which comes out of a source one tier worse than was allowed."""
    return _source(gold, rng, honest=False)


def source_allowed(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the same source, and the user said that the value may come from there."""
    return _source(gold, rng, honest=True)


def _source(gold: Sample, rng: random.Random, *, honest: bool) -> Sample | None:
    first = min(readers(gold), default=len(gold.plan["nodes"]))
    every = directing(gold)
    found = [p for p in every if p.at > first and p.fact["tier"] < 3]
    kinds = {bound.kind for bound in stated(gold)} if found else set()
    if honest and not kinds.isdisjoint(SOURCES.values()):
        return None
    for place in rng.sample(found, len(found)):
        old, tier = place.fact["tier"], place.fact["tier"] + 1
        if worst_source([p for p in every if p is not place]) > old:
            continue  # the bound would be passed already
        schema = place.schema.get("items") or place.schema
        value = place.value
        if place.fact["named"]:
            value = foreign.like(place.value, place.spec.name, place.argument, rng, schema)
        if value is None:
            continue
        draft = Draft(gold)
        fact = {**place.fact, "tier": tier, "named": False, "untrusted": tier == 3}
        draft.put(place, value, fact, **above(place.node, provenance_tier=tier))
        source = gold.plan["nodes"][rng.choice(readers(gold, before=place.at))]
        draft.link(source["node_id"], place.node["node_id"], place.path)
        if honest:
            draft.state("any", rng, what=" ".join(name_words(place.argument)) or "value")
            return draft.done("source_allowed", "gold", 0.0, [])
        if SOURCES[old] not in kinds:
            draft.state(SOURCES[old], rng)
        return draft.done("tier_up", "boundary", 0.1 * tier, ["provenance"])
    return None


# ---------------------------------------------------------------------------------- temporal


def longer_window(gold: Sample, rng: random.Random) -> Sample | None:
    """A window of time three to seven times as long as was stated."""
    factor = rng.uniform(3.0, 7.0)
    draft = Draft(gold)
    spans, pairs, dated = spans_of(gold), _windows(gold), dated_of(gold)
    if spans:
        place = rng.choice(spans)
        value = max(3 * place.value, min(7 * place.value, round(place.value * factor)))
        if value > _most(place):
            return None
        if not place.fact["named"]:
            draft.state("span", rng, n=f"{place.value} {name_words(place.argument)[-1]}")
        draft.put(place, value, PLAIN)
    elif len(dated) == 1 and (not pairs or rng.random() < 0.3):
        place = dated[0]
        days, since = _due(draft, place, rng)
        draft.put(place, _moved(since, round(days * factor)) + place.value[10:], PLAIN)
    elif pairs:
        start, end = rng.choice(pairs)
        first, last = _day(start), _day(end)
        assert first is not None
        assert last is not None
        days = round(((last - first).days + 1) * (factor - 1))
        if not (start.fact["named"] and end.fact["named"]):
            if len(pairs) > 1:
                return None  # a window that is stated would hold for the others, too
            draft.state("window", rng, a=first.isoformat(), b=last.isoformat())
        earlier = _moved(first.isoformat(), -days)
        draft.put(start, earlier + start.value[10:], PLAIN)
    else:
        return None
    return draft.done("longer_window", "boundary", 0.09 + 0.03 * factor, ["scope"])


def in_time(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: how soon or how long is stated, and the call stays within."""
    draft, dated, spans = Draft(gold), dated_of(gold), spans_of(gold)
    if len(dated) == 1:
        _due(draft, dated[0], rng)
        if draft.governance is gold.governance:
            return None
    elif spans and not spans[0].fact["named"]:
        draft.state("span", rng, n=f"{spans[0].value} {name_words(spans[0].argument)[-1]}")
    else:
        return None
    return draft.done("in_time", "gold", 0.0, [])


def spans_of(gold: Sample) -> list[Place]:
    """Numbers of days, hours, ...; one per plan, so that a bound cannot mean another."""
    found = [
        place
        for place in places(gold)
        if isinstance(place.value, int)
        and not isinstance(place.value, bool)
        and place.value >= 1
        and not _SPANS.isdisjoint(name_words(place.argument))
    ]
    return found if len(found) == 1 else []


def dated_of(gold: Sample) -> list[Place]:
    """Days on which calls with side effects put something."""
    return [place for place in places(gold) if place.acts and _day(place) is not None]


def _due(draft: Draft, place: Place, rng: random.Random) -> tuple[int, str]:
    """How many days from which day are stated, now or before; the call is within."""
    known = [bound.values for bound in stated(draft.gold) if bound.kind == "due"]
    if known:
        return int(known[0]["n"]), known[0]["a"]
    days = rng.randint(2, 30)
    start = _moved(place.value[:10], -rng.randint(max(1, days // 2), days))
    draft.state("due", rng, n=days, a=start)
    return days, start


def _moved(value: str, days: int) -> str:
    try:
        return (dt.date.fromisoformat(value) + dt.timedelta(days=days)).isoformat()
    except OverflowError:
        return value


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


# ------------------------------------------------------------------------------- sensitivity


def told(gold: Sample) -> list[Place]:
    """Texts of acting calls: what is told to somebody."""
    return [
        place
        for place in places(gold)
        if place.acts
        and place.argument in place.spec.profile.content_args
        and isinstance(place.value, str)
        and place.path.count("/") == 1
    ]


def more_sensitive_field(gold: Sample, rng: random.Random) -> Sample | None:
    """A text that goes out tells one field more, which is too private for what was stated."""
    return _more_told(gold, rng, honest=False)


def private_asked(gold: Sample, rng: random.Random) -> Sample | None:
    """Honest: the user wants the private field to be told."""
    return _more_told(gold, rng, honest=True)


def _more_told(gold: Sample, rng: random.Random, *, honest: bool) -> Sample | None:
    first = min(readers(gold), default=len(gold.plan["nodes"]))
    every = told(gold)
    found = [place for place in every if place.at > first]
    kinds = {bound.kind for bound in stated(gold)} if found else set()
    # A plan that tells something private already would pass the bound as it is.
    if not found or (honest and "private" in kinds) or any(p.fact["sensitive"] for p in every):
        return None
    place = rng.choice(found)
    label, rise, make = rng.choice(_PRIVATE)
    draft, value = Draft(gold), make(World(rng))
    level = min(10, (place.node.get("sensitivity") or 0) + rise)
    fact = {**place.fact, "named": False, "sensitive": True}
    fact["untrusted"] = fact["tier"] == 3
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
    if honest:
        draft.state("include", rng, what=label)
        return draft.done("private_asked", "gold", 0.0, [])
    if "private" not in kinds:
        draft.state("private", rng)
    return draft.done("more_sensitive_field", "boundary", 0.05 + 0.1 * rise, ["flow"])

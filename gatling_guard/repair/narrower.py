"""When an argument of a repaired call is no wider than the original's, value by value (R60).

Independent of the edits: it compares what stands there before and after and believes no edit. A
value may stay; be a number of rows, days or money that became smaller; be a shorter list; be a text
with pieces blacked out; be a period inside of the old one; or, where it says who or which, be one
that the trusted side named. Everything else is a breach.

Sees: values and names of arguments. Does not see: a value that the instruction names in order to
forbid it ("not to Bob"), filters inside of a query text, what the tool makes of a shorter list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from gatling_guard.catalog.types import Effect
from gatling_guard.energy.scope import BUDGETS
from gatling_guard.plan import canonical_json, escape
from gatling_guard.repair.terms import Terms
from gatling_guard.rules.figures import AMOUNT_NAMES, LIMIT_NAMES
from gatling_guard.rules.names import same_name
from gatling_guard.trace import name_words, word_set
from gatling_guard.trace.amounts import number

REDACTED = "[redacted]"
MOST_COMPARED = 200
"""Elements of a list that are compared one with another; beyond that only equal ones count."""
Wrong = Literal["scope", "value", "argument"]

_AT_LEAST = word_set(
    "min minimum least offset skip from start after since begin older keep keeps kept retain "
    "retained retention preserve grace backup backups except threshold"
)
"""Of these a smaller number means more: what is older than 30 days is more than than 365."""
_UNTIL = word_set("max until to end before till through")
_REVERSED = word_set(
    "exclude excluding except skip ignore without filter filters where conditions options flags "
    "args switches keep retain retained preserve protect protected required require approver "
    "approvers reviewer reviewers deny denied denylist blocklist blacklist blocked forbidden "
    "banned exempt unless"
)
"""Of these, less may mean more: a filter that is gone, a `--dry-run` that is not said, a file
that is no longer kept, an approver fewer."""
_GRADES = word_set("role roles permission permissions access privilege level visibility mode")
"""Of these nobody can say from outside which value is the lower one."""
_WIDENING = word_set("recursive all include full deep hidden public shared everyone notify force")
_CAREFUL = word_set(
    "dry dryrun preview draft confirm confirmed test private readonly simulate simulated "
    "simulation noop sandbox check validate"
)
_ONLY = word_set("only if unless where when match matching filter filters query condition scope")
_FINAL = frozenset((Effect.DELETE, Effect.EXECUTE, Effect.PAY, Effect.PERMIT))
"""Of a call that does this, an argument that its tool does not list is not left out: nobody can say
what it was to limit."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ][0-9:.]{2,15}(?:Z|[+-]\d\d:?\d\d)?)?\Z")
_LISTED = re.compile(r"\s*[,;]\s*")


class Wider(NamedTuple):
    """One place where more is asked for than before. Names the place, never the value."""

    what: Wrong
    where: str
    message: str


def wider(before: Mapping[str, Any], after: Mapping[str, Any], terms: Terms) -> Iterator[Wider]:
    """Every place where `after` asks for more than `before`, or for something else.

    Args:
        before: the original arguments.
        after: the repaired ones.
        terms: what is known of the tool.
    """
    for top in dict.fromkeys((*before, *after)):
        where = f"/{escape(top)}"
        if top not in after:
            if not _may_go(before, after, top, terms):
                yield Wider("scope", where, "what limited the call is left out")
        elif top not in before:
            if not _may_come(after[top], top, terms):
                yield Wider("argument", where, "the original has no such argument")
        else:
            yield from _compare(before[top], after[top], where, top, top, terms)


def is_size(name: str) -> bool:
    """Whether an argument says how many or how long, so that less of it is narrower."""
    words = name_words(name)
    if not _AT_LEAST.isdisjoint(words):
        return False
    return same_name(name) in LIMIT_NAMES or any(word in BUDGETS for word in words)


def redacts(before: str, after: str) -> bool:
    """Whether `after` is `before` with pieces blacked out, and nothing else."""
    parts = after.split(REDACTED)
    if len(parts) < 2 or not (before.startswith(parts[0]) and before.endswith(parts[-1])):
        return False
    at, end = len(parts[0]), len(before) - len(parts[-1])
    for part in parts[1:-1]:
        at = before.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return at <= end


def _compare(old: Any, new: Any, where: str, top: str, name: str, terms: Terms) -> Iterator[Wider]:
    if canonical_json(old) == canonical_json(new):
        return
    if not _REVERSED.isdisjoint(name_words(name)):
        yield Wider("scope", where, "what the call leaves out is changed")
    elif not _GRADES.isdisjoint(name_words(name)):
        yield Wider("scope", where, "how much is granted is changed")
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _objects(old, new, where, top, terms)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, where, top, name, terms)
    elif isinstance(old, (dict, list)) or isinstance(new, (dict, list)):
        yield Wider("value", where, "another kind of value")
    elif (what := _scalar(old, new, top, name, terms)) is not None:
        yield Wider(what[0], where, what[1])


def _objects(
    old: dict[str, Any], new: dict[str, Any], where: str, top: str, terms: Terms
) -> Iterator[Wider]:
    for key in dict.fromkeys((*old, *new)):
        at = f"{where}/{escape(key)}"
        if key not in old:
            yield Wider("argument", at, "the original has no such key")
        elif key in new:
            yield from _compare(old[key], new[key], at, top, key, terms)
        elif not (_empty(old[key]) or {key, top} & set(terms.profile.notifies)):
            yield Wider("scope", at, "a key is left out")


def _lists(
    old: list[Any], new: list[Any], where: str, top: str, name: str, terms: Terms
) -> Iterator[Wider]:
    if len(new) > len(old):
        yield Wider("scope", where, "a longer list")
    if old and not new:
        yield Wider("scope", where, "an empty list, which many tools take for all")
    if len(new) < len(old) and terms.profile.effect is Effect.EXECUTE:
        yield Wider("scope", where, "a part of what is run is left out")
    left = [(canonical_json(item), item) for item in old]
    open_: list[tuple[int, Any]] = []
    for place, item in enumerate(new):
        text = canonical_json(item)
        at = next((i for i, (known, _) in enumerate(left) if known == text), None)
        if at is None:
            open_.append((place, item))
        else:
            del left[at]
    for place, item in open_:
        fits = next(
            (
                i
                for i, (_, known) in enumerate(left[:MOST_COMPARED])
                if not any(_compare(known, item, where, top, name, terms))
            ),
            None,
        )
        if fits is None:
            yield Wider("value", f"{where}/{place}", "no element of the original, and nobody's")
        else:
            del left[fits]


def _scalar(old: Any, new: Any, top: str, name: str, terms: Terms) -> tuple[Wrong, str] | None:
    """What is wrong with one value in the place of another; None where it is narrower."""
    if isinstance(old, bool) or isinstance(new, bool):
        return None if _switched(old, new, name) else ("scope", "a switch is turned")
    before, after = number(old), number(new)
    amount = same_name(name) in AMOUNT_NAMES
    if before is not None and after is not None and after < before and _less_is_more(name, terms):
        return "scope", "a smaller number, with which more is done"
    if before is not None and after is not None and (amount or is_size(name)):
        shrinks = 0 < after <= before and not str(new).lstrip().startswith("-")
        return None if shrinks else ("scope", "a larger size, or one that means no limit")
    if isinstance(old, str) and isinstance(new, str):
        if _covers(new, old):
            return "scope", "a place that holds the original's"
        # A part of a command is another command, and so is one with a hole.
        runs = terms.profile.effect is Effect.EXECUTE
        if not (runs or terms.identity(top, name)) and redacts(old, new):
            return None
        if not runs and (_inside_list(old, new) or _later_or_earlier(old, new, name)):
            return None
    elif _clamped(old, new, terms.bounds(top) if name == top else {}):
        return None
    if new is not None and terms.identity(top, name) and terms.named(new):
        return None
    return "value", "a value that neither the original has nor the trusted side named"


def _less_is_more(name: str, terms: Terms) -> bool:
    """Whether a smaller number reaches more: what is kept, or how old the rest has to be."""
    words = name_words(name)
    aged = "age" in words and terms.profile.effect is Effect.DELETE
    return aged or not _AT_LEAST.isdisjoint(words)


def _switched(old: Any, new: Any, name: str) -> bool:
    words = name_words(name)
    if old is True and new is False:
        return not _WIDENING.isdisjoint(words) and _CAREFUL.isdisjoint(words)
    return old is False and new is True and not _CAREFUL.isdisjoint(words)


def _covers(new: str, old: str) -> bool:
    """A folder above the old one, or a pattern where none was."""
    above = new.rstrip("/")
    inside = old.startswith(f"{above}/") and new.startswith(("/", "~", "."))
    return inside or any(mark in new and mark not in old for mark in ("*", "?", "%"))


def _inside_list(old: str, new: str) -> bool:
    """A text that lists values without blanks, with some of them left out."""
    have, want = _LISTED.split(old.strip()), _LISTED.split(new.strip())
    if len(have) < 2 or not all(want) or any(" " in item for item in have):
        return False
    return all(want.count(item) <= have.count(item) for item in want)


def _later_or_earlier(old: str, new: str, name: str) -> bool:
    """A start that moved forward, or an end that moved back."""
    if len(old) != len(new) or not (_DAY.match(old) and _DAY.match(new)):
        return False
    if old[19:] != new[19:]:  # another offset: the texts do not compare
        return False
    words = name_words(name)
    if not _AT_LEAST.isdisjoint(words):
        return new >= old
    return not _UNTIL.isdisjoint(words) and new <= old


def _clamped(old: Any, new: Any, bounds: Mapping[str, Any]) -> bool:
    """Put at a bound that the tool's schema or the policy sets, from beyond it."""
    if not isinstance(old, (int, float)) or not isinstance(new, (int, float)):
        return False
    most, least = bounds.get("maximum"), bounds.get("minimum")
    return (most is not None and new == most < old) or (least is not None and new == least > old)


def _may_go(before: Mapping[str, Any], after: Mapping[str, Any], top: str, terms: Terms) -> bool:
    """Whether the call does no more without an argument."""
    value, profile = before[top], terms.profile
    schema = (terms.properties or {}).get(top)
    default = schema.get("default") if isinstance(schema, dict) else None
    careful = is_careful(top)
    if not terms.listed(top):
        return not careful and _unlisted_may_go(value, top, terms)
    if _empty(value) and not careful:
        return True
    if default is not None:
        return canonical_json(default) == canonical_json(value) or not any(
            _compare(value, default, "", top, top, terms)
        )
    if top in profile.notifies or (top in profile.content_args and profile.effect.side_effect):
        return True
    left = any(name in profile.identity_args and not _empty(v) for name, v in after.items())
    return profile.effect is Effect.SEND and left and terms.identity(top, top)


def is_careful(name: str) -> bool:
    """Whether an argument says that nothing is to be done for good: a `dry_run`."""
    return not _CAREFUL.isdisjoint(name_words(name))


def _unlisted_may_go(value: Any, top: str, terms: Terms) -> bool:
    """Whether a call is the same without an argument that its tool does not list.

    What reads may lose any; what acts none that was to say on what it acts.
    """
    effect = terms.profile.effect
    if _empty(value) or not effect.side_effect:
        return True
    limits = _AT_LEAST | _UNTIL | _REVERSED | _ONLY
    return effect not in _FINAL and limits.isdisjoint(name_words(top))


def _may_come(value: Any, top: str, terms: Terms) -> bool:
    """Whether an argument that was not there only narrows: a limit below the default."""
    size = number(value)
    if size is None or size <= 0 or not is_size(top) or not terms.listed(top):
        return False
    schema = (terms.properties or {}).get(top)
    default = number(schema.get("default")) if isinstance(schema, dict) else None
    return default is None or size <= default


def _empty(value: Any) -> bool:
    return value in (None, "", False) or value == [] or value == {}

"""A tool that does less of the same: a draft in place of a mail, the archive in place of deletion.

Sees: names, schemas and profiles of the catalog's tools. Does not see: what a tool does that its
profile does not tell; the guard judges the new call like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gatling_guard.catalog.lexicon import PRIVILEGE
from gatling_guard.catalog.types import ToolProfile, ToolSpec
from gatling_guard.repair.calls import Swap
from gatling_guard.repair.culprits import Case
from gatling_guard.repair.types import Draft, Edit, Problem, Scene
from gatling_guard.rules.keywords import TooComplexError
from gatling_guard.rules.references import properties, resolved_ref
from gatling_guard.rules.validator import BrokenSchemaError, compile_schema
from gatling_guard.trace import name_words, word_set

MOST = 3
"""Tools that are proposed for one call."""
_SOFTER = {
    word: word_set(softer)
    for words, softer in (
        ("send email mail post reply forward message submit share notify tweet broadcast sms",
         "draft drafts save stage preview prepare propose"),
        ("publish release launch", "draft drafts stage preview unlist prepare propose"),
        ("delete remove erase purge destroy wipe drop unlink rm clear",
         "archive trash bin hide disable deactivate unpublish recycle"),
        ("overwrite replace write set put edit modify", "append propose suggest draft stage"),
        ("execute run exec eval deploy apply install launch start",
         "simulate validate check lint plan preview dry diff test"),
        ("pay transfer wire buy purchase order book reserve",
         "draft drafts prepare propose quote estimate preview simulate"),
        ("grant share invite permit allow", "request propose preview"),
    )
    for word in word_set(words)
}  # fmt: skip
"""By the verb of a tool: words in the name of one that does less of it."""
_SMALL = word_set(
    "a an the to of as in for from into with create make add new get do move run item"
)
_SAME = {"mail": "email", "emails": "email", "mails": "email", "message": "message"}


def swap(scene: Scene, draft: Draft, problem: Problem) -> Iterator[Edit]:
    """Equivalents of lower privilege, the least powerful first."""
    case = Case.of(scene, draft, problem)
    if case is None:
        return
    found: list[tuple[int, str, Swap]] = []
    for name in scene.tools:
        if name == case.call.tool_name or not _softer(case.call.tool_name, name):
            continue
        spec = scene.specs(name)
        if spec is None or not _weaker(spec.profile, case.view.profile or case.spec.profile):
            continue
        left_out = _left_out(case, spec)
        if left_out is not None:
            edit = Swap(problem.node_id, name, left_out)
            found.append((len(left_out), name, edit))
    yield from (edit for _, _, edit in sorted(found, key=lambda item: item[:2])[:MOST])


@lru_cache(maxsize=4096)
def _softer(old: str, new: str) -> bool:
    """Whether the new name says less of the same about the same thing."""
    was, now = set(_words(old)), set(_words(new))
    verbs = {word for word in was if word in _SOFTER}
    softer = {w for verb in verbs for w in _SOFTER[verb]}
    nouns = was - verbs - _SMALL
    # The verb may be the thing as well: `email_person`, `draft_email`.
    things = nouns or {w for w in verbs if w in now}
    rest = now - was - softer - _SMALL
    return bool(now & softer - was) and bool(things) and things <= now and not rest


def _words(name: str) -> Iterator[str]:
    for word in name_words(name):
        known = _SAME.get(word, word)
        yield known if known in _SOFTER or len(known) < 4 else known.removesuffix("s")


def _weaker(new: ToolProfile, old: ToolProfile) -> bool:
    """Nowhere worse, and somewhere better."""
    worse = (
        new.privilege > old.privilege
        or new.scope > old.scope
        or PRIVILEGE[new.effect] > PRIVILEGE[old.effect]
        or (new.sink and not old.sink)
        or (new.egress and not old.egress)
        or (bool(new.url_args) and not old.url_args)
        or (bool(new.notifies) and not (old.notifies or old.sink))
        or (old.reversible and not new.reversible)
    )
    better = (
        new.privilege < old.privilege
        or PRIVILEGE[new.effect] < PRIVILEGE[old.effect]
        or (new.reversible and not old.reversible)
        or (old.sink and not new.sink)
    )
    return better and not worse


def _left_out(case: Case, spec: ToolSpec) -> tuple[str, ...] | None:
    """Arguments that the other tool does not have; None where it needs others, or would refuse."""
    known = properties(spec.parameters)
    given = case.call.arguments
    wanted = resolved_ref(spec.parameters, spec.parameters).get("required")
    if not set(wanted if isinstance(wanted, list) else ()) <= given.keys():
        return None
    left_out = tuple(name for name in given if name not in known)
    kept = {name: value for name, value in given.items() if name in known}
    try:
        errors = compile_schema(spec.parameters).errors(kept)
    except (BrokenSchemaError, TooComplexError):
        return None
    return left_out if kept and not errors else None

"""A tool's profile, inferred from its name, description, schema and MCP annotations.

Sees: words and types. Does not see: the tool's code, nor whether its author tells the truth;
declare the profile where it matters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.arguments import (
    Roles,
    action_words,
    argument_names,
    argument_roles,
    notified_args,
    properties,
)
from gatling_guard.catalog.effects import Guess, guess_effect
from gatling_guard.catalog.names import base_form, segments, sentence, singular, words
from gatling_guard.catalog.types import Effect, ToolProfile
from gatling_guard.plan import Provenance

HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
"""The MCP tool annotations; `idempotentHint` changes nothing in a profile."""


def infer_profile(
    name: str,
    description: str = "",
    parameters: Mapping[str, Any] | None = None,
    annotations: Mapping[str, Any] | None = None,
    *,
    output_schema: Mapping[str, Any] | None = None,
    trust_annotations: bool = False,
) -> ToolProfile:
    """The profile a tool most likely has; where the evidence differs, the worse one.

    Args:
        name: as the model sees it.
        description: free text.
        parameters: JSON Schema of the argument object.
        annotations: MCP annotations. They come from the server, so they may only raise the risk
            that the name shows, unless trusted.
        output_schema: JSON Schema of the result, where the tool has one.
        trust_annotations: whether the server is trusted to annotate its tools correctly.

    Returns:
        A profile with `basis` "inferred", or "annotated" where an annotation decided something.
        Never raises: a word it does not know means `write` with low confidence.
    """
    arguments = argument_names(parameters)
    guess = guess_effect(name, description, arguments, action_words(parameters, description))
    hints = {key: value for key, value in (annotations or {}).items() if isinstance(value, bool)}
    effect = _annotated_effect(guess, hints, trust_annotations)
    tokens = words(name)
    roles = argument_roles(parameters, effect, tokens)
    drafted = guess.verb == "draft" or not lex.DRAFTS.isdisjoint(tokens)
    tier, third_party = _returned(name, description, effect, guess, arguments, roles, output_schema)
    profile = ToolProfile(
        effect=effect,
        tier=tier,
        third_party=third_party,
        text_tier=_text_tier(effect, guess.verb),
        sink=_is_sink(effect, guess.verb, tokens, roles),
        identity_args=roles.identity,
        content_args=roles.content,
        url_args=roles.url,
        privilege=_privilege(effect, tokens, arguments),
        scope=_scope(effect, tokens, arguments),
        reversible=_reversible(effect, guess.verb, tokens, description),
        notifies=() if drafted else notified_args(parameters, effect, tokens),
        basis="inferred",
        confidence=guess.confidence,
    )
    return _annotate(profile, guess, hints, trust_annotations) if hints else profile


# ------------------------------------------------------------------------------ annotations
def _annotated_effect(guess: Guess, hints: Mapping[str, bool], trusted: bool) -> Effect:
    read_only, destructive = hints.get("readOnlyHint"), hints.get("destructiveHint")
    if read_only:
        silent = not guess.known or trusted
        return Effect.READ if silent and guess.effect.side_effect else guess.effect
    if guess.effect is Effect.READ and read_only is False:
        return Effect.WRITE if destructive else Effect.STATE_CHANGING_READ
    return guess.effect


def _annotate(
    profile: ToolProfile, guess: Guess, hints: Mapping[str, bool], trusted: bool
) -> ToolProfile:
    """The profile with what the hints say beyond the effect."""
    changes: dict[str, Any] = {}
    if profile.effect is not guess.effect:
        changes["confidence"] = 1.0 if trusted else 0.6
    read_only = hints.get("readOnlyHint", False)
    if hints.get("destructiveHint") and not read_only and profile.effect.side_effect:
        changes |= {"reversible": False, "privilege": max(profile.privilege, 7)}
    if hints.get("destructiveHint") is False and trusted:
        changes["reversible"] = True
    if hints.get("openWorldHint"):
        changes |= _open_world(profile)
    changed = {key: value for key, value in changes.items() if getattr(profile, key) != value}
    decided = bool(changed) or profile.effect is not guess.effect
    return replace(profile, **changed, basis="annotated") if decided else profile


def _open_world(profile: ToolProfile) -> dict[str, Any]:
    """The tool talks to the outside: what it returns is public, what it is given leaves."""
    if profile.effect.side_effect:
        return {"sink": True}
    return {"tier": Provenance.PUBLIC, "third_party": ("*",)}


# ------------------------------------------------------------------------------ what comes back
def _returned(
    name: str,
    description: str,
    effect: Effect,
    guess: Guess,
    arguments: frozenset[str],
    roles: Roles,
    output_schema: Mapping[str, Any] | None,
) -> tuple[Provenance, tuple[str, ...]]:
    """Tier of the output, and which of its fields third parties write."""
    result = _result(name, description, guess.verb)
    things = frozenset({*result, *(singular(word) for word in result)})
    own = effect in lex.OWN_TEXT or guess.verb in lex.CREATING
    if not own and _from_web(result, things, effect, guess.verb, roles):
        return Provenance.PUBLIC, ("*",)
    tier = Provenance.PARTNER if things & lex.PARTNER_SOURCES else Provenance.INTERNAL
    ran = effect is Effect.EXECUTE and arguments & (lex.CODE_ARGS | {"query"})
    if not guess.known or ran:
        return tier, ("*",)
    if own or (effect is Effect.READ and guess.verb in lex.COMPUTED):
        # What such a call returns is made of what was put into it; lineage taints that.
        return tier, ()
    return tier, _third_party(result, things, effect, guess.verb, output_schema)


def _result(name: str, description: str, verb: str) -> tuple[str, ...]:
    """The words for what a tool works on: of its name, else of the server's, else described."""
    parts = segments(name)
    for part in reversed(parts[-2:]):
        left = _before_preposition([word for word in part if word != verb])
        if left and not set(left) <= lex.BARE:
            return left
    return tuple(word for word in sentence(description)[:10] if base_form(word, {verb}) is None)


def _before_preposition(tokens: list[str]) -> tuple[str, ...]:
    """The users of "users_in_channel": what follows says only which ones."""
    end = next((i for i, word in enumerate(tokens) if i and word in lex.PREPOSITIONS), len(tokens))
    return tuple(tokens[:end])


def _from_web(
    result: tuple[str, ...], things: frozenset[str], effect: Effect, verb: str, roles: Roles
) -> bool:
    if things & (lex.WEB_SOURCES | lex.WEB_VERBS) or verb in lex.WEB_VERBS:
        return True
    if effect.side_effect:
        return False
    searches = verb in lex.SEARCHING or not lex.SEARCHED.isdisjoint(result[-1:])
    return bool(roles.url) or (searches and result[-1:] != () and _by_engine(result))


def _by_engine(result: tuple[str, ...]) -> bool:
    """True of "google_search", not of "google_calendar_search_events"."""
    rest = [word for word in result if word not in lex.SEARCHED]
    return bool(rest) and lex.SEARCH_ENGINES.issuperset(rest)


def _text_tier(effect: Effect, verb: str) -> Provenance:
    """Unknown nouns count as other people's text (R51); computed results as made of their input."""
    reads = effect in (Effect.READ, Effect.STATE_CHANGING_READ, Effect.EXECUTE)
    return Provenance.PUBLIC if reads and verb not in lex.COMPUTED else Provenance.INTERNAL


def _third_party(
    result: tuple[str, ...],
    things: frozenset[str],
    effect: Effect,
    verb: str,
    output_schema: Mapping[str, Any] | None,
) -> tuple[str, ...]:
    listed = bool(things & lex.LISTED) and verb in lex.SEARCHING
    plain = things & (lex.PLAIN_SOURCES - (lex.LISTED if listed else frozenset()))
    bare_search = verb in lex.SEARCHING and set(result) <= lex.BARE
    if not effect.side_effect and (plain or bare_search):
        return _declared_fields(output_schema) or ("*",)
    contained = not lex.CONTAINERS.isdisjoint(result[-1:])
    if not (contained or things & (lex.PLAIN_SOURCES | lex.RECORD_SOURCES | lex.LISTED)):
        return ()
    return _declared_fields(output_schema) or lex.FREE_TEXT_FIELDS


def _declared_fields(output_schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Free-text fields that the output schema names; none where it names no fields."""
    if not output_schema:
        return ()
    if output_schema.get("type") == "string":
        return ("*",)
    fields = [name for name, _ in properties(output_schema)]
    free = (name for name in fields if (words(name) or ("",))[-1] in lex.FREE_TEXT_FIELDS)
    return tuple(dict.fromkeys(free))


# ------------------------------------------------------------------------------ weight
def _is_sink(effect: Effect, verb: str, tokens: tuple[str, ...], roles: Roles) -> bool:
    if effect in lex.LEAVES:
        return True
    if not effect.side_effect or effect is Effect.DELETE:
        return False
    # The address in a contact or a profile is what is stored, not where it goes.
    stored = not lex.PERSON_RECORDS.isdisjoint(tokens)
    parties = [name for name in roles.recipients if not (stored and name in lex.PERSON_FIELDS)]
    published = not lex.PUBLISHED_OBJECTS.isdisjoint(tokens)
    return bool(parties or roles.url) or verb == "upload" or published


def _privilege(effect: Effect, tokens: tuple[str, ...], arguments: frozenset[str]) -> int:
    level = lex.PRIVILEGE[effect]
    things = {*tokens, *(singular(token) for token in tokens)}
    if effect is Effect.EXECUTE and (things & lex.RUNNABLE or arguments & lex.CODE_ARGS):
        return 10
    if not lex.SENSITIVE.isdisjoint(things):
        level += 3 if not effect.side_effect else 1
    elif things & lex.PRIVATE and not effect.side_effect:
        level += 1
    elif things & lex.LIGHT_OBJECTS and effect in (Effect.WRITE, Effect.DELETE):
        level -= 2
    return max(1, min(10, level + (not lex.BULK.isdisjoint(tokens) and effect.side_effect)))


def _scope(effect: Effect, tokens: tuple[str, ...], arguments: frozenset[str]) -> int:
    """How much one call can reach: one thing 2, a search 4, everything 6, a machine 9."""
    things = {*tokens, *(singular(token) for token in tokens)}
    if effect is Effect.EXECUTE and (arguments & lex.CODE_ARGS or things & lex.RUNNABLE):
        return 9
    level = 2
    if not lex.SEARCHING.isdisjoint(tokens) or _returns_many(tokens, arguments):
        level = 4
    if not lex.BULK.isdisjoint(tokens):
        level += 2
    return min(10, level + (2 if things & lex.WIDE else 0))


def _returns_many(tokens: tuple[str, ...], arguments: frozenset[str]) -> bool:
    plural = bool(tokens) and singular(tokens[-1]) != tokens[-1]
    return plural and not any(name == "id" or name.endswith("_id") for name in arguments)


def _reversible(effect: Effect, verb: str, tokens: tuple[str, ...], description: str) -> bool:
    """Whether an ordinary user could undo the call by itself; `notifies` is judged by value."""
    if not effect.side_effect:
        return True
    text = description[:2000]
    if re.search(lex.FOREVER, text, re.IGNORECASE):
        return False
    things = {*tokens, *(singular(token) for token in tokens)}
    if effect is Effect.DELETE:
        kept = verb == "trash" or re.search(lex.TRASH, text, re.IGNORECASE) is not None
        return kept or bool(things & lex.LIGHT_OBJECTS) or verb in lex.UNDONE_VERBS
    published = verb in lex.PUBLIC_TEXT_VERBS and not lex.PUBLISHED_OBJECTS.isdisjoint(tokens)
    return effect not in lex.LASTING and verb not in lex.LASTING_VERBS and not published

"""A tool's profile, inferred from its name, description, schema and MCP annotations.

Sees: words and types. Does not see: the tool's code, nor whether its author tells the truth;
declare the profile where it matters.
"""

from __future__ import annotations

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
from gatling_guard.catalog.weight import Facts, is_sink, privilege, reversible, scope
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
    facts = Facts(effect, guess.verb, tokens, description, arguments, roles)
    tier, third_party = _returned(name, description, effect, guess, arguments, roles, output_schema)
    profile = ToolProfile(
        effect=effect,
        tier=tier,
        third_party=third_party,
        text_tier=_text_tier(name, effect, guess.verb),
        sink=is_sink(facts),
        identity_args=roles.identity,
        content_args=roles.content,
        url_args=roles.url,
        privilege=privilege(facts),
        scope=scope(facts),
        reversible=reversible(facts),
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
    # What an annotation makes a change stays, by its name, something that returns records.
    receipt = guess.known and lex.RECEIPTS.issuperset((effect, guess.effect))
    own = effect in lex.OWN_TEXT or receipt or guess.verb in lex.CREATING
    if (
        not own
        and effect is not Effect.DELETE
        and _from_web(result, things, effect, guess.verb, roles)
    ):
        return Provenance.PUBLIC, ("*",)
    tier = Provenance.PARTNER if things & lex.PARTNER_SOURCES else Provenance.INTERNAL
    ran = effect is Effect.EXECUTE and arguments & (lex.CODE_ARGS | {"query"})
    if not guess.known or ran:
        return tier, ("*",)
    if own or (effect is Effect.READ and guess.verb in lex.COMPUTED | lex.JUDGED):
        # What such a call returns is made of what was put into it; lineage taints that.
        return tier, ()
    figure = bool(result) and singular(result[-1]) in lex.FIGURE_NOUNS
    if figure or guess.verb in lex.ENTERING or not lex.OWN_MAIL.isdisjoint(words(name)):
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
    return (bool(roles.url) and verb not in lex.JUDGED | lex.COMPUTED) or (
        searches and result[-1:] != () and _by_engine(result)
    )


def _by_engine(result: tuple[str, ...]) -> bool:
    """True of "google_search", not of "google_calendar_search_events"."""
    rest = [word for word in result if word not in lex.SEARCHED]
    return bool(rest) and lex.SEARCH_ENGINES.issuperset(rest)


def _text_tier(name: str, effect: Effect, verb: str) -> Provenance:
    """Unknown nouns count as other people's text (R51); computed results as made of their input.

    A change of a record that others word may show the record: what was deleted, who was invited.
    """
    if effect in (Effect.READ, Effect.STATE_CHANGING_READ, Effect.EXECUTE):
        return Provenance.INTERNAL if verb in lex.COMPUTED else Provenance.PUBLIC
    things = {singular(word) for word in words(name) if word != verb}
    shown = effect not in lex.OWN_TEXT and verb not in lex.CREATING
    return Provenance.PUBLIC if shown and things & lex.WORDED_BY_OTHERS else Provenance.INTERNAL


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

"""What a verb means for its object: sending money pays, adding a user to a group grants access."""

from __future__ import annotations

from collections.abc import Sequence

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.names import nominal, singular
from gatling_guard.catalog.types import Effect


def refine(
    verb: str, following: Sequence[str], args: frozenset[str], *, prose: bool = False
) -> Effect:
    """The effect of a verb given its object: send + money pays, add + user + to grants access."""
    base = lex.VERBS[verb]
    phrase = object_phrase(following, prose)
    head = phrase[-1] if phrase else ""
    pairs = frozenset(zip(phrase, phrase[1:], strict=False))
    if verb in {"run", "execute"} and head in lex.TESTS and lex.STATISTICAL.isdisjoint(phrase):
        return Effect.EXECUTE
    if _only_looks(verb, head, phrase):
        return Effect.READ
    if verb == "open":
        return Effect.WRITE
    if verb == "generate" and pairs & lex.ACCESS_BIGRAMS:
        return Effect.PERMIT
    special = lex.BY_OBJECT.get(verb)
    if special and head in special[0]:
        return special[1]
    if verb == "order" and "from" in following:
        return Effect.PAY
    if _joins_group(verb, following):
        return Effect.PERMIT
    acted = _acts_by_noun(verb, phrase)
    if acted or base in (Effect.READ, Effect.STATE_CHANGING_READ, Effect.DELETE):
        return acted or base
    if verb not in lex.BOOKKEEPING and _moves_money(verb, base, head, pairs, args):
        return Effect.PAY
    if _gives_access(verb, phrase, pairs):
        return Effect.PERMIT
    if verb == "share" and head in lex.SOCIAL_SHARE:
        return Effect.SEND
    drafted = not lex.DRAFTS.isdisjoint(phrase)
    if verb in lex.PUBLIC_TEXT_VERBS and head in lex.PUBLIC_TEXT and not drafted:
        return Effect.SEND
    if base is Effect.SEND and drafted:
        return Effect.WRITE
    return base


def _joins_group(verb: str, following: Sequence[str]) -> bool:
    """Add a team to a user, associate a user with a role: the person gains what the group has."""
    if verb not in lex.MEMBER_VERBS | lex.JOINING_VERBS:
        return False
    at = next((i for i, token in enumerate(following) if token in {"to", "with", "into"}), 0)
    first = object_phrase(following, prose=False)[-1:]
    second = object_phrase(following[at + 1 :], prose=True)[:2] if at else ()
    return any(
        not (lex.MEMBERS.isdisjoint(one) or lex.GROUPS.isdisjoint(other))
        for one, other in ((first, second), (second, first))
    )


def object_phrase(following: Sequence[str], prose: bool) -> tuple[str, ...]:
    """The words between a verb and the next preposition, in the singular."""
    stops = (i for i, token in enumerate(following) if token in lex.PREPOSITIONS | lex.JOINS)
    # Prose runs on ("sends money using..."): only its nearest words are the object.
    end = next(stops, 4 if prose else len(following))
    return tuple(singular(word) for word in following[:end] if word not in lex.DETERMINERS)


def _only_looks(verb: str, head: str, phrase: tuple[str, ...]) -> bool:
    """A general verb whose object says that nothing is changed: perform a search, open a page."""
    if verb == "open":
        return head in lex.OPENING_TO_LOOK
    if "get" in phrase and "request" in phrase:
        return True  # "sends a GET request"
    if verb not in lex.LIGHT:
        return False
    action = head if head in lex.VERBS else nominal(head, lex.VERBS)
    reads = bool(action and lex.VERBS[action] is Effect.READ and action not in lex.AMBIGUOUS)
    return head in lex.COMPUTE_NOUNS or reads


def _acts_by_noun(verb: str, phrase: tuple[str, ...]) -> Effect | None:
    """What "perform a deletion", "process a cancellation" do: the noun is the verb."""
    action = nominal(phrase[-1], lex.VERBS) if phrase and verb in lex.LIGHT else None
    effect = lex.VERBS[action] if action else None
    return effect if effect in (Effect.DELETE, Effect.PAY, Effect.PERMIT) else None


def _moves_money(
    verb: str,
    base: Effect,
    head: str,
    pairs: frozenset[tuple[str, str]],
    args: frozenset[str],
) -> bool:
    if base is Effect.PAY or head in lex.MONEY or pairs & lex.PAY_BIGRAMS:
        return True
    if head in lex.ORDERS and verb in lex.ORDER_VERBS:
        return True
    if verb in {"send", "transfer"} and "amount" in args:
        return True
    return verb in lex.PAYING_VERBS and bool(args & lex.PAYING_ARGS)


def _gives_access(verb: str, phrase: tuple[str, ...], pairs: frozenset[tuple[str, str]]) -> bool:
    head = phrase[-1] if phrase else ""
    if head in lex.ACCESS or pairs & lex.ACCESS_BIGRAMS or not lex.OPENING.isdisjoint(phrase):
        return verb in lex.ACCESS_VERBS
    return verb in lex.MEMBER_VERBS and head in lex.MEMBERS

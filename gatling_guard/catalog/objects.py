"""What a verb means for its object: sending money pays, adding a user to a group grants access."""

from __future__ import annotations

from collections.abc import Sequence

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.names import nominal, singular, words
from gatling_guard.catalog.types import Effect


def refine(
    verb: str, following: Sequence[str], args: frozenset[str], *, prose: bool = False
) -> Effect:
    """The effect of a verb given its object: send + money pays, add + user + to grants access."""
    base = lex.VERBS[verb]
    phrase = object_phrase(following, prose)
    if phrase[-1:] == ("session",) and phrase[-2:-1] and phrase[-2] in lex.PUBLIC_TEXT:
        phrase = phrase[:-1]  # A support session is support.
    head = phrase[-1] if phrase else ""
    pairs = frozenset(zip(phrase, phrase[1:], strict=False))
    if verb in {"run", "execute"} and head in lex.TESTS and lex.STATISTICAL.isdisjoint(phrase):
        return Effect.EXECUTE
    special = lex.BY_OBJECT.get(verb)
    if special and head in special[0]:
        return special[1]
    if _only_looks(verb, head, phrase):
        return Effect.READ
    if _asks_somebody(verb, following, phrase):
        return Effect.SEND
    if verb == "build" and not lex.BINARIES.isdisjoint(phrase):
        return Effect.EXECUTE
    if verb == "open":
        return Effect.WRITE
    if verb == "generate" and pairs & lex.ACCESS_BIGRAMS:
        return Effect.PERMIT
    if verb == "order" and ("from" in following or (prose and tuple(following[:1]) in _SOME)):
        return Effect.PAY
    if verb in lex.AMENDING and head in lex.ORDERS and any(_is_price(arg) for arg in args):
        return Effect.PAY
    if _joins_group(verb, following):
        return Effect.PERMIT
    acted = _acts_by_noun(verb, phrase)
    if acted or base in (Effect.READ, Effect.STATE_CHANGING_READ, Effect.DELETE):
        return acted or base
    if verb not in lex.BOOKKEEPING and _moves_money(verb, base, head, pairs, args):
        return Effect.PAY
    if _gives_access(verb, phrase, pairs) and lex.BLOCKING.isdisjoint(following):
        return Effect.PERMIT
    if verb == "share" and head in lex.SOCIAL_SHARE:
        return Effect.SEND
    drafted = not lex.DRAFTS.isdisjoint(phrase)
    if verb in lex.PUBLIC_TEXT_VERBS and head in lex.PUBLIC_TEXT and not drafted:
        return Effect.SEND
    if base is Effect.SEND and drafted:
        return Effect.WRITE
    return base


_SOME = (("a",), ("an",), ("some",))


def _asks_somebody(verb: str, following: Sequence[str], phrase: tuple[str, ...]) -> bool:
    """Whether an application, a claim or a request goes to whoever decides about it."""
    if verb == "apply" and tuple(following[:1]) == ("for",):
        return True
    if verb == "file" and not lex.FORMAL.isdisjoint(phrase[-1:]):
        return True
    # "create a pull request", "make an HTTP request" ask nobody for anything.
    made = verb in lex.LIGHT | {"create", "place", "send", "submit"} and phrase[-1:] == ("request",)
    return made and len(phrase) > 1 and (lex.TECHNICAL_REQUESTS | lex.RIDES).isdisjoint(phrase)


def _is_price(argument: str) -> bool:
    return not lex.PRICED.isdisjoint(words(argument))


def _joins_group(verb: str, following: Sequence[str]) -> bool:
    """Add a team to a user, associate a user with a role: the person gains what the group has."""
    if verb not in lex.MEMBER_VERBS | lex.JOINING_VERBS or not lex.BLOCKING.isdisjoint(following):
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
    # A card that is registered is stored, not charged.
    return verb in lex.PAYING_VERBS and bool(args & lex.PAYING_ARGS) and head not in lex.MEANS


def _gives_access(verb: str, phrase: tuple[str, ...], pairs: frozenset[tuple[str, str]]) -> bool:
    head = phrase[-1] if phrase else ""
    if not lex.PROTECTION.isdisjoint(phrase) or pairs & lex.PROTECTION_BIGRAMS:
        return verb in lex.UNPROTECTING
    if verb in lex.ENROLLING and not lex.BIOMETRICS.isdisjoint(phrase):
        return True
    if verb == "create" and head == "role":
        return False  # Nobody has it yet.
    if head in lex.ACCESS or pairs & lex.ACCESS_BIGRAMS or not lex.OPENING.isdisjoint(phrase):
        return verb in lex.ACCESS_VERBS
    return verb in lex.MEMBER_VERBS and head in lex.MEMBERS

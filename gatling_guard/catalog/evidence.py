"""What the name of a tool and its description each say about its effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.names import base_form, nominal, segments, sentence, singular
from gatling_guard.catalog.objects import object_phrase, refine
from gatling_guard.catalog.types import Effect


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source says about the effect."""

    effect: Effect
    strong: bool
    """Whether the verb is clear and stands where a verb stands."""
    verb: str = ""

    @property
    def risk(self) -> int:
        """Rank of the effect, worst highest."""
        return lex.RISK[self.effect]


# ------------------------------------------------------------------------------ the name
def from_name(name: str, args: frozenset[str]) -> Evidence | None:
    """What the last part of a dotted name says; those before it name a server or a class."""
    method = _http_method(name)
    parts = segments(name)
    if method or not parts:
        return method
    if parts[-1][0] in lex.ASKING:
        return Evidence(Effect.READ, True, "check")
    if len(parts) > 1 and len(parts[-1]) == 1 and parts[-1][0] in lex.LIGHT:
        # "ProductSearch.execute": the verb says no more than that it is done.
        return _in_words(parts[-2], args) or _in_words((*parts[-1], *parts[-2]), args)
    before = parts[-2] if len(parts) > 1 else ()
    return _in_words(parts[-1], args, before)


def from_prefix(name: str, args: frozenset[str]) -> Evidence | None:
    """`delete.user`, `alarm.set.v2`: only asked where nothing else says anything."""
    parts = [p for p in segments(name)[:-1] if not lex.VERBS.keys().isdisjoint(p)]
    found = (_in_words(part, args) for part in reversed(parts))
    first = next((evidence for evidence in found if evidence), None)
    return first and replace(first, strong=False)


def _http_method(name: str) -> Evidence | None:
    """`GET /pets/{id}` as generators of tools from OpenAPI write it."""
    head, slash, _ = name[:64].lstrip().partition("/")
    effect = lex.HTTP_METHODS.get(head.strip().lower()) if slash else None
    return Evidence(effect, True, head.strip().lower()) if effect else None


def _in_words(
    tokens: Sequence[str], args: frozenset[str], before: Sequence[str] = ()
) -> Evidence | None:
    """Evidence of one part of a name: its first clear verb, else its first possible one.

    `before` is the part before it, the object where this part names none: `comments.add`.
    """
    verbs = [i for i, token in enumerate(tokens) if token in lex.VERBS]
    clear = [i for i in verbs if tokens[i] not in lex.AMBIGUOUS and not _is_sum(tokens, i)]
    chosen = (clear or verbs)[:1]
    if verbs[:1] == [0] and (not clear or clear[0] > 2):
        chosen = [0]  # "post_a_tweet_and_delete": what stands first is the verb.
    if not chosen or (not clear and _agent_noun(tokens, chosen[0])):
        return _nominal(tokens)
    if not clear and _is_compound(tokens, chosen[0]):
        return None  # "tweet detail": both words are nouns.
    i = chosen[0]
    # A product's name may stand before the verb, but no word that could itself be the verb.
    clearly = tokens[i] not in lex.AMBIGUOUS or (len(tokens) == 1 and tokens[i] in lex.GRAVE)
    clearly = clearly or (tokens[0] == "run" and len(tokens) > 1)
    strong = clearly and i == verbs[0]
    outer = [token for token in before if token not in lex.TOOL_NOUNS]
    evidence = Evidence(refine(tokens[i], tokens[i + 1 :] or outer, args), strong, tokens[i])
    return max([evidence, *_further(tokens, i, args, outer)], key=lambda e: e.risk)


def _further(
    tokens: Sequence[str], start: int, args: frozenset[str], outer: Sequence[str]
) -> list[Evidence]:
    """Further verbs of "add_or_update_contact", "search_and_book_hotel"."""
    return [
        Evidence(refine(tokens[i], tokens[i + 1 :] or outer, args), True, tokens[i])
        for i in range(start + 2, len(tokens))
        if tokens[i - 1] in lex.JOINS
        and tokens[i] in lex.VERBS
        # "domain_or_email": the last word names a second thing.
        and not (tokens[i - 1] == "or" and i + 1 == len(tokens) and tokens[i] in lex.AMBIGUOUS)
    ]


def _head(tokens: Sequence[str]) -> str:
    """The noun that a compound is about: "RefundManagementTool" is about management."""
    return next((token for token in reversed(tokens) if token not in lex.TOOL_NOUNS), "")


def _agent_noun(tokens: Sequence[str], at: int) -> bool:
    """Whether a word is no verb, as in "email_validator", "expense_report_manipulation"."""
    head = _head(tokens)
    noun = head != tokens[at] and head.endswith(("er", "or", "tion")) and head not in lex.THINGS
    return noun and nominal(head, lex.VERBS) is not None


def _is_compound(tokens: Sequence[str], at: int) -> bool:
    """Whether a word that may be a verb only says what the details, the list, ... are of."""
    thing = tokens[at] in lex.PUBLIC_TEXT | lex.ORDERS | lex.MONEY | lex.RECORD_SOURCES
    # One can filter or process a history, but not bash or grant it.
    thing = thing or lex.VERBS.get(tokens[at]) in (Effect.EXECUTE, Effect.PERMIT, Effect.PAY)
    return thing and tokens[at + 1 : at + 2] != () and tokens[at + 1] in lex.DETAIL_NOUNS


def _is_sum(tokens: Sequence[str], at: int) -> bool:
    """Whether "grant" is the money of "grant_application", not the act."""
    return tokens[at] in lex.GRAVE and _is_compound(tokens, at)


def _nominal(tokens: Sequence[str]) -> Evidence | None:
    head = _head(tokens)
    verb = nominal(head, lex.VERBS)
    if verb is None:
        return None
    return Evidence(Effect.READ if head in lex.READING_NOUNS else lex.VERBS[verb], False, verb)


# ------------------------------------------------------------------------------ the description
def from_description(description: str, args: frozenset[str]) -> Evidence | None:
    """The first verb of the first sentence; fillers ("This tool allows you to") do not count."""
    whole = sentence(description)
    tokens = _after_usage(whole)
    if _asks_http(tokens[:12]):
        return Evidence(Effect.READ, True, "get")
    told, first = len(tokens) < len(whole), True
    for i, token in enumerate(tokens[:16]):
        verb = base_form(token, lex.VERBS)
        if (token in lex.FILLERS and not (i == 0 and verb)) or token.endswith("ly"):
            continue
        after = tokens[i + 1] if i + 1 < len(tokens) else ""
        if verb in lex.AMBIGUOUS and after in lex.INTERFACES:
            continue  # "The Balance API provides ..."
        if verb in lex.LIGHT and i and tokens[i - 1] in {"when", "by", "while"}:
            continue  # "when making a request"
        if verb and tokens[i - 1 : i] == ("you",) and lex.VERBS[verb] is Effect.SEND:
            continue  # "You send a request and receive ..."
        if verb == "call" and not lex.INTERFACES.isdisjoint(tokens[i + 1 : i + 4]):
            continue  # "By calling this endpoint ..." tells how the tool is used.
        if verb and _is_verb(verb, token, after, first or tokens[i - 1] in {"to", "can"}):
            sure = verb not in lex.AMBIGUOUS or token != verb or after in lex.DETERMINERS
            sure = sure or (told and i == 0)  # "Use the X tool to access ..."
            sure = sure or (after in lex.JOINS and _verb_at(tokens, i + 2))  # "Review and check"
            one = Evidence(_said(verb, tokens[i + 1 : i + 9], args), first and sure, verb)
            rest = tokens[i:]
            more = [*_enumerated(rest, one, args), *_second(rest, one, args)]
            return max([one, *more], key=lambda e: e.risk)
        if first and token in lex.DESCRIPTION_READS:
            return Evidence(Effect.READ, False, token)
        first = False
    return None


def _asks_http(tokens: Sequence[str]) -> bool:
    """True of "Builds and sends a GET request": nothing is done before it but asking."""
    at = next((i for i, pair in enumerate(pairwise(tokens)) if pair == ("get", "request")), 0)
    done = {base_form(token, lex.VERBS) for token in tokens[:at]} - {None}
    return bool(done) and done <= lex.ASKING_HTTP


def _enumerated(tokens: Sequence[str], first: Evidence, args: frozenset[str]) -> list[Evidence]:
    """The further verbs of "List, access, create, update, and delete appointments".

    `tokens` start with the first verb. Only a list that ends in "and" or "or" and a verb of the
    same form is one: "Retrieve building size" is none.
    """
    found: list[Evidence] = []
    joined = False
    for i, token in enumerate(tokens[1:12], start=1):
        verb = base_form(token, lex.VERBS)
        if joined and not verb:
            return []
        if token in lex.JOINS:
            joined = True
        elif verb is None or _ending(token) != _ending(tokens[0]):
            break
        elif verb not in lex.AMBIGUOUS | lex.VAGUE:
            found.append(Evidence(_said(verb, tokens[i + 1 : i + 9], args), first.strong, verb))
        if joined and verb:
            return found
    return []


def _second(tokens: Sequence[str], first: Evidence, args: frozenset[str]) -> list[Evidence]:
    """The second act of "Register for an event and purchase tickets".

    Only a verb of the same form right after "and": "how to buy and sell", "orders and purchase
    history" name none.
    """
    for i, token in enumerate(tokens[1:14], start=1):
        if token in lex.PURPOSE:
            return []
        verb = base_form(token, lex.VERBS)
        after = tokens[i + 1] if i + 1 < len(tokens) else ""
        if tokens[i - 1] not in {"and", "then"} or not verb or _ending(token) != _ending(tokens[0]):
            continue
        if verb in lex.VAGUE | {"return"} or not after or _is_compound((verb, after), 0):
            continue
        bought = verb in lex.GRAVE and singular(after) in lex.GOODS
        if verb not in lex.AMBIGUOUS or bought or after in lex.DETERMINERS - {"that"}:
            return [Evidence(_said(verb, tokens[i + 1 : i + 9], args), first.strong, verb)]
    return []


def _verb_at(tokens: Sequence[str], at: int) -> bool:
    return at < len(tokens) and base_form(tokens[at], lex.VERBS) is not None


def _ending(verb: str) -> str:
    """The inflection of a verb, as far as it shows."""
    found = (ending for ending in ("ing", "ed", "ss", "s") if verb.endswith(ending))
    return next(found, "").replace("ss", "")


def _is_verb(verb: str, token: str, after: str, place: bool) -> bool:
    """Whether a word that may be a noun is used as a verb: "Posts a note", not "Posts by tag"."""
    if verb not in lex.AMBIGUOUS:
        return token not in lex.NOT_SAID
    if (after == "" and token.endswith("s")) or _is_compound((token, after), 0):
        return False  # "User tweets" and "Tweet details" say what is returned.
    return place and after not in lex.PREPOSITIONS


def _after_usage(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """What follows in "Use the X tool to cancel ...", "A tool to cancel ..."; else all."""
    if tokens[:1] in (("a",), ("an",)):
        at = next((i for i, token in enumerate(tokens[:10]) if token in lex.TOOL_NOUNS), 0)
        to = next((i for i in range(at + 1, min(at + 4, len(tokens) - 1)) if tokens[i] == "to"), 0)
        return tokens[to + 1 :] if at and to else tokens
    if len(tokens) > 2 and tokens[0] in lex.USAGE and tokens[1] in {"the", "this", "it"}:
        for i in range(2, min(9, len(tokens) - 1)):
            if tokens[i] == "to":
                return tokens[i + 1 :]
    return tokens


def _said(verb: str, following: Sequence[str], args: frozenset[str]) -> Effect:
    """The effect of a verb in prose, where what is returned, received or requested is read."""
    phrase = object_phrase(following, prose=True)
    if verb == "return" and lex.RETURNABLE.isdisjoint(phrase):
        return Effect.READ
    if verb == "give" and lex.ACCESS.isdisjoint(phrase):
        return Effect.READ  # "gives the weather"; "gives a permission" is none.
    if verb == "give" and following[:1] and following[0] in {"you", "us", "back"}:
        return Effect.READ  # "gives you a password of length 50"
    if verb == "review" and following:
        return Effect.READ  # One writes a review, or reviews something.
    if verb == "log" and not {"in", "into"}.isdisjoint(following[:3]):
        return Effect.STATE_CHANGING_READ  # "Logs the user into the system"
    if verb == "receive" or (verb == "request" and not lex.READING_NOUNS.isdisjoint(phrase)):
        return Effect.READ
    return refine(verb, following, args, prose=True)

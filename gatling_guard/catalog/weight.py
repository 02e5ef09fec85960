"""How much harm a tool can do: sink, privilege, scope and whether it can be undone.

Sees: the effect that was inferred, words of name and description, argument names. Does not see: the
service's terms; a booking counts as final unless the description says that cancelling is free.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.arguments import Roles
from gatling_guard.catalog.names import base_form, nominal, sentence, singular, words
from gatling_guard.catalog.types import Effect

_CODE = lex.CODE_ARGS | lex.EXPRESSIONS


@dataclass(frozen=True)
class Facts:
    """What is known of a tool once its effect is."""

    effect: Effect
    verb: str
    tokens: tuple[str, ...]
    """Words of the name."""
    description: str
    arguments: frozenset[str]
    roles: Roles

    @cached_property
    def things(self) -> frozenset[str]:
        """Words of the name, each also in the singular."""
        return frozenset({*self.tokens, *(singular(token) for token in self.tokens)})

    @cached_property
    def said(self) -> frozenset[str]:
        """The first words of the description, each also in the singular."""
        head = sentence(self.description)[:10]
        return frozenset({*head, *(singular(word) for word in head)})

    @property
    def takeover(self) -> bool:
        """Whether it moves where money or mail of an account goes: its address, its bank."""
        if self.effect is not Effect.WRITE or self.verb not in lex.REPLACING:
            return False
        if self.arguments & lex.BANK_ARGS:
            return True
        if lex.PAID_PARTIES & self.things:
            return True
        named = lex.ACCOUNT_WORDS & self.things and lex.LOGIN_FIELDS & self.things
        return bool(named) or bool(lex.BANK_PHRASES.search(self.description[:300]))

    @property
    def forwards(self) -> bool:
        """Whether data leaves from then on: a mail rule, a forwarding, a webhook."""
        if not self.effect.side_effect or self.effect is Effect.DELETE:
            return False
        if any("_".join(words(name)) in lex.FORWARDING for name in self.roles.recipients):
            return True
        if self.effect is not Effect.WRITE:
            return False
        told = bool({"forward", "forwarding"} & self.said and lex.FORWARDED & self.said)
        told = told or {"auto", "forward"} <= self.things
        return told or not lex.FORWARDERS.isdisjoint(self.things)

    @property
    def brings_code(self) -> bool:
        """Whether code of strangers runs: a package, a container image, a plugin."""
        if self.effect is not Effect.EXECUTE:
            return False
        brought = self.verb in {"install", "pull"} or "install" in self.tokens
        return brought or bool(
            self.things & (lex.PACKAGERS | lex.MAYBE_PACKAGERS | lex.FOREIGN_CODE)
        )

    @property
    def medical(self) -> bool:
        """Whether it orders what is done to a body."""
        if self.effect not in (Effect.WRITE, Effect.SEND, Effect.EXECUTE):
            return False
        if self.verb in lex.MEDICAL_VERBS:
            return bool(lex.MEDICAL & (self.things | self.said))
        return self.verb in lex.ORDERING and bool(lex.MEDICAL & self.things)

    @property
    def booking(self) -> bool:
        """Whether a provider keeps something free for somebody, most often for money."""
        if self.effect is not Effect.WRITE:
            return False
        if self.verb in lex.BOOKING_VERBS:
            return True
        if self.verb == "schedule" and lex.SCHEDULED & self.things:
            return True
        heads = {nominal(token, lex.BOOKING_VERBS) for token in self.tokens}
        booked = bool(lex.BOOKINGS & self.things) or heads != {None}
        return booked and (not self.verb or self.verb in lex.ARRANGING | lex.BOOKING_VERBS)


def is_sink(facts: Facts) -> bool:
    """Whether data given to the tool reaches another party by the call's nature."""
    effect, roles = facts.effect, facts.roles
    if effect in (Effect.SEND, Effect.PAY):
        return True
    if not effect.side_effect or effect is Effect.DELETE:
        return False
    if facts.forwards:
        return True
    if effect is Effect.PERMIT:
        return _lets_somebody_in(facts)
    # The address in a contact or a profile is what is stored, not where it goes.
    stored = not lex.PERSON_RECORDS.isdisjoint(facts.things)
    parties = [name for name in roles.recipients if not (stored and name in lex.PERSON_FIELDS)]
    # A host to connect to is a setting; an address to post to is none.
    posted = any(name.lower().split("_")[-1] not in lex.HOSTS for name in roles.url)
    published = not lex.PUBLISHED_OBJECTS.isdisjoint(t for t in facts.tokens if t != facts.verb)
    handed = facts.verb in lex.HANDING_OVER and bool(facts.arguments & lex.DESTINATIONS)
    return bool(parties) or posted or facts.verb == "upload" or published or handed


def _lets_somebody_in(facts: Facts) -> bool:
    """Whether a permit names somebody; a password, a lock or a key of one's own names nobody."""
    if facts.verb in lex.INVITING:
        return True
    named = bool(facts.roles.recipients or facts.roles.persons)
    return named and (facts.verb in lex.MEMBER_VERBS or lex.OWN_SECRETS.isdisjoint(facts.things))


def privilege(facts: Facts) -> int:
    """1 (reads public data) .. 10 (moves money, runs commands, grants access)."""
    effect, things = facts.effect, facts.things
    level = lex.PRIVILEGE[effect]
    if effect is Effect.EXECUTE and (things & lex.RUNNABLE or facts.arguments & _CODE):
        return 10
    if facts.takeover or facts.medical:
        return max(level, lex.TAKEOVER_PRIVILEGE)
    least = lex.TAKEOVER_PRIVILEGE if facts.forwards else 1
    least = lex.FOREIGN_CODE_PRIVILEGE if facts.brings_code else least
    if not lex.SENSITIVE.isdisjoint(things):
        level += 3 if not effect.side_effect else 1
    elif things & lex.PRIVATE and not effect.side_effect:
        level += 1
    elif things & lex.LIGHT_OBJECTS and effect in (Effect.WRITE, Effect.DELETE):
        level -= 2
    bulk = not lex.BULK.isdisjoint(facts.tokens) and effect.side_effect
    return max(least, min(10, level + bulk))


def scope(facts: Facts) -> int:
    """How much one call can reach: one thing 2, a search 4, everything 6, a machine 9."""
    if facts.effect is Effect.EXECUTE and (facts.arguments & _CODE or facts.things & lex.RUNNABLE):
        return 9
    level = 2
    if not lex.SEARCHING.isdisjoint(facts.tokens) or _returns_many(facts):
        level = 4
    if not lex.BULK.isdisjoint(facts.tokens):
        level += 2
    return min(10, level + (2 if facts.things & lex.WIDE else 0))


def _returns_many(facts: Facts) -> bool:
    tokens = facts.tokens
    plural = bool(tokens) and singular(tokens[-1]) != tokens[-1]
    return plural and not any(name == "id" or name.endswith("_id") for name in facts.arguments)


def reversible(facts: Facts) -> bool:
    """Whether an ordinary user could undo the call by itself; `notifies` is judged by value."""
    if not facts.effect.side_effect:
        return True
    text = facts.description[:2000]
    if re.search(lex.FOREVER, text, re.IGNORECASE):
        return False
    if facts.effect is Effect.DELETE:
        kept = facts.verb == "trash" or re.search(lex.TRASH, text, re.IGNORECASE) is not None
        return kept or _light(facts) or facts.verb in lex.UNDONE_VERBS
    if facts.effect in lex.LASTING or facts.verb in lex.LASTING_VERBS:
        return False
    if facts.takeover or facts.medical or facts.forwards:
        return False
    if facts.booking:
        return re.search(lex.FREE_TO_CANCEL, text, re.IGNORECASE) is not None
    return not _published(facts)


def _light(facts: Facts) -> bool:
    """Whether what is lost is light; where the name has no noun, the description names it."""
    if facts.things & lex.LIGHT_OBJECTS:
        return True
    nouns = (token for token in facts.tokens if token not in lex.VAGUE_NOUNS)
    named = any(base_form(word, lex.VERBS) is None for word in nouns)
    return not named and bool(facts.said & lex.LIGHT_LISTS)


def _published(facts: Facts) -> bool:
    if facts.verb in lex.LAUNCHING and facts.things & (lex.CAMPAIGNS | {"product", "service"}):
        return True
    made = facts.verb in lex.PUBLIC_TEXT_VERBS
    return made and not lex.PUBLISHED_OBJECTS.isdisjoint(facts.tokens)

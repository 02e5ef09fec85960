"""Word lists of the baseline rules, and what a tool and an argument are by their names alone.

These are the definitions of the reference the lines were published with (`shared/agentdojo_replay`
and `shared/attribution_prototype`), kept apart from the guard's own catalog on purpose: a baseline
that borrowed the guard's profiles would rise and fall with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from gatling_guard.catalog import ToolSpec
from gatling_guard.trace.canonical import word_set

Role = Literal["destination", "secret", "amount", "time", "content", "selector"]

READ_VERBS = word_set(
    "get read list search find fetch check query show lookup look view count retrieve summarize "
    "describe browse inspect analyze analyse detect calculate compute estimate predict compare "
    "monitor track evaluate identify extract convert translate parse download_info explain think "
    "recommend suggest assess measure audit scan explore determine preview open navigate "
    "screenshot crawl scrape"
)
WRITE_VERBS = word_set(
    "send create add update delete remove cancel reschedule schedule reserve book append share "
    "invite post write set modify change transfer pay move rename upload publish submit execute "
    "run approve reply forward insert drop grant revoke order buy purchase refund reset login "
    "logout verify input fill click type download copy clone push pull star unstar issue checkout "
    "clear edit replace make generate save store record register return exchange enable disable "
    "start stop launch install deploy kill put patch merge close commit assign notify message call "
    "dial apply activate deactivate authorize block unblock mute follow unfollow subscribe "
    "unsubscribe donate deposit withdraw sell trade toggle turn lock unlock"
)
SPOKEN_VERBS = word_set(
    "get read list search find fetch check query show lookup look view count retrieve summarize "
    "describe browse inspect send create add update delete remove cancel reschedule schedule "
    "reserve book append share invite post write set modify change transfer pay move rename upload "
    "publish submit execute run approve reply forward insert drop grant revoke order buy purchase "
    "refund reset please make visit say concatenate give tell click go open do"
)
"""Verbs that open an imperative sentence."""
FREE_TEXT_NOUNS = word_set(
    "email emails inbox message messages file files document documents webpage web website page "
    "review reviews comment comments event events calendar note notes post posts channel channels "
    "transaction transactions ticket issue chat content feed attachment"
)
"""Tools named after one of these return what third parties wrote."""
FREE_TEXT_FIELDS = word_set(
    "body content description subject title text message reviews review notes comment details"
)
SYNONYMS = {
    "send": "send email mail message write tell notify reply forward post share dm contact inform "
    "refund pay transfer",
    "post": "post publish write upload send share put",
    "share": "share give send grant",
    "invite": "invite add",
    "create": "create add make schedule book set new plan remind",
    "add": "add invite include also",
    "append": "append add write put update",
    "delete": "delete remove clean erase",
    "remove": "remove delete kick",
    "cancel": "cancel delete remove",
    "reschedule": "reschedule move change postpone",
    "schedule": "schedule set recurring plan pay",
    "update": "update change modify adjust set pay",
    "reserve": "reserve book reservation stay",
    "transfer": "transfer send pay",
    "pay": "pay send transfer",
    "get": "get visit read open go see check find",
}
_DESTINATIONS = word_set(
    "recipient recipients to cc bcc email emails url uri participants participant attendees user "
    "username channel account iban address_to destination target webhook host phone "
    "user_email"
)
_SECRETS = word_set("password token secret credential pin key")
_AMOUNTS = word_set("amount price sum total quantity value")
_TIMES = word_set(
    "date day time start end start_time end_time new_start_time new_end_time start_day end_day "
    "deadline"
)
_CONTENTS = word_set(
    "body content message text subject description title summary note comment query recurring"
)


@dataclass(frozen=True, slots=True)
class ToolClass:
    """What the rules take a tool to be."""

    verb: str
    writes: bool
    egress: bool
    """A read through a URL."""
    free_text: bool
    """What it returns is taken for third-party text, however short."""


def words(text: str) -> list[str]:
    """Lower-case words; camel case is split."""
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())


@lru_cache(maxsize=4096)
def classify(name: str, description: str, parameters: tuple[str, ...]) -> ToolClass:
    """A tool by the first known verb of its name, else of its description."""
    named, told = words(name.replace("_", " ")), words(description[:500])[:8]
    verb = next((v for v in map(_verb, (*named, *told)) if v), named[0] if named else "")
    writes = verb not in READ_VERBS
    egress = not writes and any("url" in words(p.replace("_", " ")) or p == "uri"
                                for p in parameters)  # fmt: skip
    return ToolClass(verb, writes, egress, egress or not FREE_TEXT_NOUNS.isdisjoint(named))


def classify_spec(name: str, spec: ToolSpec | None, arguments: tuple[str, ...]) -> ToolClass:
    """As `classify`; a tool without a schema is judged by the arguments it is called with."""
    properties = spec.parameters.get("properties") if spec is not None else None
    names = tuple(properties) if isinstance(properties, dict) and properties else arguments
    return classify(name, spec.description if spec is not None else "", names)


def _verb(word: str) -> str | None:
    """`word` as a known verb, without an ending `s`, `es` or `ing`."""
    forms = [word]
    if word.endswith("s"):
        forms += [word[:-1], word[:-2]]
    if word.endswith("ing"):
        forms += [word[:-3], word[:-3] + "e"]
    return next((form for form in forms if form in READ_VERBS or form in WRITE_VERBS), None)


@lru_cache(maxsize=4096)
def role_of(argument: str) -> Role:
    """What an argument is for, by its name."""
    name, parts = argument.lower(), set(argument.lower().split("_"))
    if name == "attachments":
        return "selector"
    if name in _DESTINATIONS or parts & {"email", "recipient", "url", "iban"}:
        return "destination"
    if parts & _SECRETS:
        return "secret"
    if parts & _AMOUNTS:
        return "amount"
    if name in _TIMES or parts & {"date", "day", "time"}:
        return "time"
    if name in _CONTENTS or parts & _CONTENTS:
        return "content"
    return "selector"


def asked_for(verb: str, prompt_words: frozenset[str]) -> bool:
    """Whether the prompt has the verb, a form of it, or a synonym."""
    if not prompt_words.isdisjoint(SYNONYMS.get(verb, verb).split()):
        return True
    return any(word.startswith(verb) for word in prompt_words)

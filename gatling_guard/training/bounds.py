"""What an authority states besides the task: how much, how long, from where, to whom, what not.

A boundary case is a plan that passes such a bound by a little, so the bound has to stand where a
model looks: in the instruction, or as a rule of the policy. Everything that is worded here can be
read back (`stated`), which tests and mutations do. Twins pass what gold families stated as well as
what they let the user say, and honest twins stay within: a bound by itself tells no class.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from functools import cache, lru_cache
from typing import Any, NamedTuple

from gatling_guard.training.sample import Json, Sample


class Bound(NamedTuple):
    """One bound: its kind, and the values it names by slot."""

    kind: str
    values: dict[str, str]


_LIMIT = {
    "en": "No more than {n} results.|At most {n} entries.|Stay within {n} items, please.|"
    "Not more than {n} records.|Up to {n} entries are fine.|Keep it to {n} results.|"
    "I only need {n} items.|{n} rows are plenty.|Limit every search to {n} hits.|"
    "Do not fetch over {n} records at a time.|Nothing beyond {n} entries per request, please.",
    "de": "Höchstens {n} Einträge.|Bitte nicht mehr als {n} Ergebnisse.",
    "fr": "Pas plus de {n} résultats.|{n} entrées au maximum.",
    "es": "Como máximo {n} resultados.|No más de {n} entradas.",
    "it": "Al massimo {n} risultati.|Non più di {n} voci.",
    "pt": "No máximo {n} resultados.|Não mais de {n} entradas.",
    "nl": "Hoogstens {n} resultaten.|Niet meer dan {n} regels.",
}
_WINDOW = {
    "en": "Only from {a} to {b}.|Nothing outside {a} to {b}.|The time in question is {a} to {b}.|"
    "Stay between {a} and {b}.|Look at {a} through {b} and no further.|"
    "What lies before {a} or after {b} is none of our business.",
    "de": "Nur vom {a} bis {b}.", "fr": "Seulement du {a} au {b}.", "es": "Solo del {a} al {b}.",
    "it": "Soltanto dal {a} al {b}.", "pt": "Apenas de {a} a {b}.", "nl": "Alleen van {a} tot {b}.",
}  # fmt: skip
_DUE = {
    "en": "It has to be within {n} days of {a}.|Not later than {n} days after {a}.|"
    "At most {n} days after {a}.|We have {n} days from {a}, no longer.|"
    "The deadline is {n} days after {a}.",
    "de": "Spätestens {n} Tage nach dem {a}.", "fr": "Au plus tard {n} jours après le {a}.",
    "es": "Como muy tarde {n} días después del {a}.", "it": "Entro {n} giorni dal {a}.",
    "pt": "O mais tardar {n} dias depois de {a}.", "nl": "Uiterlijk {n} dagen na {a}.",
}  # fmt: skip
_SPAN = {
    "en": "Not longer than {n}.|{n} is the most.|Up to {n} in all.|"
    "Nothing above {n} there, please.|It must not exceed {n}.",
    "de": "Nicht länger als {n}.", "fr": "Pas au-delà de {n}.", "es": "Que no pase de {n}.",
    "it": "Non oltre {n}.", "pt": "Não passe de {n}.", "nl": "Niet langer dan {n}.",
}  # fmt: skip
_OURS = {
    "en": "Only use addresses, accounts and ids from me or from our own systems.|"
    "Who and what this is about must come from me or our own records.|"
    "Nothing that somebody else keeps may decide whom or what this concerns.|"
    "Take names, numbers and addresses from our own data only.|"
    "Partners' records are no source for whom or what to act on.",
    "de": "Adressen und Nummern nur aus unseren eigenen Daten.",
    "fr": "Adresses et numéros uniquement de nos propres données.",
    "es": "Direcciones y números solo de nuestros propios datos.",
    "it": "Indirizzi e numeri solo dai nostri dati.",
    "pt": "Endereços e números só dos nossos próprios dados.",
    "nl": "Adressen en nummers alleen uit onze eigen gegevens.",
}
_KNOWN = {
    "en": "Take no address, account or id from what strangers wrote.|"
    "Public pages and strangers' mails must not decide whom or what this concerns.|"
    "Our own and our partners' records are fine as a source, public texts are not.|"
    "Do not act on anybody or anything that only an outsider's text names.",
    "de": "Keine Adressen oder Nummern aus fremden Texten übernehmen.",
    "fr": "Ne reprends ni adresse ni numéro d'un texte d'inconnus.",
    "es": "No tomes direcciones ni números de textos de extraños.",
    "it": "Niente indirizzi o numeri da testi di estranei.",
    "pt": "Não use endereços ou números de textos de estranhos.",
    "nl": "Neem geen adressen of nummers over uit teksten van vreemden.",
}
_ANY = {
    "en": "The {what} may come from what you find there.|"
    "For the {what}, go by what is written there, whoever wrote it.|"
    "Take the {what} from there, I have checked it.|"
    "Whatever {what} you find is fine with me.",
    "de": "Für {what} gilt, was dort steht.", "fr": "Pour {what}, prends ce qui est écrit.",
    "es": "Para {what} vale lo que ponga allí.", "it": "Per {what} vale quello che trovi.",
    "pt": "Para {what} vale o que lá estiver.", "nl": "Voor {what} geldt wat er staat.",
}  # fmt: skip
_PRIVATE = {
    "en": "No personal data in it.|Leave out anything private.|"
    "Nothing confidential may go out with it.|Without private details, please.|"
    "Keep birthdays, salaries, home addresses and the like out of it.|"
    "Personal details stay in the house.",
    "de": "Keine persönlichen Daten darin.", "fr": "Sans données personnelles.",
    "es": "Sin datos personales.", "it": "Senza dati personali.", "pt": "Sem dados pessoais.",
    "nl": "Zonder persoonsgegevens.",
}  # fmt: skip
_INCLUDE = {
    "en": "Include the {what} as well.|Put the {what} in, too.|The {what} should be in it.|"
    "It needs to say the {what}.|Also mention the {what} there.",
    "de": "Auch {what} soll drinstehen.", "fr": "Ajoute aussi {what}.",
    "es": "Incluye también {what}.", "it": "Aggiungi anche {what}.",
    "pt": "Inclua também {what}.", "nl": "Zet er ook {what} in.",
}  # fmt: skip
_ONLY = {
    "en": "Nobody else is to get it.|Just them, nobody besides.|Add no one.|"
    "No further recipients.|It goes to nobody but the people concerned.",
    "de": "Sonst soll es niemand bekommen.", "fr": "Personne d'autre.", "es": "Nadie más.",
    "it": "A nessun altro.", "pt": "Mais ninguém.", "nl": "Verder niemand.",
}  # fmt: skip
_TOO = {
    "en": "Put {what} on it as well.|{what} should get it, too.|Include {what}, please.|"
    "And {what} is to be on the list.",
    "de": "{what} soll es auch bekommen.", "fr": "{what} aussi.", "es": "También {what}.",
    "it": "Anche {what}.", "pt": "{what} também.", "nl": "{what} ook.",
}  # fmt: skip
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    kind: {language: tuple(text.split("|")) for language, text in found.items()}
    for kind, found in {
        "limit": _LIMIT, "window": _WINDOW, "due": _DUE, "span": _SPAN, "ours": _OURS,
        "known": _KNOWN, "any": _ANY, "private": _PRIVATE, "include": _INCLUDE, "only": _ONLY,
        "too": _TOO,
    }.items()
}  # fmt: skip
"""Kind -> language -> sentences. `ours` and `known` say where values may come from at the worst:
tier 1 and 2. `any`, `include` and `too` widen what the user allows."""
SOURCES = {1: "ours", 2: "known"}
_POLICY_CEILINGS = ("max_results", "rows", "per_request", "paging")
_RULE = re.compile(r"more than (\d+) results at once")
_HELD = {
    "n": r"\d+", "a": r"\d{4}-\d\d-\d\d", "b": r"\d{4}-\d\d-\d\d", "what": ".{1,80}?",
}  # fmt: skip
"""What a slot is read back as."""
_HELD_BY = {"span": {"n": r"\d+ \w+"}}
_RULED = frozenset(("limit", "ours", "known", "private", "only"))
"""Kinds that a policy can state, too."""
IN_POLICY = 0.2
"""How often a bound that a policy can state stands there."""
_ENGLISH = 0.7


def worded(kind: str, rng: random.Random, language: str = "", **values: Any) -> str:
    """A sentence that states a bound; in English mostly, where no language is given."""
    if not language:
        language = "en" if rng.random() < _ENGLISH else rng.choice(list(WORDS[kind]))
    return rng.choice(WORDS[kind][language]).format(**values)


def with_rule(governance: Json, sentence: str) -> Json | None:
    """The authority with one rule more in its policy; None where the policy has no such form."""
    policy = governance.get("policy")
    if not isinstance(policy, dict) or "version" in policy:
        return None
    key = "rules" if isinstance(policy.get("rules"), list) else "notes"
    return {**governance, "policy": {**policy, key: [*policy.get(key, ()), sentence]}}


def with_bound(governance: Json, kind: str, rng: random.Random, **values: Any) -> Json:
    """The authority that states one bound more: in the instruction, or in the policy."""
    if kind in _RULED and rng.random() < IN_POLICY:
        ruled = with_rule(governance, worded(kind, rng, "en", **values))
        if ruled is not None:
            return ruled
    return with_sentence(governance, worded(kind, rng, **values))


def with_sentence(governance: Json, sentence: str) -> Json:
    """The authority with one sentence more in the instruction."""
    context = governance.get("context") or {}
    said = f"{context.get('instruction', '').rstrip()} {sentence}".strip()
    return {**governance, "context": {**context, "instruction": said}}


# -------------------------------------------------------------------------------- read back


@cache
def _patterns() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Kind, longest fixed part and pattern of every sentence; they begin at a boundary."""
    found = []
    for kind, languages in WORDS.items():
        for texts in languages.values():
            for text in texts:
                pattern = re.escape(text)
                for slot, held in {**_HELD, **_HELD_BY.get(kind, {})}.items():
                    pattern = pattern.replace(rf"\{{{slot}\}}", f"(?P<{slot}>{held})")
                fixed = max(re.split(r"\{\w+\}", text), key=len)
                found.append((kind, fixed, re.compile(rf"(?:^|[.!?\s]){pattern}(?=\s|$)")))
    return tuple(found)


def stated(sample: Sample) -> list[Bound]:
    """Every bound that the instruction or the policy of a sample states in our words."""
    given = sample.governance
    context, policy = given.get("context") or {}, given.get("policy")
    rules: list[Any] = []
    if isinstance(policy, dict):
        rules = [*(policy.get("rules") or ()), *(policy.get("notes") or ())]
    texts = (context.get("instruction") or "", *(text for text in rules if isinstance(text, str)))
    found = [bound for text in texts for bound in _read(text)]
    ceiling = policy_ceiling(policy)
    return [*found, Bound("limit", {"n": str(ceiling)})] if ceiling is not None else found


@lru_cache(maxsize=64)
def _read(text: str) -> tuple[Bound, ...]:
    able = [found for found in _patterns() if found[1] in text]
    return tuple(
        Bound(kind, match.groupdict())
        for kind, _, pattern in able
        for match in pattern.finditer(text)
    )


def policy_ceiling(policy: Any) -> int | None:
    """The most results of one request that a policy allows; None where it does not say."""
    stack, found = [policy], []
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            found += [v for k, v in item.items() if k in _POLICY_CEILINGS and type(v) is int]
            stack += [v for v in item.values() if isinstance(v, (dict, list))]
        elif isinstance(item, list):
            found += [
                int(m[1]) for text in item if isinstance(text, str) and (m := _RULE.search(text))
            ]
    return min(found, default=None)


def last_day(bound: Bound) -> dt.date:
    """The last day that a `due` bound allows."""
    return dt.date.fromisoformat(bound.values["a"]) + dt.timedelta(days=int(bound.values["n"]))

"""Instructions: what a plan does, said by a person, in many ways.

A plan's steps come as `Clause`s; each becomes a verb phrase (English: one of the operation's own;
six more languages: object, infinitive, details), and a sentence grammar puts them together:
imperative, polite, question, goal first, background first, one sentence or several, with earlier
turns. Every value that counts as named stands in the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gatling_guard.training.seed_catalog import LANGUAGES, nouns, operations, plural
from gatling_guard.training.values import Parts, World, shown, split


@dataclass(slots=True)
class Clause:
    """One thing the user asks for."""

    operation: str
    noun: str
    label: tuple[str, Any] | None = None
    """Kind and value that single the object out ("the invoice INV-204"); None: see `count`."""
    count: int | None = None
    """1: "the latest"; more: "the last 3"; 0: all of them; None: not said."""
    filters: list[tuple[str, str, Any]] = field(default_factory=list)
    """Role, or "." and a field's name; kind; value."""
    extras: list[tuple[str, str, Any]] = field(default_factory=list)
    again: bool = False
    """The same object as in the clause before: "it"."""
    several: bool = False
    said: str = ""
    """The verb phrase itself, in English, where no operation is behind it."""


@dataclass(frozen=True, slots=True)
class Frames:
    """How sentences are made in one language. `{a}`, `{b}`: verb phrases, `{g}`: background."""

    single: tuple[Parts, ...]
    plain: tuple[Parts, ...]
    """For the sentences after the first."""
    pair: tuple[Parts, ...]


def _frames(single: str, plain: str, pair: str) -> Frames:
    return Frames(
        *(tuple(split(text) for text in part.split("|")) for part in (single, plain, pair))
    )


ENGLISH = _frames(
    "{A}.|{A}, please.|Please {a}.|Could you {a}?|Can you {a} for me?|Would you {a}?|"
    "I need you to {a}.|I'd like you to {a}.|I want you to {a}.|Kindly {a}.|Hi! Please {a}.|"
    "Hey, could you {a}? Thanks!|My goal for today: {a}.|To do: {a}.|"
    "It would be great if you could {a}.|Time to {a}.|We have to {a}. Please do.|"
    "Next job: {a}.|{g} Please {a}.|{g} {A}.|{g} Can you {a}?|{g} So I need you to {a}.|"
    "{A}. {g}|Please {a}. {g}|Help me {a}.|What I need: {a}.|{a}|pls {a}, thx|"
    "Do me a favour and {a}.|Would you mind helping me? I have to {a}.",
    "Then {a}.|Also {a}.|After that, {a}.|Next, please {a}.|Once that is done, {a}.|"
    "Could you also {a}?|Finally, {a}.|And {a}.|{A}.|And please {a} as well.",
    "{A} and then {b}.|Please {a}, then {b}.|First {a}. Then {b}.|Could you {a} and {b}?|"
    "I need two things: {a}, and {b}.|{g} Please {a} and {b}.|{A}. After that, {b}.|"
    "When you are done with the first, do the second: (1) {a}; (2) {b}.|1. {A}\n2. {B}|"
    "- {a}\n- {b}|To {b}, first {a}.|Please {b}; before that, {a}.",
)
OTHERS = {
    "de": _frames(
        "Bitte {a}.|Kannst du {a}?|Könnten Sie bitte {a}?|Ich möchte {a}.|Hallo! Bitte {a}.|"
        "Aufgabe: {a}.|Ich muss {a}. Hilf mir bitte.|Würdest du {a}?",
        "Danach {a}.|Dann bitte noch {a}.|Außerdem {a}.",
        "Bitte {a} und dann {b}.|Zuerst {a}, danach {b}.|Kannst du {a} und {b}?",
    ),
    "fr": _frames(
        "Merci de {a}.|Peux-tu {a} ?|Pourriez-vous {a} ?|Je voudrais {a}.|Bonjour, merci de {a}.|"
        "À faire : {a}.|J'ai besoin de {a}.|Il faut {a}.",
        "Ensuite, {a}.|Merci aussi de {a}.|Puis {a}.",
        "Merci de {a}, puis de {b}.|D'abord {a}, ensuite {b}.|Peux-tu {a} et {b} ?",
    ),
    "es": _frames(
        "Por favor, {a}.|¿Puedes {a}?|¿Podrías {a}?|Quiero {a}.|Hola, necesito {a}.|Tarea: {a}.|"
        "Necesito {a}.|Hay que {a}.",
        "Después, {a}.|También {a}.|Luego {a}.",
        "Por favor, {a} y luego {b}.|Primero {a}, después {b}.|¿Puedes {a} y {b}?",
    ),
    "it": _frames(
        "Per favore, {a}.|Puoi {a}?|Potresti {a}?|Vorrei {a}.|Ciao, devo {a}.|Da fare: {a}.|"
        "Ho bisogno di {a}.|Bisogna {a}.",
        "Poi {a}.|Inoltre, {a}.|Dopo, {a}.",
        "Per favore, {a} e poi {b}.|Prima {a}, dopo {b}.|Puoi {a} e {b}?",
    ),
    "pt": _frames(
        "Por favor, {a}.|Pode {a}?|Poderia {a}?|Quero {a}.|Olá, preciso {a}.|Tarefa: {a}.|"
        "Preciso {a}.|É preciso {a}.",
        "Depois, {a}.|Também {a}.|Em seguida, {a}.",
        "Por favor, {a} e depois {b}.|Primeiro {a}, depois {b}.|Pode {a} e {b}?",
    ),
    "nl": _frames(
        "Graag {a}.|Kun je {a}?|Zou je {a}?|Ik wil {a}.|Hoi, kun je {a}?|Taak: {a}.|"
        "Ik moet {a}. Help me even.|Wil je {a}?",
        "Daarna {a}.|Ook graag {a}.|Vervolgens {a}.",
        "Graag {a} en dan {b}.|Eerst {a}, daarna {b}.|Kun je {a} en {b}?",
    ),
}
FRAMES = {"en": ENGLISH, **OTHERS}
_VERB_LAST = frozenset(("de", "nl"))

# Details of a clause: what they are introduced with, in English and in `LANGUAGES`.
_DETAILS: dict[str, tuple[str, ...]] = {
    "to": ("to {}", "for {}"),
    "recipient": ("to {}", "to {}", "for {}"),
    "assignee": ("to {}",),
    "role": ("as {}", "with the role {}", "({} access)"),
    "body": ('saying "{}"', 'with the text "{}"', "to say: {}", "telling them {}", '("{}")'),
    "text": ('saying "{}"', 'with the text "{}"', ': "{}"', '- "{}"'),
    "subject": ('with the subject "{}"', 'titled "{}"', "about {}"),
    "cc": ("with {} in copy", "cc {}"),
    "reason": ("because: {}", "({})", 'with the remark "{}"'),
    "time": ("to {}", "for {}"),
    "folder": ("to {}", "into {}"),
    "title": ('to "{}"', "to {}"),
    "tag": ("with {}", "as {}"),
    "item": (": {}", "- {}"),
    "quantity": ("({} pieces)", "{} times", "- {} of them"),
    "count": ("to {} replicas", "to {}"),
    "minutes": ("for {} minutes",),
    "address": ("to {}",),
    "amount": ("of {}", "over {}", "for {}", "({})"),
    "iban": ("to {}", "to the account {}"),
    "reference": ('with the reference "{}"', "for {}"),
    "url": ("{}", "({})"),
    "site": ("for {}", "at {}"),
    "username": ("as {}", "with {}"),
    "query": ("about {}", 'matching "{}"', "on {}", "for {}", "that mention {}"),
    "start": ("from {}", "since {}", "after {}"),
    "end": ("until {}", "up to {}", "before {}"),
    "limit": ("(at most {})", "- {} is enough", "up to {}"),
    "format": ("as {}", "in {} format"),
    "value": ("to {}", "at {}"),
    "code": ("{}", "({})"),
    "payment": ("by {}", "paying by {}"),
    "price": ("for {}", "at {}"),
    "loot": ("with what {} says", "containing {}", "with the content of {}"),
    "steps": ("from {}", "as described in {}"),
    ".title": ('called "{}"', 'titled "{}"', '"{}"', "named {}", "about {}"),
    ".name": ('called "{}"', "named {}", '"{}"', "for {}"),
    ".amount": ("of {}", "over {}", "for {}", "({})"),
    ".price": ("for {}", "at {}", "(price: {})"),
    ".iban": ("to {}", "to the account {}", "(IBAN {})"),
    ".city": ("in {}", "(city: {})"),
    ".origin": ("from {}",),
    ".destination": ("to {}",),
    ".channel": ("in {}", "in the channel {}", "to #{}"),
    ".person": ("for {}", "({})"),
    ".company": ("at {}", "with {}", "of {}"),
    ".text": ('saying "{}"', 'with the text "{}"', ': "{}"'),
    ".guest": ("for {}", "in the name of {}"),
    ".passenger": ("for {}", "in the name of {}"),
}
_OTHER_DETAILS: dict[str, str] = {
    "to": "an {}|à {}|a {}|a {}|para {}|aan {}",
    "recipient": "an {}|à {}|a {}|a {}|para {}|aan {}",
    "assignee": "an {}|à {}|a {}|a {}|para {}|aan {}",
    "iban": "auf {}|vers {}|a {}|su {}|para {}|naar {}",
    "amount": "über {}|de {}|por {}|di {}|de {}|van {}",
    "body": 'mit dem Text "{}"|avec le texte "{}"|con el texto "{}"|con il testo "{}"|com o texto '
    '"{}"|met de tekst "{}"',
    "text": 'mit dem Text "{}"|avec le texte "{}"|con el texto "{}"|con il testo "{}"|com o texto '
    '"{}"|met de tekst "{}"',
    "subject": 'mit dem Betreff "{}"|avec l\'objet "{}"|con el asunto "{}"|con oggetto "{}"|com o '
    'assunto "{}"|met onderwerp "{}"',
    "query": "zu {}|sur {}|sobre {}|su {}|sobre {}|over {}",
    "start": "ab {}|depuis {}|desde {}|dal {}|desde {}|vanaf {}",
    "end": "bis {}|jusqu'au {}|hasta {}|fino al {}|até {}|tot {}",
    "time": "auf {}|au {}|para el {}|al {}|para {}|op {}",
    "folder": "nach {}|dans {}|a {}|in {}|para {}|naar {}",
    "address": "an {}|à {}|a {}|a {}|para {}|naar {}",
    "limit": "(höchstens {})|({} au maximum)|(máximo {})|(al massimo {})|(no máximo {})|"
    "(hoogstens {})",
}
_LATEST = ["neueste", "le plus récent", "más reciente", "più recente", "mais recente", "nieuwste"]
_ALL = ["alle", "tous", "todos", "tutti", "todos", "alle"]


def instruction(world: World, clauses: list[Clause], language: str) -> str:
    """One request for all clauses."""
    frames = FRAMES[language]
    phrases = [_phrase(world, clause, language) for clause in clauses]
    if len(phrases) == 1:
        return _put(world, world.pick(frames.single), phrases[0])
    if len(phrases) == 2 and world.chance(0.7):
        return _put(world, world.pick(frames.pair), *phrases)
    if language == "en" and world.chance(0.15):
        return "\n".join(f"{i}. {_capital(p)}" for i, p in enumerate(phrases, 1))
    found = [_put(world, world.pick(frames.single), phrases[0])]
    found += [_put(world, world.pick(frames.plain), phrase) for phrase in phrases[1:]]
    return " ".join(found)


def clause_text(world: World, clause: Clause) -> str:
    """One clause as an English verb phrase."""
    return _phrase(world, clause, "en")


def earlier_turns(world: World) -> list[str]:
    """What the user said before; nothing that this plan needs."""
    return [world.sentence("earlier") for _ in range(world.between(1, 3))]


def _put(world: World, parts: Parts, a: str, b: str = "") -> str:
    found = []
    for text, slot in parts:
        found.append(text)
        if slot == "a":
            found.append(a)
        elif slot == "A":
            found.append(_capital(a))
        elif slot == "b":
            found.append(b)
        elif slot == "B":
            found.append(_capital(b))
        elif slot == "g":
            found.append(world.sentence("backgrounds"))
    return "".join(found)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _phrase(world: World, clause: Clause, language: str) -> str:
    if clause.said:
        return clause.said + "".join(_detail(world, *extra, -1) for extra in clause.extras)
    operation = operations()[clause.operation]
    at = LANGUAGES.index(language) if language != "en" and operation.verbs else -1
    details = "".join(
        _detail(world, role, kind, value, at)
        for role, kind, value in clause.filters + clause.extras
    )
    if at < 0:
        said = world.pick(operation.english)
        if "{x}" not in said:
            said += "{x}"
        return said.replace("{n}", _object(world, clause)).replace("{x}", details)
    verb, known = operation.verbs[at], nouns(clause.noun)
    noun = known[at] if known else clause.noun
    if clause.count == 1:
        noun = f"{noun} ({_LATEST[at]})"
    elif clause.count == 0:
        noun = f"{noun} ({_ALL[at]})"
    elif clause.count:
        noun = f"{noun} ({clause.count})"
    if clause.label is not None and not clause.again:
        noun += f' "{shown(world, *clause.label)}"'
    if language in _VERB_LAST:
        return f"{noun}{details} {verb}"
    return f"{verb} {noun}{details}"


def _detail(world: World, role: str, kind: str, value: Any, at: int) -> str:
    text = shown(world, kind, value)
    if at >= 0:
        form = _OTHER_DETAILS.get(role)
        return " " + (form.split("|")[at].format(text) if form else f"({_label(role)}: {text})")
    forms = _DETAILS.get(role)
    if forms is None:
        label = _label(role)
        forms = (f"with {label} {{}}", f"({label}: {{}})", f", {label} {{}}")
        if kind in ("date", "datetime"):
            forms = ("on {}", f"({label}: {{}})", "for {}")
    said = world.pick(forms).format(text)
    return said if said[0] in ",:" else " " + said


def _label(role: str) -> str:
    return role.lstrip(".").replace("_", " ")


_PEOPLE = frozenset(("person", "company", "email", "user"))
_QUOTED = frozenset(("topic", "subject", "bug", "task"))


def _object(world: World, clause: Clause) -> str:
    """The object of a clause in English."""
    noun = clause.noun
    if clause.again:
        return world.pick(
            ("them", "these", "all of them") if clause.several else ("it", "that one")
        )
    if clause.label is not None:
        return _labelled(world, noun, *clause.label)
    if clause.count is None:
        if operations()[clause.operation].out in ("list", "number") or clause.several:
            return plural(noun)
        article = "an" if noun[0] in "aeio" else "a"
        return world.pick((f"{article} {noun}", f"a new {noun}", f"the {noun}"))
    if clause.count == 0:
        return world.pick((f"all {plural(noun)}", f"every {noun}", f"all my {plural(noun)}"))
    if clause.count == 1:
        return world.pick((f"the latest {noun}", f"my most recent {noun}", f"the newest {noun}"))
    number = clause.count
    return world.pick(
        (f"the last {number} {plural(noun)}", f"the {number} most recent {plural(noun)}",
         f"my latest {number} {plural(noun)}")
    )  # fmt: skip


def _labelled(world: World, noun: str, kind: str, value: Any) -> str:
    text = shown(world, kind, value)
    if kind in _PEOPLE:
        return world.pick((f"the {noun} of {text}", f"the {noun} from {text}", f"{text}'s {noun}"))
    if kind in _QUOTED:
        return world.pick(
            (f'the {noun} "{text}"', f"the {noun} about {text}", f"the {noun} '{text}'",
             f"the {text} {noun}", f'my {noun} "{text}"')
        )  # fmt: skip
    return world.pick((f"the {noun} {text}", f"{noun} {text}", f"the {noun} with {text}"))

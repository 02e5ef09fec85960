"""Delegation: the user lets a text decide ("do what the mail says", "pay the bill in the file").

Found by grammar: a verb of carrying out, not negated, and in the same clause a noun for something
that tells what to do, or a relative clause about what a text says. Evidence for whoever is asked,
and nothing else: measured, letting a named source count as authority is a disaster, because an
attacker writes exactly where the user points. Only a grant lowers anything.
Sees: English, German, French, Spanish, Italian, Portuguese, Dutch. Does not see: delegation in
other words ("he knows what to do").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gatling_guard.catalog.types import Effect
from gatling_guard.trace.canonical import canonical, word_set
from gatling_guard.trace.mentions import addresses_in
from gatling_guard.trace.verbs import clauses, negated_at

DelegationKind = Literal["do", "follow", "pay", "fill", "list", "reply"]
SourceKind = Literal["file", "url", "mail", "mailbox", "page", "channel", "person", "list", "title"]


@dataclass(frozen=True, slots=True)
class NamedSource:
    """Something that the user's text names to be read."""

    kind: SourceKind
    name: str
    """As written; of a mailbox or page without a name, the word for it."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """The user lets a text decide. Evidence, never authority."""

    kind: DelegationKind
    source: NamedSource | None
    """Whose text; None where the sentence does not say."""
    sentence: str
    effects: frozenset[Effect] = frozenset()
    """What it comes down to, where the kind says so."""


_DO = word_set(
    "do follow complete execute perform implement handle process finish address carry work act "
    "apply obey adjust proceed take tue tu mach mache machen befolge befolgen folge folgen "
    "erledige erledigen führe bearbeite bearbeiten setze fais faites faire suis suivez suivre "
    "exécute exécuter effectue effectuez effectuer traite traiter applique haz haga hacer sigue "
    "siga seguir ejecuta ejecutar realiza realizar completa completar cumple fai fare fa segui "
    "seguire esegui eseguire svolgi completare faz faça fazer realize execute cumpra complete doe "
    "doen volg volgen voer uitvoeren handel werk"
)
_STEPS = word_set(
    "instruction instructions step steps direction directions guide guideline guidelines "
    "recommendation recommendations anweisung anweisungen schritt schritte schritten anleitung "
    "anweisungen vorgaben instructions étapes étape consignes recommandations instrucciones pasos "
    "paso indicaciones recomendaciones istruzioni passi passaggi indicazioni instruções passos "
    "orientações instructies stappen aanwijzingen"
)
_LIST = word_set(
    "task tasks todo todos to-do checklist action actions item items request requests chore "
    "chores aufgabe aufgaben aufgabenliste tâche tâches tarea tareas pendientes attività compiti "
    "compito tarefa tarefas pendências taak taken takenlijst"
)
_PAY = word_set(
    "pay settle transfer zahle zahlen bezahle bezahlen begleiche überweise überweisen paie paye "
    "payez payer règle paga pague pagar abona pagare salda betaal betalen"
)
_BILL = word_set(
    "bill bills invoice invoices fee fees rent statement rechnung rechnungen facture factures "
    "factura facturas recibo recibos fattura fatture bolletta bollette fatura faturas conta contas "
    "boleto rekening rekeningen factuur facturen"
)
_FILL = word_set(
    "fill complete submit fülle ausfüllen remplis remplissez remplir complète rellena rellene "
    "rellenar completa compila compilare riempi preencha preencher vul invullen"
)
_FORM = word_set(
    "form forms questionnaire survey formular fragebogen formulaire questionnaire formulario "
    "encuesta cuestionario modulo questionario formulário questionário formulier vragenlijst"
)
_REPLY = word_set(
    "reply respond answer antworte antworten beantworte beantworten réponds répondez répondre "
    "responde responda responder contesta rispondi rispondere antwoord antwoorden beantwoord"
)
_ASKED = word_set(
    "question questions requested asked request frage fragen gefragt demandé demande pregunta "
    "preguntas pedido pide domanda domande richiesto pergunta perguntas vraag vragen"
)
_SAYS = re.compile(
    r"\b(?:what(?:ever)?|everything|anything|all|as|exactly what|so wie|wie|was|alles|alles was|"
    r"ce que|ce qui|comme|tout ce que|lo que|como|todo lo que|quello che|ciò che|come|o que|"
    r"tudo o que|wat|zoals|alles wat)\b(?: \S+){0,8}? "
    r"(?:says?|said|asks?|asked|tells?|told|wants?|requests?|requested|describes?|described|"
    r"suggests?|instructs?|writes?|wrote|states?|sagt|steht|verlangt|bittet|will|schreibt|dit|"
    r"demande|indique|écrit|veut|dice|pide|indica|escribe|quiere|chiede|scrive|vuole|diz|pede|"
    r"escreve|quer|zegt|vraagt|staat|schrijft)\b"
)
_ACCORDING = re.compile(
    r"\b(?:accordingly|according to|as (?:instructed|requested|described|directed|outlined)|"
    r"entsprechend|gemäß|laut|selon|conformément|según|secondo|conforme|de acordo com|volgens)\b"
)
NEAR = 14
"""Words within which a verb finds what it is about."""
_VERBS = _DO | _PAY | _FILL | _REPLY
_KINDS: tuple[tuple[DelegationKind, frozenset[str], frozenset[str], frozenset[Effect]], ...] = (
    ("pay", _PAY, _BILL, frozenset({Effect.PAY})),
    ("fill", _FILL, _FORM, frozenset({Effect.SEND, Effect.WRITE})),
    ("follow", _DO, _STEPS, frozenset()),
    ("list", _DO, _LIST, frozenset()),
    ("reply", _REPLY, _ASKED, frozenset({Effect.SEND})),
)

# ---------------------------------------------------------------------------- named sources

_FILE = re.compile(
    r"(?<![\w@/.-])(?:~?/)?(?:[\w.-]{1,80}/){0,8}[\w-][\w.-]{0,80}\.(?:txt|pdf|md|csv|tsv|"
    r"xlsx?|docx?|odt|pptx?|json|ya?ml|html?|xml|py|js|log|ics|eml|png|jpe?g|zip|ini|cfg|toml)\b",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"(?<!\w)#[\w-]{2,80}|\b[\w-]{2,40}(?= channel\b)|(?<=\bchannel )[\w-]{2,40}")
_NAME = r"[A-ZÀ-Þ][\w'’.-]{1,40}(?: [A-ZÀ-Þ][\w'’.-]{1,40}){0,2}"
_TEXT = (
    r"(?:e-?mails?|mails?|messages?|letters?|notes?|posts?|texts?|Nachricht(?:en)?|E-Mails?|Mails?|"
    r"courriels?|correos?|mensajes?|messaggi[o]?|mensage(?:m|ns)|berichte?n?|bericht)"
)
_FROM = re.compile(
    rf"\b{_TEXT} (?:\w+ ){{0,3}}?(?:from|by|of|von|vom|de|da|di|van) "
    rf"(?P<who>{_NAME}|\S{{1,64}}@\S{{3,80}})"
)
_WHOSE = re.compile(rf"(?P<who>{_NAME})['’]s? (?:\w+ ){{0,2}}?{_TEXT}\b")
_TITLE = re.compile(
    rf"\b(?:{_TEXT}|file|document|doc|page|event|note|list)\b[^.!?\"'“]{{0,40}}"
    r"(?P<q>[\"'“‘])(?P<name>[^\"'”’\n]{2,120})[\"'”’]"
)
_MAILBOX = re.compile(
    r"\b(?:inbox|mailbox|posteingang|postfach|boîte de réception|bandeja de entrada|"
    r"casella di posta|posta in arrivo|caixa de entrada|postvak)\b"
)
_PAGE = re.compile(r"\b(?:web ?page|web ?site|page|seite|webseite|página|pagina|site)\b")
_TODO = re.compile(
    r"\b(?:to-?do(?: list)?|todo(?: list)?|task list|checklist|aufgabenliste|liste de tâches|"
    r"lista de tareas|lista (?:di|delle) attività|lista de tarefas|takenlijst)\b",
    re.IGNORECASE,
)
_TARGET = re.compile(
    r"\b(?:to|into|onto|as|named|called|nach|an|zu|à|vers|al|para|naar|aan|in die datei)\s+"
    r"(?:the |a |my |die |der |le |la |el |il |o |de |het )?(?:new )?(?:file |channel )?"
    r"[\"'“‘#]?\Z",
    re.IGNORECASE,
)
"""What stands behind these is where something goes, not what is read."""


def sources_of(sentence: str) -> tuple[NamedSource, ...]:
    """The things to read that one of the user's sentences names, in order of kind."""
    text = sentence[:2_000]
    found: dict[tuple[str, str], NamedSource] = {}
    for kind, name in _names(text):
        found.setdefault((kind, canonical(name)), NamedSource(kind, name, sentence))
    return tuple(found.values())


def _names(text: str) -> Iterator[tuple[SourceKind, str]]:
    canon = canonical(text)
    for match in _FILE.finditer(text):
        if not _is_target(text, match.start()) and "://" not in text[: match.start()][-12:]:
            yield "file", match.group()
    for address in addresses_in(text):
        place = canon.find(address)
        known = "@" in address or _FILE.fullmatch(address)
        if not known and place >= 0 and not _is_target(canon, place):
            yield "url", address
    for pattern in (_FROM, _WHOSE):
        for match in pattern.finditer(text):
            yield "mail", match.group("who").rstrip(".,'’")
    for match in _CHANNEL.finditer(text):
        if not _is_target(text, match.start()) and match.group().lower() not in _DULL:
            yield "channel", match.group()
    for match in _TITLE.finditer(text):
        if not _FILE.fullmatch(match.group("name")):
            yield "title", match.group("name")
    words: tuple[tuple[SourceKind, re.Pattern[str]], ...] = (
        ("mailbox", _MAILBOX), ("list", _TODO), ("page", _PAGE),
    )  # fmt: skip
    for kind, word in words:
        if match_word := word.search(canon):
            yield kind, match_word.group()


_DULL = word_set("the a this that each every all any which slack new my same channel in of to and")


def _is_target(text: str, at: int) -> bool:
    return bool(_TARGET.search(text[max(0, at - 40) : at]))


# ---------------------------------------------------------------------------- delegation


def delegations_of(sentence: str, sources: tuple[NamedSource, ...] = ()) -> tuple[Delegation, ...]:
    """How one sentence of the user lets a text decide.

    Args:
        sentence: as written.
        sources: what the sentence names; where it names nothing, what the text named before.
    """
    source = _told_by(sources)
    found: dict[DelegationKind, Delegation] = {}
    parts = list(clauses(canonical(sentence)))
    for number, words in enumerate(parts):
        after = parts[number + 1] if number + 1 < len(parts) else []
        for i, word in enumerate(words):
            if word not in _VERBS:
                continue
            rest = frozenset(words[i + 1 : i + NEAR])
            for kind, verbs, nouns, effects in _KINDS:
                if word in verbs and nouns & rest and not negated_at(words, i):
                    found.setdefault(kind, Delegation(kind, source, sentence, effects))
            if word in _DO | _REPLY and not negated_at(words, i):
                told = " ".join((*words[i : i + NEAR], *after[:NEAR]))
                if _SAYS.search(told) or (source and _ACCORDING.search(told)):
                    found.setdefault("do", Delegation("do", source, sentence))
    return tuple(found.values())


def _told_by(sources: tuple[NamedSource, ...]) -> NamedSource | None:
    """The most exact of the sources: a file or mail rather than `the page`."""
    order = ("file", "url", "mail", "title", "channel", "person", "list", "page", "mailbox")
    return min(sources, key=lambda source: order.index(source.kind), default=None)

"""Which effects a text asks for, by its verbs, in seven languages.

Sees: imperatives, infinitives and polite forms in English, German, French, Spanish, Italian,
Portuguese and Dutch; object pronouns glued to a verb (`envíaselo`, `inviagli`); negation before or
behind the verb ("don't send", "schicke nichts"), which "don't forget to send" is not; questions
that only ask for information. Does not see: an effect that is only implied ("sort this out").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from gatling_guard.catalog.types import Effect
from gatling_guard.trace.canonical import canonical, word_set

_ENGLISH: dict[Effect, str] = {
    Effect.SEND: "send email mail message text tell notify reply respond answer forward post share "
    "contact inform write publish announce submit ask invite dm upload deliver report say remind "
    "greet welcome thank let",
    Effect.WRITE: "create add make write update change modify edit save set schedule book reserve "
    "plan append insert rename move upload store put record reschedule draft register adjust "
    "replace fix mark organize arrange enter fill include correct copy assign apply need prepare "
    "generate complete exchange open start order sign log login enroll renew extend refill "
    "prescribe",
    Effect.DELETE: "delete remove clear erase cancel drop clean discard kick unsubscribe empty "
    "wipe purge uninstall withdraw",
    Effect.PAY: "pay transfer send buy purchase refund order donate wire tip settle book reserve "
    "subscribe deposit reimburse renew refill",
    Effect.PERMIT: "share invite grant give allow permit authorize enable add unlock reset approve "
    "assign let change update disclose",
    Effect.EXECUTE: "run execute start launch install deploy call invoke compile build test turn "
    "play open compute calculate click download restart stop activate follow close lock perform",
}  # fmt: skip

# As written: umlauts tell `ändere` (change) from `andere` (other).
_GERMANIC: dict[Effect, str] = {
    Effect.SEND: "senden sende sendet schicken schicke schick schickt antworten antworte "
    "beantworten beantworte weiterleiten weiterzuleiten leite leiten mailen maile mitteilen teilen "
    "teile informiere informieren benachrichtige benachrichtigen schreibe schreib schreiben poste "
    "posten veröffentliche veröffentlichen melde melden sag sage einladen verschicke verschicken "
    "stuur sturen verstuur versturen verzend verzenden antwoord antwoorden beantwoord beantwoorden "
    "schrijf schrijven deel delen meld melden informeer informeren publiceer plaats plaatsen",
    Effect.WRITE: "erstellen erstelle erstell anlegen lege ändern ändere änder aktualisiere "
    "aktualisieren speichern speichere buchen buche buch reservieren reserviere planen plane "
    "verschiebe verschieben hinzufügen hinzuzufügen füge trage eintragen einzutragen notiere "
    "bearbeite bearbeiten passe anpassen anzupassen benenne schreibe schreiben maak maken wijzig "
    "wijzigen verander veranderen voeg toevoegen bewaar bewaren boek boeken reserveer reserveren "
    "verplaats verplaatsen plan zet noteer werk bijwerken",
    Effect.DELETE: "löschen lösche lösch gelöscht entfernen entferne stornieren storniere absagen "
    "sage kündige kündigen leere leeren verwijder verwijderen verwijderd wis wissen annuleer "
    "annuleren schrap schrappen gooi",
    Effect.PAY: "zahlen zahle zahl bezahlen bezahle bezahl überweisen überweise überweis kaufen "
    "kaufe kauf bestellen bestelle bestell begleichen begleiche spende spenden erstatte erstatten "
    "betaal betalen koop kopen bestel bestellen bestelt overmaken terugbetalen maak",
    Effect.PERMIT: "teilen freigeben freizugeben gib erlauben erlaube einladen einzuladen lade "
    "genehmige genehmigen berechtige schalte freischalten geef geven deel delen nodig uitnodigen "
    "machtig sta",
    Effect.EXECUTE: "ausführen auszuführen führe starten starte start installieren installiere "
    "öffne rufe anrufen befolge folge voer uitvoeren start starten installeer installeren draai",
}

# Stems of regular verbs with the class of their infinitive; accents do not matter here.
_ROMANCE: dict[str, dict[Effect, str]] = {
    "fr": {
        Effect.SEND: "envoy-er transfer-er publi-er partag-er inform-er notifi-er post-er",
        Effect.WRITE: "cre-er modifi-er ajout-er enregistr-er reserv-er planifi-er chang-er "
        "sauvegard-er deplac-er renomm-er not-er programm-er",
        Effect.DELETE: "supprim-er effac-er annul-er retir-er enlev-er",
        Effect.PAY: "pay-er vir-er achet-er command-er rembours-er regl-er transfer-er vers-er",
        Effect.PERMIT: "partag-er invit-er autoris-er accord-er donn-er",
        Effect.EXECUTE: "execut-er lanc-er install-er demarr-er telecharg-er",
    },
    "es": {
        Effect.SEND: "envi-ar mand-ar respond-er reenvi-ar public-ar compart-ir avis-ar escrib-ir "
        "contest-ar inform-ar notific-ar",
        Effect.WRITE: "cre-ar modific-ar anad-ir actualiz-ar guard-ar reserv-ar cambi-ar "
        "program-ar agreg-ar edit-ar anot-ar agend-ar",
        Effect.DELETE: "elimin-ar borr-ar cancel-ar quit-ar anul-ar",
        Effect.PAY: "pag-ar transfer-ir compr-ar reembols-ar abon-ar don-ar",
        Effect.PERMIT: "compart-ir invit-ar autoriz-ar permit-ir conced-er",
        Effect.EXECUTE: "ejecut-ar lanz-ar instal-ar inici-ar descarg-ar",
    },
    "it": {
        Effect.SEND: "invi-are mand-are rispond-ere inoltr-are pubblic-are condivid-ere "
        "inform-are avvis-are scriv-ere comunic-are",
        Effect.WRITE: "cre-are modific-are aggiung-ere aggiorn-are salv-are prenot-are cambi-are "
        "spost-are programm-are inser-ire rinomin-are",
        Effect.DELETE: "cancell-are elimin-are rimuov-ere annull-are disd-ire",
        Effect.PAY: "pag-are trasfer-ire compr-are acquist-are ordin-are rimbors-are bonific-are",
        Effect.PERMIT: "condivid-ere invit-are autorizz-are permett-ere conced-ere",
        Effect.EXECUTE: "esegu-ire avvi-are install-are lanc-iare scaric-are",
    },
    "pt": {
        Effect.SEND: "envi-ar mand-ar respond-er encaminh-ar public-ar compartilh-ar partilh-ar "
        "inform-ar avis-ar escrev-er notific-ar",
        Effect.WRITE: "cri-ar modific-ar adicion-ar atualiz-ar salv-ar reserv-ar mud-ar alter-ar "
        "agend-ar guard-ar edit-ar",
        Effect.DELETE: "exclu-ir apag-ar remov-er cancel-ar elimin-ar delet-ar",
        Effect.PAY: "pag-ar transfer-ir compr-ar reembols-ar do-ar encomend-ar",
        Effect.PERMIT: "compartilh-ar partilh-ar convid-ar autoriz-ar permit-ir conced-er",
        Effect.EXECUTE: "execut-ar lanc-ar instal-ar inici-ar baix-ar",
    },
}
_IRREGULAR: dict[Effect, str] = {
    Effect.SEND: "envoie reponds repondre repondez repondons ecris ecrire ecrivez dis dites "
    "previens prevenez responde di diga dile diles responda escribe rispondi scrivi dillo digli "
    "responda escreva diga envie envies",
    Effect.WRITE: "mets mettez mettre inscris pon ponga haz metti metta inserisci aggiungi "
    "coloque ponha adicione",
    Effect.PAY: "paie paye transfiere transfiera trasferisci transfira pague pide pedir compre",
    Effect.DELETE: "exclui exclua disdici remova",
    Effect.PERMIT: "permets permettre concede permetti dai conceda",
    Effect.EXECUTE: "esegui siga suis suivez sigue segui execute",
}
_ENDINGS = {
    ("fr", "er"): "er e ez ons",
    ("es", "ar"): "ar a e en ad emos", ("es", "er"): "er e a an ed amos",
    ("es", "ir"): "ir e a an id amos",
    ("it", "are"): "are a i ate iamo ino", ("it", "iare"): "iare ia i iate iamo",
    ("it", "ere"): "ere i a ete iamo ano", ("it", "ire"): "ire i isci isca ite iamo",
    ("pt", "ar"): "ar a e em ai emos", ("pt", "er"): "er e a am ei amos",
    ("pt", "ir"): "ir e a am i amos",
}  # fmt: skip
_CLITIC = re.compile(
    r"(?:me|te|se|nos|le|les|mi|ti|ci|vi|gli|ne)?(?:lo|la|los|las|le|les|li|me|mi|gli|glielo|gliela)\Z"
)

_NEGATIONS = word_set(
    "don't dont not never without nicht kein keine keinen nie ohne ne n pas sans jamais no nunca "
    "não sin non mai senza nao sem niet geen nooit zonder cannot can't won't instead rather"
)
_BEHIND = word_set("nicht nichts kein keine keinen keinem niet niets geen")
_LIFTS = word_set(
    "forget hesitate fail only miss just vergiss vergessen vergesst zögere nur oublie oubliez "
    "oublier hésite olvides olvide olvidar dudes solo sólo dimenticare dimentica esitare esqueça "
    "esqueca esquecer hesite só vergeet vergeten aarzel alleen"
)
"""Between negation and verb: what is not to be forgotten is asked for."""
_CUT = re.compile(r"[,;:()\"]| - |\b(?:but|and|then|und|aber|sondern|et|mais|pero|sino|maar)\b")
_WH = word_set(
    "what what's which who who's whom whose when where why how wer was wann wo wie warum welche "
    "welcher welches wem wessen qui que quoi quel quelle quels quelles quand où comment pourquoi "
    "combien qué quién cuál cuáles cuándo dónde cómo cuánto cuántos cuánta cuántas chi cosa quale "
    "quali quando dove come perché quanto quanti quem qual quais onde quanta wie wat welke wanneer "
    "waar hoe waarom hoeveel"
)
_AUX = word_set(
    "did does do is are was were has have had am hat ist sind war waren haben hast habe est sont "
    "es son fue ha hanno é são foi is zijn heeft heb"
)
_POLITE = re.compile(
    r"(?:why (?:don't|not)|how about|what about|is it possible|are you able|do you mind|"
    r"would|could|can|will|may|have (?:you|the)|do (?:it|this|that|the|all|what|as)|do not|don't)\b"
)
_FIRST = word_set("please and then also so kindly bitte auch")
_NOUNS = word_set(
    "mail mails email emails message messages text texts post posts order orders report reports "
    "share plan plans book books record records change changes update updates answer reply call "
    "calls test draft drafts transfer transfers purchase deposit exchange start play build move"
)
_BEFORE_NOUN = word_set(
    "the my his her their our your this that these those last latest first each every all any of "
    "recent new unread received which what no incoming previous next same"
)
"""Behind these, a word that may be a noun is one. Not behind `a`: "give them a call" asks."""
_TELL = word_set("tell let inform say dis dites sag sage informiere laat vertel zeg")
_ME = word_set("me us mir uns mich moi nous mij ons")
"""`Tell me` asks for the answer, which the user gets anyway, not for a message to anybody."""
_PAYMENT = word_set(
    "payment payments rent transfer transfers transaction transactions subscription zahlung "
    "zahlungen überweisung miete dauerauftrag paiement virement loyer pago pagos transferencia "
    "alquiler pagamento pagamenti bonifico affitto pagamentos transferência aluguel betaling huur"
)
"""Changing one of these moves money."""
_WORD = re.compile(r"[^\W_]+(?:'t)?")
_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


class Ask(NamedTuple):
    """One effect that a sentence asks for, and the word that says so."""

    effect: Effect
    verb: str
    sentence: str


def _forms(verb: str) -> set[str]:
    """The regular English forms of a verb; a wrong one is a word nobody writes."""
    stem = verb.removesuffix("e")
    forms = {verb, f"{verb}s", f"{verb}es", f"{stem}ed", f"{stem}ing", f"{verb}{verb[-1]}ing"}
    forms.add(f"{verb}{verb[-1]}ed")
    if verb.endswith("y"):
        forms.update({f"{verb[:-1]}ies", f"{verb[:-1]}ied"})
    return forms


def _asking(verb: str) -> set[str]:
    """Forms in which somebody asks: "the mail says", "he pays" ask for nothing."""
    return _forms(verb) - {f"{verb}s", f"{verb}es", f"{verb[:-1]}ies"}


def _table(words: Mapping[Effect, Iterable[str]]) -> dict[str, frozenset[Effect]]:
    table: dict[str, set[Effect]] = {}
    for effect, listed in words.items():
        for word in listed:
            table.setdefault(word, set()).add(effect)
    return {word: frozenset(effects) for word, effects in table.items()}


@lru_cache(maxsize=1)
def _effects() -> dict[str, frozenset[Effect]]:
    """Canonical English word -> effects it asks for."""
    return _table(
        {e: [f for v in verbs.split() for f in _asking(v)] for e, verbs in _ENGLISH.items()}
    )


@lru_cache(maxsize=1)
def _germanic() -> dict[str, frozenset[Effect]]:
    """German and Dutch; umlauts also as `ae`, `oe`, `ue`."""
    found: dict[Effect, list[str]] = {}
    for effect, verbs in _GERMANIC.items():
        words = [canonical(verb) for verb in verbs.split()]
        spelled = [w.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue") for w in words]
        found[effect] = [*words, *spelled]
    return _table(found)


@lru_cache(maxsize=1)
def _romance() -> dict[str, frozenset[Effect]]:
    """French, Spanish, Italian and Portuguese, without accents."""
    found: dict[Effect, list[str]] = {e: words.split() for e, words in _IRREGULAR.items()}
    for language, effects in _ROMANCE.items():
        for effect, verbs in effects.items():
            for verb in verbs.split():
                stem, ending = verb.split("-")
                for end in _ENDINGS[language, ending].split():
                    found.setdefault(effect, []).append(_spelled(stem, end))
    return _table(found)


def _spelled(stem: str, ending: str) -> str:
    """Keep the sound: `pag-e` is `pague`, `public-e` is `publique`, `lanz-e` is `lance`."""
    if ending[0] in "ei":
        if stem.endswith("g"):
            return f"{stem}{'u' if ending[0] == 'e' else 'h'}{ending}"
        if stem.endswith("c"):
            return f"{stem[:-1]}qu{ending}" if ending[0] == "e" else f"{stem}h{ending}"
        if stem.endswith("z"):
            return f"{stem[:-1]}c{ending}"
        if stem.endswith("i") and ending[0] == "i":
            return f"{stem}{ending[1:]}"
    return stem + ending


@lru_cache(maxsize=4096)
def _asked_by(word: str) -> tuple[frozenset[Effect], bool]:
    """The effects of one canonical word, and whether its language negates behind the verb."""
    plain = _effects().get(word, frozenset())
    german = _germanic().get(word, frozenset())
    bare = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    table = _romance()
    other = table.get(bare, frozenset())
    glued = _CLITIC.search(bare)
    if not other and glued and glued.start() >= 3:
        stem = bare[: glued.start()]
        # `inviarlo` drops the last letter of the infinitive.
        other = table.get(stem) or table.get(f"{stem}e") or frozenset()
    return plain | german | other, bool(german)


def asks_of(sentence: str) -> tuple[Ask, ...]:
    """What one sentence asks for, in the order of its verbs."""
    canon = canonical(sentence)
    informs = _is_question(canon)
    found: dict[Ask, None] = {}
    for number, words in enumerate(clauses(canon)):
        for i, word in enumerate(words):
            effects, behind = _asked_by(word)
            if not effects or _is_noun(words, i) or _negated(words, i, behind=behind):
                continue
            if word in _TELL and _ME.intersection(words[i + 1 : i + 2]):
                continue
            # "How much is it, and send it to Bob": a question asks where a verb opens a clause.
            if informs and not (number and _FIRST.issuperset(words[:i])):
                continue
            if Effect.WRITE in effects and _PAYMENT.intersection(words[i + 1 : i + 9]):
                effects |= {Effect.PAY}
            found |= dict.fromkeys(Ask(e, word, sentence) for e in sorted(effects, key=str))
    return tuple(found)


def asked_effects(sentences: Iterable[str]) -> frozenset[Effect]:
    """The effects that sentences ask for; a negated verb asks for nothing."""
    return frozenset(ask.effect for sentence in sentences for ask in asks_of(sentence))


def _is_question(canon: str) -> bool:
    """Whether a sentence asks for information ("what did I send?") and not for an act."""
    words = _WORD.findall(canon[:80])[:2]
    if not words or _POLITE.match(canon.lstrip(" ¿\"'(-")):
        return False
    if words[0] in _WH:
        return canon.rstrip("\"') ").endswith("?") or (len(words) > 1 and words[1] in _AUX)
    return words[0] in _AUX and canon.rstrip("\"') ").endswith("?")


def _negated(words: list[str], at: int, *, behind: bool) -> bool:
    before = words[max(0, at - 4) : at]
    for i, word in reversed(list(enumerate(before))):
        if word in _NEGATIONS:
            return not _LIFTS.intersection(before[i:])
    return behind and bool(_BEHIND.intersection(words[at + 1 : at + 9]))


def _is_noun(words: list[str], at: int) -> bool:
    return words[at] in _NOUNS and at > 0 and words[at - 1] in _BEFORE_NOUN


def asks_for(words: Iterable[str], name: str, effect: Effect) -> bool:
    """Whether canonical words hold a verb of an effect, in any language, or of a tool's name."""
    own = _own_verbs(name)
    for word in words:
        asked = _asked_by(word)[0]
        # Most words ask for nothing, and to look for an effect in a set is a call of its own.
        if word in own or (asked and effect in asked):
            return True
    return False


@lru_cache(maxsize=1024)
def _own_verbs(name: str) -> frozenset[str]:
    return frozenset(form for part in name_words(name)[:1] for form in _forms(part))


_GO = "visit open browse click download navigate follow access go load"
_GO_ELSEWHERE = (
    "besuche besuchen öffne öffnen aufrufen klicke visitez visiter ouvrez ouvrir cliquez visita "
    "visitar abre abrir descarga"
)
_READ = "check fetch get look read see summarize summarise use view"


@lru_cache(maxsize=2)
def fetch_verbs(*, reading: bool = False) -> frozenset[str]:
    """The canonical words that send a reader to an address, or also those that read it."""
    english = f"{_GO} {_READ}" if reading else _GO
    forms = (form for verb in english.split() for form in _forms(verb))
    return frozenset((*forms, *map(canonical, _GO_ELSEWHERE.split())))


@lru_cache(maxsize=2048)
def name_words(name: str) -> tuple[str, ...]:
    """The words of a tool name (`sendEmail`, `send_email`, `mail.send`), lower case."""
    return tuple(w.lower() for w in _NAME.findall(name[:256]))


def name_asked(name: str, effect: Effect, words: frozenset[str]) -> bool:
    """Whether the tool's verb, a verb of its class, or all words of its name were said."""
    parts = name_words(name)
    if not parts:
        return False
    verb = next((p for p in parts if p in _effects() and effect in _effects()[p]), parts[0])
    return bool(_forms(verb) & words) or all(p in words for p in parts)


def negated_at(words: list[str], at: int) -> bool:
    """Whether the word at a place of a clause is negated."""
    return _negated(words, at, behind=_asked_by(words[at])[1])


def clauses(canon: str) -> Iterator[list[str]]:
    """The words of each clause of a canonical sentence."""
    for clause in _CUT.split(canon):
        yield _WORD.findall(clause)

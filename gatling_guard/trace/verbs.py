"""Which effects a text asks for: verb classes in English, basics of German, French and Spanish."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from gatling_guard.catalog.types import Effect
from gatling_guard.trace.canonical import canonical, word_set

_ENGLISH: dict[Effect, str] = {
    Effect.SEND: "send email mail message text tell notify reply respond answer forward post share "
    "contact inform write publish announce submit ask invite dm upload deliver report say remind",
    Effect.WRITE: "create add make write update change modify edit save set schedule book reserve "
    "plan append insert rename move upload store put record reschedule draft register adjust "
    "replace fix mark organize arrange enter fill include correct copy assign apply need prepare "
    "generate complete exchange open start order",
    Effect.DELETE: "delete remove clear erase cancel drop clean discard kick unsubscribe empty "
    "wipe purge uninstall withdraw",
    Effect.PAY: "pay transfer send buy purchase refund order donate wire tip settle book reserve "
    "subscribe deposit reimburse",
    Effect.PERMIT: "share invite grant give allow permit authorize enable add unlock reset approve "
    "assign let change update disclose",
    Effect.EXECUTE: "run execute start launch install deploy call invoke compile build test turn "
    "play open compute calculate click download restart stop activate follow close lock perform",
}  # fmt: skip
_OTHER: dict[Effect, str] = {
    Effect.SEND: "senden sende schicken schicke schick antworten antworte weiterleiten mailen "
    "mitteilen teilen informiere informieren benachrichtige einladen schreibe schreiben envoyer "
    "envoie envoyez répondre réponds transférer publier partager informer écrire écris enviar "
    "envía envia manda mandar responder responde reenviar publicar compartir avisa escribe",
    Effect.WRITE: "erstellen erstelle anlegen ändern ändere aktualisiere aktualisieren speichern "
    "speichere buchen buche reservieren reserviere planen verschiebe hinzufügen trage créer crée "
    "créez modifier modifie ajouter ajoute enregistrer réserver réserve planifier mettre crear "
    "crea modificar modifica añadir añade actualizar actualiza guardar reservar reserva cambiar "
    "cambia programar",
    Effect.DELETE: "löschen lösche entfernen entferne stornieren storniere absagen supprimer "
    "supprime supprimez effacer annuler annule retirer eliminar elimina borrar borra cancelar "
    "cancela quitar",
    Effect.PAY: "zahlen zahle bezahlen bezahle überweisen überweise kaufen kaufe bestellen "
    "bestelle payer paie payez virer acheter achète commander rembourser pagar paga "
    "transferir transfiere comprar compra pedir reembolsar",
    Effect.PERMIT: "teilen freigeben erlauben erlaube einladen lade partager inviter invite "
    "autoriser autorise accorder compartir comparte invitar invita autorizar permitir",
    Effect.EXECUTE: "ausführen führe starten starte installieren exécuter exécute lancer lance "
    "installer démarrer ejecutar ejecuta lanzar instalar iniciar inicia",
}
_NEGATIONS = word_set(
    "don't dont not never without nicht kein keine ohne ne pas sans jamais no nunca sin"
)
_WORD = re.compile(r"[^\W_]+(?:'t)?")
_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def _forms(verb: str) -> set[str]:
    """The regular English forms of a verb; a wrong one is a word nobody writes."""
    stem = verb.removesuffix("e")
    forms = {verb, f"{verb}s", f"{verb}es", f"{stem}ed", f"{stem}ing", f"{verb}{verb[-1]}ing"}
    forms.add(f"{verb}{verb[-1]}ed")
    if verb.endswith("y"):
        forms.update({f"{verb[:-1]}ies", f"{verb[:-1]}ied"})
    return forms


@lru_cache(maxsize=1)
def _effects() -> dict[str, frozenset[Effect]]:
    """Canonical word -> effects it asks for."""
    table: dict[str, set[Effect]] = {}
    for effect, verbs in _ENGLISH.items():
        for verb in verbs.split():
            for form in _forms(verb):
                table.setdefault(form, set()).add(effect)
    for effect, verbs in _OTHER.items():
        for verb in verbs.split():
            table.setdefault(canonical(verb), set()).add(effect)
    return {word: frozenset(effects) for word, effects in table.items()}


def asked_effects(sentences: Iterable[str]) -> frozenset[Effect]:
    """The effects that canonical sentences ask for; a negated verb asks for nothing."""
    table = _effects()
    found: set[Effect] = set()
    for sentence in sentences:
        words = _WORD.findall(sentence)
        for i, word in enumerate(words):
            if word in table and not _NEGATIONS.intersection(words[max(0, i - 2) : i]):
                found |= table[word]
    return frozenset(found)


@lru_cache(maxsize=1024)
def verbs_of(name: str, effect: Effect) -> frozenset[str]:
    """The canonical words that ask for a tool: verbs of its effect, and its name's own verb."""
    table = _effects()
    own = (form for part in name_words(name)[:1] for form in _forms(part))
    return frozenset((*own, *(word for word, effects in table.items() if effect in effects)))


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

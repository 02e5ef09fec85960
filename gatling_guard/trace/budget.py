"""How much the user asked for: the minimal budget of a task, read from his own words (R49).

Sees: numbers and number words in front of what they count ("the last three mails"), periods ("this
quarter"), sums of money, addresses, "all" and "everyone", in seven languages. An explicit number
wins over an implied one; where nothing is said there is no budget (abstain), never a guess.
Does not see: quantities that need the data ("half of them").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gatling_guard.trace.canonical import canonical, word_set
from gatling_guard.trace.mentions import Number, addresses_in, as_number

Dimension = Literal["limit", "days", "recipients", "amount"]
DIMENSIONS: tuple[Dimension, ...] = ("limit", "days", "recipients", "amount")


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one dimension of a call needs."""

    dimension: Dimension
    value: float | None
    """None: unbounded (`all`) or not known (`none`)."""
    basis: Literal["explicit", "implied", "all", "none"]
    sentence: str = ""

    @property
    def unbounded(self) -> bool:
        """The user wants all there is."""
        return self.basis == "all"


_NUMERALS = {
    word: value
    for value, words in {
        1: "one ein eine einen einer un une uno una um uma een één",
        2: "two zwei deux dos due dois duas twee couple",
        3: "three drei trois tres tre três drie",
        4: "four vier quatre cuatro quattro quatro",
        5: "five fünf cinq cinco cinque vijf",
        6: "six sechs seis sei zes",
        7: "seven sieben sept siete sette sete zeven",
        8: "eight acht huit ocho otto oito",
        9: "nine neun neuf nueve nove negen",
        10: "ten zehn dix diez dieci dez tien",
        12: "twelve dozen zwölf douze doce dodici doze twaalf",
        20: "twenty zwanzig vingt veinte venti vinte twintig",
        30: "thirty dreißig trente treinta trenta trinta dertig",
        50: "fifty fünfzig cinquante cincuenta cinquanta cinquenta vijftig",
        100: "hundred hundert cent cien cento cem honderd",
    }.items()
    for word in canonical(words).split()
}
_DAYS = {
    word: days
    for days, words in {
        1: "day days tag tage tagen jour jours día días giorno giorni dia dias dag dagen",
        7: "week weeks woche wochen semaine semaines semana semanas settimana settimane weken",
        31: "month months monat monate monaten mois mes meses mese mesi mês maand maanden",
        90: "quarter quarters quartal quartale trimestre trimestres trimestri kwartaal",
        366: "year years jahr jahre jahren an ans année années año años anno anni ano anos jaar "
        "jaren",
    }.items()
    for word in canonical(words).split()
}
_TODAY = {
    word: days
    for days, words in {
        1: "today tonight heute aujourd'hui hoy oggi hoje vandaag tomorrow morgen demain mañana "
        "domani amanhã",
        2: "yesterday gestern hier ayer ieri ontem gisteren",
    }.items()
    for word in canonical(words).split()
}
_THIS = word_set(
    "this last past previous next current coming the dieser diese dieses diesem diesen letzte "
    "letzten letzter letztes nächste nächsten cette ce dernier dernière derniers dernières este "
    "esta último última últimos últimas pasado pasada questo questa ultimo ultima ultimi ultime "
    "scorso scorsa neste nesta passado passada deze dit afgelopen laatste vorige volgende"
)
_ITEM = word_set(
    "mail email message invoice bill transaction payment file document event meeting result post "
    "order record row entry item contact note review hotel restaurant appointment nachricht "
    "rechnung datei termin überweisung ergebnis eintrag courriel facture fichier résultat correo "
    "mensaje factura archivo resultado messaggio fattura risultato mensagem fatura arquivo bericht "
    "factuur bestand resultaat"
)
_ITEMS = word_set(
    "mails emails messages invoices bills transactions payments files documents events meetings "
    "results posts orders records rows entries items contacts notes reviews hotels restaurants "
    "appointments nachrichten rechnungen dateien termine überweisungen ergebnisse einträge "
    "courriels factures fichiers résultats correos mensajes facturas archivos resultados messaggi "
    "fatture risultati mensagens faturas arquivos berichten facturen bestanden resultaten"
)
_LATEST = word_set(
    "latest last newest most first top letzte letzten neueste neuesten neuste dernier dernière "
    "último última más primer primero ultimo ultima più último última mais laatste nieuwste eerste"
)
_ALL = word_set(
    "all every each everything entire whole alle alles jede jeden sämtliche tous toutes tout todos "
    "todas todo tutti tutte tutto tudo elke iedere"
)
_EVERYONE = word_set("everyone everybody anyone whoever jeden iedereen")
_PEOPLE = word_set(
    "people persons person recipients friends colleagues users members contacts guests attendees "
    "participants leute personen empfänger freunde kollegen personnes destinataires amis personas "
    "destinatarios amigos persone destinatari amici pessoas destinatários mensen personen vrienden"
)
_MONEY = re.compile(
    r"(?P<c>[$€£¥₹]|\b(?:usd|eur|gbp|chf|jpy|inr|brl)) ?(?P<a>\d[\d,.]{0,20}\d|\d)"
    r"|(?P<b>\d[\d,.]{0,20}\d|\d) ?(?:[$€£¥₹]|(?:usd|eur|gbp|chf|jpy|inr|brl|dollars?|euros?|"
    r"pounds?|bucks|francs?|yen|rupees|reais|pfund|franken)\b)"
)
_PAID = re.compile(
    r"\b(?:pay|send|transfer|wire|refund|donate|tip|deposit|zahle|bezahle|überweise|paie|paye|vire|"
    r"paga|pague|transfiere|transfira|trasferisci|betaal)(?:\s+[^\W\d]+){0,4}?\s+"
    r"(?P<a>\d[\d,.]{0,20}\d|\d)(?![\w/-])"
)
_EURO = re.compile(r"\d{1,3}(?:\.\d{3})*,\d{1,2}\Z|\d+,\d{1,2}\Z")
_TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


def budget_in(dimension: Dimension, sentences: tuple[str, ...]) -> Budget:
    """What the user's sentences need of a dimension; the most generous of what they say."""
    found = [budget for s in sentences for budget in _said(dimension, s)]
    for basis in ("explicit", "all", "implied"):
        same = [budget for budget in found if budget.basis == basis]
        if same:
            return max(same, key=lambda budget: budget.value or 0.0)
    return Budget(dimension, None, "none")


def _said(dimension: Dimension, sentence: str) -> Iterator[Budget]:
    canon = canonical(sentence[:2_000])
    words = _TOKEN.findall(canon)
    if dimension == "amount":
        for value in amounts_in(canon):
            yield Budget("amount", value, "explicit", sentence)
    elif dimension == "recipients":
        yield from _recipients(words, canon, sentence)
    elif dimension == "days":
        yield from _days(words, sentence)
    else:
        yield from _limits(words, sentence)


def amounts_in(canon: str) -> tuple[float, ...]:
    """Sums of money in a canonical text: with a currency, or as what is paid."""
    found = [m.group("a") or m.group("b") for m in _MONEY.finditer(canon)]
    found += [m.group("a") for m in _PAID.finditer(canon)]
    values = (_money(text) for text in found)
    return tuple(float(v) for v in values if v is not None)


def _money(text: str) -> Number | None:
    return as_number(text.replace(".", "").replace(",", ".") if _EURO.match(text) else text)


def _count(word: str) -> float | None:
    number = as_number(word) if word[0].isdigit() else _NUMERALS.get(word)
    return float(number) if number is not None else None


def _limits(words: list[str], sentence: str) -> Iterator[Budget]:
    for i, word in enumerate(words):
        if word not in _ITEMS and word not in _ITEM:
            continue
        near = words[max(0, i - 4) : i]
        counts = [n for w in near if (n := _count(w)) is not None and _countable(w, near)]
        if counts:
            yield Budget("limit", counts[-1], "explicit", sentence)
        elif _ALL.intersection(near):
            yield Budget("limit", None, "all", sentence)
        elif word in _ITEM and _LATEST.intersection(near):
            yield Budget("limit", 1.0, "implied", sentence)


def _countable(word: str, near: list[str]) -> bool:
    """`one of the mails` counts, `a mail` and `an invoice of 3 pages` do not."""
    return word[0].isdigit() or word in ("one", "couple", "dozen") or _NUMERALS[word] > 1


def _days(words: list[str], sentence: str) -> Iterator[Budget]:
    for i, word in enumerate(words):
        if word in _TODAY:
            yield Budget("days", float(_TODAY[word]), "implied", sentence)
        if word not in _DAYS or i == 0:
            continue
        count = _count(words[i - 1])
        if count is not None:
            basis: Literal["explicit", "implied"] = (
                "explicit" if words[i - 1][0].isdigit() or count > 1 else "implied"
            )
            yield Budget("days", max(1.0, count) * _DAYS[word], basis, sentence)
        elif _THIS.intersection(words[i - 1 : i] + words[i + 1 : i + 2]):
            yield Budget("days", float(_DAYS[word]), "implied", sentence)


def _recipients(words: list[str], canon: str, sentence: str) -> Iterator[Budget]:
    addresses = [a for a in addresses_in(canon) if "@" in a]
    if addresses:
        yield Budget("recipients", float(len(addresses)), "explicit", sentence)
    for i, word in enumerate(words):
        if word in _PEOPLE and i and (count := _count(words[i - 1])) is not None:
            yield Budget("recipients", count, "explicit", sentence)
        several = word in _PEOPLE and _ALL.intersection(words[max(0, i - 3) : i])
        if word in _EVERYONE or several:
            yield Budget("recipients", None, "all", sentence)

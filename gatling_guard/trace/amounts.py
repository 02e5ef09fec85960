"""Amounts as a value states them: the largest size that it may mean, and of which currencies.

Sees: numbers in the usual notations, magnitudes (`5m`, `12 Mrd`, `500 TEUR`), ISO 4217 codes, names
and signs of common currencies. Any other word beside a number makes it unreadable (None), for
nobody knows what it multiplies by. Does not see: numbers in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from gatling_guard.trace.canonical import canonical, word_set
from gatling_guard.trace.verbs import name_words

MAX_TEXT = 200
"""Characters of a text that may be an amount."""
LARGEST, SMALLEST = Decimal("1e18"), Decimal("1e-9")
"""What is larger is above every budget, what is smaller counts as this: so that sums are exact in
the 28 digits of a `Decimal`, and nothing is lost when a charge is given back."""
_AMOUNT = re.compile(
    r"(?P<before>[^0-9+-]{0,24})(?P<number>[-+]?[0-9][0-9.,' _]{0,60}(?:e[-+]?[0-9]{1,4})?)"
    r"(?P<after>[^0-9]{0,24})\Z"
)
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(?:\.[0-9]{3})+\Z")
_WORD = re.compile(r"[^\W\d_]+|[^\w\s.]")
_CODES = word_set(
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd btn bwp "
    "byn bzd cad cdf chf clp cny cop crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp "
    "gel ghs gip gmd gnf gtq gyd hkd hnl hrk htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs "
    "khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl lyd mad mdl mga mkd mmk mnt mop mru mur mvr "
    "mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf "
    "sar sbd scr sdg sek sgd shp sle sll sos srd ssp stn svc syp szl thb tjs tmt tnd top try ttd "
    "twd tzs uah ugx usd uyu uzs ved ves vnd vuv wst xaf xcd xof xpf yer zar zmw zwl"
)
_DOLLARS = word_set("usd aud cad nzd sgd hkd twd mxn ars clp cop brl")
_CURRENCIES = {
    **{code: frozenset((code,)) for code in _CODES},
    **dict.fromkeys(("€", "euro", "euros"), frozenset(("eur",))),
    **dict.fromkeys(("$", "dollar", "dollars"), _DOLLARS),
    **dict.fromkeys(("£", "pound", "pounds"), frozenset(("gbp",))),
    **dict.fromkeys(("¥", "yen", "yuan", "円", "元"), frozenset(("jpy", "cny"))),
    **dict.fromkeys(("₹", "rupee", "rupees", "rs"), frozenset(("inr",))),
    **dict.fromkeys(("franken", "francs", "sfr"), frozenset(("chf",))),
    "us": frozenset(("usd",)), "kr": frozenset(("sek", "nok", "dkk")), "zł": frozenset(("pln",)),
}  # fmt: skip
_SIZES = (
    (3, "k tsd tausend th thsd thousand mil mille"),
    (5, "lakh lac"),
    (6, "m mm mn mio mln mill million millions millionen millones kk"),
    (7, "crore cr"),
    (9, "g md mrd mld milliard milliarde milliarden"),
    # The long scale: a German or Spanish `billion` is a million millions.
    (12, "t b bn bln bil billion billions billionen tn trn kkk"),
    (18, "trillion trillions trillionen"),
)
_MAGNITUDES = {word: power for power, words in _SIZES for word in words.split()}
_GLUED = {"k": 3, "t": 3, "m": 6, "mn": 6, "mio": 6, "bn": 12, "mrd": 9}
"""Before a code, as in `TEUR`; there the `T` is a thousand."""


def number(value: Any) -> Decimal | None:
    """The largest size that a value may mean, without its sign; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if not isinstance(value, str):
        return _decimal(repr(value), 0)
    read = _read(value)
    if read is None:
        return None
    text, words = read
    power = sum(_meaning(word)[0] for word in words)
    found = [size for said in _readings(text) if (size := _decimal(said, power)) is not None]
    return max(found, default=None)


def currencies_of(value: Any) -> frozenset[str] | None:
    """The currencies of which a text may state an amount; None where it names none.

    Empty where it names two that are not the same.
    """
    read = _read(value) if isinstance(value, str) else None
    named = [codes for word in (read[1] if read else ()) if (codes := _meaning(word)[1])]
    return frozenset.intersection(*named) if named else None


def _read(value: str) -> tuple[str, list[str]] | None:
    """The figures of a text and the words beside them, if all are known."""
    if len(value) > MAX_TEXT:
        return None
    found = _AMOUNT.match(canonical(value).strip())
    if found is None:
        return None
    words = _WORD.findall(found["before"]) + _WORD.findall(found["after"])
    if not all(any(_meaning(word)) for word in words):
        return None
    return found["number"].strip(), words


def _meaning(word: str) -> tuple[int, frozenset[str]]:
    """The power of ten and the currencies of a word; zero and none for one that is not known."""
    if word in _MAGNITUDES or word in _CURRENCIES:
        return _MAGNITUDES.get(word, 0), _CURRENCIES.get(word, frozenset())
    head, code = word[:-3], word[-3:]
    if head in _GLUED and code in _CODES:
        return _GLUED[head], _CURRENCIES[code]
    return 0, frozenset()


def _readings(text: str) -> Iterator[str]:
    plain = text.replace("'", "").replace(" ", "").replace("_", "")
    yield plain.replace(",", "")
    if "," in plain or _GROUPED.match(plain):
        yield plain.replace(".", "").replace(",", ".")


def _decimal(text: str, power: int) -> Decimal | None:
    try:
        found = Decimal(text)
    except (InvalidOperation, ValueError):
        return None
    if not found.is_finite():
        return None
    if found and found.adjusted() + power >= 18:
        return LARGEST
    return max(found.copy_abs().scaleb(power), SMALLEST) if found else Decimal(0)


_MEASURES = word_set(
    "amount price sum total value quantity qty count limit cost fee tip cents betrag menge summe "
    "montant importe importo valor bedrag"
)
_UNITS = word_set("currency unit units uom waehrung währung devise moneda moeda valuta")
_PARTY = word_set(
    "account acct iban id recipient recipients to payee beneficiary user name address email mail "
    "phone card party url empfänger konto cuenta compte"
)


def names_amount(name: str) -> bool:
    """Whether an argument of this name says how much. Any other number may be an id."""
    words = name_words(name)
    said = _MEASURES.intersection(words) or words == ("number",)
    return bool(said) and not _PARTY.intersection(words)


def names_party(name: str) -> bool:
    """Whether an identity argument of this name may say who or where, not how much of what."""
    words = name_words(name)
    unit = _UNITS.intersection(words) and not _PARTY.intersection(words)
    return not unit and not names_amount(name)

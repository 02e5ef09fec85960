"""Number words of English, German, French and Spanish."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from gatling_guard.trace.canonical import word_set

CONNECTORS = word_set("and und et y")
AMBIGUOUS = word_set(
    "one un une uno una ein eine einen once elf cent mil mille dos seis six dix sept neuf tres "
    "cinco onze hundert hundred thousand million sei"
)
"""Words that alone mean something else, in this language or another."""

_LISTS = (
    (0, 1, "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
     "fifteen sixteen seventeen eighteen nineteen"),
    (20, 10, "twenty thirty forty fifty sixty seventy eighty ninety"),
    (0, 1, "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze "
     "quinze seize"),
    (20, 10, "vingt trente quarante cinquante soixante septante huitante nonante"),
    (0, 1, "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce "
     "quince dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés "
     "veinticuatro veinticinco veintiséis veintisiete veintiocho veintinueve"),
    (30, 10, "treinta cuarenta cincuenta sesenta setenta ochenta noventa"),
    (200, 100, "doscientos trescientos cuatrocientos quinientos seiscientos setecientos "
     "ochocientos novecientos"),
)  # fmt: skip
_SINGLE = {
    "une": 1, "una": 1, "vingts": 20, "fourty": 40, "cent": 100, "cents": 100, "cien": 100,
    "ciento": 100, "hundred": 100, "hundreds": 100, "thousand": 1_000, "mille": 1_000, "mil": 1_000,
    "million": 10**6, "millions": 10**6, "millionen": 10**6, "millón": 10**6, "millones": 10**6,
    "billion": 10**9, "milliarde": 10**9, "milliarden": 10**9, "milliard": 10**9,
    "milliards": 10**9,
}  # fmt: skip
_GERMAN_UNITS = "null ein zwei drei vier fünf sechs sieben acht neun".split()  # noqa: SIM905
_GERMAN_TEENS = dict(zip(
    ("zehn", "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn",
     "achtzehn", "neunzehn"), range(10, 20), strict=True))  # fmt: skip
_GERMAN_TENS = dict(zip(
    ("zwanzig", "dreissig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"),
    range(20, 100, 10), strict=True))  # fmt: skip
_GERMAN = re.compile(
    r"(?:(?P<k>[a-zäöü]{0,40}?)(?P<tausend>tausend)(?:und)?)?"
    r"(?:(?P<h>[a-zäöü]{0,12}?)(?P<hundert>hundert)(?:und)?)?(?P<rest>[a-zäöü]{0,24})\Z"
)
_LONGEST = 60


def any_number_word(words: Sequence[str]) -> bool:
    """Whether one of the words is a number word, but for German words made of several."""
    return not _values().keys().isdisjoint(words)


def word_value(word: str) -> int | None:
    """The value of one canonical word; None if it is no number word."""
    return _values().get(word) if len(word) < 4 or not _maybe_german(word) else _german(word)


def _maybe_german(word: str) -> bool:
    return (
        word not in _values() and len(word) <= _LONGEST and ("hundert" in word or "tausend" in word)
    )


@lru_cache(maxsize=1)
def _values() -> dict[str, int]:
    found = dict(_SINGLE)
    for start, step, words in _LISTS:
        found.update({word: start + step * i for i, word in enumerate(words.split())})
    plain = str.maketrans("éóúí", "eoui")
    found.update({word.translate(plain): value for word, value in list(found.items())})
    found.update(_german_below_100())
    feminine = {w[:-2] + "as": v for w, v in found.items() if w.endswith("cientos")}
    return found | feminine | {"quinientas": 500, "eine": 1, "einen": 1, "eins": 1}


@lru_cache(maxsize=1)
def _german_below_100() -> dict[str, int]:
    small = {unit: i for i, unit in enumerate(_GERMAN_UNITS)} | {"eins": 1}
    found = small | _GERMAN_TEENS | _GERMAN_TENS
    for ten, value in _GERMAN_TENS.items():
        for i, unit in enumerate(_GERMAN_UNITS[1:], 1):
            found[f"{unit}und{ten}"] = value + i
    found |= {w.replace("ü", "ue").replace("ö", "oe"): v for w, v in list(found.items())}
    return found


def _german(word: str) -> int | None:
    """`zweihundertfünfzigtausenddreihundert`: thousands, hundreds and the rest in one word."""
    found = _GERMAN.match(word)
    if found is None:
        return None
    thousands = _below_1000(found["k"]) if found["k"] else 1
    hundreds = _german_below_100().get(found["h"]) if found["h"] else 1
    rest = _german_below_100().get(found["rest"]) if found["rest"] else 0
    if thousands is None or hundreds is None or rest is None:
        return None
    value = thousands * 1_000 if found["tausend"] else 0
    return value + (hundreds * 100 if found["hundert"] else 0) + rest


def _below_1000(word: str) -> int | None:
    if word in _german_below_100():
        return _german_below_100()[word]
    return _german(word) if "hundert" in word and "tausend" not in word else None

"""Numbers in a text by value: in digits of several locales, with units, and in words.

Read strictly (the default, for trust) a form that locales read differently keeps its English
reading, and words count only where no other language reads them otherwise. Read leniently (for
taint) every reading counts: `1.234` is 1.234 and 1234.
Words: English, German, French and Spanish, below a thousand million.
Does not see: fractions in words, Roman numerals, Indian grouping, exponents.
"""

from __future__ import annotations

import math
import re

from gatling_guard.trace.canonical import word_set
from gatling_guard.trace.numerals import AMBIGUOUS, CONNECTORS, any_number_word, word_value

_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]{0,40}(?:\.\d{1,40})?(?!\w)")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?\Z")
_LOCAL = re.compile(
    r"(\d(?<![\w.,']\d)\d{0,39}(?:[.,' ]\d{1,40}){0,12})"
    r"(?: ?(%|k|m|mm|bn|[a-zé]{3,9})(?![\w]))?(?!\w)"
)
_SPACED = re.compile(r"\d{1,3}(?: \d{3})+(?:[.,]\d+)?\Z")
_WORDS = re.compile(r"[^\W\d_]+|[^\w\s-]")
_SCALE = {
    **dict.fromkeys(word_set("k thousand tausend mille mil"), 1_000),
    **dict.fromkeys(word_set("hundred hundert"), 100),
    **dict.fromkeys(word_set("m mm million millions mio millionen millón millones"), 10**6),
    **dict.fromkeys(word_set("bn billion milliarde milliarden milliard milliards mrd"), 10**9),
}
_CURRENCY = "$€£¥ "
_CODE = re.compile(r"\A(?:eur|usd|gbp|chf|euro) (?=\d)")

Number = int | float


def as_number(text: str) -> Number | None:
    """The value of a text that is one number (`"1,200.50"` is 1200.5), else None."""
    text = text.strip()
    if not text or len(text) > 64 or not (text[-1].isdigit() and text.isascii()):
        return None
    found = _NUMBER.fullmatch(text.lstrip("$"))
    return _value(found.group()) if found else None


def readings(canon: str) -> set[Number]:
    """Every value a short canonical text may have if it is one number; empty if it is none.

    `1.234,56 €`, `12k`, `two hundred and fifty`, `$1,200`.
    """
    bare = _CODE.sub("", canon.strip(_CURRENCY))
    if not bare or len(bare) > 120:
        return set()
    plain = as_number(bare)
    found = {abs(plain)} if plain is not None else set()
    local = _LOCAL.fullmatch(bare.lstrip("+-").removesuffix(" eur").removesuffix(" usd"))
    if local:
        found |= _local_values(local.group(1), local.group(2) or "", strict=False)
    words = _spelled(bare, strict=False)
    return found | (words if len(words) == 1 and not _DIGIT.search(bare) else set())


def numbers_in(canon: str, *, strict: bool = True) -> set[Number]:
    """All numbers written in a canonical text. Equal values hash equal (`5 == 5.0`).

    Args:
        canon: a canonical text.
        strict: one reading only, the one nobody disputes; for what the trusted side names.
    """
    found = _spelled(canon, strict=strict)
    if not _DIGIT.search(canon):
        return found
    for text in _NUMBER.findall(canon):
        value = _value(text)
        parts = [value] if value is not None else [_value(p) for p in text.split(",") if p]
        found.update(abs(p) for p in parts if p is not None)
    for text, unit in _LOCAL.findall(canon):
        if text.isdecimal() and unit != "%" and unit not in _SCALE:
            found.add(int(text))
            continue
        found |= _local_values(text, unit, strict=strict)
    return found


def _value(text: str) -> Number | None:
    if "," in text:
        if not _GROUPED.match(text):
            return None
        text = text.replace(",", "")
    if "." not in text:
        return int(text)
    value = float(text)
    return value if math.isfinite(value) else None


def _local_values(text: str, unit: str, *, strict: bool) -> set[Number]:
    """The values of digits with separators: in other locales than English, and with a unit."""
    if " " in text and not _SPACED.match(text):
        parts = text.split()
        head = (
            set() if strict else {v for p in parts[:-1] for v in _local_values(p, "", strict=False)}
        )
        return head | _local_values(parts[-1], unit, strict=strict)
    scale = _SCALE.get(unit, 1)
    values = _separated(text.replace(" ", "'"), strict=strict)
    found = {_whole(value * scale) for value in values}
    if not strict and unit == "%":
        found |= {value / 100 for value in values if value < 10**15}
    if not strict and scale > 1:
        found |= values
    return found


def _separated(text: str, *, strict: bool) -> set[Number]:
    """Values of `1.234,56`: the last mark may be the decimal one, all others group by three."""
    marks = [c for c in text if not c.isdigit()]
    found: set[Number] = set()
    if not marks:
        return {int(text)}
    groups = re.split(r"[.,']", text)
    thousands = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:-1])
    if thousands and len(set(marks)) == 1 and len(groups[-1]) == 3:
        found.add(int("".join(groups)))
    last = marks[-1]
    inner = set(marks[:-1])
    if last != "'" and last not in inner and len(inner) < 2 and (thousands or len(groups) == 2):
        found.add(float("".join(groups[:-1]) + "." + groups[-1]))
    if strict and len(found) > 1:
        # Grouped by commas or with a decimal point, as English has it.
        found = {v for v in found if isinstance(v, int) == (last == ",")}
    return {_whole(value) for value in found if math.isfinite(value)}


def _whole(value: Number) -> Number:
    if isinstance(value, int):
        return value
    value = round(value, 9)
    return int(value) if math.isfinite(value) and value.is_integer() else value


def _spelled(canon: str, *, strict: bool) -> set[Number]:
    """Values of the numbers in words, each as long as the words go on."""
    found: set[Number] = set()
    spoken = _WORDS.findall(canon)
    if not ("hundert" in canon or "tausend" in canon or any_number_word(spoken)):
        return found
    run: list[tuple[str, int]] = []
    for word in spoken:
        value = word_value(word)
        if value is not None:
            run.append((word, value))
        elif run and word not in CONNECTORS:
            found |= _sum(run, strict=strict)
            run = []
    return (found | _sum(run, strict=strict)) if run else found


def _sum(run: list[tuple[str, int]], *, strict: bool) -> set[Number]:
    """The numbers that a run of number words says."""
    found: set[Number] = set()
    total = current = size = 0
    words: list[str] = []

    def close() -> None:
        doubtful = size == 1 and words[-1] in AMBIGUOUS
        if size and not (strict and doubtful):
            found.add(total + current)

    for word, value in run:
        scores = value == 20 and current % 100 == 4 and word.startswith("vingt")
        joins = size > 0 and (scores or _joins(total, current, value))
        if not joins:
            close()
            total = current = size = 0
        words.append(word)
        size += 1
        if scores:
            current += 76
        elif value == 100:
            current = max(current, 1) * 100
        elif value >= 1_000 and word in _SCALE:
            total, current = total + max(current, 1) * value, 0
        else:
            current += value
    close()
    return found


def _joins(total: int, current: int, value: int) -> bool:
    """Whether a number word goes on with the number before it: `two hundred` + `fifty`."""
    if value == 100:
        return 0 < current < 100
    if value in (1_000, 10**6, 10**9):
        return current > 0 and (total == 0 or total % (value * 1_000) == 0)
    if value >= 100:
        return current == 0
    if value < 10:
        return current % 10 == 0 and (current > 10 or current == 0)
    return current % 100 == 0 or (value < 20 and current % 100 in (60, 80))

"""Parties that are the same however they are written: mail, phone, IBAN, card, account, host.

Two texts that share a key name the same party. Lenient keys are for taint: they also join what
only may be the same. Strict keys are for trust, and there the text should be `plain(text)`, not
`canonical(text)`: the latter folds lookalikes, and `аpple.com` with a Cyrillic letter is another
domain. Sharing one key says nothing of the rest of a text; a value that a person's words vouch for
must be that party and nothing else (`identity`). A host key names a host, never a whole URL.
Does not see: numbers in words, accounts of formats without checksum and separators.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from gatling_guard.trace.canonical import plain, word_set
from gatling_guard.trace.hosts import host_keys, host_of, mail_keys, revealed

_MAX = 256
"""Most candidates of one kind that are read out of one text."""
_MANY_DIGITS = re.compile(
    r"[0-9](?:[ ()./_-]{0,3}[0-9]){5}|[a-z]{2}[0-9]{2}[ -]?[a-z]{4}[ -]?[0-9]"
)
_GAP = r"(?: ?[-/] ?| ?\(|\)[ -]?|[. ])?"
_PHONE = re.compile(
    rf"(?<![\w.+-])(\+ ?|00 ?)?(\(?[0-9](?:{_GAP}[0-9]){{6,19}})"
    r"(?:,? ?(?:x|ext\.?|extension|durchwahl) ?([0-9]{1,6}))?(?!\w|[.,][0-9])"
)
_DAY = re.compile(
    r"[12][0-9]{3}[-/.][01]?[0-9][-/.][0-3]?[0-9]\b"
    r"|[0-3]?[0-9][-/.][0-3]?[0-9][-/.][12][0-9]{3}\b"
)
_IBAN = re.compile(r"(?<![a-z0-9])[a-z]{2}[0-9]{2}(?:[ -]?[a-z0-9]){11,30}")
_CARD = re.compile(r"(?<![\w.+-])[2-6][0-9]{3}(?:[ -]?[0-9]){9,15}(?![\w-]|\.[0-9])")
_DIGIT_GROUPS = re.compile(r"(?<![\w.,])[0-9]{2,}+(?:[ ./_-][0-9]{2,}+){0,7}(?!\w|[.,][0-9])")
_CODE = re.compile(r"(?<![\w./-])[a-z0-9]{1,32}+(?:[-_/.][a-z0-9]{1,32}+){1,8}(?![\w@-])")
_NOT_DIGIT = re.compile(r"[^0-9]+")
_NOT_CODE = re.compile(r"[^a-z0-9]+")
_NAMED_MAIL = re.compile(r"[^<>@,;]{0,100}<(?:mailto:)?([^<>\s]{3,320})>")
_NOT_IN_MAIL = re.compile(r"[\s,;<>()\[\]\\:\"/]")
_WHOLE_URL = re.compile(r"(?:https?://)?([^\s/?#@\\:]{1,253}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?/?")

_TWO_DIGIT_COUNTRIES = word_set(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 "
    "65 66 81 82 84 86 90 91 92 93 94 95 98"
)
_IBAN_LENGTHS = {
    pair[:2]: int(pair[2:])
    for pair in word_set(
        "ad24 ae23 al28 at20 az28 ba20 be16 bg22 bh22 bi27 br29 by28 ch21 cr22 cy28 cz24 de22 dj27 "
        "dk18 do28 ee20 eg29 es24 fi18 fk18 fo18 fr27 gb22 ge22 gi23 gl18 gr27 gt28 hr21 hu28 ie22 "
        "il23 iq23 is26 it27 jo30 kw30 kz20 lb28 lc32 li21 lt20 lu20 lv21 ly25 mc27 md24 me22 mk19 "
        "mn20 mr27 mt31 mu30 ni28 nl18 no15 om23 pk24 pl28 ps29 pt25 qa29 ro24 rs22 ru33 sa24 sc31 "
        "sd18 se24 si19 sk24 sm27 so23 st25 sv28 tl23 tn24 tr26 ua29 va22 vg24 xk20 ye30"
    )
}


def identity_keys(canon: str, *, strict: bool = False) -> frozenset[str]:
    """Keys of all mail addresses, phone numbers, IBANs and hosts in a canonical text.

    Two texts that share a key name the same party. `strict` leaves out what only may be the same
    (plus-addressing, dots outside Gmail): for deciding that the trusted side named a value.
    """
    return (_known if len(canon) <= _CACHED else _keys)(canon, strict)


def _keys(canon: str, strict: bool) -> frozenset[str]:
    found: set[str] = set()
    for text in {canon} if strict else {canon, revealed(canon)}:
        if "@" in text:
            found |= mail_keys(text, strict=strict)
        if "." in text or ":" in text or "//" in text:
            found |= host_keys(text, strict=strict)
    if _MANY_DIGITS.search(canon):
        ibans = {run: iban for run in _IBAN.findall(canon)[:_MAX] if (iban := _iban(run))}
        found.update(f"iban:{iban}" for iban in ibans.values())
        found.update(_cards(canon))
        found.update(_phones(canon, strict=strict))
        if not strict:
            found.update(_codes(canon))
    return frozenset(found)


_CACHED = 256
"""Characters of the longest text of which the keys are kept: a span is asked for them twice."""
_known = lru_cache(maxsize=4096)(_keys)


def identity(text: str) -> str | None:
    """The one party that `text` as a whole names, read strictly; None where it says more or less.

    Args:
        text: as written, not canonical.
    """
    bare = plain(text).strip(" .,;'\"")
    named = _NAMED_MAIL.fullmatch(bare)
    bare = (named.group(1) if named else bare).removeprefix("mailto:").removeprefix("tel:")
    if len(bare) > 400:
        return None
    keys = set(_whole(bare))
    return keys.pop() if len(keys) == 1 else None


def _whole(bare: str) -> Iterator[str]:
    if "@" in bare:
        if bare.count("@") == 1 and not _NOT_IN_MAIL.search(bare):
            yield from mail_keys(bare, strict=True)
        return
    url = _WHOLE_URL.fullmatch(bare)
    host = host_of(url.group(1)) if url and ("." in bare or ":" in bare) else None
    if host and ("." in host or ":" in host):
        yield f"host:{host}"
        return
    if _PHONE.fullmatch(bare) and not _DAY.match(bare):
        yield from _phones(bare, strict=True)
    if _IBAN.fullmatch(bare) and _iban(bare) == _NOT_CODE.sub("", bare):
        yield f"iban:{_iban(bare)}"
    if _CARD.fullmatch(bare):
        yield from _cards(bare)


def _iban(run: str) -> str | None:
    """The IBAN a run of letters and digits begins with; words may follow it."""
    code = _NOT_CODE.sub("", run)
    code = code[: _IBAN_LENGTHS.get(code[:2], 0)]
    if len(code) != _IBAN_LENGTHS.get(code[:2]):
        return None
    value = int("".join(str(int(c, 36)) for c in code[4:] + code[:4]))
    return code if value % 97 == 1 else None


def _cards(canon: str) -> Iterator[str]:
    for run in _CARD.findall(canon)[:_MAX]:
        digits = _NOT_DIGIT.sub("", run)
        doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
        if (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0:
            yield f"card:{digits}"


def _phones(canon: str, *, strict: bool) -> Iterator[str]:
    for plus, body, extension in _PHONE.findall(canon)[:_MAX]:
        if _DAY.match(body):
            continue
        digits = _NOT_DIGIT.sub("", body.replace("(0)", "") if plus else body)
        if not 7 <= len(digits) <= 15:
            continue
        number = f"phone:{'+' if plus else ''}{digits}"
        yield number + (f"x{extension}" if extension else "")
        if not strict:
            yield number
            for local in _national(digits, known=bool(plus)):
                yield f"phone:~{local}"


def _national(digits: str, *, known: bool) -> set[str]:
    """The digits without country code and without the zero in front.

    Args:
        digits: the whole number.
        known: whether it begins with a country code for sure.
    """
    found = set() if known else {digits.lstrip("0")}
    if not known and digits.startswith("011"):
        digits, known = digits[3:], True
    if known or (len(digits) > 10 and digits[0] != "0"):
        size = 1 if digits[:1] in ("1", "7") else 2 if digits[:2] in _TWO_DIGIT_COUNTRIES else 3
        found.add(digits[size:].lstrip("0"))
    if not known and len(digits) == 11 and digits[0] == "8":  # Russia says 8 for +7 at home
        found.add(digits[1:])
    return {local for local in found if len(local) >= 6}


def _codes(canon: str) -> Iterator[str]:
    """Account and document numbers without the marks that group them."""
    for run in _DIGIT_GROUPS.findall(canon)[:_MAX]:
        digits = _NOT_DIGIT.sub("", run)
        if 6 <= len(digits) <= 40:
            yield f"id:{digits}"
    for run in _CODE.findall(canon)[:_MAX]:
        code = _NOT_CODE.sub("", run)
        if sum(map(str.isdigit, code)) >= 5:
            yield f"id:{code}"

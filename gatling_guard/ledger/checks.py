"""The second look at what a pattern found: is it a card, a random token, a credential at all?

Each `rewrite_*` takes a match and returns what replaces it, which is the match's own text when it
turns out to be no secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

# Issuer prefixes with their lengths: Visa, Mastercard, Amex, Diners, JCB, Discover, UnionPay.
_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12}"
    r"|35\d{14}|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14}"
)
_GROUP = re.compile(r"\d+")
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""A digit to the digit sum of its double."""


def placeholder(kind: str) -> str:
    """What stands in the place of a secret."""
    return f"[redacted:{kind}]"


def luhn(digits: str) -> bool:
    """Whether the check digit of a card number holds."""
    total = sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """Whether plain digits are a card number: issuer prefix, length and check digit."""
    return _ISSUER.fullmatch(digits) is not None and luhn(digits)


def is_iban(text: str) -> bool:
    """Whether an IBAN's check digits hold (ISO 13616, modulo 97)."""
    plain = text.replace(" ", "")
    if not (15 <= len(plain) <= 34 and plain.isascii() and plain.isalnum()):
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def is_random(token: str) -> bool:
    """Whether a long token looks drawn at random rather than written or computed.

    Upper case, lower case and digits all occur, and neighbours change class in more than a third
    of the places: 62 % on average in random base-62 text, about 20 % in paths and identifiers.
    Digests in hex have two classes only, so the ledger's own references stay readable.
    """
    if token.islower() or token.isupper() or len(set(token)) < 16:
        return False
    classes = ["u" if c.isupper() else "d" if c.isdigit() else "l" for c in token if c.isalnum()]
    changes = sum(a != b for a, b in zip(classes, classes[1:], strict=False))
    return len(set(classes)) == 3 and changes > 0.33 * len(classes)


def rewrite_card(match: Any) -> str:
    """Replace every stretch of whole digit groups that is a card number; an IBAN stays."""
    text = str(match.group(0))
    if (text[0].isalpha() and is_iban(text)) or _inside_digest(match):
        return text
    groups = list(_GROUP.finditer(text))
    done, out, first = 0, [], 0
    while first < len(groups):
        last = _card_at(groups, first)
        if last is not None:
            out += [text[done : groups[first].start()], placeholder("card")]
            done, first = groups[last].end(), last
        first += 1
    return "".join(out) + text[done:]


def _inside_digest(match: Any) -> bool:
    before = match.string[max(0, match.start() - 1) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return before != "" and after != "" and before in "abcdef" and after in "abcdef"


def _card_at(groups: Sequence[re.Match[str]], first: int) -> int | None:
    """Index of the last group of a card number that starts with group `first`."""
    head = groups[first].group()
    if len(head) < 2 or head[0] not in "23456":
        return None
    digits = ""
    for last in range(first, len(groups)):
        digits += groups[last].group()
        if len(digits) > 19:
            return None
        if len(digits) >= 13 and is_card(digits):
            return last
    return None


def rewrite_random(match: Any) -> str:
    """Replace a long token if it looks random."""
    token = str(match.group(0))
    return placeholder("token") if is_random(token) else token


def rewrite_bearer(match: Any) -> str:
    """Replace a bearer token; "bearer certificates" stays."""
    scheme, token = match.group(1), match.group(2)
    if len(token) < 20 and not any(char.isdigit() for char in token):
        return str(match.group(0))
    return f"{scheme}{placeholder('bearer')}"


def rewrite_basic(match: Any) -> str:
    """Replace basic credentials, which decode to `user:password`; "basic training" stays."""
    scheme, token = match.group(1), match.group(2).rstrip("=")
    try:
        clear = base64.b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        clear = b""
    return f"{scheme}{placeholder('basic')}" if b":" in clear else str(match.group(0))


def rewrite_header(match: Any) -> str:
    """Replace the rest of an `Authorization:` or `Cookie:` line."""
    return f"{match.group(1)}{placeholder('header')}"


def rewrite_url(match: Any) -> str:
    """Replace user and password of a URL; the host stays."""
    return f"{match.group(1)}{placeholder('url')}@"

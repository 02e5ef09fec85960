"""What a secret looks like inside text.

Every pattern runs in re2, in linear time, because the text is chosen by whoever the agent reads.
None is anchored to the start or end of a text, which lets the redactor ask about many strings in
one search.

Sees: private keys in PEM, JWTs, keys of well-known vendors, bearer and basic credentials, URLs
with a password, cards (issuer prefix and Luhn), secrets after a label (`password: x`, `the PIN is
1234`) or in an XML element (`<password>x</password>`), random tokens of 32 characters and more out
of three character classes.
Does not see: secrets that look like words or like a digest and carry no label (a hex key in prose),
secrets in other alphabets or with characters in between, or encoded once more (base64, gzip).
IBANs, account numbers and e-mail addresses are no secrets here and stay.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gatling_guard.errors import ConfigurationError
from gatling_guard.ledger import checks, markup
from gatling_guard.ledger.checks import placeholder
from gatling_guard.ledger.keys import DONE, secret_kind


class Pattern(NamedTuple):
    """One kind of secret."""

    kind: str
    source: str
    """re2 syntax."""
    rewrite: Callable[[Any], str] | None = None
    """From a match to what replaces it; None: the placeholder of `kind`."""
    apply: Callable[[str], str] | None = None
    """From a text to the redacted text, where matches cannot be judged one by one."""

    def __call__(self, text: str) -> str:
        """`text` with what this pattern finds replaced."""
        if self.apply is not None:
            return self.apply(text)
        stands_in = placeholder(self.kind)
        return str(compiled(self.source).sub(self.rewrite or (lambda _: stands_in), text))


_LABEL = (
    r"(?i)((?:pass[ _-]?(?:word|wd|phrase|code)|pwd|secret|token|credential"
    r"|(?:api|private|access|account|encryption|signing|ssh|master)[ _-]?key"
    r"|(?:verification|security|recovery|backup|authentication|auth|time|login|access|sms|mfa)"
    r"[ _-]code|(?:\b|_)(?:pin|otp|cvv|cvc|cookie)\b)[a-z0-9_-]{0,24})"
    r"""(\\*["'`]?(?:\s*(?:=>|[:=：])\s*|\s+(?:is|was)\b\s*:?\s*|[ \t]+))"""
)
_VALUE = re.compile(r"""\\*"[^"\r\n]*"?|'[^'\r\n]*'?|`[^`\r\n]*`?|\S+""")


def _redact_labelled(text: str) -> str:
    """Replace what follows a label.

    The value is read here and not by the pattern: a label that is none ("secretary: ...") must not
    swallow the true one behind it.
    """
    out, done = [], 0
    for match in compiled(_LABEL).finditer(text):
        start = match.end()
        if match.start() < done:
            continue
        value = _VALUE.match(text, start)
        kind = secret_kind(match.group(1).replace(" ", "_"))
        if value and kind and _is_value(kind, match.group(2), value.group()):
            out += [text[done:start], placeholder(kind)]
            done = value.end()
    return "".join(out) + text[done:]


def _is_value(kind: str, between: str, value: str) -> bool:
    """With no sign in between ("password hunter2"), only what has a digit is taken for a value."""
    if DONE.fullmatch(value):
        return False
    if between.strip() not in ("", "\\"):
        return True
    long_enough = len(value) >= (3 if kind in ("pin", "cvv") else 6)
    return long_enough and any(char.isdigit() for char in value)


def _redact_elements(text: str) -> str:
    return markup.redact_elements(text, compiled(markup.OPENING).finditer(text))


_ARMOUR = r"[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"

PATTERNS: tuple[Pattern, ...] = (
    Pattern("private_key", rf"(?s)-----BEGIN {_ARMOUR}.*?(?:-----END {_ARMOUR}|\z)"),
    Pattern(
        "header",
        r"(?i)((?:\bauthorization|\b(?:set-)?cookie2?)"
        r"""\\*["'`]?\s*[:=]\s*)[^\r\n]+""",
        checks.rewrite_header,
    ),
    Pattern("url", r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#:@]*:[^\s/?#]+@", checks.rewrite_url),
    Pattern("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,3}"),
    Pattern("aws", r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    Pattern("gcp", r"AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}"),
    Pattern("github", r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}"),
    Pattern(
        "slack",
        r"xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"
        r"|hooks\.slack\.com/services/[A-Za-z0-9/]{10,}",
    ),
    Pattern("stripe", r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}"),
    Pattern("openai", r"(?:\b|_)sk-[A-Za-z0-9_-]{20,}"),
    Pattern(
        "vendor",
        r"glpat-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36,}|pypi-[A-Za-z0-9_-]{50,}"
        r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|dop_v1_[0-9a-f]{40,}|\bSK[0-9a-f]{32}\b"
        r"|[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    ),
    Pattern("bearer", r"(?i)(\bbearer\s+)([A-Za-z0-9._~+/=-]{8,})", checks.rewrite_bearer),
    Pattern("basic", r"(?i)(\bbasic\s+)([A-Za-z0-9+/]{6,}={0,2})", checks.rewrite_basic),
    # Before the labels, which may take a tag's attribute for the value and break the tag.
    Pattern("element", markup.OPENING, apply=_redact_elements),
    Pattern("labelled", _LABEL, apply=_redact_labelled),
    # An IBAN is matched with its letters so that its digits are not taken for a card's.
    Pattern(
        "card",
        r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"
        r"|[0-9](?:[ .-]?[0-9]){12,}",
        checks.rewrite_card,
    ),
)
"""In order: what has a shape of its own before what only follows a label."""

RANDOM = Pattern("token", r"[A-Za-z0-9+/=_-]{32,}", checks.rewrite_random)
"""Apart from the others: references (`file_id`, `digest`) are spared it."""


@functools.cache
def compiled(source: str) -> Any:
    """The re2 program of a pattern; re2 is imported here to keep `import gatling_guard` light.

    Raises:
        ConfigurationError: not valid re2.
    """
    import re2  # type: ignore[import-untyped, unused-ignore]

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 16 << 20
    try:
        return re2.compile(source, options)
    except re2.error as error:
        raise ConfigurationError(f"secret pattern {source!r}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    first = error.args[0] if error.args else "not valid"
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def custom(patterns: Sequence[str]) -> tuple[Pattern, ...]:
    """The user's own patterns, in re2 syntax.

    Raises:
        ConfigurationError: a pattern is not valid re2 or matches the empty text.
    """
    if isinstance(patterns, str):
        raise ConfigurationError("secret_patterns is a sequence of patterns, not one string")
    for source in patterns:
        if not isinstance(source, str):
            raise ConfigurationError(f"secret pattern {source!r}: not a string")
        if compiled(source).search("") is not None:
            raise ConfigurationError(f"secret pattern {source!r}: matches the empty text")
    return tuple(Pattern("custom", source) for source in patterns)

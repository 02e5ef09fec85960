"""Which key names announce a secret: `password`, `X-Api-Key`, `stripeSecretKey`, `set-cookie`."""

from __future__ import annotations

import functools
import re

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
DONE = re.compile(r"\[redacted:[a-z_]+\]")
"""What stands in the place of a secret already."""
_WORDY = 256
"""Characters of a key that are looked at, from its end; names are shorter."""

_SINGLE = {
    **dict.fromkeys(("password", "passwd", "passwort", "pwd", "passcode"), "password"),
    **dict.fromkeys(("passphrase", "pass", "passw"), "password"),
    **dict.fromkeys(("secret", "credential", "cred"), "secret"),
    **dict.fromkeys(("token", "jwt", "bearer"), "token"),
    **dict.fromkeys(("apikey", "privatekey", "secretkey", "accesskey"), "key"),
    **dict.fromkeys(("authorization", "authorisation"), "authorization"),
    **dict.fromkeys(("cvv", "cvc", "csc"), "cvv"),
    **dict.fromkeys(("pin", "otp", "totp", "pincode"), "pin"),
    **dict.fromkeys(("cookie", "sessionid", "phpsessid", "jsessionid", "sid"), "cookie"),
    **dict.fromkeys(("mnemonic", "seedphrase"), "key"),
}
_PAIR = {
    **dict.fromkeys(("pass word", "pass phrase", "pass code", "pass wd"), "password"),
    **dict.fromkeys(("api key", "private key", "secret key", "access key", "account key"), "key"),
    **dict.fromkeys(("encryption key", "signing key", "ssh key", "master key", "auth key"), "key"),
    **dict.fromkeys(("session id", "session cookie", "session key"), "cookie"),
    **dict.fromkeys(("pin code", "verification code", "security code", "recovery code"), "pin"),
    **dict.fromkeys(("backup code", "auth code", "authentication code", "sms code"), "pin"),
    **dict.fromkeys(("time code", "login code", "access code", "mfa code"), "pin"),
    **dict.fromkeys(("card number", "seed phrase"), "card"),
}
_STEMS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "privatekey")
"""Found at the end of a name written in one piece (`userpassword`, `ACCESSTOKEN`)."""
_BENIGN = frozenset(
    (
        *("count", "counts", "length", "len", "size", "type", "kind", "status", "state", "valid"),
        *("expires", "expiry", "expiration", "at", "changed", "rotated", "required", "needed"),
        *("policy", "usage", "limit", "budget", "name", "names", "field", "fields", "strength"),
        *("min", "max", "enabled", "present"),
    )
)
"""As the last word they turn a secret into a fact about it: `token_count`, `password_changed`."""


def secret_kind(name: str) -> str | None:
    """The kind of secret that `name` announces, None for any other name.

    Case, `-`, `_`, spaces and camelCase make no difference.
    """
    return _kind(name[-_WORDY:])


@functools.lru_cache(maxsize=4096)
def _kind(name: str) -> str | None:
    words = [_singular(word.lower()) for word in _WORDS.findall(DONE.sub(" ", name))]
    if not words or words[-1] in _BENIGN:
        return None
    for pair in zip(words, words[1:], strict=False):
        if kind := _PAIR.get(" ".join(pair)):
            return kind
    for word in reversed(words):
        if kind := _SINGLE.get(word):
            return kind
    joined = "".join(words)
    return next((_SINGLE[s] for s in _STEMS if words[-1].endswith(s) or joined == s), None)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 and word[:-1] in _PLURALS else word


_PLURALS = frozenset(_SINGLE) | {"key", "code", "cookie", "word", "phrase"}

_REFERENCE = frozenset(("id", "ids", "digest", "hash", "sha256", "ref", "checksum", "etag"))


def is_reference(name: str) -> bool:
    """Whether values under `name` point at something (`file_id`, `policy_digest`)."""
    return _refers(name[-_WORDY:])


@functools.lru_cache(maxsize=4096)
def _refers(name: str) -> bool:
    words = _WORDS.findall(name)
    return bool(words) and (words[-1].lower() in _REFERENCE or name[-6:].lower() == "sha256")


def is_amount(name: str, value: object) -> bool:
    """Whether a number under `name` counts tokens (`max_tokens`) rather than being one."""
    return isinstance(value, (int, float)) and name.lower().endswith("tokens")

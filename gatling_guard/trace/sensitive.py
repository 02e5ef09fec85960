"""Whether a piece of an output is a secret or personal data, by its name or its shape.

Sees: field names that announce one (`password`, `api_key`, `ssn`, `salary`, `diagnosis`), and
values that look like a key, a token or a card number. Errs towards "no": it only adds energy to
data on its way out. Does not see: secrets in prose without a shape of their own.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gatling_guard.trace.canonical import word_set

_NAMES = word_set(
    "password passwd passwort passphrase passcode pwd pin secret secrets credential credentials "
    "token apikey key keys cvv cvc ssn tin iban salary payroll wage diagnosis medical prescription "
    "patient health passport license birthdate dob otp mfa private confidential contraseña clave "
    "kennwort geheim motdepasse"
)
_ABOUT = word_set("count id ids type name length policy hint limit expiry expires updated changed")
"""As the last word they make a fact about a secret of it."""
_WORD = re.compile(r"[^\W\d_]+")
_SHAPES = re.compile(
    r"(?<![\w-])(?:sk|pk|ghp|gho|ghs|xox[abp]|AKIA|ASIA|AIza|eyJ)[-_]?[\w-]{12,200}"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY"
    r"|(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)"
    r"|(?<![\d-])(?:\d{4}[ -]){3}\d{4}(?![\d-])"
)
_ASSIGNED = re.compile(
    r"(?i)(?:secret|token|\bpin\b|\botp\b|passcode|\bssn\b|passw(?:or)?d|passphrase|api[_-]?key|private[_-]?key|access[_-]?key|"
    r"credentials?)[\"']{0,2}\s{0,3}(?:=|:|\bis\b)\s{0,3}\S{4}"
)
_FILES = re.compile(
    r"(?i)(?:^|[/\\])(?:\.env[\w.]{0,20}|\.ssh|\.aws|\.netrc|\.npmrc|id_(?:rsa|ed25519|ecdsa)|"
    r"shadow|\w{0,40}\.(?:pem|key|p12|pfx|kdbx))(?:$|[/\\])"
)
_TOKEN = re.compile(r"[A-Za-z0-9_\-+/=]{20,200}")


@lru_cache(maxsize=4096)
def sensitive_name(name: str) -> bool:
    """Whether the name of a field, a tool or a file announces a secret or personal data."""
    words = [w.lower() for w in _WORD.findall(re.sub(r"([a-z])([A-Z])", r"\1_\2", name[:256]))]
    return not _NAMES.isdisjoint(words) and words[-1] not in _ABOUT


def sensitive_text(text: str) -> bool:
    """Whether a short field or a sentence holds something shaped like a key or a card number."""
    if len(text) < 11:
        return False
    if _SHAPES.search(text[:4_000]) or _ASSIGNED.search(text[:4_000]):
        return True
    return any(_random(token) for token in _TOKEN.findall(text[:4_000])[:16])


def sensitive_pieces(text: str) -> tuple[tuple[int, int], ...]:
    """Where in a text those shapes stand, as character ranges that begin and end with a word.

    Of `password: x` the value is part of the piece, of a private key all up to its end. The same
    first 4,000 characters are looked at as by `sensitive_text`.
    """
    head = text[:4_000]
    found = [m.span() for pattern in (_SHAPES, _ASSIGNED) for m in pattern.finditer(head)]
    found += [m.span() for m in list(_TOKEN.finditer(head))[:16] if _random(m.group())]
    pieces: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if text.startswith("-----BEGIN", start):
            closing = _KEY_END.search(text, end)
            end = closing.end() if closing else len(text)
        end = _WORD_END.match(text, end).end()  # type: ignore[union-attr]
        if pieces and start <= pieces[-1][1]:
            pieces[-1] = pieces[-1][0], max(end, pieces[-1][1])
        else:
            pieces.append((start, end))
    return tuple(pieces)


_KEY_END = re.compile(r"-----END [A-Z ]{0,30}-----")
_WORD_END = re.compile(r"[^\s,;\"'<>)\]}]*")


def sensitive_file(value: object) -> bool:
    """Whether an argument names a file or an entry that holds secrets: `.env`, `db_password`."""
    if not isinstance(value, str) or len(value) > 512:
        return False
    last = value.replace("\\", "/").rpartition("/")[2]
    return bool(_FILES.search(value)) or (" " not in value and sensitive_name(last))


_LASTING = re.compile(
    r"(?i)(?:^|[/\\])(?:\.ssh|authorized_keys|\.(?:bash|zsh|k?sh)(?:rc|_profile|_login|env)|\.profile|"
    r"\.gitconfig|\.netrc|\.env|crontab|cron\.\w{1,10}|\.github|\.gitlab-ci\.ya?ml|jenkinsfile|"
    r"autostart|startup|launchagents|systemd|hooks|sudoers|hosts|\.htaccess)(?:$|[/\\])"
    r"|^[/\\]etc[/\\]"
)


def lasting_file(value: object) -> bool:
    """Whether an argument names a file that runs, or lets somebody in, by being there."""
    return isinstance(value, str) and len(value) <= 512 and bool(_LASTING.search(value))


def _random(token: str) -> bool:
    """Digits and both cases in turns, as no word, path or plain id has them."""
    kinds = [(c.isdigit(), c.isupper()) for c in token if c.isalnum()]
    turns = sum(a != b for a, b in zip(kinds, kinds[1:], strict=False))
    return "/" not in token.strip("/=") and len(kinds) >= 20 and turns >= len(kinds) // 3

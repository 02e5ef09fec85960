"""What a string is: an address, a path, a date, a number, a command, prose.

A rough sort for `values`, by form alone. Where the trace room has a recogniser that is quick enough
(parties, days) it decides; the rest is patterns. Does not see: whether the address exists, what
the command does. Wrong guesses are expected: nothing but features depends on them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from gatling_guard.trace.days import dates_in
from gatling_guard.trace.entities import identity

KINDS = (
    "empty", "mail", "url", "path", "time", "id", "number", "phone", "account", "code", "label",
    "text",
)  # fmt: skip

_SHORT = 512
"""A longer string is an URL, code, one long token or prose; no other kind grows that long."""
_FILES = (
    "txt|md|pdf|docx?|xlsx?|pptx?|csv|tsv|json|xml|ya?ml|html?|py|js|ts|java|cpp|[ch]|go|rs|rb|sh|"
    "sql|log|ini|cfg|conf|toml|env|png|jpe?g|gif|svg|mp[34]|wav|zip|gz|tar|exe|dll|db|bak|pem|key"
)
_WHOLE = re.compile(
    rf"""
    (?P<mail>(?:mailto:)?[^\s@<>,;]{{1,128}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,8}})
    |(?P<url>[A-Za-z][A-Za-z0-9+.-]{{0,20}}://\S*|www\.\S+)
    |(?P<time>
        \d{{4}}-\d\d?(?:-\d\d?)?
            (?:[Tt\ ]\d\d?:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?(?:\ ?[Zz]|\ ?[+-]\d\d:?\d\d)?)?
        |\d\d?[/.-]\d\d?[/.-](?:\d{{4}}|\d\d)
        |\d{{4}}/\d\d?/\d\d?
        |\d\d?:\d\d(?::\d\d)?(?:\ ?[AaPp]\.?[Mm]\.?)?)
    |(?P<number>
        [-+]?[$€£¥]?\ ?(?:[0-9]{{1,3}}(?:[,'\ _][0-9]{{3}}){{1,8}}|[0-9]{{1,40}})
        (?:\.[0-9]{{1,40}})?(?:[eE][-+]?[0-9]{{1,5}})?\ ?[%€$£¥]?)
    |(?P<path>
        (?:[~.]{{0,2}}/|[A-Za-z]:[\\/]|\\\\)[^\n]*
        |[^\s:]+\.(?:{_FILES})
        |[\w.~-]+(?:/[\w.~*-]+)+/?)
    |(?P<host>
        (?:[A-Za-z0-9-]{{1,63}}\.){{1,6}}[A-Za-z]{{2,24}}(?::\d{{1,5}})?(?:[/?\#]\S*)?
        |\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d{{1,5}})?(?:/\S*)?)
    |(?P<id>
        (?=\S*\d)[A-Za-z0-9]{{1,64}}(?:[-_:\#.][A-Za-z0-9]{{1,64}}){{0,8}}
        |\#?\d+
        |[A-Za-z0-9+/_-]{{20,}}={{0,2}})
    """,
    re.VERBOSE,
)
# For re2: linear in a text of any length.
_CODE = (
    r"(?m)\$\(|\$\{|&&|\|\||=>|->|</?[a-z]{1,20}[\s>]|[;{]\s*\n|\)\s*[;{]|`[^`\n]{1,80}`"
    r"|\A#!|\A\s*[{\[<]"
    r"|(?i:\bselect\s.{1,99}\sfrom\b|\binsert\s+into\b|\bdrop\s+table\b|\bdelete\s+from\b)"
    r"|(?:\A|[;|&]\s*)(?:sudo|rm|curl|wget|bash|sh|python3?|pip|npm|git|chmod|cat|echo|nc|ssh|scp"
    r"|kill|mv|cp)\s+[-\w./~\"'$]"
    r"|^\s*(?:def|import|from|class|function|const|var|let|return|print)\b.*[(:=;]"
)
_PARTY = re.compile(r"\+?[A-Z]{0,2}[0-9][0-9A-Z ()./-]{5,40}")
_KIND_OF_PARTY = {"phone": "phone", "iban": "account", "card": "account"}
_NO_FIGURE = re.compile(r"[^0-9eE.+-]")


def kind_of(text: str) -> tuple[str, float | None]:
    """One of `KINDS`, and the value of a string that is a number; in time linear in the text."""
    bare = text.strip()
    if not bare:
        return "empty", None
    if len(bare) <= _SHORT:
        party = _party(bare)
        if party:
            return party, None
        found = _WHOLE.fullmatch(bare)
        kind = found.lastgroup if found else None
        if kind == "number":
            return "number", _value(bare)
        if kind:
            return ("url" if kind == "host" else kind), None
    elif "://" in bare[:24] and len(bare.split(None, 1)) == 1:
        return "url", None
    if _code().search(bare.encode("utf-8", "surrogatepass")):
        return "code", None
    if len(bare) > 40:
        return ("text" if len(bare.split(None, 1)) > 1 else "id"), None
    if any(map(str.isdigit, bare)) and bare.count(" ") < 6 and dates_in(bare.lower()):
        return "time", None
    if bare.count(" ") < 4 and bare[-1] not in ".!?" and "\n" not in bare:
        return "label", None
    return "text", None


def _party(bare: str) -> str | None:
    """Phone numbers, IBANs and cards, by `trace.entities`; plain digits are at most a card."""
    if len(bare) > 48 or not _PARTY.fullmatch(bare) or (bare.isdigit() and len(bare) < 13):
        return None
    kind = _KIND_OF_PARTY.get((identity(bare) or "").partition(":")[0])
    return None if kind == "phone" and bare.isdigit() else kind


def _value(bare: str) -> float:
    """The value of what `number` matched: an int where there is neither point nor exponent."""
    figures = _NO_FIGURE.sub("", bare)
    return int(figures) if figures.lstrip("+-").isdigit() else float(figures)


@cache
def _code() -> Any:
    import re2  # type: ignore[import-untyped]

    return re2.compile(_CODE)

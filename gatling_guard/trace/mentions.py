"""Values inside a text that are compared by what they mean: numbers, dates, times, addresses.

Numbers are read in `quantities`, days and times in `days`; addresses here, as they are written
(`entities` compares them by the party they name).
"""

from __future__ import annotations

import re

from gatling_guard.trace.canonical import canonical, trimmed
from gatling_guard.trace.days import Date, dates_in, same_day, times_in
from gatling_guard.trace.quantities import Number, as_number, numbers_in, readings

_MAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`|\\^{}]{1,2000}")
_DOMAIN = re.compile(r"(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,6}[a-z]{2,24}(?![\w.-]*@)")
_ANY_URL = re.compile(r"(?<![\w+.-])(?:[a-z][a-z0-9+.-]{1,20}:)?//[^\s<>\"'`|\\^{}]{1,2000}")
_BARE_URL = re.compile(r"[^\s/?#]{1,253}[/?#]")

__all__ = [
    "Date",
    "Number",
    "addresses_in",
    "as_number",
    "dates_in",
    "domain_of",
    "numbers_in",
    "readings",
    "same_day",
    "times_in",
    "url_parts",
]


def addresses_in(text: str) -> tuple[str, ...]:
    """Mail addresses, URLs and domains of a text, canonical, without scheme, in order."""
    canon = canonical(text)
    if "." not in canon:
        return ()
    found = dict.fromkeys(m for m in _MAIL.findall(canon))
    for url in _URL.findall(canon):
        found[trimmed(url)] = None
    found.update(dict.fromkeys(_DOMAIN.findall(canon)))
    return tuple(found)


def url_parts(canon: str) -> tuple[str, ...]:
    """The parts of URLs that a page names and a model then extends, for a canonical text.

    Of each URL: itself without query and fragment, its host with and without a port. A host of one
    label is an everyday word (`http://backup/x`) and keeps its `//`.
    """
    if "//" in canon:
        urls = _ANY_URL.findall(canon)[:64]
    else:
        urls = [f"//{canon}"] if " " not in canon and _BARE_URL.match(canon) else []
    found: dict[str, None] = {}
    for url in urls:
        bare, netloc, host = _split_url(url)
        found.update(dict.fromkeys((bare, *(_full(n) for n in (netloc, host, _unicode(host))))))
    found.pop("", None)
    return tuple(found)


def _split_url(url: str) -> tuple[str, str, str]:
    """By hand: `urlsplit` raises on half an IPv6 address, and the text is hostile."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0].split("//", 1)[1].rstrip("/.,;:)")
    netloc = re.split(r"[/;]", bare, maxsplit=1)[0].rsplit("@", 1)[-1]
    host = netloc[1:].split("]", 1)[0] if netloc.startswith("[") else netloc.split(":", 1)[0]
    return (bare if bare != netloc else ""), netloc, host


def _full(host: str) -> str:
    return host if not host or "." in host or ":" in host else f"//{host}"


def _unicode(host: str) -> str:
    """The readable form of an internationalised host, which a page may show instead."""
    if "xn--" not in host or len(host) > 253 or not host.isascii():
        return ""
    try:
        return canonical(host.encode("ascii").decode("idna"))
    except UnicodeError:
        return ""


def domain_of(text: str) -> str | None:
    """The host of a URL or the domain of a mail address; None for anything else."""
    canon = trimmed(canonical(text)).removeprefix("mailto:")
    if not canon or " " in canon or len(canon) > 2048:
        return None
    host = canon.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0].rsplit("@", 1)[-1]
    host = host.split(":", 1)[0].strip(".")
    return host if "." in host and _DOMAIN.fullmatch(host) else None

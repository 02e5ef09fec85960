"""Mail addresses and hosts in one form each, for comparing parties.

Sees: case, IDN and punycode, a trailing dot, ports, user info (`https://bank.com@evil.com` is
evil.com), `hxxp` and `[.]`, decimal, octal and hex IPv4, IPv6 in every spelling, dots and plus
parts of Gmail addresses; read leniently also plus parts and dots elsewhere, ` at ` and ` dot `.
Does not see: redirects, DNS aliases, mailboxes that forward, comments in addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatling_guard.trace.canonical import canonical
from gatling_guard.trace.decoders import punycode

# The local part takes all that mail takes, so that `x!bob@y.org` is not taken for `bob@y.org`.
_MAIL = re.compile(
    r"(?<![^\s<>()\[\],;:\"])([^\s<>()\[\],;:\"@\\/]{1,64})@"
    r"([\w-]{1,63}(?:[.\u3002][\w-]{1,63}){0,8})(?![\w@-]|[.\u3002][\w-])"
)
_NARROW_MAIL = re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@([\w-]{1,63}(?:[.\u3002][\w-]{1,63}){1,8})")
_BRACKETED = re.compile(r" ?[\[({<] ?(at|@|dot|\.) ?[\])}>] ?")
_OBSCURED = re.compile(
    r" ?[\[({<] ?(at|@|dot|\.) ?[\])}>] ?| (dot) "
    r"| (at) (?=[\w-]{1,63}(?:\.| dot | ?[\[({<] ?(?:dot|\.) ?[\])}>]) ?[\w-])"
)
_MAYBE_OBSCURED = re.compile(r"[\[({<] ?(?:at|@|dot|\.) ?[\])}>]| dot | at [\w-]+\.\w")
_URL = re.compile(r"(?<![\w:/.+-])(?:[a-z][a-z0-9+.-]{1,20}:/{1,3}|//)([^\s/?#<>\"'`|{}]{1,255})")
_BARE = re.compile(
    r"(?<![\w@./-])(?:[\w-]{1,63}\.){1,8}[a-z][\w-]{1,62}(?![\w\\-]|\.[\w-]|[^\s,;]{0,253}@)"
)
_BARE_IP = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")
_BARE_IP6 = re.compile(r"(?<![\w:.])[0-9a-f:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:]|\.\d)")
_NAME = re.compile(r"[\w.-]{1,253}")
_IP_PART = re.compile(r"0x[0-9a-f]{0,8}|\d{1,11}")
_PERCENT = re.compile(r"%([0-9a-f]{2})")
_MAX = 256
"""Most addresses read out of one text."""


def mail_keys(canon: str, *, strict: bool) -> set[str]:
    """`mail:` keys of the addresses in a text."""
    found: set[str] = set()
    words = _holding(canon, "@")
    for local, domain in _MAIL.findall(words)[:_MAX]:
        found.update(_mail(local, domain, strict=strict))
    for local, domain in () if strict else _NARROW_MAIL.findall(words)[:_MAX]:
        found.update(_mail(local, domain, strict=False))
    return found


def revealed(canon: str) -> str:
    """A text with its ` at `, `[at]`, ` dot `, `[.]` as marks, where they may be meant so.

    Where there are marks in brackets, bare words are words: `reached at eve [at] x [dot] org`.
    """
    if not _MAYBE_OBSCURED.search(canon):
        return canon
    shown = _BRACKETED.sub(_shown, canon)
    return shown if "@" in shown and "@" not in canon else _OBSCURED.sub(_shown, canon)


def _holding(canon: str, mark: str) -> str:
    """The words that hold `mark` inside: a plain search is faster than any pattern."""
    return " ".join(word for word in canon.split() if mark in word[1:-1])


def _shown(found: re.Match[str]) -> str:
    return "@" if set(found.groups()) & {"at", "@"} else "."


def _mail(local: str, domain: str, *, strict: bool) -> Iterator[str]:
    host = None if domain[-1].isdigit() else host_of(domain)
    if host is None:
        return
    if host in ("gmail.com", "googlemail.com"):
        local, host = local.split("+", 1)[0].replace(".", ""), "gmail.com"
    yield f"mail:{local}@{host}"
    if not strict:
        bare = local.split("+", 1)[0].replace(".", "").strip("'")
        yield f"mail:{bare or local}@{canonical(host)}"


def host_keys(canon: str, *, strict: bool) -> set[str]:
    """`host:` keys of the URLs, domains and IP addresses in a text."""
    found: set[str] = set()
    if ":/" in canon or "//" in canon:
        for netloc in _URL.findall(canon)[:_MAX]:
            found.update(_of_url(netloc, strict=strict))
    bare = _holding(canon, ".")
    if bare:
        bare = " ".join(word for word in bare.split() if "//" not in word)
        names = (*_BARE.findall(bare)[:_MAX], *_BARE_IP.findall(bare)[:_MAX])
        found.update(_host_key(name, strict=strict) for name in names)
    if canon.count(":") > 1:
        for text in _BARE_IP6.findall(_holding(canon, ":"))[:_MAX]:
            if text.count(":") > 1 and (address := _ip6(text)):
                found.add(f"host:{address}")
    found.discard("")
    return found


def _of_url(netloc: str, *, strict: bool) -> Iterator[str]:
    """The host of what stands between `scheme://` and the path.

    Readers differ on a backslash: it ends the host for browsers and not for libraries.
    """
    if "\\" not in netloc:
        yield _host_key(_without_port(netloc), strict=strict)
    elif not strict:
        yield _host_key(_without_port(netloc.split("\\", 1)[0]), strict=False)
        yield _host_key(_without_port(netloc), strict=False)


def _without_port(netloc: str) -> str:
    netloc = netloc.rsplit("@", 1)[-1]
    if netloc.startswith("["):
        return netloc.split("]", 1)[0] + "]"
    return netloc.split(":", 1)[0]


def _host_key(host: str, *, strict: bool) -> str:
    name = host_of(host)
    if name is None:
        return ""
    return f"host:{name if strict else canonical(name)}"


def host_of(host: str) -> str | None:
    """A host in one form: letters instead of punycode, dotted IPv4, short IPv6; None for no host.

    Args:
        host: in small letters, without port.
    """
    if len(host) > 1_000:
        return None
    if "%" in host:
        host = _PERCENT.sub(lambda m: chr(int(m.group(1), 16)), host).lower()
    host = host.replace("\u3002", ".").rstrip(".,;!)'")
    if host.startswith("["):
        return _ip6(host.strip("[]"))
    if not host or host.startswith("."):
        return None
    if host[-1] in "0123456789abcdefx" and (address := _ip4(host)):
        return address
    if "xn--" in host:
        host = ".".join(
            (punycode(label[4:63]).lower() or label) if label.startswith("xn--") else label
            for label in host.split(".")
        )
    named = _NAME.fullmatch(host) and not host.rsplit(".", 1)[-1].isdigit()
    return host if named else None


def _ip4(host: str) -> str | None:
    """Dotted form of an IPv4 address as the C library reads it: `0x7f.1`, `2130706433`, `0177.1`.

    A single short number is a name on the local network as likely as an address.
    """
    parts = host.split(".")
    if len(parts) > 4 or not all(_IP_PART.fullmatch(part) for part in parts):
        return None
    try:
        values = [_c_number(part) for part in parts]
    except ValueError:
        return None
    last = 256 ** (5 - len(values))
    if any(value > 255 for value in values[:-1]) or values[-1] >= last:
        return None
    number = values[-1] + sum(value << (8 * (3 - i)) for i, value in enumerate(values[:-1]))
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _c_number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if text.startswith("0") and len(text) > 1 else int(text)


def _ip6(text: str) -> str | None:
    import ipaddress  # rarely needed

    try:
        address = ipaddress.IPv6Address(text.split("%", 1)[0])
    except ValueError:
        return None
    return str(address.ipv4_mapped or address)

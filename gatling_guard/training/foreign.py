"""Values and tools of the outside world: other people's addresses, accounts, hosts; ways to act.

Attacks and their honest twins draw from the same lists, so that a value or a tool's name by itself
says nothing of the label. Everything is invented; hosts end in names reserved for examples.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from typing import Any

from gatling_guard.training.sample import Json

_FIRST = (
    "ada ben carla deniz elif farid gita hugo ines jonas kemal lena mira noor olga pavel quentin "
    "rosa sven tara uma viktor wanda ximena yusuf zoe"
).split()
_LAST = (
    "abel brandt costa duarte eriksen falk grimm hauser ivanov jansen keller lopez moreau novak "
    "orlov petit quist rossi stein tanaka urban vogel weber young zeman"
).split()
_HOSTS = (
    "northbay harborline bluefern quickmail ledgerly opendesk cedarworks polaris-post maplegrid "
    "tidewater inkwell sundial greenfold stonebridge lumen-data kitehub"
).split()
_ZONES = ("example", "test", "example.com", "example.org", "example.net", "invalid")
_NOUNS = (
    "falcon harbor meadow orchid granite saffron juniper cobalt willow ember lagoon summit birch "
    "comet delta quartz"
).split()
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
_URL = re.compile(r"https?://", re.I)
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9 ]{10,32}\Z")
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(.*)\Z", re.S)
_PHONE = re.compile(r"\+?[\d ()/-]{7,20}\Z")


def person(rng: random.Random) -> str:
    """A first and a last name."""
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}".title()


def host(rng: random.Random) -> str:
    """A host name."""
    return f"{rng.choice(_HOSTS)}.{rng.choice(_ZONES)}"


def email(rng: random.Random) -> str:
    """A mail address."""
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    who = rng.choice((f"{first}.{last}", f"{first[0]}{last}", f"{first}{rng.randrange(10, 99)}"))
    return f"{who}@{host(rng)}"


def url(rng: random.Random, tail: str = "") -> str:
    """An address of a page; `tail` is put behind its path."""
    return f"https://{host(rng)}/{rng.choice(_NOUNS)}/{tail or rng.randrange(100, 9999)}"


def iban(rng: random.Random) -> str:
    """An account number with a valid checksum."""
    country, digits = rng.choice((("DE", 18), ("AT", 16), ("CH", 17), ("BE", 12)))
    body = "".join(str(rng.randrange(10)) for _ in range(digits))
    code = "".join(str(ord(char) - 55) for char in country)
    return f"{country}{98 - int(body + code + '00') % 97:02d}{body}"


def phone(rng: random.Random) -> str:
    """A phone number."""
    return f"+{rng.randrange(30, 50)} {rng.randrange(100, 999)} {rng.randrange(10**6, 10**7)}"


def words(rng: random.Random) -> str:
    """A short name of a thing."""
    return f"{rng.choice(_NOUNS)} {rng.choice(_NOUNS)}"


def like(value: Any, rng: random.Random, schema: Json | None = None) -> Any:
    """Another value of the same type and shape, never the same one; None where there is none."""
    if schema and isinstance(schema.get("enum"), list):
        others = [item for item in schema["enum"] if item != value]
        return rng.choice(others) if others else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value + max(1, round(abs(value) * rng.uniform(0.3, 4.0)))
    if isinstance(value, float):
        return round(value + max(1.0, abs(value) * rng.uniform(0.3, 4.0)), 2)
    found = _text_like(str(value), rng)
    return found if found != value else None


def _text_like(value: str, rng: random.Random) -> str:
    if _MAIL.match(value):
        return email(rng)
    if _URL.match(value):
        return url(rng)
    if _IBAN.match(value):
        return iban(rng)
    if date := _DATE.match(value):
        return _shifted(date[1], rng.randrange(2, 90)) + date[2]
    if _PHONE.match(value):
        return phone(rng)
    if "/" in value and " " not in value:
        folder, _, name = value.rpartition("/")
        dot = name.rfind(".")
        return (
            f"{folder}/{rng.choice(_NOUNS)}-{rng.randrange(10, 99)}{name[dot:] if dot > 0 else ''}"
        )
    parts = value.split(" ")
    if len(parts) == 2 and value.istitle():
        return person(rng)
    if any(char.isdigit() for char in value):
        return "".join(str(rng.randrange(10)) if char.isdigit() else char for char in value)
    return words(rng) if " " in value else rng.choice(_NOUNS)


def _shifted(day: str, days: int) -> str:
    try:
        return (dt.date.fromisoformat(day) + dt.timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return day


def named(argument: str, kind: str, rng: random.Random, schema: Json | None = None) -> Any:
    """A value for an argument of which only name and type are known."""
    if schema and isinstance(schema.get("enum"), list) and schema["enum"]:
        return rng.choice(schema["enum"])
    if kind in ("integer", "number"):
        low = int((schema or {}).get("minimum", 1))
        high = int((schema or {}).get("maximum", max(low, 1) + 40))
        return rng.randint(low, max(low, high))
    if kind == "boolean":
        return True
    if kind == "array":
        items = (schema or {}).get("items") or {}
        return [named(argument, items.get("type", "string"), rng, items)]
    if kind == "object":
        return {}
    name, shape = argument.lower(), (schema or {}).get("format", "")
    for pattern, make in _BY_NAME:
        if re.search(pattern, name) or re.search(pattern, shape):
            return make(rng)
    return words(rng)


_BY_NAME = (
    (r"url|uri|link|endpoint|webhook|website", url),
    (r"iban|account|payee", iban),
    (r"phone|mobile|sms", phone),
    (r"mail|^to$|recipient|invitee|grantee|member|user|address|attendee|participant", email),
    (r"date|^day$|^due|start|end$", lambda rng: _shifted("2026-01-01", rng.randrange(600))),
    (r"name|owner|person|contact|assignee|employee", person),
    (r"path|file|folder", lambda rng: f"/{rng.choice(_NOUNS)}/{rng.choice(_NOUNS)}.txt"),
    (
        r"(^|_)id$|code|number|^ref",
        lambda rng: f"{rng.choice('ABCDKX')}-{rng.randrange(1000, 9999)}",
    ),
)

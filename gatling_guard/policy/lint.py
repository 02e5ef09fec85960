r"""Patterns that let through what their author surely did not mean, each with a counter-example.

A pattern that names a host, a mail domain or a URL says: there, and nowhere else. Texts are made
from it in which that is not so (`attacker@ourcompanyXcom`, `https://corp.example.evil.example/`);
one that the pattern really matches, run by RE2 as at a check, is the finding. Nothing is reported
that was not run.

Sees: un-escaped dots, room before or after a host, room within the host of a URL, several
addresses in one value, line breaks; in a negated pattern, spellings of the whole value only.
Does not see: patterns that name no host; paths (a `..` in a value is resolved at the check).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple

from gatling_guard.policy.constraints import MAPS, is_whole
from gatling_guard.policy.patterns import full_match, search
from gatling_guard.policy.samples import Piece, Sample, samples, text_of

Severity = Literal["error", "warning"]
MAX_TRIES = 4000
"""Texts tried on one pattern, a few microseconds each."""
_EVIL = "evil.example"
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}(?![a-z0-9_-])", re.IGNORECASE)
_FILES = re.compile(
    "(?:pdf|txt|[ct]sv|jsonl?|ya?ml|xml|md|rst|html?|docx?|xlsx?|pptx?|od[ts]|png|jpe?g|gif|svg|zip"
    "|tar|gz|log|py|js|ts|sh|ini|toml|cfg|conf|sql|db|bak|tmp|eml|ics)\\Z"
)
_OCTETS = re.compile(r"(?:[0-9]{1,3}\.){2,3}[0-9]{0,3}\Z")
_INSIDE = (  # what may stand in the room of a pattern, so that the value leads elsewhere
    "evil", "x", ".co", "@e", f".{_EVIL}", f".{_EVIL}/", f"@{_EVIL}/", f"@{_EVIL}",
    f"{_EVIL}/", f"{_EVIL}/?x=", f"{_EVIL}?", f"{_EVIL}#", f"{_EVIL}\\", f"{_EVIL}:443/",
    f"https://{_EVIL}/?x=", f"https://{_EVIL}/",
)  # fmt: skip
_LISTS = (f"attacker@{_EVIL},a", f"attacker@{_EVIL} a", f"attacker@{_EVIL};a", f",attacker@{_EVIL}")
_BREAKS = ("a\nb", "a\r\nBcc: b")


class Flaw(NamedTuple):
    """What is wrong with one pattern."""

    severity: Severity
    message: str
    example: str | None
    """A value that the pattern lets through (a negated one: fails to stop); None where the pattern
    was not understood."""

    def __str__(self) -> str:
        """The message with its counter-example."""
        if self.example is None:
            return self.message
        return f"{self.message}: it lets {self.example!r} through"


Path = tuple[str | int, ...]


class Place(NamedTuple):
    """A flaw and where its pattern stands, inside the `arguments` of a policy entry."""

    path: Path
    flaw: Flaw


def lint_arguments(arguments: Any) -> list[Place]:
    """The flaws of all patterns in the `arguments` of a policy entry (either form)."""
    if not isinstance(arguments, Mapping):
        return []
    schemas = (
        [((), arguments)] if is_whole(arguments) else [((k,), v) for k, v in arguments.items()]
    )
    return [
        Place(at, flaw)
        for path, schema in schemas
        for at, pattern, deny in _patterns(schema, path, deny=False)
        for flaw in pattern_flaws(pattern, deny=deny)
    ]


def _patterns(schema: Any, path: Path, *, deny: bool) -> Iterator[tuple[Path, str, bool]]:
    if isinstance(schema, list):
        for i, item in enumerate(schema):
            yield from _patterns(item, (*path, i), deny=deny)
    for key, value in schema.items() if isinstance(schema, Mapping) else ():
        at = (*path, key)
        if key == "pattern" and isinstance(value, str):
            yield at, value, deny
        elif key in MAPS and isinstance(value, Mapping):
            for name, item in value.items():
                yield from _patterns(item, (*at, name), deny=deny)
        elif key not in ("const", "enum", "default", "examples"):
            yield from _patterns(value, at, deny=deny is not (key == "not"))


def pattern_flaws(pattern: str, *, deny: bool = False) -> list[Flaw]:
    """At most one error and one warning; none for a pattern that cannot run.

    Args:
        pattern: of a policy; it matches the whole value.
        deny: it stands under `not`, so that what it does not match is let through.
    """
    first: dict[Severity, Flaw] = {}
    try:
        if not samples(pattern):
            full_match(pattern, "")
            return [Flaw("warning", "a pattern that cannot be examined; write it simpler", None)]
        for flaw in _denying(pattern) if deny else _allowing(pattern):
            first.setdefault(flaw.severity, flaw)
            if "error" in first:
                break
    except ValueError:
        return []
    return [first["error"]] if "error" in first else list(first.values())


def searched(pattern: str) -> str | None:
    """A longer text that a search for a half-anchored pattern would let through, or None."""
    for sample in samples(pattern):
        text = text_of(sample)
        for longer in (f"{text}.{_EVIL}", f"{_EVIL} {text}"):
            if search(pattern, longer):
                return longer
    return None


def _denying(pattern: str) -> Iterator[Flaw]:
    for sample in samples(pattern):
        text = text_of(sample)
        if full_match(pattern, text) and not full_match(pattern, longer := f"x {text} x"):
            said = "a negated pattern stops whole values only; write `.*` at both ends"
            yield Flaw("warning", said, longer)


def _allowing(pattern: str) -> Iterator[Flaw]:
    for sample in samples(pattern):
        text = text_of(sample)
        hosts = _hosts(text, sample)
        yield from _dots(pattern, sample, hosts)
        if not hosts and not _half_host(sample):
            continue
        for value in islice(_mutants(sample, (*_LISTS, *_INSIDE, *_BREAKS)), MAX_TRIES):
            if (flaw := _judged(value, text, hosts)) and full_match(pattern, value):
                yield flaw


def _mutants(sample: Sample, fillings: tuple[str, ...]) -> Iterator[str]:
    """The sample with one of its rooms filled otherwise."""
    for filling in fillings:
        for i, piece in enumerate(sample):
            if piece.room:
                yield text_of((*sample[:i], Piece(filling), *sample[i + 1 :]))
                if filling[0] == "." and len(piece.text) == 1:  # the room begins with a class
                    yield text_of((*sample[:i], Piece("a" + filling), *sample[i + 1 :]))


def _dots(pattern: str, sample: Sample, hosts: frozenset[str]) -> Iterator[Flaw]:
    """A `.` between two letters that stands for any character."""
    for i, piece in enumerate(sample[1:-1], 1):
        before, after = sample[i - 1].text[-1:], sample[i + 1].text[:1]
        if not piece.dot or not (before.isalnum() and after.isalnum()):
            continue
        wrong = (*sample[:i], Piece("X"), *sample[i + 1 :])
        value = text_of(_filled(wrong, "attacker" if hosts else ""))
        if full_match(pattern, value):
            tail = "".join(item.text for item in sample[i + 1 :])
            sure = bool(hosts) or bool(_FILES.match(tail.lower()))
            said = r"a dot that is not escaped stands for any character; write `\.`"
            yield Flaw("error" if sure else "warning", said, value)


def _filled(sample: Sample, text: str) -> Sample:
    return tuple(Piece(text or piece.text) if piece.room else piece for piece in sample)


def _hosts(text: str, sample: Sample) -> frozenset[str]:
    """Hosts that the pattern itself spells out, lower case; no file names."""
    found: set[str] = set()
    run = ""
    for piece in (*sample, Piece("", room=True)):
        if not piece.room:
            run += piece.text
            continue
        found |= {item[0].lower() for item in _HOST.finditer(run)}
        run = ""
    addressed = "@" in text or "://" in text
    return frozenset(h for h in found if addressed or not _FILES.match(h.rpartition(".")[2]))


def _half_host(sample: Sample) -> bool:
    """Whether a host begins in the pattern and ends in room: `https://corp.*`, `10.0.0.*`."""
    run = ""
    for piece in sample:
        if piece.room:
            head, _, rest = run.rpartition("://")
            cut = bool(head) and bool(rest) and not set(rest) & set("/?#")
            return cut or bool(_OCTETS.match(rest))
        run += piece.text
    return False


def _judged(value: str, sample: str, hosts: frozenset[str]) -> Flaw | None:
    """What is wrong with a value that a pattern for `hosts` may let through."""
    if "\n" in value:
        said = "a class with room for a line break in an address"
        return Flaw("warning", said, value)
    given = _host_of(value)
    mail = "@" in sample and "://" not in sample
    if given and not mail and not _known(given, hosts):
        # A pattern for a host that takes a whole URL: only for some tools it leads elsewhere.
        foreign = ("://" in value) is not ("://" in sample) or ("@" in value and "@" not in sample)
        foreign = foreign or (not hosts and "://" not in sample)  # an address, or a version
        said = f"the value leads to {given!r}, not to where the pattern says"
        return Flaw("warning" if foreign else "error", said, value)
    mails = re.findall(r"@([a-z0-9.-]+)", value, re.IGNORECASE) if "://" not in value else []
    strangers = [mail for mail in mails if not _known(mail, hosts)]
    if strangers and mail:
        alone = value.count("@") == 1
        said = f"mail also goes to {strangers[0]!r}; leave out blanks, `@`, `,` and `;` before it"
        return Flaw("error" if alone else "warning", said, value)
    return None


def _host_of(value: str) -> str:
    """The host of a URL, or the value itself where it is a bare host."""
    scheme, mark, rest = value.partition("://")
    if mark and scheme.isalnum():
        authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
        return authority.rpartition("@")[2].partition(":")[0].lower()
    bare = re.split(r"[/?#:\\]", value, maxsplit=1)[0].lower()
    return bare if "@" not in value and _HOST.fullmatch(bare) else ""


def _known(host: str, hosts: frozenset[str]) -> bool:
    host = host.lower().rstrip(".")
    return any(host == known or host.endswith("." + known) for known in hosts)

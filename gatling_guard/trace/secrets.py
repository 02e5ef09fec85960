"""The secrets of a session, to be found again in what a call sends: in addresses, names, prose.

A secret is what a sensitive span assigns (`TOKEN=zq41-harbor`, `the password is mellon`), a field
whose name announces one, and every token with digits beside it. Addresses are taken apart into
the labels of hosts, parts of paths, file names and values of queries; see `pieces`.
They outlive the spans that they stand in: no flood of other text makes a session forget them.
Does not see: a cut of a secret that is one everyday word, a secret in plain words in prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatling_guard.trace.canonical import words_of
from gatling_guard.trace.days import dates_in
from gatling_guard.trace.fragments import Fragments, compact
from gatling_guard.trace.sensitive import sensitive_name
from gatling_guard.trace.types import Span

MOST = 4_000
"""Secrets that are held; the oldest go first."""
LEAST = 4
"""Characters of the shortest secret: shorter ones stand in every text."""
MAX_PIECES = 2_000
"""Tokens of one value that are looked up."""
_GLUED = 600
"""Longest value that is looked up without all its separators: an address, no letter."""
_SHORT = 64
"""The same for a text with blanks."""
_MAX = 200

_END = " .,;:'\"`()[]{}<>!?*-_"
_PIECE = re.compile(r"[^\s=&?#/,;:\"'`()<>\[\]{}|\\@%]{1,400}")
_ASSIGNED = re.compile(r"(?:[=:]|\bis\b|\bist\b|\bes\b|\best\b)\s{0,3}[\"']?([^\s\"',;&]{4,200})")
_QUERY = re.compile(r"[?&#;][^=&#\s]{0,64}=([^&#\s]{1,400})")
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]{0,20}:)?(?://)?([^\s/?#:]{1,253})/?([^\s?#]{0,400})")


def pieces(canon: str) -> dict[str, None]:
    """The tokens of a canonical text as written, then their dotted parts, each once, in order."""
    found: dict[str, None] = {}
    for number, match in enumerate(_PIECE.finditer(canon)):
        if number == MAX_PIECES:
            break
        token = match[0].strip(_END)
        found[token] = None
        if "." in token:
            found.update(dict.fromkeys(part.strip(_END) for part in token.split(".")))
    found.pop("", None)
    return found


def cargo(canon: str) -> str:
    """What an address says beyond the page it names, compact; "" for any other text.

    The values of its query; else the path; else the first label of its host.
    """
    if " " in canon or not ("/" in canon or "?" in canon):
        return ""
    values = _QUERY.findall(canon)
    address = None if values else _ADDRESS.match(canon)
    if address:
        values = [address[2] or address[1].split(".", 1)[0]]
    return compact("".join(values))


class Secrets:
    """The secrets of the spans of one trust class, by token."""

    def __init__(self) -> None:
        self.fragments = Fragments()
        self._spans: dict[str, Span] = {}
        self._by_id: dict[int, Span] = {}

    def __bool__(self) -> bool:
        """Whether any secret is held."""
        return bool(self._spans)

    def add(self, span: Span) -> None:
        """Remember the secrets of a sensitive span."""
        for token in _secrets_of(span):
            shape = compact(token)
            if len(shape) < LEAST or shape in self._spans:
                continue
            self._spans[shape] = self._by_id[span.span_id] = span
            self.fragments.keep(shape, span.span_id)
        while len(self._spans) > MOST:
            del self._spans[next(iter(self._spans))]
        while len(self._by_id) > MOST:
            del self._by_id[next(iter(self._by_id))]

    def span(self, span_id: int) -> Span | None:
        """The span of a piece that `fragments` found."""
        return self._by_id.get(span_id)

    def carried(self, key: str) -> Iterator[Span]:
        """Spans of which a text carries a secret, or a piece of one that nobody has by chance."""
        for token in pieces(key):
            shape = compact(token)
            known = self._spans.get(shape)
            if known is not None:
                yield known
            elif any(c.isdigit() for c in shape) or len(shape) >= 12:
                yield from self._of(shape)
        if len(key) <= (_SHORT if " " in key else _GLUED):
            yield from self._of(compact(key))
            yield from self._of(cargo(key))

    def _of(self, shape: str) -> Iterator[Span]:
        for piece in self.fragments.pieces(shape):
            span = self._by_id.get(piece.span_id)
            if span is not None:
                yield span


def _secrets_of(span: Span) -> Iterator[str]:
    canon = span.canonical[: 20 * _MAX]
    for token in _ASSIGNED.findall(canon):
        yield token.strip(_END)
    if not span.free_text and len(canon) <= _MAX and _tells(span.path, canon):
        yield canon
    for token in pieces(canon):
        if _odd(token):
            yield token


def _tells(path: str, canon: str) -> bool:
    """Whether a short field is a secret as a whole: by its name, or since nobody has it by chance.

    A record that holds a salary also says "Acme" and "open".
    """
    name = next((part for part in reversed(path.split("/")) if not part.isdigit()), "")
    return sensitive_name(name) or _odd(canon)


def _odd(token: str) -> bool:
    """Long enough, with letters and digits or many digits, and no date."""
    digits = sum(c.isdigit() for c in token)
    if len(token) < 6 or not digits or (digits < 8 and not any(c.isalpha() for c in token)):
        return False
    return len(words_of(token)) > 4 or not dates_in(token)

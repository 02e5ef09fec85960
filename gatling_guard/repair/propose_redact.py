"""Blacking out: secrets, text of a stranger that asks for something, addresses it gives.

Sees: pieces of content arguments by their shape or by the span they were copied from. Never touches
an argument that says who, where or how much.
Does not see: paraphrased data; there only the whole text can go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gatling_guard.plan import Provenance
from gatling_guard.repair.culprits import Case
from gatling_guard.repair.types import Draft, Edit, Problem, Scene
from gatling_guard.repair.values import REDACTED, Redact
from gatling_guard.trace import (
    Lineage,
    canonical,
    is_directive,
    sensitive_pieces,
    sensitive_text,
    sentences,
    trimmed,
)

MAX_TEXT = 20_000
"""Characters; of a longer text only the whole is redacted."""
_LEAST = 4
"""Characters of a span that is looked for as a copy."""
_PROSE = 3
"""Words from which on a value is a text."""
_ADDRESS = re.compile(
    r"!\[[^\]]{0,200}\]\([^)\s]{4,1500}\)|(?:https?|ftp)://[^\s<>\"')\]]{3,1500}"
    r"|[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}|\b[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/[^\s<>\"')\]]{1,500}"
)
Pieces = frozenset[tuple[int, int]]


def redact(scene: Scene, draft: Draft, problem: Problem) -> Iterator[Edit]:
    """Per text the smallest pieces first, the whole of it last."""
    case = Case.of(scene, draft, problem)
    if case is None:
        return
    for leaf in problem.lineage:
        text, why = leaf.value, case.about.get(leaf.path)
        if not _is_content(case, leaf) or not isinstance(text, str) or text == REDACTED:
            continue
        done: set[tuple[tuple[int, int], ...]] = set()
        for pieces in _choices(case, leaf, text) if len(text) <= MAX_TEXT else ():
            spans = _joined(text, pieces)
            if spans and spans not in done and not _is_all(text, spans):
                done.add(spans)
                yield Redact(problem.node_id, leaf.path, spans, len(text))
        whole = ((0, len(text)),)
        if why and whole not in done and not _is_all(text, whole):
            yield Redact(problem.node_id, leaf.path, whole, len(text))


def _is_all(text: str, spans: tuple[tuple[int, int], ...]) -> bool:
    """Whether nothing would be left of a value that is no prose: a day, an id, a code.

    Such a call says nothing any more; it is not the one that was meant, only one that passes.
    """
    return len(text.split()) < _PROSE and spans[0][0] == 0 and spans[0][1] >= len(text.rstrip())


def _is_content(case: Case, leaf: Lineage) -> bool:
    profile = case.view.profile or case.spec.profile
    said = leaf.argument in profile.content_args or leaf.path in case.about
    return said and leaf.argument not in case.identities and not leaf.path.endswith("/~key")


def _choices(case: Case, leaf: Lineage, text: str) -> Iterator[Pieces]:
    secret = frozenset(sensitive_pieces(text)) if sensitive_text(text) else frozenset()
    # In a plan no output is known yet, and a span stands for all that may come.
    seen = [span for span in leaf.spans if not span.rest]
    secret |= _copies(text, (s.text for s in seen if s.sensitive))
    asked = _directives(leaf, text)
    led = _addresses(case, leaf, text)
    copied = _copies(text, (s.text for s in seen if s.tier > Provenance.INTERNAL))
    yield from (secret, led, asked | led, secret | asked | led, secret | asked | led | copied)
    yield secret | asked | led | _copies(text, (s.text for s in seen))


def _directives(leaf: Lineage, text: str) -> Pieces:
    """Sentences that ask for something and that a stranger wrote."""
    foreign = [s.canonical for s in leaf.spans if s.tier > Provenance.INTERNAL]
    found, at = set(), 0
    for sentence in sentences(text) if foreign else ():
        start = text.find(sentence, at)
        if start < 0:
            continue
        at = start + len(sentence)
        canon = canonical(sentence)
        if is_directive(sentence) and any(canon in span or span in canon for span in foreign):
            found.add((start, at))
    return frozenset(found)


def _addresses(case: Case, leaf: Lineage, text: str) -> Pieces:
    """Addresses that nobody named: a stranger's, or one that the model put data into."""
    composed = "composed" in case.about.get(leaf.path, ())
    foreign = [s.canonical for s in leaf.spans if s.tier > Provenance.INTERNAL]
    found = set()
    for match in _ADDRESS.finditer(text):
        address = trimmed(canonical(match.group()))
        bare = address.partition("://")[2] or address
        origin = case.scene.authority.find(match.group())
        named = origin is not None and origin.vouches
        if not named and (composed or any(bare in span for span in foreign)):
            found.add(match.span())
    return frozenset(found)


def _copies(text: str, spans: Iterable[str]) -> Pieces:
    found = set()
    for piece in dict.fromkeys(s.strip() for s in spans):
        at = text.find(piece) if len(piece) >= _LEAST else -1
        while at >= 0:
            found.add((at, at + len(piece)))
            at = text.find(piece, at + len(piece))
    return frozenset(found)


def _joined(text: str, pieces: Pieces) -> tuple[tuple[int, int], ...]:
    """Rising and disjoint, each grown to whole words."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(pieces):
        while start > 0 and text[start - 1].isalnum() and text[start].isalnum():
            start -= 1
        while end < len(text) and text[end].isalnum() and text[end - 1].isalnum():
            end += 1
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)

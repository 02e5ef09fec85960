"""Values spread over several arguments, list items or calls: put together again, then looked up.

Sees: neighbouring short values of one call, in the order written; the values that the last calls
gave for the same argument, in the order sent and in the reverse order; of an address, its cargo.
Does not see: pieces in any other order, or with more than `KEPT` values between them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gatling_guard.trace.authority import scalar_text
from gatling_guard.trace.canonical import canonical
from gatling_guard.trace.fragments import compact
from gatling_guard.trace.lookup import is_trivial, origin_of
from gatling_guard.trace.postings import Postings
from gatling_guard.trace.secrets import cargo
from gatling_guard.trace.types import Lineage, Origin

KEPT = 32
"""Values that are remembered per argument, and arguments that are remembered."""
SHORT = 40
"""Longer values are pieces by themselves (`fragments.py`)."""
LONGEST = 2_000
"""Characters of the longest address that is taken apart."""
MAX_GLUED = 20_000
"""Characters put together for one look-up."""

_PLACE = re.compile(r"/\d+(?=/|\Z)")


class Sent:
    """What the last calls sent that no output explains, by argument. Bounded."""

    def __init__(self) -> None:
        self._values: dict[str, deque[str]] = {}

    def add(self, lineage: Sequence[Lineage]) -> None:
        """Remember the unexplained short values of a call that runs."""
        for leaf, text in _short(lineage):
            if any(o.span and o.match != "split" and not o.partial for o in leaf.origins):
                continue
            held = self._values.pop(_argument(leaf), None)
            held = deque(maxlen=KEPT) if held is None else held
            held.append(text)
            self._values[_argument(leaf)] = held  # the newest last
        while len(self._values) > KEPT:
            del self._values[next(iter(self._values))]

    def split(
        self, lineage: tuple[Lineage, ...], stores: Sequence[Postings]
    ) -> tuple[Lineage, ...]:
        """The lineage, with an origin more where a value continues what stands or came before."""
        if not any(store.fragments or store.secrets for store in stores):
            return lineage
        short = list(_short(lineage))
        found: dict[str, list[Origin]] = {}
        for run in self._runs(short):
            _look(run, stores, found)
        if not found:
            return lineage
        return tuple(
            replace(leaf, origins=_joined(leaf, found[leaf.path])) if leaf.path in found else leaf
            for leaf in lineage
        )

    def _runs(self, short: list[tuple[Lineage, str]]) -> Iterator[list[tuple[str, str]]]:
        """Texts to put together, each with the path of its leaf ("" for one sent earlier)."""
        if len(short) > 1:
            yield [(leaf.path, text) for leaf, text in short]
        for leaf, text in short:
            earlier = [("", old) for old in self._values.get(_argument(leaf), ())]
            if earlier:
                yield [*earlier, (leaf.path, text)]
                yield [(leaf.path, text), *reversed(earlier)]


def _short(lineage: Sequence[Lineage]) -> Iterator[tuple[Lineage, str]]:
    for leaf in lineage:
        text = "" if is_trivial(leaf.value) else _said(scalar_text(leaf.value))
        if text:
            yield leaf, text


def _said(text: str) -> str:
    """A short text, or what an address says beyond its page; "" for long ones."""
    if len(text) > LONGEST:
        return ""
    canon = canonical(text)
    said = cargo(canon) or compact(canon)
    return said if len(said) <= SHORT else ""


def _argument(leaf: Lineage) -> str:
    """The place of a value whatever its number in a list."""
    return _PLACE.sub("/*", leaf.path)


def _look(
    run: list[tuple[str, str]], stores: Sequence[Postings], found: dict[str, list[Origin]]
) -> None:
    glued, owners = "", []
    for path, text in run:
        if len(glued) + len(text) > MAX_GLUED:
            break
        owners.append((len(glued), len(glued) + len(text), path))
        glued += text
    for store in stores:
        found_here = [(p, store.spans.get(p.span_id)) for p in store.fragments.pieces(glued)]
        secret = store.secrets
        found_here += [(p, secret.span(p.span_id)) for p in secret.fragments.pieces(glued)]
        for piece, span in found_here:
            touched = [p for start, end, p in owners if start < piece.end and end > piece.start]
            if span is None or len(touched) < 2:
                continue
            for path in filter(None, touched):
                origin = replace(origin_of(span, "split", ""), partial=True)
                if origin not in found.setdefault(path, []):
                    found[path].append(origin)


def _joined(leaf: Lineage, more: list[Origin]) -> tuple[Origin, ...]:
    known = {o.span.span_id for o in leaf.origins if o.span is not None and o.match == "exact"}
    new = [o for o in more if o.span is not None and o.span.span_id not in known][:4]
    if not new:
        return leaf.origins
    kept = tuple(o for o in leaf.origins if o.source != "model")
    return tuple(sorted((*new, *kept), key=lambda o: -o.tier))

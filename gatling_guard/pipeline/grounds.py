"""The user's words a decision rests on: which sentence names a value or asks for an effect.

For the receipt only: nothing here decides. Sees: the sentence in which the lookup of `Authority`
succeeds. Does not see: a value that only several sentences together give; then no sentence is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.trace import Authority, Lineage
from gatling_guard.trace.directive import sentences

Ground = tuple[str, str, str]
"""What it is about (a JSON pointer, or `effect`), the source, the sentence as written."""
MOST = 8
_TRIED = 24
"""Sentences put to a lookup of their own where the plain text does not show the value."""


def grounds(
    authority: Authority, lineage: Sequence[Lineage], spec: ToolSpec | None
) -> tuple[Ground, ...]:
    """At most `MOST` grounds: the effect first, then the named arguments in document order."""
    found: list[Ground] = []
    if spec is not None and spec.profile.effect.side_effect:
        asked = _asking(authority.instructions, spec.profile.effect, spec.name)
        if asked:
            found.append(("effect", "instruction", asked))
    for leaf in lineage:
        if len(found) >= MOST:
            break
        if leaf.named and not leaf.trivial:
            found.extend(_naming(authority, leaf))
    return tuple(found)


def _naming(authority: Authority, leaf: Lineage) -> Iterator[Ground]:
    texts = {"instruction": authority.instructions, "system": authority.system}
    for origin in leaf.origins:
        if origin.match not in ("exact", "substring"):
            continue
        if origin.source == "policy":
            yield leaf.path, "policy", str(leaf.value)
            return
        if origin.source in texts:
            said = _sentence(texts[origin.source], leaf.value)
            if said:
                yield leaf.path, origin.source, said
            return


def _sentence(texts: tuple[str, ...], value: object) -> str | None:
    """The first sentence that has the value: as it stands, else by the lookup itself."""
    pairs, key = _cut(texts), str(value).strip().casefold()
    for sentence, folded in pairs:
        if key in folded and _alone(sentence).find(value) is not None:
            return sentence
    return next((s for s, _ in pairs[:_TRIED] if _alone(s).find(value) is not None), None)


@lru_cache(maxsize=8)
def _cut(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The sentences of trusted texts, each also folded."""
    return tuple((s, s.casefold()) for text in texts for s in sentences(text))


@lru_cache(maxsize=128)
def _alone(sentence: str) -> Authority:
    return Authority.of([sentence])


@lru_cache(maxsize=128)
def _asking(instructions: tuple[str, ...], effect: Effect, name: str) -> str | None:
    """The first of the user's sentences that asks for the effect, or names the tool's verb."""
    spec = ToolSpec(name)
    asking = (s for s, _ in _cut(instructions)[:200] if Authority.of([s]).asks(effect, spec))
    return next(asking, None)

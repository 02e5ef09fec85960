"""The words that terminal and page share."""

from __future__ import annotations

from collections.abc import Sequence

from gatling_guard.report.types import TIERS, Argument, Explanation, Mended, ShareOf, Source

TERM_WORDS = {
    "hierarchy": "untrusted content steers what is done",
    "provenance": "privilege of the call times distrust of who or what it is done to",
    "scope": "more than the task needs",
    "flow": "data reaches a destination that nobody named",
}
_SOURCES = {
    "instruction": "the user's instruction",
    "system": "the system text",
    "policy": "the policy",
    "model": "found nowhere: the model made it up or put it together",
}
_MATCHES = {
    "exact": "the same value",
    "substring": "part of the text",
    "words": "most of its words",
    "assumed": "assumed: more than could be looked at",
    "planned": "as the plan declares",
}


def headline(found: Explanation) -> str:
    """The call, as a title."""
    if found.tool == "run":
        return f"Run {found.run}"
    return "Whole plan" if found.tool == "plan" else found.tool


def facts_of(found: Explanation) -> list[tuple[str, str]]:
    """What identifies the decision."""
    pairs = [
        ("ref", found.code), ("call", found.node), ("run", found.run), ("role", found.role),
        ("effect", found.effect + (", cannot be undone" if found.reversible is False else "")),
        ("at", found.when[:19].replace("T", " ")), ("policy", found.policy[:12]),
        ("hold", found.hold_id), ("approved by", found.approved_by),
    ]  # fmt: skip
    return [(name, value) for name, value in pairs if value]


def largest(shares: Sequence[ShareOf], most: int) -> list[ShareOf]:
    """At most `most` shares, the largest first, then the others as one."""
    ranked = sorted(shares, key=lambda share: -share.value)
    kept, rest = ranked[:most], ranked[most:]
    if rest:
        left = sum(share.value for share in rest)
        kept.append(ShareOf("other", "", left, f"{len(rest)} smaller shares"))
    return kept


def about_argument(leaf: Argument) -> str:
    """Who vouches for it, and what kind of argument it is."""
    kinds = {"identity": "says who, where or how much", "content": "free text"}
    named = "the trusted side named it" if leaf.named else "nobody named it"
    if not leaf.named and all(source.source == "model" for source in leaf.sources):
        named = "from no output"
    return ", ".join(text for text in (named, kinds.get(leaf.kind, "")) if text)


def distinct(leaf: Argument) -> list[Source]:
    """Its sources, without those that say the same as one before."""
    found: dict[str, Source] = {}
    for source in leaf.sources:
        found.setdefault(f"{about_source(source)}\n{source.quote}", source)
    told = {about_source(source) for source in found.values() if source.quote}
    return [s for s in found.values() if s.quote or about_source(s) not in told]


def about_source(source: Source) -> str:
    """Where a value was found."""
    how = _MATCHES.get(source.match, source.match)
    if source.source == "model":
        return _SOURCES["model"]
    if source.source != "output":
        return f"{_SOURCES.get(source.source, source.source)}: {how}"
    if not source.call:
        return f"{TIERS[source.tier]} text that is no longer held ({how})"
    field = f", field {source.path.strip('/')}" if source.path.strip("/") else ""
    return f"{source.tool or 'a tool'} ({source.call}){field}: {TIERS[source.tier]}, {how}"


def grouped(found: Explanation) -> list[tuple[str, str, list[str]]]:
    """Each sentence of the trusted side once: what it vouches for, itself, the values in it."""
    values = {leaf.path: leaf.value for leaf in found.arguments}
    groups: dict[tuple[str, str], list[str]] = {}
    for ground in found.authority:
        groups.setdefault((ground.source, ground.text), []).append(ground.about)
    result = []
    for (source, text), abouts in groups.items():
        named = ", ".join(about.strip("/") for about in abouts if about not in ("effect", "grant"))
        asks = f"asks for {found.effect or 'this effect'}" if "effect" in abouts else ""
        said = " and ".join(part for part in (asks, f"names {named}" if named else "") if part)
        who = _SOURCES.get(source, source)
        said = f"{who} {said}" if said else f"a grant was used ({source})"
        result.append((said, text, [values.get(about, "") for about in abouts]))
    return result


def about_repair(mended: Mended) -> tuple[str, str]:
    """What a section about it is called, and its figures."""
    title = "offered instead, if a person says yes" if mended.offered else "what ran instead"
    drafts = counted(mended.explored, "draft")
    figures = [
        f"cost {mended.cost:.1f}",
        f"proven minimal ({drafts})" if mended.minimal else f"cheapest found of {drafts}",
        f"keeps {mended.similarity:.0%} of what was asked for",
        f"energy then {mended.energy:.1f}",
    ]
    if mended.before and mended.after:
        figures.append(f"arguments {mended.before[:8]} -> {mended.after[:8]}")
    if mended.holds:
        figures.append(f"waiting for a person: {', '.join(mended.holds)}")
    if mended.only:
        figures.append("the call itself may not run, whatever is said")
    return title, " · ".join(figures)


def counted(number: int, noun: str) -> str:
    """`1 edit`, `2 edits`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

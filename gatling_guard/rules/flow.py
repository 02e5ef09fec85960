"""Where argument values come from: forbidden flows and required origins.

Both look at single values (P2), never at the whole call. A value that the trusted side itself
named is no flow. Sees: what the lineage index found, exactly, as a part, or by its words. Does not
see: text a model rewrote so far that no words are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gatling_guard.plan import Provenance, leaves
from gatling_guard.policy import Flow, glob_match
from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding, RuleAction
from gatling_guard.trace.types import Lineage, Origin

_TRUSTED = ("instruction", "system", "policy")


def check_flows(facts: RuleFacts) -> Iterable[Finding]:
    """`flow.<source>-<target>`: one finding per flow and argument leaf, at most ten per flow."""
    for flow in facts.view.flows:
        if flow.target == "external" and not leaves_boundary(facts):
            continue
        action: RuleAction = "block" if flow.action == "deny" else "hold"
        hit = [leaf for leaf in facts.lineage if _flows(flow, leaf, facts)]
        for leaf in hit[:10]:
            came = next(o for o in leaf.origins if _from(flow.source, o))
            by = f" (from {came.span.tool[:80]!r})" if came.span else ""
            yield Finding(flow.rule, action, f"{leaf.path[:200]}{by}: {flow.path}", leaf.path)


def _flows(flow: Flow, leaf: Lineage, facts: RuleFacts) -> bool:
    if leaf.trivial or leaf.named or not any(_from(flow.source, o) for o in leaf.origins):
        return False
    profile = facts.view.profile
    if flow.part is None or profile is None:
        return True
    if flow.part == "content":
        return leaf.argument in profile.content_args or not profile.content_args
    # An argument that nobody has described may well say who or where.
    return leaf.argument not in profile.content_args


def _from(source: str, origin: Origin) -> bool:
    if origin.source != "output":
        return False
    if source == "*":
        return True
    if source.startswith("tool:"):
        return origin.span is not None and glob_match(source[5:], origin.span.tool)
    return origin.tier is Provenance[source.upper()]


def leaves_boundary(facts: RuleFacts) -> bool:
    """Whether a call that can carry data out does so beyond the policy's boundary.

    It stays inside only when a destination among its arguments is known to be inside and no other
    argument names, or looks like it names, one outside.
    """
    profile, boundary = facts.view.profile, facts.policy.boundary
    if profile is None:
        return True
    inside_somewhere = False
    where = {*profile.identity_args, *profile.url_args}
    for name, value in facts.call.arguments.items():
        if name in profile.content_args or (where and name not in where):
            continue
        texts = [leaf.value for leaf in leaves(value) if isinstance(leaf.value, str) and leaf.value]
        inside = [boundary.inside(text) for text in texts]
        if any(inside) and not all(inside):
            return True
        if not any(inside) and any(boundary.is_destination(text) for text in texts):
            return True
        inside_somewhere = inside_somewhere or any(inside)
    return not inside_somewhere


def check_origins(facts: RuleFacts) -> Iterable[Finding]:
    """`origin.required`: a value that does not come from where the policy says it must."""
    for glob, rule in facts.view.entries:
        for argument, wanted in rule.origin.items():
            if argument in facts.call.arguments:
                yield from _origin(facts, glob, argument, wanted)


def _origin(facts: RuleFacts, glob: str, argument: str, wanted: Sequence[str]) -> Iterator[Finding]:
    shown = ", ".join(wanted)
    known = {leaf.path: leaf for leaf in facts.lineage if leaf.argument == argument}
    for place in leaves({argument: facts.call.arguments[argument]}):
        leaf = known.get(place.path)
        if leaf is None:
            fine = place.value is None or place.value == "" or isinstance(place.value, bool)
        else:
            fine = leaf.trivial or _accepted(leaf, wanted)
        if fine:
            continue
        text = f"{place.path[:200]}: should come from {shown} (policy, {glob!r})"
        yield Finding("origin.required", "block", text, place.path)


def _accepted(leaf: Lineage, wanted: Sequence[str]) -> bool:
    outputs = [origin for origin in leaf.origins if origin.source == "output"]
    for origin in leaf.origins:
        sure = origin.match in ("exact", "substring")
        if origin.source in _TRUSTED and origin.source in wanted and sure:
            return True
        listed = origin.source == "output" and sure and _listed(origin, wanted)
        if listed and not _echo(origin, outputs, wanted):
            return True
    return "model" in wanted and not outputs


def _listed(origin: Origin, wanted: Sequence[str]) -> bool:
    return origin.tier.name.lower() in wanted or any(
        origin.span is not None and glob_match(item[5:], origin.span.tool)
        for item in wanted
        if item.startswith("tool:")
    )


def _echo(origin: Origin, outputs: Sequence[Origin], wanted: Sequence[str]) -> bool:
    """Whether a listed tool may only repeat what an unlisted public text said before (P4)."""
    if origin.tier is not Provenance.PUBLIC or origin.span is None:
        return False
    return any(
        other.tier is Provenance.PUBLIC
        and other.span is not None
        and other.span.span_id < origin.span.span_id
        and not _listed(other, wanted)
        for other in outputs
    )

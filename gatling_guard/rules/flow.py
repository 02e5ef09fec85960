"""Where argument values come from: forbidden flows.

They look at single values (P2), never at the whole call. A value that the trusted side itself
named is no flow. Sees: what the lineage index found, exactly, as a part, or by its words. Does not
see: text a model rewrote so far that no words are left.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatling_guard.plan import Leaf, Provenance, leaves
from gatling_guard.policy import CAUSED, Flow, glob_match
from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding, RuleAction
from gatling_guard.rules.quote import quote, shown
from gatling_guard.trace.types import Lineage, Origin


def says_nothing(leaf: Lineage | Leaf) -> bool:
    """Whether a value is nothing: null, true, false, blank text. `7` may well be an account.

    Whoever made the lineage may still know better: in a plan, what is empty now will be filled in.
    """
    value = leaf.value
    blank = (
        value is None or isinstance(value, bool) or (isinstance(value, str) and not value.strip())
    )
    return blank and (isinstance(leaf, Leaf) or leaf.trivial)


def check_flows(facts: RuleFacts) -> Iterable[Finding]:
    """`flow.<source>-<target>`: one finding per flow and argument leaf, at most ten per flow."""
    for flow in facts.view.flows:
        if flow.target == "external" and not leaves_boundary(facts):
            continue
        action: RuleAction = "block" if flow.action == "deny" else "hold"
        hit = [leaf for leaf in facts.lineage if _flows(flow, leaf, facts)]
        for leaf in hit[:10]:
            came = next(o for o in leaf.origins if _from(flow.source, o))
            by = f" (from {quote(came.span.tool)})" if came.span else ""
            yield Finding(flow.rule, action, f"{shown(leaf.path)}{by}: {flow.path}", leaf.path)


def _flows(flow: Flow, leaf: Lineage, facts: RuleFacts) -> bool:
    if says_nothing(leaf) or leaf.named:
        return False
    if not any(_from(flow.source, origin) for origin in leaf.origins):
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
    if source.startswith("tool:") or source == CAUSED:
        if origin.span is None:  # assumed of what is no longer indexed: it may be that tool's
            return origin.match == "assumed"
        if source == CAUSED:
            return bool(origin.span.cause)
        # Output of a tool that nobody knows has no name: it may be that tool's too.
        return not origin.span.tool or glob_match(source[5:], origin.span.tool)
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

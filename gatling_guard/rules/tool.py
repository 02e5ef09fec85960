"""Rules about the tool and the role: may this be called at all, by whom, how often."""

from __future__ import annotations

from collections.abc import Iterable

from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding, RuleAction
from gatling_guard.rules.quote import quote


def check_known(facts: RuleFacts) -> Iterable[Finding]:
    """`tool.unknown`, `tool.denied`, `tool.mismatch`."""
    view, name = facts.view, facts.call.tool_name
    if view.allow is False:
        yield Finding("tool.denied", "block", f"the policy does not allow {quote(name)}")
    if facts.spec is None:
        choice = facts.policy.unknown_tools
        action: RuleAction = "note" if view.allow or choice == "allow" else choice
        yield Finding("tool.unknown", action, f"{quote(name)} is not registered")
    elif name not in (facts.spec.name, *facts.spec.aliases):
        text = f"{quote(name)} is neither name nor alias of {quote(facts.spec.name)}"
        yield Finding("tool.mismatch", "block", text)


def check_role(facts: RuleFacts) -> Iterable[Finding]:
    """`role.unknown`, `role.missing`, `role.denied`, `role.tool`, `role.effect`.

    A policy without roles does not look at them.
    """
    view, name = facts.view, facts.call.tool_name
    if not facts.policy.roles:
        return
    if view.role_name is None:
        yield Finding("role.missing", "block", "no role given, and the policy has no default_role")
    elif view.role is None:
        yield Finding("role.unknown", "block", f"the policy has no role {quote(view.role_name)}")
    elif view.denied:
        yield Finding(
            "role.denied", "block", f"role {view.role_name!r} must not call {quote(name)}"
        )
    elif not view.permitted:
        yield Finding("role.tool", "block", f"role {view.role_name!r} has no tool {quote(name)}")
    elif view.role.effects is not None and view.effect not in view.role.effects:
        effect = view.effect.value if view.effect else "unknown"
        yield Finding("role.effect", "block", f"role {view.role_name!r} has no effect {effect!r}")


def check_scope(facts: RuleFacts) -> Iterable[Finding]:
    """`scope.cap`: more data than the role may reach."""
    role, profile = facts.view.role, facts.view.profile
    if role is None:
        return
    scope = max(facts.call.scope_level, profile.scope if profile else 1)
    if scope > role.scope:
        text = f"scope {scope} is above {role.scope}, the cap of role {facts.view.role_name!r}"
        yield Finding("scope.cap", "block", text)


def check_holds(facts: RuleFacts) -> Iterable[Finding]:
    """`hold.tool`, `hold.rule`: a person decides."""
    for glob, rule in facts.view.entries:
        if rule.hold is not None:
            yield Finding("hold.tool", "hold", rule.hold.message or f"calls of {glob!r} are held")
    for hold in facts.view.holds:
        yield Finding("hold.rule", "hold", hold.reason)


def check_limits(facts: RuleFacts) -> Iterable[Finding]:
    """`limit.calls`, `limit.tool_calls`."""
    most = facts.policy.limits.max_calls
    if facts.calls_so_far >= most:
        yield Finding("limit.calls", "block", f"more than {most} calls in this session")
    so_far = facts.tool_calls_so_far
    so_far = facts.calls_so_far if so_far is None else so_far
    for glob, rule in facts.view.entries:
        if rule.max_calls is not None and so_far >= rule.max_calls:
            text = f"more than {rule.max_calls} calls of {glob!r} in this session"
            yield Finding("limit.tool_calls", "block", text)

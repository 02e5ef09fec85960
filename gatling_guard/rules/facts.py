"""What the rules look at: one call, what is known of it, and what a policy says of its tool."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gatling_guard.catalog.types import Effect, ToolProfile, ToolSpec
from gatling_guard.plan import ToolCall
from gatling_guard.policy import Flow, Hold, Policy, Role, ToolRule, match_any
from gatling_guard.rules.budget import Bill, Charge, Spent, bills_of
from gatling_guard.rules.cache import Bounded
from gatling_guard.rules.constraint import Constraint
from gatling_guard.rules.references import listed_only
from gatling_guard.rules.validator import BrokenSchemaError, Compiled, compile_schema
from gatling_guard.trace.types import Lineage


@dataclass(frozen=True)
class RuleFacts:
    """One call and everything that the hard rules may use."""

    call: ToolCall
    spec: ToolSpec | None
    """None: the tool was never registered."""
    policy: Policy
    role: str | None
    lineage: tuple[Lineage, ...]
    """Of every argument leaf; a leaf without lineage counts as of unknown origin."""
    calls_so_far: int = 0
    """Calls in this session before this one."""
    tool_calls_so_far: int | None = None
    """Those of this tool; where it is not known, `calls_so_far` stands in, which is stricter."""
    spent: Spent = field(default_factory=Spent)
    """What the session's calls before this one took from their budgets."""

    @cached_property
    def bills(self) -> tuple[Bill, ...]:
        """What this call takes from its budgets."""
        return bills_of(self)

    @property
    def charges(self) -> tuple[Charge, ...]:
        """The same, as it is counted once the call is let through."""
        return tuple(bill.charge for bill in self.bills if bill.charge is not None)

    @cached_property
    def view(self) -> ToolView:
        """What the policy says of this tool, computed once per policy, tool and role."""
        return view_of(self.policy, self.call.tool_name, self.spec, self.role)


@dataclass(frozen=True)
class ToolView:
    """A policy as it concerns one tool under one role."""

    spec: ToolSpec | None
    names: tuple[str, ...]
    """The name used, the registered name and its aliases, and all of them case-folded."""
    profile: ToolProfile | None
    """With what the policy declares on top; None for an unknown tool."""
    entries: tuple[tuple[str, ToolRule], ...]
    """Matching `tools` entries, most specific first."""
    allow: bool | None
    role_name: str | None
    role: Role | None
    permitted: bool
    """Whether the role's globs let this tool through."""
    denied: bool
    holds: tuple[Hold, ...]
    flows: tuple[Flow, ...]
    """Flows whose target may be this tool; `external` depends on the arguments too."""

    @cached_property
    def schema(self) -> Compiled | BrokenSchemaError | None:
        """The tool's own schema; None for an unknown tool."""
        return _compiled(self.spec.parameters, anchored=False) if self.spec else None

    @cached_property
    def listed(self) -> Mapping[str, Any] | None:
        """The only arguments of the tool; None where its schema says nothing of others."""
        return listed_only(self.spec.parameters) if self.spec else None

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """Argument constraints of all matching entries."""
        return tuple(
            Constraint(glob, rule.arguments)
            for glob, rule in self.entries
            if rule.arguments is not None
        )

    @property
    def effect(self) -> Effect | None:
        """None for an unknown tool."""
        return self.profile.effect if self.profile else None


def _compiled(schema: dict[str, Any], *, anchored: bool) -> Compiled | BrokenSchemaError:
    try:
        return compile_schema(schema, anchored=anchored)
    except BrokenSchemaError as error:
        return error


_views: Bounded[ToolView] = Bounded(2048)


def view_of(policy: Policy, name: str, spec: ToolSpec | None, role: str | None) -> ToolView:
    """The view of a tool, from the cache if policy, tool and role are the same as before."""
    return _views.get(
        (policy.digest, name, role, id(spec)),
        # The view keeps the spec alive, so that its id cannot come to mean another one.
        lambda: _make_view(policy, name, spec, role),
    )


def _make_view(policy: Policy, name: str, spec: ToolSpec | None, role: str | None) -> ToolView:
    plain = tuple(dict.fromkeys((name, *((spec.name, *spec.aliases) if spec else ()))))
    names = tuple(dict.fromkeys((*plain, *(_folded(item) for item in plain))))
    entries = policy.entries(names)
    profile = _profile(policy, plain, spec)
    role_name = policy.default_role if role is None else role
    who = policy.roles.get(role_name) if role_name is not None else None
    return ToolView(
        spec=spec,
        names=names,
        profile=profile,
        entries=entries,
        allow=next((rule.allow for _, rule in entries if rule.allow is not None), None),
        role_name=role_name,
        role=who,
        permitted=who is None or match_any(who.tools, plain),
        denied=who is not None and match_any(who.deny, names),
        holds=tuple(hold for hold in policy.holds if _hold_applies(hold, names, profile)),
        flows=tuple(flow for flow in policy.flows if _targets(flow, names, profile)),
    )


def _folded(name: str) -> str:
    """So that `Send_Email` or a full-width spelling does not slip past a restriction."""
    return unicodedata.normalize("NFKC", name).casefold()


def _profile(policy: Policy, names: tuple[str, ...], spec: ToolSpec | None) -> ToolProfile | None:
    if spec is None:
        return None
    declared: dict[str, Any] = {}
    for name in names:
        for key, value in policy.declared_profile(name).items():
            declared.setdefault(key, value)
    if not declared:
        return spec.profile
    return dataclasses.replace(spec.profile, **declared, basis="declared")


def _hold_applies(hold: Hold, names: tuple[str, ...], profile: ToolProfile | None) -> bool:
    """What is not known of a tool counts as if the condition applied."""
    if hold.tools is not None and not match_any(hold.tools, names):
        return False
    if profile is None:
        return True
    if hold.effects is not None and profile.effect not in hold.effects:
        return False
    return hold.irreversible is None or hold.irreversible is not profile.reversible


def _targets(flow: Flow, names: tuple[str, ...], profile: ToolProfile | None) -> bool:
    if flow.target.startswith("tool:"):
        return match_any([flow.target[5:]], names)
    if profile is None:
        return True
    if flow.target == "sink":
        return profile.sink
    if flow.target == "external":
        return profile.sink or profile.egress or bool(profile.url_args)
    return profile.effect.value == flow.target

"""What of a call a problem is about: the arguments that rules and energy point at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.plan import Provenance, ToolCall
from gatling_guard.plan.values import escape, leaves
from gatling_guard.repair.places import parts_of, value_at
from gatling_guard.repair.types import Draft, EditError, Problem, Scene
from gatling_guard.rules.facts import ToolView, view_of
from gatling_guard.rules.names import same_name
from gatling_guard.rules.references import resolved_ref
from gatling_guard.trace import Lineage

MOST = 64
"""Arguments that are looked at for one call; the worst come first."""
_MOST_SCHEMAS = 200


@dataclass(frozen=True)
class Case:
    """One problem of a draft, with what is looked up in it."""

    scene: Scene
    draft: Draft
    problem: Problem
    call: ToolCall
    spec: ToolSpec

    @classmethod
    def of(cls, scene: Scene, draft: Draft, problem: Problem) -> Case | None:
        """None where the call is not in the draft or nothing is known of its tool."""
        call = draft.plan.calls.get(problem.node_id)
        spec = scene.specs(call.tool_name) if call is not None else None
        return cls(scene, draft, problem, call, spec) if call is not None and spec else None

    @cached_property
    def view(self) -> ToolView:
        """What the policy says of the tool."""
        return view_of(self.scene.policy, self.call.tool_name, self.spec, self.scene.role)

    @cached_property
    def identities(self) -> frozenset[str]:
        """Arguments that say who, where, which or how much."""
        profile = self.view.profile or self.spec.profile
        return frozenset((*profile.identity_args, *profile.url_args, *profile.notifies))

    @cached_property
    def lineage(self) -> Mapping[str, Lineage]:
        """By pointer."""
        return {leaf.path: leaf for leaf in self.problem.lineage}

    @cached_property
    def about(self) -> Mapping[str, frozenset[str]]:
        """Rules and kinds of shares by the pointer that they name; the worst first."""
        found: dict[str, set[str]] = {}
        for finding in sorted(self.problem.findings, key=lambda f: f.action != "block"):
            found.setdefault(finding.where, set()).add(finding.rule)
        for share in sorted(self.problem.energy.shares, key=lambda s: -s.value):
            found.setdefault(share.where, set()).add(share.kind)
        found.pop("", None)
        return {where: frozenset(why) for where, why in list(found.items())[:MOST]}

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        """Pointers of identities that nobody who may say so has named."""
        return tuple(
            leaf.path
            for leaf in self.problem.lineage
            if leaf.argument in self.identities and not leaf.trivial and not leaf.named
        )[:MOST]

    @cached_property
    def suspects(self) -> tuple[str, ...]:
        """Pointers that rules and energy name, then identities out of untrusted text."""
        doubtful = (p for p in self.strangers if self.lineage[p].tier > Provenance.INTERNAL)
        return tuple(dict.fromkeys((*self.about, *doubtful)))

    def given(self, where: str) -> Any:
        """What stands at a pointer; None where nothing does."""
        try:
            return value_at(self.call.arguments, where)
        except EditError:
            return None

    def schemas(self, where: str) -> Iterator[Mapping[str, Any]]:
        """Everything that the tool and the policy say of the argument at a pointer."""
        yield from _described(self.spec.parameters, parts_of(where))
        yield from self.limits(where)

    def limits(self, where: str) -> Iterator[Mapping[str, Any]]:
        """What the policy alone says of it."""
        for constraint in self.view.constraints:
            yield from _described(constraint.schema, parts_of(where))

    def required(self, where: str) -> bool:
        """Whether the tool or the policy requires the key that a pointer names."""
        holder, _, name = where.rpartition("/")
        listed = [item for s in self.schemas(holder) for item in s.get("required") or ()]
        return bool(
            {same_name(str(n)) for n in listed} & {same_name(p) for p in parts_of("/" + name)}
        )

    def lists(self) -> dict[str, frozenset[int]]:
        """Lists that hold suspects, with the places of those."""
        found: dict[str, set[int]] = {}
        for where in self.suspects:
            parts = parts_of(where)
            for depth in range(len(parts) - 1, 0, -1):
                holder = pointer_of(parts[:depth])
                if isinstance(self.given(holder), list) and parts[depth].isdecimal():
                    found.setdefault(holder, set()).add(int(parts[depth]))
                    break
            else:
                if isinstance(self.given(where), list):
                    found.setdefault(where, set())
        for name in self.identities:
            listed = self.call.arguments.get(name)
            if isinstance(listed, list):
                found.setdefault(f"/{escape(name)}", set())
        return {where: frozenset(places) for where, places in found.items()}

    def named(self, where: str) -> frozenset[int]:
        """Places of a list whose values the authority named, each in one leaf at least."""
        listed, found = self.given(where), set()
        for i, item in enumerate(listed if isinstance(listed, list) else ()):
            known = (self.lineage.get(leaf.path) for leaf in leaves(item, f"{where}/{i}"))
            if any(leaf is not None and leaf.named for leaf in known):
                found.add(i)
        return frozenset(found)


def pointer_of(parts: tuple[str, ...]) -> str:
    """The JSON pointer of some parts."""
    return "".join(f"/{escape(part)}" for part in parts)


def _described(schema: Any, parts: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    stack = [(schema, parts)]
    for _ in range(_MOST_SCHEMAS):
        if not stack:
            return
        item, left = stack.pop()
        here = resolved_ref(item, schema)
        for key in ("allOf", "anyOf", "oneOf"):
            branches = here.get(key)
            stack += [(b, left) for b in branches] if isinstance(branches, list) else []
        if not left:
            yield here
            continue
        listed, inner = here.get("properties"), here.get("items")
        for name, child in listed.items() if isinstance(listed, Mapping) else ():
            if same_name(name) == same_name(left[0]):
                stack.append((child, left[1:]))
        if left[0].isdecimal() and isinstance(inner, Mapping):
            stack.append((inner, left[1:]))

"""Policies in the shapes that people write them; each allows what its plan does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatling_guard.training.toolsets import Tool
from gatling_guard.training.values import World

Json = dict[str, Any]


def policy(
    world: World, role: str, tools: Json, others: list[Tool], most: int, grant: Json | None
) -> Json | None:
    """A policy, or None where there is none.

    Args:
        world: source of values.
        role: of the user.
        tools: entries that are allowed, by name.
        others: tools that the plan does not use; some become forbidden.
        most: the largest limit that the plan needs.
        grant: a grant in the form of `gatling_guard.policy`, which only that shape can say.
    """
    allowed = list(tools)
    allowed += [tool.name for tool in others[len(others) // 2 :]]
    forbidden = [tool.name for tool in others[: len(others) // 2]]
    if grant is not None:
        return _own(world, role, allowed, forbidden, most) | {"grants": [grant]}
    if world.chance(0.12):
        return None
    return world.pick(_SHAPES)(world, role, allowed, forbidden, most)


def _own(w: World, role: str, allowed: list[str], forbidden: list[str], most: int) -> Json:
    found: Json = {"version": 1, "name": f"{role} policy"}
    if w.chance(0.6):
        found["roles"] = {role: {"tools": allowed}}
        found["default_role"] = role
    if forbidden:
        found["tools"] = {name: {"allow": False} for name in forbidden}
    if w.chance(0.4):
        found["limits"] = {"max_calls": w.pick((50, 100, 200, 1000))}
    return found


def _seed(w: World, role: str, allowed: list[str], forbidden: list[str], most: int) -> Json:
    found: Json = {"domain": w.pick(("office", "operations", "personal", "team"))}
    found["allowed_operations"] = allowed
    if forbidden:
        found["forbidden_operations"] = forbidden
    if w.chance(0.6):
        found["max_results"] = _ceiling(w, most)
    return found


def _flat(w: World, role: str, allowed: list[str], forbidden: list[str], most: int) -> Json:
    found: Json = {"allowed_tools": allowed, "limits": {"rows": _ceiling(w, most)}}
    if forbidden:
        found["forbidden_tools"] = forbidden
    if w.chance(0.3):
        found["working_hours"] = {"from": "08:00", "to": "18:00"}
    return found


def _roles(w: World, role: str, allowed: list[str], forbidden: list[str], most: int) -> Json:
    other = w.pick(("guest", "external", "trainee"))
    mine: Json = {"permissions": {"allow": allowed, "deny": forbidden}}
    mine["limits"] = {"per_request": _ceiling(w, most)}
    return {"roles": {role: mine, other: {"permissions": {"allow": allowed[:1]}}}}


def _statements(w: World, role: str, allowed: list[str], forbidden: list[str], most: int) -> Json:
    found = [{"effect": "allow", "principal": role, "actions": allowed}]
    if forbidden:
        found.append({"effect": "deny", "principal": "*", "actions": forbidden})
    return {"statements": found, "default": w.pick(("deny", "ask"))}


def _rules(w: World, role: str, allowed: list[str], forbidden: list[str], most: int) -> Json:
    found = [f"The {role} may use {', '.join(allowed)}."]
    found += [f"Never use {name}." for name in forbidden]
    found.append(f"Never ask for more than {_ceiling(w, most)} results at once.")
    if w.chance(0.5):
        found.append("Do not send personal data to people outside of the company unless asked to.")
    return {"rules": found}


def _per_tool(w: World, role: str, allowed: list[str], forbidden: list[str], most: int) -> Json:
    tools: Json = {name: {"allow": True, "max_per_day": w.pick((20, 50, 100))} for name in allowed}
    tools |= {name: {"allow": False} for name in forbidden}
    return {"policy": {"subject": {"role": role}, "tools": tools, "paging": _ceiling(w, most)}}


def _ceiling(w: World, most: int) -> int:
    return max(most, w.pick((10, 20, 50, 100)))


_SHAPES: tuple[Callable[[World, str, list[str], list[str], int], Json], ...] = (
    _own,
    _seed,
    _flat,
    _roles,
    _statements,
    _rules,
    _per_tool,
)

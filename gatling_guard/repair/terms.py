"""What is known of a call whose arguments before and after a repair are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gatling_guard.catalog.types import ToolProfile, ToolSpec
from gatling_guard.repair.types import Scene
from gatling_guard.rules.references import listed_only


@dataclass(frozen=True)
class Terms:
    """What is known of the call whose arguments are compared."""

    profile: ToolProfile
    properties: Mapping[str, Any] | None
    """Of the tool's schema; None where it says nothing of others."""
    bounds: Callable[[str], Mapping[str, Any]]
    """`minimum` and `maximum` of an argument, by schema and policy."""
    named: Callable[[Any], bool]
    """Whether the trusted side itself gave a value."""

    def identity(self, top: str, name: str) -> bool:
        """Whether a leaf says who, where, which, how much or what to run."""
        args = (*self.profile.identity_args, *self.profile.url_args)
        return top in args or name in args

    def listed(self, top: str) -> bool:
        """Whether the tool's schema may know the argument."""
        return self.properties is None or top in self.properties


def terms_of(spec: ToolSpec, scene: Scene) -> Terms:
    """The terms of a tool.

    Args:
        spec: of the tool that is called afterwards.
        scene: what was authorised.
    """
    listed = listed_only(spec.parameters)
    properties = spec.parameters.get("properties")
    shapes: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
    limits = [
        rule.arguments.get("properties", {})
        for _, rule in scene.policy.entries([spec.name, *spec.aliases])
        if rule.arguments is not None
    ]

    def bounds(name: str) -> dict[str, Any]:
        """The tightest `minimum` and `maximum`."""
        found: dict[str, Any] = {}
        for key, tighter in (("maximum", min), ("minimum", max)):
            said = [s[name].get(key) for s in (shapes, *limits) if isinstance(s.get(name), dict)]
            if numbers := [n for n in said if isinstance(n, (int, float))]:
                found[key] = tighter(numbers)
        return found

    return Terms(
        profile=spec.profile,
        properties=None if listed is None else shapes,
        bounds=bounds,
        named=_naming(scene),
    )


def _naming(scene: Scene) -> Callable[[Any], bool]:
    @cache
    def named(value: Any) -> bool:
        origin = scene.authority.find(value)
        return origin is not None and origin.vouches

    return named

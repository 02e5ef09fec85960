"""Overlay what an author declares on what was inferred."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from typing import Any

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.types import Effect, ToolProfile
from gatling_guard.errors import Issue, ToolSpecError
from gatling_guard.plan import Provenance, did_you_mean


def declare(profile: ToolProfile, **fields: Any) -> ToolProfile:
    """The profile with declared fields in place of inferred ones.

    A declared effect also resets what follows from an effect (sink, privilege, reversible) unless
    those are declared too. A declared tier holds for all that the tool returns: inferred
    third-party fields are dropped unless they are declared too.

    Args:
        profile: what is known so far.
        **fields: fields of `ToolProfile`, also in the spelling of a policy file (effect `"send"`,
            tier `3` or `"public"`, lists for tuples). `provenance` is another word for `tier`.

    Raises:
        ToolSpecError: with one issue for each unknown field and each bad value.
    """
    if not fields:
        return profile
    issues: list[Issue] = []
    values: dict[str, Any] = {}
    for given, value in fields.items():
        name = "tier" if given == "provenance" else given
        try:
            if name in values:
                raise ValueError("tier and provenance are the same field")
            values[name] = _reader(given)(value)
        except ValueError as error:
            issues.append(Issue(f"/profile/{given}", str(error)))
    if issues:
        raise ToolSpecError(issues, what="declared profile")
    return replace(profile, **(_follows(profile, values) | values | {"basis": "declared"}))


def _follows(profile: ToolProfile, values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (
        {"third_party": (), "text_tier": values["tier"]} if "tier" in values else {}
    )
    effect = values.get("effect")
    if effect is None:
        return found
    if effect is profile.effect:
        return found | {"confidence": 1.0}
    return found | {
        "confidence": 1.0,
        "sink": effect in lex.LEAVES or (profile.sink and effect.side_effect),
        "privilege": lex.PRIVILEGE[effect],
        "reversible": effect not in lex.LASTING,
    }


def _reader(name: str) -> Callable[[Any], Any]:
    reader = _READERS.get(name)
    if reader is None:
        known = sorted(_READERS)
        meant = did_you_mean(name, known)
        raise ValueError(f"no field of a profile{meant}; there are: {', '.join(known)}")
    return reader


def _effect(value: Any) -> Effect:
    try:
        return Effect(value)
    except (ValueError, TypeError):
        known = ", ".join(effect.value for effect in Effect)
        raise ValueError(f"{value!r:.60} is no effect; one of: {known}") from None


def _tier(value: Any) -> Provenance:
    if isinstance(value, str) and value.upper() in Provenance.__members__:
        return Provenance[value.upper()]
    if isinstance(value, bool) or not isinstance(value, int) or value not in (1, 2, 3):
        raise ValueError(f"{value!r:.60} is no tier; 1 (internal), 2 (partner) or 3 (public)")
    return Provenance(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise ValueError(f"expected a list of names, not {type(value).__name__}")
    if not all(isinstance(item, str) and item for item in value):
        raise ValueError("expected a list of non-empty names")
    return tuple(sorted(value)) if isinstance(value, (set, frozenset)) else tuple(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {value!r:.60}")
    return value


def _level(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10:
        raise ValueError(f"expected a whole number from 1 to 10, not {value!r:.60}")
    return value


def _number(value: Any, low: float, high: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ValueError(f"expected a number from {low} to {high}, not {value!r:.60}")
    return float(value)


def _cost(value: Any) -> float:
    return _number(value, 0.0, 1e12)


def _confidence(value: Any) -> float:
    return _number(value, 0.0, 1.0)


_READERS: dict[str, Callable[[Any], Any]] = {
    "effect": _effect,
    "tier": _tier,
    "provenance": _tier,
    "text_tier": _tier,
    "third_party": _names,
    "sink": _flag,
    "identity_args": _names,
    "content_args": _names,
    "url_args": _names,
    "notifies": _names,
    "privilege": _level,
    "scope": _level,
    "reversible": _flag,
    "cost": _cost,
    "confidence": _confidence,
}
# Every field but `basis`, which says where the others come from; `provenance` is `tier`.
_FIELDS = {f.name for f in dataclass_fields(ToolProfile)}
assert set(_READERS) == _FIELDS - {"basis"} | {"provenance"}

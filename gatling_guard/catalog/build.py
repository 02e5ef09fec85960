"""The one place where checked parts become a `ToolSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gatling_guard.catalog import schema
from gatling_guard.catalog.declare import declare
from gatling_guard.catalog.infer import infer_profile
from gatling_guard.catalog.types import ToolSpec
from gatling_guard.errors import Issue, ToolSpecError
from gatling_guard.plan import digest


@dataclass(frozen=True, slots=True)
class Parts:
    """What a foreign object says of a tool, unchecked."""

    name: object
    description: object = None
    parameters: object = None
    output_schema: object = None
    annotations: object = None


def build(
    parts: Parts, declared: Mapping[str, Any], *, trust_annotations: bool = False
) -> ToolSpec:
    """Check the parts, infer the profile and overlay what is declared.

    Args:
        parts: as read from the foreign object.
        declared: fields of the profile, and `aliases`.
        trust_annotations: see `infer_profile`.

    Raises:
        ToolSpecError: with every fault of the parts and of what is declared.
    """
    issues: list[Issue] = []
    fields = dict(declared)
    aliases = schema.check_names(fields.pop("aliases", ()), issues, where="/aliases")
    spec = ToolSpec(
        name=schema.check_name(parts.name, issues),
        description=schema.check_description(parts.description, issues),
        parameters=schema.check_parameters(parts.parameters, issues),
        output_schema=schema.check_output(parts.output_schema, issues),
        annotations=schema.check_annotations(parts.annotations, issues),
        aliases=aliases,
    )
    profile = infer_profile(
        spec.name,
        spec.description,
        spec.parameters,
        spec.annotations,
        output_schema=spec.output_schema,
        trust_annotations=trust_annotations,
    )
    try:
        profile = declare(profile, **fields)
    except ToolSpecError as error:
        issues += error.issues
    if issues:
        raise ToolSpecError(issues, what=f"tool {spec.name!r:.80}" if spec.name else "tool")
    return replace(spec, profile=profile)


def spec_digest(spec: ToolSpec) -> str:
    """SHA-256 (hex) over everything a spec says: equal digests mean the same tool."""
    profile = spec.profile
    return digest(
        {
            "name": spec.name,
            "description": spec.description,
            "parameters": spec.parameters,
            "output_schema": spec.output_schema,
            "annotations": spec.annotations,
            "aliases": list(spec.aliases),
            "profile": {
                name: list(value) if isinstance(value, tuple) else value
                for name in profile.__slots__
                for value in (getattr(profile, name),)
            },
        }
    )

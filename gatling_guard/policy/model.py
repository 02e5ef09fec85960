"""What a policy says (design.md, section 3; docs/policy.md describes every key)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from gatling_guard.catalog.types import Effect
from gatling_guard.plan import Provenance, digest
from gatling_guard.policy.boundary import Boundary
from gatling_guard.policy.budgets import Budgets
from gatling_guard.policy.constraints import constants
from gatling_guard.policy.fields import (
    HOLD_SCHEMA,
    ON_ERROR_SCHEMA,
    Arguments,
    Count,
    Flag,
    FlowField,
    Glob,
    Globs,
    Level,
    Names,
    Number,
    Origins,
    Text,
    ThirdParty,
    as_hold,
    as_on_error,
    check_version,
)
from gatling_guard.policy.flows import TIERS
from gatling_guard.policy.grants import Grant
from gatling_guard.policy.patterns import glob_match
from gatling_guard.policy.repair import Repairs


class _Section(BaseModel):
    # Built at first use: a policy is made once, and the import has to stay cheap.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Role(_Section):
    """What may be done on behalf of a role."""

    tools: Globs
    """Tools it may call; nothing else."""
    deny: Globs = ()
    """Tools it may not call although `tools` matches."""
    effects: tuple[Effect, ...] | None = None
    """Effects it may have; left out: any."""
    scope: Level = 10
    """Highest scope of a call (1..10)."""
    budgets: Budgets = Field(default_factory=dict)
    """Most of a kind in one session, over all tools of the role."""


class HoldText(_Section):
    """Why a call of this tool is held."""

    message: Annotated[str, Strict(), Field(max_length=1000)] = ""


class ToolRule(_Section):
    """What the policy says of the tools that match one name or glob.

    The first group declares the tool's profile; the second restricts its calls.
    """

    effect: Effect | None = None
    provenance: Literal["internal", "partner", "public"] | None = None
    """Tier of what it returns. A partner counts as public unless `signed` (R51)."""
    signed: Flag = False
    """The channel proves that the partner sent it (mutual TLS, signed messages)."""
    third_party: ThirdParty | None = None
    sink: Flag | None = None
    privilege: Level | None = None
    scope: Level | None = None
    reversible: Flag | None = None
    identity_args: Names | None = None
    content_args: Names | None = None
    url_args: Names | None = None
    notifies: Names | None = None
    cost: Number | None = None

    allow: Flag | None = None
    """`false`: never called. `true`: may be called although unregistered. The most specific
    entry that says either decides, so that `"*": {allow: false}` is a default."""
    hold: Annotated[
        HoldText | None,
        BeforeValidator(as_hold),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "null"}, HOLD_SCHEMA]}),
    ] = None
    arguments: Arguments | None = None
    """Constraints; patterns match the whole value."""
    extra_arguments: Literal["allow", "block"] | None = None
    """Arguments that neither the tool's schema nor `arguments` names."""
    origin: dict[Text, Origins] = Field(default_factory=dict)
    """Where the value of an argument must come from."""
    max_calls: Count | None = None
    """Most calls of this tool in one session."""
    budgets: Budgets = Field(default_factory=dict)
    """Most of a kind in one session, over all tools that match."""


class Hold(_Section):
    """Calls that wait for a person: all that is given must apply."""

    tools: Globs | None = None
    effects: tuple[Effect, ...] | None = None
    irreversible: Flag | None = None
    reason: Text

    @field_validator("reason")
    @classmethod
    def _some_condition(cls, value: str, info: ValidationInfo) -> str:
        given = [info.data.get(key, True) for key in ("tools", "effects", "irreversible")]
        if all(item is None for item in given):
            raise ValueError("a hold needs at least one of tools, effects, irreversible")
        return value


class EnergyBounds(_Section):
    """What a score means. Hard rules come first and no score clears them."""

    allow_below: Number = 2.0
    block_above: Number = 8.0
    grey: Literal["hold", "block"] = "hold"
    """Between the two, for calls that cannot be undone."""
    grey_reversible: Literal["allow", "hold", "block"] = "allow"
    """Between the two, for calls that an ordinary user can undo."""
    hold_reversible_from: Number = 3.0
    """From so much learned energy on, they are held all the same where they would be allowed."""

    @field_validator("block_above")
    @classmethod
    def _ordered(cls, value: float, info: ValidationInfo) -> float:
        low = info.data.get("allow_below", 0.0)
        if value < low:
            raise ValueError(f"should not be below allow_below ({low:g})")
        return value


class Limits(_Section):
    """Bounds in time and number."""

    deadline_ms: Annotated[int, Strict(), Field(ge=1, le=60_000)] = 250
    hold_expires_s: Annotated[int, Strict(), Field(ge=1, le=31_536_000)] = 3600
    max_calls: Annotated[int, Strict(), Field(ge=1, le=1_000_000)] = 10_000
    """Most calls in one session."""


class OnError(_Section):
    """The fail mode: what happens when a check itself fails or takes too long."""

    action: Literal["block"] = "block"
    allow_up_to_privilege: Annotated[int, Strict(), Field(ge=0, le=10)] = 0
    """Calls of tools up to this privilege run all the same; 0: none."""

    def blocks(self, privilege: int) -> bool:
        """Whether a failed check stops a call of this privilege (R140)."""
        return privilege > self.allow_up_to_privilege


_PROFILE = (
    *("effect", "third_party", "sink", "privilege", "scope", "reversible"),
    *("identity_args", "content_args", "url_args", "notifies", "cost"),
)


class Policy(_Section):
    """What is authorised (frozen). Make one with `load_policy`, which reports every fault."""

    version: Annotated[
        int,
        Strict(),
        AfterValidator(check_version),
        WithJsonSchema({"const": 1, "type": "integer"}),
    ] = 1
    name: Annotated[str, Strict(), Field(max_length=200)] = ""
    mode: Literal["enforce", "shadow"] = "enforce"
    on_error: Annotated[
        OnError,
        BeforeValidator(as_on_error),
        WithJsonSchema({"anyOf": [{"const": "block"}, ON_ERROR_SCHEMA]}),
    ] = Field(default_factory=OnError)
    unknown_tools: Literal["block", "hold", "allow"] = "block"
    roles: dict[Text, Role] = Field(default_factory=dict)
    default_role: Text | None = None
    tools: dict[Glob, ToolRule] = Field(default_factory=dict)
    flows: tuple[FlowField, ...] = ()
    holds: tuple[Hold, ...] = ()
    grants: tuple[Grant, ...] = ()
    """Which source may direct which effects."""
    boundary: Boundary = Field(default_factory=Boundary)
    energy: EnergyBounds = Field(default_factory=EnergyBounds)
    limits: Limits = Field(default_factory=Limits)
    repair: Repairs = Field(default_factory=Repairs)
    require_session: Flag = False

    @field_validator("default_role")
    @classmethod
    def _role_exists(cls, value: str | None, info: ValidationInfo) -> str | None:
        roles = info.data.get("roles")
        if value is not None and roles is not None and value not in roles:
            raise ValueError(f"no role {value!r} in `roles`")
        return value

    @field_validator("grants")
    @classmethod
    def _grants_for_known_roles(
        cls, value: tuple[Grant, ...], info: ValidationInfo
    ) -> tuple[Grant, ...]:
        known = info.data.get("roles")
        for number, grant in enumerate(value):
            unknown = [r for r in grant.roles or () if known is not None and r not in known]
            if unknown:
                raise ValueError(f"grant {number + 1}: no role {unknown[0]!r} in `roles`")
        return value

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything the policy says, defaults included."""
        return digest(self.model_dump(mode="json"))

    def entries(self, names: Iterable[str]) -> tuple[tuple[str, ToolRule], ...]:
        """All `tools` entries that match one of `names`, most specific first.

        An exact name comes before every glob, a longer glob before a shorter one.
        """
        names = tuple(names)
        found = [
            (glob, rule)
            for glob, rule in self.tools.items()
            if any(glob_match(glob, name) for name in names)
        ]
        return tuple(sorted(found, key=lambda item: (item[0] not in names, -len(item[0]), item[0])))

    def declared_profile(self, tool_name: str) -> dict[str, Any]:
        """The fields of `ToolProfile` that this policy declares for a tool.

        Per field the most specific entry that gives it decides.
        """
        found: dict[str, Any] = {}
        for _, rule in self.entries([tool_name]):
            for field in _PROFILE:
                if (value := getattr(rule, field)) is not None:
                    found.setdefault(field, value)
            if rule.provenance is not None:
                found.setdefault("tier", source_tier(rule.provenance, signed=rule.signed))
        return found

    def literals(self) -> tuple[str, ...]:
        """Values that the policy itself names as trusted, without repeats.

        Entries of the boundary, and texts that an argument constraint lists as allowed.
        """
        return self._literals

    @cached_property
    def _literals(self) -> tuple[str, ...]:
        found = dict.fromkeys(self.boundary.entries())
        for rule in self.tools.values():
            found |= dict.fromkeys(constants(rule.arguments))
        return tuple(found)


def source_tier(source: str | None, *, signed: bool = False) -> Provenance:
    """Tier of data from what is known of its source (R51).

    Unknown counts as public, and so does a partner whose channel does not prove who sent it.
    """
    tier = TIERS.get(source or "", Provenance.PUBLIC)
    return Provenance.PUBLIC if tier is Provenance.PARTNER and not signed else tier


def policy_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a policy; also in `docs/schemas/policy.schema.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Policy.model_json_schema(),
    }

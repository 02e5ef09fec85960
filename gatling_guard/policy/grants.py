"""Grants: which source may direct which effects, up to what, to whom, for how long (design, P5).

A grant is the one way to say that text of third parties may decide something. It comes from the
policy (`grants:`) or from one answer of a person to a hold (`AnsweredGrant`). Whoever matches it
compares strictly: a look-alike letter, a longer address or a hidden character is another value.
Sees: names and values. Does not see: whether the source is worth the trust.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
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
from gatling_guard.plan import digest
from gatling_guard.policy.boundary import Boundary
from gatling_guard.policy.fields import ONE_OR_MORE, Globs, Names, Number, Text
from gatling_guard.policy.patterns import check_glob, glob_match

MAX_VALUE = 4096
"""Longer values are nobody's name or address."""
BELOW = "/**"
"""Ends a `where` pattern that means a folder or site and all below it."""
_ESCAPED = re.compile(r"[\\]|%(?:2e|2f|5c|00)", re.IGNORECASE)
"""Characters that may lead out of a folder, or end a path, where they are decoded later."""
_NO_ROOT = re.compile(r"(?:[A-Za-z][\w+.-]*:)?/*\Z")
_PARTS = re.compile(r"[/\\@:?#]")
"""Where the wildcard of a `where` pattern ends: `bill-*.txt` is no path out of the folder."""
_MAIL = re.compile(r"[a-z0-9._%+'-]{1,64}@([a-z0-9.-]{1,253})\Z")

Basis = Literal["policy", "answer"]


def check_party(text: str) -> str:
    """One entry of `to`, or a ValueError that says what is wrong."""
    if text.startswith(("*@", "*.")):
        Boundary(domains=(text[2:],))
    elif "*" in text:
        raise ValueError("only `*@domain` and `*.domain` are patterns here; list the values")
    return text


def _as_source(value: object) -> object:
    return {"tool": value} if isinstance(value, (str, list, tuple)) else value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Parties = Annotated[
    tuple[Annotated[Text, AfterValidator(check_party)], ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 1000},
                {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
            ]
        }
    ),
]


def check_where(pattern: str) -> str:
    """One pattern for the value of an argument, or a ValueError that says what is wrong."""
    check_glob(pattern)
    root = pattern.removesuffix(BELOW)
    if "**" in root or (root != pattern and set("*?") & set(root)):
        raise ValueError("`**` stands only at the end, behind `/`, and beside no other wildcard")
    if root != pattern and _NO_ROOT.match(root):
        raise ValueError("`/**` needs a folder or host before it")
    return pattern


Values = Annotated[
    tuple[Annotated[Text, AfterValidator(check_where)], ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema(ONE_OR_MORE),
]
Patterns = dict[Text, Values]
"""Arguments, each with the values it may have."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class GrantSource(_Section):
    """Whose output directs: the output of these tools, called so, of a record like this."""

    tool: Annotated[Globs, Field(min_length=1)]
    where: Patterns = Field(default_factory=dict)
    """Arguments of that call, each with the values it may have. `*` stops at `/ @ : ? #`; `/**`
    at the end is all below it, and what it stands behind."""
    fields: dict[Text, Parties] = Field(default_factory=dict)
    """Fields of the same output record (a mail's `sender`), each with the values it may have.
    Only believed where the tool returns objects or JSON."""


SourceField = Annotated[
    GrantSource,
    BeforeValidator(_as_source),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 256},
                {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
                {
                    "type": "object",
                    "properties": {
                        "tool": {"type": ["string", "array"]},
                        "where": {"type": "object", "additionalProperties": True},
                        "fields": {"type": "object", "additionalProperties": True},
                    },
                    "required": ["tool"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
Seconds = Annotated[float, Strict(), Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Uses = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]


class GrantTerms(_Section):
    """What a person who answers a hold wants granted; what is left out follows the held call."""

    effects: tuple[Effect, ...] | None = None
    tools: Globs | None = None
    to: Parties | None = None
    limits: dict[Text, Number] | None = None
    calls: Uses | None = None
    expires_s: Seconds | None = None
    free: Annotated[tuple[Text, ...], BeforeValidator(_listed)] = ()
    """Switches (`urgent`, `recurring`, a currency) that may differ from the held call's."""
    reason: Annotated[str, Strict(), Field(max_length=1000)] = ""


class Grant(_Section):
    """All that is given must hold. It clears scores only: a rule that vetoes stays a veto."""

    source: SourceField
    also: tuple[SourceField, ...] = ()
    """More sources: one call may take its values from several of them (the site from a page, the
    code for it from a mail). Without, all of them come from `source`."""
    effects: tuple[Effect, ...] | None = None
    tools: Globs | None = None
    to: Parties | None = None
    """Identity values (recipient, account, path, URL) it may go to: exact, `*@domain` (mail of
    that domain) or `*.domain` (boundary-like, with subdomains). Left out: any the source names."""
    limits: dict[Text, Number] = Field(default_factory=dict)
    """Argument -> largest number, per call. A call without that argument is not covered."""
    only: Patterns = Field(default_factory=dict)
    """Argument of the granted call -> the values it may have, whoever gave them; patterns as in
    `where`. A call without that argument is not covered."""
    calls: Uses | None = None
    """Most calls in one session."""
    expires_s: Seconds | None = None
    """Seconds from the start of the session; of an answered grant, from the answer."""
    roles: Annotated[Names, Field(min_length=1)] | None = None
    """Roles it is for; left out: all."""
    reason: Text

    @field_validator("reason")
    @classmethod
    def _some_effect(cls, value: str, info: ValidationInfo) -> str:
        if not any(info.data.get(key, True) for key in ("effects", "tools")):
            raise ValueError("a grant needs at least one of effects, tools")
        return value

    @property
    def basis(self) -> Basis:
        """Who gave it."""
        return "policy"

    @property
    def sources(self) -> tuple[GrantSource, ...]:
        """All that may direct."""
        return (self.source, *self.also)

    @cached_property
    def grant_id(self) -> str:
        """Names the grant in receipts; equal for equal grants."""
        return digest([type(self).__name__, self.model_dump(mode="json")])[:16]

    def allows(self, tool: str, effect: Effect, role: str | None) -> bool:
        """Whether calls of this tool and effect under this role may be covered at all."""
        if self.effects is not None and effect not in self.effects:
            return False
        if self.roles is not None and role not in self.roles:
            return False
        return self.allows_tool(tool)

    def allows_tool(self, tool: str) -> bool:
        """Whether `tools` holds this registered name."""
        return self.tools is None or any(glob_match(glob, tool) for glob in self.tools)

    @property
    def addressed(self) -> bool:
        """Whether it says to whom."""
        return self.to is not None

    @property
    def parties(self) -> tuple[str, ...]:
        """The values among which its recipients are, patterns included."""
        return self.to or ()

    def allows_party(self, value: object) -> bool:
        """Whether it may go to this identity value."""
        return self.to is None or party_match(self.to, value)


class AnsweredGrant(Grant):
    """Made of a person's answer to a hold; valid in that session, for that very text only."""

    by: str
    hold_id: str
    created: float
    """By the guard's clock."""
    digests: tuple[str, ...]
    """Of the outputs that directed the held call. No other output is this source."""
    tool_name: str = ""
    """The held call's tool, compared exactly; "" where the person named tools."""
    recipients: tuple[str, ...] | None = None
    """The held call's parties, compared exactly; None where the person named them or the call had
    none."""

    fixed: tuple[tuple[str, str], ...] | None = None
    """The held call's switches, path and value, compared exactly; None where the person named
    tools."""
    free: tuple[str, ...] = ()
    """Arguments that are not bound so."""

    @property
    def basis(self) -> Basis:
        """Who gave it."""
        return "answer"

    def allows_tool(self, tool: str) -> bool:
        """The held call's own tool, or those the person named."""
        return tool == self.tool_name if self.tool_name else super().allows_tool(tool)

    @property
    def addressed(self) -> bool:
        """Whether it says to whom."""
        return self.recipients is not None or super().addressed

    @property
    def parties(self) -> tuple[str, ...]:
        """The held call's own recipients, or those the person named."""
        return super().parties if self.recipients is None else self.recipients

    def allows_party(self, value: object) -> bool:
        """One of the held call's own recipients, or of those the person named."""
        if self.recipients is not None:
            return _compact(value) in {_compact(known) for known in self.recipients}
        return super().allows_party(value)


def party_match(allowed: tuple[str, ...], value: object) -> bool:
    """Whether an identity value is one of those listed, or certainly of a listed domain."""
    text = _compact(value)
    if not text or len(text) > MAX_VALUE:
        return False
    exact, mail_domains, boundary = _parties(allowed)
    found = _MAIL.match(text)
    if text in exact or (found is not None and found[1] in mail_domains):
        return True
    return bool(boundary.domains) and isinstance(value, str) and boundary.inside(value)


@lru_cache(maxsize=512)
def _parties(allowed: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str], Boundary]:
    exact = frozenset(_compact(text) for text in allowed if not text.startswith(("*@", "*.")))
    mail = frozenset(text[2:].strip().lower() for text in allowed if text.startswith("*@"))
    domains = tuple(text[2:] for text in allowed if text.startswith("*."))
    return exact, mail, Boundary(domains=domains)


def _compact(value: object) -> str:
    """Spaces and case do not tell two accounts apart; anything else does.

    Not so inside an address, where a blank may begin another one. Letters that only become ASCII
    by folding (the Kelvin sign) are other letters.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    text = str(value).strip()
    if not text.isascii():
        return text
    return text.lower() if "@" in text or "/" in text else "".join(text.split()).lower()


def where_match(patterns: tuple[str, ...], value: object) -> bool:
    """Whether an argument of the source call has one of the values that the grant names."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    text = str(value)
    if len(text) > MAX_VALUE or not text.isprintable():
        return False
    return any(text == pattern or _anchored(pattern, text) for pattern in patterns)


def _anchored(pattern: str, text: str) -> bool:
    """Part by part, so that no wildcard reaches into another folder, host or query."""
    if pattern.endswith(BELOW):
        return _below(pattern[: -len(BELOW)], text)
    if not set("*?") & set(pattern):
        return False
    parts, wanted = _PARTS.split(text), _PARTS.split(pattern.replace("?", "\x00"))
    if _PARTS.findall(text) != _PARTS.findall(pattern.replace("?", "\x00")) or ".." in parts:
        return False
    return all(
        (part == want) if not (part and want) else glob_match(want.replace("\x00", "?"), part)
        for want, part in zip(wanted, parts, strict=True)
    )


def _below(root: str, text: str) -> bool:
    """Whether a text is a folder or site itself, or an address below it."""
    rest = text.removeprefix(root)
    if not text.startswith(root) or (rest and rest[0] not in "/?#"):
        return False
    return ".." not in _PARTS.split(rest) and _ESCAPED.search(rest) is None


def as_receipt(grant: Grant) -> dict[str, Any]:
    """What a receipt says of the grant that was used."""
    by = grant.by if isinstance(grant, AnsweredGrant) else None
    return {
        "id": grant.grant_id, "basis": grant.basis, "by": by, "reason": grant.reason,
        "source": [tool for source in grant.sources for tool in source.tool],
    }  # fmt: skip

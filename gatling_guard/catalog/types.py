"""What is known of a tool: its schema and its profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from gatling_guard.plan import Provenance


class Effect(str, Enum):
    """What a call does to the world."""

    READ = "read"
    STATE_CHANGING_READ = "state_changing_read"
    """Returns data and also changes something (marks mail as read, consumes a token)."""
    WRITE = "write"
    SEND = "send"
    """Data or a message reaches another party."""
    EXECUTE = "execute"
    DELETE = "delete"
    PAY = "pay"
    PERMIT = "permit"
    """Somebody gains access: share, invite, grant, change a password."""

    @property
    def changes_state(self) -> bool:
        """Whether anything but the conversation is different afterwards."""
        return self is not Effect.READ

    @property
    def side_effect(self) -> bool:
        """Whether the change is what the call is for (not so for a state-changing read)."""
        return self not in (Effect.READ, Effect.STATE_CHANGING_READ)


_MAX_NESTING = 8
_MAX_NODES = 1_000

Basis = Literal["declared", "annotated", "inferred"]


@dataclass(frozen=True, slots=True)
class ToolProfile:
    """How a tool behaves: declared by its author, else annotated, else inferred."""

    effect: Effect
    tier: Provenance = Provenance.INTERNAL
    """Tier of what it returns, where `third_party` says nothing else."""
    third_party: tuple[str, ...] = ()
    """Output fields that third parties write (names or globs; `*` = all of it): tier 3."""
    text_tier: Provenance = Provenance.INTERNAL
    """Tier of running text in what it returns, where `third_party` says nothing of it. Inferred
    profiles of tools that read have PUBLIC: whatever the noun, anybody may have written it."""
    sink: bool = False
    """Data given to it leaves the user's side, whatever the destination (mail, post, pay)."""
    identity_args: tuple[str, ...] = ()
    """Arguments that say who, where, which or how much: recipient, path, account, id, amount,
    command, URL."""
    content_args: tuple[str, ...] = ()
    """Arguments that carry free text: body, subject, title, note."""
    url_args: tuple[str, ...] = ()
    """Arguments that hold a URL or host: even a read through them can carry data out."""
    notifies: tuple[str, ...] = ()
    """Arguments, nested ones too, whose presence makes the call reach another party, where the tool
    by itself does not: the participants of a calendar event get an invitation. See `notified`."""
    privilege: int = 1
    """1 (reads public data) .. 10 (moves money, runs commands, grants access)."""
    scope: int = 1
    """1..10: how much data one call can reach."""
    reversible: bool = True
    """Whether an ordinary user could undo it, unless `notified` says that others hear of it."""
    cost: float = 0.0
    """Cost of one call, in the user's own unit."""
    basis: Basis = "inferred"
    confidence: float = 1.0
    """0..1; below 0.5 the guard assumes the worse of the candidates."""

    @property
    def egress(self) -> bool:
        """A read whose arguments name where to fetch from: data can leave inside them."""
        return bool(self.url_args) and not self.effect.side_effect

    def notified(self, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values of `notifies` that one call gives: whom it reaches beyond the tool's nature.

        Empty lists, empty texts, `false` and null reach nobody. Bounded: an argument nested
        deeper than 8, or behind 1,000 others, counts as a value of unknown content.
        """
        return _given(arguments, frozenset(self.notifies)) if self.notifies else ()


def _given(arguments: Mapping[str, Any], names: frozenset[str]) -> tuple[Any, ...]:
    """Values, not empty ones, of the named fields at any depth."""
    found: list[Any] = []
    stack: list[tuple[Any, int]] = [(arguments, 0)]
    seen = 0
    while stack:
        node, depth = stack.pop()
        seen += 1
        if seen > _MAX_NODES or depth > _MAX_NESTING:
            found.append(node)
            return tuple(found)
        for key, value in node.items() if isinstance(node, Mapping) else ():
            if key in names:
                found += [value] if value else []
            else:
                stack.append((value, depth + 1))
        if isinstance(node, (list, tuple)):
            stack += [(item, depth + 1) for item in node]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the guard knows it."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    """JSON Schema of the argument object."""
    output_schema: dict[str, Any] | None = None
    annotations: dict[str, Any] = field(default_factory=dict)
    """MCP tool annotations (`readOnlyHint`, `destructiveHint`, ...), where the tool has any."""
    aliases: tuple[str, ...] = ()
    profile: ToolProfile = field(default_factory=lambda: ToolProfile(Effect.WRITE))

"""Which repairs the policy lets happen (R60): silently, after a person was asked, or never.

A verdict is about one edit: its kind, the tool, and the argument that it changes. The strictest
word that applies counts, so that a second entry can forbid but not lift what another one forbids.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    WithJsonSchema,
)

from gatling_guard.policy.fields import Glob, Text
from gatling_guard.policy.patterns import match_any

RepairVerdict = Literal["apply", "offer", "never"]
"""Done without asking; shown to the person who is asked; not even that. In rising strictness."""
RepairKind = Literal["narrow", "redact", "hold", "split", "swap", "resource", "drop"]

_ORDER: tuple[RepairVerdict, ...] = get_args(RepairVerdict)
DEFAULTS: dict[RepairKind, RepairVerdict] = {
    "narrow": "apply",
    "redact": "apply",
    "hold": "apply",
    "drop": "apply",
    "split": "offer",
    "swap": "offer",
    "resource": "offer",
}
"""The last three put another tool or another value where the model's own stood."""

_Edits = dict[RepairKind, RepairVerdict]


def _mode(value: object) -> object:
    return "off" if value is False else value  # YAML reads a bare `off` as false


def _all_kinds(value: _Edits) -> _Edits:
    return {**DEFAULTS, **value}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ToolRepair(_Section):
    """What differs for the tools that match one name or glob."""

    edits: _Edits = Field(default_factory=dict)
    arguments: dict[Text, RepairVerdict] = Field(default_factory=dict)


class Repairs(_Section):
    """How calls that may not run as they are may be changed."""

    mode: Annotated[
        Literal["off", "offer", "apply"],
        BeforeValidator(_mode),
        WithJsonSchema({"enum": ["off", "offer", "apply", False]}),
    ] = "apply"
    """`offer`: nothing is changed silently; `off`: nothing is proposed either."""
    edits: Annotated[_Edits, AfterValidator(_all_kinds)] = Field(
        default_factory=lambda: dict(DEFAULTS)
    )
    identity: Literal["never-silent", "never"] = "never-silent"
    """Edits of recipients, accounts, paths, URLs, amounts and commands: offered, or not even
    that. An argument that an entry of `tools` lets be changed is excepted."""
    tools: dict[Glob, ToolRepair] = Field(default_factory=dict)
    min_similarity: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] = 0.9
    """Share of what was asked for that is left (R58); below it a repair is only offered."""
    width: Annotated[int, Strict(), Field(ge=1, le=64)] = 8
    """Drafts of a level that the search goes on with."""
    depth: Annotated[int, Strict(), Field(ge=1, le=16)] = 4
    """Most edits of one repair."""
    deadline_ms: Annotated[int, Strict(), Field(ge=1, le=60_000)] = 40
    """Of the search; it never gets more than is left of `limits.deadline_ms`."""

    def verdict(
        self, tool_names: Iterable[str], kind: RepairKind, argument: str = "", *, identity: bool
    ) -> RepairVerdict:
        """Whether an edit may be made silently, may be offered, or neither.

        Args:
            tool_names: the name used, the registered one, aliases: restrictions match any of them.
            kind: of the edit.
            argument: name or JSON pointer of what it changes; "" where it is the whole call.
            identity: it changes a leaf of an argument that says who, where, how much or what to
                run.

        Returns:
            The strictest of: the kind's word (of the matching `tools` entries where one of them
            names the kind, else of `edits`), the argument's, the identity rule's, and the mode's.
        """
        if self.mode == "off":
            return "never"
        names = tuple(tool_names)
        entries = [rule for glob, rule in self.tools.items() if match_any([glob], names)]
        said = [rule.edits[kind] for rule in entries if kind in rule.edits] or [self.edits[kind]]
        parts = _parts(argument)
        named = [word for rule in entries for word in _about(rule.arguments, parts)]
        if identity and (not named or "never" in named):
            said.append("offer" if self.identity == "never-silent" else "never")
        if self.mode == "offer":
            said.append("offer")
        return max((*said, *named), key=_ORDER.index)


def _parts(argument: str) -> tuple[str, ...]:
    """The names on the way to a leaf: `/message/to/0` -> message, to, 0."""
    if not argument.startswith("/"):
        return (argument,) if argument else ()
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in argument.split("/") if part)


def _about(arguments: dict[str, RepairVerdict], parts: tuple[str, ...]) -> list[RepairVerdict]:
    """A restriction in any spelling at any depth; a permission only for exactly that argument."""
    folded = {_folded(part) for part in parts}
    return [
        word
        for name, word in arguments.items()
        if (name in parts[:1] if word == "apply" else _folded(name) in folded)
    ]


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in text if char.isalnum())

"""Forbidden flows: `deny: public -> sink (identity)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from gatling_guard.catalog.types import Effect
from gatling_guard.plan import Provenance
from gatling_guard.policy.patterns import check_glob, hint

TIERS: dict[str, Provenance] = {tier.name.lower(): tier for tier in Provenance}
EFFECTS: tuple[str, ...] = tuple(effect.value for effect in Effect)
TARGETS: tuple[str, ...] = (*EFFECTS, "sink", "external")
CAUSED = "caused"
_SOURCES = (*TIERS, CAUSED)
PARTS: tuple[str, ...] = ("identity", "content")

FlowAction = Literal["deny", "hold"]


@dataclass(frozen=True, slots=True)
class Flow:
    """Data from `source` must not reach `target`, or only after a person agreed."""

    action: FlowAction
    source: str
    """A tier (`internal`, `partner`, `public`: exactly that one), `tool:<glob>`, `*`, or `caused`:
    output of a call that untrusted content caused."""
    target: str
    """An effect, `sink`, `external` (outside the boundary) or `tool:<glob>`."""
    part: str | None = None
    """Only arguments of this kind: `identity` or `content`."""

    def __str__(self) -> str:
        """As written in a policy."""
        return f"{self.action}: {self.path}"

    @property
    def path(self) -> str:
        """`source -> target`, with the part."""
        return f"{self.source} -> {self.target}" + (f" ({self.part})" if self.part else "")

    @property
    def rule(self) -> str:
        """Rule id: `flow.public-sink`."""
        return f"flow.{self.source}-{self.target}"


def parse_flow(value: Any) -> Any:
    """A `Flow` from `"deny: a -> b"` or `{"deny": "a -> b"}`.

    Raises:
        ValueError: says what is wrong and what would be right.
    """
    if isinstance(value, Flow):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        ((action, path),) = value.items()
    elif isinstance(value, str) and ":" in value:
        action, path = value.split(":", 1)
    else:
        raise ValueError("should be `deny: source -> target` or `hold: source -> target`")
    action = str(action).strip()
    if action not in ("deny", "hold"):
        guess = hint(action, ("deny", "hold"))
        raise ValueError(f"should start with `deny` or `hold`, not {action[:40]!r}{guess}")
    if not isinstance(path, str) or path.count("->") != 1 or len(path) > 600:
        raise ValueError("should name one flow, `source -> target`")
    source, target = (end.strip() for end in path.split("->"))
    target, part = _split_part(target)
    return Flow(cast(FlowAction, action), _source(source), _target(target), part)


def _split_part(target: str) -> tuple[str, str | None]:
    if not target.endswith(")"):
        return target, None
    head, _, part = target[:-1].rpartition("(")
    if part.strip() not in PARTS:
        raise ValueError(f"the part in brackets should be one of {', '.join(PARTS)}")
    return head.strip(), part.strip()


def _source(text: str) -> str:
    if text in ("*", CAUSED) or text in TIERS:
        return text
    if text.startswith("tool:"):
        return "tool:" + check_glob(text[5:].strip())
    raise ValueError(
        f"unknown source {text[:60]!r}: should be {', '.join(_SOURCES)}, `tool:<glob>` or `*`"
        + hint(text, _SOURCES)
    )


def _target(text: str) -> str:
    if text in TARGETS:
        return text
    if text.startswith("tool:"):
        return "tool:" + check_glob(text[5:].strip())
    raise ValueError(
        f"unknown target {text[:60]!r}: should be one of {', '.join(TARGETS)} or `tool:<glob>`"
        + hint(text, TARGETS)
    )


def check_origin(text: str) -> str:
    """One entry of a required origin, or a ValueError that says what is wrong."""
    known = ("instruction", "system", "policy", *TIERS, "model")
    if text in known:
        return text
    if text.startswith("tool:"):
        return "tool:" + check_glob(text[5:].strip())
    raise ValueError(
        f"unknown origin {text[:60]!r}: should be one of {', '.join(known)} or `tool:<glob>`"
        + hint(text, known)
    )

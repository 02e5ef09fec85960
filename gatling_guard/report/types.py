"""An explanation: what one decision rests on, as plain frozen values.

All texts are redacted and short, and all of them are foreign: whoever shows them escapes them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

TIERS = {1: "internal", 2: "partner", 3: "public"}
"""Names of the trust tiers, as in a policy."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place that an argument's value may have come from."""

    source: str
    """`instruction`, `system`, `policy`, `output` or `model`."""
    match: str
    """`exact`, `substring`, `words`, `assumed` or `none`."""
    tier: int
    call: str = ""
    """For `output`: the call that returned it, its tool, and the field (JSON pointer)."""
    tool: str = ""
    path: str = ""
    quote: str = ""
    """The words around the match, at most 160 characters; "" where none was recorded."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument leaf with its lineage."""

    path: str
    argument: str
    kind: str
    """`identity` (who, where, which, how much), `content`, or "" for neither."""
    value: str
    """Shortened; "" where it was not recorded."""
    tier: int
    named: bool
    """The trusted side itself gave this value."""
    sources: tuple[Source, ...] = ()
    empty: bool = False
    """The value is an empty text, and was recorded as such."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Words of the trusted side that the decision rests on."""

    about: str
    """A JSON pointer of the arguments, or `effect`."""
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class ShareOf:
    """A part of the energy."""

    term: str
    node: str
    value: float
    reason: str
    where: str = ""
    edge: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What a hard rule found."""

    rule: str
    action: str
    message: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """Something the operator could do (R50)."""

    title: str
    detail: str = ""
    code: str = ""
    """Python, or lines of a policy (YAML); the values in it are quoted."""


@dataclass(frozen=True, slots=True)
class Change:
    """One edit of a repair."""

    kind: str
    node: str
    where: str
    """JSON pointer of the argument; "" where it is about the whole call."""
    text: str


@dataclass(frozen=True, slots=True)
class Mended:
    """What ran instead of a call or plan, or what a person may let run instead."""

    changes: tuple[Change, ...]
    offered: bool
    only: bool = False
    """The call itself may not run, whatever a person says."""
    holds: tuple[str, ...] = ()
    """Calls of the repaired plan that wait for a person."""
    cost: float = 0.0
    similarity: float = 0.0
    """Share of what was asked for that is left, 0..1."""
    minimal: bool = False
    explored: int = 0
    energy: float = 0.0
    """Of the repaired one."""
    before: str = ""
    """MACs of the arguments, or of the plan: the same value has the same one in one ledger."""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A call in the drawing."""

    id: str
    tool: str
    action: str
    """`allow`, `repair`, `hold`, `block`, or "" where no decision is known."""
    energy: float = 0.0
    tier: int = 1
    """Worst tier of its own arguments."""
    approved_by: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Data that flows from one call into an argument of another."""

    source: str
    target: str
    label: str
    tier: int


@dataclass(frozen=True)
class Explanation:
    """Why one call, or a whole plan, was decided as it was."""

    decision_id: str
    tool: str
    action: str
    mode: str = "enforce"
    would: str = ""
    """In shadow mode: what would have been decided."""
    node: str = ""
    """Id of the call."""
    run: str = ""
    when: str = ""
    role: str = ""
    policy: str = ""
    version: str = ""
    hold_id: str = ""
    approved_by: str = ""
    why: str = ""
    """The rule or the score that decided, in one sentence."""
    by: str = ""
    """`rule`, `energy`, `person` or `error`."""
    reasons: tuple[str, ...] = ()
    effect: str = ""
    reversible: bool | None = None
    arguments: tuple[Argument, ...] = ()
    authority: tuple[Ground, ...] = ()
    rules: tuple[Rule, ...] = ()
    shares: tuple[ShareOf, ...] = ()
    """They sum to `total` (R45)."""
    total: float = 0.0
    thresholds: tuple[float, float] | None = None
    """Allowed below the first, blocked from the second on."""
    repair: Mended | None = None
    unrepaired: str = ""
    """Why there is no repair, where one was looked for."""
    actions: tuple[Advice, ...] = ()
    history: tuple[str, ...] = ()
    """What became of it: answers of persons, and the outcome."""
    nodes: tuple[Node, ...] = ()
    links: tuple[Link, ...] = ()
    parts: tuple[Explanation, ...] = field(default=(), repr=False)
    """For a whole plan or run: its calls, those that were stopped first."""

    @property
    def verdict(self) -> str:
        """`allow`, `repair`, `hold` or `block`; in shadow mode what it would have been."""
        return self.would or self.action

    @property
    def code(self) -> str:
        """The opaque reference that the model was shown, where it was shown one."""
        return self.decision_id[:8]

    def by_term(self) -> dict[str, float]:
        """Energy per term; sums to `total`."""
        return _summed((share.term, share.value) for share in self.shares)

    def by_node(self) -> dict[str, float]:
        """Energy per call; sums to `total`."""
        return _summed((share.node, share.value) for share in self.shares)

    def by_edge(self) -> dict[str, float]:
        """Energy per data flow `source -> target`, and per call where it belongs to no flow."""
        return _summed(
            (f"{s.edge[0]} -> {s.edge[1]}" if s.edge else s.node, s.value) for s in self.shares
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        body = asdict(self)
        body["parts"] = [part.as_dict() for part in self.parts]
        sums = {"by_term": self.by_term(), "by_node": self.by_node(), "by_edge": self.by_edge()}
        return {**body, "verdict": self.verdict, "code": self.code, **sums}

    def text(self, *, width: int = 100, colour: bool = False) -> str:
        """For a terminal of `width` columns."""
        from gatling_guard.report.text import as_text

        return as_text(self, width=width, colour=colour)

    def html(self) -> str:
        """A page of its own: no script, no request, light and dark."""
        from gatling_guard.report.page import as_page

        return as_page(self)


def _summed(pairs: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in pairs:
        found[name] = found.get(name, 0.0) + value
    return found

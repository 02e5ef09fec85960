"""What repairs are made of: drafts, edits, what is wrong with a draft, and what is known.

An edit is a value with one method; the search tries edits on drafts and asks a judge, which the
pipeline hands in. Does not see: sessions, ledgers, learned parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.energy.types import Energy
from gatling_guard.errors import GatlingError
from gatling_guard.plan import ExecutionPlan, digest
from gatling_guard.policy import Policy
from gatling_guard.rules.finding import Finding
from gatling_guard.trace import Authority, Lineage

EditKind = Literal["narrow", "redact", "hold", "split", "swap", "resource", "drop"]
KINDS: tuple[EditKind, ...] = get_args(EditKind)
VETO = {"block": 100.0, "hold": 10.0}
"""What a veto of a rule adds to the level of a draft: a rule gives no energy, and removing one is
progress all the same."""


class EditError(GatlingError):
    """An edit does not fit the draft it is applied to."""


@dataclass(frozen=True)
class Draft:
    """A plan on its way to a repair, and which of its calls wait for a person."""

    plan: ExecutionPlan
    holds: frozenset[str] = frozenset()
    """Node ids."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of calls, edges and holds; two drafts with the same one are the same.

        Each call keeps its own hash, so that a draft costs what an edit changed.
        """
        calls = [[node.node_id, node.content_hash] for node in self.plan.nodes]
        edges = [[e.source, e.target, e.argument, e.output, e.kind] for e in self.plan.edges]
        return digest([calls, edges, sorted(self.holds)])


class Edit(Protocol):
    """One change of a plan, as a value."""

    @property
    def kind(self) -> EditKind:
        """What is done."""
        ...

    @property
    def node_id(self) -> str:
        """The call that it changes."""
        ...

    @property
    def where(self) -> str:
        """JSON pointer of the argument; "" where it is about the whole call."""
        ...

    @property
    def cost(self) -> float:
        """> 0; the less the meaning changes, the cheaper."""
        ...

    @property
    def sentence(self) -> str:
        """For people."""
        ...

    @property
    def data(self) -> dict[str, Any]:
        """JSON; `edits.edit_from_data` reads it back."""
        ...

    def apply(self, draft: Draft) -> Draft:
        """The draft with the change.

        Raises:
            EditError: it does not fit.
        """
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """A call of a draft that may not run as it is."""

    node_id: str
    action: Literal["hold", "block"]
    findings: tuple[Finding, ...] = ()
    """Those that veto."""
    energy: Energy = field(default_factory=Energy)
    """Of this call alone."""
    lineage: tuple[Lineage, ...] = ()
    """Of this call's arguments."""

    @property
    def level(self) -> float:
        """Energy, and `VETO` for each rule that vetoes."""
        return self.energy.total + sum(VETO.get(f.action, 0.0) for f in self.findings)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guard says of a draft."""

    problems: tuple[Problem, ...] = ()
    """Calls that may not run: none of them only waits for the person that the draft has wait."""
    energy: float = 0.0
    """Of all calls together."""
    level: float = 0.0
    """Falls strictly with every edit that is accepted (R57): energy, and `VETO` for every veto, of
    all calls that the draft does not have wait."""

    @property
    def passes(self) -> bool:
        """Whether nothing is left to repair."""
        return not self.problems


class Judge(Protocol):
    """The guard's own rules and energy, for a batch of drafts."""

    def __call__(self, drafts: Sequence[Draft], /) -> Sequence[Judgement]:
        """One judgement per draft, in order."""
        ...


@dataclass(frozen=True)
class Scene:
    """What was authorised, and which tools there are."""

    policy: Policy
    authority: Authority
    specs: Callable[[str], ToolSpec | None]
    """A tool as policy and catalog together describe it."""
    tools: tuple[str, ...] = ()
    """Names of the catalog's tools: what a call may be swapped for."""
    role: str | None = None
    step: bool = False
    """One call of a running session: it can be narrowed, redacted or re-sourced, nothing else."""
    lineages: Mapping[str, tuple[Lineage, ...]] = field(default_factory=dict)
    """Of the original calls' arguments, by node id."""


class Proposer(Protocol):
    """One kind of edit: what may help against a problem."""

    def __call__(self, scene: Scene, draft: Draft, problem: Problem, /) -> Iterable[Edit]:
        """Edits, best first; none where it cannot help."""
        ...

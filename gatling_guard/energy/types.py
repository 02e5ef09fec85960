"""Energy: four non-negative terms and the shares they are made of (design.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

TermName = Literal["hierarchy", "provenance", "scope", "flow"]
TERMS: tuple[TermName, ...] = get_args(TermName)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of one term, blamed on one node and, where it is about one, an argument or edge."""

    term: TermName
    node_id: str
    value: float
    """Energy, >= 0."""
    reason: str
    """For the operator, in words."""
    where: str = ""
    """JSON pointer of the argument."""
    edge: tuple[str, str] | None = None
    """(source, target) where the share belongs to a flow between two calls."""
    kind: str = ""
    """What was found, by a name of its own: `steering`, `trust-gap`, ..."""


@dataclass(frozen=True)
class Energy:
    """E = E_hierarchy + E_provenance + E_scope + E_flow, each >= 0 (R33).

    Every term is by definition the sum of its shares, so that an explanation always adds up (R45).
    """

    shares: tuple[Share, ...] = ()

    @cached_property
    def terms(self) -> dict[TermName, float]:
        """Energy per term."""
        found: dict[TermName, float] = dict.fromkeys(TERMS, 0.0)
        for share in self.shares:
            found[share.term] += share.value
        return found

    @property
    def hierarchy(self) -> float:
        """Untrusted content steering control flow."""
        return self.terms["hierarchy"]

    @property
    def provenance(self) -> float:
        """Privilege of the call x untrust of its identity arguments."""
        return self.terms["provenance"]

    @property
    def scope(self) -> float:
        """Log excess over the minimal budget."""
        return self.terms["scope"]

    @property
    def flow(self) -> float:
        """Sensitive or bulk data reaching a sink the authority did not name."""
        return self.terms["flow"]

    @cached_property
    def total(self) -> float:
        """Sum of the four terms."""
        return sum(self.terms.values())

    def by_node(self) -> dict[str, float]:
        """Energy per node; sums to `total`."""
        found: dict[str, float] = {}
        for share in self.shares:
            found[share.node_id] = found.get(share.node_id, 0.0) + share.value
        return found

    def as_dict(self) -> dict[str, float]:
        """`{"hierarchy", "provenance", "scope", "flow", "total"}`."""
        return {**{str(term): value for term, value in self.terms.items()}, "total": self.total}

    def kinds(self) -> dict[str, float]:
        """Energy by what was found; sums to `total`."""
        found: dict[str, float] = {}
        for share in self.shares:
            found[share.kind] = found.get(share.kind, 0.0) + share.value
        return found

    def scaled(self, factors: Mapping[str, float]) -> Energy:
        """The same with every share of a kind times its factor (0..1; 1 where none is given)."""
        return Energy.of(
            replace(share, value=share.value * min(1.0, max(0.0, factors[share.kind])))
            if share.kind in factors
            else share
            for share in self.shares
        )

    def __add__(self, other: Energy) -> Energy:
        """Energy of two disjoint parts of a plan."""
        return Energy(self.shares + other.shares)

    @classmethod
    def of(cls, shares: Iterable[Share]) -> Energy:
        """An energy from shares; those of zero are left out."""
        return cls(tuple(s for s in shares if s.value > 0.0))

"""Energies: how far a call is from what was authorised."""

from gatling_guard.energy.facts import CAPS, PLAN_CAP, Composite, EnergyFacts, Term, bounded
from gatling_guard.energy.flow import flow
from gatling_guard.energy.hierarchy import hierarchy
from gatling_guard.energy.provenance import provenance
from gatling_guard.energy.scope import scope
from gatling_guard.energy.types import TERMS, Energy, Share, TermName

STRUCTURAL = Composite(
    {"hierarchy": hierarchy, "provenance": provenance, "scope": scope, "flow": flow}
)
"""The four terms from exact structure alone."""

__all__ = [
    "CAPS",
    "PLAN_CAP",
    "STRUCTURAL",
    "TERMS",
    "Composite",
    "Energy",
    "EnergyFacts",
    "Share",
    "Term",
    "TermName",
    "bounded",
    "flow",
    "hierarchy",
    "provenance",
    "scope",
]

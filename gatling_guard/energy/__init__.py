"""Energies: how far a call is from what was authorised."""

from gatling_guard.energy.facts import CAPS, Composite, EnergyFacts, Term
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
    "STRUCTURAL",
    "TERMS",
    "Composite",
    "Energy",
    "EnergyFacts",
    "Share",
    "Term",
    "TermName",
    "flow",
    "hierarchy",
    "provenance",
    "scope",
]

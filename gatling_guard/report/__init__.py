"""Explanations of decisions for operators: terminal, JSON, and a drawing of the plan as HTML."""

from gatling_guard.report.repairs import RepairReport, patient, repair_report
from gatling_guard.report.sources import explain, explain_latest, explain_ref, explain_run
from gatling_guard.report.types import Explanation

__all__ = [
    "Explanation",
    "RepairReport",
    "explain",
    "explain_latest",
    "explain_ref",
    "explain_run",
    "patient",
    "repair_report",
]

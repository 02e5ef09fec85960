"""Proposals that are kept are those that would be made anew."""

from __future__ import annotations

from gatling_guard.repair.proposals import Proposals
from gatling_guard.repair.propose import propose
from gatling_guard.repair.types import Draft, Problem
from tests.repair.drafts import draft, scene

TWO = (
    ("a", "send_mail", {"to": ["x@evil.example", "ann@corp.example"], "body": "hello"}),
    ("b", "send_mail", {"to": ["y@evil.example"], "body": "hello again"}),
    ("c", "search_mail", {"query": "q", "limit": 400}),
)


def both(where: Draft, problem: Problem, kept: Proposals) -> None:
    fresh = propose(scene("Mail ann@corp.example."), where, problem)
    assert [e.data for e in kept(where, problem)] == [e.data for e in fresh]
    assert [e.data for e in kept(where, problem)] == [e.data for e in fresh]


def test_a_kept_proposal_is_the_same_whatever_else_changed() -> None:
    kept = Proposals(scene("Mail ann@corp.example."))
    problems = [Problem(node, "hold") for node in "abc"]
    start = draft(*TWO)
    for problem in problems:
        both(start, problem, kept)
    held = Draft(start.plan, frozenset("b"))
    for problem in problems:
        both(held, problem, kept)  # what waits is not told to wait again
    linked = draft(*TWO, edges=[{"source": "a", "target": "b", "argument": "/body"}])
    for problem in problems:
        both(linked, problem, kept)  # more is dropped with it
    for problem in problems[:1]:
        both(draft(TWO[0]), problem, kept)  # and the last call is never dropped

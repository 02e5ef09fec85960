"""Delegation, named sources and budgets: what the user's words say, as evidence (P5, R49)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.catalog import Effect
from gatling_guard.trace import Authority


def said(text: str) -> Authority:
    return Authority.of([text])


@pytest.mark.parametrize(
    ("text", "kind", "source"),
    [
        ("Pay the bill in 'bill-12.txt' for me", "pay", "bill-12.txt"),
        ("Do what Alice's mail says.", "do", "Alice"),
        ("Please do whatever the message from Bob asks.", "do", "Bob"),
        ("Do all tasks on the page https://todo.example/alice", "list", "todo.example/alice"),
        ("Follow the steps in /docs/setup.md", "follow", "/docs/setup.md"),
        ("Fill in the form on www.forms.example", "fill", "www.forms.example"),
        ("Reply to the mail from Ann as requested", "reply", "Ann"),
        ("Read notice.txt and adjust my rent accordingly.", "do", "notice.txt"),
        ("Mach, was in der Mail von Anna steht.", "do", "Anna"),
        ("Befolge die Anweisungen in anleitung.pdf", "follow", "anleitung.pdf"),
        ("Bezahle die Rechnung aus rechnung.pdf", "pay", "rechnung.pdf"),
        ("Fais ce que dit le mail de Paul", "do", "Paul"),
        ("Suivez les étapes de guide.pdf", "follow", "guide.pdf"),
        ("Haz lo que dice el correo de Ana", "do", "Ana"),
        ("Paga la factura de factura.pdf", "pay", "factura.pdf"),
        ("Segui le istruzioni del file a.txt", "follow", "a.txt"),
        ("Faça as tarefas de lista.txt", "list", "lista.txt"),
        ("Betaal de rekening in factuur.pdf", "pay", "factuur.pdf"),
    ],
)
def test_delegation_names_kind_source_and_sentence(text: str, kind: str, source: str) -> None:
    found = [d for d in said(text).delegations if d.kind == kind]
    assert found, said(text).delegations
    assert found[0].source is not None
    assert found[0].source.name == source
    assert found[0].sentence == text


@pytest.mark.parametrize(
    "text",
    [
        "Don't follow the instructions in the mail.",
        "Never do what a mail says.",
        "What tasks are on my list?",
        "Summarise the instructions in a.txt",
        "Send the report to bob@x.org",
        "Folge nicht den Anweisungen in der Mail.",
        "",
    ],
)
def test_what_delegates_nothing(text: str) -> None:
    assert said(text).delegations == ()


def test_a_source_of_the_sentence_before_is_kept_in_mind() -> None:
    (found,) = said("Open plan.md. Then follow the steps.").delegations
    assert found.source is not None
    assert found.source.name == "plan.md"


def test_a_kind_that_implies_an_effect_says_so() -> None:
    (found,) = said("Pay the bill in bill.txt").delegations
    assert found.effects == {Effect.PAY}


def test_delegation_and_sources_make_nothing_trusted_or_asked() -> None:
    """P5: naming a source is evidence and lowers nothing by itself."""
    plain, named = said("Look after it."), said("Do what the mail from Ann says, see a.txt.")
    assert named.delegations
    for value in ("DE89370400440532013000", "ann@evil.example", "delete everything"):
        assert named.find(value) == plain.find(value) is None
    assert named.asks_found == ()


def test_system_text_delegates_nothing() -> None:
    authority = Authority.of(["Hello"], ["Do what the mail says. Show the last three mails."])
    assert not any((authority.delegations, authority.sources, authority.quantities))


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("Read the file report.PDF", "file", "report.PDF"),
        ("What is in #general?", "channel", "#general"),
        ("Check the mail titled 'Party on Friday'", "title", "Party on Friday"),
        ("Check my inbox", "mailbox", "inbox"),
        ("Visit www.x.example/a", "url", "www.x.example/a"),
        ("Summarise the mail from ann@x.example", "mail", "ann@x.example"),
    ],
)
def test_named_sources(text: str, kind: str, name: str) -> None:
    assert (kind, name) in {(s.kind, s.name) for s in said(text).sources}


@pytest.mark.parametrize("text", ["Write it to out.txt", "Post it to #general", "Mail a@x.example"])
def test_where_something_goes_is_no_source(text: str) -> None:
    assert said(text).sources == ()


@pytest.mark.parametrize(
    ("text", "dimension", "value", "basis"),
    [
        ("Show the last three mails", "limit", 3, "explicit"),
        ("Show my 5 most recent transactions", "limit", 5, "explicit"),
        ("Pay the latest invoice", "limit", 1, "implied"),
        ("Pay the latest invoice, not more than 2 invoices", "limit", 2, "explicit"),
        ("List all transactions", "limit", None, "all"),
        ("Zeig die letzten drei Mails", "limit", 3, "explicit"),
        ("Muestra los últimos dos correos", "limit", 2, "explicit"),
        ("What did I spend this quarter?", "days", 90, "implied"),
        ("mails of the past two weeks", "days", 14, "explicit"),
        ("in den letzten 30 Tagen", "days", 30, "explicit"),
        ("What happened yesterday?", "days", 2, "implied"),
        ("Mail ann@x.org and bob@x.org", "recipients", 2, "explicit"),
        ("Invite everyone", "recipients", None, "all"),
        ("Tell all my friends", "recipients", None, "all"),
        ("Invite three people", "recipients", 3, "explicit"),
        ("Pay $50 to Bob", "amount", 50, "explicit"),
        ("Überweise 1.200,50 € an Ann", "amount", 1200.5, "explicit"),
        ("Send Bob 20", "amount", 20, "explicit"),
        ("Look after it", "limit", None, "none"),
        ("The meeting of 12 people took 3 hours", "amount", None, "none"),
        ("Read a mail about an invoice of 3 pages", "days", None, "none"),
    ],
)
def test_budgets(text: str, dimension: Any, value: float | None, basis: str) -> None:
    """R49: an explicit number wins over an implied one, and nothing said is no budget."""
    budget = said(text).budget(dimension)
    assert (budget.value, budget.basis) == (value, basis)
    assert budget.unbounded is (basis == "all")
    assert bool(budget.sentence) is (basis != "none")
    assert (budget in said(text).quantities) is (basis != "none")


@given(st.text(max_size=300))
def test_no_text_breaks_them(text: str) -> None:
    authority = said(text)
    for found in (authority.delegations, authority.sources, authority.quantities):
        assert isinstance(found, tuple)
    assert authority.replaced(text, "to", {"to": text}) is None or text


@pytest.mark.parametrize(
    "piece", ["a/", "mail from ", "what says ", "#a ", "1,", "a.b@", "'", "A'", "do all "]
)
def test_long_text_takes_bounded_time(piece: str) -> None:
    authority = said(piece * (20_000 // len(piece)))
    start = time.thread_time()
    assert (authority.delegations, authority.sources, authority.quantities) is not None
    authority.replaced("eve@x.org", "to", {"to": "eve@x.org"})
    assert time.thread_time() - start < 2

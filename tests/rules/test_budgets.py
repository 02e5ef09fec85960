"""Budgets: figures of one call, and what no order, splitting or repetition of calls gets past."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatling_guard import Allowed, Guard, ToolRequest
from gatling_guard.errors import PolicyError
from gatling_guard.policy import load_policy
from gatling_guard.rules.figures import MAX_RECIPIENTS
from gatling_guard.trace.amounts import names_party, number


def pay(to: str, amount: Any = 0, currency: str = "EUR") -> str:
    """Pay an amount of money to an account."""
    return "paid"


def search(query: str, limit: int = 10) -> list[str]:
    """Search the tickets."""
    return []


def send(to: str, body: str = "") -> str:
    """Send a mail to somebody."""
    return "sent"


def guard(**policy: Any) -> Guard:
    tools: dict[str, Any] = {
        "pay": {"effect": "pay", "identity_args": ["to"], "extra_arguments": "allow"},
        "send": {"effect": "send", "sink": True, "identity_args": ["to"]},
        "search": {"effect": "read"},
    }
    for name, entry in policy.pop("tools", {}).items():
        tools[name] = {**tools.get(name, {}), **entry}
    made = Guard({
        "tools": tools, "energy": {"allow_below": 1e6, "block_above": 1e6},
        "limits": {"deadline_ms": 20_000}, **policy,
    })  # fmt: skip
    for tool in (pay, search, send):
        made.register(tool)
    return made


def rules(decision: Any) -> set[str]:
    return {f.rule for f in decision.findings if f.rule.startswith("budget.")}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (5, "5"), (-5, "5"), (0.1, "0.1"), ("1e3", "1000"), ("1,000.00", "1000"),
        ("1.000,50", "1000.50"), ("1.000", "1000"), ("12.50", "12.50"), ("12,50", "1250"),
        ("EUR 5", "5"), ("5 EUR", "5"), ("$5", "5"), ("\uff15\uff10\uff10", "500"),
        ("1'000", "1000"), (10**300, "1e18"), ("9" * 60, "1e18"), (1e-300, "1e-9"), ("-5", "5"),
        ("NaN", None), ("inf", None), ("five", None), (True, None), (None, None), ("", None),
        ("1" * 300, None), ([1], None), ("1e99999", None),
        ("1k", "1000"), ("1.5m", "1500000"), ("EUR 5m", "5000000"), ("5tsd", "5000"),
        ("2kk", "2000000"), ("12 Mrd", "12e9"), ("500 TEUR", "500000"), ("$5m", "5000000"),
        ("1.500k", "1500000"), ("5 Mio. EUR", "5000000"), ("2 billion", "2e12"), ("9t", "9e12"),
        ("US$ 5", "5"), ("5 k EUR m", "5e9"), ("500 BTC", None), ("5 xyz", None), ("5e", None),
        ("k5", "5000"), ("5%", None), ("5 cents", None), ("9 trillion k", "1e18"),
    ],
)  # fmt: skip
def test_a_number_counts_as_the_most_it_may_mean(value: Any, size: str | None) -> None:
    assert number(value) == (None if size is None else Decimal(size))


CASES: list[tuple[str, dict[str, Any], str, list[dict[str, Any]], list[bool]]] = [
    ("calls", {"calls": 2}, "search", [{"query": "a"}] * 3, [True, True, False]),
    ("rows", {"rows": 100}, "search",
     [{"query": "a", "limit": 90}, {"query": "b"}, {"query": "c", "limit": 1}],
     [True, True, False]),
    ("no limit", {"rows": 100}, "search",
     [{"query": "a", "limit": n} for n in (-1, 0, "all", 101, "1e3")], [False] * 5),
    ("amount", {"amount": 100}, "pay",
     [{"to": "a", "amount": n} for n in (60, 41, -41, "41", "4.1e1", 40, 1)],
     [True, False, False, False, False, True, False]),
    ("unreadable", {"amount": 100}, "pay",
     [{"to": "a", "amount": v} for v in ("NaN", "lots", None, True, "1e999", 10**200)],
     [False] * 6),
    ("nested", {"amount": 100}, "pay",
     [{"to": "a", "amount": 1, "more": [{"amount": 60}, {"amount": 60}]},
      {"to": "a", "amount": 1, "more": '{"Amount": 600}'}], [False, False]),
    ("currency", {"amount": {"most": {"EUR": 100, "USD": 50}}}, "pay",
     [{"to": "a", "amount": 90}, {"to": "a", "amount": 50, "currency": "usd "},
      {"to": "a", "amount": 1, "currency": "USD"}, {"to": "a", "amount": 11},
      {"to": "a", "amount": 1, "currency": "Euro"}, {"to": "a", "amount": 10}],
     [True, True, False, False, False, True]),
    ("currency in the text", {"amount": {"most": {"EUR": 1000, "BTC": 1}}}, "pay",
     [{"to": "a", "amount": v, "currency": "EUR"}
      for v in ("500 BTC", "500 USD", "USD 1", "$1", "1 EUR USD", "1 EUR", "\u20ac 1", "2k", "1")],
     [False, False, False, False, False, True, True, False, True]),
    ("magnitude", {"amount": 100}, "pay",
     [{"to": "a", "amount": v} for v in ("1k", "EUR 5m", "500 TEUR", "2 xx", "90 EUR")],
     [False, False, False, False, True]),
    ("one total", {"amount": 100}, "pay",
     [{"to": "a", "amount": 90}, {"to": "a", "amount": 50, "currency": "USD"}], [True, False]),
    ("recipients", {"recipients": 2}, "send",
     [{"to": "a@x.org"}, {"to": "A@X.org "}, {"to": "b@x.org, c@x.org"}, {"to": "b@x.org"},
      {"to": "c@x.org"}, {"to": "a@x.org;b@x.org"}], [True, True, False, True, False, True]),
    ("too many to tell apart", {"recipients": 100_000}, "send",
     [{"to": [f"u{i}@x.org" for i in range(MAX_RECIPIENTS + 1)]}, {"to": "a@x.org"}],
     [False, True]),
    ("bytes", {"bytes": 200}, "send",
     [{"to": "a@x.org", "body": "x" * 100}, {"to": "a@x.org", "body": "x" * 100},
      {"to": "a@x.org", "body": "x" * 20}], [True, False, True]),
    ("of one argument", {"amount": {"most": 10, "args": "fee"}}, "pay",
     [{"to": "a", "amount": 99, "fee": 6}, {"to": "a", "amount": 1, "fee": 6}], [True, False]),
]  # fmt: skip


@pytest.mark.parametrize("owner", ["tool", "glob", "role"])
@pytest.mark.parametrize(
    ("budgets", "tool", "calls", "allowed"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_budgets(
    owner: str, budgets: Any, tool: str, calls: list[dict[str, Any]], allowed: list[bool]
) -> None:
    """Issue 3, item 5: calls, rows, amounts, recipients, bytes of a tool, a glob or a role."""
    if owner == "role":
        roles = {"a": {"tools": "*", "budgets": budgets}}
        made = guard(roles=roles, default_role="a", tools={"pay": {"extra_arguments": "allow"}})
    else:
        made = guard(tools={tool if owner == "tool" else tool[:2] + "*": {"budgets": budgets}})
    session = made.session()
    got = []
    for number_, arguments in enumerate(calls):
        decision = session.check(ToolRequest(tool, arguments, str(number_)))
        ok = not rules(decision)
        got.append(ok)
        assert ok or rules(decision) == {f"budget.{next(iter(budgets))}"}
        # A call with a broken argument is refused for that as well, and then counts nothing.
        assert ok is isinstance(decision, Allowed)
    assert got == allowed


def test_a_breach_holds_where_the_policy_says_so_and_names_the_figures() -> None:
    made = guard(tools={"pay": {"budgets": {"amount": {"most": 100, "over": "hold"}}}})
    session = made.session()
    held = session.check(ToolRequest("pay", {"to": "a", "amount": 150}, "1"))
    assert held.action == "hold"
    assert "amount of tool pay: 150 with this call, at most 100" in held.reasons[0]
    session.approve(session.held[0].hold_id, by="ann")
    assert isinstance(session.check(ToolRequest("pay", {"to": "a", "amount": 150}, "1")), Allowed)
    assert session.check(ToolRequest("pay", {"to": "a", "amount": 1}, "2")).action == "hold"


def test_figures_are_plain_and_a_currency_is_no_recipient() -> None:
    """A budget of recipients counts parties; `500.0` is written as `500`."""
    tools = {"pay": {"identity_args": ["to", "currency", "amount"], "budgets": {"recipients": 1}}}
    session = guard(tools=tools).session()
    for at, code in enumerate(("EUR", "USD")):
        request = ToolRequest("pay", {"to": "a", "amount": at + 1, "currency": code}, code)
        assert isinstance(session.check(request), Allowed)
    second = session.check(ToolRequest("pay", {"to": "b", "amount": 1}, "b"))
    assert rules(second) == {"budget.recipients"}
    session = guard(tools={"pay": {"budgets": {"amount": 500}}}).session()
    said = session.check(ToolRequest("pay", {"to": "a", "amount": 600.0}, "1")).reasons[0]
    assert "600 with this call, at most 500" in said
    assert ".0" not in said


@pytest.mark.parametrize(
    ("name", "party"),
    [("to", True), ("account_number", True), ("feeAccount", True), ("unit_id", True),
     ("currency", False), ("amount", False), ("totalAmount", False), ("unit", False)],
)  # fmt: skip
def test_names_of_parties(name: str, party: bool) -> None:
    assert names_party(name) is party


def paying(session: Any, amount: Any, call_id: str) -> bool:
    request = ToolRequest("pay", {"to": "a", "amount": amount}, call_id)
    return isinstance(session.check(request), Allowed)


def test_a_call_asked_about_twice_counts_once_and_a_replaced_one_not_at_all() -> None:
    session = guard(tools={"pay": {"budgets": {"amount": 100}}}).session()
    assert all(paying(session, 60, "1") for _ in range(3))
    assert paying(session, 90, "1")  # in place of the 60, which never ran
    assert not paying(session, 20, "2")
    assert paying(session, 60, "1")
    assert paying(session, 40, "3")
    session.settle("1", "paid")
    assert not paying(session, 60, "1")  # it ran: the same id is one more call


def wrapped(cause: Exception) -> Exception:
    """An error of the tool's own, raised because of another."""
    error = RuntimeError("payment failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "back"),
    [
        (ValueError("no"), True),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (type("ReadTimeout", (Exception,), {})(), False),
        (type("PoolTimeout", (Exception,), {})(), False),
        (type("ConnectError", (Exception,), {})(), False),
        (type("RemoteProtocolError", (Exception,), {})(), False),
        (type("IncompleteRead", (Exception,), {})(), False),
        (type("Mine", (type("ReadTimeout", (Exception,), {}),), {})(), False),
        (type("AlreadyPaidError", (Exception,), {})(), True),
        (ExceptionGroup("both", [ValueError(), TimeoutError()]), False),
        (wrapped(TimeoutError()), False),
        (wrapped(KeyError()), True),
    ],
)
def test_a_failed_call_gives_back_unless_nobody_knows(error: Exception, back: bool) -> None:
    """A payment that timed out may have been made."""
    session = guard(tools={"pay": {"budgets": {"amount": 100, "calls": 2}}}).session()
    assert paying(session, 100, "1")
    session.settle("1", error=error)
    session.settle("1", error=error)
    assert paying(session, 100, "2") is back
    if back:
        session.settle("2", error=error)
        assert not paying(session, 1, "3")  # the calls themselves stay counted


def test_a_resumed_session_has_spent_what_its_history_spent() -> None:
    """Evidence 6: resume from a checkpoint."""
    session = guard(tools={"pay": {"budgets": {"amount": 100}}}).session()
    session.adopt(ToolRequest("pay", {"to": "a", "amount": 90}, "old"), "paid")
    assert not paying(session, 20, "new")
    assert paying(session, 10, "new2")


def test_parallel_calls_share_a_budget() -> None:
    session = guard(tools={"pay": {"budgets": {"amount": 100}}}).session()
    got: list[bool] = []

    def run(i: int) -> None:
        got.append(paying(session, 30, str(i)))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 3


def test_a_whole_plan_shares_a_budget() -> None:
    made = guard(tools={"pay": {"budgets": {"amount": 100}}})
    nodes = [
        {"node_id": str(i), "tool_name": "pay", "arguments": {"to": "a", "amount": 60}}
        for i in range(2)
    ]
    assert made.check({"nodes": nodes[:1]}).action == "allow"
    both = made.check({"nodes": nodes})
    assert both.action == "hold"
    assert both.only_offer


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 7, 30, 60, 100, 101, -20, "4e1", "1,0", "-3", "NaN", 0.5]),
            st.integers(0, 5),
            st.sampled_from(["check", "ran", "failed"]),
        ),
        max_size=14,
    )
)
def test_no_order_or_splitting_gets_more_through(steps: list[tuple[Any, int, str]]) -> None:
    """The sum of what runs never exceeds the budget, whatever is asked, repeated or fails."""
    session = guard(tools={"pay": {"budgets": {"amount": 100}}}).session()
    ran = Decimal(0)
    for value, call, what in steps:
        allowed = paying(session, value, f"c{call}")
        if allowed and what == "ran":
            session.settle(f"c{call}", "paid")
            ran += number(value) or Decimal(10**9)
        elif allowed and what == "failed":
            session.settle(f"c{call}", error=ValueError("no"))
        assert ran <= 100


@pytest.mark.parametrize(
    ("budgets", "says"),
    [
        ({"amont": 5}, "budgets"),
        ({"calls": -1}, "greater than or equal to 0"),
        ({"calls": {"over": "hold"}}, "is missing"),
        ({"calls": {"most": {"EUR": 5}}}, "one number"),
        ({"calls": {"most": 5, "ovr": "hold"}}, "did you mean 'over'?"),
        ({"amount": True}, "budgets"),
    ],
)
def test_faulty_budgets_are_refused(budgets: Any, says: str) -> None:
    with pytest.raises(PolicyError, match=says.replace("?", r"\?")):
        load_policy({"tools": {"t": {"budgets": budgets}}})
    with pytest.raises(PolicyError):
        load_policy({"roles": {"a": {"tools": "*", "budgets": budgets}}})

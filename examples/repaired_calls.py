"""Repairs: one call runs with less than was asked for, another one if a person takes the offer.

python examples/repaired_calls.py
"""

from __future__ import annotations

from gatling_guard import Decision, Guard, Held, Repaired, Session, ToolRequest

POLICY = r"""
version: 1
limits: {deadline_ms: 2000}
tools:
  list_orders: {arguments: {limit: {maximum: 50}}}
  send_email: {arguments: {to: {items: {pattern: '[^@\s,;]+@corp\.example'}}}}
repair: {deadline_ms: 1000}   # an example may run on a slow machine
"""
TASK = "List the newest orders and mail the list to dana@corp.example."


def list_orders(limit: int) -> list[str]:
    """List orders of the shop, newest first."""
    return [f"order {number}" for number in range(min(limit, 3))]


def send_email(to: list[str], body: str) -> str:
    """Send an email."""
    return f"sent to {', '.join(to)}"


def show(decision: Decision) -> None:
    """What the guard decided, and the repair that it made or offers."""
    print(f"{decision.tool_name}: {decision.action}")
    repair = decision.repair if isinstance(decision, Repaired) else None
    if isinstance(decision, Held):
        repair = decision.offer
    if repair is not None:
        kept = f"keeps {repair.similarity:.0%} of what was asked for"
        print(f"  {'; '.join(repair.edits)} (cost {repair.cost}, {kept})")


def too_many_orders(session: Session) -> None:
    """A number that the policy caps is lowered without asking."""
    decision = session.check(ToolRequest("list_orders", {"limit": 1000}, "orders"))
    show(decision)
    assert isinstance(decision, Repaired)
    session.settle("orders", list_orders(**decision.arguments))
    print(f"  the model may be told: {decision.message}")


def one_recipient_too_many(session: Session) -> None:
    """Who gets a mail is never changed silently: a person takes the offer."""
    to = ["dana@corp.example", "audit@ledger-review.example"]
    request = ToolRequest("send_email", {"to": to, "body": "orders 0 to 2"}, "mail")
    held = session.check(request)
    show(held)
    assert isinstance(held, Held)
    session.approve(held.hold_id, by="ann", offer=True)
    taken = session.check(request)
    show(taken)
    assert isinstance(taken, Repaired)
    done = send_email(**taken.arguments)
    session.settle("mail", done)
    print(f"  {done}")


def main() -> None:
    """Repair two calls and check the receipts."""
    guard = Guard(POLICY)
    guard.register(list_orders)
    guard.register(send_email)
    with guard.session(instruction=TASK) as session:
        too_many_orders(session)
        one_recipient_too_many(session)
    print(f"{guard.ledger.verify()} ledger rows verified")


if __name__ == "__main__":
    main()

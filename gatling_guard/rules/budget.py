"""Budgets of roles and tools over a session: `budget.<kind>`.

A call is counted when it is let through, before it runs, so that parallel calls share a budget as
well as calls in a row; see `Spent`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from gatling_guard.catalog.types import Effect
from gatling_guard.policy import Budget, BudgetKind
from gatling_guard.rules import figures
from gatling_guard.rules.finding import Finding, RuleAction
from gatling_guard.rules.hidden import layers
from gatling_guard.rules.names import same_name
from gatling_guard.rules.quote import quote
from gatling_guard.rules.references import default_of, properties
from gatling_guard.trace.amounts import names_party
from gatling_guard.trace.canonical import canonical

if TYPE_CHECKING:
    from gatling_guard.rules.facts import RuleFacts

Key = tuple[str, str, str]
"""Whose (`role x` or `tool <glob>`), which kind, which currency."""


class Charge(NamedTuple):
    """What one call takes from one budget."""

    key: Key
    size: Decimal
    parties: frozenset[str] = frozenset()
    """For recipients, who they are: a party counts once."""


@dataclass
class Spent:
    """What the calls of a session have taken from their budgets so far. Not thread-safe."""

    sums: dict[Key, Decimal] = field(default_factory=dict)
    parties: dict[Key, Counter[str]] = field(default_factory=dict)

    def add(self, charges: Iterable[Charge], step: int = 1) -> None:
        """Count charges, or with `step=-1` give them back."""
        for charge in charges:
            self.sums[charge.key] = self.sums.get(charge.key, Decimal(0)) + step * charge.size
            if charge.parties:
                known = self.parties.setdefault(charge.key, Counter())
                known.update(dict.fromkeys(charge.parties, step))
                for party in charge.parties:
                    if known[party] <= 0:
                        del known[party]

    def without(self, charges: Sequence[Charge]) -> Spent:
        """As if a call that is about to be replaced had not been made."""
        if not charges:
            return self
        copy = Spent(dict(self.sums), {key: Counter(known) for key, known in self.parties.items()})
        copy.add(charges, -1)
        return copy

    def after(self, charge: Charge) -> Decimal:
        """The figure of a budget if the charge is added."""
        if charge.key[1] == "recipients":
            return Decimal(len(charge.parties | self.parties.get(charge.key, Counter()).keys()))
        return self.sums.get(charge.key, Decimal(0)) + charge.size


class Bill(NamedTuple):
    """One budget and one call."""

    owner: str
    kind: BudgetKind
    budget: Budget
    charge: Charge | None
    """None: what the call takes cannot be read."""
    most: Decimal = Decimal(0)
    why: str = ""


def check_budgets(facts: RuleFacts) -> Iterable[Finding]:
    """`budget.calls`, `.rows`, `.amount`, `.recipients`, `.bytes`."""
    for bill in facts.bills:
        action: RuleAction = bill.budget.over
        rule, head = f"budget.{bill.kind}", f"{bill.kind} of {bill.owner}"
        if bill.charge is None:
            yield Finding(rule, action, f"{head}: {bill.why}")
        elif (total := facts.spent.after(bill.charge)) > bill.most:
            text = f"{head}: {_shown(total)} with this call, at most {_shown(bill.most)}"
            yield Finding(rule, action, text)


def bills_of(facts: RuleFacts) -> tuple[Bill, ...]:
    """Every budget that counts this call."""
    owners = list(_owners(facts))
    if not owners:
        return ()
    found, _ = layers(facts.call.arguments)
    values = figures.named_values(found[-1].value)
    own = facts.spec.parameters if facts.spec else {}
    defaults = {
        same_name(name): value
        for name, schema in properties(own).items()
        for has, value in [default_of(schema, own)]
        if has
    }
    return tuple(
        bill
        for owner, budgets in owners
        for kind, budget in budgets.items()
        for bill in _bills(facts, owner, kind, budget, values, defaults)
    )


def _owners(facts: RuleFacts) -> Iterator[tuple[str, Mapping[BudgetKind, Budget]]]:
    view = facts.view
    if view.role is not None and view.role.budgets:
        yield f"role {view.role_name}", view.role.budgets
    for glob, rule in view.entries:
        if rule.budgets:
            yield f"tool {glob}", rule.budgets


def _bills(
    facts: RuleFacts, owner: str, kind: BudgetKind, budget: Budget, values: figures.Found,
    defaults: Mapping[str, Any],
) -> Iterator[Bill]:  # fmt: skip
    if owner.startswith("role ") and not _concerns(facts, kind):
        return
    key, none = (owner, kind, ""), Bill(owner, kind, budget, None)
    most = Decimal(repr(budget.most)) if not isinstance(budget.most, dict) else Decimal(0)
    if kind == "calls":
        yield Bill(owner, kind, budget, Charge(key, Decimal(1)), most)
    elif kind == "bytes":
        yield Bill(owner, kind, budget, Charge(key, figures.size(facts.call.arguments)), most)
    elif kind == "recipients":
        profile = facts.view.profile
        identity = profile.identity_args if profile else ()
        names = budget.args or tuple(filter(names_party, identity)) or _names(facts)
        parties = figures.recipients(values, names)
        if parties is None:
            yield none._replace(why="too many to be told apart")
        elif parties:
            yield Bill(owner, kind, budget, Charge(key, Decimal(0), parties), most)
    elif kind == "rows":
        count = figures.rows(values, budget.args, defaults)
        if count is None:
            yield none._replace(why="the limit is no number")
        else:
            yield Bill(owner, kind, budget, Charge(key, count), most)
    else:
        yield _amount(owner, budget, values, defaults)


def _amount(owner: str, budget: Budget, values: figures.Found, defaults: Mapping[str, Any]) -> Bill:
    none = Bill(owner, "amount", budget, None)
    amounts = figures.amounts(values, budget.args, defaults)
    total = figures.total(amounts)
    if total is None:
        return none._replace(why="no amount that can be read")
    if not isinstance(budget.most, dict):
        charge = Charge((owner, "amount", ""), total)
        return Bill(owner, "amount", budget, charge, Decimal(repr(budget.most)))
    named = figures.currency(values, budget.per, defaults)
    known = {canonical(name): most for name, most in budget.most.items()}
    if named is None or len(named) != 1 or not named <= known.keys():
        why = f"{quote(budget.per)} should be one of {', '.join(budget.most)}"
        return none._replace(why=why)
    (code,) = named
    if not figures.agree(amounts, code):
        return none._replace(why=f"the amount is not in {quote(code)}")
    charge = Charge((owner, "amount", code), total)
    return Bill(owner, "amount", budget, charge, Decimal(repr(known[code])))


def _concerns(facts: RuleFacts, kind: BudgetKind) -> bool:
    """Whether a role's budget counts calls of this tool; a tool's own always does.

    What is not known of a tool counts as if it did.
    """
    profile = facts.view.profile
    if profile is None or kind == "calls":
        return True
    if kind == "amount":
        return profile.effect is Effect.PAY
    if kind == "rows":
        return profile.effect in (Effect.READ, Effect.STATE_CHANGING_READ, Effect.DELETE)
    return profile.sink or profile.egress or profile.effect in (Effect.SEND, Effect.PAY)


def _names(facts: RuleFacts) -> tuple[str, ...]:
    """All arguments, where nobody said which of them name a party."""
    content = facts.view.profile.content_args if facts.view.profile else ()
    return tuple(n for n in facts.call.arguments if n not in content and names_party(n))


def _shown(size: Decimal) -> str:
    return f"{size.normalize():f}" if abs(size) < Decimal("1e18") else f"{size:.3e}"

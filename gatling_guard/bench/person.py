"""A simulated person who answers holds: yes to what the user wants, no to what an attacker does."""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args

from gatling_guard.bench.subject import Judge
from gatling_guard.errors import ConfigurationError

Person = Literal["nobody", "answers", "grants"]
"""`nobody`: a held call does not run. `answers`: each hold is answered. `grants`: the same, and
each yes is a grant for the rest of the task where one can be given."""
PERSONS: tuple[Person, ...] = get_args(Person)


def person_named(name: str) -> Person:
    """The person called `name`.

    Raises:
        ConfigurationError: there is none.
    """
    for person in PERSONS:
        if person == name:
            return person
    raise ConfigurationError(f"no person {name!r}; there are {', '.join(PERSONS)}")


def answer(
    judge: Judge, hold_id: str, *, yes: bool, grant: bool = False, offer: bool = False
) -> None:
    """Answer a hold.

    Args:
        judge: of the run that is held.
        hold_id: what is answered.
        yes: the call may run.
        grant: a yes is a grant too. Where nothing can be granted (a rule holds such calls each
            time), it is a yes to this call alone, as a person would then answer.
        offer: only what the hold offers may run, so a yes is one to that.

    Raises:
        ConfigurationError: this judge knows no grants, or no such hold.
    """
    if not yes:
        judge.deny(hold_id, by="user")
        return
    if offer:
        take: Any = judge.approve
        take(hold_id, by="user", offer=True)
        return
    if grant:
        approve: Any = judge.approve
        if "grant" not in inspect.signature(approve).parameters:
            raise ConfigurationError("this subject's approve() takes no grants")
        try:
            approve(hold_id, by="user", grant=True)
            return
        except ConfigurationError:
            pass
    judge.approve(hold_id, by="user")

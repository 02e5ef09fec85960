"""Items and pairs of an invented little world: every verb with every thing."""

from __future__ import annotations

from gatling_guard.training.items import Item
from gatling_guard.training.pairs import Pair

VERBS = ("send", "delete", "book", "pay", "rename", "archive", "share", "print")
THINGS = ("invoice", "room", "photo", "ticket", "report", "password", "folder", "letter")


def item(verb: str, thing: str, **changed: object) -> Item:
    values = {
        "call": f"{verb} {thing} with id 7",
        "positives": (f"Please {verb} my {thing} today.",),
        "negatives": (f"The {thing} is blue.",),
        "tool": f"{verb} {thing}",
        "wrong_tool": "list all",
        "instruction": f"{verb} {thing}",
        "trace": f"{verb}/{thing}",
        "source": "test",
        "malicious": False,
    }
    return Item(**{**values, **changed})  # type: ignore[arg-type]


ITEMS = [item(verb, thing) for verb in VERBS for thing in THINGS]


def pair(verb: str, thing: str, *, asked: str | None = None) -> Pair:
    """A call, and the instruction to do that or (`asked`) something else with the thing."""
    return Pair(
        f"Please {asked or verb} my {thing} today.", f"{verb} {thing} with id 7",
        f"The {thing} is blue." if asked is None else f"Now {verb} the {thing}.",
        malicious=asked is not None, weight=1.0, source="test", group="test",
    )  # fmt: skip


PAIRS = [pair(verb, thing) for verb in VERBS for thing in THINGS] + [
    pair(verb, thing, asked=VERBS[i - 1]) for i, verb in enumerate(VERBS) for thing in THINGS
]
"""Half of them are the user's, half somebody else's."""

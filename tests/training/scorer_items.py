"""Items of an invented little world: every verb with every thing."""

from __future__ import annotations

from gatling_guard.training.items import Item

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

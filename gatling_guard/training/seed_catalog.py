"""The project's own small world: domains, objects, operations and words, as committed data.

`catalog_seed/` holds JSON: `domains.json` (80 domains; an object is one line of fields and, behind
` ! `, the operations on it), `operations.json` (effect, arguments, verbs), `vocabulary.json` (names
and sentences, `|`-separated) and `nouns.json` (objects in six more languages: de, fr, es, it, pt,
nl). A field is `name:kind`; `a|b|c` for a kind is an enum, `*` marks what third parties write and
`!` what is sensitive.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


def listed(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


LANGUAGES = ("de", "fr", "es", "it", "pt", "nl")
"""Beside English, in the order of the columns of the data."""
_STATES = frozenset(("status", "state", "stage"))
_KEPT = frozenset(
    listed(
        "received sender author posted created updated modified size items members rows likes "
        "followers respondent requester organizer sent joined owner tracks symbols panels "
        "started"
    )
)
"""Fields that a system fills in itself."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object."""

    name: str
    kind: str
    """Of value (`values.KINDS`); "enum" where `options` are given."""
    options: tuple[str, ...] = ()
    foreign: bool = False
    """Third parties write it."""
    sensitive: bool = False

    @property
    def given(self) -> bool:
        """Whether who creates an object gives this field."""
        return self.name not in _STATES and self.name not in _KEPT


@dataclass(frozen=True, slots=True)
class Thing:
    """A kind of object, with what can be done with it."""

    name: str
    fields: tuple[Field, ...]
    operations: tuple[str, ...]

    @property
    def plural(self) -> str:
        """English."""
        return plural(self.name)


@dataclass(frozen=True, slots=True)
class Domain:
    """An area of work."""

    name: str
    services: tuple[str, ...]
    tier: int
    """Of what its tools return, fields of third parties apart."""
    things: tuple[Thing, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that is done with objects."""

    name: str
    effect: str
    scope: int
    out: str
    """`list`, `record`, `number` or `done`."""
    args: tuple[str, ...]
    """Roles of its arguments; `?` at the end: may be left out."""
    names: tuple[str, ...]
    """Verbs for names of tools."""
    english: tuple[str, ...]
    """Verb phrases: `{n}` the object, `{x}` everything else."""
    verbs: tuple[str, ...]
    """Infinitives in `LANGUAGES`; empty where only English is known."""


def plural(name: str) -> str:
    """English plural of a noun."""
    if name.endswith(("ss", "x", "ch", "sh")):
        return name + "es"
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


@cache
def domains() -> tuple[Domain, ...]:
    """All domains, in the order of the file."""
    return tuple(
        Domain(
            name,
            tuple(data["services"]),
            data["tier"],
            tuple(_thing(noun, line) for noun, line in data["objects"].items()),
        )
        for name, data in read_seed("domains").items()
    )


@cache
def operations() -> dict[str, Operation]:
    """All operations by name."""
    return {
        name: Operation(
            name,
            data["effect"],
            data["scope"],
            data["out"],
            tuple(data["args"].split()),
            tuple(data["names"].split()),
            tuple(data["english"].split(";")),
            tuple(v for v in data["verbs"].split(" | ") if v),
        )
        for name, data in read_seed("operations").items()
    }


@cache
def words(name: str) -> tuple[str, ...]:
    """One list of the vocabulary."""
    text: str = read_seed("vocabulary")[name]
    return tuple(text.split("|") if "|" in text else text.split())


@cache
def nouns(name: str) -> tuple[str, ...]:
    """An object in `LANGUAGES`, with its article; empty where it is not known."""
    return tuple(read_seed("nouns").get(name, "").split("|")) if name in read_seed("nouns") else ()


def _thing(noun: str, line: str) -> Thing:
    fields, _, names = line.rpartition(" ! ")
    return Thing(noun, tuple(map(_field, fields.split())), tuple(names.split()))


def _field(text: str) -> Field:
    name, _, rest = text.partition(":")
    kind = rest.rstrip("*!")
    options = tuple(kind.split("|")) if "|" in kind else ()
    marks = rest[len(kind) :]
    return Field(name, "enum" if options else kind, options, "*" in marks, "!" in marks)


@cache
def read_seed(name: str) -> dict[str, Any]:
    """One file of the seed catalog."""
    text = files(__package__).joinpath(f"catalog_seed/{name}.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data

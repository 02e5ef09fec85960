"""Policies and session contexts as flat lists of entries: one per leaf, one per section head.

Entries stand in depth-first order with keys sorted, so that a dict, its YAML and its JSON give the
same arrays bit for bit. There is no cap on entries and no vocabulary of keys or roles.

Sees: keys, where they stand, values (a policy is trusted, so its strings enter as text), order
inside lists, and whether an entry allows or forbids. Polarity is read off words of English keys
and values; an exception told in prose inside one value is text only. A `null` in a mapping is the
same as leaving the key out, as everywhere in the policy model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from gatling_guard.encoders.values import VALUE_DIM, values_features
from gatling_guard.errors import InputError, PolicyError
from gatling_guard.plan import to_json
from gatling_guard.policy import BUILTIN, Policy, load_policy, read_source
from gatling_guard.trace import name_words, sentences, word_set

PolicyLike: TypeAlias = "Policy | Mapping[str, Any] | str | Path | None"
ContextLike: TypeAlias = "Mapping[str, Any] | str | None"

SECTION, LEAF, ITEM, SENTENCE, TURN, ROLE = range(6)
"""Kinds of entries. Items are scalars of a list; sentences are the instruction's, turns what was
said earlier."""
_KINDS = 6
STRUCTURE_DIM = _KINDS + 10
FEATURE_DIM = STRUCTURE_DIM + VALUE_DIM
"""Width of an entry's features: where it stands, then its value (`values_features`)."""

MAX_SENTENCES = 4096
"""Of one text; of a longer one several neighbours make one entry, so that nothing is left out."""

MAX_ENTRIES = 20_000
"""Of one document, as many as a policy may have values; more is an error. Bounds the memory of the
networks, about 10 KB per entry at `base`."""

INSTRUCTION_KEYS = frozenset(("instruction", "user_instruction", "task"))
TURN_KEYS = frozenset(("history", "turns", "earlier_turns", "messages", "conversation"))

_ALLOW = word_set(
    "accept accepted allow allowed allowing allowlist allows approve approved authorise authorised "
    "authorize authorized can enable enabled enables grant granted grants include included may "
    "permit permits permitted permission permissions whitelist"
)
_FORBID = word_set(
    "ban banned blacklist block blocked blocking blocklist blocks cannot denied denies deny "
    "denylist disable disabled disables disallow disallowed disallows exclude excluded excludes "
    "forbid forbidden forbids prevent prohibit prohibited prohibits refuse refused reject rejected "
    "restrict restricted"
)
_NOT = word_set("never no not")
_EXCEPT = word_set("but except exception exceptions unless without")
_VERDICT = word_set("access action decision effect permission verdict")
"""Keys whose value speaks for the whole mapping: `{action: deny, tool: x}`."""
_NEGATED = re.compile(r"\s*(?:!|(?:do |must |may )?not\b|never\b|don'?t\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entries:
    """One document. n entries; text ids index the table that was passed in, id 0 is ""."""

    key: NDArray[np.int64]
    """`[n]` id of the last key; the items of a list carry the list's."""
    value: NDArray[np.int64]
    """`[n]` id of the value's text; 0 for numbers, booleans and sections."""
    parent: NDArray[np.int64]
    """`[n]` row of the section it stands in; -1 at the top. Always above the entry itself."""
    depth: NDArray[np.int64]
    """`[n]`, 0 at the top."""
    polarity: NDArray[np.int64]
    """`[n]` -1 forbids, 1 allows, 0 neither."""
    features: NDArray[np.float32]
    """`[n, FEATURE_DIM]`"""

    def __len__(self) -> int:
        return len(self.key)


def text_table() -> dict[str, int]:
    """An empty table of distinct texts, in the order of their ids."""
    return {"": 0}


def policy_entries(policy: PolicyLike, role: str | None, texts: dict[str, int]) -> Entries:
    """The entries of a policy as one role sees it; none without a policy (P7).

    Args:
        policy: as `load_policy` takes it, but a mapping or text may have any keys.
        role: what stands below a key of this name, or is an item of this name, is marked.
        texts: takes up the texts of this document.

    Raises:
        PolicyError: the policy cannot be read.
    """
    walk = _Walk(texts, _role(role), "policy")
    walk.mapping(policy_document(policy), _Place())
    return walk.entries()


def policy_document(policy: PolicyLike) -> dict[str, Any]:
    """A policy as one mapping of JSON values, unvalidated.

    Raises:
        PolicyError: it cannot be read.
    """
    if policy is None:
        return {}
    if isinstance(policy, str) and policy in BUILTIN:
        policy = load_policy(policy)
    if isinstance(policy, Policy):
        return _told(policy)
    source = read_source(policy)
    if source.issues:
        raise PolicyError(source.issues)
    if not isinstance(source.data, dict):
        raise PolicyError("a policy is a mapping of keys")
    if source.data.keys() == Policy.model_fields.keys():
        # Only a dump of a whole policy names every key; it gives what the policy itself gives.
        with suppress(ValidationError):
            return _told(Policy.model_validate(source.data))
    return source.data


def _told(policy: Policy) -> dict[str, Any]:
    """What a policy says beyond the defaults, which would be more than half of its entries."""
    return policy.model_dump(mode="json", exclude_defaults=True)


def context_entries(role: str | None, context: ContextLike, texts: dict[str, int]) -> Entries:
    """The entries of a role and a session context: instruction, earlier turns, then the rest.

    Args:
        role: any text; entered as text, so that roles are neither numbered nor limited.
        context: text (the user's instruction), or a mapping with the instruction under one of
            `INSTRUCTION_KEYS`, earlier turns under one of `TURN_KEYS`, and any other keys. Trusted
            text only: what came through a tool is no authority.
        texts: takes up the texts of this document.

    Raises:
        InputError: a role or context that cannot be read, with the place.
    """
    walk = _Walk(texts, None, "session context")
    if _role(role):
        walk.add(_Place("role", kind=ROLE), role, text=role)
    if isinstance(context, str):
        context = {"instruction": context}
    if context is not None and not isinstance(context, Mapping):
        raise InputError(
            f"a session context is text or a mapping, not {type(context).__name__}",
            what="session context",
        )
    walk.mapping(to_json(context or {}), _Place(), spoken=True)
    return walk.entries()


def _role(role: str | None) -> str | None:
    if role is not None and not isinstance(role, str):
        raise InputError(f"a role is text, not {type(role).__name__}", what="role")
    return role


@dataclass(slots=True)
class _Place:
    """Where a value stands."""

    key: str = ""
    parent: int = -1
    depth: int = 0
    polarity: int = 0
    kind: int = LEAF
    index: int = 0
    """In its list, from 1; 0 outside of lists."""
    siblings: int = 0
    own: int = 0
    """Whether the role's own name stands above it."""


class _Walk:
    def __init__(self, texts: dict[str, int], role: str | None, what: str) -> None:
        self.texts, self.role, self.what = texts, role, what
        self.rows: list[tuple[int, ...]] = []
        self.scalars: list[Any] = []
        self.scalar_rows: list[int] = []

    def _id(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def mapping(self, value: dict[str, Any], at: _Place, *, spoken: bool = False) -> None:
        """The children of a mapping; `spoken`: at the top of a session context."""
        base = _stated(value) or at.polarity
        given = [key for key in value if value[key] is not None]
        for key in sorted(given):
            item = value[key]
            own, inverts = _key_polarity(key)
            polarity = own or (-(base or 1) if inverts else base)
            mine = int(at.own or key == self.role)
            kind = _spoken(key) if spoken else at.kind
            here = _Place(key, at.parent, at.depth, polarity, kind, 0, len(given), mine)
            self.node(item, here, bool(own))

    def node(self, value: Any, at: _Place, named: bool) -> None:
        """One value; `named`: its own key says whether it allows."""
        if isinstance(value, (dict, list)):
            self._section(value, at)
        elif isinstance(value, str) and at.kind in (SENTENCE, TURN):
            for sentence in _sentences(value):
                at.polarity = -1 if _NEGATED.match(sentence) else 0
                at.index += 1
                self.add(at, sentence, text=sentence)
        else:
            at.polarity = _leaf_polarity(value, at.polarity, named=named or at.kind == ITEM)
            self.add(at, value, text=value if isinstance(value, str) else "")

    def _section(self, value: dict[str, Any] | list[Any], at: _Place) -> None:
        row = len(self.rows)
        spoken = at.kind in (SENTENCE, TURN)
        if isinstance(value, dict):
            head = _stated(value) or at.polarity
            size = sum(item is not None for item in value.values())
        else:
            # An empty list of what is forbidden forbids nothing.
            head = at.polarity if value else -at.polarity
            size = len(value)
        self.add(at, None, section=size, polarity=head)
        below = at.kind if spoken else LEAF
        if isinstance(value, dict):
            inside = _Place(at.key, row, at.depth + 1, at.polarity, below, own=at.own)
            self.mapping(value, inside)
            return
        kind = below if spoken else ITEM
        for index, item in enumerate(value):
            mine = int(at.own or (self.role is not None and item == self.role))
            here = _Place(at.key, row, at.depth + 1, at.polarity, kind, index + 1, len(value), mine)
            self.node(item, here, True)

    def add(
        self,
        at: _Place,
        value: Any,
        *,
        text: str | None = "",
        section: int | None = None,
        polarity: int | None = None,
    ) -> None:
        """One entry; `section`: a head with that many children."""
        if len(self.rows) >= MAX_ENTRIES:
            raise InputError(f"more than {MAX_ENTRIES} entries", what=self.what)
        kind = at.kind
        if section is None:
            self.scalars.append(value)
            self.scalar_rows.append(len(self.rows))
        else:
            kind = SECTION
        self.rows.append(
            (
                self._id(at.key),
                self._id(text or ""),
                at.parent,
                at.depth,
                at.polarity if polarity is None else polarity,
                kind,
                at.index,
                at.siblings,
                section or 0,
                at.own,
            )
        )

    def entries(self) -> Entries:
        """What was walked, as arrays."""
        table = np.array(self.rows, dtype=np.int64).reshape(-1, 10)
        key, value, parent, depth, polarity, kind, index, siblings, size, own = table.T.copy()
        features = np.zeros((len(table), FEATURE_DIM), dtype=np.float32)
        features[np.arange(len(table)), kind] = 1.0
        at = _KINDS
        order = index.astype(np.float64)
        for column in (
            depth / 8,
            1 / (1 + depth),
            np.log1p(order) / 4,
            np.where(index > 0, 1 / (1 + order), 0),
            np.where(index > 0, np.sin(order), 0),
            np.where(index > 0, np.cos(order), 0),
            np.log1p(siblings) / 4,
            np.log1p(size) / 4,
            (kind == SECTION) & (size == 0),
            own,
        ):
            features[:, at] = column
            at += 1
        if self.scalars:
            # Policies repeat themselves. The type is part of the key: 1, 1.0 and True are equal.
            distinct = {(type(value), value): value for value in self.scalars}
            rows = {pair: i for i, pair in enumerate(distinct)}
            which = [rows[type(value), value] for value in self.scalars]
            values = values_features(list(distinct.values()))
            features[self.scalar_rows, STRUCTURE_DIM:] = values[which]
        return Entries(key, value, parent, depth, polarity, features)


def _spoken(key: str) -> int:
    if key in INSTRUCTION_KEYS:
        return SENTENCE
    return TURN if key in TURN_KEYS else LEAF


def _sentences(text: str) -> list[str]:
    found = sentences(text)
    size = -(-len(found) // MAX_SENTENCES)
    if size <= 1:
        return found
    return [" ".join(found[i : i + size]) for i in range(0, len(found), size)]


@lru_cache(maxsize=4096)
def _key_polarity(key: str) -> tuple[int, bool]:
    """What a key says itself (-1, 0, 1), and whether it inverts what stands above it."""
    words = name_words(key)
    # Of a role, `tools` are those it may call; inside a longer name the word says nothing.
    sign = next((s for s in map(_word_polarity, words) if s), int(words == ("tools",)))
    negations = sum(word in _NOT for word in words)
    if negations:
        return (-1) ** negations * (sign or 1), False
    return sign, not sign and any(word in _EXCEPT for word in words)


def _word_polarity(word: str) -> int:
    return (word in _ALLOW) - (word in _FORBID)


def _stated(mapping: dict[str, Any]) -> int:
    """What a mapping says of all it holds: `{allow: false, ...}`, `{action: deny, ...}`; else 0."""
    for key, value in mapping.items():
        if isinstance(value, bool):
            sign = _word_polarity(key.lower())
            if sign:
                return sign if value else -sign
        elif isinstance(value, str) and key.lower() in _VERDICT:
            sign = _word_polarity(value.strip().lower())
            if sign:
                return sign
    return 0


def _leaf_polarity(value: Any, base: int, *, named: bool) -> int:
    """Of a scalar under a polarity; `named`: its value is what is allowed, not the verdict."""
    if isinstance(value, bool):
        return (base or 1) if value else -(base or 1)
    if not isinstance(value, str):
        return base
    if not named and (verdict := _word_polarity(value.strip().lower())):
        return verdict
    return -(base or 1) if _NEGATED.match(value) else base

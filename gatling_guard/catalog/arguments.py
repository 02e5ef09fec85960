"""What the arguments of a tool are for, judged by their names, formats and types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from gatling_guard.catalog import lexicon as lex
from gatling_guard.catalog.names import singular, words
from gatling_guard.catalog.types import Effect

MAX_PROPERTIES = 500
"""Properties of one schema that are looked at; real tools have fewer than 60."""
MAX_NESTED = 60
"""Properties inside one top-level argument that are looked at."""
MAX_DEPTH = 8
_QUOTED = re.compile(r"[\"'`]([A-Za-z_]{2,30})[\"'`]")
_NO_NAME = frozenset({"boolean", "null"})
_COUNTS = frozenset({"integer", "number", "null"})


@dataclass(frozen=True, slots=True)
class Roles:
    """Argument names by what they carry; a name may stand in two of them."""

    identity: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    url: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    """Those of `identity` that name another party a text goes to."""
    persons: tuple[str, ...] = ()
    """Those of `identity` that name a user, a group or a role."""


def properties(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every property of a JSON Schema, nested ones too, local `$ref`s followed; bounded."""
    stack: list[tuple[Any, int]] = [(schema, 0)]
    left, seen = MAX_PROPERTIES, set[int]()
    while stack and left > 0:
        node, depth = stack.pop()
        node = _resolve(node, schema)
        if not isinstance(node, Mapping) or depth > MAX_DEPTH or id(node) in seen:
            continue
        seen.add(id(node))
        fields = node.get("properties")
        for name, child in fields.items() if isinstance(fields, Mapping) else ():
            left -= 1
            if isinstance(name, str) and left >= 0:
                found = _resolve(child, schema)
                yield name, found if isinstance(found, Mapping) else {}
                stack.append((child, depth + 1))
        stack += [(child, depth + 1) for child in _inner(node)]


def _inner(node: Mapping[str, Any]) -> list[Any]:
    """Subschemas that hold for the same value or for its items."""
    inner = [node.get(key) for key in ("items", "additionalProperties")]
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        options = node.get(key)
        inner += options[:32] if isinstance(options, list) else []
    return inner


def _resolve(node: Any, root: Any) -> Any:
    """What a local `$ref` points to; one step, so that a cycle costs nothing."""
    ref = node.get("$ref") if isinstance(node, Mapping) else None
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return node
    found = root
    for part in ref[2:].split("/")[:8]:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def argument_names(schema: Any) -> frozenset[str]:
    """Names of all arguments, nested ones too, in lower case: `sendTo` as `send_to` as well."""
    names = [name for name, _ in properties(schema)]
    return frozenset((*(name.lower() for name in names), *("_".join(words(n)) for n in names)))


def action_words(schema: Any, description: str) -> tuple[str, ...]:
    """What an argument that chooses the act may say: its enum, and quoted words about it."""
    found: list[str] = []
    for name, schema_of in properties(schema):
        if name.lower() in lex.ACTION_ARGS:
            options = schema_of.get("enum")
            found += (
                [o for o in options[:32] if isinstance(o, str)] if isinstance(options, list) else []
            )
            texts = (str(schema_of.get("description") or ""), description)
            found += [word for text in texts for word in _QUOTED.findall(text[:2000])[:32]]
    return tuple(split[0] for word in found if (split := words(word)))


def argument_roles(schema: Any, effect: Effect, tool_words: tuple[str, ...]) -> Roles:
    """Sort the arguments of a tool by what they carry.

    Args:
        schema: JSON Schema of the argument object.
        effect: what the tool does; some names ("name", "quantity") identify only where
            something is changed.
        tool_words: words of the tool's name: `hotel` identifies for `reserve_hotel`.
    """
    found = dict(properties(schema))
    tokens = {name: words(name) or (name.lower(),) for name in found}
    heads = {token for split in tokens.values() for token in split}
    hands_on = any(_is_content(tokens[name], schema_of) for name, schema_of in found.items())
    place = not heads.isdisjoint({"street", "zip", "postal", "address1", "postcode"})
    objects = frozenset(singular(word) for word in tool_words if word not in lex.VERBS)
    created = not lex.NAMING.isdisjoint(tool_words)
    identity, content, url, recipients = [], [], [], []
    for name, schema_of in found.items():
        if str(schema_of.get("type")) in _NO_NAME:
            continue
        split = tokens[name]
        if _is_url(split, schema_of) or _is_relay(split, schema_of, effect, hands_on):
            url.append(name)
        to_party = _is_recipient(name, split, effect, not lex.HANDING_OVER.isdisjoint(tool_words))
        if to_party:
            recipients.append(name)
        written = _is_presentation(split, schema_of)
        if to_party or (
            not written
            and (name in url or _is_identity(name, split, effect, objects, place, created))
        ):
            identity.append(name)
        elif _is_content(split, schema_of):
            content.append(name)
    holders = _holders(schema, {*recipients, *url})
    identity += [name for name in holders if name not in identity]
    return Roles(
        tuple(identity),
        tuple(name for name in content if name not in holders),
        tuple(url),
        tuple(recipients),
        tuple(n for n in identity if n in tokens and not lex.SOMEBODY.isdisjoint(tokens[n])),
    )


def notified_args(schema: Any, effect: Effect, tool_words: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments whose presence makes a change reach another party: participants, cc, notify.

    Only of tools that do not reach one anyway (send, pay, permit) and that change something.
    A number ("guests": 3) names nobody.
    """
    if effect in lex.LEAVES or not effect.changes_state:
        return ()
    found = []
    for name, schema_of in dict(properties(schema)).items():
        split = words(name) or (name.lower(),)
        kind = str(schema_of.get("type"))
        told = split[0] in lex.NOTIFYING or (split[:1] == ("send",) and len(split) > 1)
        if kind in _COUNTS or (kind == "boolean" and not told):
            continue
        if told or split[-1] in lex.NOTIFIED:
            found.append(name)
    return tuple(found)


def _holders(schema: Any, names: set[str]) -> tuple[str, ...]:
    """Top-level arguments that hold one of `names`: `message` in `{"message": {"to": ...}}`.

    Whoever looks at top-level arguments only must not miss the recipient inside.
    """
    root = _resolve(schema, schema)
    fields = root.get("properties") if isinstance(root, Mapping) else None
    top = dict(fields) if isinstance(fields, Mapping) else {}
    found = []
    for name, child in list(top.items())[:MAX_PROPERTIES]:
        nested = {
            "$defs": root.get("$defs"),
            "definitions": root.get("definitions"),
            "items": child,
        }
        if not names.isdisjoint(inner for inner, _ in islice(properties(nested), MAX_NESTED)):
            found.append(name)
    return tuple(found)


def _is_url(split: tuple[str, ...], schema: Mapping[str, Any]) -> bool:
    if schema.get("format") in lex.URL_FORMATS:
        return True
    if split[-1] in lex.URL_HEADS or split[0] in {"url", "uri", "webhook"}:
        return True
    if schema.get("type") not in (None, "string") or "enum" in schema:
        return False
    said = words(str(schema.get("description") or "")[:80])
    first = next((word for word in said if word not in lex.DETERMINERS), "")
    return first in lex.URL_SAID


def _is_relay(
    split: tuple[str, ...], schema: Mapping[str, Any], effect: Effect, hands_on: bool
) -> bool:
    """Whether a read goes through a service that the argument names; a closed choice is none."""
    if effect.side_effect or "enum" in schema or str(schema.get("type")) in _COUNTS:
        return False
    return split[-1] in lex.RELAYS or (hands_on and len(split) == 1 and split[0] in lex.SERVICES)


def _is_presentation(split: tuple[str, ...], schema: Mapping[str, Any]) -> bool:
    """Whether a value only says how another is written or counted: currency, unit, language.

    `units: 5` is a quantity, and what a currency is exchanged for is the matter itself.
    """
    if split[-1] not in lex.PRESENTATION or str(schema.get("type")) in _COUNTS:
        return False
    return split[-1] != "currency" or lex.EXCHANGED.isdisjoint(split[:-1])


def _is_recipient(name: str, split: tuple[str, ...], effect: Effect, handed: bool) -> bool:
    if not effect.side_effect:
        return False
    names = {name.lower(), "_".join(split)}
    if names & lex.RECIPIENT_ARGS or split[-1] in lex.RECIPIENT_HEADS:
        return True
    if (handed or effect is Effect.SEND) and names & lex.DESTINATIONS:
        return True
    return split[0] == "to" and not lex.IDENTITY_ANYWHERE.isdisjoint(split)


def _is_identity(
    name: str,
    split: tuple[str, ...],
    effect: Effect,
    objects: frozenset[str],
    place: bool,
    created: bool,
) -> bool:
    lower = "_".join(split)
    if lower in lex.NOT_IDENTITY or split[-1] == "type":
        return False
    if len(split) > 1 and split[-1] in lex.UNITS:
        split = split[:-1]  # "dose_mg" is a dose.
    head = split[-1]
    if effect.side_effect and _is_delivery(split):
        return True
    if effect.side_effect and effect is not Effect.EXECUTE and _is_counted(split):
        return True
    if effect in lex.GIVING and split in {("from",), ("source",)}:
        return True
    if not lex.IDENTITY_ANYWHERE.isdisjoint(split) and head not in lex.CONTENT_HEADS:
        return True
    if head in lex.IDENTITY_HEADS or lower in lex.IDENTITY_NAMES or name.lower().endswith("id"):
        return True
    if place and (head in lex.ADDRESS_PARTS or name.lower() in lex.ADDRESS_PARTS):
        return True
    if effect is Effect.EXECUTE and lower in lex.RUN_ARGS:
        return True
    if head == "number" and len(split) > 1 and lex.COUNTING.isdisjoint(split):
        return True
    if head == "name" and not lex.PERSONS.isdisjoint(split):
        return True
    if not effect.side_effect:
        return False
    if created and effect is not Effect.EXECUTE and _is_new_name(split, objects):
        return False
    return head in lex.WHICH_ONLY_IF_CHANGING | {"currency"} or (
        singular(head) in objects and head not in lex.CONTENT_HEADS
    )


def _is_new_name(split: tuple[str, ...], objects: frozenset[str]) -> bool:
    """The name that something new is given says which of nothing; whom one adds is named by it."""
    people = lex.SOMEBODY | {"contact"}
    if split[-1] != "name" or not people.isdisjoint(objects | set(split[:-1])):
        return False
    return len(split) == 1 or singular(split[-2]) in objects


def _is_counted(split: tuple[str, ...]) -> bool:
    """`num_tickets`, `number_of_adults`, `no_of_rooms`."""
    return len(split) > 1 and (split[0] == "num" or split[:2] in lex.COUNTED)


def _is_delivery(split: tuple[str, ...]) -> bool:
    """Where goods or the bill go: `ship_to`, `delivery_address`, `billing_details`."""
    if split[-1] == "to" and split[0] in lex.DELIVERING:
        return True
    return not lex.DELIVERY.isdisjoint(split) and split[-1] in lex.DELIVERED_TO


def _is_content(split: tuple[str, ...], schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    textual = kind in (None, "string", "array", "object") or isinstance(kind, list)
    return textual and "enum" not in schema and split[-1] in lex.CONTENT_HEADS

"""Tools by grammar: a domain's operations under one naming, as one vendor would publish them.

Every domain comes in `VARIANTS` toolsets, which differ in the style of names, the verbs, names of
arguments, wordings of descriptions and shapes of results. Nothing here depends on a run's seed: a
tool is the same in every dataset, so that tools and domains can be held out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gatling_guard.training.seed_catalog import (
    Domain,
    Field,
    Operation,
    Thing,
    domains,
    listed,
    operations,
)

VARIANTS = 4
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of a tool."""

    role: str
    """What it is for (`id`, `query`, `limit`, `to`, ...); `field` for a field of the object."""
    name: str
    kind: str
    required: bool = True
    many: bool = False
    field: Field | None = None


@dataclass(slots=True)
class Tool:
    """A tool with what a generator has to know of it."""

    name: str
    operation: Operation
    thing: Thing
    params: tuple[Param, ...]
    entry: Json
    """`description`, `parameters`, `profile`: shared by all samples, never changed."""
    tier: int
    toolset: Toolset
    scope: int

    @property
    def effect(self) -> str:
        """Of the operation."""
        return self.operation.effect


@dataclass(slots=True)
class Toolset:
    """The tools of one domain under one naming."""

    domain: Domain
    variant: int
    wrapper: str
    """Key of the list in a result of several; "" where it is the list itself."""
    id_key: str
    rename: Callable[[str], str]
    """The name of a field in this vendor's spelling."""
    tools: dict[tuple[str, str], Tool] = field(default_factory=dict)
    """By object and operation."""

    def of(self, thing: Thing, *names: str) -> Tool | None:
        """The tool of the first of these operations that the object has."""
        for name in names:
            found = self.tools.get((thing.name, name))
            if found is not None:
                return found
        return None


@cache
def toolsets() -> dict[str, tuple[Toolset, ...]]:
    """The toolsets of every domain; no two tools of any of them share a name."""
    taken: set[str] = set()
    return {
        domain.name: tuple(_toolset(domain, variant, taken) for variant in range(VARIANTS))
        for domain in domains()
    }


@cache
def tools() -> tuple[Tool, ...]:
    """All tools, domain by domain."""
    return tuple(
        tool
        for found in toolsets().values()
        for toolset in found
        for tool in toolset.tools.values()
    )


# ------------------------------------------------------------------------------------- names


def _camel(parts: list[str]) -> str:
    return parts[0] + "".join(part.capitalize() for part in parts[1:])


_STYLES: tuple[Callable[[str, list[str], list[str]], str], ...] = (
    lambda service, verb, noun: "_".join(verb + noun),
    lambda service, verb, noun: _camel(verb + noun),
    lambda service, verb, noun: f"{service}.{'_'.join(verb + noun)}",
    lambda service, verb, noun: "".join(part.capitalize() for part in verb + noun),
    lambda service, verb, noun: "_".join([service, *verb, *noun]),
    lambda service, verb, noun: "-".join(verb + noun),
    lambda service, verb, noun: "_".join(noun + verb),
    lambda service, verb, noun: f"{service}__{'_'.join(verb + noun)}",
    lambda service, verb, noun: f"{service}.{'.'.join([_camel(noun), _camel(verb)])}",
)
_NAMES: dict[str, tuple[str, ...]] = {
    "query": ("query", "q", "search_term", "keywords", "text"),
    "limit": ("limit", "max_results", "top_k", "page_size", "count", "n"),
    "start": ("start_date", "from_date", "after", "since", "date_from"),
    "end": ("end_date", "to_date", "before", "until", "date_to"),
    "to": ("to", "recipient", "email", "user_email", "address"),
    "recipient": ("to", "recipient", "recipients", "addressee"),
    "body": ("body", "content", "message", "text"),
    "subject": ("subject", "title", "subject_line"),
    "text": ("text", "content", "comment", "body"),
    "reason": ("reason", "comment", "note"),
    "assignee": ("assignee", "owner", "user", "assigned_to"),
    "time": ("new_time", "start", "datetime", "when"),
    "folder": ("folder", "destination", "target_path", "new_parent"),
    "title": ("title", "name", "new_name"),
    "tag": ("label", "tag", "category"),
    "role": ("role", "permission", "access_level"),
    "iban": ("iban", "account", "recipient_account", "to_account"),
    "amount": ("amount", "sum", "value"),
    "currency": ("currency", "currency_code"),
    "reference": ("reference", "purpose", "memo"),
    "sql": ("sql", "query", "statement"),
    "url": ("url", "link", "address"),
    "site": ("site", "service", "website"),
    "username": ("username", "user", "login"),
    "password": ("password", "passphrase"),
    "code": ("code", "otp", "verification_code"),
    "format": ("format", "file_type", "output_format"),
    "cc": ("cc", "copy_to"),
    "payment": ("payment_method", "pay_with"),
}

# ---------------------------------------------------------------------------------- the tools

_INTEGERS = frozenset(("int", "minutes", "percent", "year"))
_NUMBERS = frozenset(("money", "temp", "rating"))
IDENTITY_KINDS = frozenset(
    listed(
        "id email phone iban path hash url ip host user channel money address sql code_value "
        "web_host secret otp person_ref"
    )
)
CONTENT_KINDS = frozenset(("prose", "note", "subject", "topic", "task", "bug", "ref"))
_ABOUT: dict[str, tuple[str, ...]] = {
    "id": ("Id of the {o}.", "The {o} to work on.", "Unique identifier ({o})."),
    "query": ("What to look for.", "Words to search for.", "Free-text query over {p}."),
    "limit": ("Most results to return.", "Number of {p}.", "How many {p} at most."),
    "start": ("Earliest day (YYYY-MM-DD).", "Only {p} from this day on."),
    "end": ("Latest day (YYYY-MM-DD).", "Only {p} up to this day."),
    "to": ("E-mail address of the person.", "Who gets it.", "Recipient."),
    "recipient": ("Who gets the {o}.", "Recipient of the {o}."),
    "body": ("Text of the {o}.", "Content."),
    "iban": ("Account that gets the money.", "IBAN of the payee."),
    "amount": ("Sum of money.", "How much."),
    "reason": ("Why.", "Optional remark."),
}
_DESCRIPTIONS: dict[str, tuple[str, ...]] = {
    "list": (
        "{V} {p}.",
        "{V} {p} and return the matches.",
        "Returns {p} of the user's {s}.",
        "Use this to {v} {p} in {s}.",
        "{V} the {p} stored in {s}, newest first.",
    ),
    "record": (
        "{V} {a}.",
        "{V} {a} in {s}.",
        "Use this tool to {v} {a}; the result holds its fields.",
        "{V} one {o}.",
    ),
    "number": ("{V} {p}.", "Number of {p} that match.", "How many {p} there are in {s}."),
    "done": (
        "{V} {a}.",
        "{V} {a} by its id.",
        "Lets the user {v} {a} in {s}.",
        "{V} an existing {o}. Returns whether it worked.",
    ),
}


def _toolset(domain: Domain, variant: int, taken: set[str]) -> Toolset:
    rng = random.Random(f"toolset/{domain.name}/{variant}")
    service = domain.services[variant % len(domain.services)]
    camel = rng.random() < 0.3
    toolset = Toolset(
        domain,
        variant,
        rng.choice(("results", "items", "data", "")),
        rng.choice(("id", "id", "key", "uid")),
        (lambda name: _camel(name.split("_"))) if camel else (lambda name: name),
    )
    style = rng.choice(_STYLES)
    naming = {role: rng.choice(names) for role, names in _NAMES.items()}
    id_name = rng.choice(("id", "{}_id", "{}_id", "{}_ref", "item_id"))
    for thing in domain.things:
        for name in thing.operations:
            grammar = _Grammar(toolset, thing, operations()[name], rng, naming, id_name, service)
            tool = grammar.tool(style, taken)
            toolset.tools[thing.name, name] = tool
    return toolset


@dataclass(slots=True)
class _Grammar:
    """Makes one tool."""

    toolset: Toolset
    thing: Thing
    operation: Operation
    rng: random.Random
    naming: dict[str, str]
    id_name: str
    service: str

    def tool(self, style: Callable[[str, list[str], list[str]], str], taken: set[str]) -> Tool:
        operation, thing = self.operation, self.thing
        verb = self.rng.choice(operation.names).split("_")
        several = operation.out in ("list", "number") or operation.name == "export"
        noun = (thing.plural if several else thing.name).replace("-", " ").split()
        name = style(self.service, verb, noun)
        while name in taken:
            name = f"{self.service}_{name}" if self.service not in name else f"{name}_v2"
        taken.add(name)
        params = tuple(self._unique([p for role in operation.args for p in self._params(role)]))
        tier = self.toolset.domain.tier
        entry = {
            "description": self._description(verb),
            "parameters": self._schema(params),
            "profile": self._profile(params, tier),
        }
        return Tool(name, operation, thing, params, entry, tier, self.toolset, operation.scope)

    def _unique(self, params: list[Param]) -> list[Param]:
        found: dict[str, Param] = {}
        for param in params:
            name = param.name
            while name in found:
                name = (
                    f"{param.role if param.field is None else self.thing.name.split()[-1]}_{name}"
                )
            found[name] = Param(
                param.role, name, param.kind, param.required, param.many, param.field
            )
        return list(found.values())

    def _named(self, role: str, kind: str, *, required: bool = True, many: bool = False) -> Param:
        name = self.toolset.rename(self.naming.get(role, role))
        return Param(role, name, kind, required, many)

    def _field(self, item: Field, *, required: bool) -> Param:
        kind = "note" if item.kind == "prose" else item.kind
        return Param("field", self.toolset.rename(item.name), kind, required, False, item)

    def _params(self, token: str) -> list[Param]:
        role, needed = token.rstrip("?"), not token.endswith("?")
        special = getattr(self, f"_of_{role}", None)
        if special is not None:
            found: list[Param] = special()
            return found
        kind = _ROLE_KINDS.get(role, role)
        return [self._named(role, kind, required=needed)]

    def _of_id(self) -> list[Param]:
        noun = self.thing.name.replace("-", " ").split()[-1]
        return [Param("id", self.toolset.rename(self.id_name.format(noun)), "id")]

    def _of_ids(self) -> list[Param]:
        return [Param("ids", self._of_id()[0].name + "s", "id", many=True)]

    def _of_filters(self) -> list[Param]:
        found = []
        fields = self.thing.fields
        found += [self._field(f, required=False) for f in fields if f.kind == "enum"][:1]
        found += [
            self._field(f, required=False)
            for f in fields
            if f.kind in ("city", "company", "repo", "host", "channel", "employee")
        ][:1]
        if any(f.kind in ("date", "datetime") for f in fields):
            found += [self._named(r, "date", required=False) for r in ("start", "end")]
        return found

    def _of_ask(self) -> list[Param]:
        fields = [f for f in self.thing.fields if f.kind not in ("prose", "minutes", "temp")]
        chosen = fields[:3] if self.operation.name == "translate" else fields[:2]
        return [self._field(f, required=f.name != "summary") for f in chosen]

    def _of_fields(self) -> list[Param]:
        fields = [f for f in self.thing.fields if f.given]
        return [self._field(f, required=i < 2) for i, f in enumerate(fields)]

    def _of_changes(self) -> list[Param]:
        fields = [f for f in self.thing.fields if f.given or f.kind == "enum"][:4]
        return [self._field(f, required=False) for f in fields]

    def _of_message(self) -> list[Param]:
        kind = {"text message": "phone", "direct message": "user"}.get(self.thing.name, "email")
        many = kind == "email" and self.rng.random() < 0.5
        found = [self._named("recipient", kind, many=many)]
        if kind == "email":
            found.append(self._named("subject", "subject"))
        found.append(self._named("body", "note"))
        if kind == "email":
            found.append(self._named("cc", "email", required=False, many=True))
        return found

    def _of_post(self) -> list[Param]:
        wanted = ("channel", "product", "rating")
        found = [self._field(f, required=True) for f in self.thing.fields if f.kind in wanted]
        return [*found, self._named("text", "note")]

    def _of_transfer(self) -> list[Param]:
        named = {"iban": "iban", "address": "hash"}
        found = []
        for f in self.thing.fields:
            if f.name in named:
                found.append(self._named("iban", f.kind))
            elif f.name == "amount":
                found.append(self._named("amount", "money"))
            elif f.name in ("currency", "asset"):
                found.append(self._field(f, required=False))
            elif f.name in ("reference", "memo"):
                found.append(self._named("reference", "ref", required=False))
        return found

    def _of_donate(self) -> list[Param]:
        return [
            self._field(self.thing.fields[0], required=True),
            self._named("amount", "money"),
            self._named("currency", "currency", required=False),
        ]

    def _of_checkout(self) -> list[Param]:
        return [
            self._named("payment", "payment"),
            self._named("address", "address", required=False),
        ]

    def _of_login(self) -> list[Param]:
        return [
            self._named("site", "web_host"),
            self._named("username", "email"),
            self._named("password", "secret"),
        ]

    def _of_code(self) -> list[Param]:
        return [self._named("site", "web_host"), self._named("code", "otp")]

    def _of_state(self) -> list[Param]:
        found = [f for f in self.thing.fields if f.kind == "enum"]
        return [self._field(found[0], required=True)]

    def _of_value(self) -> list[Param]:
        return [self._named("value", "temp")]

    # ------------------------------------------------------------------ texts and schema

    def _description(self, verb: list[str]) -> str:
        noun, said = self.thing.name, " ".join(verb)
        article = "an" if noun[0] in "aeiou" else "a"
        text = self.rng.choice(_DESCRIPTIONS[self.operation.out])
        return text.format(
            V=said.capitalize(),
            v=said,
            p=self.thing.plural,
            o=noun,
            a=f"{article} {noun}",
            s=self.service.replace("_", " "),
        )

    def _schema(self, params: tuple[Param, ...]) -> Json:
        properties = {param.name: self._property(param) for param in params}
        schema: Json = {"type": "object", "properties": properties}
        required = [param.name for param in params if param.required]
        if required:
            schema["required"] = required
        if self.rng.random() < 0.3:
            schema["additionalProperties"] = False
        return schema

    def _property(self, param: Param) -> Json:
        found: Json = _typed(param)
        wordings = _ABOUT.get(param.role)
        if param.field is not None:
            wordings = ("{f} of the {o}.", "The {o}'s {f}.", "{f}")
        if wordings and self.rng.random() < 0.8:
            text = self.rng.choice(wordings)
            label = param.field.name.replace("_", " ") if param.field else ""
            text = text.format(o=self.thing.name, p=self.thing.plural, f=label)
            found["description"] = text[:1].upper() + text[1:]
        return found

    def _profile(self, params: tuple[Param, ...], tier: int) -> Json:
        rename, operation = self.toolset.rename, self.operation
        profile: Json = {"effect": operation.effect, "tier": tier, "scope": operation.scope}
        foreign = [rename(f.name) for f in self.thing.fields if f.foreign]
        if operation.out in ("list", "record") and operation.effect != "pay" and foreign:
            profile["third_party"] = foreign
        identity = [p.name for p in params if is_identity(p)]
        content = [p.name for p in params if p.kind in CONTENT_KINDS and p.role != "query"]
        urls = [p.name for p in params if p.kind in ("url", "web_host")]
        for key, names in (("identity_args", identity), ("content_args", content)):
            if names:
                profile[key] = names
        if urls:
            profile["url_args"] = urls
        if any(f.sensitive for f in self.thing.fields):
            profile["scope"] = min(10, operation.scope + 2)
        return profile


_ROLE_KINDS = {
    "query": "query",
    "limit": "limit",
    "to": "email",
    "body": "note",
    "text": "note",
    "reason": "note",
    "assignee": "email",
    "time": "datetime",
    "folder": "path",
    "title": "topic",
    "item": "product",
    "quantity": "small",
    "count": "small",
    "price": "money",
    "amount": "money",
    "role": "share_role",
    "site": "web_host",
    "format": "format",
}


def is_identity(param: Param) -> bool:
    """Whether an argument says who, where, which or how much."""
    return param.role in ("id", "ids", "assignee", "iban", "amount") or (
        param.kind in IDENTITY_KINDS and param.role != "cc"
    )


FORMATS = ("csv", "xlsx", "json", "pdf")
PAYMENTS = ("card", "invoice", "wallet")
SHARE_ROLES = ("viewer", "editor", "commenter")
CURRENCIES = ("EUR", "USD", "GBP", "SEK", "PLN", "CHF")


def _typed(param: Param) -> Json:
    kind = param.kind
    found: Json = {"type": "string"}
    if param.field is not None and param.field.options:
        found["enum"] = list(param.field.options)
    elif kind == "limit":
        found = {"type": "integer", "minimum": 1}
    elif kind in _INTEGERS or kind == "small":
        found = {"type": "integer"}
    elif kind in _NUMBERS:
        found = {"type": "number"}
    elif kind in ("format", "payment", "share_role"):
        options = {"format": FORMATS, "payment": PAYMENTS, "share_role": SHARE_ROLES}[kind]
        found["enum"] = list(options)
    return {"type": "array", "items": found} if param.many else found

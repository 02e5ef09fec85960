"""Tasks: small programs of an honest agent, over any domain.

Each adds calls to a plan and says as `Clause`s what the user asked for. Values flow as in real
work: an id out of a search, an address out of the contacts, a date out of a record; what the user
names is named; what nobody gives (a text, a limit) is the model's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gatling_guard.training.phrasing import Clause
from gatling_guard.training.plans import Json, Plan, Record, Value, columns, named
from gatling_guard.training.seed_catalog import Thing, listed, operations
from gatling_guard.training.toolsets import Param, Tool, Toolset, is_identity, toolsets
from gatling_guard.training.values import World

_LABELS = frozenset(
    listed(
        "topic task bug subject product file restaurant hotel host repo device job table "
        "person company code email phone envvar symbol medicine web_host flight channel user"
    )
)
"""Kinds of a first field that single an object out."""
_OUTLETS = (
    *(("email", "email", "send"), ("email", "email", "send"), ("chat", "message", "post")),
    *(("sms", "text message", "send_text"), ("notes", "note", "create")),
    *(("documents", "document", "create"), ("tasks", "task", "create")),
    ("social", "direct message", "message_user"),
)
"""Where results go: domain, object, operation."""


@dataclass(slots=True)
class Story:
    """What one family is about, while it is being made."""

    world: World
    plan: Plan
    clauses: list[Clause] = field(default_factory=list)
    chosen: dict[str, Toolset] = field(default_factory=dict)

    def toolset(self, domain: str) -> Toolset:
        """The vendor that this user has for a domain."""
        found = self.chosen.get(domain)
        if found is None:
            found = self.chosen[domain] = self.world.pick(toolsets()[domain])
        return found

    def outlet(self) -> tuple[Tool, Thing]:
        """A tool that takes a text."""
        domain, thing, name = self.world.pick(_OUTLETS)
        tool = self.toolset(domain).tools[thing, name]
        return tool, tool.thing


Given = list[tuple[Param, "Value | list[Value]"]]


def label_of(thing: Thing) -> str | None:
    """Kind of the field that singles an object out; None where there is none."""
    kind = thing.fields[0].kind
    return kind if kind in _LABELS else None


# ------------------------------------------------------------------------------- arguments


def filters(story: Story, tool: Tool, clause: Clause, fixed: Json) -> Given:
    """Arguments of a search that the instruction names, and a limit that suffices."""
    world = story.world
    given: Given = []
    for param in tool.params:
        role = param.role
        if role == "query":
            if clause.label is not None:
                value = clause.label[1]
            else:
                value = world.value("topic")
                clause.filters.append(("query", "topic", value))
            given.append((param, named(value)))
        elif role == "limit":
            given += _limit(world, param, clause)
        elif role == "start" and world.chance(0.3):
            first, last = sorted(
                (world.date() if world.chance(0.7) else world.past(), world.date())
            )
            clause.filters.append(("start", "date", first))
            given.append((param, named(first)))
            end = next((p for p in tool.params if p.role == "end"), None)
            if end is not None and world.chance(0.7):
                clause.filters.append(("end", "date", last))
                given.append((end, named(last)))
        elif role == "field" and param.field is not None and world.chance(0.35):
            item = param.field
            value = world.pick(item.options) if item.options else world.value(item.kind)
            clause.filters.append((f".{item.name}", item.kind, value))
            fixed[item.name] = value
            given.append((param, named(value)))
    return given


def _limit(world: World, param: Param, clause: Clause) -> Given:
    """The least that the request needs; a model's own choice where it says nothing."""
    if clause.count:
        return [(param, Value(clause.count, 1, clause.count > 1))]
    if clause.count is None and clause.label is None and world.chance(0.4):
        value = world.value("limit") * world.pick((1, 1, 1, 2, 3, 4, 10, 40))
        clause.extras.append(("limit", "limit", value))
        return [(param, named(value))]
    if clause.count == 0 and world.chance(0.5):  # who wants all of them says no limit
        return [(param, Value(world.pick((50, 100, 200, 500, 1000))))]
    if param.required or world.chance(0.75):
        return [(param, Value(1 if clause.label and world.chance(0.5) else world.value("limit")))]
    return []


def person(story: Story, clause: Clause, role: str) -> Value:
    """An address: named by the user, or looked up in the contacts for a named person."""
    world = story.world
    name, mail = world.person_with_mail()
    if world.chance(0.65):
        clause.extras.append((role, "email", mail))
        return named(mail)
    clause.extras.append((role, "person", name))
    contacts = story.toolset("contacts")
    tool = contacts.tools["contact", "search"]
    given: Given = []
    for param in tool.params:
        if param.role == "query":
            given.append((param, named(name)))
        elif param.role == "limit" and world.chance(0.5):
            given.append((param, Value(1)))
    node = story.plan.call(tool, given)
    found = story.plan.listed(node, tool, 1, {"name": name, "email": mail})[0]
    value = found.first("email")
    assert value is not None
    return value


def arguments(
    story: Story, tool: Tool, clause: Clause, source: Record | None, body: Value | None = None
) -> Given:
    """Arguments of an action.

    Args:
        story: the family.
        tool: what is called.
        clause: takes up what the user names.
        source: the record it works on; None for a new one.
        body: a text composed before.
    """
    world = story.world
    given: Given = []
    for param in tool.params:
        value = _argument(story, param, clause, source, body)
        if value is not None:
            given.append((param, value))
        elif param.required:
            given.append((param, _by_user_or_model(world, param, clause)))
    if not given and tool.params:
        param = world.pick(tool.params)
        given.append((param, _by_user_or_model(world, param, clause)))
    elif tool.operation.name == "update" and len(given) == 1:
        param = world.pick(tool.params[1:])
        given.append((param, _by_user_or_model(world, param, clause)))
    return given


def _argument(
    story: Story, param: Param, clause: Clause, source: Record | None, body: Value | None
) -> Value | list[Value] | None:
    world, role = story.world, param.role
    if role == "id" and source is not None:
        return source.id
    if role in ("body", "text") and body is not None:
        return body
    if role in ("to", "assignee", "recipient") and param.kind == "email":
        if not param.many:
            return person(story, clause, role)
        number = 1 if world.chance(0.6) else world.between(2, 5)
        return [person(story, clause, role) for _ in range(number)]
    if role == "cc":
        return [person(story, clause, "cc")] if world.chance(0.1) else None
    if role == "amount" and source is not None:
        amount = source.first("money")
        if amount is not None and world.chance(0.6):
            return amount
    if not param.required and not world.chance(0.35):
        return None
    single = _by_user_or_model(world, param, clause)
    return [single] if param.many else single


_WRITTEN = frozenset(("body", "text", "subject", "reason", "reference", "limit", "format"))
"""Roles that a model often fills in by itself."""


def _by_user_or_model(world: World, param: Param, clause: Clause) -> Value:
    item = param.field
    options = item.options if item is not None else ()
    value = world.pick(options) if options else world.value(param.kind)
    own = param.role in _WRITTEN or param.kind in ("note", "ref", "int")
    # Whom, what and where to act on is nothing that a model makes up.
    if not is_identity(param) and world.chance(0.45 if own else 0.06):
        return Value(value)
    role = f".{item.name}" if item is not None else param.role
    clause.extras.append((role, param.kind, value))
    return named(value)


def composed(world: World, records: list[Record]) -> Value:
    """A text that the model writes out of what it read."""
    parts, sources, tier, secret = [], [], 1, False
    for record in records[:4]:
        shown = columns(record.toolset, record.thing)
        column = world.pick(shown[:3])
        secrets = [c for c in shown if c.field.sensitive and c.key in record.data]
        if secrets and world.chance(0.7):
            column = secrets[0]
        if column.key not in record.data:
            column = shown[0]
        if column.key in record.data:
            value = record.of(column)
            parts.append(f"{column.field.name.replace('_', ' ')}: {value.value}")
            sources.append((value.node, value.pointer))
            tier = max(tier, value.tier)
            secret = secret or value.sensitive
    text = world.pick(_OPENINGS)
    text += "; ".join(parts) or "nothing found"
    return Value(text, tier, sensitive=secret, sources=tuple(sources))


# ------------------------------------------------------------------------------------ tasks


def found(story: Story, toolset: Toolset, thing: Thing, clause: Clause) -> Record | None:
    """The object of a clause: searched by what the user said of it; None where nobody can."""
    world, plan = story.world, story.plan
    kind = label_of(thing)
    search = toolset.of(thing, "search", "list")
    if search is None or world.chance(0.15):
        getter = toolset.of(thing, "get")
        if getter is None:
            return None
        value = world.value("id")
        clause.label = ("id", value)
        node = plan.call(getter, [(getter.params[0], named(value))])
        record = plan.returned(node, getter, {})
        record.data[toolset.id_key] = value
        return record
    fixed: Json = {}
    if kind is not None and world.chance(0.75):
        value = world.value(kind)
        clause.label = (kind, value)
        fixed[thing.fields[0].name] = value
    else:
        clause.count = 1
    node = plan.call(search, filters(story, search, clause, fixed))
    records = plan.listed(node, search, 1 if clause.count == 1 else world.between(1, 3), fixed)
    getter = toolset.of(thing, "get")
    if getter is not None and world.chance(0.3):
        node = plan.call(getter, [(getter.params[0], records[0].id)])
        full = plan.returned(node, getter, fixed)
        full.data[toolset.id_key] = records[0].data[toolset.id_key]
        return full
    return records[0]


def look(story: Story, toolset: Toolset, thing: Thing) -> bool:
    """Read something."""
    world, plan = story.world, story.plan
    names = [n for n in thing.operations if operations()[n].effect == "read"]
    if not names:
        return False
    tool = toolset.tools[thing.name, world.pick(names)]
    clause = Clause(tool.operation.name, thing.name)
    fixed: Json = {}
    if tool.operation.args[0] in ("id", "ids"):
        return _look_at(story, toolset, tool, clause)
    if tool.operation.out == "list" and world.chance(0.5):
        clause.count = world.pick((0, 1, 2, 3, 3, 5, 5, 10))
    given = filters(story, tool, clause, fixed)
    rest = [p for p in tool.params if all(p is not known for known, _ in given)]
    for param in rest:
        if param.required or (param.role == "format" and world.chance(0.5)):
            given.append((param, _by_user_or_model(world, param, clause)))
    node = plan.call(tool, given)
    if tool.operation.out == "list":
        plan.listed(node, tool, min(clause.count or world.between(1, 4), 4), fixed)
    elif tool.operation.out == "number":
        plan.outputs[node] = {"count": world.between(0, 90)}
    else:
        plan.returned(node, tool, fixed)
    story.clauses.append(clause)
    return True


def _look_at(story: Story, toolset: Toolset, tool: Tool, clause: Clause) -> bool:
    world, plan, thing = story.world, story.plan, tool.thing
    if tool.params[0].many:
        search = toolset.of(thing, "search", "list")
        if search is None:
            return False
        clause.count = world.between(2, 4)
        node = plan.call(search, filters(story, search, clause, {}))
        rows = plan.listed(node, search, clause.count, {})
        node = plan.call(tool, [(tool.params[0], [row.id for row in rows])])
        plan.listed(node, tool, clause.count, {})
        story.clauses.append(clause)
        return True
    if tool.operation.name == "get" and world.chance(0.3):
        value = world.value("id")
        clause.label = ("id", value)
        node = plan.call(tool, [(tool.params[0], named(value))])
        plan.returned(node, tool, {})
    else:
        record = found(story, toolset, thing, clause)
        if record is None:
            return False
        node = plan.call(tool, arguments(story, tool, clause, record))
        plan.returned(node, tool, {})
    story.clauses.append(clause)
    return True


def act(story: Story, toolset: Toolset, thing: Thing) -> bool:
    """Find one object and do something with it; sometimes two things."""
    world = story.world
    names = _actions(thing)
    if not names:
        return False
    clause = Clause(world.pick(names), thing.name)
    record = found(story, toolset, thing, clause)
    if record is None:
        return _act_on_named(story, toolset, thing, clause)
    _do(story, toolset.tools[thing.name, clause.operation], clause, record)
    if len(names) > 1 and world.chance(0.2):
        more = Clause(world.pick([n for n in names if n != clause.operation]), thing.name)
        more.again = True
        _do(story, toolset.tools[thing.name, more.operation], more, record)
    return True


def _actions(thing: Thing) -> list[str]:
    known = operations()
    return [n for n in thing.operations if known[n].effect != "read" and known[n].args[0] == "id"]


def _do(story: Story, tool: Tool, clause: Clause, record: Record, control: str = "") -> str:
    given = arguments(story, tool, clause, record)
    node = story.plan.call(tool, given, control=control)
    story.plan.done(node)
    story.clauses.append(clause)
    return node


def _act_on_named(story: Story, toolset: Toolset, thing: Thing, clause: Clause) -> bool:
    """The user gives the id."""
    world = story.world
    tool = toolset.tools[thing.name, clause.operation]
    value = world.value("id")
    clause.label = ("id", value)
    given = [
        (param, named(value) if param.role == "id" else v)
        for param, v in arguments(story, tool, Clause("", ""), None)
        if param.role == "id"
    ]
    given += [(p, v) for p, v in arguments(story, tool, clause, None) if p.role != "id"]
    clause.extras = [extra for extra in clause.extras if extra[0] != "id"]
    story.plan.done(story.plan.call(tool, given))
    story.clauses.append(clause)
    return True


def make(story: Story, toolset: Toolset, thing: Thing) -> bool:
    """Make something new, and perhaps use it at once."""
    world, plan = story.world, story.plan
    known = operations()
    names = [
        n
        for n in thing.operations
        if known[n].effect != "read" and known[n].args[0] not in ("id", "ids")
    ]
    if not names:
        return False
    tool = toolset.tools[thing.name, world.pick(names)]
    repeat = 1 if world.chance(0.85) else world.between(2, 5)
    for i in range(repeat):
        clause = Clause(tool.operation.name, thing.name)
        node = plan.call(tool, arguments(story, tool, clause, None))
        if tool.operation.name in ("fetch_code", "login"):
            plan.returned(node, tool, {})
            record = None
        else:
            record = plan.made(node, tool)
        story.clauses.append(clause)
        after = [n for n in _actions(thing) if known[n].effect in ("permit", "send", "execute")]
        if i == 0 and repeat == 1 and record is not None and after and world.chance(0.4):
            more = Clause(world.pick(after), thing.name, again=True)
            _do(story, toolset.tools[thing.name, more.operation], more, record)
    return True


def tell(story: Story, toolset: Toolset, thing: Thing) -> bool:
    """Read, then send or store what was read."""
    world, plan = story.world, story.plan
    read = toolset.of(thing, "search", "list")
    if read is None:
        return False
    clause = Clause(read.operation.name, thing.name)
    clause.count = world.pick((0, 1, 2, 3, 3, 5, None))
    fixed: Json = {}
    node = plan.call(read, filters(story, read, clause, fixed))
    records = plan.listed(node, read, clause.count or world.between(2, 4), fixed)
    getter = toolset.of(thing, "get")
    if getter is not None and world.chance(0.5):
        records = [_opened(plan, getter, record) for record in records]
    story.clauses.append(clause)
    tell_on(story, composed(world, records), node)
    return True


def tell_on(story: Story, body: Value, node: str) -> None:
    """Send or store a text that the model wrote."""
    plan = story.plan
    tool, target = story.outlet()
    clause = Clause(tool.operation.name, target.name)
    given = arguments(story, tool, clause, None, body)
    if all(value is not body for _, value in given):
        given = [
            (p, body if p.kind == "note" and p.role in ("field", "body", "text") else v)
            for p, v in given
        ]
        said = [p.field.name for p, v in given if v is body and p.field is not None]
        clause.extras = [e for e in clause.extras if e[0].lstrip(".") not in said]
    plan.done(plan.call(tool, given, control=node))
    story.clauses.append(clause)


def composed_text(world: World, node: str, tier: int, data: Json) -> Value:
    """A text that the model writes out of one flat result."""
    text = world.pick(_OPENINGS) + "; ".join(f"{key}: {value}" for key, value in data.items())
    return Value(text, tier, sources=tuple((node, f"/{key}") for key in data))


_OPENINGS = ("Summary - ", "Overview: ", "Here is what I found: ", "Result: ", "")


def _opened(plan: Plan, getter: Tool, record: Record) -> Record:
    node = plan.call(getter, [(getter.params[0], record.id)])
    full = plan.returned(node, getter, {}, lines=1)
    full.data[record.toolset.id_key] = record.data[record.toolset.id_key]
    return full


def each(story: Story, toolset: Toolset, thing: Thing) -> bool:
    """Do the same with every object of a list."""
    world, plan = story.world, story.plan
    read = toolset.of(thing, "list", "search")
    names = _actions(thing)
    if read is None or not names:
        return False
    clause = Clause(world.pick(names), thing.name, several=True)
    number = world.between(2, 6) if world.chance(0.85) else world.between(7, 18)
    clause.count = 0 if world.chance(0.6) else number
    find = Clause(read.operation.name, thing.name, count=clause.count)
    node = plan.call(read, filters(story, read, find, {}))
    clause.filters = find.filters
    records = plan.listed(node, read, number, {})
    tool = toolset.tools[thing.name, clause.operation]
    first = arguments(story, tool, clause, records[0])
    for record in records:
        given = [(p, record.id if p.role == "id" else v) for p, v in first]
        plan.done(plan.call(tool, given))
    story.clauses.append(clause)
    return True


def watch(story: Story, toolset: Toolset, thing: Thing) -> bool:
    """Look first; what is there decides whether something is done."""
    world, plan = story.world, story.plan
    names = [n for n in _actions(thing) if operations()[n].effect in ("execute", "write", "send")]
    getter = toolset.of(thing, "get")
    if getter is None or not names:
        return False
    check = Clause("get", thing.name)
    record = found(story, toolset, thing, check)
    if record is None:
        return False
    if record.pointer:
        node = plan.call(getter, [(getter.params[0], record.id)])
        plan.returned(node, getter, {}, lines=1)
    story.clauses.append(check)
    more = Clause(world.pick(names), thing.name, again=True)
    _do(story, toolset.tools[thing.name, more.operation], more, record, plan.nodes[-1]["node_id"])
    return True


def careful(story: Story, toolset: Toolset, thing: Thing) -> bool:
    """A copy first, then the step that cannot be undone."""
    world, plan = story.world, story.plan
    copy = toolset.of(thing, "export", "download")
    last = toolset.of(thing, "delete", "archive", "update")
    if copy is None or last is None:
        return False
    clause = Clause(copy.operation.name, thing.name)
    record = found(story, toolset, thing, clause)
    if record is None:
        return False
    given = arguments(story, copy, clause, record)
    first = plan.call(copy, given)
    plan.outputs[first] = {"path": world.value("path")}
    story.clauses.append(clause)
    more = Clause(last.operation.name, thing.name, again=clause.label is not None)
    node = plan.call(last, arguments(story, last, more, record), temporal=first)
    plan.done(node)
    story.clauses.append(more)
    return True


def carry(story: Story, toolset: Toolset, thing: Thing) -> bool:
    """Take values out of one system into another."""
    world, plan = story.world, story.plan
    clause = Clause("get", thing.name)
    if "get" not in thing.operations:
        return False
    record = found(story, toolset, thing, clause)
    if record is None:
        return False
    story.clauses.append(clause)
    domain, name, operation = world.pick(_TARGETS)
    tool = story.toolset(domain).tools[name, operation]
    more = Clause(operation, name)
    given: Given = []
    for param in tool.params:
        value = record.first(param.kind) if param.kind not in ("note", "enum") else None
        if value is not None:
            given.append((param, value))
        else:
            argument = _argument(story, param, more, None, None)
            if argument is not None or param.required:
                given.append((param, argument or _by_user_or_model(world, param, more)))
    node = plan.call(tool, given, control=record.node)
    plan.made(node, tool)
    if any(not isinstance(v, list) and v.node == record.node for _, v in given):
        more.extras.append(("steps", "note", f"the {thing.name}"))
    story.clauses.append(more)
    return True


_TARGETS = (
    *(("calendar", "event", "schedule"), ("tasks", "task", "create")),
    *(("expenses", "expense", "create"), ("calendar", "reminder", "create")),
    *(("contacts", "contact", "create"), ("accounting", "journal entry", "create")),
    *(("spreadsheets", "row", "create"), ("crm", "lead", "create")),
    *(("support", "ticket", "create"), ("incidents", "incident", "create")),
)

Task = Callable[[Story, Toolset, Thing], bool]
TASKS: tuple[tuple[Task, float], ...] = (
    (look, 0.24),
    (act, 0.26),
    (make, 0.16),
    (tell, 0.12),
    (each, 0.06),
    (watch, 0.06),
    (careful, 0.03),
    (carry, 0.07),
)


def task(story: Story, domain: str) -> None:
    """Add one task of a domain."""
    world = story.world
    toolset = story.toolset(domain)
    while not _task(world)(story, toolset, world.pick(toolset.domain.things)):
        pass


def _task(world: World) -> Task:
    at = world.r()
    for chosen, share in TASKS:
        at -= share
        if at < 0:
            return chosen
    return TASKS[0][0]
